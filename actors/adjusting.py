"""What the tracker writes when the brokerage holds something else than our fills say, and what explains it later.

An adjustment says what the brokerage holds at its time; the fold takes or adds only what nothing explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection

from actors.entries import BOOKED, Entry, Move, write
from db import fills, positions, sessions
from db.positions import PositionRow
from domain.events import OrderFilled, PositionAdjusted
from domain.exits import ExitReason
from domain.ids import AccountName, is_flattening
from domain.instrument import Option, parse_symbol
from domain.money import average_price
from domain.positions import Fill, effective
from domain.session import day_began

#: So long before its last close a contract may be sold by the brokerage: from 15:15 on. Source: Alpaca's support pages.
LIQUIDATED: Final = timedelta(minutes=45)


@dataclass(frozen=True, slots=True)
class Gap:
    """An adjustment of *held* at *at* took or added *qty* units (signed) that nobody has explained yet."""

    held: PositionRow
    qty: int
    at: datetime
    took: bool


def gap(tx: Connection, account: AccountName, symbol: str, direction: int, since: datetime) -> Gap | None:
    """Return the first gap after *since* that something in *direction* (1 adds, -1 takes) could explain."""
    for held in positions.adjusted_since(tx, account, symbol, since):
        for move in effective(fills.of_position(tx, held.position_id)):
            if move.held_after is not None and move.at > since and move.signed_qty * direction > 0:
                return Gap(held, move.signed_qty, move.at, took=move.price is None)
    return None


def whose(tx: Connection, fact: OrderFilled) -> str:
    """Say what can be known of an order that we did not place: the brokerage does not tell who did."""
    if is_flattening(fact.account, fact.client_order_id):
        return f"a person flattened the account: {fact.client_order_id}"
    said = f"not ours: {fact.client_order_id or 'no client order id is known'}"
    option = parse_symbol(fact.symbol)
    last = sessions.last_of(tx, option) if isinstance(option, Option) else None
    if last is None or not last.closes_within(LIQUIDATED, fact.at):
        return said
    return f"{said}; {last.close - fact.at} before its last close, when the brokerage may liquidate"


def adjust(tx: Connection, fact: PositionAdjusted, read_at: datetime) -> Entry | None:
    """Bring the position to what the brokerage holds, by one entry that says that it is an adjustment.

    It speaks of its own time, however late it comes: of the position that was open then. What was booked for its day
    may be what it saw, because the brokerage names no time of a booking. A position on the other side of zero is
    another position: this one is closed, the next comparison adopts that one.
    """
    held = positions.open_at(tx, fact.account, fact.symbol, fact.at)
    if held is None and positions.open_in(tx, fact.account, fact.symbol) is not None:
        return None
    known = fills.of_position(tx, held.position_id) if held else ()
    before = _held_at(fact.at, known, ())
    after = 0 if before * fact.qty < 0 else fact.qty
    after -= _booked(fact.at, known, before, after)
    if after == before:
        return None
    closes = abs(after) < abs(before)
    move = Move(
        account=fact.account,
        name=f"adjustment-{fact.id}",
        symbol=fact.symbol,
        qty=after - before,
        price=None if closes else _price_of_missing(fact, held, before),
        at=fact.at,
        closes=closes,
        reason="unconfirmed" if closes and sessions.has_ended(tx, fact.symbol, fact.at) else ExitReason.EXTERNAL,
        detail=fact.reason,
        source="adjustment",
        held_after=after,
    )
    return write(tx, move, held, read_at)


def _held_at(moment: datetime, known: Sequence[Fill], booked: Sequence[Fill]) -> int:
    """Return the units (signed) that *known* fills held at *moment*; *booked* count, whatever time they were given."""
    return sum(f.signed_qty for f in effective(f for f in known if f.at <= moment or f in booked))


def _booked(moment: datetime, known: Sequence[Fill], before: int, after: int) -> int:
    """Return how much (signed) of what is missing at *moment* was booked for its day, at a time that nobody named."""
    booked = [f for f in known if f.broker_order_id.startswith(BOOKED) and day_began(f.at) <= moment < f.at]
    later = _held_at(moment, known, booked) - before
    return min(later, after - before, key=abs) if later * (after - before) > 0 else 0


def _price_of_missing(fact: PositionAdjusted, held: PositionRow | None, before: int) -> Decimal | None:
    """Return what the units that we lack cost: with them our average is the brokerage's."""
    if fact.price is None or held is None:
        return fact.price
    rest = fact.price * abs(fact.qty) - held.entry_price * abs(before)
    return average_price(rest, abs(fact.qty) - abs(before)) if rest > 0 else fact.price
