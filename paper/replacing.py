"""PATCH of an order: what may change, in which states, and the ticket of the order that takes the old one's place.

The quantity of the request is the whole order's, filled part included; the replacement is for what is left of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from paper.errors import ApiError, bad_body, invalid, unprocessable
from paper.numbers import is_whole, number
from paper.order import ZERO, Order, Prices
from paper.tickets import TIMES_IN_FORCE, LegTicket, Ticket, client_order_id, positive

#: States in which an order can be replaced; a held exit waits for its entry and may be moved meanwhile.
_REPLACEABLE = frozenset({"new", "partially_filled", "held", "done_for_day"})
_PRICES = {"limit": ("limit", "stop_limit"), "stop": ("stop", "stop_limit"), "trail": ("trailing_stop",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a PATCH asks for; None leaves a value as it is."""

    qty: Decimal | None
    time_in_force: str | None
    limit: Decimal | None
    stop: Decimal | None
    trail: Decimal | None
    client_order_id: str | None


def read(body: Any) -> Change:
    """Return the change that a PATCH body describes. Raises: ApiError."""
    if not isinstance(body, dict):
        raise bad_body()
    time_in_force = body.get("time_in_force")
    if time_in_force is not None and time_in_force not in TIMES_IN_FORCE:
        raise invalid("invalid time_in_force")
    return Change(
        qty=_number(body, "qty", "qty"),
        time_in_force=time_in_force,
        limit=_limit(body),
        stop=_number(body, "stop_price", "stop price"),
        trail=_number(body, "trail", "trail"),
        client_order_id=client_order_id(body),
    )


def _limit(body: Mapping[str, Any]) -> Decimal | None:
    """A limit price; whether it may be a credit is known only with the order."""
    given = body.get("limit_price")
    price = number(given)
    if given is not None and price is None:
        raise invalid("invalid limit_price")
    return price


def _number(body: Mapping[str, Any], name: str, shown: str) -> Decimal | None:
    return positive(body, name, shown) if body.get(name) is not None else None


def ticket(order: Order, change: Change, predecessor: Order | None) -> Ticket:
    """The ticket of the replacement.

    Raises: ApiError when the order's state or the change does not allow it.
    """
    _check_state(order, predecessor)
    if order.notional is not None or (not is_whole(order.qty) and change.qty not in {None, order.qty}):
        raise unprocessable("unable to replace order in current state")
    if order.is_leg_of_combination or (order.group_id is not None and _is_resized(order, change)):
        raise unprocessable("unable to replace order in current state")
    prices = _prices(order, change)
    if (
        change.qty in {None, order.qty}
        and change.time_in_force in {None, order.time_in_force}
        and prices == order.prices
        and change.client_order_id in {None, order.client_order_id}
    ):
        raise unprocessable("order parameters are not changed")
    if change.qty is not None and change.qty <= order.filled_qty:
        raise unprocessable("qty must be > filled_qty")
    return Ticket(
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        time_in_force=change.time_in_force or order.time_in_force,
        qty=(change.qty or order.qty) - order.filled_qty,
        notional=None,
        prices=prices,
        client_order_id=change.client_order_id,
        intent=order.intent or None,
        order_class=order.order_class if order.is_combination else "",
        extended_hours=order.extended_hours,
        legs=tuple(_leg(leg) for leg in order.legs) if order.is_combination else (),
    )


def _leg(leg: Order) -> LegTicket:
    return LegTicket(symbol=leg.symbol, ratio=leg.ratio or ZERO, side=leg.side, intent=leg.intent)


def _is_resized(order: Order, change: Change) -> bool:
    """What is tied to other orders may change its prices only."""
    return change.qty not in {None, order.qty} or change.time_in_force not in {None, order.time_in_force}


def is_pending(order: Order, predecessor: Order | None) -> bool:
    """Whether an order is a replacement that has not taken its predecessor's place yet."""
    return (
        predecessor is not None
        and predecessor.status == "pending_replace"
        and order.status in {"pending_new", "accepted"}
    )


def _check_state(order: Order, predecessor: Order | None) -> None:
    if order.status == "replaced":
        raise unprocessable("order already replaced")
    if is_pending(order, predecessor):
        raise unprocessable("order chain not fully replaced")
    if order.status not in _REPLACEABLE:
        raise unprocessable(f"cannot replace order in {order.status} status")


def _prices(order: Order, change: Change) -> Prices:
    """The old prices with the changed ones. Raises: ApiError when the order's type has no such price."""
    for name, types in _PRICES.items():
        if getattr(change, name) is not None and order.type not in types:
            raise _has_no_such_price(order, name)
    if change.limit is not None and change.limit <= 0 and not order.is_combination:
        raise invalid("limit price must be > 0")
    old = order.prices
    if change.trail is not None:
        return Prices(trail=change.trail) if old.trail is not None else Prices(trail_percent=change.trail)
    return Prices(
        limit=change.limit if change.limit is not None else old.limit,
        stop=change.stop if change.stop is not None else old.stop,
        trail=old.trail,
        trail_percent=old.trail_percent,
    )


def _has_no_such_price(order: Order, name: str) -> ApiError:
    if order.type == "market":
        return invalid("market orders require no stop or limit price")
    return invalid(f"{order.type} orders have no {name}{' price' if name != 'trail' else ''}")
