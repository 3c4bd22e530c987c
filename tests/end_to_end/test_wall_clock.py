"""The stack as it trades for real: actors as processes on the wall clock, at an Alpaca whose day is now."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from cli.children import Children, Interrupted
from cli.local_alpaca import LocalAlpaca
from cli.run import Stack, run_at_alpaca
from cli.settings import SHIPPED, Settings, load
from streams.names import Stream
from streams.publish import publish
from tests.end_to_end.today import a_call, a_day_that_is_now, quote, start_now

pytestmark = pytest.mark.slow

CONTRACT = a_call(450)
PATIENCE_S = 120.0


@pytest.fixture
def alpaca_children(tmp_path: Path) -> Iterator[Children]:
    """The process of the local Alpaca, for a test that kills it."""
    children = Children(tmp_path / "alpaca")
    yield children
    children.stop_all()


@pytest.fixture
def alpaca(tmp_path: Path, alpaca_children: Children) -> LocalAlpaca:
    """A local Alpaca whose clock runs as ours."""
    day = a_day_that_is_now(tmp_path / "day", {CONTRACT: "2.10"})
    return start_now(alpaca_children, day, load(SHIPPED, {}))


def settings_at(alpaca: LocalAlpaca) -> Settings:
    shipped = load(SHIPPED, {})
    at_paper = shipped.brokerage.model_copy(update={"paper_url": alpaca.rest_url})
    stack = shipped.stack.model_copy(update={"watch": ("SPY",), "reconcile_every_s": 2})
    return shipped.model_copy(update={"brokerage": at_paper, "stack": stack})


class Script:
    """What the test does while the stack runs: each step waits for its condition, then acts."""

    def __init__(self, *steps: tuple[str, Callable[[Stack], bool], Callable[[Stack], object]]) -> None:
        self.steps, self.until = list(steps), time.monotonic() + PATIENCE_S

    def __call__(self, stack: Stack, _: datetime) -> None:
        if not self.steps:
            raise Interrupted(signal.SIGTERM)
        what, holds, act = self.steps[0]
        if holds(stack):
            act(stack)
            self.steps.pop(0)
            self.until = time.monotonic() + PATIENCE_S
        assert time.monotonic() < self.until, f"never: {what}"


def one(stack: Stack, sql: str) -> Any:
    with stack.engine.connect() as tx:
        return tx.execute(text(sql)).scalar()


def is_active(stack: Stack) -> bool:
    """Reconciled, and everybody who must be alive has shown it."""
    beating = one(stack, "SELECT count(DISTINCT actor) FROM heartbeats WHERE actor NOT IN ('gate', 'interlock')")
    return one(stack, "SELECT state FROM accounts WHERE account = 'large'") == "active" and beating == 5


def is_open(stack: Stack) -> bool:
    return one(stack, "SELECT qty FROM positions WHERE closed_at IS NULL") == 3


def is_closed(stack: Stack) -> bool:
    return one(stack, "SELECT exit_reason FROM positions") == "catastrophe"


def recommend(stack: Stack) -> None:
    body = {
        "id": "wall-1",
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "source": "test",
        "accounts": ["large"],
        "underlying": "SPY",
        "instrument": "CALL",
        "action": "BUY",
        "symbol": CONTRACT,
        "qty": 3,
        "confidence": "0.80",
        "strategy": "day_trade",
    }
    fields = {"type": b"RecommendationIssued", "body": json.dumps(body).encode()}
    publish(stack.client, Stream.RECOMMENDATIONS, fields)


def kill(stack: Stack, *actors: str) -> None:
    for actor in actors:
        os.kill(stack.children.process(actor).pid, signal.SIGKILL)


def test_a_position_is_opened_tracked_and_left_on_the_wall_clock(alpaca: LocalAlpaca, tmp_path: Path):
    """
    From XADD to the closing fill with every actor a process on its own timers. While the position is held, exit,
    tracker and executor are killed: they come back, and the price that halves is noticed and sold.
    """
    script = Script(
        (
            "the account is reconciled",
            is_active,
            lambda stack: (quote(alpaca, CONTRACT, "2.00", "2.10"), recommend(stack)),
        ),
        ("three contracts are held", is_open, lambda stack: kill(stack, "exit", "tracker", "executor")),
        ("they are back", is_open, lambda _: (time.sleep(1), quote(alpaca, CONTRACT, "0.90", "1.00"))),
        ("the position is closed", is_closed, lambda _: None),
    )

    def finish(stack: Stack) -> tuple[Any, Any]:
        return one(stack, "SELECT realized_pnl_usd FROM positions"), one(stack, "SELECT count(*) FROM dead_letters")

    settings, ledger = settings_at(alpaca), tmp_path / "ledger"
    realized_usd, dead = run_at_alpaca(settings, SHIPPED, ledger, script, finish, lambda _: None)

    assert (-360, 0) == (realized_usd, dead)
