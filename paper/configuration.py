"""PATCH of an account's configuration: what its owner may choose, below what was approved."""

from typing import Any

from paper.book import Account
from paper.errors import bad_body, invalid
from paper.numbers import number

_FLAGS = ("disable_overnight_trading", "fractional_trading", "no_shorting", "ptp_no_exception_entry", "suspend_trade")
_HIGHEST_LEVEL = 3
_MULTIPLIERS = ("1", "2", "4")
_EMAILS = ("all", "none")


def read(body: Any) -> dict[str, Any]:
    """The changes that a body asks for; unknown names are left out, as Alpaca does.

    Raises: ApiError for a value that its name does not take.
    """
    if not isinstance(body, dict):
        raise bad_body()
    changes = {name: body[name] for name in _FLAGS if body.get(name) is not None}
    for name, value in changes.items():
        if not isinstance(value, bool):
            raise invalid(f"invalid {name}")
    if body.get("max_options_trading_level") is not None:
        changes["max_options_trading_level"] = _level(body["max_options_trading_level"])
    for name, allowed in (("max_margin_multiplier", _MULTIPLIERS), ("trade_confirm_email", _EMAILS)):
        if body.get(name) is not None:
            if str(body[name]) not in allowed:
                raise invalid(f"invalid {name}")
            changes[name] = str(body[name])
    return changes


def _level(given: Any) -> int:
    level = number(given)
    if level is None or level not in range(_HIGHEST_LEVEL + 1):
        raise invalid("invalid max_options_trading_level")
    return int(level)


def apply(account: Account, changes: dict[str, Any]) -> None:
    """Let an account's choices be in force from now on."""
    account.suspended_by_user = changes.get("suspend_trade", account.suspended_by_user)
    account.no_shorting = changes.get("no_shorting", account.no_shorting)
    account.max_option_level = changes.get("max_options_trading_level", account.max_option_level)
    own = {"suspend_trade", "no_shorting", "max_options_trading_level"}
    account.preferences |= {name: value for name, value in changes.items() if name not in own}
