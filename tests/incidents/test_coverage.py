"""What was silently left out: the symbols nobody priced (R53), the signals nobody explained (R54), the zeros (R55).

That no data counts as bad in an alert is tested with the alerts: StateUnknown, ReconcileStale and
StaleTicksForOpenPosition each have a case without a series.
"""

# ruff: noqa: N802 - a test is named after its row

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest

from actors.gate import Gate
from cli.feeding import Feeding
from cli.why import why
from db import reasons
from domain.events import Action
from domain.exits import ExitReason
from streams.publish import publish
from tests.factories import LARGE, NOON, TINY, a_recommendation
from tests.incidents.stage import Stage

DAY = timedelta(days=1)


# ---------------------------------------------------------------- R53


def test_R53_what_is_subscribed_is_what_is_watched_held_or_ordered(stage: Stage):
    """
    One list: the watch list, what any account holds and what any account ordered; each comes with its order, stays
    with its position and leaves when that is closed. Feeds ask for it at every second of their clock.
    """
    feeding = Feeding(stage.engine, stage.client, stage.desk, ("SPY", "QQQ"), lambda: None)
    watched = {"SPY", "QQQ"}
    assert watched == set(feeding.wanted())

    _recommend(stage, "held", "AMD260220P00150000")
    _fill_all(stage)
    _recommend(stage, "ordered", "QCOM260220P00150000", accounts=(TINY,))
    # Where a feed cannot carry all, what is held goes before what is ordered, and both before what is watched.
    assert ("AMD260220P00150000", "QCOM260220P00150000", "SPY", "QQQ") == feeding.wanted()

    stage.sweep(after=2 * stage.entries.entry_ttl)  # what is unfilled is canceled
    stage.deliver()
    assert watched | {"AMD260220P00150000"} == set(feeding.wanted())

    _recommend(stage, "sold", "AMD260220P00150000", action=Action.SELL)
    assert watched | {"AMD260220P00150000"} == set(feeding.wanted())
    _fill_all(stage)
    assert [ExitReason.SIGNAL] == stage.rows("SELECT exit_reason FROM positions")
    assert watched == set(feeding.wanted())


# ---------------------------------------------------------------- R54


def test_R54_every_signal_of_a_day_is_in_exactly_one_group(stage: Stage):
    """
    A burst that partly passes, one for two accounts, one that is late, one that nobody can read, one on which the gate
    dies every time and one that is told twice: approved, refused, undecided or unreadable, and the groups add up.
    """
    stage.play("R03")
    _recommend(stage, "both", "QCOM260220P00150000", accounts=(LARGE, TINY))
    _recommend(stage, "late", "AMD260220P00150000", at=stage.now - timedelta(hours=1))
    _recommend(stage, "late", "AMD260220P00150000", at=stage.now - timedelta(hours=1))
    publish(stage.client, "recommendations", {"type": b"RecommendationIssued", "body": b'{"id": "broken"}'})
    stage.deliver()
    with mock.patch.object(Gate, "_decide", side_effect=ZeroDivisionError("a bug")):
        _recommend(stage, "cursed", "MU260220P00150000")

    found = _why(stage)
    counts = found["outcomes"]
    assert (12 + 2 + 1, 1) == (counts["approved"] + counts["refused"], counts["undecided"])
    assert 12 + 1 + 1 == counts["recommendations"]
    assert [1] == [row["count"] for row in found["unreadable"]]
    assert not any("a bug" in row["reason"] for row in found["unreadable"])
    explained = set(stage.rows("SELECT DISTINCT recommendation FROM decisions WHERE outcome = 'refused'"))
    assert explained == _refused_by_something(stage)
    assert "1 were read and are not decided yet" in found["answers"]


def test_R54_a_letter_that_was_put_back_counts_as_what_became_of_it(stage: Stage):
    """The gate gave up on it, a person had it decided: it is refused or approved now, and no longer unreadable."""
    publish(stage.client, "recommendations", {"type": b"RecommendationIssued", "body": b'{"id": "again"}'})
    stage.deliver()
    assert [1] == [row["count"] for row in _why(stage)["unreadable"]]

    with stage.engine.begin() as tx:
        tx.exec_driver_sql("UPDATE dead_letters SET state = 'requeued', state_reason = 'test'")
    assert [] == _why(stage)["unreadable"]


def _refused_by_something(stage: Stage) -> set[Any]:
    """Whoever was refused has a check that failed, and each such check is a group of the answer."""
    gates = {row["gate"] for row in _why(stage)["refusals"]}
    rows = stage.rows(
        "SELECT recommendation, c ->> 'gate' FROM decisions, jsonb_array_elements(checks) AS c"
        " WHERE outcome = 'refused' AND NOT (c ->> 'passed')::boolean"
    )
    return {name for name, gate in rows if gate in gates}


# ---------------------------------------------------------------- R55


@pytest.mark.parametrize("read", [1, 3])
def test_R55_something_read_and_nothing_decided_is_said(stage: Stage, read: int):
    """The gate lives and decides nothing: not an idle day, but so many without an outcome, in every answer."""
    with mock.patch.object(Gate, "_decide", return_value=((), None)):
        for number in range(read):
            _recommend(stage, f"rec-{number}", "AMD260220P00150000")

    assert 0 == stage.unacknowledged()
    answers = _why(stage)["answers"]
    assert f"{read} were read and are not decided yet" in answers
    assert not any("no recommendation was read" in answer for answer in answers)
    with stage.engine.connect() as tx:
        assert read == len(reasons.undecided(tx))


def test_R55_an_idle_day_is_said_too(stage: Stage):
    """Nothing read is another answer than nothing decided, and an actor that never beat is no actor that is well."""
    answers = _why(stage)["answers"]

    assert any("no recommendation was read" in answer for answer in answers)
    assert "gate has never run" in answers


def _why(stage: Stage) -> Any:
    with stage.engine.connect() as tx:
        session: Any = mock.Mock(desk=stage.desk)
        return why(tx, session, None, min(stage.now, NOON) - DAY, stage.now)


def _recommend(stage: Stage, name: str, symbol: str, **over: Any) -> None:
    """Recommend one contract of *symbol* in the large account, at 1.90 to 2.00."""
    stage.prices[symbol] = (Decimal("1.90"), Decimal("2.00"))
    rec = a_recommendation(**{"id": name, "at": stage.now, "symbol": symbol, "qty": 1} | over)
    stage.publish("recommendations", rec)
    stage.deliver()


def _fill_all(stage: Stage) -> None:
    for brokerage in stage.brokerages.values():
        for order in brokerage.open_orders():
            brokerage.fill(order.broker_order_id)
    stage.deliver()
