"""Where the exit spends its time while it drains a backlog: its threads are looked at two hundred times a second.

Samples say where time passes, waiting included: for the servers, for the disk, and for the interpreter's lock. One
thread reads while the other one handles nothing, and the other way round: together they are about 100 %, and what is
more is one of them waiting for the other (``threading.py:wait``).
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

from benchmarks.of_ticks.load import Producer, Walks
from benchmarks.of_ticks.market import Market
from cli.wiring import Wiring, address
from streams.names import Stream, partitioned
from streams.progress import is_caught_up

EVERY_S: Final = 0.005
#: What a thread must use to be named, in microseconds a tick.
_TELLING_US: Final = 0.1
_MS_OF_A_TICK: Final = 1000 / os.sysconf("SC_CLK_TCK")
#: A worker that waits for a batch.
_IDLE: Final = f"{Path(queue.__file__).parent.name}/queue.py:get"
_ROOT: Final = Path(__file__).parents[2]


@dataclass
class Sampler:
    """*own*: how often a line of code was the innermost; *within*: how often a function was anywhere on the stack."""

    of: Callable[[], set[int]]
    own: Counter[str] = field(default_factory=Counter)
    within: Counter[str] = field(default_factory=Counter)
    samples: int = 0

    def look(self) -> None:
        threads = self.of()
        self.samples += 1
        for thread, frame in sys._current_frames().items():
            if thread in threads:
                self._count(frame)

    def _count(self, frame: FrameType | None) -> None:
        names = []
        while frame is not None:
            names.append(_name(frame))
            frame = frame.f_back
        if _IDLE in names:
            return
        self.own[names[0]] += 1
        self.within.update(set(names))


def profile(market: Market, ticks: int) -> str:
    """Drain a backlog in this process and return what the samples say."""
    stack, stream = market.stack, partitioned(Stream.TICKS, 0)
    producer = Producer(address(stack.settings, "redis_url").removeprefix("unix://").partition("?")[0])
    wiring = Wiring.of(stack.settings, stack.engine, stack.client)
    wiring.host("exit")
    wiring.runtime.start()
    walks = Walks(market.contracts, seed=5)
    backlog = walks.ticks(stream, ticks, 1)
    producer.pour(walks.ticks(stream, 20_000, 1))
    _until_caught_up(market, stream)
    sampler = Sampler(_working_threads)
    used, started, before = time.process_time(), time.perf_counter(), _cpu_ms()
    pouring = threading.Thread(target=producer.pour, args=(backlog,))
    pouring.start()
    while not is_caught_up(stack.client, {stream: ["exit"]}) or pouring.is_alive():
        for _ in range(10):
            sampler.look()
            time.sleep(EVERY_S)
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - used
    after = _cpu_ms()
    wiring.runtime.stop()
    lines = [
        f"{ticks / seconds:.0f} ticks/s, {cpu_s / ticks * 1e6:.1f} us of processor a tick (producer and sampler too)"
    ]
    lines += ["", "processor us a tick, by thread"]
    for name, ms in sorted(after.items(), key=lambda pair: before.get(pair[0], 0) - pair[1]):
        if (us := (ms - before.get(name, 0)) / ticks * 1000) >= _TELLING_US:
            lines.append(f"{us:7.2f}  {name}")
    for title, counts in (("innermost", sampler.own), ("on the stack", sampler.within)):
        lines += ["", title, *(f"{n / sampler.samples:6.1%}  {name}" for name, n in counts.most_common(40))]
    return "\n".join(lines)


def _until_caught_up(market: Market, stream: str) -> None:
    while not is_caught_up(market.stack.client, {stream: ["exit"]}):
        time.sleep(0.01)


def _working_threads() -> set[int]:
    """Those of dramatiq that read and handle ticks; timers and heartbeats are not the ticks'."""
    kinds = {thread: type(thread).__name__.strip("_") for thread in threading.enumerate()}
    return {
        thread.ident or 0
        for thread, kind in kinds.items()
        if kind == "WorkerThread" or (kind == "ConsumerThread" and "ticks" in getattr(thread, "queue_name", ""))
    }


def _cpu_ms() -> dict[str, float]:
    """Return the processor time of each thread, in ms. Source: proc(5), /proc/pid/task/tid/stat."""
    found = {}
    for thread in threading.enumerate():
        stat = Path(f"/proc/self/task/{thread.native_id}/stat")
        if stat.exists():
            told = stat.read_text().rpartition(")")[2].split()
            kind = f"{type(thread).__name__.strip('_')} {getattr(thread, 'queue_name', thread.name)}"
            found[f"{kind} ({thread.native_id})"] = (int(told[11]) + int(told[12])) * _MS_OF_A_TICK
    return found


def _name(frame: FrameType) -> str:
    file = Path(frame.f_code.co_filename)
    short = (
        file.relative_to(_ROOT)
        if file.is_relative_to(_ROOT) and ".venv" not in file.parts
        else "/".join(file.parts[-2:])
    )
    return f"{short}:{frame.f_code.co_name}"
