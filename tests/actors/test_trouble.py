"""What a process says of itself to whoever restarts it."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from actors import runtime
from cli.settings import SHIPPED, load
from cli.wiring import Wiring
from tests.end_to_end.stack import until
from tests.servers import Killable


@pytest.fixture
def tracker(killable_redis: Killable, database_url: str) -> Iterator[Wiring]:
    """A tracker's process, not started yet."""
    shipped = load(SHIPPED, {})
    addresses = {"redis_url": SecretStr(killable_redis.url), "database_url": SecretStr(database_url)}
    servers = shipped.servers.model_copy(update=addresses)
    wiring = Wiring.connect(shipped.model_copy(update={"servers": servers}))
    wiring.runtime.block_ms = 100
    yield wiring
    wiring.runtime.stop()


def test_a_process_works_from_its_first_heartbeat(tracker: Wiring):
    """Before, nobody has seen it reach the rows."""
    assert "no heartbeat yet" == tracker.runtime.trouble()

    tracker.host("tracker")
    tracker.runtime.start()

    until(lambda: tracker.runtime.trouble() is None, "the tracker works")


def test_a_process_without_streams_does_not_work(tracker: Wiring, killable_redis: Killable):
    """It is told of at once, and works again when they are back."""
    tracker.host("tracker")
    tracker.runtime.start()
    until(lambda: tracker.runtime.trouble() is None, "the tracker works")

    killable_redis.kill()
    assert "the streams do not answer" in str(tracker.runtime.trouble())
    killable_redis.start()

    until(lambda: tracker.runtime.trouble() is None, "the tracker works again")


def test_a_process_that_reaches_no_row_does_not_work(tracker: Wiring, database_url: str):
    """Its last heartbeat grows old: here after a moment instead of some seconds."""
    tracker.host("tracker")
    tracker.runtime.start()
    until(lambda: tracker.runtime.trouble() is None, "the tracker works")

    with create_engine(database_url).begin() as tx:
        tx.execute(text("DROP TABLE heartbeats CASCADE"))
    with mock.patch.object(runtime, "HEARTBEATS_MISSED", 1):
        until(lambda: "no heartbeat for" in str(tracker.runtime.trouble()), "the lost heartbeat is told")
