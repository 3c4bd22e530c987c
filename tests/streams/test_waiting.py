"""In a backlog, what may wait steps aside: it stays pending under another name, in order, and nothing is lost by it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import redis

from streams.clients import reading_client
from streams.consumer import Entry, StreamConsumer, Waiting
from tests.streams.kit import LossyWire, fill, numbers, pending, subscription

ASIDE = "g-waiting"


def odd(page: Sequence[Entry]) -> Sequence[Entry]:
    return [entry for entry in page if numbers([entry])[0] % 2]


def first(client: redis.Redis, count: int = 10) -> StreamConsumer:
    """The lane whose odd numbers may wait."""
    return StreamConsumer(client, subscription(count=count, waiting=Waiting(ASIDE, odd)))


def second(client: redis.Redis) -> StreamConsumer:
    """The lane of what waits."""
    return StreamConsumer(client, subscription(consumer=ASIDE, of_waiting=Waiting(ASIDE, odd), count=50))


def all_of(consumer: StreamConsumer) -> list[int]:
    found = []
    while batch := consumer.read(block_ms=1):
        found += numbers(batch)
        consumer.ack([entry.id for entry in batch])
    return found


def test_what_does_not_wait_is_read_first_wherever_it_stands(client: redis.Redis):
    """A thousand that wait, with one even number among them: one read brings it, the others are set aside in order."""
    odds = [2 * n + 1 for n in range(1000)]
    fill(client, "s", [*odds[:700], 8, *odds[700:]])
    lane = first(client)

    assert [8] == numbers(lane.read(block_ms=1))
    assert [] == all_of(lane)
    assert odds == all_of(second(client))


def test_what_waits_keeps_its_order(client: redis.Redis):
    odds = [2 * n + 1 for n in range(300)]
    fill(client, "s", odds)

    assert [] == first(client).read(block_ms=1)
    assert odds == all_of(second(client))
    assert 0 == pending(client)


def test_without_a_backlog_nothing_waits(client: redis.Redis):
    """Nine entries where ten fit: there is nothing behind them that they could delay."""
    fill(client, "s", range(9))

    assert list(range(9)) == numbers(first(client).read(block_ms=1))


def test_what_waits_is_not_read_by_the_first_lane_again(client: redis.Redis):
    """Also not after a doubt: it belongs to the other lane now."""
    fill(client, "s", [1] * 10)
    lane = first(client)
    assert [] == lane.read(block_ms=1)

    lane.doubt()

    assert [] == lane.read(block_ms=1)
    assert [1] * 10 == numbers(second(client).read(block_ms=1))


def test_the_second_lane_reads_nothing_new(client: redis.Redis):
    fill(client, "s", [1, 2])

    assert [] == second(client).read(block_ms=1)
    assert [1, 2] == numbers(first(client).read(block_ms=1))


def test_a_successor_of_the_second_lane_finds_what_waits(client: redis.Redis):
    """Killed with a batch in its hands: whoever reads under the name reads it again."""
    fill(client, "s", [1] * 20)
    first(client).read(block_ms=1)
    assert 20 == len(second(client).read(block_ms=1))

    assert [1] * 20 == all_of(second(client))
    assert 0 == pending(client)


def test_a_lost_reply_when_setting_aside_loses_and_doubles_nothing(wire: LossyWire, client: redis.Redis):
    """The entries wait although nobody was told: the first lane goes on without them."""
    fill(client, "s", [*[1] * 10, 2])
    lane = first(reading_client(wire.url, 50))
    wire.lose_reply_to(b"XCLAIM")

    with pytest.raises(redis.ConnectionError):
        lane.read(block_ms=1)

    assert (1, [2]) == (wire.lost, numbers(lane.read(block_ms=1)))
    assert [1] * 10 == all_of(second(client))


def test_who_waits_keeps_out_of_the_way_while_somebody_looks_behind(client: redis.Redis):
    """The second lane reads when the first one has come to the backlog's end, or had to stop."""
    shared = Waiting(ASIDE, odd)
    held = [True]
    fill(client, "s", [1] * 6000)
    lane = StreamConsumer(client, subscription(count=10, waiting=shared, allowed=lambda: held[0]))
    other = StreamConsumer(client, subscription(consumer=ASIDE, of_waiting=shared, count=50))

    lane.read(block_ms=1)
    assert [] == other.read(block_ms=1)
    held[0] = False
    lane.read(block_ms=1)
    assert 50 == len(other.read(block_ms=1))
    held[0] = True
    lane.read(block_ms=1)
    lane.read(block_ms=1)
    assert [1] * 6000 == all_of(other)
