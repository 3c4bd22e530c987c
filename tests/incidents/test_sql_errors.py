"""One SQL error is the end of one attempt and of nothing else: R07, for every statement that gate and tracker send."""

# ruff: noqa: N802 - a test is named after its row

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, event

from db import accounts
from domain.account import TradingState
from domain.events import OrderFilled, RecommendationIssued
from tests.factories import LARGE, NOON, a_recommendation, some_limits
from tests.incidents.stage import Stage

ROOMY = some_limits(max_positions=500, max_exposure_usd=Decimal(350_000))
#: No transaction of gate or tracker is shorter; a hook that no longer hooks in would find fewer.
FEWEST = 10
#: What PostgreSQL refuses wherever it stands.
ERROR = "SELECT 1/0"


@contextmanager
def failing_at(engine: Engine, number: int) -> Iterator[list[str]]:
    """Let the statement with this *number* (from 1) be one that PostgreSQL refuses; yield what it was to be."""
    sent, failed = [0], list[str]()

    def instead(_: Any, __: Any, statement: str, parameters: Any, ___: Any, many: bool) -> tuple[str, Any]:
        sent[0] += 1
        if sent[0] != number:
            return statement, parameters
        failed.append(statement)
        return ERROR, [()] if many else ()

    event.listen(engine, "before_cursor_execute", instead, retval=True)
    try:
        yield failed
    finally:
        event.remove(engine, "before_cursor_execute", instead)


@dataclass
class Hit:
    """An actor in which the n-th statement of what is *aimed* at fails, in as many attempts as *times* says."""

    stage: Stage
    actor: Any
    aimed: Callable[[Any], bool]
    number: int
    times: int

    def handle(self, *given: Any) -> None:
        if not (self.times and self.aimed(given[0])):
            self.actor.handle(*given)
            return
        with failing_at(self.stage.engine, self.number) as failed:
            try:
                self.actor.handle(*given)
            finally:
                self.times -= len(failed)


#: Once: the message is tried again. Every time: it is buried after five attempts.
@pytest.mark.parametrize("times", [1, 1000], ids=["once", "every time"])
def test_R07_a_refused_statement_of_the_gate_ends_one_attempt(a_stage: Callable[..., Stage], times: int):
    """
    Each statement in turn fails on PostgreSQL while an opening is decided: decided at the next attempt, or a dead
    letter that says why, and nothing half. The recommendation behind it, in the same read, is approved.
    """
    stage = a_stage(limits={LARGE: ROOMY})
    gate = stage.gate

    def run(number: int) -> bool:
        def aimed(rec: RecommendationIssued) -> bool:
            return rec.recommendation_id == f"hit-{number}"

        stage.gate = hit = Hit(stage, gate, aimed, number, times)  # type: ignore[assignment]
        for name, symbol in ((f"hit-{number}", _symbol(2 * number)), (f"next-{number}", _symbol(2 * number + 1))):
            _recommend(stage, name, symbol)
        stage.deliver()
        assert ["approved"] == _outcomes(stage, f"next-{number}")
        if hit.times == times:
            return False
        dead = stage.rows("SELECT reason FROM dead_letters WHERE body LIKE :name", name=f'%"hit-{number}"%')
        assert ["approved"] * (times == 1) == _outcomes(stage, f"hit-{number}")
        assert (times > 1) == any("division by zero" in reason for reason in dead)
        return True

    assert FEWEST < _how_many(run)
    assert 0 == stage.unacknowledged()


@pytest.mark.parametrize("times", [1, 1000], ids=["once", "every time"])
def test_R07_a_refused_statement_of_the_tracker_ends_one_attempt(a_stage: Callable[..., Stage], times: int):
    """
    Each statement in turn fails while a fill is applied: applied at the next attempt, or a dead letter, and never
    a fill without its position. The fill behind it, in the same read, has its position.
    """
    stage = a_stage(limits={LARGE: ROOMY})
    tracker, brokerage = stage.tracker, stage.brokerages[LARGE]

    def run(number: int) -> bool:
        symbols = _symbol(2 * number), _symbol(2 * number + 1)
        for symbol in symbols:
            _recommend(stage, symbol, symbol)
        stage.deliver()

        def aimed(batch: list[Any]) -> bool:
            return any(isinstance(fact, OrderFilled) and fact.symbol == symbols[0] for fact in batch)

        stage.tracker = hit = Hit(stage, tracker, aimed, number, times)  # type: ignore[assignment]
        for order in brokerage.open_orders():
            brokerage.fill(order.broker_order_id)
        stage.deliver()
        stage.tracker = tracker
        assert 1 == _held(stage, symbols[1])
        fills = stage.one("SELECT count(*) FROM fills WHERE symbol = :symbol", symbol=symbols[0])
        dead = stage.rows("SELECT reason FROM dead_letters WHERE body LIKE :symbol", symbol=f"%{symbols[0]}%")
        assert fills == _held(stage, symbols[0])
        assert (fills == 0) == any("division by zero" in reason for reason in dead)
        assert times > 1 or fills == 1
        _active(stage)
        return bool(not fills if times > 1 else hit.times < times)

    assert FEWEST < _how_many(run)
    assert 0 == stage.unacknowledged()


def _how_many(run: Callable[[int], bool]) -> int:
    """Run it for the first statement, the second, and so on; return for how many there was one to fail."""
    number = 1
    while run(number):
        number += 1
    return number - 1


def _symbol(number: int) -> str:
    return f"AMD260220P{number:08d}"


def _recommend(stage: Stage, name: str, symbol: str) -> None:
    stage.prices[symbol] = (Decimal("7.10"), Decimal("7.20"))
    stage.publish("recommendations", a_recommendation(id=name, at=stage.now, symbol=symbol, qty=1))


def _outcomes(stage: Stage, name: str) -> list[Any]:
    return stage.rows("SELECT outcome FROM decisions WHERE recommendation = :name", name=name)


def _held(stage: Stage, symbol: str) -> int:
    found: int = stage.one("SELECT coalesce(sum(qty), 0)::integer FROM positions WHERE symbol = :symbol", symbol=symbol)
    return found


def _active(stage: Stage) -> None:
    """A dead fill lets nothing more open in its account: a person looks, and lifts it."""
    with stage.engine.begin() as tx:
        accounts.set_state(tx, LARGE, TradingState.ACTIVE, "test", "test", NOON)
