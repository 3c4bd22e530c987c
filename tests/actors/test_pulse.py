"""Nothing opens while anything is missing that a position will need."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from actors.desk import Desk
from actors.pulse import COMPARED, evaluator_of, of_recorded_day, of_rows
from db import accounts, disputes, heartbeats, marks, sessions, vital_signs
from db.disputes import Dispute
from db.vital_signs import BROKER_STREAM, STREAMS, TRACKER_LAG
from domain.interlock import NEEDED, unwell
from domain.known import Known
from tests.db.wall_kit import configure, hold
from tests.factories import LARGE, NOON, PUT, SESSION, TINY, a_quote, some_bounds

SECOND = timedelta(seconds=1)
EVALUATOR = evaluator_of(0)


def a_desk(engine: Engine, now: datetime = NOON) -> Desk:
    return Desk(engine=engine, clock=lambda: now, wall=lambda: now, origin="test", partitions=1)


@pytest.fixture
def tx(engine: Engine) -> Iterator[Connection]:
    """A transaction in which everything was well at noon, in both accounts."""
    with engine.begin() as connection:
        configure(connection)
        sessions.keep(connection, [SESSION])
        for actor in NEEDED:
            heartbeats.beat(connection, actor, "host-1", "test", NOON)
        vital_signs.note(connection, TRACKER_LAG, NOON)
        vital_signs.note(connection, STREAMS, NOON)
        vital_signs.note(connection, EVALUATOR, NOON)
        for account in (LARGE, TINY):
            vital_signs.note(connection, BROKER_STREAM, NOON, account)
            accounts.mark_reconciled(connection, account, f"PA-{account}", NOON)
        yield connection


def missing(tx: Connection, engine: Engine, now: datetime = NOON, account: Any = LARGE) -> list[str]:
    pulse = of_rows(a_desk(engine, now), some_bounds())(tx, account)
    assert isinstance(pulse, Known)
    return [str(sign) for sign in unwell(pulse.value)]


def test_all_is_well_at_noon(tx: Connection, engine: Engine):
    """The counterpart of what follows: with everything there, nothing is missing."""
    assert [] == missing(tx, engine)


@pytest.mark.parametrize(
    ("part", "bound_s"),
    [
        *((actor, 15) for actor in NEEDED),
        (TRACKER_LAG, 10),
        (STREAMS, 5),
        (EVALUATOR, 5),
        (BROKER_STREAM, 60),
        (COMPARED, 120),
    ],
)
def test_a_part_may_be_silent_up_to_its_bound_and_not_beyond(tx: Connection, engine: Engine, part: str, bound_s: int):
    """At its bound it is well, a microsecond later it is not, and it is named."""
    at_bound = NOON + bound_s * SECOND

    said = f"{part} {bound_s} s"
    assert said not in missing(tx, engine, at_bound)
    assert said in missing(tx, engine, at_bound + timedelta(microseconds=1))


def test_what_was_never_seen_is_not_well(engine: Engine):
    """Not zero seconds of silence: on an empty database everything is missing, by name."""
    with engine.begin() as tx:
        configure(tx)
        said = missing(tx, engine)

    assert [
        f"{part} never seen" for part in (*NEEDED, TRACKER_LAG, STREAMS, BROKER_STREAM, COMPARED, EVALUATOR)
    ] == said


def test_the_latest_copy_counts(tx: Connection, engine: Engine):
    """Two copies of tracker: one is dead for an hour, the other answered at noon."""
    heartbeats.beat(tx, "tracker", "host-2", "test", NOON - timedelta(hours=1))

    assert [] == missing(tx, engine)


def test_the_stream_of_one_account_is_not_that_of_another(tx: Connection, engine: Engine):
    """The socket of `large` goes on, that of `tiny` is silent: only `tiny` is held."""
    now = NOON + 61 * SECOND
    for actor in NEEDED:
        heartbeats.beat(tx, actor, "host-1", "test", now)
    for name in (TRACKER_LAG, STREAMS, EVALUATOR):
        vital_signs.note(tx, name, now)
    vital_signs.note(tx, BROKER_STREAM, now, LARGE)

    assert [] == missing(tx, engine, now)
    assert ["broker stream 61 s"] == missing(tx, engine, now, TINY)


def test_time_does_not_go_back(tx: Connection, engine: Engine):
    """A late writer with an older look does not make a sign older."""
    vital_signs.note(tx, STREAMS, NOON - timedelta(hours=1))

    assert [] == missing(tx, engine)


def test_a_position_without_a_price_holds_entries(tx: Connection, engine: Engine):
    """Its price is missed from its opening on, at the bound not yet; a mark begins the time anew (R33)."""
    hold(tx, 5, PUT)
    price = f"price of {PUT}"
    stale = NOON + 901 * SECOND

    assert price not in " ".join(missing(tx, engine, NOON + 900 * SECOND))
    assert f"{price} 901 s" in missing(tx, engine, stale)
    marks.keep(tx, [a_quote(at=NOON + 10 * SECOND)])
    assert price not in " ".join(missing(tx, engine, stale))


@pytest.mark.parametrize(("qty", "side"), [(5, "ask"), (-5, "bid")])
def test_a_quote_without_the_leaving_side_is_no_price(tx: Connection, engine: Engine, qty: int, side: str):
    """Quotes come all the time, and nobody names the side that the position leaves at: fresh, and no price."""
    hold(tx, qty, PUT)
    price = f"price of {PUT}"
    at = NOON + 901 * SECOND
    one_sided: Any = {"bid": None, "ask": None} | {side: "7.10"}
    marks.keep(tx, [a_quote(**one_sided, at=NOON + 900 * SECOND)])
    assert f"{price} 901 s" in missing(tx, engine, at)

    marks.keep(tx, [a_quote(bid="7.30", ask="7.10", at=at - SECOND / 2)])
    assert f"{price} 901 s" in missing(tx, engine, at)  # crossed

    marks.keep(tx, [a_quote(at=at)])
    assert price not in " ".join(missing(tx, engine, at))


def test_a_side_stays_as_old_as_it_is(tx: Connection, engine: Engine):
    """What came before a one-sided quote, told in one look and in any order, keeps its own time."""
    hold(tx, 5, PUT)
    both, later = a_quote(at=NOON + 600 * SECOND), a_quote(bid=None, at=NOON + 620 * SECOND)
    marks.keep(tx, [later, both])

    now = NOON + 1501 * SECOND
    assert f"price of {PUT} 901 s" in missing(tx, engine, now)


def test_a_disputed_price_holds_the_entries_of_its_account(tx: Connection, engine: Engine):
    """From its first moment on, in the account that holds it, until it has ended."""
    position = hold(tx, 5, PUT)
    dispute = Dispute(NOON, Decimal("7.10"), Decimal("9.10"), NOON, NOON)
    disputes.begin(tx, position, dispute)
    soon = NOON + SECOND

    assert [f"undisputed price of {PUT} 1 s"] == missing(tx, engine, soon)
    assert [] == missing(tx, engine, soon, TINY)

    disputes.end(tx, position, soon)
    assert [] == missing(tx, engine, soon)


def test_a_closed_market_owes_no_price(tx: Connection, engine: Engine):
    """After the close, and in the first minutes of a session, an old price is no sign of trouble."""
    hold(tx, 5, PUT)
    price = f"price of {PUT}"
    tomorrow = SESSION.__class__(
        day=SESSION.day + timedelta(days=1),
        open=SESSION.open + timedelta(days=1),
        close=SESSION.close + timedelta(days=1),
    )
    sessions.keep(tx, [tomorrow])

    assert price in " ".join(missing(tx, engine, SESSION.close - SECOND))
    assert price not in " ".join(missing(tx, engine, SESSION.close))
    assert price not in " ".join(missing(tx, engine, tomorrow.open + 900 * SECOND))
    assert price in " ".join(missing(tx, engine, tomorrow.open + 901 * SECOND))


def test_on_a_recorded_day_silence_of_the_wall_says_nothing(engine: Engine):
    """The recorded clock waits for every actor, so all of them are well at any moment."""
    with engine.begin() as tx:
        pulse = of_recorded_day(a_desk(engine))(tx, LARGE)

    assert isinstance(pulse, Known)
    assert (NEEDED, ()) == (tuple(sign.part for sign in pulse.value), unwell(pulse.value))
