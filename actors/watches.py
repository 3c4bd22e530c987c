"""What the exit keeps in memory of each open position: made from its row, moved by ticks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, auto
from typing import Final

from actors.closing import is_of_a_part
from db.orders import OrderRow
from db.positions import PositionRow
from domain.exits import Watched
from domain.instrument import Option, parse_symbol
from domain.session import Session, last_session_until

#: A price older than this says nothing about the market any more: it fires no rule.
MAX_PRICE_AGE: Final = timedelta(minutes=15)
#: Beyond the calendar by this much, an expiration's last session is still known: no market stays closed for longer.
_UNLISTED: Final = timedelta(days=3)


class Closing(Enum):
    """What the live close of a position would take."""

    NOTHING = auto()
    A_PART = auto()
    ALL = auto()


@dataclass(slots=True)
class Watch:
    """One open position in memory. *price* is the last one at which it could have been left, seen at *priced_at*.

    *triggered* is the rule whose close is pursued until nothing is left; no close is tried again before *retry_at*.
    *is_beyond_us*: its last evaluation failed, so it does not count as looked at.
    """

    position: Watched
    closing: Closing
    retry_at: datetime | None
    triggered: str | None
    price: Decimal | None = None
    priced_at: datetime | None = None
    dirty: bool = False
    is_beyond_us: bool = False

    def price_at(self, now: datetime) -> Decimal | None:
        stale = self.priced_at is None or now - self.priced_at > MAX_PRICE_AGE
        return None if stale else self.price

    def may_try(self, now: datetime) -> bool:
        """Has the pause after a close in vain passed?"""
        return self.retry_at is None or now >= self.retry_at


def watch_of(row: PositionRow, close: OrderRow | None, calendar: tuple[Session, ...]) -> Watch:
    """Return the watch of *row*; *close*: its live close, *calendar*: the sessions that are known, ascending."""
    closing = Closing.NOTHING if close is None else Closing.ALL
    if close is not None and is_of_a_part(close, row.qty):
        closing = Closing.A_PART
    return Watch(position=watched(row, calendar), closing=closing, retry_at=row.retry_at, triggered=row.triggered_rule)


def watched(row: PositionRow, calendar: tuple[Session, ...]) -> Watched:
    expiration = _expiration(row.symbol)
    return Watched(
        position_id=row.position_id,
        account=row.account,
        symbol=row.symbol,
        multiplier=row.multiplier,
        qty=row.qty,
        max_qty=row.max_qty,
        entry_price=row.entry_price,
        opened_at=row.opened_at,
        policy=row.policy,
        excursion=row.excursion,
        ladder_qty=row.ladder_qty,
        ladder_pct=row.ladder_pct,
        expiration=expiration,
        last_session=_last_session(expiration, calendar),
    )


def _expiration(symbol: str) -> date | None:
    instrument = parse_symbol(symbol)
    return instrument.expiration if isinstance(instrument, Option) else None


def _last_session(expiration: date | None, calendar: tuple[Session, ...]) -> Session | None:
    """Return the last session on or before *expiration*, None while it is further away than the calendar is known."""
    if expiration is None or not calendar or expiration > calendar[-1].day + _UNLISTED:
        return None
    return last_session_until(expiration, calendar)
