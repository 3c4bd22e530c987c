"""How long a decision takes, from XADD to its commit, and how many a second there are, with one gate and with four.

Gates are processes as ``gapless actor gate`` runs them, on embedded Valkey and PostgreSQL that wait for the disk, and
ask a local Alpaca over HTTP. Latency is measured one recommendation at a time, throughput with all at once. A bare loop
does the same commits in the same run: it reads an entry, commits one row twice, acknowledges, and commits once more,
as a gate does for the recommendation, for its decision and for what it publishes. The moment of a commit is the arrival
of a NOTIFY that a trigger sends with it.

Then a backlog of stale recommendations is put before one gate, with a fresh one in the middle and one at the end.
Prints one JSON object, times in milliseconds.

    python -m benchmarks.decisions [--recommendations 300] [--stale 10000] [--profile]

``--profile`` prints, instead, where one decision spends its time, in this process and without streams.
"""

from __future__ import annotations

import argparse
import cProfile
import gzip
import json
import pstats
import select
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from actors.clocks import set_recorded_clock
from actors.gate import Gate
from actors.market import Market
from actors.pulse import of_recorded_day
from cli import local_alpaca, run
from cli.driver import recommendation_fields
from cli.paper_control import PaperControl
from cli.run import Stack
from cli.settings import SHIPPED, Settings, load
from cli.starting import bring_into_force
from cli.wiring import Wiring, address
from db import accounts
from domain.account import TradingState
from streams.clients import reading_client
from streams.codec import decode
from streams.names import Stream
from streams.publish import publish, publish_many

DAY, NOW = "2026-02-03", datetime.fromisoformat("2026-02-03T14:40:00+00:00")
CONTRACTS = [f"ACME260220C{strike:05d}000" for strike in range(50, 100)]
#: One commit a step: what the trigger says when a decision, or a row of the bare loop, is there.
CHANNEL = "decided"
_TRIGGER = f"""
CREATE TABLE IF NOT EXISTS bare_loop (id text, step integer);
CREATE OR REPLACE FUNCTION say_decided() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_notify('{CHANNEL}', NEW.recommendation); RETURN NULL; END $$;
CREATE TRIGGER say_decided AFTER INSERT ON decisions FOR EACH ROW EXECUTE FUNCTION say_decided();
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recommendations", type=int, default=300)
    parser.add_argument("--stale", type=int, default=10_000)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    with a_market() as (stack, config):
        if given.profile:
            profile(stack, given.recommendations)
        else:
            print(json.dumps(measure(stack, config, given.recommendations, given.stale), indent=2))


def measure(stack: Stack, config: Path, number: int, stale: int) -> dict[str, Any]:
    bench = Bench(stack)
    found: dict[str, Any] = {"recommendations": number, "bare_loop": bench.bare_loop(number)}
    for gates in (1, 4):
        while len(bench.gates) < gates:
            bench.start_gate(config)
        found[f"gates_{gates}"] = bench.latencies(f"{gates}-each", number) | {
            "per_s": round(bench.throughput(f"{gates}-all", number * 3))
        }
    bare_ms = found["bare_loop"]["p50_ms"]
    found["p50_ratio_of_one_gate"] = round(found["gates_1"]["p50_ms"] / bare_ms, 2)
    while len(bench.gates) > 1:
        bench.stop_gate()
    found["backlog"] = bench.backlog(stale)
    return found


@dataclass
class Bench:
    """One set of servers, on which everything is measured."""

    stack: Stack

    def __post_init__(self) -> None:
        self.gates: list[str] = []
        with self.stack.engine.begin() as tx:
            tx.execute(text(_TRIGGER))
        self.listening: Any = self.stack.engine.raw_connection().driver_connection
        self.listening.autocommit = True
        self.listening.cursor().execute(f"LISTEN {CHANNEL}")

    # ------------------------------------------------------------ gates

    def start_gate(self, config: Path) -> None:
        name = f"gate-{len(self.gates)}"
        run.start_actor(self.stack, config, "gate", name)
        self.gates.append(name)
        held = (
            "SELECT count(*) FROM leases WHERE lease LIKE 'gate:recommendations:%' AND expires_at > clock_timestamp()"
        )
        while self._one(held) < len(self.gates):
            self.stack.children.check()
            time.sleep(0.05)

    def stop_gate(self) -> None:
        name = self.gates.pop()
        self.stack.children.process(name).terminate()
        self.stack.children.forget(name)

    def latencies(self, name: str, number: int) -> dict[str, float]:
        """One after the other: from before XADD to the commit."""
        took = []
        for n in range(number + 20):
            started = time.perf_counter()
            publish(self.stack.client, Stream.RECOMMENDATIONS, recommendation_fields(a_line(f"{name}-{n}", n)))
            self._until_told({f"{name}-{n}"})
            took.append((time.perf_counter() - started) * 1000)
        return _percentiles(took[20:])

    def throughput(self, name: str, number: int) -> float:
        """All at once: decisions a second."""
        lines = [a_line(f"{name}-{n}", n) for n in range(number)]
        started = time.perf_counter()
        self._publish(lines)
        self._until_told({f"{name}-{n}" for n in range(number)})
        return number / (time.perf_counter() - started)

    def backlog(self, number: int) -> dict[str, float]:
        """Stale ones with a fresh one in their middle and one behind them: how long the fresh ones took."""
        lines = [a_line(f"stale-{n}", n, NOW - timedelta(seconds=900)) for n in range(number)]
        half = number // 2
        started = time.perf_counter()
        self._publish(lines[:half])
        middle_at = time.perf_counter()
        self._publish([a_line("fresh-middle", 1)])
        self._publish(lines[half:])
        behind_at = time.perf_counter()
        self._publish([a_line("fresh-behind", 2)])
        told = self._until_told({"fresh-middle", "fresh-behind", *(f"stale-{n}" for n in range(number))})
        return {
            "stale": number,
            "fresh_in_the_middle_ms": round((told["fresh-middle"] - middle_at) * 1000),
            "fresh_behind_ms": round((told["fresh-behind"] - behind_at) * 1000),
            "stale_per_s": round(number / (max(told.values()) - started)),
        }

    # ------------------------------------------------------------ the bare loop

    def bare_loop(self, number: int) -> dict[str, float]:
        """Read, commit, commit, acknowledge, commit; latency is up to the second commit."""
        stream, reader = "bare-loop", reading_client(_redis_url(self.stack), 100)
        reader.xgroup_create(stream, "bare", id="0", mkstream=True)
        took, started_all = [], time.perf_counter()
        for n in range(number + 20):
            started = time.perf_counter()
            publish(self.stack.client, stream, recommendation_fields(a_line(f"bare-{n}", n)))
            reply: Any = reader.xreadgroup("bare", "c", {stream: ">"}, count=10, block=100)
            self._commit(n, 1)
            self._commit(n, 2)
            took.append((time.perf_counter() - started) * 1000)
            reader.xack(stream, "bare", *[entry_id for entry_id, _ in reply[0][1]])
            self._commit(n, 3)
        return _percentiles(took[20:]) | {"per_s": round((number + 20) / (time.perf_counter() - started_all))}

    def _commit(self, n: int, step: int) -> None:
        with self.stack.engine.begin() as tx:
            tx.execute(text("INSERT INTO bare_loop VALUES (:id, :step)"), {"id": f"bare-{n}", "step": step})

    # ------------------------------------------------------------ small parts

    def _publish(self, lines: Sequence[str]) -> None:
        for n in range(0, len(lines), 500):
            chosen = lines[n : n + 500]
            publish_many(self.stack.client, [(Stream.RECOMMENDATIONS, recommendation_fields(line)) for line in chosen])

    def _until_told(self, names: set[str]) -> dict[str, float]:
        """Return when each of *names* was committed."""
        told: dict[str, float] = {}
        while names - told.keys():
            if not select.select([self.listening], [], [], 5)[0]:
                self.stack.children.check()
                continue
            self.listening.poll()
            now = time.perf_counter()
            told |= {notice.payload: now for notice in self.listening.notifies}
            self.listening.notifies.clear()
        return told

    def _one(self, statement: str) -> int:
        with self.stack.engine.connect() as tx:
            return int(tx.execute(text(statement)).scalar_one())


def profile(stack: Stack, number: int) -> None:
    """Decide in this thread and print what took longest."""
    wiring = Wiring.of(stack.settings, stack.engine, stack.client)
    markets = {name: Market(port, wiring.clock) for name, port in wiring.brokerages(wiring.budgets("gate")).items()}
    gate = Gate(wiring.desk, markets, stack.settings.rule_book(), of_recorded_day(wiring.desk))
    facts = [
        decode({k.encode(): v for k, v in recommendation_fields(a_line(f"p-{n}", n)).items()}) for n in range(number)
    ]
    gate.handle(facts[0], NOW)
    profiler = cProfile.Profile()
    profiler.enable()
    for fact in facts[1:]:
        gate.handle(fact, NOW)
        wiring.runtime.publish()
    profiler.disable()
    pstats.Stats(profiler).strip_dirs().sort_stats("cumulative").print_stats(45)


def a_line(name: str, n: int, at: datetime = NOW) -> str:
    body = {
        "id": name,
        "at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "source": "benchmark",
        "accounts": ["large"],
        "underlying": "ACME",
        "instrument": "CALL",
        "action": "BUY",
        "symbol": CONTRACTS[n % len(CONTRACTS)],
        "qty": 1,
        "confidence": "0.80",
        "strategy": "day_trade",
    }
    return json.dumps(body)


def _percentiles(took_ms: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(took_ms, n=100)
    return {"p50_ms": round(cuts[49], 2), "p99_ms": round(cuts[98], 2)}


def _redis_url(stack: Stack) -> str:
    return address(stack.settings, "redis_url")


@contextmanager
def a_market() -> Iterator[tuple[Stack, Path]]:
    """Servers, a local Alpaca at NOW and an active account; no actor runs yet."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "benchmark.toml"
        config.write_text(SHIPPED.read_text().replace("requests_per_minute = 200", "requests_per_minute = 10000000"))
        settings = _recorded(load(config, {}))
        with run.connected_servers(settings, folder / "ledger") as stack:
            alpaca = local_alpaca.start(stack.children, [_a_day(folder / "day")], settings)
            brokerage = settings.brokerage.model_copy(update={"paper_url": alpaca.rest_url})
            servers = stack.settings.servers
            ours = settings.model_copy(update={"brokerage": brokerage, "servers": servers})
            set_recorded_clock(stack.client, NOW)
            PaperControl(alpaca.control_url).move_to(NOW)
            bring_into_force(ours, stack.engine, NOW)
            with stack.engine.begin() as tx:
                for account in ours.account_names():
                    accounts.set_state(tx, account, TradingState.ACTIVE, "benchmark", "benchmark", NOW)
            yield Stack(ours, folder, stack.engine, stack.client, stack.children), config


def _recorded(settings: Settings) -> Settings:
    stack = settings.stack.model_copy(update={"clock": "recorded"})
    return settings.model_copy(update={"stack": stack})


def _a_day(folder: Path) -> Path:
    folder.mkdir()
    session = {"date": DAY, "open": f"{DAY}T14:30:00Z", "close": f"{DAY}T21:00:00Z", "early_close": False}
    (folder / "session.json").write_text(json.dumps(session))
    head = "symbol,underlying,type,strike,expiration,last_trading_day,style,multiplier,open_interest,quotes,trades"
    rows = [f"{s},ACME,CALL,{int(s[-8:]) // 1000},2026-02-20,2026-02-20,american,100,1,0,0" for s in CONTRACTS]
    (folder / "contracts.csv").write_text("\n".join([head, *rows]) + "\n")
    quotes = [f"{DAY}T14:39:00.000Z,{s},1.00,1.10,10,10,ba" for s in CONTRACTS]
    _write(folder / "quotes.csv.gz", "ts,symbol,bid,ask,bid_size,ask_size,upd", quotes)
    _write(folder / "underlying.csv.gz", "ts,symbol,bid,ask,pairs", [f"{DAY}T14:39:00.000Z,ACME,99.9,100.1,1"])
    _write(folder / "trades.csv.gz", "ts,symbol,price,size,open,high,low", [])
    return folder


def _write(path: Path, head: str, rows: Sequence[str]) -> None:
    path.write_bytes(gzip.compress("\n".join([head, *rows, ""]).encode()))


if __name__ == "__main__":
    main()
