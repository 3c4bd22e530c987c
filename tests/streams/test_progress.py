"""How far groups have come, and what may be trimmed."""

from __future__ import annotations

import time

import fakeredis
import pytest
import redis

from streams.consumer import StreamConsumer
from streams.progress import is_caught_up, order_of, progress
from streams.trim import trim_finished, trim_length
from tests.streams.kit import Handled, Loop, fill, subscription

WANTED = {"s": ["g"]}


def test_a_stream_that_does_not_exist_is_caught_up(client: redis.Redis):
    assert is_caught_up(client, WANTED)
    assert progress(client, WANTED).is_caught_up


def test_a_group_is_behind_until_it_has_acknowledged_everything(client: redis.Redis):
    """Not read, read and pending, acknowledged: only the last is caught up."""
    first, last = fill(client, "s", [1, 2])
    time.sleep(0.02)
    [unread] = progress(client, WANTED).groups
    assert (first, last, "0-0", 0, False) == (
        first,
        unread.last_id,
        unread.delivered_id,
        unread.pending,
        is_caught_up(client, WANTED),
    )
    assert unread.oldest_age_ms is not None
    assert 20 <= unread.oldest_age_ms < 5000

    consumer = StreamConsumer(client, subscription())
    consumer.read()
    [pending] = progress(client, WANTED).groups
    assert (last, 2, False) == (pending.delivered_id, pending.pending, is_caught_up(client, WANTED))
    assert pending.oldest_age_ms >= unread.oldest_age_ms

    consumer.ack([first, last])
    [done] = progress(client, WANTED).groups
    assert (last, 0, None, True) == (done.delivered_id, done.pending, done.oldest_age_ms, is_caught_up(client, WANTED))


def test_one_group_behind_is_named(client: redis.Redis):
    """Two groups of one stream, and another stream: each is judged by itself, in the order asked for."""
    fill(client, "s", [1])
    fill(client, "t", [1])
    Loop(client, Handled(), subscription(group="done")).until_idle()
    state = progress(client, {"s": ["done", "behind"], "t": ["g"]})

    assert [("s", "done", True), ("s", "behind", False), ("t", "g", False)] == [
        (group.stream, group.group, group.is_caught_up) for group in state.groups
    ]
    assert not state.is_caught_up


def test_what_was_trimmed_unread_is_not_waited_for(client: redis.Redis):
    """The newest entries were deleted before they were read: nothing is left to do."""
    Loop(client, Handled()).until_idle()
    for entry_id in fill(client, "s", [1, 2]):
        client.xdel("s", entry_id)

    assert is_caught_up(client, WANTED)


def test_the_cheap_question_is_cheap(client: redis.Redis):
    """Ten streams in under a millisecond at the median (generous here: the machine is shared)."""
    wanted = {f"s{n}": ["g"] for n in range(10)}
    for stream in wanted:
        fill(client, stream, [1])
        Loop(client, Handled(), subscription(stream)).turn()
    times = []
    for _ in range(50):
        started = time.perf_counter()
        assert is_caught_up(client, wanted)
        times.append(time.perf_counter() - started)

    assert sorted(times)[25] < 0.005


def test_progress_runs_on_fakeredis():
    fake = fakeredis.FakeRedis()
    fill(fake, "s", [1])
    assert not is_caught_up(fake, WANTED)
    Loop(fake, Handled()).until_idle()
    assert is_caught_up(fake, WANTED)


@pytest.mark.parametrize(("smaller", "larger"), [("9-0", "10-0"), ("10-2", "10-10"), ("0-0", "0-1"), ("5", "5-1")])
def test_ids_sort_as_numbers(smaller: str, larger: str):
    assert order_of(smaller) < order_of(larger)


def test_only_what_every_group_has_finished_is_trimmed(client: redis.Redis):
    """One group is done, one has entry 3 pending: 0 to 2 go, 3 and what follows stay for it."""
    ids = fill(client, "s", range(6))
    Loop(client, Handled()).until_idle()
    slow = StreamConsumer(client, subscription(group="slow", count=4))
    slow.read()
    slow.ack(ids[:3])

    assert {"s": 3} == trim_finished(client, {"s": ["g", "slow"]})
    handled = Handled()
    Loop(client, handled, subscription(group="slow")).until_idle()
    assert [3, 4, 5] == handled.done


def test_a_group_that_is_not_named_counts_as_well(client: redis.Redis):
    """Somebody else reads the stream too: it keeps what it has not read."""
    fill(client, "s", range(3))
    Loop(client, Handled()).until_idle()
    client.xgroup_create("s", "guest", id="0")

    assert {"s": 0} == trim_finished(client, WANTED)


def test_a_missing_group_keeps_everything(client: redis.Redis):
    """A group that must exist and does not has everything to read yet."""
    fill(client, "s", range(3))
    Loop(client, Handled()).until_idle()

    assert {"s": 0, "none": 0} == trim_finished(client, {"s": ["g", "late"], "none": ["g"]})


def test_young_entries_stay_for_people_to_look_at(client: redis.Redis):
    fill(client, "s", range(3))
    Loop(client, Handled()).until_idle()

    assert {"s": 0} == trim_finished(client, WANTED, keep_ms=60_000)
    assert {"s": 2} == trim_finished(client, WANTED)


def test_ticks_are_trimmed_by_length(client: redis.Redis):
    fill(client, "ticks", range(1000))

    assert trim_length(client, "ticks", 300) > 0
    assert 300 <= client.xlen("ticks") < 600
