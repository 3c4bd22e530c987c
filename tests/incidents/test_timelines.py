"""The life of a position is whole in its timeline, from the recommendation to the dollars: incidents on stage."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from actors import policies
from cli.documents import life
from db import positions
from db.views import Rows
from domain.exits import Rung
from domain.ids import PositionId
from tests.factories import LARGE, a_policy, a_quote, some_limits, ticked
from tests.incidents.make_fixtures import MSFT_PUT
from tests.incidents.stage import FIXTURES, Stage

ROOMY = some_limits(max_positions=10, max_exposure_usd=Decimal(100_000), max_daily_loss_usd=Decimal(100_000))
ALL = sorted(path.stem for path in FIXTURES.glob("*.jsonl"))


def timelines(stage: Stage) -> list[Rows]:
    """The events of every position that there was."""
    with stage.engine.connect() as tx:
        ids = stage.rows("SELECT DISTINCT position_id FROM orders ORDER BY position_id")
        return [life(tx, position, stage.now)["items"] for position in ids]


def of(events: Rows, name: str) -> Rows:
    return [event for event in events if event["event"] == name]


@pytest.mark.parametrize("name", ALL)
def test_every_incident_is_told_from_its_rows(a_stage: Callable[..., Stage], name: str):
    """
    Whatever happened: nothing comes before its cause, every order and every execution is there once, each order that
    ended says how, a position says by which policy it is left, and its end says why and for how much.
    """
    stage = a_stage(limits={LARGE: ROOMY} if name.startswith("R21") else {})
    stage.play(name)
    for events in timelines(stage):
        written = [e["order_id"] for e in of(events, "order written")]
        ended = {e["order_id"] for e in of(events, "order ended")}
        filled = [e["fill_id"] for e in of(events, "filled")]

        times = [datetime.fromisoformat(e["at"]) for e in events]
        assert sorted(times) == times
        assert len(written) == len(set(written)) >= len(ended)
        assert len(filled) == len(set(filled))
        assert {e["order_id"] for e in of(events, "filled")} <= set(written)
        assert len(of(events, "policy stored")) == (1 if filled else 0)
        assert events[0]["event"] == "recommended" or events[0]["external"]
        if of(events, "closed"):
            assert ["best and worst", "closed"] == [e["event"] for e in events[-2:]]
            assert {"exit_reason", "realized_pnl_usd"} <= set(events[-1])
    told = sum(len(of(events, "filled")) for events in timelines(stage))
    assert told == stage.one("SELECT count(*) FROM fills WHERE source <> 'adjustment'")


def test_a_stop_is_told_with_what_the_rule_saw(stage: Stage):
    """L08, word by word: what was reserved, which policy, what the rule saw, the close with its type, its fills."""
    stage.play("L08")
    [events] = timelines(stage)
    opening, closing = of(events, "order written")
    [trigger], [end] = of(events, "exit triggered"), of(events, "closed")

    assert [
        *("recommended", "approved", "order written", "sent", "accepted", "filled", "policy stored", "order ended"),
        *("exit triggered", "order written", "sent", "accepted", "filled", "filled", "order ended"),
        *("best and worst", "closed"),
    ] == [e["event"] for e in events]
    assert ("buy_to_open", "7200.00") == (opening["intent"], opening["reserved_usd"])
    assert "reserved_usd" not in closing
    assert ("catastrophe", "gain -51.39 % <= -50 %") == (trigger["rule"], trigger["saw"])
    assert trigger["order_id"] == closing["order_id"]
    assert ("sell_to_close", "market", "catastrophe") == (closing["intent"], closing["type"], closing["reason"])
    assert ("catastrophe", "-3730.00") == (end["exit_reason"], end["realized_pnl_usd"])
    assert ("3.50", "-51.39") == tuple(of(events, "best and worst")[0][key] for key in ("trough", "max_adverse_pct"))


def test_a_refusal_and_an_adjustment_say_why(stage: Stage):
    """The brokerage lost what we hold: the adjustment is told with its reason, the end has no invented dollars."""
    stage.play("R22")
    stage.brokerages[LARGE].held[MSFT_PUT] = 0
    stage.exit.handle_ticks([ticked(a_quote(MSFT_PUT, "3.00", "3.10", at=stage.now), at=stage.now)])
    stage.deliver()
    stage.reconcile(after=timedelta(seconds=1))
    stage.reconcile(after=timedelta(seconds=20))
    [events] = timelines(stage)
    [refused] = [e for e in of(events, "order ended") if e["status"] == "rejected"]
    [adjusted], [end] = of(events, "adjusted"), of(events, "closed")

    assert ("rejected", "not_held") == (refused["status"], refused["reject_code"])
    assert refused["reject_message"]
    assert (None, "rows_only: rows had 10, the brokerage 0") == (adjusted["price"], adjusted["reason"])
    assert ("external", None) == (end["exit_reason"], end["realized_pnl_usd"])


def test_another_policy_and_the_rungs_of_its_ladder_are_told(stage: Stage):
    """Who let which policy govern, why, and what changed; then each part that the ladder sold, with its rung."""
    stage.play("R22")
    position = PositionId(stage.one("SELECT position_id FROM positions"))
    rungs = (Rung(at_pct=Decimal(20), close_pct=Decimal(40)), Rung(at_pct=Decimal(40), close_pct=Decimal(30)))
    laddered = a_policy(version="laddered", ladder=rungs, min_hold=timedelta(0))
    policies.apply(stage.desk, position, laddered, "take some off", "somebody")
    entry = _entry(stage, position)
    for gain in ("1.20", "1.40"):
        stage.now += timedelta(minutes=1)
        bid = entry * Decimal(gain)
        stage.prices[MSFT_PUT] = (bid, bid + Decimal("0.10"))
        stage.exit.handle_ticks([ticked(a_quote(MSFT_PUT, str(bid), str(bid + 1), at=stage.now), at=stage.now)])
        stage.deliver()
        stage.brokerages[LARGE].trade()
        stage.deliver()
    [events] = timelines(stage)
    [stored], [applied] = of(events, "policy stored"), of(events, "policy applied")
    parts = of(events, "exit triggered")

    assert "test" == stored["version"]
    assert ("test", "laddered", "somebody", "take some off") == tuple(
        applied[key] for key in ("before_version", "version", "by", "reason")
    )
    assert "ladder: off -> at_pct 20 close_pct 40" in applied["changes"]
    assert ["ladder"] * len(parts) == [part["rule"] for part in parts]
    assert "rung 20 %, 4 of 10" in parts[0]["saw"]


def _entry(stage: Stage, position: PositionId) -> Decimal:
    with stage.engine.connect() as tx:
        row = positions.get(tx, position)
    assert row is not None
    return row.entry_price


def test_what_was_said_is_kept_when_the_outbox_forgets(stage: Stage):
    """The same life after the outbox was pruned; and nobody edits what was said."""
    stage.play("L08")
    before = timelines(stage)
    with stage.engine.begin() as tx:
        tx.exec_driver_sql("DELETE FROM outbox")

    assert before == timelines(stage)
