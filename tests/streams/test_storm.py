"""Seeded storms over a subscription and over tasks: lost replies and requests, restarts, failing handlers."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

import dramatiq
import pytest
import redis
from dramatiq import Message, Worker
from dramatiq.errors import ConnectionClosed

from streams.broker import StreamsBroker
from streams.clients import reading_client
from streams.consumer import Entry
from streams.hooks import DeadLetter
from tests.streams.kit import Hopeless, Loop, LossyWire, Unavailable, fill, numbers, pending, subscription

ENTRIES = 50
COMMANDS = (b"XREADGROUP", b"XACK", b"XPENDING", b"HINCRBY", b"s.g.dead", b"HMGET", b"XGROUP")


class Weather:
    """What goes wrong, drawn from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.poison = {n: self.random.choice([ValueError, Hopeless, SystemExit]) for n in self._some(5)}
        self.handled: list[int] = []
        self.rows: list[str] = []

    def handler(self, batch: Sequence[Entry]) -> None:
        for entry in batch:
            [n] = numbers([entry])
            if self.random.random() < 0.05:
                raise Unavailable
            if n in self.poison:
                raise self.poison[n]
            self.handled.append(n)

    def write_row(self, letter: DeadLetter) -> None:
        if self.random.random() < 0.3:
            raise Unavailable
        self.rows.append(letter.entry_id)

    def disturb(self, wire: LossyWire) -> None:
        chance = self.random.random()
        if chance < 0.15:
            wire.lose_request(self.random.choice(COMMANDS))
        elif chance < 0.4:
            wire.lose_reply_to(self.random.choice(COMMANDS))

    def _some(self, count: int) -> list[int]:
        return self.random.sample(range(ENTRIES), count)


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 60))])
def test_storm(wire: LossyWire, client: redis.Redis, seed: int):
    """
    Whatever is lost on the wire, wherever the process ends: every entry is handled or is one
    dead letter with a row, the first handling of each keeps the order, and nothing is left over.
    """
    weather = Weather(seed)
    left = list(range(ENTRIES))
    loop: Loop | None = None
    idle = 0
    for _ in range(3000):
        if loop is None or weather.random.random() < 0.03:
            sub = subscription(count=7, block_ms=2, retry_ms=0)
            loop = Loop(reading_client(wire.url, 2), weather.handler, sub, on_dead=weather.write_row)
        if left and weather.random.random() < 0.3:
            fill(client, "s", [left.pop(0) for _ in range(min(len(left), 10))])
        weather.disturb(wire)
        idle = 0 if loop.turn() or left else idle + 1
        if idle > 5 and not pending(client):
            break

    first_handling = list(dict.fromkeys(weather.handled))
    assert sorted(set(range(ENTRIES)) - weather.poison.keys()) == first_handling
    letters = [fields for _, fields in client.xrange("s.g.dead")]
    assert sorted(weather.poison) == [int(letter[b"n"]) for letter in letters]
    assert {letter[b"entry_id"].decode() for letter in letters} == set(weather.rows)
    assert (0, 0) == (pending(client), client.hlen("s.g.attempts"))
    assert wire.lost > 0


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 20))])
def test_storm_over_tasks(wire: LossyWire, client: redis.Redis, run_worker: Callable[..., Worker], seed: int):
    """
    Sent, delayed and failing tasks over a wire that loses requests and replies, under workers
    that stop and start: what was sent runs or is a dead letter, and nothing is left over.
    """
    weather, ran, sent = random.Random(seed), Counter[int](), set()
    broker = StreamsBroker(url=wire.url)

    @dramatiq.actor(broker=broker, min_backoff=5, max_backoff=20, max_retries=2)
    def task(n: int) -> None:
        ran[n] += 1
        if n % 7 == 0 or (n % 3 == 0 and ran[n] == 1):
            raise RuntimeError

    worker = run_worker(broker, threads=3)
    for n in range(80):
        fault = weather.choice([wire.lose_request, wire.lose_reply_to])
        fault(weather.choice([b"XADD", b"XREADGROUP", b"XACK", b"XDEL", b"ZADD", b"XPENDING", b"XCLAIM", b"ZRANGE"]))
        with suppress(ConnectionClosed):
            task.send_with_options(args=(n,), delay=weather.choice([None, 10, 50]))
            sent.add(n)
        if n in (30, 60):
            worker.stop()
            worker = run_worker(broker, threads=3)
    wire.calm()
    broker.join("default", timeout=10_000)

    dead = {Message.decode(f[b"message"]).args[0] for _, f in client.xrange("dramatiq:default.workers.dead")}
    assert sent <= ran.keys()
    assert {n for n in ran if n % 7 == 0} == dead
    assert (0, 0) == (client.xlen("dramatiq:default"), pending(client, "dramatiq:default", "workers"))
    assert wire.lost > 10
    broker.close()
