"""What is refused, and in which words: a ladder of rules over a ticket and the situation it meets.

Every rule raises Alpaca's answer or lets pass; the first that raises decides. They change nothing.
Source: Alpaca's published texts and recorded answers; the intent is inferred from the account's actual position.
"""

# ruff: noqa: ARG001 - one signature for all rules

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from paper import book
from paper.book import Account
from paper.errors import ApiError, forbidden, invalid, unprocessable
from paper.instruments import Contract, Instrument, Stock
from paper.market import Quote
from paper.numbers import decimals, is_whole, plain
from paper.sessions import Session
from paper.tickets import Ticket, not_offered
from paper.times import new_york_day

#: On its last day a contract takes no opening orders in the session's last half hour.
EXPIRY_CUTOFF = timedelta(minutes=30)
#: A short sale is checked at this multiple of the ask, when that is more than its limit.
_SHORT_MARGIN = Decimal("1.03")


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a ticket meets: *session* is the open one (None while closed), *last_session* the one opened last."""

    account: Account
    instrument: Instrument
    underlying: Instrument | None
    quote: Quote | None
    last_trade: Decimal | None
    session: Session | None
    last_session: Session | None
    now: datetime


def inferred_intent(side: str, held: Decimal) -> str:
    """What an order does to the position that is really there."""
    if side == "buy":
        return "buy_to_close" if held < 0 else "buy_to_open"
    return "sell_to_close" if held > 0 else "sell_to_open"


def intent_of(ticket: Ticket, at: Situation) -> str:
    """The effective intent of a ticket."""
    return inferred_intent(ticket.side, at.account.held(at.instrument.symbol))


def qty_of(ticket: Ticket) -> Decimal:
    """The quantity; only asked once notional tickets are refused."""
    if ticket.qty is None:
        raise invalid("qty or notional is required")
    return ticket.qty


def reserve_price(ticket: Ticket, at: Situation) -> Decimal:
    """The price an opening order's buying power is checked at, dollars per share.

    A buy: its limit, or while open the ask, or the last trade; zero when the market has shown no price at all.
    A short: the higher of its limit and 1.03 x the ask.
    """
    ask = at.quote.ask if at.quote else None
    far = ask if ask is not None and at.session else at.last_trade or ask or book.ZERO
    if ticket.side == "sell":
        return max(ticket.limit_price or book.ZERO, far * _SHORT_MARGIN)
    return ticket.limit_price if ticket.limit_price is not None else far


def check(ticket: Ticket, at: Situation) -> None:
    """Refuse a ticket in Alpaca's words, or let it pass.

    Raises: ApiError.
    """
    for rule in (*(OPTION_RULES if isinstance(at.instrument, Contract) else STOCK_RULES), *COMMON_RULES):
        rule(ticket, at)


# Options ------------------------------------------------------------------------------------------------------------


def option_order_is_simple(ticket: Ticket, at: Situation) -> None:
    if ticket.order_class not in {"", "simple"}:
        raise unprocessable("complex orders not supported for options trading")
    if ticket.notional is not None:
        raise unprocessable("notional orders are not supported for options trading")
    if ticket.extended_hours:
        raise unprocessable("extended hours is not supported for options trading")


def option_type_is_known(ticket: Ticket, at: Situation) -> None:
    if ticket.type == "trailing_stop":
        raise unprocessable("invalid order type for options trading")
    if ticket.time_in_force not in {"day", "gtc"}:
        raise unprocessable("order_time_in_force provided not supported for options trading")


def option_qty_is_whole(ticket: Ticket, at: Situation) -> None:
    if not is_whole(qty_of(ticket)):
        raise unprocessable("qty must be integer for options trading")


def option_price_is_in_cents(ticket: Ticket, at: Situation) -> None:
    if ticket.limit_price is not None and decimals(ticket.limit_price) > 2:
        raise unprocessable("limit price must be limited to 2 decimal places")


def contract_still_trades(ticket: Ticket, at: Situation) -> None:
    if not isinstance(at.instrument, Contract):
        return
    last, seen = at.instrument.last_trading_day, at.last_session
    if new_york_day(at.now) > last or (seen is not None and seen.day == last and at.now >= seen.close):
        raise unprocessable(f'contract "{at.instrument.symbol}" is expired')
    ends_today = at.session is not None and at.session.day == last
    opening = intent_of(ticket, at).endswith("_to_open")
    if opening and ends_today and at.session is not None and at.now >= at.session.close - EXPIRY_CUTOFF:
        raise unprocessable(f'contract "{at.instrument.symbol}" expires soon, unable to open new positions')


def option_market_order_is_in_hours(ticket: Ticket, at: Situation) -> None:
    if ticket.type == "market" and at.session is None:
        raise unprocessable("options market orders are only allowed during market hours")


def option_level_suffices(ticket: Ticket, at: Situation) -> None:
    level = at.account.option_level
    if level == 0:
        raise forbidden("account not authorized to trade options")
    if level == 1 and intent_of(ticket, at) == "buy_to_open":
        raise forbidden("account not eligible to trade long option contracts")


def short_call_is_covered(ticket: Ticket, at: Situation) -> None:
    contract = at.instrument
    if not isinstance(contract, Contract) or contract.kind != "call" or intent_of(ticket, at) != "sell_to_open":
        return
    required = qty_of(ticket) * contract.multiplier
    long_shares = at.account.held(contract.underlying) > 0
    available = at.account.available(contract.underlying) if long_shares else book.ZERO
    if available >= required:
        return
    if at.account.option_level > 1 and not long_shares:
        raise forbidden("account not eligible to trade uncovered option contracts")
    raise forbidden(
        "insufficient underlying qty available for covered call "
        f"(required: {plain(required)}, available: {plain(available)})",
        available_qty=plain(available),
        required_qty=plain(required),
        symbol=contract.underlying,
        underlying_asset_id=at.underlying.asset_id if at.underlying else None,
    )


def short_put_is_secured(ticket: Ticket, at: Situation) -> None:
    contract = at.instrument
    if not isinstance(contract, Contract) or contract.kind != "put" or intent_of(ticket, at) != "sell_to_open":
        return
    required = book.reserve(contract, "sell", qty_of(ticket), book.ZERO)
    available = at.account.buying_power()
    if available < required:
        raise forbidden(
            "insufficient options buying power for cash-secured put "
            f"(required: {plain(required)}, available: {plain(available)})",
            buying_power=plain(available),
            required_options_buying_power=plain(required),
        )


# Stocks -------------------------------------------------------------------------------------------------------------


def stock_order_is_offered(ticket: Ticket, at: Situation) -> None:
    if ticket.order_class not in {"", "simple"}:
        raise not_offered(f"{ticket.order_class} orders")
    if ticket.time_in_force in {"opg", "cls"}:
        raise not_offered(f"{ticket.time_in_force} orders")


def stock_qty_is_whole(ticket: Ticket, at: Situation) -> None:
    if ticket.qty is None or not is_whole(ticket.qty):
        raise forbidden(f'asset "{at.instrument.symbol}" is not fractionable')


def stock_price_is_on_the_grid(ticket: Ticket, at: Situation) -> None:
    price = ticket.limit_price
    if price is not None and decimals(price) > (2 if price >= 1 else 4):
        raise unprocessable(
            f"invalid limit_price {plain(price)}. sub-penny increment does not fulfill minimum pricing criteria"
        )


def extended_hours_are_for_limits(ticket: Ticket, at: Situation) -> None:
    if ticket.extended_hours and (ticket.type != "limit" or ticket.time_in_force not in {"day", "gtc"}):
        raise unprocessable("extended hours order must be DAY or GTC limit orders")


def short_sale_is_allowed(ticket: Ticket, at: Situation) -> None:
    if isinstance(at.instrument, Stock) and intent_of(ticket, at) == "sell_to_open" and not at.account.shorting:
        raise forbidden("account is not allowed to short")


# Both ---------------------------------------------------------------------------------------------------------------


def type_is_offered(ticket: Ticket, at: Situation) -> None:
    if ticket.type not in {"market", "limit"}:
        raise not_offered(f"{ticket.type} orders")


def intent_matches_the_position(ticket: Ticket, at: Situation) -> None:
    inferred = intent_of(ticket, at)
    if ticket.intent is not None and ticket.intent != inferred:
        raise unprocessable(f"position intent mismatch, inferred: {inferred}, specified: {ticket.intent}")


def no_wash_trade(ticket: Ticket, at: Situation) -> None:
    """An open order of the other side that could trade against this one refuses it."""
    for other in at.account.open_orders(at.instrument.symbol):
        if other.side == ticket.side:
            continue
        if other.type == "market":
            raise _wash(other.id, "opposite side market/stop order exists")
        buy, sell = (ticket, other) if ticket.side == "buy" else (other, ticket)
        if ticket.type == "market" or _crosses(buy.limit_price, sell.limit_price):
            raise _wash(other.id, "opposite side limit order exists")


def _crosses(buy: Decimal | None, sell: Decimal | None) -> bool:
    return buy is not None and sell is not None and buy >= sell


def _wash(order_id: str, reason: str) -> ApiError:
    message = "potential wash trade detected. use complex orders"
    return forbidden(message, existing_order_id=order_id, reject_reason=reason)


def opens_one_side_only(ticket: Ticket, at: Situation) -> None:
    intent = intent_of(ticket, at)
    opening = {order.intent for order in at.account.open_orders(at.instrument.symbol) if order.opens}
    if intent == "sell_to_open" and "buy_to_open" in opening:
        raise forbidden("cannot open a short sell while a long buy order is open")
    if intent == "buy_to_open" and "sell_to_open" in opening:
        raise forbidden("cannot open a long buy while a short sell order is open")


def closing_qty_is_available(ticket: Ticket, at: Situation) -> None:
    """A closing order takes no more than is free: it never crosses through zero."""
    if intent_of(ticket, at).endswith("_to_open"):
        return
    symbol, account, qty = at.instrument.symbol, at.account, qty_of(ticket)
    available = account.available(symbol)
    if qty > available:
        raise forbidden(
            f"insufficient qty available for order (requested: {plain(qty)}, available: {plain(available)})",
            available=plain(available),
            existing_qty=plain(abs(account.held(symbol))),
            held_for_orders=plain(account.held_for_orders(symbol)),
            related_orders=[order.id for order in account.closing_orders(symbol)],
            symbol=symbol,
        )


def buying_power_suffices(ticket: Ticket, at: Situation) -> None:
    intent, is_stock = intent_of(ticket, at), isinstance(at.instrument, Stock)
    if intent != "buy_to_open" and not (intent == "sell_to_open" and is_stock):
        return
    cost = book.reserve(at.instrument, ticket.side, qty_of(ticket), reserve_price(ticket, at))
    available = at.account.buying_power()
    if cost <= available:
        return
    if is_stock:
        raise forbidden("insufficient buying power", buying_power=plain(available), cost_basis=plain(cost))
    raise forbidden("insufficient options buying power", options_buying_power=plain(available), cost_basis=plain(cost))


OPTION_RULES = (
    option_order_is_simple,
    option_type_is_known,
    option_qty_is_whole,
    option_price_is_in_cents,
    contract_still_trades,
    option_market_order_is_in_hours,
    option_level_suffices,
)
STOCK_RULES = (
    stock_order_is_offered,
    stock_qty_is_whole,
    stock_price_is_on_the_grid,
    extended_hours_are_for_limits,
)
COMMON_RULES = (
    type_is_offered,
    intent_matches_the_position,
    closing_qty_is_available,
    no_wash_trade,
    opens_one_side_only,
    short_sale_is_allowed,
    short_call_is_covered,
    short_put_is_secured,
    buying_power_suffices,
)
