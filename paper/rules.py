"""What is refused, and in which words: a ladder of rules over a ticket and the situation it meets.

Every rule raises Alpaca's answer or lets pass; the first that raises decides. They change nothing. What is peculiar
to options, to stocks and to multi-leg orders is in `rules_options`, `rules_stocks` and `rules_combinations`.
Source: Alpaca's published texts and recorded answers; the intent is inferred from the account's actual position.
"""

from decimal import Decimal

from paper import book
from paper.errors import ApiError, forbidden, unprocessable
from paper.instruments import Contract, Stock
from paper.numbers import plain
from paper.order import GROUP_CLASSES, STOP_TYPES, Order
from paper.rules_options import OPTION_RULES, option_is_covered
from paper.rules_stocks import STOCK_RULES, short_sale_is_allowed
from paper.situation import Situation, intent_of, qty_of, reserve_price
from paper.tickets import Ticket


def check(ticket: Ticket, at: Situation) -> None:
    """Refuse a ticket in Alpaca's words, or let it pass.

    Raises: ApiError.
    """
    for rule in (*(OPTION_RULES if isinstance(at.instrument, Contract) else STOCK_RULES), *COMMON_RULES):
        rule(ticket, at)


def intent_matches_the_position(ticket: Ticket, at: Situation) -> None:
    inferred = intent_of(ticket, at)
    if ticket.intent is not None and ticket.intent != inferred:
        raise mismatch(inferred, ticket.intent)


def mismatch(inferred: str, specified: str) -> ApiError:
    """The stated intent is not what the order would do."""
    return unprocessable(f"position intent mismatch, inferred: {inferred}, specified: {specified}")


def stop_is_on_its_side_of_the_market(ticket: Ticket, at: Situation) -> None:
    """While the market is open a stop is not where it would be triggered at once."""
    stop = ticket.prices.stop
    if stop is None or at.mark is None or at.session is None:
        return
    numbers = {"market_price": plain(at.mark), "stop_price": plain(stop)}
    if ticket.side == "sell" and stop >= at.mark:
        raise unprocessable("stop price must be less than current price", **numbers)
    if ticket.side == "buy" and stop <= at.mark:
        raise unprocessable("stop price must be greater than current price", **numbers)


def no_wash_trade(ticket: Ticket, at: Situation) -> None:
    """An open order of the other side that could trade against this one refuses it.

    Bracket, oco and oto orders and trailing stops are exempt, whether they are the new or the resting one.
    """
    if ticket.order_class in GROUP_CLASSES or ticket.type == "trailing_stop":
        return
    for other in at.others():
        if other.side == ticket.side or other.order_class in {*GROUP_CLASSES, "mleg"} or other.type == "trailing_stop":
            continue
        if other.type == "market" or other.type in STOP_TYPES:
            raise _wash(other.id, "opposite side market/stop order exists")
        if ticket.type in {"market", "stop"} or _crosses(ticket, other):
            raise _wash(other.id, "opposite side limit order exists")


def _crosses(ticket: Ticket, other: Order) -> bool:
    buy, sell = ticket.limit_price, other.limit_price
    if ticket.side == "sell":
        buy, sell = sell, buy
    return buy is not None and sell is not None and buy >= sell


def _wash(order_id: str, reason: str) -> ApiError:
    message = "potential wash trade detected. use complex orders"
    return forbidden(message, existing_order_id=order_id, reject_reason=reason)


def opens_one_side_only(ticket: Ticket, at: Situation) -> None:
    is_one_sided(intent_of(ticket, at), at)


def is_one_sided(intent: str, at: Situation) -> None:
    """Refuse an opening order while one of the other side could open too."""
    opening = {order.intent for order in at.others() if order.opens}
    if intent == "sell_to_open" and "buy_to_open" in opening:
        raise forbidden("cannot open a short sell while a long buy order is open")
    if intent == "buy_to_open" and "sell_to_open" in opening:
        raise forbidden("cannot open a long buy while a short sell order is open")


def closing_qty_is_available(ticket: Ticket, at: Situation) -> None:
    """A closing order takes no more than is free: it never crosses through zero."""
    if not intent_of(ticket, at).endswith("_to_open"):
        qty_is_free(qty_of(ticket), at)


def qty_is_free(qty: Decimal, at: Situation) -> None:
    """Refuse to close more of the instrument than no order holds."""
    symbol, account, available = at.instrument.symbol, at.account, at.available
    if qty <= available:
        return
    related = [order.id for order in account.closing_orders(symbol)]
    raise forbidden(
        f"insufficient qty available for order (requested: {plain(qty)}, available: {plain(available)})",
        available=plain(available),
        existing_qty=plain(abs(account.held(symbol))),
        held_for_orders=plain(account.held_for_orders(symbol)),
        **({"related_orders": related} if at.switches.related_orders else {}),
        symbol=symbol,
    )


def buying_power_suffices(ticket: Ticket, at: Situation) -> None:
    intent, is_stock = intent_of(ticket, at), isinstance(at.instrument, Stock)
    if intent != "buy_to_open" and not (intent == "sell_to_open" and is_stock):
        return
    cost = ticket.notional or book.reserve(at.instrument, ticket.side, qty_of(ticket), reserve_price(ticket, at))
    available = at.buying_power
    if cost <= available:
        return
    if is_stock:
        raise forbidden("insufficient buying power", buying_power=plain(available), cost_basis=plain(cost))
    raise forbidden("insufficient options buying power", options_buying_power=plain(available), cost_basis=plain(cost))


COMMON_RULES = (
    intent_matches_the_position,
    closing_qty_is_available,
    stop_is_on_its_side_of_the_market,
    no_wash_trade,
    opens_one_side_only,
    short_sale_is_allowed,
    option_is_covered,
    buying_power_suffices,
)
