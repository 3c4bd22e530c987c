"""What is too old is refused together, without a question to the brokerage, and every reason is recorded (R09)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from actors.desk import Desk
from actors.gate import Gate
from actors.late import Late, Read
from actors.market import Market
from actors.pulse import of_recorded_day
from db import accounts
from db.decisions import AnotherBody
from domain.account import TradingState
from domain.events import Action, RecommendationIssued
from streams.codec import encode
from tests.factories import LARGE, NOON, PUT, TINY, a_recommendation, a_rule_book, some_limits
from tests.simulation.exchange import Exchange

OLD = NOON - timedelta(seconds=301)


class Unasked(Exchange):
    """A brokerage that nobody may ask."""

    def __getattribute__(self, name: str) -> Any:
        if name in {"account", "quotes", "contract", "sessions"}:
            raise AssertionError(f"{name} was asked")
        return super().__getattribute__(name)


@pytest.fixture
def late(engine: Engine) -> Late:
    with engine.begin() as tx:
        for name in (LARGE, TINY):
            accounts.configure(tx, name, some_limits(), NOON)
            accounts.set_state(tx, name, TradingState.ACTIVE, "test", "test", NOON)
    desk = Desk(engine=engine, clock=lambda: NOON, wall=lambda: NOON, origin="test", partitions=1)
    exchange: Any = Unasked(LARGE, Random(1), lambda: NOON, lambda _: None, lambda _: None, {})
    markets = {name: Market(exchange, lambda: NOON) for name in (LARGE, TINY)}
    return Late(Gate(desk, markets, a_rule_book(), of_recorded_day(desk)))


def read(number: int, **over: Any) -> Read:
    values: dict[str, Any] = {"id": f"rec-{number}", "at": OLD, "accounts": (LARGE, TINY)} | over
    return Read(a_recommendation(**values), NOON)


def rows(engine: Engine, statement: str) -> list[Any]:
    with engine.connect() as tx:
        return [tuple(row) for row in tx.execute(text(statement))]


def test_each_has_one_refusal_in_each_account_with_every_check(late: Late, engine: Engine):
    """Twenty in two accounts are forty decisions, written and announced in one transaction without a question."""
    commits: list[object] = []
    event.listen(engine, "commit", commits.append)

    late.refuse([read(n) for n in range(20)])

    assert 1 == len(commits)
    assert [("refused", 40)] == rows(engine, "SELECT outcome, count(*) FROM decisions GROUP BY outcome")
    assert [(20,)] == rows(engine, "SELECT count(*) FROM recommendations WHERE read_at > at")
    assert [("decisions", "RecommendationRefused", 40)] == rows(
        engine, "SELECT stream, type, count(*) FROM outbox GROUP BY stream, type"
    )
    [(observed, quote, checks)] = rows(
        engine,
        "SELECT jsonb_path_query_first(checks, '$[*] ? (@.gate == \"recommendation_is_fresh\")') ->> 'observed',"
        " jsonb_path_query_first(checks, '$[*] ? (@.gate == \"quote_is_fresh\")') ->> 'observed',"
        " jsonb_array_length(checks) FROM decisions WHERE recommendation = 'rec-7' AND account = 'tiny'",
    )
    assert ("301 s", "unknown: not asked: the recommendation is too old") == (observed, quote)
    assert checks >= 24


def test_again_they_are_not_answered_twice(late: Late, engine: Engine):
    """Delivered again with a new one among them: one more decision an account, not three."""
    late.refuse([read(1)])

    late.refuse([read(1), read(2), read(2)])

    assert [("rec-1", 2), ("rec-2", 2)] == rows(
        engine, "SELECT recommendation, count(*) FROM decisions GROUP BY 1 ORDER BY 1"
    )
    assert [(4,)] == rows(engine, "SELECT count(*) FROM outbox")


@pytest.mark.parametrize("together", [True, False])
def test_another_body_under_the_same_id_is_no_refusal(late: Late, engine: Engine, together: bool):
    """Nothing is written of the batch in which it stands: its neighbours are tried alone then."""
    if not together:
        late.refuse([read(1)])
    before = rows(engine, "SELECT count(*) FROM decisions")

    with pytest.raises(AnotherBody, match="rec-1"):
        late.refuse([read(0), *([read(1)] if together else []), read(1, qty=2)])

    assert before == rows(engine, "SELECT count(*) FROM decisions")


NOT_TOGETHER = {
    "fresh": {"at": NOON},
    "as old as it may be": {"at": NOON - timedelta(seconds=300)},
    "a SELL": {"action": Action.SELL, "symbol": PUT},
    "an unknown account": {"accounts": (LARGE, "nobody")},
}


@pytest.mark.parametrize("over", NOT_TOGETHER.values(), ids=NOT_TOGETHER.keys())
def test_what_the_gate_decides_one_by_one(late: Late, over: dict[str, Any]):
    """Order is kept on both sides."""
    batch = [read(1), read(2, **over), read(3), read(4, **over)]

    assert ([batch[1], batch[3]], [batch[0], batch[2]]) == late.split(batch)


def body(rec: RecommendationIssued) -> bytes:
    return encode(rec)["body"]


def test_only_what_is_surely_late_waits(late: Late):
    assert late.may_wait(body(a_recommendation(at=OLD)))
    assert not late.may_wait(body(a_recommendation(at=OLD + timedelta(seconds=1))))


UNREADABLE = [b"", b"{", b"[]", b"null", b"{}", b'{"at": 3}', b'{"at": "soon"}', b"\xff", b"[" * 100_000]
WITHOUT_A_ZONE = b'{"at": "2026-02-03T10:00:00"}'


@pytest.mark.parametrize("said", [*UNREADABLE, WITHOUT_A_ZONE], ids=range(10))
def test_what_cannot_be_read_does_not_wait(late: Late, said: bytes):
    """No time, no zone, no JSON: it is judged where everything is."""
    assert not late.may_wait(said)


def test_a_gate_that_passes_everything_refuses_nothing_silently(late: Late, engine: Engine, monkeypatch: Any):
    """What is too old may never pass: that would be a bug, and nothing is written."""
    monkeypatch.setattr("actors.late.review", lambda _: ())

    with pytest.raises(AssertionError, match="rec-1: every gate passes"):
        late.refuse([read(1)])

    assert [(0,)] == rows(engine, "SELECT count(*) FROM decisions")


def test_the_waiting_cost_no_dollar_and_no_lock(late: Late, engine: Engine):
    """Another decision holds the account meanwhile: nobody waits."""
    with engine.connect() as deciding, deciding.begin():
        accounts.lock(deciding, LARGE)
        late.refuse([read(1)])

    assert [(Decimal(0),)] == rows(engine, "SELECT coalesce(sum(usd), 0) FROM commitments")
