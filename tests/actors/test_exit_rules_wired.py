"""Every rule of the library closes for real: rows, orders and fills, through the exit actor and the executor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text

from actors import outlook
from actors.exit import ExitActor
from actors.tracker import Tracker
from db import orders, positions
from domain.events import ExitTriggered, PositionClosed
from domain.exits import RULES, NearExpiry, Regime, Rung, Tier, Window, reason_of
from domain.known import Known
from tests.cli.house import AAA, House
from tests.domain.exit_kit import only
from tests.factories import LARGE, NOON, SESSION

MINUTE = timedelta(minutes=1)
LADDER = (Rung(at_pct=Decimal(20), close_pct=Decimal(40)),)
TRAIL = {"trail_arm_pct": Decimal(30), "trail_giveback_pct": Decimal(25)}


def d(text_: str | int) -> Decimal:
    return Decimal(text_)


@pytest.fixture
def holding(engine: Engine) -> Callable[..., House]:
    """A house that holds *qty* of AAA, bought at 5.00 at noon, under a policy of the named rules alone."""

    def hold(qty: int = 10, *, symbol: str = AAA, **rules: Any) -> House:
        house = House(engine)
        policy = only(**{"min_hold": timedelta(minutes=5), **rules})
        house.tracker = Tracker(house.desk, lambda account, strategy, kind: policy)
        house.prices.setdefault(symbol, (d("4.90"), d("5.00")))
        house.recommend(symbol=symbol, qty=qty)
        house.trade()
        return house

    return hold


def position(house: House) -> tuple[int, str | None, str | None]:
    """Quantity held, reason and rule."""
    with house.engine.connect() as tx:
        row = tx.execute(text("SELECT qty, exit_reason, exit_rule FROM positions")).one()
    return row.qty, row.exit_reason, row.exit_rule


def closes(house: House) -> list[tuple[str, int, str]]:
    """Rule, quantity and status of each closing order, in the order in which they were written."""
    with house.engine.connect() as tx:
        rows = tx.execute(
            text("SELECT reason, qty, status FROM orders WHERE NOT opening ORDER BY approved_at, order_id")
        )
        return [tuple(row) for row in rows]  # type: ignore[misc]


def triggered(house: House) -> list[str]:
    return [fact.rule for fact in house.published["decisions"] if isinstance(fact, ExitTriggered)]


# ---------------------------------------------------------------- a part is closed


def test_a_part_is_closed_and_the_rest_trails(holding: Callable[..., House]):
    """
    Ten at 5.00: at +20 % four are sold and six stay open; at +40 % the trailing stop is armed; when a
    quarter of the gain is gone the six leave. The position names the rule that closed it last.
    """
    house = holding(ladder=LADDER, **TRAIL)

    house.tick(AAA, "6.00")
    house.trade()

    assert ((6, None, None), [("ladder", 4, "filled")]) == (position(house), closes(house))

    house.tick(AAA, "7.00")
    house.tick(AAA, "6.50")
    house.trade()

    assert (0, "trailing", "trailing") == position(house)
    assert [("ladder", 4, "filled"), ("trailing", 6, "filled")] == closes(house)
    assert ["ladder", "trailing"] == triggered(house)
    with house.engine.connect() as tx:
        earned = tx.execute(text("SELECT realized_pnl_usd FROM positions")).scalar_one()
    assert 4 * 100 * d("1.00") + 6 * 100 * d("1.50") == earned


def test_that_a_part_was_taken_survives_a_restart(holding: Callable[..., House]):
    """A new exit with an empty memory, the same price: no second part."""
    house = holding(ladder=LADDER)
    house.tick(AAA, "6.00")
    house.trade()

    house.exit = ExitActor(house.desk)
    house.tick(AAA, "6.10")
    house.exit.handle_timer(house.now)
    house.settle()
    house.trade()

    assert (6, None, None) == position(house)
    assert [("ladder", 4, "filled")] == closes(house)


def test_a_restart_between_the_order_and_its_fill_sells_no_second_part(holding: Callable[..., House]):
    """The order for the part lives; whoever comes after the crash finds it and writes none."""
    house = holding(ladder=LADDER)
    house.tick(AAA, "6.00")

    house.exit = ExitActor(house.desk)
    house.tick(AAA, "6.20")

    assert [("ladder", 4, "accepted")] == closes(house)

    house.trade()

    assert (6, None, None) == position(house)


def test_one_contract_is_not_sold_in_parts(holding: Callable[..., House]):
    """40 % of one is nothing: it is held, and its target closes it whole. (R36: 0 were sold.)"""
    house = holding(qty=1, ladder=LADDER, target_pct=d(80))

    house.tick(AAA, "6.00")

    assert ((1, None, None), []) == (position(house), closes(house))

    house.tick(AAA, "9.00")
    house.trade()

    assert (0, "target", "target") == position(house)


def test_a_part_that_was_refused_is_tried_again_after_a_pause(holding: Callable[..., House]):
    """The brokerage holds it back once; the rung was reached, so what it owes is closed later, even below the rung."""
    house = holding(ladder=LADDER)
    exchange = house.exchanges[LARGE]
    held, exchange.held[AAA] = exchange.held[AAA], 0
    house.tick(AAA, "6.00")
    exchange.held[AAA] = held

    house.tick(AAA, "5.80", after=timedelta(0))
    assert [("ladder", 4, "rejected")] == closes(house)

    house.tick(AAA, "5.80")
    house.trade()

    assert [("ladder", 4, "rejected"), ("ladder", 4, "filled")] == closes(house)
    assert (6, None, None) == position(house)


def test_the_stop_does_not_wait_for_a_part_that_hangs(holding: Callable[..., House]):
    """
    The part is at the brokerage and does not fill while the price falls through the stop: it is
    canceled, and all that is held leaves. Nothing is sold twice.
    """
    house = holding(ladder=LADDER, stop_pct=d(40))
    house.tick(AAA, "6.00")

    house.tick(AAA, "2.90")
    assert [("ladder", 4, "accepted")] == closes(house)

    house.sweep()
    house.tick(AAA, "2.80")
    house.trade()

    (first, *rest) = closes(house)
    assert ("ladder", 4) == first[:2]
    assert {"stop"} == {rule for rule, _, _ in rest}
    assert (0, "stop", "stop") == position(house)
    assert 10 == sum(e.qty for e in house.exchanges[LARGE].filled if e.side == "sell")


def test_a_part_not_sent_yet_is_never_sent_once_all_is_wanted(holding: Callable[..., House]):
    """The executor was away when the part was written; when it is back, it ends the part and sells everything."""
    house = holding(ladder=LADDER, stop_pct=d(40))
    executor, house.exits = house.exits, _Away()  # type: ignore[assignment]
    house.tick(AAA, "6.00")
    house.tick(AAA, "2.90")
    house.exits = executor

    house.sweep()
    house.tick(AAA, "2.80")
    house.trade()

    assert [("ladder", 4, "expired_unsent"), ("stop", 10, "filled")] == closes(house)


def test_a_part_whose_sender_died_is_not_sent_again_once_all_is_wanted(holding: Callable[..., House]):
    """It says submitting and the brokerage has never heard of it: it ends unsent, and everything is sold."""
    house = holding(ladder=LADDER, stop_pct=d(40))
    executor, house.exits = house.exits, _Away()  # type: ignore[assignment]
    house.tick(AAA, "6.00")
    with house.engine.begin() as tx:
        tx.execute(text("UPDATE orders SET status = 'submitting', submitted_at = approved_at WHERE NOT opening"))
    house.tick(AAA, "2.90")
    house.exits = executor

    house.sweep()
    house.tick(AAA, "2.80")
    house.trade()

    assert [("ladder", 4, "expired_unsent"), ("stop", 10, "filled")] == closes(house)


class _Away:
    """An executor that is not there."""

    def handle(self, fact: Any) -> None:
        """Nobody reads it."""

    def sweep(self, now: Any) -> None:
        """Nobody looks."""


def test_flatten_does_not_wait_for_a_part_either(holding: Callable[..., House]):
    """A person wants out while a part hangs: the part is asked to end, the whole is pursued as manual."""
    from cli import acts

    house = holding(ladder=LADDER)
    house.tick(AAA, "6.00")
    acts.flatten(house.desk, LARGE, "out", "tester", lambda account, strategy, kind: only())

    house.settle()
    house.sweep()
    house.tick(AAA, "5.90")
    house.trade()

    assert (0, "manual", "manual") == position(house)
    assert "ladder" == closes(house)[0][0]


def test_a_part_counts_what_its_orders_did_close(holding: Callable[..., House]):
    """The row says how much the ladder closed, whatever else was sold."""
    house = holding(ladder=(*LADDER, Rung(at_pct=d(50), close_pct=d(30))))
    house.tick(AAA, "6.00")
    house.trade()
    house.tick(AAA, "7.50")
    house.trade()

    with house.engine.connect() as tx:
        [row] = positions.all_open(tx)
    assert (3, 10, 7, d(50)) == (row.qty, row.max_qty, row.ladder_qty, row.ladder_pct)


# ---------------------------------------------------------------- every rule, for real

EXPIRES_TODAY = "AAA260203C00100000"
LATE = SESSION.close - MINUTE - NOON
#: For each rule: the settings that switch it on, the bids that follow one another, and how long each takes.
WIRED: dict[str, tuple[dict[str, Any], list[str], timedelta]] = {
    "catastrophe": ({"catastrophe_pct": d(50)}, ["2.50"], MINUTE),
    "stop": ({"stop_pct": d(40)}, ["3.00"], 10 * MINUTE),
    "target": ({"target_pct": d(80)}, ["9.00"], 10 * MINUTE),
    "trailing": (TRAIL, ["7.00", "6.50"], 10 * MINUTE),
    "trailing_price": ({"trail_price_arm_pct": d(30), "trail_price_pct": d(5)}, ["7.00", "6.65"], 10 * MINUTE),
    "trailing_tiers": ({"trail_tiers": (Tier(arm_pct=d(30), lock_pct=d(70)),)}, ["7.00", "6.40"], 10 * MINUTE),
    "break_even": ({"break_even_arm_pct": d(10)}, ["5.50", "5.00"], 10 * MINUTE),
    "max_hold": ({"max_hold": 30 * MINUTE}, ["5.00"], 30 * MINUTE),
    "min_progress": ({"progress_after": 30 * MINUTE, "progress_pct": d(5)}, ["5.20"], 30 * MINUTE),
    "near_expiry": ({"near_expiry": (NearExpiry(days=17, gain_below_pct=d(10)),)}, ["5.49"], 10 * MINUTE),
    "end_of_day": ({"flatten_before_close": 5 * MINUTE}, ["5.00"], LATE),
    "end_of_day_window": (
        {"windows": (Window(before_close=5 * MINUTE, gain_below_pct=d(0), failed_criteria=None),)},
        ["4.99"],
        LATE,
    ),
}


@pytest.mark.parametrize("rule", WIRED)
def test_a_rule_closes_a_real_position(holding: Callable[..., House], rule: str):
    """One order of all that is held, reported under the agreed word, the rule's own name beside it (L21, L36)."""
    rules, bids, step = WIRED[rule]
    house = holding(**rules)
    for bid in bids:
        assert [] == closes(house)
        house.tick(AAA, bid, after=step)
    house.trade()

    assert [(rule, 10, "filled")] == closes(house)
    assert (0, reason_of(rule), rule) == position(house)
    [closed] = [fact for fact in house.published["decisions"] if isinstance(fact, PositionClosed)]
    assert reason_of(rule) == closed.exit_reason


def test_an_option_leaves_before_its_last_close(holding: Callable[..., House]):
    """An hour before the close of the day on which it expires."""
    house = holding(symbol=EXPIRES_TODAY, close_before_expiry=60 * MINUTE)

    house.tick(EXPIRES_TODAY, "5.00", after=SESSION.close - 61 * MINUTE - NOON)
    assert [] == closes(house)
    house.tick(EXPIRES_TODAY, "5.00", after=MINUTE)

    assert [("expiry", 10, "accepted")] == closes(house)


def test_a_half_day_is_flattened(holding: Callable[..., House]):
    """The calendar's close is early: at noon and a half, ten minutes before 13:00 New York less twenty."""
    from db import sessions

    house = holding(flatten_before_half_day_close=10 * MINUTE)
    early = replace(SESSION, close=NOON + 60 * MINUTE)
    with house.engine.begin() as tx:
        sessions.keep(tx, [early])

    house.tick(AAA, "5.00", after=49 * MINUTE)
    assert [] == closes(house)
    house.tick(AAA, "5.00", after=MINUTE)

    assert [("half_day", 10, "accepted")] == closes(house)


@pytest.mark.parametrize(("confidence", "closes_it"), [("0.59", False), ("0.60", True)])
def test_the_opposite_recommendation_closes_what_is_held(
    holding: Callable[..., House], confidence: str, closes_it: bool
):
    """A put on the same company that names this account: the call leaves; another call changes nothing."""
    house = holding(reversal_min_confidence=d("0.60"))
    house.now += MINUTE
    house.recommend("same-way", symbol="AAA260220C00110000", confidence=d("0.99"))
    house.recommend("of-another", symbol="BBB260220P00100000", confidence=d("0.99"))
    house.recommend("elsewhere", symbol="AAA260220P00100000", confidence=d("0.99"), accounts=("tiny",))
    house.tick(AAA, "5.00")
    assert [] == closes(house)

    house.recommend("against", symbol="AAA260220P00100000", confidence=d(confidence))
    house.tick(AAA, "5.00")

    assert ([("signal_reversal", 10, "accepted")] if closes_it else []) == closes(house)


def test_what_was_recommended_before_the_opening_is_no_reversal(holding: Callable[..., House], engine: Engine):
    """The view that was held before the position does not close it."""
    house = House(engine)
    house.recommend("before", symbol="AAA260220P00100000", confidence=d("0.99"))
    house.now += MINUTE
    policy = only(reversal_min_confidence=d("0.60"))
    house.tracker = Tracker(house.desk, lambda account, strategy, kind: policy)
    house.recommend(qty=10)
    house.trade()
    house.tick(AAA, "5.00")

    assert [] == closes(house)


OUTLOOKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "theta_decay": ({"theta_days": 17, "theta_pct": d(5)}, {"theta": d("-0.25")}),
    "earnings": ({"earnings_within_sessions": 1}, {"sessions_to_earnings": 1}),
    "regime": ({"regime_at_least": Regime.HIGH}, {"regime": Regime.HIGH}),
}


@pytest.mark.parametrize("rule", OUTLOOKS)
def test_a_rule_whose_input_nobody_supplies_holds_and_fires_once_somebody_does(
    holding: Callable[..., House], monkeypatch: pytest.MonkeyPatch, rule: str
):
    """Unknown: held. As soon as the outlook knows, the rule closes; nothing else has to be wired for it."""
    rules, known = OUTLOOKS[rule]
    house = holding(**rules)
    house.tick(AAA, "5.00")
    assert [] == closes(house)

    told = replace(outlook.NOTHING_KNOWN, **{name: Known(value, NOON, "test") for name, value in known.items()})
    monkeypatch.setattr(outlook, "gather", lambda tx, rows, *_: {row.position_id: told for row in rows})
    house.tick(AAA, "5.00")

    assert [(rule, 10, "accepted")] == closes(house)


def test_every_rule_of_the_library_is_tried_here():
    """A rule that exists only in the library would protect nobody."""
    elsewhere = {"ladder", "expiry", "half_day", "signal_reversal"}

    assert {rule.__name__ for rule in RULES} == {*WIRED, *OUTLOOKS, *elsewhere}


def test_one_tick_leads_to_one_exit(holding: Callable[..., House]):
    """Stop, break-even, trailing and time at once: the first of the list closes, one order leaves (R31)."""
    house = holding(stop_pct=d(40), break_even_arm_pct=d(10), max_hold=20 * MINUTE, ladder=LADDER, **TRAIL)
    house.tick(AAA, "5.60")
    house.tick(AAA, "2.00")
    with house.engine.connect() as tx:
        live = [row for row in orders.live(tx) if not row.order.intent.opens]

    assert ["stop"] == [row.order.reason for row in live]
    assert ["stop"] == triggered(house)
