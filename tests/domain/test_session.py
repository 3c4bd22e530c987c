"""Sessions: the open belongs to them, the close does not; each counts from its own close."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.session import Session, last_session_until, market_is_closed
from tests.factories import SESSION

INSTANT = timedelta(microseconds=1)
HALF_DAY = replace(SESSION, close=SESSION.open + timedelta(hours=3, minutes=30))


@pytest.mark.parametrize("session", [SESSION, HALF_DAY])
def test_a_session_is_open_from_its_open_to_its_close(session: Session):
    """The first instant is part of it, the last is not."""
    moments = (session.open - INSTANT, session.open, session.close - INSTANT, session.close)

    assert [False, True, True, False] == [session.is_open(moment) for moment in moments]


@pytest.mark.parametrize("session", [SESSION, HALF_DAY])
def test_the_last_minutes_begin_at_their_first_instant(session: Session):
    """Five minutes before the close and later."""
    span = timedelta(minutes=5)
    moments = (session.close - span - INSTANT, session.close - span, session.close, session.close + span)

    assert [False, True, True, True] == [session.closes_within(span, moment) for moment in moments]


def on(day: date) -> Session:
    return replace(SESSION, day=day)


@pytest.mark.parametrize(
    ("expiration", "last"),
    [
        (date(2014, 6, 20), date(2014, 6, 20)),
        (date(2014, 6, 21), date(2014, 6, 20)),
        (date(2014, 6, 22), date(2014, 6, 20)),
        (date(2014, 6, 19), date(2014, 6, 18)),
        (date(2014, 6, 17), None),
    ],
)
def test_the_last_session_is_on_or_before_the_expiration(expiration: date, last: date | None):
    """Saturday's contracts end on Friday; on a holiday (here the 19th) the day before counts."""
    calendar = tuple(on(date(2014, 6, day)) for day in (18, 20, 23))

    assert (None if last is None else on(last)) == last_session_until(expiration, calendar)


@given(days=st.sets(st.dates(date(2014, 1, 1), date(2014, 12, 31)), max_size=10), expiration=st.dates(), data=st.data())
def test_the_order_of_the_calendar_does_not_matter(days: set[date], expiration: date, data: st.DataObject):
    """The latest day that is not after the expiration, however the days are listed."""
    calendar = tuple(on(day) for day in data.draw(st.permutations(sorted(days))))
    found = last_session_until(expiration, calendar)

    assert max((day for day in days if day <= expiration), default=None) == (None if found is None else found.day)


@pytest.mark.parametrize(
    ("calendar", "now", "closed"),
    [
        pytest.param((SESSION,), SESSION.open, False, id="open"),
        pytest.param((SESSION,), SESSION.open - INSTANT, True, id="before the open"),
        pytest.param((SESSION,), SESSION.close, True, id="at the close"),
        pytest.param((HALF_DAY,), HALF_DAY.close, True, id="after a half day"),
        pytest.param((), SESSION.close, False, id="no calendar"),
        pytest.param((SESSION,), SESSION.open + timedelta(days=1), False, id="a calendar that ends before today"),
        pytest.param(
            (replace(SESSION, day=date(2026, 2, 9)),), SESSION.open + timedelta(days=3), True, id="no session today"
        ),
    ],
)
def test_a_market_is_closed_only_when_the_calendar_says_so(calendar: tuple[Session, ...], now: datetime, closed: bool):
    """What is unknown blocks no exit."""
    assert closed == market_is_closed(calendar, now)
