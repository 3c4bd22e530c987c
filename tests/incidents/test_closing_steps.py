"""A close on its way to the market: limit after limit, and whatever comes between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from unittest.mock import Mock

import pytest
from sqlalchemy import text

from actors import policies
from actors.executor import Executor
from cli import acts
from db import deadlines, orders
from domain.events import ExitTriggered, Side
from domain.exits import ExitReason, Rung
from tests.factories import LARGE
from tests.incidents.leaving import (
    IN_STEPS,
    MINUTE,
    SECOND,
    closes,
    fill,
    hold,
    pass_time,
    position,
    refusing,
    sell_by_hand,
    sold,
    tell,
    tick,
    unheard,
)
from tests.incidents.stage import SESSIONS, Stage


@pytest.fixture
def held(a_stage: Callable[..., Stage]) -> Stage:
    """Ten bought at 5.00, to be left in steps; the stop is at 3.00, the catastrophe at 2.50."""
    stage = a_stage(policy=IN_STEPS)
    hold(stage)
    return stage


def test_a_limit_at_the_bid_fills_like_a_market_order(held: Stage):
    """The normal case: one order, at the bid, gone at once."""
    tick(held, "2.97")
    assert [("2.95", 10, 0, "accepted", "")] == closes(held)
    fill(held)

    assert [("2.95", 10, 10, "filled", "")] == closes(held)
    assert (0, "stop", "stop", 0) == position(held)
    held.assert_no_gap()


def test_a_limit_that_nobody_takes_gives_way_to_the_next_and_then_to_the_market(held: Stage):
    """
    After 3 s the limit is canceled and the next one goes 5 % below the bid of that moment, after 3 more a market order
    goes. None of it is a failure or a pause: the market order is there in the second in which the last step is over.
    """
    started = held.now + SECOND
    tick(held, "2.97")
    pass_time(held, 2)
    assert [("2.95", 10, 0, "accepted", "")] == closes(held)
    tick(held, "2.80", after=timedelta(0))
    pass_time(held, 1)
    assert [("2.95", 10, 0, "canceled", ""), ("2.65", 10, 0, "accepted", "")] == closes(held)
    pass_time(held, 3)

    assert [
        ("2.95", 10, 0, "canceled", ""),
        ("2.65", 10, 0, "canceled", ""),
        ("market", 10, 0, "accepted", ""),
    ] == closes(held)
    assert [0, 3, 6] == [(at - started).seconds for at in held.rows("SELECT approved_at FROM orders WHERE NOT opening")]
    assert (10, "stop", None, 0) == position(held)
    assert {"stop"} == {fact.rule for fact in held.facts(ExitTriggered)}
    fill(held)
    assert (0, "stop", "stop", 0) == position(held)
    held.assert_no_gap()


def test_a_partial_close_leaves_the_rest_to_the_next_step(held: Stage):
    """Three of ten go at the first limit, four at the second, three at the market; ten are sold in all."""
    tick(held, "2.97")
    for qty in (3, 4):
        fill(held, qty)
        pass_time(held, 3)
    fill(held)

    assert [
        ("2.95", 10, 3, "canceled", ""),
        ("2.80", 7, 4, "canceled", ""),
        ("market", 3, 3, "filled", ""),
    ] == closes(held)
    assert (0, "stop", "stop", 0) == position(held)
    assert 10 == sold(held)
    held.assert_no_gap()


@pytest.mark.parametrize("filled", [10, 4])
def test_a_cancel_that_loses_to_a_fill_sells_nothing_twice(held: Stage, filled: int):
    """The brokerage fills while our cancel is on its way: all of it, or a part; what is left goes on, no more."""
    tick(held, "2.97")
    held.brokerages[LARGE].seam = _when("before cancel", lambda: fill(held, filled, hear=False))
    pass_time(held, 3)
    left = 10 - filled

    rest = [("2.80", left, 0, "accepted", "")] if left else []
    status = "canceled" if left else "filled"
    assert [("2.95", 10, filled, status, ""), *rest] == closes(held)
    pass_time(held, 3)
    if left:
        fill(held)
    assert (0, "stop", "stop", 0) == position(held)
    assert 10 == sold(held)
    held.assert_no_gap()


def test_a_fill_that_is_read_after_the_cancel_sells_nothing_twice(held: Stage):
    """
    The end of a step is known before three of its fills are: the next close is cut to what the brokerage still holds,
    and keeps its price.
    """
    tick(held, "2.97")
    with unheard(held) as news:
        fill(held, 3)
    pass_time(held, 3)

    assert [
        ("2.95", 10, 0, "canceled", ""),
        ("2.80", 7, 0, "accepted", ""),
        ("2.80", 10, 0, "expired_unsent", "clamped"),
    ] == sorted(closes(held), key=lambda row: (-float(row[0]), row[1]))
    tell(held, news)
    fill(held)
    assert (0, "stop", "stop", 0) == position(held)
    assert 10 == sold(held)
    held.assert_no_gap()


@pytest.mark.parametrize("heard", [True, False])
def test_what_others_sell_while_a_step_is_live_is_not_sold_again(held: Stage, heard: bool):
    """
    A person cancels our limit and sells four of ten. Whether we hear of it before the next step or not, that step is
    for six; all ten are gone in the end, none twice.
    """
    tick(held, "2.97")
    brokerage = held.brokerages[LARGE]
    [order] = brokerage.open_orders()
    brokerage._end(order.broker_order_id)
    with unheard(held) as news:
        sell_by_hand(held, 4)
    tell(held, news if heard else [])
    pass_time(held, 1)

    assert 1 == len([row for row in closes(held) if row[1:] == (6, 0, "accepted", "")])
    tell(held, [] if heard else news)
    fill(held)
    assert 0 == position(held)[0]
    assert 10 == sold(held)
    held.assert_no_gap()


def test_what_others_sold_altogether_ends_the_pursuit(held: Stage):
    """A person sells all ten while our limit is live; its cancel finds nothing to do, and no order follows."""
    tick(held, "2.97")
    brokerage = held.brokerages[LARGE]
    [order] = brokerage.open_orders()
    brokerage._end(order.broker_order_id)
    sell_by_hand(held, 10)
    pass_time(held, 10)

    assert (0, "stop", "external") == position(held)[:3]
    assert 10 == sold(held)
    assert [] == [row for row in closes(held) if row[3] == "accepted"]
    held.assert_no_gap()


# ---------------------------------------------------------------- straight to the market


def test_a_catastrophe_does_not_wait_for_a_limit(held: Stage):
    """The price falls through the catastrophe while a limit is live: it is canceled, and a market order follows."""
    tick(held, "2.97")
    tick(held, "2.40")
    assert [("2.95", 10, 0, "accepted", "")] == closes(held)
    pass_time(held, 1)

    assert [("2.95", 10, 0, "canceled", ""), ("market", 10, 0, "accepted", "")] == closes(held)
    fill(held)
    assert (0, "stop", "stop", 0) == position(held)


def test_a_catastrophe_begins_at_the_market(held: Stage):
    tick(held, "2.40")

    assert [("market", 10, 0, "accepted", "")] == closes(held)


def test_an_unknown_price_closes_at_the_market(a_stage: Callable[..., Stage]):
    """Time asks for the close when the last price is sixteen minutes old: no limit can be computed from it."""
    stage = a_stage(policy=replace(IN_STEPS, max_hold=20 * MINUTE))
    hold(stage)
    tick(stage, "4.90")
    stage.sweep(after=20 * MINUTE)

    assert [("market", 10, 0, "accepted", "")] == closes(stage)


def test_flatten_does_not_wait_for_a_limit(held: Stage):
    """A person's word counts at once: the limit is canceled, the next order is a market order."""
    tick(held, "2.97")
    acts.flatten(held.desk, LARGE, "test", "tester", lambda *_: IN_STEPS)
    pass_time(held, 1)

    assert [("2.95", 10, 0, "canceled", ""), ("market", 10, 0, "accepted", "")] == closes(held)


def test_flatten_closes_at_the_market(held: Stage):
    acts.flatten(held.desk, LARGE, "test", "tester", lambda *_: IN_STEPS)
    held.deliver()
    fill(held)

    assert [("market", 10, 10, "filled", "")] == closes(held)
    assert (0, ExitReason.MANUAL, ExitReason.MANUAL, 0) == position(held)


@pytest.mark.parametrize(("before_close_s", "limits"), [(62, 1), (61, 1), (60, 0), (1, 0)])
def test_the_last_minute_is_for_market_orders(held: Stage, before_close_s: int, limits: int):
    """A limit that begins earlier is over when the last minute begins."""
    held.now = SESSIONS[0].close - timedelta(seconds=before_close_s)
    held.policy = IN_STEPS
    tick(held, "2.97", after=timedelta(0))
    assert limits == len([row for row in closes(held) if row[0] != "market"])

    held.sweep(after=max(timedelta(0), SESSIONS[0].close - MINUTE - held.now))
    held.sweep()
    assert "market" == closes(held)[-1][0]
    assert "accepted" == closes(held)[-1][3]


def test_a_crash_while_a_step_waits_continues_with_the_next(held: Stage):
    """Every actor dies and starts with an empty memory: the step that was begun is over, the next one follows."""
    tick(held, "2.97")
    held.start()
    pass_time(held, 3)
    # Nobody has told the new exit a price yet: what it cannot price goes to the market.
    assert [("2.95", 10, 0, "canceled", ""), ("market", 10, 0, "accepted", "")] == closes(held)


def test_a_step_whose_time_is_over_is_not_sent_any_more(held: Stage):
    """The executor was away while the first limit was to be sent: it ends unsent, and the close goes on."""
    exits, away = held.exits, Mock(spec=Executor)
    held.exits = away
    tick(held, "2.97")
    assert [("2.95", 10, 0, "approved", "")] == closes(held)
    held.exits = exits
    held.sweep(after=3 * SECOND)

    assert [("2.95", 10, 0, "expired_unsent", "canceled_unsent"), ("2.80", 10, 0, "accepted", "")] == closes(held)
    assert 0 == position(held)[3]


def test_a_step_that_is_refused_is_a_failure_and_a_step(held: Stage):
    """The brokerage refuses the first limit: after a pause of a second the second step is tried."""
    with refusing(held):
        tick(held, "2.97")
    assert [("2.95", 10, 0, "rejected", "40310000")] == closes(held)
    assert (10, "stop", None, 1) == position(held)
    pass_time(held, 1)

    assert [("2.95", 10, 0, "rejected", "40310000"), ("2.80", 10, 0, "accepted", "")] == closes(held)


def test_a_slice_of_the_ladder_leaves_in_steps_too(a_stage: Callable[..., Stage]):
    """Of ten, four are due at +20 %: limit, limit, market; the next rung begins at a limit again."""
    rungs = (Rung(at_pct=Decimal(20), close_pct=Decimal(40)), Rung(at_pct=Decimal(40), close_pct=Decimal(20)))
    stage = a_stage(policy=replace(IN_STEPS, ladder=rungs, trail_arm_pct=None, trail_giveback_pct=None))
    hold(stage)
    tick(stage, "6.00")
    pass_time(stage, 6)
    assert [("6.00", 4, 0, "canceled", ""), ("5.70", 4, 0, "canceled", ""), ("market", 4, 0, "accepted", "")] == closes(
        stage
    )
    fill(stage)
    tick(stage, "7.00")

    assert ("7.00", 2, 0, "accepted", "") == closes(stage)[-1]
    assert (6, None, None, 0) == position(stage)


def test_the_whole_does_not_wait_for_a_slice(a_stage: Callable[..., Stage]):
    """A stop while a slice of the ladder waits at its limit: the slice ends, and the whole begins at its first step."""
    policy = replace(IN_STEPS, ladder=(Rung(at_pct=Decimal(20), close_pct=Decimal(40)),))
    stage = a_stage(policy=policy)
    hold(stage)
    tick(stage, "6.00")
    tick(stage, "2.97")
    pass_time(stage, 1)

    assert [("6.00", 4, 0, "canceled", ""), ("2.95", 10, 0, "accepted", "")] == closes(stage)


def test_rows_say_until_when_a_step_is_awaited(held: Stage):
    """A recorded day steps there: nothing happens later than it would live."""
    tick(held, "2.97")
    with held.engine.connect() as tx:
        [row] = [r for r in orders.live(tx) if not r.order.intent.opens]
        assert held.now + 3 * SECOND == row.order.awaited_until
        assert held.now + 3 * SECOND == deadlines.after(tx, held.now, 60 * SECOND)


def _when(name: str, act: Callable[[], None]) -> Callable[[str], None]:
    """Do *act* at the first seam called *name*, then never again."""
    waiting = [act]

    def seam(at: str) -> None:
        if at == name and waiting:
            waiting.pop()()

    return seam


def test_steps_that_are_applied_to_a_close_at_the_market_leave_it_there(a_stage: Callable[..., Stage]):
    """The close was begun under a policy without steps: one with steps, applied now, brings no limit back."""
    stage = a_stage(policy=replace(IN_STEPS, close_steps=()))
    hold(stage)
    with refusing(stage):
        tick(stage, "2.97")
    held = stage.one("SELECT position_id FROM positions")
    policies.apply(stage.desk, held, replace(IN_STEPS, version="steps"), "test", "tester")
    stage.deliver()
    pass_time(stage, 2)

    assert [("market", 10, 0, "rejected", "40310000"), ("market", 10, 0, "accepted", "")] == closes(stage)


# ---------------------------------------------------------------- outside the session


def test_a_close_that_reaches_the_executor_after_the_close_waits_for_the_open(a_stage: Callable[..., Stage]):
    """
    Asked for in the last second, read after the close: it is not sent and ends as out of session, without a failure and
    without a pause. Nothing is sent all night. At the open the close goes on, at the market.
    """
    stage = a_stage(policy=IN_STEPS)
    hold(stage)
    exits, away = stage.exits, Mock(spec=Executor)
    stage.exits, stage.now = away, SESSIONS[0].close - SECOND
    tick(stage, "2.97", after=timedelta(0))
    stage.exits, stage.now = exits, SESSIONS[0].close
    stage.sweep(after=6 * SECOND)
    assert [("market", 10, 0, "expired_unsent", "out_of_session")] == closes(stage)
    for _ in range(50):
        stage.sweep(after=20 * MINUTE)
    assert 1 == len(closes(stage))
    assert (10, "stop", None, 0) == position(stage)

    stage.now = SESSIONS[1].open - SECOND
    stage.sweep(after=SECOND)
    assert ("market", 10, 0, "accepted", "") == closes(stage)[-1]
    assert [] == [o for o in stage.brokerages[LARGE].sent if o.side is Side.SELL][1:]


def test_an_unknown_calendar_blocks_no_close(a_stage: Callable[..., Stage]):
    """Nobody has told when the market is open: the close is sent, the brokerage decides."""
    stage = a_stage(policy=IN_STEPS)
    hold(stage)
    with stage.engine.begin() as tx:
        tx.execute(text("DELETE FROM sessions"))
    stage.exit.handle_timer(stage.now + 6 * SECOND)
    tick(stage, "2.97", after=SESSIONS[0].close - stage.now + MINUTE)

    assert "accepted" == closes(stage)[-1][3]
