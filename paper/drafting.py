"""From a ticket that passed the rules to the orders that it makes: one, or a group with its exits or legs."""

from datetime import datetime, timedelta
from decimal import Decimal

from paper import ids
from paper.book import Account
from paper.instruments import Combination, Contract, Instrument
from paper.order import GROUP_CLASSES, ZERO, Order, Prices
from paper.sessions import Calendar
from paper.situation import Situation, intent_of, qty_of, reserve_price
from paper.tickets import Ticket

#: Alpaca cancels a GTC order after this.
GTC_LIFE = timedelta(days=90)
_OTHER_SIDE = {"buy": "sell", "sell": "buy"}


def expiry(ticket: Ticket, instrument: Instrument, hours: str, calendar: Calendar, now: datetime) -> datetime:
    """When an order ends by itself: with the hours of its session, or after its GTC life, or with its contract."""
    end = calendar.ending_after(now, hours).closes(hours)
    if ticket.time_in_force != "gtc":
        return end
    if not isinstance(instrument, Contract):
        return end + GTC_LIFE
    return min(end + GTC_LIFE, max(end, next(calendar.starting(instrument.last_trading_day)).closes(hours)))


def draft(account: Account, ticket: Ticket, at: Situation, expires_at: datetime) -> Order:
    """The order of a ticket, with held exits when it is a bracket, an oco or an oto."""
    order = _bare(account, ticket, at.instrument, at.now, expires_at)
    order.hours = at.hours
    order.intent = intent_of(ticket, at)
    order.reserve_price = reserve_price(ticket, at)
    if ticket.order_class in GROUP_CLASSES:
        order.group_id = ids.make("group", order.id)
        order.group_role = "take_profit" if ticket.order_class == "oco" else "entry"
        order.legs = _exits(order, ticket)
    return order


def draft_combination(
    account: Account, ticket: Ticket, contracts: list[Contract], at: Situation, expires_at: datetime
) -> Order:
    """The parent of a multi-leg ticket with its legs, *at* the first one's situation; the caller sets its reserve."""
    order = _bare(account, ticket, Combination(tuple(contracts)), at.now, expires_at)
    order.hours = at.hours
    for number, (leg, contract) in enumerate(zip(ticket.legs, contracts, strict=True)):
        made = _part(order, f"leg {number}", contract, "", leg.side, Prices(), order.qty * leg.ratio)
        made.intent, made.ratio = leg.intent, leg.ratio
        order.legs.append(made)
    return order


def _bare(account: Account, ticket: Ticket, instrument: Instrument, now: datetime, expires_at: datetime) -> Order:
    client_order_id = ticket.client_order_id or _own_key(account, ticket, now)
    return Order(
        id=ids.order_id(account.name, client_order_id),
        account=account.name,
        turn=0,
        client_order_id=client_order_id,
        instrument=instrument,
        side=ticket.side,
        type=ticket.type,
        time_in_force=ticket.time_in_force,
        qty=qty_of(ticket),
        notional=ticket.notional,
        prices=ticket.prices,
        intent="",
        extended_hours=ticket.extended_hours,
        submitted_at=now,
        updated_at=now,
        expires_at=expires_at,
        reserve_price=ZERO,
        first_part=None,
        order_class="" if ticket.order_class == "simple" else ticket.order_class,
    )


def _exits(order: Order, ticket: Ticket) -> list[Order]:
    """The held orders that close what the entry opens; an oco's own order is its take-profit."""
    side = ticket.side if ticket.order_class == "oco" else _OTHER_SIDE[ticket.side]
    exits = []
    if ticket.take_profit is not None and ticket.order_class != "oco":
        exits.append(("take_profit", "limit", Prices(limit=ticket.take_profit)))
    if ticket.stop_loss is not None:
        exits.append(("stop_loss", "stop" if ticket.stop_loss.limit is None else "stop_limit", ticket.stop_loss))
    legs = []
    for role, kind, prices in exits:
        leg = _part(order, role, order.instrument, kind, side, prices, order.qty)
        leg.intent, leg.group_id, leg.group_role = f"{side}_to_close", order.group_id, role
        legs.append(leg)
    return legs


def _part(order: Order, word: str, instrument: Instrument, kind: str, side: str, prices: Prices, qty: Decimal) -> Order:
    """A part of a group: an order of its own, with ids of its own."""
    client_order_id = ids.make("client order", order.id, word)
    return Order(
        id=ids.order_id(order.account, client_order_id),
        account=order.account,
        turn=0,
        client_order_id=client_order_id,
        instrument=instrument,
        side=side,
        type=kind,
        time_in_force=order.time_in_force,
        qty=qty,
        prices=prices,
        intent="",
        extended_hours=False,
        submitted_at=order.submitted_at,
        updated_at=order.updated_at,
        expires_at=order.expires_at,
        reserve_price=ZERO,
        first_part=None,
        order_class=order.order_class,
        parent=order,
        hours=order.hours,
    )


def _own_key(account: Account, ticket: Ticket, now: datetime) -> str:
    """A client id for an order that came without: from what it is and when, not from its place among others."""
    words = ("client order", account.name, ticket.symbol, ticket.side, ticket.qty, ticket.limit_price, now)
    keys = (ids.make(*words, copy) for copy in range(len(account.orders) + 1))
    return next(key for key in keys if key not in account.by_client_id)
