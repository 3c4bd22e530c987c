"""The trading calendar as the brokerage told it, for actors that hold no keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from domain.instrument import Option, parse_symbol
from domain.session import Session, last_session_until, trading_day

#: How far before its expiration a contract may have traded for the last time: the longest row of closed days.
_CLOSED_DAYS = timedelta(days=6)
#: No market stays closed for longer: a calendar that reaches so far names the next session.
AROUND: Final = timedelta(days=8)


def keep(tx: Connection, sessions: Sequence[Session]) -> None:
    """Write *sessions*; a changed close (a half day announced late) replaces the old one."""
    for session in sessions:
        tx.execute(
            text(
                "INSERT INTO sessions (day, open, close) VALUES (:day, :open, :close)"
                " ON CONFLICT (day) DO UPDATE SET open = :open, close = :close"
            ),
            {"day": session.day, "open": session.open, "close": session.close},
        )


def between(tx: Connection, first: date, last: date) -> tuple[Session, ...]:
    """Return the known sessions from *first* to *last*, both included, ascending."""
    rows = tx.execute(
        text("SELECT day, open, close FROM sessions WHERE day BETWEEN :first AND :last ORDER BY day"),
        {"first": first, "last": last},
    )
    return tuple(Session(day=r.day, open=r.open, close=r.close) for r in rows)


def around(tx: Connection, now: datetime) -> tuple[Session, ...]:
    """Return the known sessions of a week and a day before and after *now*, ascending."""
    today = trading_day(now)
    return between(tx, today - AROUND, today + AROUND)


def last_of(tx: Connection, option: Option) -> Session | None:
    """Return the session after which *option* trades no more, None beyond the known calendar."""
    return last_session_until(option.expiration, between(tx, option.expiration - _CLOSED_DAYS, option.expiration))


def has_ended(tx: Connection, symbol: str, now: datetime) -> bool:
    """Has the contract traded for the last time? A stock has not; without a calendar the day after decides."""
    instrument = parse_symbol(symbol)
    if not isinstance(instrument, Option):
        return False
    last = last_of(tx, instrument)
    return trading_day(now) > instrument.expiration if last is None else now >= last.close
