"""Subscriptions under dramatiq's Worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import fakeredis
import pytest
import redis
from dramatiq import Worker

from streams.broker import StreamsBroker
from streams.clients import writing_client
from streams.consumer import Entry
from streams.subscribed import queue_name_of
from tests.streams.kit import (
    Handled,
    Hopeless,
    Noted,
    Server,
    Unavailable,
    classify,
    fill,
    numbers,
    pending,
    subscription,
    wait_until,
)

Run = Callable[..., Worker]


def subscribed(broker: StreamsBroker, handler: Any, stream: str = "s", **changes: Any) -> Any:
    return broker.subscribe(
        subscription(stream, **changes), handler, classify=classify, on_dead=changes.pop("on_dead", lambda letter: None)
    )


@pytest.fixture
def broker(server: Server, noted: Noted) -> StreamsBroker:
    return StreamsBroker(url=server.url, hooks=noted)


def test_batches_reach_the_handler_in_order(broker: StreamsBroker, client: redis.Redis, run_worker: Run):
    """With eight worker threads and the default middleware, one batch at a time, each entry once."""
    handled, at_once = Handled(), threading.Semaphore(1)

    def handler(batch: Sequence[Entry]) -> None:
        assert at_once.acquire(blocking=False)
        handled(batch)
        at_once.release()

    subscribed(broker, handler)
    fill(client, "s", range(500))
    run_worker(broker, threads=8)
    wait_until(lambda: len(handled.done) == 500)
    fill(client, "s", range(500, 700))
    wait_until(lambda: len(handled.done) == 700)

    assert list(range(700)) == handled.done
    wait_until(lambda: pending(client) == 0)


def test_one_subscription_in_trouble_delays_no_other(broker: StreamsBroker, client: redis.Redis, run_worker: Run):
    """One worker thread, one stream whose world is down: the other stream is handled meanwhile."""
    stuck, fine = Handled({1: [Unavailable(), ...]}), Handled()
    subscribed(broker, stuck, "stuck")
    subscribed(broker, fine, "fine")
    fill(client, "stuck", [1])
    run_worker(broker, threads=1)
    wait_until(lambda: len(stuck.batches) > 3)
    fill(client, "fine", range(10))
    wait_until(lambda: fine.done == list(range(10)))

    assert [] == stuck.done


def test_poison_is_buried_and_the_rest_handled(
    broker: StreamsBroker, client: redis.Redis, run_worker: Run, noted: Noted
):
    """The same failure policy through the Worker: five tries for a bug, one for the hopeless, none for an exit."""
    handled = Handled({1: [ValueError(), ...], 3: [Hopeless(), ...], 5: [SystemExit(), ...]})
    subscribed(broker, handled)
    fill(client, "s", range(7))
    run_worker(broker)
    wait_until(lambda: handled.done == [0, 2, 4, 6])

    assert [b"1", b"3", b"5"] == [fields[b"n"] for _, fields in client.xrange("s.g.dead")]
    assert ["1", "3", "5"] == [letter.fields[b"n"].decode() for letter in noted.letters]


def test_a_stopped_worker_is_gone_within_its_block_time(broker: StreamsBroker, client: redis.Redis, run_worker: Run):
    """Also while an entry fails transiently for ever; what is pending waits for the next start."""
    handled = Handled({1: [Unavailable(), ...]})
    subscribed(broker, handled, retry_ms=5000, retry_max_ms=5000)
    subscribed(broker, Handled(), "idle")
    fill(client, "s", [1, 2])
    worker = run_worker(broker, timeout_ms=300)
    wait_until(lambda: handled.batches)
    started = time.monotonic()
    worker.stop()

    assert time.monotonic() - started < 1.0
    assert 2 == pending(client)


def test_stop_and_restart_lose_nothing(broker: StreamsBroker, client: redis.Redis, run_worker: Run):
    """Five workers one after the other on one broker, each stopped amid its work: every entry in order."""
    handled = Handled()

    def slow(batch: Sequence[Entry]) -> None:
        time.sleep(0.01)
        handled(batch)

    subscribed(broker, slow, count=7)
    fill(client, "s", range(200))
    for goal in (20, 60, 100, 140):
        worker = run_worker(broker)
        wait_until(lambda goal=goal: len(handled.done) >= goal)
        worker.stop()
    run_worker(broker)
    wait_until(lambda: len(handled.done) >= 200)

    assert list(range(200)) == handled.done


def test_a_server_that_dies_and_returns_is_read_again(own_server: Server, run_worker: Run):
    """kill -9 while the Worker runs: it goes on by itself within a second or two of the restart."""
    broker, handled = StreamsBroker(url=own_server.url), Handled()
    subscribed(broker, handled)
    run_worker(broker)
    fill(writing_client(own_server.url), "s", range(10))
    wait_until(lambda: len(handled.done) == 10)
    own_server.kill()
    time.sleep(0.3)
    own_server.start()
    fill(writing_client(own_server.url), "s", range(10, 20))
    wait_until(lambda: set(handled.done) == set(range(20)), timeout_s=3)


def test_two_groups_each_see_every_entry(broker: StreamsBroker, client: redis.Redis, run_worker: Run):
    """A fact is published once; each group reads it at its own pace."""
    one, two = Handled(), Handled()
    subscribed(broker, one, group="one")
    subscribed(broker, two, group="two")
    fill(client, "s", range(20))
    run_worker(broker)
    wait_until(lambda: len(one.done) == len(two.done) == 20)

    assert one.done == two.done == list(range(20))


def test_the_holder_of_the_lease_reads_and_the_other_waits(server: Server, client: redis.Redis, run_worker: Run):
    """Two brokers under one consumer name: only the one that is allowed handles; after the change, the other."""
    holder = ["a"]
    handled = {name: Handled() for name in "ab"}
    for name in "ab":
        broker = StreamsBroker(url=server.url)
        subscribed(broker, handled[name], allowed=lambda name=name: holder[0] == name)
        run_worker(broker)
    fill(client, "s", range(10))
    wait_until(lambda: len(handled["a"].done) == 10)
    holder[0] = "b"
    time.sleep(0.2)
    fill(client, "s", range(10, 20))
    wait_until(lambda: len(handled["b"].done) == 10)

    assert (list(range(10)), list(range(10, 20))) == (handled["a"].done, handled["b"].done)


def test_two_names_in_one_group_share_the_entries(server: Server, client: redis.Redis, run_worker: Run):
    """Two brokers with their own consumer names: each entry is handled by one of them."""
    handled = {name: Handled() for name in "ab"}
    for name in "ab":
        broker = StreamsBroker(url=server.url)
        subscribed(broker, handled[name], consumer=name, count=5)
        run_worker(broker)
    fill(client, "s", range(300))
    wait_until(lambda: len(handled["a"].done) + len(handled["b"].done) == 300)

    assert list(range(300)) == sorted(handled["a"].done + handled["b"].done)


def test_declaring_needs_no_server():
    """Subscriptions are declared when modules are imported, before any server is up."""
    broker = StreamsBroker(url="unix:///nowhere.sock")
    subscribed(broker, numbers, "fills.{0}", group="tracker")

    assert {"fills.0.tracker"} == broker.get_declared_queues()


@pytest.mark.parametrize(
    ("stream", "group", "queue"),
    [("fills.{0}", "tracker", "fills.0.tracker"), ("7days", "g", "_7days.g"), ("a:b", "g", "ab.g")],
)
def test_a_stream_and_group_become_a_queue_name(stream: str, group: str, queue: str):
    """Braces and colons are not allowed in dramatiq's queue names."""
    assert queue == queue_name_of(subscription(stream, group=group))


def test_two_subscriptions_never_share_a_queue():
    """``fills.{0}`` and ``fills.0`` would have one name: the second is refused, as is a reserved suffix."""
    broker = StreamsBroker(url="unix:///nowhere.sock")
    subscribed(broker, numbers, "fills.{0}")
    with pytest.raises(ValueError, match=r"fills\.0\.g"):
        subscribed(broker, numbers, "fills.0")
    with pytest.raises(ValueError, match="DQ"):
        subscribed(broker, numbers, group="DQ")


def test_a_subscription_runs_on_fakeredis(run_worker: Run):
    """Handlers can be tested without a server."""
    client = fakeredis.FakeRedis()
    broker, handled = StreamsBroker(client=client), Handled()
    subscribed(broker, handled)
    fill(client, "s", range(5))
    run_worker(broker)
    wait_until(lambda: handled.done == list(range(5)))
