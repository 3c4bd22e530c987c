"""Parts of shares: how many of them an order is for, and what is refused to it.

An order by dollars (notional) has a quantity of its own only when it fills; until then it counts as what its dollars
buy at the price that the market shows. Source: Alpaca's recorded refusals, and its documents for nine decimals.
"""

from dataclasses import replace
from decimal import ROUND_DOWN, Decimal

from paper.errors import forbidden, invalid, unprocessable
from paper.instruments import Stock
from paper.numbers import decimals, is_whole
from paper.order import Order
from paper.situation import Situation, intent_of
from paper.tickets import Ticket

#: More decimals of a quantity are cut off.
_SMALLEST = Decimal("0.000000001")
#: Dollars that an order in parts of shares is for at least.
_LEAST = Decimal(1)
_TYPES = frozenset({"market", "limit", "stop", "stop_limit"})


def sized(ticket: Ticket, at: Situation) -> Ticket:
    """The ticket with its quantity of shares; None stays where no price tells what the dollars buy."""
    if ticket.qty is not None:
        return replace(ticket, qty=_cut(ticket.qty))
    price = _price(ticket, at)
    return ticket if price is None or ticket.notional is None else replace(ticket, qty=bought(ticket.notional, price))


def bought(notional: Decimal, price: Decimal) -> Decimal:
    """How many shares so many dollars are."""
    return _cut(notional / price)


def of_position(held: Decimal, percentage: Decimal, smallest: Decimal = _SMALLEST) -> Decimal:
    """So many per cent of a position, cut to units that trade."""
    return (held * percentage / 100 / smallest).to_integral_value(ROUND_DOWN) * smallest


def is_in_parts(order: Order) -> bool:
    """Whether an order is for dollars or for parts of shares."""
    return order.notional is not None or not is_whole(order.qty)


def fractions_are_allowed(ticket: Ticket, at: Situation) -> None:
    """A rule of `rules_stocks`: parts of shares, and orders by dollars, are day orders that stand alone."""
    stock = at.instrument
    if ticket.notional is None and (ticket.qty is None or is_whole(ticket.qty)):
        return
    if not isinstance(stock, Stock) or not stock.fractionable:
        raise forbidden(f'asset "{stock.symbol}" is not fractionable')
    if at.account.preferences.get("fractional_trading") is False:
        raise forbidden("account is not allowed to trade fractional shares")
    if ticket.notional is not None and decimals(ticket.notional) > 2:
        raise unprocessable("notional value must be limited to 2 decimal places")
    if ticket.time_in_force != "day":
        raise unprocessable("fractional orders must be DAY orders")
    if ticket.order_class not in {"", "simple"}:
        raise unprocessable("fractional orders must be simple orders")
    if ticket.type not in _TYPES:
        raise invalid("invalid order type")
    if intent_of(ticket, at) == "sell_to_open":
        raise unprocessable("fractional orders cannot be sold short")
    _is_worth_a_dollar(ticket, at)


def _is_worth_a_dollar(ticket: Ticket, at: Situation) -> None:
    """Refuse dust, where it is known what it is worth; a position of dust can still be closed."""
    price = _price(ticket, at)
    worth = ticket.notional if price is None or ticket.qty is None else ticket.notional or price * ticket.qty
    closes = ticket.notional is None and intent_of(ticket, at).endswith("_to_close")
    if worth is not None and worth < _LEAST and not closes:
        raise forbidden("cost basis must be >= minimal amount of order 1")
    if ticket.qty is None:
        raise unprocessable(f'asset "{at.instrument.symbol}" has no price yet')


def _price(ticket: Ticket, at: Situation) -> Decimal | None:
    """What a share costs this ticket: its limit or stop, the far side while open, or the last trade."""
    given = ticket.limit_price or ticket.prices.stop
    quote = at.quote if at.session is not None else None
    far = (quote.ask if ticket.side == "buy" else quote.bid) if quote is not None else None
    return given or far or at.last_trade or at.mark


def _cut(qty: Decimal) -> Decimal:
    return qty.quantize(_SMALLEST, ROUND_DOWN).normalize() if decimals(qty) > 9 else qty
