"""What is held and has a usable price, and what the market's level of volatility is, by the rows of marks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
import redis
from psycopg2 import errors
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from actors.desk import Desk
from actors.second_look import BLIND_AFTER
from cli.feeding import Feeding
from db import marks, sessions
from domain.known import Known, Unknown
from tests.db.wall_kit import configure, hold
from tests.factories import CALL, NOON, PUT, SESSION, TINY, a_quote

SECOND = timedelta(seconds=1)


@pytest.fixture
def tx(engine: Engine) -> Iterator[Connection]:
    """A transaction at noon of a session in which a put has been held for an hour."""
    with engine.begin() as connection:
        configure(connection)
        sessions.keep(connection, [SESSION])
        hold(connection, 5, PUT, opened_at=NOON - timedelta(hours=1))
        yield connection


def held(tx: Connection, after: timedelta = timedelta(0)) -> dict[str, bool]:
    now = NOON + after
    return dict(marks.held(tx, now, now - BLIND_AFTER))


def test_who_has_no_price_for_a_minute_is_blind(tx: Connection):
    """Never seen, or not at the side that it leaves at: blind. A price makes it see, a minute later it is blind."""
    assert {PUT: True} == held(tx)

    marks.keep(tx, [a_quote(bid=None, at=NOON)])
    assert {PUT: True} == held(tx)

    marks.keep(tx, [a_quote(at=NOON)])
    assert {PUT: False} == held(tx, BLIND_AFTER - SECOND)
    assert {PUT: True} == held(tx, BLIND_AFTER)


def test_a_position_has_a_minute_from_its_opening(tx: Connection):
    """What was just bought is not blind yet; who is blind comes first, and a symbol of two accounts once."""
    hold(tx, 1, CALL, opened_at=NOON, number=2)
    hold(tx, 1, PUT, account=TINY, opened_at=NOON, number=3)

    assert [(PUT, True), (CALL, False)] == list(held(tx, SECOND).items())


def test_a_closed_market_is_not_asked(tx: Connection):
    """Before the open and while the next session is known nobody trades; where the calendar ends, it is asked."""
    tomorrow = SESSION.__class__(
        day=SESSION.day + timedelta(days=1),
        open=SESSION.open + timedelta(days=1),
        close=SESSION.close + timedelta(days=1),
    )
    sessions.keep(tx, [tomorrow])

    assert {} == held(tx, SESSION.close - NOON)
    assert {PUT: True} == held(tx, SESSION.close - NOON - SECOND)
    assert {PUT: True} == held(tx, tomorrow.close - NOON)


def test_a_level_is_the_middle_of_two_sides(tx: Connection):
    """With its time; one side, a crossed quote and no quote at all are unknown."""
    assert isinstance(marks.level(tx, "VIXY"), Unknown)
    marks.keep(tx, [a_quote("VIXY", "24.90", "25.10", at=NOON)])
    assert Known(Decimal(25), NOON, "marks") == marks.level(tx, "VIXY")

    for number, sides in enumerate((("25.00", None), (None, "25.00"), ("25.10", "25.00"))):
        marks.keep(tx, [a_quote("VIXY", *sides, at=NOON + number * SECOND + SECOND)])
        assert isinstance(marks.level(tx, "VIXY"), Unknown)


def test_the_stock_of_volatility_is_watched(engine: Engine, redis_client: redis.Redis):
    """After what is held and what is on the watch list; nobody configured one: nobody watches."""
    desk = Desk(engine=engine, clock=lambda: NOON, wall=lambda: NOON, origin="test", partitions=1)

    assert ("SPY", "VIXY") == Feeding(engine, redis_client, desk, ("SPY",), lambda: "VIXY").wanted()
    assert ("SPY",) == Feeding(engine, redis_client, desk, ("SPY",), lambda: None).wanted()


def test_a_side_is_no_newer_than_its_quote(tx: Connection):
    """The second wall: whoever writes marks, a side cannot have been seen after the last quote."""
    marks.keep(tx, [a_quote(at=NOON)])
    with pytest.raises(DBAPIError, match="a_side_is_no_newer_than_its_quote") as refused:
        tx.execute(text("UPDATE marks SET bid_at = at + interval '1 second'"))
    assert isinstance(refused.value.orig, errors.CheckViolation)
