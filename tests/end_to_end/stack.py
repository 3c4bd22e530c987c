"""A whole stack for one test: real Valkey, PostgreSQL and local Alpaca, every actor, and the control port in reach.

It starts what ``cli.run`` starts for a recorded day, on the session's servers instead of embedded ones. The day is
played by the product's own driver; a test may act at any step of it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from unittest import mock

import requests
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, text

from cli import run
from cli.acts import publish as publish_outbox
from cli.day import Day, read_days
from cli.documents import verify
from cli.driver import Driver, driver_of, recommendation_fields
from cli.local_alpaca import LocalAlpaca
from cli.paper_control import PaperControl
from cli.patience import PATIENCE_S, Patience
from cli.report import report
from cli.run import Stack
from cli.settings import SHIPPED, Settings, load
from cli.wiring import ACTORS, Wiring
from db import schema
from streams.names import FED_KEY, Stream
from streams.publish import publish_many
from tests.paper.days import DAY, STOCK, Row, write_day
from tests.servers import Killable

#: An empty read blocks this long: what a stop has to wait for.
STOPS_WITHIN_MS: Final = 100


def at(clock: str) -> datetime:
    """A UTC time of the test day."""
    return datetime.fromisoformat(f"{DAY}T{clock}").replace(tzinfo=UTC)


class Enough(Exception):
    """The test has seen what it wanted; the rest of the day is not played."""


def until(holds: Callable[[], Any], what: str, timeout_s: float = 20.0) -> float:
    """Wait until *holds*; return how many seconds it took."""
    started = time.monotonic()
    while not holds():
        if time.monotonic() - started > timeout_s:
            raise AssertionError(f"after {timeout_s:.0f} s still not: {what}")
        time.sleep(0.01)
    return time.monotonic() - started


@dataclass
class Running:
    """A running stack. *engine* is the test's own: it survives a restart of the database."""

    stack: Stack
    alpaca: LocalAlpaca
    day: Day
    engine: Engine
    driver: Driver
    wiring: Wiring | None
    _waiting: dict[datetime, Callable[[], object]] = field(default_factory=dict)
    _played: bool = False

    # ------------------------------------------------------------ the day

    def play(self, doing: Mapping[str, Callable[[], object]] | None = None) -> None:
        """Play the day to its end; at the first step at or after each time of *doing*, do that."""
        self._waiting = {at(clock): act for clock, act in (doing or {}).items()}
        if not self._played:
            self.driver.begin(self.day.start)
        self._played = True
        try:
            self.driver.play([self.day])
        except Enough:
            return
        assert not self._waiting, f"never came to {sorted(self._waiting)}"

    def play_to(self, clock: str) -> None:
        """Play the day until the first step at or after *clock*, and leave it there."""
        self.play({clock: self._stop})

    @staticmethod
    def _stop() -> None:
        raise Enough

    def on_step(self, now: datetime) -> None:
        self.stack.children.check()
        for moment in sorted(m for m in self._waiting if m <= now):
            self._waiting.pop(moment)()

    def rest(self) -> None:
        """Wait until nothing is under way."""
        self.driver.quiet.wait()

    def recommend(self, *lines: str) -> None:
        """Put lines on the stream of recommendations, in one batch, without waiting."""
        publish_many(self.stack.client, [(Stream.RECOMMENDATIONS, recommendation_fields(line)) for line in lines])

    def publish(self) -> None:
        """Let out what a lever decided."""
        assert self.wiring is not None
        publish_outbox(self.wiring.desk, self.stack.client)

    # ------------------------------------------------------------ the local Alpaca

    def control(self, method: str, path: str, /, **body: Any) -> Any:
        answer = requests.request(method, self.alpaca.control_url + path, json=body or None, timeout=20)
        assert answer.ok, answer.text
        return answer.json()

    def broker(self, path: str, account: str = "large", **params: Any) -> Any:
        keys = {"APCA-API-KEY-ID": account, "APCA-API-SECRET-KEY": "paper"}
        answer = requests.get(self.alpaca.rest_url + path, headers=keys, params=params, timeout=20)
        assert answer.ok, answer.text
        return answer.json()

    def posted(self) -> list[dict[str, Any]]:
        """Bodies of the orders that were posted and answered, in order."""
        entries = self.control("GET", "/journal")["entries"]
        posts = [e for e in entries if e["kind"] == "request" and (e["method"], e["path"]) == ("POST", "/v2/orders")]
        return [e["body"] for e in posts]

    def executed(self) -> list[tuple[str, str, int]]:
        """The brokerage's truth: account, symbol and signed quantity of every execution."""
        return sorted(
            (str(account), a["symbol"], int(a["qty"]) * (1 if a["side"] == "buy" else -1))
            for account in self.stack.settings.account_names()
            for a in self.broker("/v2/account/activities/FILL", account)
        )

    def forget_frames(self) -> None:
        """Say that the frames whose count was lost with Redis were read: nobody needs to wait for them."""
        sent = self.control("GET", "/idle")["sent"]
        counts = {"stock": sent["stock"], "option": sent["option"]}
        counts |= {f"trade_updates:{account}": number for account, number in sent["trade_updates"].items()}
        self.stack.client.hset(FED_KEY, mapping=counts)

    # ------------------------------------------------------------ the rows

    def rows(self, statement: str, **values: Any) -> list[Any]:
        """Return rows as tuples, or plain values where there is one column."""
        with self.engine.connect() as tx:
            found = [tuple(row) for row in tx.execute(text(statement), values)]
        return [row[0] if len(row) == 1 else row for row in found]

    def report(self) -> dict[str, Any]:
        with self.engine.connect() as tx:
            return report(tx)

    def assert_rows_equal_the_broker(self) -> None:
        """Every execution is a row, positions are what the brokerage holds, and rows agree with each other."""
        signed = "CASE side WHEN 'buy' THEN qty ELSE -qty END"
        assert self.executed() == sorted(self.rows(f"SELECT account, symbol, {signed} FROM fills"))
        for account in self.stack.settings.account_names():
            held = {p["symbol"]: int(p["qty"]) for p in self.broker("/v2/positions", account)}
            ours = self.rows("SELECT symbol, qty FROM positions WHERE account = :a AND closed_at IS NULL", a=account)
            assert held == dict(ours)
        with self.engine.connect() as tx:
            assert [] == verify(tx)["mismatches"]
        document = self.report()
        assert (0, []) == (document["breaches"], document["drift"])

    # ------------------------------------------------------------ processes

    def kill(self, actor: str) -> None:
        """End an actor's process without a chance to say goodbye."""
        self.stack.children._running[actor].process.kill()
        self.stack.children.forget(actor)

    def start(self, actor: str) -> None:
        """Start an actor's process again, as it was."""
        with mock.patch.object(run, "ACTORS", (actor,)):
            run.start_actors(self.stack, SHIPPED)


@contextmanager
def a_stack(
    folder: Path,
    day: Path,
    redis_url: str,
    database_url: str,
    *,
    as_processes: bool = False,
    entries: Mapping[str, Any] | None = None,
    strategies: Mapping[str, Any] | None = None,
    config: Path = SHIPPED,
    gates: int = 0,
    paper_options: Sequence[str] = (),
) -> Iterator[Running]:
    """Run a stack on *day*; *entries* replaces settings of that section, *strategies* those of every strategy.

    Processes read *config* alone. *gates*: this many gates are processes ``gate-0``, ``gate-1``, ..., the other actors
    live here.
    """
    settings = _settings(load(config, {}), redis_url, database_url, entries or {}, strategies or {})
    [read] = read_days([day])
    with run._recorded(settings, [read], folder, paper_options) as (stack, alpaca):
        wiring = None if as_processes else _hosted(stack, [a for a in ACTORS if not (gates and a == "gate")])
        if as_processes:
            run.start_actors(stack, config)
        for number in range(gates):
            run.start_actor(stack, config, "gate", f"gate-{number}")
        engine = create_engine(database_url, pool_pre_ping=True)
        running = _running(stack, alpaca, read, engine, wiring)
        try:
            yield running
        finally:
            running.control("DELETE", "/faults")
            if wiring is not None:
                wiring.runtime.stop()
            engine.dispose()


def _settings(
    read: Settings, redis_url: str, database_url: str, entries: Mapping[str, Any], strategies: Mapping[str, Any]
) -> Settings:
    addresses = {"redis_url": SecretStr(redis_url), "database_url": SecretStr(database_url)}
    changed = {
        "servers": read.servers.model_copy(update=addresses),
        "entries": read.entries.model_copy(update=dict(entries)),
        "strategies": {name: s.model_copy(update=dict(strategies)) for name, s in read.strategies.items()},
    }
    return read.model_copy(update=changed)


def _hosted(stack: Stack, actors: Sequence[str]) -> Wiring:
    wiring = Wiring.of(stack.settings, stack.engine, stack.client)
    wiring.runtime.block_ms = STOPS_WITHIN_MS
    for actor in actors:
        wiring.host(actor)
    wiring.runtime.start()
    return wiring


def _running(stack: Stack, alpaca: LocalAlpaca, day: Day, engine: Engine, wiring: Wiring | None) -> Running:
    paper = PaperControl(alpaca.control_url)
    patience = Patience(PATIENCE_S, stack.children.check)
    driver = driver_of(
        stack.settings, engine, stack.client, paper, patience, speed=None, on_step=lambda now: running.on_step(now)
    )
    running = Running(stack, alpaca, day, engine, driver, wiring)
    return running


def a_day(folder: Path, recommendations: Sequence[str], quotes: Sequence[Row], **files: Any) -> Path:
    """Write a day folder with its recommendations."""
    made = write_day(folder, quotes=sorted(quotes), trades=(), **files)
    session = json.loads((made / "session.json").read_text())
    (made / "session.json").write_text(json.dumps(session | {"underlying": STOCK}))
    (made / "recommendations.jsonl").write_text("".join(f"{line}\n" for line in recommendations))
    return made


def kill_and_start(server: Killable) -> None:
    """Kill -9 and start again at once, while backends may still be at work."""
    server.kill()
    server.start()


def migrated(database_url: str) -> str:
    """Bring an empty database to head; return its address."""
    schema.upgrade(database_url)
    return database_url
