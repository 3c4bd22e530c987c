"""From a request's body to a ticket: what is checked before anything is known about account or market.

A ladder of refusals in Alpaca's words; who gets to the end has a well-formed order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from paper.errors import bad_body, invalid, unprocessable
from paper.numbers import is_whole, number
from paper.order import GROUP_CLASSES, Prices

SIDES = ("buy", "sell")
TYPES = ("market", "limit", "stop", "stop_limit", "trailing_stop")
TIMES_IN_FORCE = ("day", "gtc", "opg", "cls", "ioc", "fok")
INTENTS = ("buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close")
ORDER_CLASSES = ("", "simple", "bracket", "oco", "oto", "mleg")
#: Alpaca's documented length of a client order id.
CLIENT_ID_LIMIT = 128
_CENT = Decimal("0.01")
_FEWEST_LEGS, _MOST_LEGS = 2, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LegTicket:
    """One leg of a multi-leg request."""

    symbol: str
    ratio: Decimal
    side: str
    intent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A well-formed order request. *intent* None asks for it to be inferred; exactly one of qty and notional is set
    until `fractions` says what the dollars buy.

    *take_profit* and *stop_loss* are the exits of a bracket, oco or oto; *legs* are those of a multi-leg order, whose
    own symbol and side are empty.
    """

    symbol: str
    side: str
    type: str
    time_in_force: str
    qty: Decimal | None
    notional: Decimal | None
    prices: Prices
    client_order_id: str | None
    intent: str | None
    order_class: str
    extended_hours: bool
    take_profit: Decimal | None = None
    stop_loss: Prices | None = None
    legs: tuple[LegTicket, ...] = field(default=())

    @property
    def limit_price(self) -> Decimal | None:
        return self.prices.limit


def read(body: Any) -> Ticket:
    """Return the ticket that a POST /v2/orders body describes.

    Raises: ApiError with Alpaca's text for the first thing that is wrong.
    """
    if not isinstance(body, dict):
        raise bad_body()
    order_class = _order_class(body)
    legs = _legs(body) if order_class == "mleg" else ()
    symbol = "" if legs else body.get("symbol")
    if not isinstance(symbol, str) or not (symbol or legs):
        raise unprocessable("invalid symbol")
    qty, notional = _size(body)
    side = "" if legs else _choice(body, "side", SIDES, "invalid side")
    kind = _choice(body, "type", TYPES, "invalid order type")
    time_in_force = _choice(body, "time_in_force", TIMES_IN_FORCE, "invalid time_in_force")
    take_profit, stop_loss = _exits(body) if order_class in GROUP_CLASSES else (None, None)
    if order_class == "oco" and kind == "limit" and body.get("limit_price") is None and take_profit is not None:
        body = body | {"limit_price": take_profit}
    return Ticket(
        symbol=symbol,
        side=side,
        type=kind,
        time_in_force=time_in_force,
        qty=qty,
        notional=notional,
        prices=_prices(body, kind, signed=bool(legs)),
        client_order_id=client_order_id(body),
        intent=None if legs else _intent(body),
        order_class=order_class,
        extended_hours=_flag(body, "extended_hours"),
        take_profit=take_profit,
        stop_loss=stop_loss,
        legs=legs,
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
        prices=Prices(),
        client_order_id=None,
        intent=None,
        order_class="",
        extended_hours=False,
    )


def exits_ticket(symbol: str, side: str, qty: Decimal, price: Decimal) -> Ticket:
    """A pair of exits for a position, so far from *price* that the market meets neither by itself."""
    far, near = (2 * price, price / 2) if side == "sell" else (price / 2, 2 * price)
    profit, loss = (level.quantize(_CENT) for level in (far, near))
    closing = closing_ticket(symbol, side, qty)
    prices = Prices(limit=profit)
    return replace(
        closing, type="limit", prices=prices, order_class="oco", take_profit=profit, stop_loss=Prices(stop=loss)
    )


def _order_class(body: Mapping[str, Any]) -> str:
    order_class = body.get("order_class") or ""
    if order_class not in ORDER_CLASSES:
        raise invalid("invalid order_class")
    return str(order_class)


def _size(body: Mapping[str, Any]) -> tuple[Decimal | None, Decimal | None]:
    qty, notional = body.get("qty"), body.get("notional")
    if qty is None and notional is None:
        raise invalid("qty or notional is required")
    if qty is not None and notional is not None:
        raise invalid("only one of qty or notional is accepted")
    name = "qty" if qty is not None else "notional"
    amount = positive(body, name, name)
    return (amount, None) if name == "qty" else (None, amount)


def positive(body: Mapping[str, Any], name: str, shown: str) -> Decimal:
    """A number above zero that is given under *name*. Raises: ApiError that calls it *shown*."""
    amount = number(body[name])
    if amount is None:
        raise invalid(f"invalid {name}")
    if amount <= 0:
        raise invalid(f"{shown} must be > 0")
    return amount


def _choice(body: Mapping[str, Any], name: str, allowed: tuple[str, ...], message: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or value not in allowed:
        raise invalid(message)
    return value


def _prices(body: Mapping[str, Any], kind: str, *, signed: bool) -> Prices:
    """The prices, after the checks that tie them to the order's type; a net price may be zero or a credit."""
    has_trail = body.get("trail_price") is not None or body.get("trail_percent") is not None
    if kind in {"stop", "stop_limit"} and body.get("stop_price") is None:
        raise invalid("stop orders require a stop price")
    if kind == "trailing_stop" and not has_trail:
        raise invalid("trailing stop orders must specify one of trail_price or trail_percent")
    if kind == "market" and (body.get("limit_price") is not None or body.get("stop_price") is not None):
        raise invalid("market orders require no stop or limit price")
    if kind == "trailing_stop":
        return _trail(body)
    limit = _limit(body, signed=signed) if kind in {"limit", "stop_limit"} else None
    stop = positive(body, "stop_price", "stop price") if kind in {"stop", "stop_limit"} else None
    return Prices(limit=limit, stop=stop)


def _limit(body: Mapping[str, Any], *, signed: bool) -> Decimal:
    if body.get("limit_price") is None:
        raise invalid("limit orders require a limit price")
    if not signed:
        return positive(body, "limit_price", "limit price")
    net = number(body["limit_price"])
    if net is None:
        raise invalid("invalid limit_price")
    return net


def _trail(body: Mapping[str, Any]) -> Prices:
    given = [name for name in ("trail_price", "trail_percent") if body.get(name) is not None]
    if len(given) > 1:
        raise invalid("trailing stop orders must specify one of trail_price or trail_percent")
    amount = positive(body, given[0], given[0])
    return Prices(trail=amount) if given == ["trail_price"] else Prices(trail_percent=amount)


def _exits(body: Mapping[str, Any]) -> tuple[Decimal | None, Prices | None]:
    """The take-profit price and the stop-loss prices, where they are given."""
    profit, loss = _part(body, "take_profit"), _part(body, "stop_loss")
    limit = profit.get("limit_price")
    take_profit = positive(profit, "limit_price", "take_profit.limit_price") if limit is not None else None
    return take_profit, _stop_loss(loss) if loss.get("stop_price") is not None else None


def _stop_loss(loss: Mapping[str, Any]) -> Prices:
    stop = positive(loss, "stop_price", "stop_loss.stop_price")
    given = loss.get("limit_price")
    return Prices(
        stop=stop, limit=positive(loss, "limit_price", "stop_loss.limit_price") if given is not None else None
    )


def _part(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    given = body.get(name)
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise invalid(f"invalid {name}")
    return given


def _legs(body: Mapping[str, Any]) -> tuple[LegTicket, ...]:
    legs = body.get("legs")
    if not isinstance(legs, list) or not _FEWEST_LEGS <= len(legs) <= _MOST_LEGS:
        raise unprocessable("mleg orders must have at least 2 legs and at most 4 legs")
    return tuple(_leg(index, leg) for index, leg in enumerate(legs))


def _leg(index: int, leg: Any) -> LegTicket:
    if not isinstance(leg, dict) or not isinstance(leg.get("symbol"), str) or not leg["symbol"]:
        raise unprocessable("invalid symbol")
    ratio = number(leg.get("ratio_qty"))
    if ratio is None or ratio <= 0 or not is_whole(ratio):
        raise invalid("invalid ratio_qty")
    if leg.get("position_intent") is None:
        raise unprocessable(f"leg.{index} position intent is required")
    intent = _intent(leg)
    side = str(intent).split("_", 1)[0]
    if leg.get("side") not in {None, "", side}:
        raise invalid("invalid side")
    return LegTicket(symbol=leg["symbol"], ratio=ratio, side=side, intent=str(intent))


def client_order_id(body: Mapping[str, Any]) -> str | None:
    """The client's id for the order; an empty one counts as absent."""
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
