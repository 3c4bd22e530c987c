"""Two sources contradict each other about what is held: rows say so, nothing closes on one word, entries stop."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from psycopg2 import errors
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from actors.exit import ExitActor
from db import positions, timeline
from tests.actors.test_exit_rules_wired import closes, d, holding  # noqa: F401 - a fixture
from tests.cli.house import AAA, House
from tests.factories import a_quote, ticked

MINUTE = timedelta(minutes=1)


def say(house: House, feed: str, bid: str, after: timedelta = timedelta(seconds=1)) -> None:
    """A source quotes the contract, ten cents wide, and time goes on."""
    house.now += after
    house.prices[AAA] = (Decimal(bid), Decimal(bid) + Decimal("0.10"))
    quote = a_quote(AAA, bid, str(Decimal(bid) + Decimal("0.10")), at=house.now)
    house.exit.handle_ticks([ticked(quote, at=house.now, feed=feed)])
    house.settle()


def rows(house: House) -> list[Any]:
    with house.engine.connect() as tx:
        return [
            tuple(row)
            for row in tx.execute(
                text("SELECT live_price, second_price, ended_at IS NULL FROM price_disputes ORDER BY dispute_id")
            )
        ]


@pytest.fixture
def house(holding: Any) -> House:  # noqa: F811
    made: House = holding(stop_pct=d(40), target_pct=d(80), max_hold=timedelta(hours=2))
    say(made, "option", "5.00", after=10 * MINUTE)
    say(made, "rest", "5.00")
    return made


def test_a_price_that_another_source_denies_closes_nothing(house: House):
    """The socket falls through the stop, REST stands: the row says so, and the position is held."""
    say(house, "rest", "5.00", after=MINUTE)
    say(house, "option", "4.90", after=timedelta(0))
    say(house, "rest", "2.00", after=timedelta(seconds=1))
    assert [(d("4.90"), d("2.00"), True)] == rows(house)
    say(house, "option", "4.90")
    assert [] == closes(house)

    say(house, "option", "2.90")
    assert [("stop", 10, "accepted")] == closes(house)


def test_an_agreement_is_written(house: House):
    """The dispute has its end in the rows; the next one is another row."""
    for live, second in (("4.90", "2.00"), ("4.90", "4.90"), ("4.90", "8.00")):
        say(house, "option", live, after=MINUTE)
        say(house, "rest", second)
    assert [(d("4.90"), d("2.00"), False), (d("4.90"), d("8.00"), True)] == rows(house)


def test_the_timeline_tells_of_it(house: House):
    """What each source said, and when they agreed again."""
    say(house, "option", "4.90", after=MINUTE)
    say(house, "rest", "8.00")
    disputed_at = house.now
    say(house, "rest", "4.90", after=timedelta(seconds=3))
    with house.engine.connect() as tx:
        [position] = positions.all_open(tx)
        told = [e for e in timeline.of_position(tx, position.position_id) if "dispute" in e["event"]]

    assert [
        {"at": disputed_at, "event": "prices disputed", "live": d("4.90"), "rest": d("8.00")},
        {"at": house.now, "event": "dispute ended"},
    ] == told


def test_a_disputed_price_moves_no_peak(house: House):
    """What the other source denies would arm a trailing stop for good."""
    say(house, "option", "5.00", after=MINUTE)
    say(house, "rest", "8.90")
    say(house, "option", "7.00")
    with house.engine.connect() as tx:
        assert d("5.00") == tx.execute(text("SELECT peak FROM exit_plans")).scalar_one()
    say(house, "rest", "7.00")
    assert [False] == [going_on for *_, going_on in rows(house)]


def test_time_closes_in_a_dispute(house: House):
    """Two prices, and neither is asked for."""
    say(house, "option", "5.00", after=MINUTE)
    say(house, "rest", "2.00")
    house.now += timedelta(hours=2)
    house.exit.handle_timer(house.now)
    house.settle()
    assert ["max_hold"] == [rule for rule, *_ in closes(house)]


def test_a_price_that_nobody_denied_counts_at_once(house: House):
    """A fall between two looks of the second source: the stop waits for no second opinion."""
    say(house, "rest", "5.00", after=MINUTE)
    say(house, "option", "2.90")
    assert ["stop"] == [rule for rule, *_ in closes(house)]


def test_a_restart_in_a_dispute_asks_both(house: House):
    """The row is the memory: its first tick is at the stop, which the other source denied a moment ago."""
    say(house, "option", "5.00", after=MINUTE)
    say(house, "rest", "8.00")
    house.exit = ExitActor(house.desk)
    say(house, "option", "2.90")
    assert [] == closes(house)
    say(house, "rest", "2.90")
    say(house, "option", "2.90")
    assert ["stop"] == [rule for rule, *_ in closes(house)]


def test_a_closed_position_is_not_disputed(house: House):
    """The dispute ends with the position, whoever closed it."""
    say(house, "option", "5.00", after=MINUTE)
    say(house, "rest", "8.00")
    house.now += timedelta(hours=2)
    house.exit.handle_timer(house.now)
    house.settle()
    house.trade()
    assert [False] == [going_on for *_, going_on in rows(house)]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE price_disputes SET second_price = 7",
        "UPDATE price_disputes SET since = since - interval '1 hour'",
        "DELETE FROM price_disputes",
        "TRUNCATE price_disputes",
    ],
)
def test_a_dispute_is_history(house: House, change: str):
    """Only its end is written, once."""
    say(house, "option", "5.00", after=MINUTE)
    say(house, "rest", "8.00")
    with pytest.raises(DBAPIError) as refused, house.engine.begin() as tx:
        tx.execute(text(change))
    assert isinstance(refused.value.orig, errors.CheckViolation | errors.RaiseException)


def test_there_is_one_dispute_a_position(house: House, engine: Engine):
    """Whoever writes a second one is refused."""
    say(house, "option", "5.00", after=MINUTE)
    say(house, "rest", "8.00")
    with pytest.raises(DBAPIError, match="one_dispute_a_position"), engine.begin() as tx:
        tx.execute(
            text(
                "INSERT INTO price_disputes (position_id, since, live_price, live_at, second_price, second_at)"
                " SELECT position_id, since, live_price, live_at, second_price, second_at FROM price_disputes"
            )
        )
