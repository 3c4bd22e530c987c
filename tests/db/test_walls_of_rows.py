"""The walls around positions, fills, decisions and history: rows that cannot be are refused, history is not edited."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from psycopg2 import errors
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from db import accounts, policies
from domain.events import Side
from domain.exits import REASONS, ExitReason
from domain.orders import Order
from tests.db.wall_kit import (
    STOCK,
    an_opening,
    configure,
    fill,
    hold,
    open_order,
    refused,
    run,
)
from tests.factories import CALL, LARGE, NOON, PUT, TINY, a_policy

# ---------------------------------------------------------------- positions


def test_a_second_open_position_in_a_symbol_is_refused(tx: Connection):
    """A close must never be ambiguous."""
    hold(tx, number=1)

    refused(tx, errors.UniqueViolation, "one_open_position_per_symbol", lambda: hold(tx, number=2))


def test_a_symbol_may_be_held_again_and_elsewhere(tx: Connection):
    """After the first is closed, and in another account."""
    hold(tx, 0, number=1)
    hold(tx, 5, number=2)
    hold(tx, 5, number=3, account=TINY)


def test_a_position_without_an_exit_plan_is_impossible(tx: Connection):
    """There is nothing that nobody watches."""
    hold(tx)

    refused(tx, errors.ForeignKeyViolation, "positions", lambda: run(tx, "DELETE FROM exit_plans"))
    refused(
        tx,
        errors.ForeignKeyViolation,
        "positions",
        lambda: run(tx, "UPDATE positions SET position_id = gen_random_uuid()"),
    )


POSITIONS = {
    "nothing held and not closed": "qty = 0",
    "closed with something held": "closed_at = opened_at, exit_reason = 'stop'",
    "closed without a reason": "qty = 0, closed_at = opened_at",
    "a reason without a close": "exit_reason = 'stop'",
    "a reason that nobody knows": "qty = 0, closed_at = opened_at, exit_reason = 'boredom'",
    "more than ever": "qty = max_qty + 1",
    "shorter than ever": "qty = -max_qty - 1",
    "closed before it was opened": "qty = 0, exit_reason = 'stop', closed_at = opened_at - interval '1 second'",
    "bought for nothing": "entry_price = 0",
    "sold for less than nothing": "exit_price = -0.01",
    "never held": "max_qty = 0, qty = 0, closed_at = opened_at, exit_reason = 'stop'",
    "an option without strike": "strike = NULL",
    "an option without expiration": "expiration = NULL",
    "an option's symbol as a stock": "kind = 'STOCK', strike = NULL, expiration = NULL, multiplier = 1",
    "a ticker as an option": "symbol = 'MSFT'",
    "a strike of nothing": "strike = 0",
    "no shares a contract": "multiplier = 0",
    "one share a contract": "multiplier = 1",
    "a put that is a call": "kind = 'CALL'",
    "another strike than its symbol says": "strike = strike + 1",
    "another expiration than its symbol says": "expiration = expiration + 1",
    "another underlying than its symbol says": "underlying = 'AAPL'",
    "another account": "account = 'tiny'",
    "a kind that nobody knows": "kind = 'FUTURE'",
}


@pytest.mark.parametrize("change", POSITIONS.values(), ids=POSITIONS.keys())
def test_a_position_that_cannot_be_is_refused(tx: Connection, change: str):
    """Closed exactly when nothing is held, with a reason; an option is an option."""
    hold(tx)

    refused(tx, errors.CheckViolation, "positions", lambda: run(tx, f"UPDATE positions SET {change}"))


STOCKS = {
    "a hundred shares a share": "multiplier = 100",
    "with a strike": "strike = 400",
    "with an expiration": "expiration = '2026-02-20'",
    "of another underlying": "underlying = 'AAPL'",
}


@pytest.mark.parametrize("change", STOCKS.values(), ids=STOCKS.keys())
def test_a_stock_that_cannot_be_is_refused(tx: Connection, change: str):
    """A share is one share of itself, for ever."""
    hold(tx, symbol=STOCK)

    refused(tx, errors.CheckViolation, "positions", lambda: run(tx, f"UPDATE positions SET {change}"))


@pytest.mark.parametrize("change", ["peak = 0", "trough = -1", "close_tries = -1"])
def test_an_exit_plan_holds_prices(tx: Connection, change: str):
    """A peak of nothing is no price."""
    hold(tx)

    refused(tx, errors.CheckViolation, "exit_plans", lambda: run(tx, f"UPDATE exit_plans SET {change}"))


# ---------------------------------------------------------------- fills

EDITS = {
    "price": "price = 0.01",
    "quantity": "qty = 1",
    "cumulative quantity": "cum_qty = 50",
    "side": "side = 'sell'",
    "time": "at = at + interval '1 second'",
    "symbol": f"symbol = '{CALL}'",
    "account": "account = 'tiny'",
    "the brokerage's order": "broker_order_id = 'other'",
    "our order": "order_id = gen_random_uuid()",
}


@pytest.fixture
def filled(tx: Connection) -> Order:
    """An order with one fill of 3 and its position."""
    order = open_order(tx, symbol=PUT, qty=5)
    hold(tx, 3, number=order.position_id.int)
    assert fill(tx, order, 3, 3)
    return order


@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS.keys())
def test_a_fill_is_never_edited(tx: Connection, filled: Order, change: str):
    """What the brokerage executed is history."""
    refused(tx, errors.CheckViolation, "fills is append-only", lambda: run(tx, f"UPDATE fills SET {change}"))


def test_a_fill_is_never_deleted(tx: Connection, filled: Order):
    """Not with its order either, which is not deleted."""
    refused(tx, errors.CheckViolation, "fills is append-only", lambda: run(tx, "DELETE FROM fills"))
    refused(tx, errors.CheckViolation, "what was approved does not change", lambda: run(tx, "DELETE FROM orders"))


def test_a_fill_belongs_to_its_order(tx: Connection):
    """The same account, contract, side and position: a sale is no part of a purchase."""
    order = open_order(tx, symbol=PUT, qty=5)
    hold(tx, 3, number=order.position_id.int)

    refused(tx, errors.CheckViolation, "it is not of order", lambda: fill(tx, order, 3, 3, side=Side.SELL))


def test_an_execution_is_recorded_once(tx: Connection, filled: Order):
    """From the socket and from REST: the second adds what the first did not know, and nothing else."""
    assert not fill(tx, filled, 3, 3, execution_id="e-1", source="activity")
    assert not fill(tx, filled, 3, 3, execution_id="e-2", price=Decimal(99))
    assert [(3, Decimal("7.10"), "e-1", "stream")] == [
        tuple(row) for row in run(tx, "SELECT qty, price, execution_id, source FROM fills")
    ]


def test_an_execution_id_belongs_to_one_fill(tx: Connection, filled: Order):
    """The same execution under another cumulative quantity would be counted twice."""
    fill(tx, filled, 1, 4, execution_id="e-1")

    refused(tx, errors.UniqueViolation, "fills_execution_id_key", lambda: fill(tx, filled, 1, 5, execution_id="e-1"))


FILLS: dict[str, dict[str, Any]] = {
    "without a price": {"price": None},
    "below nothing": {"price": Decimal("-0.01")},
    "more than there was": {"qty": 9},
    "none": {"qty": 0},
    "from nowhere": {"source": "rumour"},
}


@pytest.mark.parametrize("over", FILLS.values(), ids=FILLS.keys())
def test_a_fill_that_cannot_be_is_refused(tx: Connection, filled: Order, over: dict[str, Any]):
    """Only an adjustment may lack a price; nothing fills beyond what is filled after it."""
    values = {"qty": 1, "cum": 4} | over

    refused(
        tx, errors.CheckViolation, "fills", lambda: fill(tx, filled, values.pop("qty"), values.pop("cum"), **values)
    )


def test_an_adjustment_may_lack_its_price(tx: Connection, filled: Order):
    """What nobody knows is not invented."""
    assert fill(tx, filled, 1, 4, price=None, source="adjustment", held_after=2)


@pytest.mark.parametrize(("source", "held_after"), [("adjustment", None), ("stream", 3), ("settlement", 0)])
def test_only_an_adjustment_says_what_was_held(tx: Connection, filled: Order, source: str, held_after: int | None):
    """And it always does: without that it would take the same units twice."""
    wrong = {"source": source, "held_after": held_after}
    refused(tx, errors.CheckViolation, "an_adjustment_says_what_was_held", lambda: fill(tx, filled, 1, 4, **wrong))


BOOKED = (
    "INSERT INTO activities (account, activity_id, word, kind, day, symbol, qty, price, description, fact_id, at,"
    " read_at) VALUES ('large', 'a-1', 'OPEXP', :kind, '2026-02-03', :symbol, :qty, :price, '', 'f', :now, :now)"
)


@pytest.mark.parametrize(
    "over",
    [{"symbol": None}, {"qty": None}, {"price": None}, {"qty": 0}, {"price": -1}, {"kind": "split"}],
    ids=lambda over: str(over),
)
def test_what_moves_a_position_is_whole(tx: Connection, over: dict[str, Any]):
    """Which, how much and at what price: otherwise it is an activity of no kind, and moves nothing."""
    values: dict[str, Any] = {"kind": "expired", "symbol": PUT, "qty": -2, "price": 0, "now": NOON} | over
    with pytest.raises(IntegrityError), tx.begin_nested():
        run(tx, BOOKED, **values)


def test_an_activity_is_applied_once_and_stays_what_it_is(tx: Connection):
    """Never for more than it says, never backwards, never edited and never gone."""
    run(tx, BOOKED, kind="expired", symbol=PUT, qty=-2, price=0, now=NOON)
    run(tx, "UPDATE activities SET applied_qty = 2")

    for change in ("applied_qty = 3", "applied_qty = 1", "qty = -1", "price = 1", "kind = NULL"):
        with pytest.raises(IntegrityError), tx.begin_nested():
            run(tx, f"UPDATE activities SET {change}")
    with pytest.raises(IntegrityError), tx.begin_nested():
        run(tx, "DELETE FROM activities")


def test_a_fill_without_its_position_cannot_be_committed(engine: Engine):
    """Fill and position are one transaction, in either order: there is no moment between them."""
    with engine.begin() as tx:
        configure(tx)
        order = open_order(tx, symbol=PUT, qty=5)

    with pytest.raises(IntegrityError) as raised, engine.begin() as tx:
        fill(tx, order, 3, 3)
    assert isinstance(raised.value.orig, errors.ForeignKeyViolation)

    with engine.begin() as tx:
        fill(tx, order, 3, 3)
        hold(tx, 3, number=order.position_id.int)


def test_a_fill_without_its_order_is_refused(tx: Connection):
    """It would be found by nobody."""
    refused(tx, errors.ForeignKeyViolation, "fills_order_id_fkey", lambda: fill(tx, an_opening(), 1, 1))


# ---------------------------------------------------------------- decisions and history

A_DECISION = """
INSERT INTO decisions (recommendation, account, outcome, checks, sizing, order_id, at, origin)
VALUES ('rec-1', 'large', :outcome, cast(:checks AS jsonb), 'qty 1 asked', :order_id, :now, 'test')
"""


def decide(tx: Connection, outcome: str, order_id: UUID | None, checks: str = "[]") -> None:
    run(tx, "INSERT INTO recommendations VALUES ('rec-1', '{}', :now, :now) ON CONFLICT DO NOTHING", now=NOON)
    run(tx, A_DECISION, outcome=outcome, order_id=order_id, checks=checks, now=NOON)


def test_a_recommendation_is_decided_once_an_account(tx: Connection):
    """The second outcome is refused, whatever it says."""
    decide(tx, "refused", None)

    refused(tx, errors.UniqueViolation, "decisions_pkey", lambda: decide(tx, "approved", UUID(int=1)))


@pytest.mark.parametrize(
    ("outcome", "order_id", "checks"),
    [("approved", None, "[]"), ("refused", UUID(int=1), "[]"), ("pending", None, "[]"), ("refused", None, "{}")],
)
def test_a_decision_that_cannot_be_is_refused(tx: Connection, outcome: str, order_id: UUID | None, checks: str):
    """An approval names its order, a refusal has none; the checks are a list."""
    refused(tx, errors.CheckViolation, "decisions", lambda: decide(tx, outcome, order_id, checks))


def test_a_decision_needs_its_recommendation(tx: Connection):
    """What was decided can be read."""
    values = {"outcome": "refused", "checks": "[]", "order_id": None, "now": NOON}

    refused(tx, errors.ForeignKeyViolation, "recommendation", lambda: run(tx, A_DECISION, **values))


@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET at = at + interval '1 second'"])
@pytest.mark.parametrize("table", ["commitment_log", "account_changes"])
def test_history_is_added_to_and_never_edited(tx: Connection, table: str, statement: str):
    """The proof of the limits and what people did are there to be read."""
    open_order(tx)

    refused(tx, errors.CheckViolation, f"{table} is append-only", lambda: run(tx, statement.format(table)))


@pytest.mark.parametrize("table", ["commitment_log", "account_changes", "fills"])
def test_history_is_not_emptied(tx: Connection, table: str):
    """Also not in one stroke, which no trigger of a row would see."""
    refused(tx, errors.CheckViolation, f"{table} is append-only", lambda: run(tx, f"TRUNCATE {table}"))


def test_whoever_changes_an_account_has_a_name(tx: Connection):
    """An empty one is none."""
    refused(
        tx,
        errors.CheckViolation,
        "account_changes_by_check",
        lambda: accounts.record_change(tx, LARGE, NOON, "", "state active", "because"),
    )


ACCOUNTS = {
    "a state that nobody knows": "state = 'paused'",
    "fewer positions than none": "max_positions = -1",
    "less than nothing": "max_exposure_usd = -0.01",
    "no loss at all": "max_daily_loss_usd = 0",
    "no contract": "max_contracts_per_order = 0",
    "a name of capitals": "account = 'LARGE'",
    "no name": "account = ''",
    "a name too long": f"account = '{'x' * 41}'",
}


@pytest.mark.parametrize("change", ACCOUNTS.values(), ids=ACCOUNTS.keys())
def test_an_account_that_cannot_be_is_refused(tx: Connection, change: str):
    """Its limits are numbers to keep, its state is one of three."""
    refused(
        tx, errors.CheckViolation, "accounts", lambda: run(tx, f"UPDATE accounts SET {change} WHERE account = 'tiny'")
    )


OTHERS = {
    "a lease of no epoch": "INSERT INTO leases VALUES ('fills.0', 'me', 0, now())",
    "a dead letter without reason": "INSERT INTO dead_letters (stream, actor, entry_id, reason, attempts, origin, at)"
    " VALUES ('fills', 'tracker', '1-1', '', 1, 'test', now())",
    "a dead letter never tried": "INSERT INTO dead_letters (stream, actor, entry_id, reason, attempts, origin, at)"
    " VALUES ('fills', 'tracker', '1-1', 'broken', 0, 'test', now())",
    "a session that ends before it begins": "INSERT INTO sessions VALUES ('2026-02-03', now(), now())",
    "a drift that nobody read": "INSERT INTO drift VALUES ('large', 'X', 'side', 1, -1, 0, now(), now())",
    "a drift of no kind": "INSERT INTO drift VALUES ('large', 'X', 'odd', 1, -1, 1, now(), now())",
    "a latency counted never": "INSERT INTO latencies VALUES ('fill_to_position_ms', 1, 0)",
}


@pytest.mark.parametrize("statement", OTHERS.values(), ids=OTHERS.keys())
def test_a_row_that_says_nothing_is_refused(tx: Connection, statement: str):
    """Leases, dead letters, sessions, drift and latencies hold what can be."""
    refused(tx, errors.CheckViolation, "check", lambda: run(tx, statement))


def test_a_fact_is_handled_once_by_each_actor(tx: Connection):
    """The inbox is a key."""
    handle = "INSERT INTO inbox (actor, fact_id) VALUES (:actor, 'fact-1')"
    run(tx, handle, actor="gate")
    run(tx, handle, actor="tracker")

    refused(tx, errors.UniqueViolation, "inbox_pkey", lambda: run(tx, handle, actor="gate"))


# ---------------------------------------------------------------- exit plans and policies

LOOSER = {
    "a rung that was not": "ladder_pct = 10",
    "no rung any more": "ladder_pct = NULL",
    "nobody asked": "triggered_rule = NULL",
    "another asked": "triggered_rule = 'target'",
    "a lower peak": "peak = 12.99",
    "a peak that was not": "peak = NULL",
    "a higher trough": "trough = 9.01",
    "a step back": "close_step = 1",
    "from the market back to a limit": "close_step = 0",
}


@pytest.mark.parametrize("change", LOOSER.values(), ids=LOOSER.keys())
def test_exit_state_may_only_tighten(tx: Connection, change: str):
    """Whoever writes: what was asked for stays asked for, a rung stays taken, best and worst price move apart."""
    hold(tx)
    run(tx, "UPDATE exit_plans SET peak = 13, trough = 9, ladder_pct = 20, triggered_rule = 'stop', close_step = 2")

    refused(tx, errors.CheckViolation, "exit_state_only_tightens", lambda: run(tx, f"UPDATE exit_plans SET {change}"))


def test_exit_state_may_tighten(tx: Connection):
    """A higher peak, a deeper trough, the next rung, a rule that asks."""
    hold(tx)
    run(tx, "UPDATE exit_plans SET peak = 13, trough = 9, ladder_pct = 20")
    run(tx, "UPDATE exit_plans SET peak = 14, trough = 8, ladder_pct = 50, triggered_rule = 'stop'")


@pytest.mark.parametrize("anew", ["triggered_rule = 'stop'", "ladder_pct = 20"], ids=["the whole", "a rung"])
def test_a_close_begins_anew_for_another_reason(tx: Connection, anew: str):
    """For a higher rung, or when the whole is asked for; never for itself, and no further than the market."""
    hold(tx)
    run(tx, "UPDATE exit_plans SET close_step = 100")

    refused(
        tx, errors.CheckViolation, "exit_state_only_tightens", lambda: run(tx, "UPDATE exit_plans SET close_step = 0")
    )
    refused(tx, errors.CheckViolation, "close_step", lambda: run(tx, "UPDATE exit_plans SET close_step = 101"))
    run(tx, f"UPDATE exit_plans SET {anew}, close_step = 0")


def test_of_a_short_the_peak_falls(tx: Connection):
    """Its best price is the lowest: the two may stand the other way round, and still only move apart."""
    hold(tx, qty=-5)
    run(tx, "UPDATE exit_plans SET peak = 9, trough = 13")
    run(tx, "UPDATE exit_plans SET peak = 8, trough = 14")

    refused(tx, errors.CheckViolation, "exit_state_only_tightens", lambda: run(tx, "UPDATE exit_plans SET peak = 8.5"))


def test_a_policy_stands_under_its_own_version(tx: Connection):
    """The version beside it is the one within it."""
    hold(tx)

    refused(
        tx,
        errors.CheckViolation,
        "a_policy_has_its_version",
        lambda: run(tx, "UPDATE exit_plans SET policy_version = 'other'"),
    )


def test_a_close_names_its_rule(tx: Connection):
    """A reason without its rule, or a rule without a reason, is refused."""
    hold(tx, qty=0)

    refused(
        tx, errors.CheckViolation, "a_reason_has_its_rule", lambda: run(tx, "UPDATE positions SET exit_rule = NULL")
    )


@pytest.mark.parametrize(("rule", "reason"), REASONS.items(), ids=REASONS.keys())
def test_a_rule_has_one_reason(tx: Connection, rule: str, reason: ExitReason):
    """The database calls each rule as the code does, and by no other of the agreed words."""
    position = hold(tx, qty=0)
    run(tx, "UPDATE positions SET exit_rule = :rule, exit_reason = :reason", rule=rule, reason=reason)
    other = ExitReason.TARGET if reason is ExitReason.STOP else ExitReason.STOP

    refused(
        tx,
        errors.CheckViolation,
        "a_rule_has_one_reason",
        lambda: run(tx, "UPDATE positions SET exit_reason = :other WHERE position_id = :id", other=other, id=position),
    )


@pytest.mark.parametrize("edit", ["DELETE FROM exit_policies", "UPDATE exit_policies SET strategy = 'x'"])
def test_policies_in_force_are_history(tx: Connection, edit: str):
    """What new positions got, and since when, is added to and never edited."""
    configure(tx)
    policies.record(tx, LARGE, "day_trade", "option", a_policy(), NOON)

    refused(tx, errors.CheckViolation, "append-only", lambda: run(tx, edit))
