"""Ticks as the feeds write them, made ahead and sent as bytes: the producer shares the machine, it must cost little."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Final

from domain.events import Quote, QuotesTicked
from domain.ids import FactId
from streams.codec import encode
from streams.names import TICKS_MAXLEN

#: Bids wander between these, in cents: inside every stop, target and trailing stop of a position opened at 2.00.
CALM: Final = (170, 240)
#: A bid beyond the stop of 40 %, inside the catastrophe stop of 50 %, in cents.
TOUCHING: Final = 118
#: What the producer does in one step, in seconds.
STEP_S: Final = 0.005

_numbers: Final = count()


@dataclass(frozen=True, slots=True)
class Ticks:
    """Commands that append *ticks* quotes; each command is one entry."""

    commands: Sequence[bytes]
    ticks: int


@dataclass(slots=True)
class Walks:
    """The bid of every contract, a step of a cent at a time."""

    contracts: Sequence[str]
    seed: int
    _bids: dict[str, int] = field(init=False)
    _rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._bids = dict.fromkeys(self.contracts, sum(CALM) // 2)

    def ticks(self, stream: str, number: int, frame: int) -> Ticks:
        """Return *number* ticks of random contracts, *frame* to an entry."""
        quotes = [self._step(self._rng.choice(self.contracts)) for _ in range(number)]
        frames = [quotes[n : n + frame] for n in range(0, number, frame)]
        return Ticks([xadd(stream, body(each)) for each in frames], number)

    def touch(self, stream: str, contract: str) -> bytes:
        """Return the command for one tick at which the stop of *contract* is touched."""
        return xadd(stream, body([(contract, TOUCHING)]))

    def _step(self, contract: str) -> tuple[str, int]:
        low, high = CALM
        self._bids[contract] = min(max(self._bids[contract] + self._rng.choice((-1, 0, 1)), low), high)
        return contract, self._bids[contract]


def body(quotes: Sequence[tuple[str, int]]) -> bytes:
    """Return what ``encode`` makes of these bids in cents; asks are a cent above."""
    at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    told = ",".join(
        f'{{"symbol":"{s}","bid":"{c // 100}.{c % 100:02}","ask":"{(c + 1) // 100}.{(c + 1) % 100:02}",'
        f'"bid_size":10,"ask_size":10,"at":"{at}"}}'
        for s, c in quotes
    )
    name = f"{next(_numbers):08}-0000-5000-8000-000000000000"
    return f'{{"id":"{name}","at":"{at}","schema":1,"feed":"option","quotes":[{told}]}}'.encode()


def require_like_encode() -> None:
    """Raise unless :func:`body` writes what the feeds would."""
    found = body([("ACME260220C00100000", 205)])
    name, at = found[7:43].decode(), found[51:].partition(b'"')[0].decode()
    moment = datetime.fromisoformat(at)
    quote = Quote(
        symbol="ACME260220C00100000", bid=Decimal("2.05"), ask=Decimal("2.06"), bid_size=10, ask_size=10, at=moment
    )
    theirs = encode(QuotesTicked(id=FactId(name), at=moment, schema=1, feed="option", quotes=(quote,)))["body"]
    if found != theirs:
        raise AssertionError(f"the benchmark writes {found!r}, the feeds {theirs!r}")


def xadd(stream: str, told: bytes) -> bytes:
    words = (b"XADD", stream.encode(), b"MAXLEN", b"~", b"%d" % TICKS_MAXLEN, b"*", b"type", b"QuotesTicked", b"body")
    packed = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in (*words, told))
    return b"*%d\r\n%b" % (len(words) + 1, packed)


@dataclass(slots=True)
class Producer:
    """One connection to the server's unix socket at *path*."""

    path: str
    _socket: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(self.path)

    def close(self) -> None:
        self._socket.close()

    def send(self, commands: Sequence[bytes]) -> list[bytes]:
        """Send *commands* and return their replies' ids."""
        self._socket.sendall(b"".join(commands))
        reply = b""
        while reply.count(b"\r\n") < 2 * len(commands):
            reply += self._socket.recv(1 << 20)
        if reply.startswith(b"-"):
            raise RuntimeError(reply.decode())
        return reply.split(b"\r\n")[1::2]

    def pour(self, ticks: Ticks) -> float:
        """Send everything as fast as the server takes it; return the seconds."""
        started = time.perf_counter()
        for n in range(0, len(ticks.commands), 500):
            self.send(ticks.commands[n : n + 500])
        return time.perf_counter() - started

    def paced(self, ticks: Ticks, per_s: float) -> Iterable[float]:
        """Send at *per_s* ticks a second; yield the seconds since the start after every step."""
        an_entry = ticks.ticks / len(ticks.commands)
        started, sent = time.perf_counter(), 0
        while sent < len(ticks.commands):
            due = min(int((time.perf_counter() - started) * per_s / an_entry), len(ticks.commands))
            for n in range(sent, due, 500):
                self.send(ticks.commands[n : min(n + 500, due)])
            sent = due
            yield time.perf_counter() - started
            time.sleep(STEP_S)
