"""What people do with dead letters."""

from __future__ import annotations

import pytest
import redis

from streams.dead import NoSuchLetter, dead_streams, drop, letter, letters, requeue
from tests.streams.kit import Handled, Hopeless, Loop, fill, subscription


@pytest.fixture
def origin_id(client: redis.Redis) -> str:
    """One entry of stream ``s`` that group ``g`` gave up."""
    client.xadd("s", {"n": 1, "reason": "its own", "entry.x": "odd"})
    [entry_id] = [entry_id.decode() for entry_id, _ in client.xrange("s")]
    Loop(client, Handled({1: [Hopeless("no"), ...]}), subscription(version="1.2")).until_idle()
    return entry_id


def test_a_letter_says_where_it_stood_and_why_it_is_here(client: redis.Redis, origin_id: str):
    assert ["s.g.dead"] == dead_streams(client)
    [found] = letters(client, "s.g.dead")

    assert {b"n": b"1", b"reason": b"its own", b"entry.x": b"odd"} == found.fields
    assert ("s", origin_id, "g", "1.2") == (
        found.origin,
        found.notes["entry_id"],
        found.notes["actor"],
        found.notes["version"],
    )
    assert ("Hopeless: no", "1") == (found.notes["reason"], found.notes["attempts"])
    assert found.notes["at"].endswith("Z")
    assert found == letter(client, "s.g.dead", found.id)


def test_a_requeued_letter_is_read_again_as_it_was(client: redis.Redis, origin_id: str):
    """Its own fields, a new id at the end of its stream, and no letter left behind."""
    [found] = letters(client, "s.g.dead")
    fill(client, "s", [2])
    requeue(client, "s.g.dead", found.id)
    handled = Handled()
    Loop(client, handled).until_idle()

    assert [2, 1] == handled.done
    assert found.fields == client.xrevrange("s", count=1)[0][1]
    assert [] == list(letters(client, "s.g.dead"))


def test_a_dropped_letter_is_gone(client: redis.Redis, origin_id: str):
    [found] = letters(client, "s.g.dead")
    drop(client, "s.g.dead", found.id)

    assert [] == list(letters(client, "s.g.dead"))
    for command in (drop, requeue, letter):
        with pytest.raises(NoSuchLetter, match=found.id):
            command(client, "s.g.dead", found.id)


def test_many_letters_are_walked_oldest_first(client: redis.Redis):
    """More than one page of them."""
    fill(client, "s", range(600))
    Loop(client, Handled({n: [Hopeless(), ...] for n in range(600)}), subscription(count=1000)).until_idle()

    assert [str(n).encode() for n in range(600)] == [found.fields[b"n"] for found in letters(client, "s.g.dead")]
