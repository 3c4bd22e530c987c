"""How much dramatiq's Worker costs when a whole batch is one message.

The same entries are read, parsed and acknowledged by a bare XREADGROUP loop and by a
subscription of the broker, in turns, on one real server. Prints one JSON object with the
best round of each (the least disturbed by other programs); ``ratio`` is broker / bare loop.

    python -m benchmarks.streams_throughput [unix:///path/to.sock]

Without a URL a Valkey of its own is started and stopped. Takes under 20 seconds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import redis
from dramatiq import Worker

from streams.broker import StreamsBroker
from streams.clients import reading_client, writing_client
from streams.consumer import Entry, Subscription
from streams.delivery import Failure
from streams.embedded import find_valkey

ENTRIES, ROUNDS, COUNT = 40_000, 6, 500
BODY = json.dumps({"id": "0123456789abcdef", "symbol": "GOOG", "price": "123.45", "note": "x" * 120})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?")
    url = parser.parse_args().url
    if url:
        print(json.dumps(measure(url)))
    else:
        with own_server() as own_url:
            print(json.dumps(measure(own_url)))


def measure(url: str) -> dict[str, float]:
    """Return entries per second of both, and their ratio."""
    writer = writing_client(url)
    stream = f"benchmark-{time.time_ns()}"
    fill(writer, stream)
    bare, broker = [], []
    for n in range(ROUNDS):
        bare.append(ENTRIES / bare_loop(url, stream, f"bare{n}"))
        broker.append(ENTRIES / through_broker(url, stream, f"broker{n}"))
    writer.delete(stream)
    return {
        "broker_per_s": round(max(broker)),
        "bare_loop_per_s": round(max(bare)),
        "ratio": round(max(broker) / max(bare), 3),
        "entries": ENTRIES,
        "batch": COUNT,
    }


def fill(client: redis.Redis, stream: str) -> None:
    for _ in range(ENTRIES // 1000):
        with client.pipeline(transaction=False) as pipe:
            for _ in range(1000):
                pipe.xadd(stream, {"type": "T", "body": BODY})
            pipe.execute()


def bare_loop(url: str, stream: str, group: str) -> float:
    """Read and acknowledge everything with two commands a batch; return the seconds."""
    client = reading_client(url, 100)
    client.xgroup_create(stream, group, id="0")
    started, handled = time.perf_counter(), 0
    while handled < ENTRIES:
        reply: Any = client.xreadgroup(group, "c", {stream: ">"}, count=COUNT, block=100)
        for _, fields in reply[0][1]:
            json.loads(fields[b"body"])
        ids = [entry_id for entry_id, _ in reply[0][1]]
        client.xack(stream, group, *ids)
        handled += len(ids)
    return time.perf_counter() - started


def through_broker(url: str, stream: str, group: str) -> float:
    """Have a subscription handle everything under a Worker; return the seconds from its start."""
    broker, handled, is_done = StreamsBroker(url=url), [0], Event()

    def handler(batch: Sequence[Entry]) -> None:
        for entry in batch:
            json.loads(entry.fields[b"body"])
        handled[0] += len(batch)
        if handled[0] >= ENTRIES:
            is_done.set()

    broker.subscribe(
        Subscription(stream=stream, group=group, consumer="c", count=COUNT),
        handler,
        classify=lambda _: Failure.UNEXPECTED,
        on_dead=lambda _: None,
    )
    worker = Worker(broker, worker_timeout=50, worker_threads=1)
    started = time.perf_counter()
    worker.start()
    is_done.wait(20)
    seconds = time.perf_counter() - started
    worker.stop()
    broker.close()
    return seconds


@contextmanager
def own_server() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "s.sock"
        argv = [str(find_valkey()), "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder]
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as server:
            try:
                while not socket.exists():
                    time.sleep(0.01)
                yield f"unix://{socket}"
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
