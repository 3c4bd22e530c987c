"""Market hours: one trading session, and the cut-offs that hang on its real close.

A session comes from the brokerage's calendar (half days close at 13:00 New York time); nothing here assumes 16:00.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

NEW_YORK: Final = ZoneInfo("America/New_York")
#: A session shorter than this is a half day.
FULL_SESSION: Final = timedelta(hours=6, minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The regular session of *day* (New York date); *open* and *close* in UTC, the close is not part of it."""

    day: date
    open: datetime
    close: datetime

    def is_open(self, now: datetime) -> bool:
        return self.open <= now < self.close

    @property
    def is_half_day(self) -> bool:
        """Is this session shorter than a regular one?"""
        return self.close - self.open < FULL_SESSION

    def closes_within(self, span: timedelta, now: datetime) -> bool:
        """Is *now* at or after *span* before the close?"""
        return now >= self.close - span


def session_of(calendar: tuple[Session, ...], now: datetime) -> Session | None:
    """Return the session of the trading day of *now*, None where *calendar* names none."""
    today = trading_day(now)
    return next((s for s in calendar if s.day == today), None)


def market_is_closed(calendar: tuple[Session, ...], now: datetime) -> bool:
    """True only when *calendar* (ascending) reaches to today and says so: an unknown calendar blocks no exit."""
    session = session_of(calendar, now)
    if session is not None:
        return not session.is_open(now)
    return bool(calendar) and calendar[-1].day >= trading_day(now)


def next_open(calendar: tuple[Session, ...], now: datetime) -> datetime | None:
    """Return when the next session of *calendar* (ascending) opens, None beyond what it knows."""
    return next((s.open for s in calendar if s.open > now), None)


def trading_day(now: datetime) -> date:
    """Return the New York date of *now*: the day a session belongs to."""
    return now.astimezone(NEW_YORK).date()


def day_began(now: datetime) -> datetime:
    """Return midnight in New York, in UTC: where the trading day of *now* begins."""
    return day_start(trading_day(now))


def day_start(day: date) -> datetime:
    """Return midnight in New York, in UTC, with which *day* begins."""
    return at_new_york(day, time())


def at_new_york(day: date, clock: time) -> datetime:
    """Return *clock* of *day* in New York, in UTC."""
    return datetime.combine(day, clock, NEW_YORK).astimezone(UTC)


def last_session_until(expiration: date, sessions: tuple[Session, ...]) -> Session | None:
    """Return the last of *sessions* on or before *expiration* (contracts of 2014 expire on Saturdays)."""
    trading = [s for s in sessions if s.day <= expiration]
    return max(trading, key=lambda s: s.day, default=None)
