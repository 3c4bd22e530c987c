"""What a failure means: order kept, poison isolated, nothing lost."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import redis

from streams.clients import reading_client
from streams.consumer import Entry, StreamConsumer
from streams.hooks import DeadLetter
from tests.streams.kit import (
    Handled,
    Hopeless,
    Loop,
    LossyWire,
    Noted,
    Unavailable,
    fill,
    numbers,
    pending,
    subscription,
)


def dead(client: redis.Redis) -> list[dict[bytes, bytes]]:
    return [fields for _, fields in client.xrange("s.g.dead")]


def test_one_poison_entry_costs_its_neighbours_nothing(client: redis.Redis, noted: Noted):
    """Entry 3 of six always fails: the others are handled in order, 3 is dead after five tries alone."""
    fill(client, "s", range(6))
    handled = Handled({3: [ValueError("bad"), ...]})

    Loop(client, handled, hooks=noted).until_idle()

    assert [0, 1, 2, 4, 5] == handled.done
    assert 5 == handled.batches.count([3])
    [letter] = dead(client)
    assert (b"3", b"ValueError: bad", b"5") == (letter[b"n"], letter[b"reason"], letter[b"attempts"])
    assert (["unexpected"] * 4, 0) == (noted.retries, pending(client))
    assert not client.exists("s.g.attempts")


def test_nothing_overtakes_an_entry_that_is_tried_again(client: redis.Redis):
    """A failure that passes: the entry keeps its place, and what is behind it waits."""
    fill(client, "s", range(5))
    handled = Handled({2: [ValueError(), ValueError(), ValueError(), ValueError()]})

    Loop(client, handled).until_idle()

    assert [0, 1, 2, 3, 4] == handled.done
    assert [] == dead(client)


def test_a_transient_failure_is_tried_for_ever(client: redis.Redis, noted: Noted):
    """Thirty refusals by the world are no evidence against the entry: it is handled in the end, in order."""
    fill(client, "s", range(3))
    handled = Handled({1: [Unavailable() for _ in range(30)]})

    Loop(client, handled, hooks=noted).until_idle()

    assert ([0, 1, 2], []) == (handled.done, dead(client))
    assert {"transient"} == set(noted.retries)
    assert not client.exists("s.g.attempts")


def test_a_hopeless_entry_is_buried_at_once(client: redis.Redis, noted: Noted):
    """What can never be handled is tried once, and its neighbours go on."""
    fill(client, "s", range(3))
    handled = Handled({1: [Hopeless("no JSON"), ...]})

    Loop(client, handled, hooks=noted).until_idle()

    assert ([0, 2], 1) == (handled.done, handled.batches.count([1]))
    assert [b"Hopeless: no JSON"] == [letter[b"reason"] for letter in dead(client)]
    assert ["1"] == [letter.fields[b"n"].decode() for letter in noted.letters]


@pytest.mark.parametrize("ending", [SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
def test_an_exit_out_of_a_handler_does_not_end_the_subscription(client: redis.Redis, ending: BaseException):
    """``sys.exit`` in a handler counts as a bug, five times, and reading goes on (incident R66)."""
    fill(client, "s", [1, 2])
    handled = Handled({1: [ending, ...]})

    Loop(client, handled).until_idle()

    assert ([2], 5) == (handled.done, handled.batches.count([1]))
    assert [type(ending).__name__.encode()] == [letter[b"reason"].partition(b":")[0] for letter in dead(client)]


def test_the_row_of_a_dead_letter_comes_before_its_burial(client: redis.Redis):
    """While the row cannot be written the entry stays pending, unburied, and is not handled again."""
    fill(client, "s", [1, 2])
    handled, rows = Handled({1: [Hopeless("no"), ...]}), []
    outages = [Unavailable(), RuntimeError(), Unavailable()]

    def write_row(letter: DeadLetter) -> None:
        assert [] == dead(client)
        if outages:
            raise outages.pop()
        rows.append((letter.entry_id, letter.reason))

    Loop(client, handled, on_dead=write_row).until_idle()

    assert ([2], 1, 1) == (handled.done, handled.batches.count([1]), len(dead(client)))
    assert [(dead(client)[0][b"entry_id"].decode(), "Hopeless: no")] == rows


def test_a_lost_reply_to_a_burial_buries_once(wire: LossyWire, client: redis.Redis):
    """The transaction was executed and its reply lost: there is one dead letter, and reading goes on."""
    fill(client, "s", [1, 2])
    handled = Handled({1: [Hopeless("no"), ...]})
    loop = Loop(reading_client(wire.url, 50), handled)
    wire.lose_reply_to(b"s.g.dead")
    loop.turn()
    loop.until_idle()

    assert (1, [2], 1, 0) == (wire.lost, handled.done, len(dead(client)), pending(client))


def test_an_entry_that_kills_the_process_is_buried_in_the_end(client: redis.Redis):
    """
    Each start dies in entry 2 without an exception, as under SIGKILL. The entry ends as a
    dead letter after five deaths alone; its innocent neighbours are all handled.
    """
    fill(client, "s", range(5))
    done: list[int] = []

    class Killed(BaseException):
        pass

    def handler(batch: Sequence[Entry]) -> None:
        if 2 in numbers(batch):
            raise Killed
        done.extend(numbers(batch))

    starts = 0
    while starts < 20:
        starts += 1
        loop = Loop(client, handler)
        loop.delivery._try = lambda batch: handler(batch)  # a death is not an exception that is caught
        try:
            loop.until_idle()
            break
        except Killed:
            continue

    assert [0, 1, 3, 4] == done
    assert [(b"2", b"5")] == [(letter[b"n"], letter[b"attempts"]) for letter in dead(client)]
    assert 2 + 5 + 1 == starts  # two with its neighbours, five alone, one that buries it


def test_restarts_are_no_evidence(client: redis.Redis):
    """Twenty restarts by people, with entries pending each time: nothing is buried."""
    fill(client, "s", range(3))
    for _ in range(20):
        StreamConsumer(client, subscription()).read()
    handled = Handled()

    Loop(client, handled).until_idle()

    assert ([0, 1, 2], []) == (handled.done, dead(client))


def test_a_letter_keeps_fields_that_bear_the_names_of_our_notes(client: redis.Redis):
    """An entry from elsewhere has its own ``reason`` and ``at``: both its fields and our notes survive."""
    client.xadd("s", {"n": 1, "reason": "theirs", "at": "noon"})

    Loop(client, Handled({1: [Hopeless("ours"), ...]})).until_idle()

    [letter] = dead(client)
    assert (b"Hopeless: ours", b"theirs", b"noon") == (letter[b"reason"], letter[b"entry.reason"], letter[b"entry.at"])


def test_a_lease_lost_in_the_middle_stops_between_two_entries(client: redis.Redis):
    """Entries handled one by one: after the lease is gone the next one is not begun."""
    fill(client, "s", range(4))
    held = [True]
    handled = Handled({0: [ValueError()]})

    def handler(batch: Sequence[Entry]) -> None:
        handled(batch)
        held[0] = numbers(batch) != [1]

    loop = Loop(client, handler, subscription(allowed=lambda: held[0]))
    loop.turn()
    loop.turn()

    assert ([0, 1], 2) == (handled.done, pending(client))


def test_a_classifier_that_fails_means_unexpected(client: redis.Redis):
    """The policy itself has a bug: the entry gets its five tries and the subscription lives."""
    fill(client, "s", [1, 2])
    handled = Handled({1: [ValueError(), ...]})
    loop = Loop(client, handled)

    def broken(error: Exception) -> None:
        raise ZeroDivisionError

    loop.delivery.classify = broken
    loop.until_idle()

    assert ([2], 5) == (handled.done, handled.batches.count([1]))
