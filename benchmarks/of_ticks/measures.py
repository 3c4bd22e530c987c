"""The five measurements, each on the same market; ``benchmarks.ticks`` says what they are."""

from __future__ import annotations

import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from sqlalchemy import text

from benchmarks.of_ticks.load import Producer, Ticks, Walks
from benchmarks.of_ticks.market import LARGE, Market
from benchmarks.of_ticks.watcher import Watcher
from cli.wiring import address
from streams.names import Stream, partitioned
from streams.progress import is_caught_up

TICKS: Final = partitioned(Stream.TICKS, 0)
#: What the bare loop reads at once.
BARE_COUNT: Final = 1000
FRAMES: Final = (1, 10)
#: A pace at which latencies are measured, in ticks a second.
CALM_RATE: Final = 10_000
_TICKS_OF_A_SECOND: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Size:
    """*backlog*: ticks to drain, in *rounds*; *seconds* of a paced load; *touches*: stops touched in a load."""

    backlog: int
    rounds: int
    seconds: float
    touches: int
    burst: int
    one_by_one: int


def row(what: str, measured: float | str | None, target: str | None = None) -> dict[str, Any]:
    return {"what": what, "measured": round(measured, 2) if isinstance(measured, float) else measured, "target": target}


@dataclass
class Bench:
    market: Market
    size: Size
    rate: int
    PARTS: ClassVar = ("capacity", "sustained", "decision", "order", "burst")
    producer: Producer = field(init=False)
    walks: Walks = field(init=False)
    watcher: Watcher = field(init=False)
    #: Held contracts whose stop nobody has touched yet.
    untouched: list[str] = field(init=False)

    def measure(self, only: Sequence[str]) -> dict[str, Any]:
        stack = self.market.stack
        self.producer = Producer(address(stack.settings, "redis_url").removeprefix("unix://").partition("?")[0])
        self.walks, self.untouched = Walks(self.market.contracts, seed=5), list(self.market.held)
        self.watcher = Watcher.on(stack.engine)
        self.market.start("exit")
        self._until_exit_reads()
        parts: Mapping[str, Callable[[], list[dict[str, Any]]]] = {
            "capacity": self.capacity,
            "sustained": self.sustained,
            "decision": self.decision,
            "order": self.order,
            "burst": self.burst,
        }
        found = []
        for name in only:
            rows = parts[name]()
            found.append({"part": name, "load": f"{os.getloadavg()[0]:.1f}", "rows": rows})
        self.watcher.stop()
        self.producer.close()
        machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {len(self.market.contracts)} contracts,"
        return {"machine": f"{machine} {len(self.market.held)} open positions at the start", "parts": found}

    # ------------------------------------------------------------ the parts

    def capacity(self) -> list[dict[str, Any]]:
        rows = []
        for frame in FRAMES:
            ours, bare, ours_us, bare_us = [], [], [], []
            for _ in range(self.size.rounds):
                ticks = self.walks.ticks(TICKS, self.size.backlog, frame)
                seconds, cpu_s = self._drain(ticks)
                ours.append(ticks.ticks / seconds)
                ours_us.append(cpu_s / ticks.ticks * 1e6)
                seconds, cpu_s = self._bare(self.walks.ticks("bare", self.size.backlog, frame))
                bare.append(ticks.ticks / seconds)
                bare_us.append(cpu_s / ticks.ticks * 1e6)
            name = f"quotes an entry: {frame}"
            target = f">={self.rate}"
            rows += [
                row(f"exit, ticks/s drained ({name})", round(max(ours)), target),
                row(f"bare loop, ticks/s drained ({name})", round(max(bare))),
                row(f"exit / bare loop ({name})", max(ours) / max(bare)),
                row(f"exit, processor us a tick ({name})", min(ours_us), f"<={1e6 / self.rate:.0f}"),
                row(f"bare loop, processor us a tick ({name})", min(bare_us)),
            ]
        return rows

    def sustained(self) -> list[dict[str, Any]]:
        rows = []
        for frame in FRAMES:
            ticks = self.walks.ticks(TICKS, int(self.rate * self.size.seconds), frame)
            *_, took = self.producer.paced(ticks, self.rate)
            ended = time.perf_counter()
            self._until_caught_up()
            behind_s = time.perf_counter() - ended
            name = f"quotes an entry: {frame}"
            rows += [
                row(
                    f"ticks/s offered for {self.size.seconds:.0f} s ({name})", round(ticks.ticks / took), f"{self.rate}"
                ),
                row(f"behind at their end, s ({name})", behind_s, "<0.1"),
            ]
        return rows

    def decision(self) -> list[dict[str, Any]]:
        ticks = self.walks.ticks(TICKS, int(CALM_RATE * self.size.seconds), 1)
        touched = [self.untouched.pop() for _ in range(self.size.touches)]
        added_ms, pending = {}, list(touched)
        before = self._measured()
        for passed_s in self.producer.paced(ticks, CALM_RATE):
            if pending and passed_s > self.size.seconds * (1 - len(pending) / (len(touched) + 1)):
                contract = pending.pop()
                [entry_id] = self.producer.send([self.walks.touch(TICKS, contract)])
                added_ms[contract] = int(entry_id.partition(b"-")[0])
        self._until_caught_up()
        written = self.watcher.until("written", touched)
        time.sleep(2.5)  # exit writes what it measured once a second
        to_order = [written[s] * 1000 - added_ms[s] for s in touched]
        after = self._measured()
        judged = {ms: count - before.get(ms, 0) for ms, count in after.items()}
        rate = f"at {CALM_RATE} ticks/s"
        return [
            row(f"tick to decision {rate}, p50 ms", _percentile(judged, 0.50)),
            row(f"tick to decision {rate}, p99 ms", _percentile(judged, 0.99), "<20"),
            row(f"touched stop to committed order {rate}, p50 ms", statistics.median(to_order)),
            row(f"touched stop to committed order {rate}, max ms", max(to_order)),
        ]

    def order(self) -> list[dict[str, Any]]:
        took_ms = []
        for _ in range(self.size.one_by_one):
            contract = self.untouched.pop()
            started = time.time()
            self.producer.send([self.walks.touch(TICKS, contract)])
            took_ms.append((self.watcher.until("taken", [contract])[contract] - started) * 1000)
            self.market.until(lambda: self._open_closes() == 0, "the close is filled")
        took_ms.sort()
        return [
            row("first touch of a stop to the order at Alpaca, p50 ms", statistics.median(took_ms)),
            row("first touch of a stop to the order at Alpaca, p99 ms", took_ms[int(len(took_ms) * 0.99)]),
            row("first touch of a stop to the order at Alpaca, max ms", took_ms[-1]),
        ]

    def burst(self) -> list[dict[str, Any]]:
        touched = [self.untouched.pop() for _ in range(self.size.touches)]
        calm = self.walks.ticks(TICKS, self.size.burst - len(touched), 1)
        commands = list(calm.commands)
        every = len(commands) // (len(touched) + 1)
        for n, contract in enumerate(touched):
            commands.insert((n + 1) * every, self.walks.touch(TICKS, contract))
        started = time.perf_counter()
        self.producer.pour(Ticks(commands, self.size.burst))
        self._until_caught_up()
        absorbed_s = time.perf_counter() - started
        self.market.until(lambda: self._open_closes() == 0, "the closes are filled")
        closes = self._closes_of(touched)
        return [
            row(f"burst of {self.size.burst} ticks absorbed, s", absorbed_s, "<2"),
            row("stops touched in it", len(touched)),
            row("of them with exactly one closing order", sum(n == 1 for n in closes.values()), str(len(touched))),
            row("other positions that were closed", self._closed_otherwise(), "0"),
        ]

    # ------------------------------------------------------------ small parts

    def _drain(self, ticks: Ticks) -> tuple[float, float]:
        """Let the exit find a backlog; return the seconds until it is gone, and its processor time."""
        exit_ = self.market.stack.children.process("exit")
        exit_.send_signal(signal.SIGSTOP)
        self.producer.pour(ticks)
        used, started = _cpu_s(exit_.pid), time.perf_counter()
        exit_.send_signal(signal.SIGCONT)
        self._until_caught_up()
        return time.perf_counter() - started, _cpu_s(exit_.pid) - used

    def _bare(self, ticks: Ticks) -> tuple[float, float]:
        client, url = self.market.stack.client, address(self.market.stack.settings, "redis_url")
        client.delete("bare")
        client.xgroup_create("bare", "bare", id="0", mkstream=True)
        words = [url, "bare", "bare", str(BARE_COUNT), str(len(ticks.commands)), *self.market.held]
        argv = [sys.executable, "-m", "benchmarks.of_ticks.bare", *words]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as loop:
            assert loop.stdin is not None and loop.stdout is not None  # noqa: S101, PT018 - they are pipes
            loop.stdout.readline()
            self.producer.pour(ticks)
            used = _cpu_s(loop.pid)
            loop.stdin.write("\n")
            loop.stdin.flush()
            seconds = float(loop.stdout.readline())
            cpu_s = _cpu_s(loop.pid) - used
        client.delete("bare")
        return seconds, cpu_s

    def _until_exit_reads(self) -> None:
        self.producer.send([self.walks.ticks(TICKS, 1, 1).commands[0]])
        self.market.until(lambda: is_caught_up(self.market.stack.client, {TICKS: ["exit"]}), "the exit reads")

    def _until_caught_up(self) -> None:
        while not is_caught_up(self.market.stack.client, {TICKS: ["exit"]}):
            self.market.stack.children.check()
            time.sleep(0.002)

    def _measured(self) -> dict[float, int]:
        """Return how many ticks exit has judged within how many milliseconds."""
        with self.market.stack.engine.connect() as tx:
            rows = tx.execute(text("SELECT le_ms, count AS n FROM latencies WHERE name = 'tick_to_decision_ms'"))
            return {float(r.le_ms): r.n for r in rows}

    def _open_closes(self) -> int:
        return self.market.count("SELECT count(*) FROM orders WHERE NOT opening AND ended_at IS NULL")

    def _closes_of(self, contracts: Sequence[str]) -> dict[str, int]:
        with self.market.stack.engine.connect() as tx:
            rows = tx.execute(
                text(
                    "SELECT symbol, count(*) AS n FROM orders WHERE NOT opening AND reason = 'stop'"
                    " AND account = :account AND symbol = ANY(:symbols) GROUP BY symbol"
                ),
                {"account": LARGE, "symbols": list(contracts)},
            )
            return {r.symbol: r.n for r in rows}

    def _closed_otherwise(self) -> int:
        with self.market.stack.engine.connect() as tx:
            return int(
                tx.execute(
                    text("SELECT count(*) FROM orders WHERE NOT opening AND symbol = ANY(:symbols)"),
                    {"symbols": self.untouched},
                ).scalar_one()
            )


def _percentile(counts: Mapping[float, int], share: float) -> float | None:
    """Return the upper edge of the bucket in which *share* of all is reached."""
    seen, wanted = 0, sum(counts.values()) * share
    for edge, count in sorted(counts.items()):
        seen += count
        if count and seen >= wanted:
            return edge
    return None


def _cpu_s(pid: int) -> float:
    """Return the processor time that a process has used, in seconds. Source: proc(5), /proc/pid/stat."""
    told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / _TICKS_OF_A_SECOND
