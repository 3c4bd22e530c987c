"""Where an order meets the market: what triggers a stop, and at which price it would fill now.

A price is always the far side of the best bid and offer: a buy pays the ask, a sale gets the bid.
"""

from collections.abc import Callable
from decimal import Decimal

from paper.market import Quote
from paper.order import ZERO, Order

#: The quote of a symbol, if it is one of the present session.
Look = Callable[[str], Quote | None]


def offered(order: Order, look: Look) -> Decimal | None:
    """The price per share at which an order fills now; None when it does not.

    A stop remembers here that it was triggered, and a trailing one the best price it has seen.
    """
    if order.is_combination:
        return _within_limit(order, net_price(order, look), 1)
    quote = look(order.symbol)
    if quote is None or not _is_triggered(order, quote):
        return None
    return _within_limit(order, far_side(order.side, quote), order.sign)


def far_side(side: str, quote: Quote) -> Decimal | None:
    """What a market order pays or gets."""
    return quote.ask if side == "buy" else quote.bid


def net_price(order: Order, look: Look) -> Decimal | None:
    """What one unit of a multi-leg order costs per share; negative is a credit. None while a leg has no price."""
    prices = leg_prices(order, look)
    if prices is None:
        return None
    pairs = zip(order.legs, prices, strict=True)
    return sum((leg.sign * (leg.ratio or ZERO) * price for leg, price in pairs), ZERO)


def leg_prices(order: Order, look: Look) -> list[Decimal] | None:
    """The far sides of all legs."""
    found = []
    for leg in order.legs:
        quote = look(leg.symbol)
        price = far_side(leg.side, quote) if quote is not None else None
        if price is None:
            return None
        found.append(price)
    return found


def _within_limit(order: Order, price: Decimal | None, sign: int) -> Decimal | None:
    if price is None or order.limit_price is None:
        return price
    return price if (order.limit_price - price) * sign >= 0 else None


def _is_triggered(order: Order, quote: Quote) -> bool:
    """A stop is triggered for good when the side that it would trade on has reached its level."""
    if order.type not in {"stop", "stop_limit", "trailing_stop"} or order.triggered:
        return True
    side = far_side(order.side, quote)
    if side is None:
        return False
    if order.type == "trailing_stop":
        best = max if order.side == "sell" else min
        order.hwm = side if order.hwm is None else best(order.hwm, side)
    level = order.stop_level
    order.triggered = level is not None and (side - level) * order.sign >= 0
    return order.triggered
