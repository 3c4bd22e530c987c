"""Reading in order, and what every doubt leads to."""

from __future__ import annotations

import redis

from streams.clients import reading_client
from streams.consumer import StreamConsumer
from tests.streams.kit import Handled, Loop, LossyWire, Noted, fill, numbers, pending, subscription


def test_entries_come_in_order_and_once(client: redis.Redis):
    """Three hundred entries, a hundred a batch: handled in the order they were added, each once."""
    fill(client, "s", range(300))
    handled = Handled()

    Loop(client, handled).until_idle()

    assert list(range(300)) == handled.done
    assert [100, 100, 100] == [len(batch) for batch in handled.batches]
    assert 0 == pending(client)


def test_entries_added_before_the_group_existed_are_read(client: redis.Redis):
    """A group begins at the stream's beginning, so a late start loses nothing."""
    fill(client, "s", [1])

    assert [1] == numbers(StreamConsumer(client, subscription()).read())


def test_a_lost_reply_to_xreadgroup_loses_no_entry(wire: LossyWire, client: redis.Redis):
    """
    The server handed the entries out and the connection broke before they arrived: they are
    pending and unseen. The next read returns them, before anything newer.
    """
    handled = Handled()
    loop = Loop(reading_client(wire.url, 50), handled)
    loop.turn()
    fill(client, "s", [1, 2, 3])
    wire.lose_reply_to(b"XREADGROUP", containing=b"\r\nn\r\n")
    loop.turn()
    fill(client, "s", [4])

    assert (1, [], 3) == (wire.lost, handled.done, pending(client))
    loop.until_idle()
    assert [1, 2, 3, 4] == handled.done
    assert 0 == pending(client)


def test_a_lost_reply_to_xack_brings_nothing_back(wire: LossyWire, client: redis.Redis):
    """The acknowledgement was executed and its reply lost: the entries are done, and reading goes on."""
    handled = Handled()
    loop = Loop(reading_client(wire.url, 50), handled)
    fill(client, "s", [1, 2])
    wire.lose_reply_to(b"XACK")
    loop.turn()
    fill(client, "s", [3])
    loop.until_idle()

    assert (1, [1, 2, 3], 0) == (wire.lost, handled.done, pending(client))


def test_an_acknowledgement_that_never_arrived_is_made_good(wire: LossyWire, client: redis.Redis):
    """The connection broke before XACK reached the server: the entries come again and are acknowledged then."""
    handled = Handled()
    loop = Loop(reading_client(wire.url, 50), handled)
    fill(client, "s", [1, 2])
    wire.lose_request(b"XACK")
    loop.turn()
    assert (1, [1, 2], 2) == (wire.lost, handled.done, pending(client))

    loop.until_idle()

    assert ([1, 2, 1, 2], 0) == (handled.done, pending(client))


def test_a_restart_finds_its_own_pending_entries_first(client: redis.Redis):
    """A consumer of the same name reads what its predecessor left, then what is new."""
    fill(client, "s", [1, 2])
    StreamConsumer(client, subscription()).read()
    fill(client, "s", [3])
    handled = Handled()

    Loop(client, handled).until_idle()

    assert [1, 2, 3] == handled.done


def test_another_names_entries_are_adopted_in_order(client: redis.Redis):
    """What a retired name left pending moves to this one, keeps its order and comes before anything new."""
    fill(client, "s", range(5))
    StreamConsumer(client, subscription(consumer="old", count=3)).read()
    handled = Handled()
    loop = Loop(client, handled)

    assert 3 == loop.consumer.adopt("old")
    loop.until_idle()

    assert [0, 1, 2, 3, 4] == handled.done


def test_without_the_lease_nothing_is_read(client: redis.Redis):
    """While the gate is closed nothing is read; when it opens, reading starts with what is pending."""
    held = [False]
    sub = subscription(allowed=lambda: held[0])
    fill(client, "s", [1])
    consumer = StreamConsumer(client, sub)
    assert [] == consumer.read()

    held[0] = True
    assert [1] == numbers(consumer.read())
    held[0] = False
    assert [] == consumer.read()
    held[0] = True
    assert [1] == numbers(consumer.read())


def test_a_lease_lost_while_reading_leaves_the_entries_to_the_successor(client: redis.Redis):
    """The lease went between the question and the answer: nothing is returned, all stays pending."""
    answers = iter([True, False, True, True])
    consumer = StreamConsumer(client, subscription(allowed=lambda: next(answers)))
    fill(client, "s", [1])

    assert [] == consumer.read()
    assert 1 == pending(client)
    assert [1] == numbers(consumer.read())


def test_a_lease_that_cannot_be_checked_is_not_held(client: redis.Redis):
    """The question itself fails (the database is away): nothing is read and nothing raises."""

    def broken() -> bool:
        raise ConnectionError("no database")

    fill(client, "s", [1])

    assert [] == StreamConsumer(client, subscription(allowed=broken)).read()


def test_a_trimmed_entry_is_announced_and_does_not_come_back(client: redis.Redis, noted: Noted):
    """A pending entry was trimmed away: it is reported as lost, not as undecodable, and its neighbours are handled."""
    first, *_ = fill(client, "s", [1, 2, 3])
    StreamConsumer(client, subscription()).read()
    client.xtrim("s", maxlen=2, approximate=False)
    handled = Handled()

    Loop(client, handled, hooks=noted).until_idle()

    assert ([2, 3], [first], 0) == (handled.done, noted.trimmed, pending(client))


def test_a_trimmed_entry_of_another_name_is_announced(client: redis.Redis, noted: Noted):
    """The same while adopting, where newer servers drop such an entry without a word."""
    first, *_ = fill(client, "s", [1, 2])
    StreamConsumer(client, subscription(consumer="old")).read()
    client.xtrim("s", maxlen=1, approximate=False)
    handled = Handled()
    loop = Loop(client, handled, hooks=noted)
    loop.consumer.adopt("old")
    loop.until_idle()

    assert ([2], [first], 0) == (handled.done, noted.trimmed, pending(client))
