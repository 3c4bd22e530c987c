"""Leaving a position when the brokerage, the clock or we ourselves are in the way: R20, R25, R27, R29, R36, L18 to L20.

The steps of a close are in test_closing_steps.py, what a close may never do in test_closing.py.
"""

# ruff: noqa: N802 - a test is named after its row

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from unittest import mock

import pytest

from brokerage.port import OutcomeUnknown
from db import views
from domain.closing import LONGEST_PAUSE
from domain.events import DriftFound, Intent, PositionAdjusted, Side
from domain.exits import Rung
from domain.session import Session
from tests.factories import LARGE, TINY, some_limits
from tests.incidents.leaving import (
    IN_STEPS,
    MINUTE,
    SECOND,
    SYMBOL,
    closes,
    dying,
    fill,
    hold,
    pass_time,
    position,
    refusing,
    sold,
    tell,
    tick,
    unheard,
)
from tests.incidents.stage import SESSIONS, Stage
from tests.simulation.exchange import Crash

#: Time closes it at the end of the day, and not before.
OF_THE_DAY = replace(IN_STEPS, max_hold=None)


@pytest.fixture
def held(a_stage: Callable[..., Stage]) -> Stage:
    """Ten bought at 5.00, to be left in steps; the stop is at 3.00."""
    stage = a_stage(policy=IN_STEPS)
    hold(stage)
    return stage


# ---------------------------------------------------------------- R20: a brokerage that refuses for hours


def test_R20_eight_hours_of_refusals_are_bounded_tries_of_one_position(held: Stage):
    """
    From 10:30 every close is refused for more than eight hours of the market, over a close and an open. There is one
    position all the time, one close at a time, a try in five minutes at least, and few of them; nothing says "closed".
    When the brokerage relents the next try goes through.
    """
    held.now = SESSIONS[0].open + 60 * MINUTE
    with refusing(held) as asked:
        tick(held, "2.97")
        until = SESSIONS[1].open + 3 * 60 * MINUTE
        while held.now < until:
            held.sweep(after=_to_the_next_try(held))

    assert {"rejected"} == {row[3] for row in closes(held)}
    assert len(closes(held)) == len(asked) <= 150
    assert {SYMBOL} == {order.symbol for order in asked}
    assert [(10, True)] == held.rows("SELECT qty, closed_at IS NULL FROM positions")
    assert ["2.95", "2.80", "market"] == list(dict.fromkeys(row[0] for row in closes(held)))
    with held.engine.connect() as tx:
        [shown] = views.positions(tx)
    assert len(asked) == shown["close_blocked"] == position(held)[3]
    hours = held.rows("SELECT approved_at FROM orders WHERE NOT opening ORDER BY approved_at")
    assert all(any(s.is_open(at) for s in SESSIONS) for at in hours)
    pauses = [later - earlier for earlier, later in pairwise(hours) if later - earlier < 12 * 60 * MINUTE]
    assert max(pauses) <= LONGEST_PAUSE
    assert 8 <= len([at for at in hours if timedelta(0) <= SESSIONS[0].close - at <= 5 * MINUTE])

    held.sweep(after=LONGEST_PAUSE)
    fill(held)
    assert (0, "stop", "stop") == position(held)[:3]
    assert 10 == sold(held)
    held.assert_no_gap()


def _to_the_next_try(stage: Stage) -> timedelta:
    """How long nothing happens: until the pause is over, or the market opens."""
    at = stage.one("SELECT retry_at FROM exit_plans")
    opens = next(s.open for s in SESSIONS if s.close > at)
    return max(SECOND, max(at, opens) - stage.now)


@pytest.mark.parametrize("how", ["refused", "silent", "expired"])
def test_R20_no_row_is_closed_without_a_word_of_the_brokerage(held: Stage, how: str):
    """Whatever becomes of the order: the position stays what its fills say, wants to be left, and is tried again."""
    brokerage = held.brokerages[LARGE]
    if how == "refused":
        with refusing(held):
            tick(held, "2.97")
    else:
        tick(held, "2.40")  # at the market: it stays at the brokerage
    if how == "expired":
        [order] = brokerage.open_orders()
        brokerage._end(order.broker_order_id)
        held.deliver()

    assert (10, "stop" if how == "refused" else "catastrophe", None) == position(held)[:3]
    held.sweep(after=2 * SECOND)
    assert ["accepted"] == [row[3] for row in closes(held) if row[3] not in ("rejected", "canceled")]


# ---------------------------------------------------------------- R25: a close that succeeded is not repeated


def test_R25_an_error_after_the_brokerage_took_the_close_sends_no_second_one(held: Stage):
    """
    The order is at the brokerage when our own code fails (the log of the incident): the entry comes again, the order is
    found by its id and adopted; one sale leaves, and the position closes by its fill.
    """
    accept = held.exits._accept
    broken = iter([True])

    def fails_once(row: object, found: object) -> None:
        if next(broken, False):
            raise TypeError("Object of type UUID is not JSON serializable")
        accept(row, found)  # type: ignore[arg-type]

    with mock.patch.object(type(held.exits), "_accept", lambda _, row, found: fails_once(row, found)):
        tick(held, "2.97")
    fill(held)

    assert 1 == len([o for o in held.brokerages[LARGE].sent if o.side is Side.SELL])
    assert [("2.95", 10, 10, "filled", "")] == closes(held)
    assert (0, "stop", "stop", 0) == position(held)


def test_R25_a_close_whose_answer_is_lost_is_looked_up(held: Stage):
    """A timeout after the brokerage took it: found by its id, not sent again, no failure."""
    brokerage = held.brokerages[LARGE]
    submit = type(brokerage).submit

    def lost(_: object, order: object) -> None:
        submit(brokerage, order)  # type: ignore[arg-type]
        raise OutcomeUnknown("timeout")

    with mock.patch.object(type(brokerage), "submit", lost):
        tick(held, "2.97")
    fill(held)

    assert 1 == len([o for o in brokerage.sent if o.side is Side.SELL])
    assert (0, "stop", "stop", 0) == position(held)


# ---------------------------------------------------------------- R27: a phantom


def test_R27_a_stop_of_what_the_brokerage_does_not_hold_is_reconciled_at_once(held: Stage):
    """
    Sold there, unheard; then the stop fires. Nothing is sent, the book is read within a second and again ten seconds
    later, the drift is told once, and the position leaves by an adjustment with no invented price. No loop of tries.
    """
    with unheard(held) as news:
        held.brokerages[LARGE].rng.randint = lambda low, high: high  # type: ignore[method-assign]
        held.brokerages[LARGE].sell_behind_our_back()
    sent = len(held.brokerages[LARGE].sent)
    tick(held, "2.97")
    assert ["not_held"] == [row[4] for row in closes(held)]
    pass_time(held, 1)
    assert ["rows_only"] == [fact.kind for fact in held.facts(DriftFound)]
    for _ in range(60):
        held.sweep(after=5 * SECOND)

    assert sent == len(held.brokerages[LARGE].sent)
    assert [(0, None)] == [(fact.qty, fact.price) for fact in held.facts(PositionAdjusted)]
    assert ["rows_only"] == [fact.kind for fact in held.facts(DriftFound)]
    assert (0, "stop", "external") == position(held)[:3]
    assert len(closes(held)) <= 5
    tell(held, news)  # and when the news come after all, the trade explains it
    assert Decimal("4.90") == held.one("SELECT exit_price FROM positions")


# ---------------------------------------------------------------- R29: two accounts, the end of the day


def test_R29_two_accounts_are_flat_before_the_close_by_their_own_means(a_stage: Callable[..., Stage]):
    """
    The same contract in both accounts at 15:55. The large account's brokerage refuses for three minutes: it is tried
    again and again before 16:00 and is flat when it relents; the small one is flat at once. Neither is asked for the
    other's: each close goes to the brokerage of its own account, with its own quantity.
    """
    stage = a_stage(policy=OF_THE_DAY)
    hold(stage, 2, LARGE)
    hold(stage, 1, TINY)
    stage.now = SESSIONS[0].close - 5 * MINUTE - SECOND
    tick(stage, "4.90", after=timedelta(0))
    assert [] == closes(stage) + closes(stage, TINY)

    with refusing(stage) as asked:
        for _ in range(180):
            stage.sweep(after=SECOND)
            fill(stage, account=TINY)
    assert (0, "end_of_day", "end_of_day", 0) == position(stage, TINY)
    assert 6 <= len(asked) == position(stage)[3]
    while position(stage)[0] and stage.now < SESSIONS[0].close:
        stage.sweep(after=SECOND)
        fill(stage)

    assert stage.now < SESSIONS[0].close - MINUTE / 2
    assert (0, "end_of_day", "end_of_day") == position(stage)[:3]
    for account, qty in ((LARGE, 2), (TINY, 1)):
        sells = [o for o in stage.brokerages[account].sent if o.side is Side.SELL]
        assert {(SYMBOL, qty, Intent.SELL_TO_CLOSE)} == {(o.symbol, o.qty, o.intent) for o in sells}
        assert qty == sold(stage, account)
    stage.assert_no_gap()


def test_R29_what_could_not_be_closed_by_the_close_waits_and_is_said(a_stage: Callable[..., Stage]):
    """Refused until the last second of the day: held over night, waiting in the rows, and closed at the open."""
    held = a_stage(policy=OF_THE_DAY)
    hold(held)
    held.now = SESSIONS[0].close - 5 * MINUTE
    with refusing(held):
        tick(held, "4.90", after=timedelta(0))
        while held.now < SESSIONS[0].close + 10 * MINUTE:
            held.sweep(after=SECOND)
    tries = len(closes(held))
    held.sweep(after=5 * 60 * MINUTE)
    assert tries == len(closes(held))
    assert (10, "end_of_day", None, tries) == position(held)

    held.now = SESSIONS[1].open - SECOND
    held.sweep(after=SECOND)
    fill(held)
    assert (0, "end_of_day", "end_of_day", tries) == position(held)


# ---------------------------------------------------------------- R36, L20: partials


@pytest.mark.parametrize("qty", range(1, 21))
def test_R36_slices_of_one_to_twenty_are_whole_and_the_rest_closes_once(a_stage: Callable[..., Stage], qty: int):
    """
    Half at +20 %, a quarter more at +40 %, the rest at the stop: slices are whole and at least one or skipped, they and
    the rest add up to what was bought, each contract is sold once.
    """
    rungs = (Rung(at_pct=Decimal(20), close_pct=Decimal(50)), Rung(at_pct=Decimal(40), close_pct=Decimal(25)))
    policy = replace(IN_STEPS, ladder=rungs, trail_arm_pct=None, trail_giveback_pct=None)
    roomy = some_limits(max_contracts_per_order=20, max_exposure_usd=Decimal(100_000))
    stage = a_stage(policy=policy, limits={LARGE: roomy})
    hold(stage, qty)
    for bid in ("6.00", "7.00", "2.97"):
        tick(stage, bid)
        fill(stage)

    slices = [row[1] for row in closes(stage)]
    assert [n for n in (qty // 2, qty * 3 // 4 - qty // 2, qty - qty * 3 // 4) if n] == slices
    assert qty == sum(slices) == sold(stage)
    assert (0, "stop", "stop", 0) == position(stage)
    stage.assert_no_gap()


@pytest.mark.parametrize("pieces", [(1, 1, 8), (9, 1), (3, 3, 3, 1)])
def test_L20_a_partial_fill_counts_contracts_of_the_contract(held: Stage, pieces: tuple[int, ...]):
    """Shares of the underlying are held beside it: each partial fill takes contracts off the option, never shares."""
    held.brokerages[LARGE].held["MSFT"], held.brokerages[LARGE].cost["MSFT"] = 300, Decimal(120_000)
    tick(held, "2.40")
    left = 10
    for piece in pieces:
        fill(held, piece)
        left -= piece
        assert left == position(held)[0]

    assert {"MSFT": 300, SYMBOL: 0} == held.brokerages[LARGE].held
    assert [("market", 10, 10, "filled", "")] == closes(held)


# ---------------------------------------------------------------- L18, L19: the stuck "closing"


@pytest.mark.parametrize("crash", ["begin", "before submit", "after submit", "commit"])
@pytest.mark.parametrize("nth", range(4))
def test_L18_a_death_on_the_closing_path_leaves_nothing_stuck(held: Stage, crash: str, nth: int):
    """
    The process dies at each seam of the close, at its first to fourth time. Everything starts again with an empty
    memory: the close goes on from its rows, ten are sold in all, nothing waits, and hold clock and peak are the same.
    """
    tick(held, "6.00")
    before = held.one("SELECT opened_at, peak FROM positions JOIN exit_plans USING (position_id)")
    with dying(held, crash, nth):
        try:
            tick(held, "2.97")
            pass_time(held, 4)
        except Crash:
            held.start()
    tick(held, "2.90")
    for _ in range(30):
        held.sweep(after=SECOND)
        fill(held)

    assert (0, "stop", "stop") == position(held)[:3]
    assert before == held.one("SELECT opened_at, peak FROM positions JOIN exit_plans USING (position_id)")
    assert 10 == sold(held)
    assert 1 == held.one("SELECT count(*) FROM positions")
    held.assert_no_gap()


def test_L18_what_is_closed_here_is_gone_there(held: Stage):
    """Half an hour without a fill declares nothing closed: a row is closed when the brokerage holds nothing of it."""
    tick(held, "2.40")
    for _ in range(40):
        held.sweep(after=MINUTE)
        held.reconcile()
        assert [held.brokerages[LARGE].held[SYMBOL]] == held.rows("SELECT qty FROM positions")
    fill(held, 4)
    assert [6] == held.rows("SELECT qty FROM positions")
    fill(held)
    assert [(0, True)] == held.rows("SELECT qty, closed_at IS NOT NULL FROM positions")


def test_L19_price_and_time_of_an_exit_are_those_of_its_fills(held: Stage):
    """Asked for at 2.97, filled later in two pieces at other prices: these, and not the mark at the submission."""
    tick(held, "2.97")
    held.prices[SYMBOL] = (Decimal("3.10"), Decimal("3.20"))
    held.now += SECOND
    fill(held, 4)
    held.prices[SYMBOL] = (Decimal("2.95"), Decimal("3.05"))
    held.now += SECOND
    fill(held, 6)

    row = held.one("SELECT exit_price, closed_at, realized_pnl_usd FROM positions")
    assert (Decimal("3.01"), held.now, Decimal(-1990)) == tuple(row)


def test_the_session_of_a_half_day_is_the_one_that_counts(a_stage: Callable[..., Stage]):
    """A close at 13:00: pauses and the last minute count back from there, and nothing is sent after it."""
    half = Session(day=SESSIONS[0].day, open=SESSIONS[0].open, close=SESSIONS[0].open + 210 * MINUTE)
    stage = a_stage(policy=IN_STEPS, calendar=(half, *SESSIONS[1:]))
    hold(stage)
    stage.now = half.close - 5 * MINUTE
    with refusing(stage) as asked:
        tick(stage, "4.90", after=timedelta(0))
        while stage.now < half.close + 30 * MINUTE:
            stage.sweep(after=SECOND)

    assert 8 <= len(asked) <= 30
    assert all(at < half.close for at in stage.rows("SELECT approved_at FROM orders WHERE NOT opening"))
