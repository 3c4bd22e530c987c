"""When the market is open: the recorded sessions, and around them the ordinary calendar of the New York exchanges.

A session has more hours than its core ones: stocks trade before and after them for those who ask for it, and options
on some broad funds a quarter of an hour longer.

From the first recorded day to the last one only recorded days are sessions, so that days of different years can be
played one after the other. Outside that span the exchange's holidays and early closes follow from their rules.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache

from paper import times

_OPEN = time(9, 30)
_CLOSE = time(16, 0)
_EARLY_CLOSE = time(13, 0)
_JUNETEENTH_SINCE = 2022
_LATE = timedelta(minutes=15)
_EXTENDED_OPEN = time(4, 0)
_EXTENDED_CLOSE = time(20, 0)
_EXTENDED_EARLY_CLOSE = time(17, 0)


class Hours(StrEnum):
    """Which hours of its day an order is for: the core ones, a quarter of an hour more, or 04:00 to 20:00."""

    CORE = "core"
    LATE = "late"
    EXTENDED = "extended"


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day; *open* and *close* are UTC, *close* is 13:00 New York on an early close."""

    day: date
    open: datetime
    close: datetime
    early_close: bool

    def opens(self, hours: str) -> datetime:
        """When these hours begin."""
        if hours != Hours.EXTENDED:
            return self.open
        return min(self.open, times.at_new_york(self.day, _EXTENDED_OPEN))

    def closes(self, hours: str) -> datetime:
        """When these hours end; the extended ones at 17:00 on an early close."""
        if hours == Hours.CORE:
            return self.close
        if hours == Hours.LATE:
            return self.close + _LATE
        wall = _EXTENDED_EARLY_CLOSE if self.early_close else _EXTENDED_CLOSE
        return max(self.close, times.at_new_york(self.day, wall))

    def holds(self, at: datetime, hours: str = Hours.CORE) -> bool:
        """Whether the market is open at this instant."""
        return self.opens(hours) <= at < self.closes(hours)

    def quoted_since(self, at: datetime, hours: str) -> datetime:
        """From when on a quote counts for an order of these hours: what was quoted before the bell does not."""
        if hours == Hours.EXTENDED and not self.holds(at):
            return self.close if at >= self.close else self.opens(hours)
        return self.open


class Calendar:
    """The sessions of this server's world."""

    def __init__(self, recorded: tuple[Session, ...]) -> None:
        self.recorded = recorded
        self._opens = [session.open for session in recorded]

    def session_at(self, at: datetime, hours: str = Hours.CORE) -> Session | None:
        """The recorded session that is open at this instant, in these hours."""
        index = bisect_right(self._opens, at)
        near = self.recorded[max(0, index - 1) : index + 1]
        return next((session for session in near if session.holds(at, hours)), None)

    def latest(self, at: datetime) -> Session | None:
        """The recorded session that opened last."""
        index = bisect_right(self._opens, at)
        return self.recorded[index - 1] if index else None

    def ending_after(self, at: datetime, hours: str = Hours.CORE) -> Session:
        """The session that is open now, or else the next one: where a DAY order ends."""
        return next(session for session in self.starting(times.new_york_day(at)) if session.closes(hours) > at)

    def opening_after(self, at: datetime, hours: str = Hours.CORE) -> Session:
        """The next session to open."""
        return next(session for session in self.starting(times.new_york_day(at)) if session.opens(hours) > at)

    def on(self, day: date) -> Session | None:
        """The session of a day; None on a day without one."""
        session = next(self.starting(day))
        return session if session.day == day else None

    def between(self, start: date, end: date) -> list[Session]:
        """All sessions from *start* to *end*, both included."""
        found = []
        for session in self.starting(start):
            if session.day > end:
                break
            found.append(session)
        return found

    def starting(self, day: date) -> Iterator[Session]:
        """All sessions from *day* on, without end."""
        first, last = self.recorded[0].day, self.recorded[-1].day
        while day < first:
            yield from _ordinary(day)
            day += timedelta(days=1)
        yield from (session for session in self.recorded if session.day >= day)
        day = max(day, last + timedelta(days=1))
        while True:
            yield from _ordinary(day)
            day += timedelta(days=1)


def _ordinary(day: date) -> Iterator[Session]:
    """The session that the exchange's rules give for *day*, if there is one."""
    if day.weekday() >= 5 or day in holidays(day.year):
        return
    early = day in early_closes(day.year)
    close = times.at_new_york(day, _EARLY_CLOSE if early else _CLOSE)
    yield Session(day, times.at_new_york(day, _OPEN), close, early)


@lru_cache(maxsize=64)
def holidays(year: int) -> frozenset[date]:
    """The days of *year* on which the New York exchanges rest by rule."""
    days = {
        _nth_weekday(year, 1, 0, 3),  # Martin Luther King
        _nth_weekday(year, 2, 0, 3),  # Presidents
        easter(year) - timedelta(days=2),
        _last_monday(year, 5),  # Memorial Day
        _observed(date(year, 7, 4)),
        _nth_weekday(year, 9, 0, 1),  # Labor Day
        _nth_weekday(year, 11, 3, 4),  # Thanksgiving
        _observed(date(year, 12, 25)),
    }
    if date(year, 1, 1).weekday() != 5:  # a Saturday's New Year is not observed: the Friday closes the old year
        days.add(_observed(date(year, 1, 1)))
    if year >= _JUNETEENTH_SINCE:
        days.add(_observed(date(year, 6, 19)))
    return frozenset(days)


@lru_cache(maxsize=64)
def early_closes(year: int) -> frozenset[date]:
    """The days of *year* that end at 13:00 by rule."""
    eves = {date(year, 7, 3), date(year, 12, 24), _nth_weekday(year, 11, 3, 4) + timedelta(days=1)}
    return frozenset(day for day in eves if day.weekday() < 5 and day not in holidays(year))


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm of 1876)."""
    golden, (century, rest) = year % 19, divmod(year, 100)
    skipped = (century - (century + 8) // 25 + 1) // 3
    moon = (19 * golden + century - century // 4 - skipped + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (rest // 4) - moon - rest % 4) % 7
    late = (golden + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def _observed(day: date) -> date:
    """A Saturday's holiday is kept on Friday, a Sunday's on Monday."""
    return day + timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _last_monday(year: int, month: int) -> date:
    last = date(year, month + 1, 1) - timedelta(days=1)
    return last - timedelta(days=last.weekday())
