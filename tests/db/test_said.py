"""What was said of a position is kept with the transaction that said it, once, and nobody edits it."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from psycopg2 import errors
from sqlalchemy import Connection, Engine

from db import outbox, said
from domain.events import ExitTriggered
from domain.ids import OrderId, PositionId, fact_id
from streams.codec import encode
from tests.db.wall_kit import refused, run
from tests.factories import LARGE, NOON, PUT

POSITION = PositionId(UUID(int=1))


@pytest.fixture
def tx(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as tx:
        yield tx


def say(tx: Connection) -> None:
    fact = ExitTriggered(
        id=fact_id("triggered", 1),
        at=NOON,
        schema=1,
        cause="test",
        origin="test",
        position_id=POSITION,
        account=LARGE,
        symbol=PUT,
        rule="stop",
        detail="gain -40.00 % <= -40 %",
        order_id=OrderId(UUID(int=2)),
    )
    fields = encode(fact)
    parcel = outbox.Parcel(
        stream="decisions", fact_id=fact.id, type=fields["type"].decode(), body=fields["body"].decode()
    )
    outbox.put(tx, parcel)


def test_it_is_kept_once_and_outlives_the_outbox(tx: Connection):
    """Said twice, kept once; the outbox may forget it."""
    say(tx)
    say(tx)
    run(tx, "DELETE FROM outbox")
    [(kind, body)] = said.of_position(tx, POSITION)

    assert ("ExitTriggered", "stop", "gain -40.00 % <= -40 %") == (kind, body["rule"], body["detail"])


def test_what_is_not_committed_was_not_said(engine: Engine):
    """One transaction: the fact and what is kept of it, or neither."""
    with engine.connect() as tx:
        say(tx)
        tx.rollback()
    with engine.connect() as tx:
        assert [] == said.of_position(tx, POSITION)


@pytest.mark.parametrize("edit", ["DELETE FROM said", "UPDATE said SET at = at + interval '1 second'", "TRUNCATE said"])
def test_it_is_history(tx: Connection, edit: str):
    """Added to, never edited."""
    say(tx)

    refused(tx, errors.CheckViolation, "append-only", lambda: run(tx, edit))
