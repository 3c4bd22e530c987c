"""Killing those who evaluate during a crash of prices: every stop is left within the bound, and nothing closes twice.

Real processes on the wall clock, at a local Alpaca whose day is now. What is asserted is read from rows: when the price
fell through the stops is known, and so is when each closing order was written.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from actors.keeper import TTL_MS
from cli import run
from cli.children import Children
from cli.local_alpaca import LocalAlpaca
from cli.run import STANDBY, Stack, start_actor, start_actors
from cli.settings import SHIPPED, load
from cli.starting import bring_into_force
from streams.names import Stream
from streams.publish import publish
from tests.end_to_end.stack import until
from tests.end_to_end.today import a_call, a_day_that_is_now, quote, start_now

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PATIENCE_S = 120.0
CONTRACTS = tuple(a_call(strike) for strike in (440, 445, 450, 455, 460))
LEASE = "exit:ticks.{0}"
#: What a step may take on a busy machine beside what is promised: a look, a load, a tick that is published, a commit.
SLACK = timedelta(seconds=6)

#: What a process may need to start on a busy machine.
START = timedelta(seconds=20)


class Scene:
    """A stack of processes that nobody revives, five positions of it, and the brokerage that it trades at."""

    def __init__(self, stack: Stack, alpaca: LocalAlpaca, config: Path, within: timedelta) -> None:
        self.stack, self.alpaca, self.config, self.within = stack, alpaca, config, within

    def one(self, statement: str, **values: Any) -> Any:
        with self.stack.engine.connect() as tx:
            return tx.execute(text(statement), values).scalar()

    def rows(self, statement: str) -> list[Any]:
        with self.stack.engine.connect() as tx:
            return [tuple(row) for row in tx.execute(text(statement))]

    def until(self, holds: Any, what: str) -> None:
        until(holds, what, PATIENCE_S)

    # ------------------------------------------------------------ the stack

    @property
    def holder(self) -> str:
        """The instance that evaluates, as its lease says."""
        return str(self.one("SELECT holder FROM leases WHERE lease = :lease", lease=LEASE))

    def evaluator(self) -> str:
        """The process that evaluates: exit or the one that stands by."""
        return next(n for n in ("exit", STANDBY) if self.holder.endswith(f"-{self.pid(n)}"))

    def pid(self, name: str) -> int:
        return self.stack.children.process(name).pid

    def other(self) -> str:
        return STANDBY if self.evaluator() == "exit" else "exit"

    def kill(self, *names: str) -> None:
        for name in names:
            os.kill(self.pid(name), signal.SIGKILL)
            self.stack.children.process(name).wait()
            self.stack.children.forget(name)

    def start(self, *names: str) -> None:
        for name in names:
            start_actor(self.stack, self.config, "exit", name)

    def is_evaluated_in_time(self) -> bool:
        late = "SELECT count(*) FROM evaluations JOIN positions USING (position_id)"
        return 0 == self.one(f"{late} WHERE closed_at IS NULL AND due_at < clock_timestamp()")

    # ------------------------------------------------------------ the market

    def open_five(self) -> None:
        for contract in CONTRACTS:
            quote(self.alpaca, contract, "1.90", "2.00")
        for number, contract in enumerate(CONTRACTS):
            self.recommend(f"crash-{number}", contract)
        held = "SELECT count(*) FROM positions WHERE qty = 2"
        self.until(lambda: self.one(held) == len(CONTRACTS), "five positions are held")

    def recommend(self, name: str, contract: str) -> None:
        body = {
            "id": name,
            "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "source": "test",
            "accounts": ["large"],
            "underlying": "SPY",
            "instrument": "CALL",
            "action": "BUY",
            "symbol": contract,
            "qty": 2,
            "confidence": "0.80",
            "strategy": "day_trade",
        }
        fields = {"type": b"RecommendationIssued", "body": json.dumps(body).encode()}
        publish(self.stack.client, Stream.RECOMMENDATIONS, fields)

    def crash(self) -> datetime:
        """Prices halve and more: beyond the catastrophe stop. Return when."""
        crashed_at = datetime.now(UTC)
        for contract in CONTRACTS:
            quote(self.alpaca, contract, "0.80", "0.90")
        return crashed_at

    # ------------------------------------------------------------ what came of it

    def all_left(self) -> list[tuple[str, datetime]]:
        """Wait until everything is closed; return symbol and time of each closing order that was written."""
        self.until(lambda: 0 == self.one("SELECT count(*) FROM positions WHERE closed_at IS NULL"), "all is left")
        return self.rows("SELECT symbol, approved_at FROM orders WHERE NOT opening ORDER BY approved_at")

    def assert_left_once_within(self, since: datetime, bound: timedelta) -> None:
        """Each position by one closing order that sold what was held, none later than *bound* after *since*."""
        closes = self.all_left()
        assert sorted(CONTRACTS) == sorted(symbol for symbol, _ in closes)
        longest = max(at for _, at in closes) - since
        print(f"longest delay {longest.total_seconds():.1f} s of {bound.total_seconds():.0f} s")
        assert longest <= bound
        sold = "SELECT sum(qty) FROM fills WHERE side = 'sell'"
        assert 2 * len(CONTRACTS) == self.one(sold)
        assert ["catastrophe"] * len(CONTRACTS) == [
            reason for (reason,) in self.rows("SELECT exit_reason FROM positions")
        ]
        assert 0 == self.one("SELECT count(*) FROM dead_letters")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    shipped = load(SHIPPED, {})
    with ExitStack() as opened:
        outside = Children(tmp_path / "alpaca")
        opened.callback(outside.stop_all)
        day = a_day_that_is_now(tmp_path / "day", dict.fromkeys(CONTRACTS, "2.00"))
        alpaca = start_now(outside, day, shipped)
        config = tmp_path / "gapless.toml"
        said = SHIPPED.read_text().replace("[servers]", f'paper_url = "{alpaca.rest_url}"\n\n[servers]', 1)
        config.write_text(said.replace("watch = []", 'watch = ["SPY"]').replace("every_s = 30", "every_s = 2"))
        settings = load(config, {})
        served = opened.enter_context(run._servers(settings, tmp_path / "ledger"))
        stack = opened.enter_context(run._connected(served.settings, tmp_path / "ledger"))
        bring_into_force(served.settings, stack.engine, datetime.now(UTC))
        start_actors(stack, config)
        made = Scene(stack, alpaca, config, settings.interlock.evaluation_age)
        active = "SELECT count(*) FROM accounts WHERE state = 'active'"
        made.until(lambda: made.one(active) == 2, "entries pass")
        made.open_five()
        made.until(made.is_evaluated_in_time, "all is evaluated")
        yield made


def test_the_evaluator_is_killed_in_a_crash(scene: Scene):
    """
    Its standby takes over at twice the time at the latest and closes all five; until then entries stop
    and the account says why; afterwards they pass again although the dead one stays dead.
    """
    scene.kill(scene.evaluator())
    crashed_at = scene.crash()
    reasons = "SELECT count(*) FROM interlocks WHERE cause LIKE 'evaluat%'"
    scene.until(lambda: scene.one(reasons) > 0, "entries stop")

    scene.assert_left_once_within(crashed_at, 2 * scene.within + SLACK)
    scene.until(lambda: scene.one(reasons) == 0, "entries pass again")


def test_the_one_that_stands_by_is_killed_in_a_crash(scene: Scene):
    """Nobody misses it: the evaluator closes as ever."""
    scene.kill(scene.other())

    scene.assert_left_once_within(scene.crash(), SLACK)


def test_both_are_killed_in_a_crash(scene: Scene):
    """
    Nobody evaluates, entries stop and nothing closes by itself; once one of them runs again, what is past
    its stop is left as soon as it is up and the lease of the dead has run out.
    """
    scene.kill("exit", STANDBY)
    scene.crash()
    scene.until(lambda: not scene.is_evaluated_in_time(), "they are overdue")
    overdue = "SELECT count(*) FROM interlocks WHERE cause LIKE 'evaluation of%' AND account = 'large'"
    scene.until(lambda: scene.one(overdue) == len(CONTRACTS), "each of them is named")
    assert 0 == scene.one("SELECT count(*) FROM orders WHERE NOT opening")

    started_at = datetime.now(UTC)
    scene.start("exit")
    scene.assert_left_once_within(started_at, START + timedelta(milliseconds=TTL_MS) + SLACK)


def test_the_evaluator_hangs_in_a_crash_and_wakes_up_afterwards(scene: Scene):
    """It keeps its lease in the rows and does nothing: it is taken away. When it goes on, it closes nothing again."""
    hung, waiting = scene.evaluator(), scene.other()
    os.kill(scene.pid(hung), signal.SIGSTOP)
    try:
        crashed_at = scene.crash()
        scene.until(lambda: scene.holder.endswith(f"-{scene.pid(waiting)}"), "the other one has the lease")
    finally:
        os.kill(scene.pid(hung), signal.SIGCONT)

    scene.assert_left_once_within(crashed_at, 2 * scene.within + SLACK)
    assert scene.evaluator() == waiting
