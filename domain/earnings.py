"""How many sessions are left until a company reports, by the dates that a person gave and the calendar."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from domain.session import Session

_FRIDAY: Final = 4


def sessions_until_report(reports: Sequence[date], today: date, calendar: Sequence[Session]) -> int | None:
    """Return the sessions from *today* (0) to the next of *reports*, None when none is announced.

    *calendar*: the sessions that are known, ascending. Beyond it every weekday counts as one, so a holiday that lies
    further ahead than the calendar makes the number too large, never too small.
    """
    report = min((day for day in reports if day >= today), default=None)
    if report is None:
        return None
    known_to = max(today, calendar[-1].day) if calendar else today
    listed = sum(today < session.day <= report for session in calendar)
    ahead = (known_to + timedelta(days=n) for n in range(1, (report - known_to).days + 1))
    return listed + sum(day.weekday() <= _FRIDAY for day in ahead)
