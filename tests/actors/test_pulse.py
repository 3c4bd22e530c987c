"""Nothing opens while somebody who would have to close it is silent."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine

from actors.desk import Desk
from actors.pulse import NEEDED, of_rows
from db import heartbeats
from domain.known import Known, Unknown
from tests.factories import NOON


def a_desk(engine: Engine) -> Desk:
    return Desk(engine=engine, clock=lambda: NOON, wall=lambda: NOON, origin="test", partitions=1)


def test_an_actor_that_was_never_seen_makes_the_pulse_unknown(engine: Engine):
    """Not zero seconds of silence: unknown, and who."""
    with engine.begin() as tx:
        for actor in set(NEEDED) - {"exit"}:
            heartbeats.beat(tx, actor, "host-1", "test", NOON)

        assert Unknown("exit never seen", "heartbeats") == of_rows(a_desk(engine))(tx)


def test_the_latest_copy_counts(engine: Engine):
    """Two copies of tracker: one is dead for an hour, the other answered two seconds ago."""
    with engine.begin() as tx:
        for actor in NEEDED:
            heartbeats.beat(tx, actor, "host-1", "test", NOON - timedelta(seconds=2))
        heartbeats.beat(tx, "tracker", "host-2", "test", NOON - timedelta(hours=1))

        pulse = of_rows(a_desk(engine))(tx)

    assert isinstance(pulse, Known)
    assert dict.fromkeys(NEEDED, timedelta(seconds=2)) == pulse.value
