"""What is refused to orders in one option contract (see `rules`)."""

# ruff: noqa: ARG001 - one signature for all rules

from datetime import timedelta
from decimal import Decimal

from paper import book, margin
from paper.errors import ApiError, forbidden, unprocessable
from paper.instruments import Contract
from paper.numbers import decimals, is_whole, plain
from paper.order import ZERO
from paper.situation import Situation, intent_of, qty_of
from paper.tickets import Ticket
from paper.times import new_york_day


def option_order_is_simple(ticket: Ticket, at: Situation) -> None:
    if ticket.order_class not in {"", "simple"}:
        raise unprocessable("complex orders not supported for options trading")
    if ticket.notional is not None:
        raise unprocessable("notional orders are not supported for options trading")
    if ticket.extended_hours:
        raise unprocessable("extended hours is not supported for options trading")


def option_type_is_known(ticket: Ticket, at: Situation) -> None:
    stops = {"stop", "stop_limit"} if at.switches.option_stop_orders else set()
    if ticket.type not in {"market", "limit", *stops}:
        raise unprocessable("invalid order type for options trading")
    if ticket.time_in_force not in ({"day", "gtc"} if at.switches.option_gtc else {"day"}):
        raise unprocessable("order_time_in_force provided not supported for options trading")


def option_stop_is_understood(ticket: Ticket, at: Situation) -> None:
    """One recording shows a plain stop that opens a short break the server."""
    if at.switches.sell_to_open_stop_fails and ticket.type == "stop" and intent_of(ticket, at) == "sell_to_open":
        raise ApiError(500, {"code": 50010000, "message": "internal server error occurred"})


def option_qty_is_whole(ticket: Ticket, at: Situation) -> None:
    if not is_whole(qty_of(ticket)):
        raise unprocessable("qty must be integer for options trading")


def option_price_is_in_cents(ticket: Ticket, at: Situation) -> None:
    for name, price in (("limit", ticket.prices.limit), ("stop", ticket.prices.stop)):
        if price is not None and decimals(price) > 2:
            raise unprocessable(f"{name} price must be limited to 2 decimal places")


def contract_still_trades(ticket: Ticket, at: Situation) -> None:
    if isinstance(at.instrument, Contract):
        contract_takes(at.instrument, intent_of(ticket, at), at)


def contract_takes(contract: Contract, intent: str, at: Situation) -> None:
    """Refuse what a contract takes no more: anything after its end, openings shortly before the day's close."""
    if not at.tradable:
        raise unprocessable(f'contract "{contract.symbol}" is not tradable')
    last, seen = contract.last_trading_day, at.last_session
    if new_york_day(at.now) > last or (seen is not None and seen.day == last and at.now >= seen.closes(at.hours)):
        raise unprocessable(f'contract "{contract.symbol}" is expired')
    if at.session is None or at.session.day != last or not intent.endswith("_to_open"):
        return
    if at.now >= at.session.close - timedelta(minutes=at.switches.expiry_cutoff_minutes):
        raise unprocessable(f'contract "{contract.symbol}" expires soon, unable to open new positions')


def option_market_order_is_in_hours(ticket: Ticket, at: Situation) -> None:
    if ticket.type == "market" and at.session is None:
        raise unprocessable("options market orders are only allowed during market hours")


def option_level_suffices(ticket: Ticket, at: Situation) -> None:
    level = at.account.trading_level
    if level == 0:
        raise forbidden("account not authorized to trade options")
    if level == 1 and intent_of(ticket, at) == "buy_to_open":
        raise forbidden("account not eligible to trade long option contracts")


def option_is_covered(ticket: Ticket, at: Situation) -> None:
    """A short call needs shares, a short put cash, and a long that covers a short stays."""
    contract, intent = at.instrument, intent_of(ticket, at)
    if not isinstance(contract, Contract):
        return
    if intent == "sell_to_open" and contract.kind == "call":
        _call_is_covered(contract, qty_of(ticket), at)
    elif intent == "sell_to_open":
        _put_is_secured(contract, qty_of(ticket), at)
    elif intent == "sell_to_close":
        _shorts_stay_covered(contract, qty_of(ticket), at)


def _call_is_covered(contract: Contract, qty: Decimal, at: Situation) -> None:
    required = qty * contract.multiplier
    long_shares = at.account.held(contract.underlying) > 0
    available = at.account.available(contract.underlying) if long_shares else ZERO
    if at.replacing is not None:
        available += at.replacing.left * contract.multiplier
    if available >= required:
        return
    if at.account.trading_level > 1 and not long_shares:
        raise forbidden("account not eligible to trade uncovered option contracts")
    raise forbidden(
        "insufficient underlying qty available for covered call "
        f"(required: {plain(required)}, available: {plain(available)})",
        available_qty=plain(available),
        required_qty=plain(required),
        symbol=contract.underlying,
        underlying_asset_id=at.underlying.asset_id if at.underlying else None,
    )


def _put_is_secured(contract: Contract, qty: Decimal, at: Situation) -> None:
    required, available = book.reserve(contract, "sell", qty, ZERO), at.buying_power
    if available < required:
        raise forbidden(
            "insufficient options buying power for cash-secured put "
            f"(required: {plain(required)}, available: {plain(available)})",
            buying_power=plain(available),
            required_options_buying_power=plain(required),
        )


def _shorts_stay_covered(contract: Contract, qty: Decimal, at: Situation) -> None:
    """Selling the long leg of a spread alone may leave the short one uncovered."""
    before = at.account.option_positions(contract.underlying)
    if all(held >= 0 for held in before.values()):
        return
    after = margin.merged(before, [(contract, -qty)])
    if margin.covering_shares(after) > max(margin.covering_shares(before), at.account.held(contract.underlying)):
        raise forbidden("account not eligible to trade uncovered option contracts")
    required, available = margin.collateral(after) - margin.collateral(before), at.buying_power
    if required > max(available, ZERO):
        raise forbidden(
            f"insufficient options buying power (required: {plain(required)}, available: {plain(available)})",
            options_buying_power=plain(available),
            cost_basis=plain(required),
        )


OPTION_RULES = (
    option_order_is_simple,
    option_type_is_known,
    option_qty_is_whole,
    option_price_is_in_cents,
    contract_still_trades,
    option_market_order_is_in_hours,
    option_level_suffices,
    option_stop_is_understood,
)
