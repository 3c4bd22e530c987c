"""Every alert made to fire by its real cause and to resolve: a running stack, a real Prometheus and Alertmanager.

Actors are processes on the wall clock, the brokerage is the local Alpaca, servers are the embedded ones. The rules
wait as long as they are shipped to; so the whole takes about eight minutes:

    python -m pytest -s tests/monitoring/test_alerts_for_real.py
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from unittest import mock

import pytest
import requests
from pydantic import SecretStr
from sqlalchemy import text

from cli import acts, letters, local_alpaca
from cli.children import Children
from cli.local_alpaca import LocalAlpaca
from cli.run import PROCESSES, STANDBY, Stack, connected_servers, start_actors
from cli.settings import SHIPPED, load
from cli.starting import bring_into_force
from cli.wiring import ACTORS, make_desk
from db import decisions, exit_plans, positions, schema, sessions
from domain.account import TradingState
from domain.ids import AccountName
from domain.session import session_of
from monitoring.families import ALL, UNHANDLED
from streams.codec import encode
from streams.names import Stream
from streams.publish import publish
from tests.end_to_end.today import a_call, a_day_that_is_now, control, quote, start_now
from tests.factories import a_recommendation
from tests.monitoring.alerts import NAMES
from tests.monitoring.tools import alertmanager, need
from tests.monitoring.watchtower import Watchtower, free_port, watching
from tests.servers import Killable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

LARGE, TINY = AccountName("large"), AccountName("tiny")
#: Who offers metrics, one port after the other: either gate may be the one that counts a refusal.
SECOND_GATE = "second gate"
SCRAPED = (*PROCESSES, SECOND_GATE)
#: What each contract is offered at, in dollars a share.
ASKS: Final = {a_call(450 + n): "2.10" for n in range(8)}
KEPT, LOST, CHANGED, SHORT, FIRST, SECOND, UNREAD, UNSEEN = ASKS
#: Alerts on what happened, not on what is, end five minutes after it.
RECENT_S: Final = 330.0
#: Comparisons come often, so that nobody has to wait for them; the local Alpaca is asked for more a minute.
FASTER: Final = {"GAPLESS_STACK__RECONCILE_EVERY_S": "10", "GAPLESS_BROKERAGE__REQUESTS_PER_MINUTE": "1000"}


@dataclass
class Scene:
    """The running stack and who watches it."""

    stack: Stack
    alpaca: LocalAlpaca
    tower: Watchtower
    database: Killable
    started: float = field(default_factory=time.monotonic)
    seen: dict[str, str] = field(default_factory=dict)

    # ------------------------------------------------------------ what is done to it

    def control(self, path: str, /, **body: Any) -> Any:
        return control(self.alpaca, path, **body)

    def recommend(self, name: str, symbol: str, qty: int = 2, account: str = LARGE) -> None:
        """Quote *symbol* and recommend to buy it."""
        quote(self.alpaca, symbol, "2.00", "2.10")
        body = {
            "id": name,
            "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "source": "test",
            "accounts": [account],
            "underlying": "SPY",
            "instrument": "CALL",
            "action": "BUY",
            "symbol": symbol,
            "qty": qty,
            "confidence": "0.80",
            "strategy": "day_trade",
        }
        self.publish(json.dumps(body).encode())

    def publish(self, body: bytes) -> None:
        publish(self.stack.client, Stream.RECOMMENDATIONS, {"type": b"RecommendationIssued", "body": body})

    def open(self, symbol: str) -> None:
        """Hold two contracts of *symbol* in the large account; what fills in two parts needs a second quote."""
        self.recommend(f"open-{symbol}", symbol)
        self.until(lambda: self.held(symbol) > 0, f"{symbol} is held")
        quote(self.alpaca, symbol, "2.00", "2.10")
        self.until(lambda: self.held(symbol) == 2, f"{symbol} is held")
        self._say(symbol, "is held")

    def book(self, account: str, do: str, symbol: str, qty: int, **more: Any) -> None:
        """Open or change a position at the brokerage behind our back."""
        self.control("/book", account=account, do=do, symbol=symbol, qty=qty, **more)

    def heal(self) -> None:
        """The brokerage is well again."""
        requests.delete(self.alpaca.control_url + "/faults", timeout=10).raise_for_status()

    def signal(self, signum: signal.Signals, *names: str) -> None:
        for name in names:
            os.kill(self.stack.children.process(name).pid, signum)

    def set_state(self, account: AccountName, state: TradingState) -> None:
        acts.set_states(self.desk, [account], state, "test", "test")
        acts.publish(self.desk, self.stack.client)

    # ------------------------------------------------------------ what is seen

    @property
    def desk(self) -> Any:
        return make_desk(self.stack.settings, self.stack.engine, lambda: datetime.now(UTC))

    def one(self, statement: str, **values: Any) -> Any:
        with self.stack.engine.connect() as tx:
            return tx.execute(text(statement), values).scalar()

    def refusals(self) -> Any:
        """What the gates said, for whoever reads a failure."""
        return self.one(
            "SELECT jsonb_agg(jsonb_build_object(recommendation, item ->> 'gate', 'saw', item ->> 'observed'))"
            " FROM decisions, jsonb_array_elements(checks) AS item WHERE NOT (item ->> 'passed')::boolean"
        )

    def held(self, symbol: str) -> int:
        return self.one("SELECT qty FROM positions WHERE symbol = :s AND closed_at IS NULL", s=symbol) or 0

    def until(self, holds: Any, what: str, timeout_s: float = 40) -> None:
        until = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < until, f"never: {what}; refused: {self.refusals()}"
            time.sleep(0.1)

    def fires(self, name: str, timeout_s: float = 60, **labels: str) -> None:
        self.tower.await_firing(name, timeout_s, **labels)
        self._say(name, f"fires {labels or ''}")

    def ends(self, name: str, timeout_s: float = 60) -> None:
        self.tower.await_resolved(name, timeout_s)
        self.seen[name] = "fired and resolved"
        self._say(name, "resolved")

    def _say(self, name: str, what: str) -> None:
        print(f"{time.monotonic() - self.started:6.1f} s  {name} {what}", flush=True)


@pytest.fixture
def scene(tmp_path: Path, killable_database: Killable, killable_redis: Killable) -> Iterator[Scene]:
    """A stack on the wall clock with an exporter, watched."""
    need("prometheus")
    alertmanager()
    schema.upgrade(killable_database.url)
    base = load(SHIPPED, {})
    outside = Children(tmp_path / "outside")
    try:
        stack_settings = base.stack.model_copy(
            update={"reconcile_every_s": 10, "metrics_port": free_port(len(SCRAPED))}
        )
        asked = base.brokerage.model_copy(update={"requests_per_minute": 1000})
        addresses = {"redis_url": SecretStr(killable_redis.url), "database_url": SecretStr(killable_database.url)}
        servers = base.servers.model_copy(update=addresses)
        settings = base.model_copy(update={"stack": stack_settings, "brokerage": asked, "servers": servers})
        alpaca = start_now(outside, a_day_that_is_now(tmp_path / "day", ASKS), settings)
        at_paper = asked.model_copy(update={"paper_url": alpaca.rest_url})
        settings = settings.model_copy(update={"brokerage": at_paper})
        with connected_servers(settings, tmp_path / "ledger") as stack:
            bring_into_force(settings, stack.engine, datetime.now(UTC))
            with mock.patch.dict(os.environ, FASTER):
                start_actors(stack, SHIPPED)
            jobs = {"exporter": [_exporter(stack, outside)], "actors": _actors(stack)}
            with watching(tmp_path / "tower", outside, jobs) as tower:
                yield Scene(stack, alpaca, tower, killable_database)
    finally:
        outside.stop_all()


def _environment(stack: Stack) -> dict[str, str]:
    """What a process of ours finds its servers by."""
    servers, paper_url = stack.settings.servers, stack.settings.brokerage.paper_url
    assert servers.redis_url
    assert servers.database_url
    return local_alpaca.environment() | {
        "GAPLESS_CONFIG": str(SHIPPED),
        "GAPLESS_REDIS_URL": servers.redis_url.get_secret_value(),
        "GAPLESS_DATABASE_URL": servers.database_url.get_secret_value(),
        "GAPLESS_BROKERAGE__PAPER_URL": paper_url or "",
    }


def _exporter(stack: Stack, children: Children) -> str:
    words = [sys.executable, "-P", "-m", "cli", "exporter", "--port", "0"]
    process = children.start("exporter", words, env=_environment(stack), stdout=subprocess.PIPE)
    assert process.stdout is not None
    address = process.stdout.readline().decode().strip()
    return address.removeprefix("http://").removesuffix("/metrics")


def _actors(stack: Stack) -> list[str]:
    return [f"127.0.0.1:{stack.settings.stack.metrics_port + n}" for n in range(len(SCRAPED))]


def test_every_alert_fires_by_its_cause_and_resolves(scene: Scene):
    """
    Nothing rings while all is well, but the Watchdog. Then each cause is made and taken away, and what was rung is
    rung off; at the end nothing is left, and everything that was scraped is in the list of metrics and nothing else.
    """
    all_is_well(scene)
    what_happened(scene)
    who_is_silent(scene)
    what_was_not_closed(scene)
    who_decides(scene)
    what_the_brokerage_has(scene)
    who_contradicts_whom(scene)
    what_is_old(scene)
    what_waits_for_the_open(scene)
    no_database(scene)
    all_is_well_again(scene)


def all_is_well(s: Scene) -> None:
    """Two accounts are compared and active, three positions are held, and only the Watchdog is heard."""
    s.until(lambda: s.one("SELECT count(*) FROM accounts WHERE state = 'active'") == 2, "accounts are active")
    beats = "SELECT count(DISTINCT actor) FROM heartbeats WHERE actor = ANY(:actors)"
    s.until(lambda: s.one(beats, actors=list(ACTORS)) == len(ACTORS), "everybody is alive")
    for symbol in (KEPT, CHANGED, LOST):
        s.open(symbol)
    s.fires("Watchdog")
    s.until(lambda: s.tower.told.all_firing() == {"Watchdog"}, "only the watchdog")
    assert {"watchdog"} == s.tower.told.receivers["Watchdog"]


def what_happened(s: Scene) -> None:
    """A person halts an account, a second build decides, a recommendation is broken, and one meets no quotes."""
    s.set_state(TINY, TradingState.HALTED)
    _second_gate(s)

    s.publish(b'{"id": "broken"}')
    s.fires("DeadLetters", stream="recommendations")
    dead = s.one("SELECT dead_id FROM dead_letters WHERE state = 'waiting'")
    letters.drop(s.stack.engine, s.stack.client, dead, "test", "test")
    s.ends("DeadLetters")

    _undecided(s)
    s.control("/faults", path="/v1beta1/options/quotes/latest", do="status", status=500, count=50)
    s.recommend("unseen", UNSEEN)
    s.fires("GateBlind", account="large", gate="quote_is_fresh")
    s.heal()


def _undecided(s: Scene) -> None:
    """A gate died an hour ago between reading and deciding; the producer repeats what it had said."""
    asked = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    rec = a_recommendation(id="undecided", at=asked, accounts=(LARGE,))
    fields = encode(rec)
    with s.stack.engine.begin() as tx:
        decisions.remember(tx, rec.recommendation_id, json.loads(fields["body"]), asked, asked)
    s.fires("UndecidedRecommendations", account="large")
    publish(s.stack.client, Stream.RECOMMENDATIONS, fields)
    s.ends("UndecidedRecommendations")


def _second_gate(s: Scene) -> None:
    """Another copy of gate, with another limit of the spread."""
    port = str(s.stack.settings.stack.metrics_port + SCRAPED.index(SECOND_GATE))
    env = _environment(s.stack) | {"GAPLESS_ENTRIES__MAX_SPREAD_PCT": "29", "GAPLESS_STACK__METRICS_PORT": port}
    s.stack.children.start(SECOND_GATE, [sys.executable, "-P", "-m", "cli", "actor", "gate"], env=env)


def who_is_silent(s: Scene) -> None:
    """The small account cannot be read; tracker and exit stand still while a fill comes and positions are held."""
    s.control("/faults", path="/v2/positions", account="tiny", do="status", status=503, count=1000)
    s.signal(signal.SIGSTOP, "tracker", "exit", STANDBY)
    s.recommend("unread", UNREAD)
    s.fires("FillNotApplied", stream="fills.{0}")
    s.fires("PositionUnprotected", account="large")
    s.fires("ActorDown", actor="exit")
    s.fires("ActorDown", actor="tracker")
    s.fires("StreamStuck", stream="fills.{0}", group="tracker")
    s.signal(signal.SIGCONT, "tracker", "exit", STANDBY)
    for name in ("FillNotApplied", "PositionUnprotected", "ActorDown", "StreamStuck"):
        s.ends(name)
    assert 2 == s.held(UNREAD)


def what_was_not_closed(s: Scene) -> None:
    """While a close is on its way to the brokerage, the position that it is to close vanishes there."""
    s.control("/faults", method="POST", path="/v2/orders", do="slow", when="before", seconds=3)
    quote(s.alpaca, LOST, "0.80", "0.90")
    closing = "SELECT count(*) FROM orders WHERE symbol = :s AND NOT opening AND status = 'submitting'"
    s.until(lambda: s.one(closing, s=LOST), "the close is on its way")
    s.book("large", "change", LOST, 0)
    s.fires("OrderIntentMismatch", account="large")
    s.fires("CloseRejected", account="large")
    s.until(lambda: s.held(LOST) == 0, "the rows follow the brokerage", 90)


def who_decides(s: Scene) -> None:
    """The halt, the second build and the account that nobody can read have lasted long enough to be told of."""
    s.fires("AccountNotActive", 90, account="tiny")
    s.fires("MixedVersions", 90)
    s.stack.children.process(SECOND_GATE).terminate()
    s.stack.children.forget(SECOND_GATE)
    s.set_state(TINY, TradingState.ACTIVE)
    s.ends("AccountNotActive")
    s.ends("MixedVersions")
    s.fires("ReconcileStale", 180, account="tiny")
    s.heal()
    s.ends("ReconcileStale")


def what_the_brokerage_has(s: Scene) -> None:
    """Its book is changed behind our back: less of one, a short, and more than the small account may hold."""
    s.book("large", "change", CHANGED, 1)
    s.book("tiny", "open", SHORT, -1, price="2.00")
    s.fires("UnexpectedShortPosition", account="tiny", symbol=SHORT)
    s.fires("PositionAtBrokerNotInDatabase", account="tiny")
    s.fires("PositionQuantityMismatch", account="large")
    s.until(lambda: (s.held(CHANGED), s.held(SHORT)) == (1, -1), "the rows follow the brokerage")
    s.ends("PositionAtBrokerNotInDatabase")
    s.ends("PositionQuantityMismatch")
    s.book("tiny", "change", SHORT, 0)
    s.ends("UnexpectedShortPosition")

    s.book("tiny", "open", FIRST, 11, price="2.00")
    s.book("tiny", "open", SECOND, 1, price="2.00")
    s.fires("PositionCountOverLimit", account="tiny")
    s.fires("ExposureOverLimit", account="tiny")
    s.book("tiny", "change", FIRST, 0)
    s.book("tiny", "change", SECOND, 0)
    s.ends("PositionCountOverLimit")
    s.ends("ExposureOverLimit")


def who_contradicts_whom(s: Scene) -> None:
    """The socket of options is mute while a price falls: REST tells another one of the same few seconds."""
    quote(s.alpaca, KEPT, "2.00", "2.10")
    s.control("/streams", stream="option", do="mute")
    quote(s.alpaca, KEPT, "1.60", "1.70")
    s.fires("PriceDivergence", account="large", symbol=KEPT)
    s.control("/streams", stream="option", do="unmute")
    quote(s.alpaca, KEPT, "1.60", "1.70")
    s.ends("PriceDivergence")


def what_is_old(s: Scene) -> None:
    """Nobody has quoted the first position for five minutes; what happened in the beginning is no longer recent."""
    s.fires("StaleTicksForOpenPosition", RECENT_S, account="large", symbol=KEPT)
    for symbol in (KEPT, CHANGED, UNREAD):
        quote(s.alpaca, symbol, "2.00", "2.10")
    s.ends("StaleTicksForOpenPosition")
    for name in ("GateBlind", "OrderIntentMismatch", "CloseRejected"):
        s.ends(name, RECENT_S)


def what_waits_for_the_open(s: Scene) -> None:
    """The calendar says that the market has closed when a rule asks: held over night, and closed at the open."""
    with s.stack.engine.begin() as tx:
        [held] = [row for row in positions.all_open(tx) if row.symbol == UNREAD]
        today = session_of(sessions.around(tx, datetime.now(UTC)), datetime.now(UTC))
        assert today is not None
        sessions.keep(tx, [replace(today, close=datetime.now(UTC))])
        exit_plans.mark_triggered(tx, held.position_id, "stop", datetime.now(UTC))
    s.fires("CloseWaitsForOpen", account="large")
    with s.stack.engine.begin() as tx:
        sessions.keep(tx, [today])
    s.until(lambda: s.held(UNREAD) == 0, "it is closed at the open")
    s.ends("CloseWaitsForOpen")


def no_database(s: Scene) -> None:
    """PostgreSQL is killed: the exporter says so, and everything else that it knows is gone."""
    s.database.kill()
    s.fires("StateUnknown", source="postgres")
    assert [] == s.tower.ask("query", query="gapless_account_exposure_usd")["result"]
    s.database.start()
    s.ends("StateUnknown")


def all_is_well_again(s: Scene) -> None:
    """Each alert but the Watchdog has fired and resolved; what was scraped is what is written down."""
    assert {*NAMES} == {*s.seen, "Watchdog"}
    for symbol in (KEPT, CHANGED, UNREAD):
        quote(s.alpaca, symbol, "2.00", "2.10")
    s.until(lambda: s.tower.told.all_firing() == {"Watchdog"}, "only the watchdog", 120)
    written = {name for family in ALL for name in _series(family.name, family.kind)}
    assert set() == s.tower.metrics_seen() - written
    # Nothing was booked that no rule of ours knows, and then it has no series.
    assert {UNHANDLED.name} == written - s.tower.metrics_seen()


def _series(name: str, kind: str) -> list[str]:
    return [f"{name}_{part}" for part in ("bucket", "sum", "count")] if kind == "histogram" else [name]
