"""Why an order ended, as a label: a closed list, so that nobody's wording can make series without end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

INTENT_MISMATCH: Final = "intent_mismatch"
OTHER: Final = "other"

#: Alpaca's codes. Source: brokerage/wire.py and paper/errors.py.
_ALPACA: Final[Mapping[str, str]] = {
    "40010001": "validation",
    "40310000": "forbidden",
    "42210000": "unprocessable",
}
#: Our own words for what was not sent, or not taken.
_OURS: Final = frozenset(
    {
        "account_halted",
        "account_reducing",
        "canceled_unsent",
        "clamped",
        "held_by_other_orders",
        "not_held",
        "out_of_session",
        "too_old",
    }
)


def code_of(code: str | None, message: str | None) -> str:
    """Return the label of an order's end: empty when there was no reason to give."""
    if message and "intent mismatch" in message:
        return INTENT_MISMATCH
    if not code:
        return ""
    return code if code in _OURS else _ALPACA.get(code, OTHER)
