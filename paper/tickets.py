"""From a request's body to a ticket: what is checked before anything is known about account or market.

A ladder of refusals in Alpaca's words; who gets to the end has a well-formed order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from paper.errors import ApiError, bad_body, invalid, unprocessable
from paper.numbers import number

SIDES = ("buy", "sell")
TYPES = ("market", "limit", "stop", "stop_limit", "trailing_stop")
TIMES_IN_FORCE = ("day", "gtc", "opg", "cls", "ioc", "fok")
INTENTS = ("buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close")
ORDER_CLASSES = ("", "simple", "bracket", "oco", "oto", "mleg")
#: Alpaca's documented length of a client order id.
CLIENT_ID_LIMIT = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A well-formed order request. *intent* None asks for it to be inferred; exactly one of qty and notional is set."""

    symbol: str
    side: str
    type: str
    time_in_force: str
    qty: Decimal | None
    notional: Decimal | None
    limit_price: Decimal | None
    client_order_id: str | None
    intent: str | None
    order_class: str
    extended_hours: bool


def read(body: Any) -> Ticket:
    """Return the ticket that a POST /v2/orders body describes.

    Raises: ApiError with Alpaca's text for the first thing that is wrong.
    """
    if not isinstance(body, dict):
        raise bad_body()
    order_class = _order_class(body)
    symbol = body.get("symbol")
    if not isinstance(symbol, str) or not symbol:
        raise unprocessable("invalid symbol")
    qty, notional = _size(body)
    side = _choice(body, "side", SIDES, "invalid side")
    kind = _choice(body, "type", TYPES, "invalid order type")
    time_in_force = _choice(body, "time_in_force", TIMES_IN_FORCE, "invalid time_in_force")
    return Ticket(
        symbol=symbol,
        side=side,
        type=kind,
        time_in_force=time_in_force,
        qty=qty,
        notional=notional,
        limit_price=_limit_price(body, kind),
        client_order_id=_client_order_id(body),
        intent=_intent(body),
        order_class=order_class,
        extended_hours=_flag(body, "extended_hours"),
    )


def closing_ticket(symbol: str, side: str, qty: Decimal) -> Ticket:
    """The order by which a position is closed without a request: market, day, intent as inferred."""
    return Ticket(
        symbol=symbol,
        side=side,
        type="market",
        time_in_force="day",
        qty=qty,
        notional=None,
        limit_price=None,
        client_order_id=None,
        intent=None,
        order_class="",
        extended_hours=False,
    )


def _order_class(body: Mapping[str, Any]) -> str:
    order_class = body.get("order_class") or ""
    if order_class not in ORDER_CLASSES:
        raise invalid("invalid order_class")
    if order_class == "mleg":
        legs = body.get("legs")
        if not isinstance(legs, list) or not 2 <= len(legs) <= 4:
            raise unprocessable("mleg orders must have at least 2 legs and at most 4 legs")
        raise not_offered("mleg orders")
    return str(order_class)


def not_offered(what: str) -> ApiError:
    """What Alpaca offers and this server does not: an answer no client can take for an acceptance."""
    return unprocessable(f"{what} are not offered by this paper server")


def _size(body: Mapping[str, Any]) -> tuple[Decimal | None, Decimal | None]:
    qty, notional = body.get("qty"), body.get("notional")
    if qty is None and notional is None:
        raise invalid("qty or notional is required")
    if qty is not None and notional is not None:
        raise invalid("only one of qty or notional is accepted")
    name = "qty" if qty is not None else "notional"
    amount = number(body[name])
    if amount is None:
        raise invalid(f"invalid {name}")
    if amount <= 0:
        raise invalid(f"{name} must be > 0")
    return (amount, None) if name == "qty" else (None, amount)


def _choice(body: Mapping[str, Any], name: str, allowed: tuple[str, ...], message: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or value not in allowed:
        raise invalid(message)
    return value


def _limit_price(body: Mapping[str, Any], kind: str) -> Decimal | None:
    """The limit price, after the checks that tie prices to the order's type."""
    if kind in {"stop", "stop_limit"} and body.get("stop_price") is None:
        raise invalid("stop orders require a stop price")
    if kind == "trailing_stop" and body.get("trail_price") is None and body.get("trail_percent") is None:
        raise invalid("trailing stop orders must specify one of trail_price or trail_percent")
    given = body.get("limit_price")
    if kind == "market" and (given is not None or body.get("stop_price") is not None):
        raise invalid("market orders require no stop or limit price")
    if kind not in {"limit", "stop_limit"}:
        return None
    if given is None:
        raise invalid("limit orders require a limit price")
    price = number(given)
    if price is None:
        raise invalid("invalid limit_price")
    if price <= 0:
        raise invalid("limit price must be > 0")
    return price


def _client_order_id(body: Mapping[str, Any]) -> str | None:
    given = body.get("client_order_id")
    if given is None or given == "":
        return None
    if not isinstance(given, str) or not given.isprintable():
        raise invalid("invalid client_order_id")
    if len(given) > CLIENT_ID_LIMIT:
        raise invalid(f"client_order_id must be no more than {CLIENT_ID_LIMIT} characters")
    return given


def _intent(body: Mapping[str, Any]) -> str | None:
    given = body.get("position_intent")
    if given is None:
        return None
    if given not in INTENTS:
        raise invalid("invalid position_intent specified")
    return str(given)


def _flag(body: Mapping[str, Any], name: str) -> bool:
    given = body.get(name)
    if given is None:
        return False
    if not isinstance(given, bool):
        raise invalid(f"invalid {name}")
    return given
