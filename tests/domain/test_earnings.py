"""Sessions until a report: by the calendar as far as it is known, by weekdays beyond it."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.earnings import sessions_until_report
from domain.session import Session
from tests.factories import SESSION

FRIDAY, MONDAY, TUESDAY, WEDNESDAY = (date(2026, 2, day) for day in (13, 16, 17, 18))


def a_session(day: date) -> Session:
    moved = day - SESSION.day
    return Session(day=day, open=SESSION.open + moved, close=SESSION.close + moved)


#: Monday the 16th is Presidents' Day.
KNOWN = [a_session(day) for day in (FRIDAY, TUESDAY, WEDNESDAY)]


@pytest.mark.parametrize(
    ("report", "today", "left"),
    [
        (FRIDAY, FRIDAY, 0),
        (date(2026, 2, 14), FRIDAY, 0),
        (TUESDAY, FRIDAY, 1),
        (WEDNESDAY, FRIDAY, 2),
        (date(2026, 2, 19), FRIDAY, 3),
        (date(2026, 2, 23), FRIDAY, 5),
        (TUESDAY, MONDAY, 1),
    ],
)
def test_sessions_are_counted_not_days(report: date, today: date, left: int):
    """A holiday and a weekend in between are none; a report on a Saturday comes before the next session."""
    assert left == sessions_until_report([report], today, KNOWN)


def test_without_a_calendar_weekdays_count():
    """The holiday is one too many: the number is too large, never too small."""
    assert 2 == sessions_until_report([TUESDAY], FRIDAY, [])


@given(days=st.integers(0, 200), known=st.integers(0, 200))
def test_a_report_only_comes_nearer(days: int, known: int):
    """From one day to the next the number falls by one at most, and never grows, however far the calendar reaches."""
    report = FRIDAY + timedelta(days=days)
    calendar = [a_session(day) for n in range(known) if (day := FRIDAY + timedelta(days=n)).weekday() < 5]
    left = [sessions_until_report([report], FRIDAY + timedelta(days=n), calendar) for n in range(days + 1)]
    counted = [number for number in left if number is not None]

    assert len(left) == len(counted)
    assert all(0 <= before - after <= 1 for before, after in pairwise(counted))
    assert 0 == counted[-1]
