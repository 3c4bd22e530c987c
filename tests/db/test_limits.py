"""Limits with their history, and overrides that end by themselves: what counts, and what the database refuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from psycopg2 import errors
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from db import accounts, latches, limits
from domain.account import LossKind, TradingState
from domain.loss import Sighting
from tests.db.wall_kit import WALL, configure, open_order, refused, run
from tests.factories import LARGE, NOON, SESSION, TINY, some_limits

HOUR = timedelta(hours=1)


def override(tx: Connection, limit: str = "max_positions", value: str = "1", **over: Any) -> None:
    values: dict[str, Any] = {"until": NOON + HOUR, "by": "somebody", "reason": "drill", "now": NOON}
    limits.override(tx, LARGE, limit, Decimal(value), **values | over)


def in_force(tx: Connection, at: Any = NOON) -> Any:
    return limits.in_force(tx, LARGE, at)


# ---------------------------------------------------------------- history


def test_the_file_at_start_is_the_first_entry_of_the_history(tx: Connection):
    """Who, when and all limits: from the first moment on."""
    [entry] = limits.history(tx, LARGE)

    assert ("configuration", NOON, 5) == (entry["by"], entry["at"], entry["max_positions"])


def test_the_file_wins_at_a_start_and_is_written_down(tx: Connection):
    """A person set 3, the file says 5: it is 5 again, and the history has all three."""
    limits.change(tx, LARGE, some_limits(max_positions=3), "somebody", "fewer", NOON)
    assert accounts.configure(tx, LARGE, some_limits(), NOON + HOUR)

    told = [(entry["by"], entry["max_positions"]) for entry in limits.history(tx, LARGE)]
    assert [("configuration", 5), ("somebody", 3), ("configuration", 5)] == told
    assert 5 == in_force(tx).max_positions


def test_the_same_limits_again_are_no_change(tx: Connection):
    """A restart with the same file adds nothing to the history."""
    assert not accounts.configure(tx, LARGE, some_limits(), NOON + HOUR)
    assert 1 == len(limits.history(tx, LARGE))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE accounts SET max_positions = 500 WHERE account = 'large'",
        "UPDATE accounts SET max_drawdown_usd = NULL WHERE account = 'large'",
        "INSERT INTO limits_history (account, at, by, reason, max_positions, max_exposure_usd, max_daily_loss_usd,"
        " max_contracts_per_order) VALUES ('large', now(), 'me', 'no row', 500, 1, 1, 1)",
    ],
    ids=["a limit", "a limit switched off", "history alone"],
)
def test_limits_do_not_change_without_their_history(engine: Engine, change: str):
    """By whatever hand: at the commit the row says what the last entry says, or nothing is written (R04)."""
    with engine.begin() as tx:
        configure(tx)
    with pytest.raises(IntegrityError, match="not what its history says"), engine.begin() as tx:
        tx.execute(text(change))

    with engine.begin() as tx:
        assert some_limits() == in_force(tx)


@pytest.mark.parametrize("table", ["limits_history", "configurations", "latches", "limit_overrides"])
def test_history_is_not_emptied(tx: Connection, table: str):
    """Who changed what stays, whatever anybody tries."""
    run(tx, "SET CONSTRAINTS ALL IMMEDIATE")
    refused(tx, errors.CheckViolation, "append-only", lambda: run(tx, f"TRUNCATE {table}"))


# ---------------------------------------------------------------- overrides


def test_an_override_counts_until_its_end_and_not_at_it(tx: Connection):
    """One position for an hour: a microsecond before its end it counts, at its end the row does again."""
    override(tx)

    assert [1, 1, 5] == [
        in_force(tx, at).max_positions for at in (NOON, NOON + HOUR - timedelta(microseconds=1), NOON + HOUR)
    ]


def test_an_override_outlives_a_start(tx: Connection):
    """The file is brought into force again, and with another value: the override stays until it ends."""
    override(tx)
    accounts.configure(tx, LARGE, some_limits(max_positions=4), NOON)

    assert (1, 4) == (in_force(tx).max_positions, in_force(tx, NOON + HOUR).max_positions)


def test_the_youngest_override_counts_and_ends_the_older_one(tx: Connection):
    """Two on one limit: when the younger ends, the older does not come back."""
    override(tx, value="2", until=NOON + 3 * HOUR)
    override(tx, value="1")

    assert (1, 5) == (in_force(tx).max_positions, in_force(tx, NOON + HOUR).max_positions)


def test_an_override_is_lifted_once(tx: Connection):
    """Lifted it counts no more; there is nothing to lift a second time."""
    override(tx)

    assert 1 == limits.lift(tx, LARGE, "max_positions", "somebody", NOON + HOUR / 2)
    assert 5 == in_force(tx, NOON + HOUR / 2).max_positions
    assert 0 == limits.lift(tx, LARGE, "max_positions", "somebody", NOON + HOUR / 2)


def test_an_override_is_of_one_account_and_one_limit(tx: Connection):
    """The other account, and the other limits of this one, stay."""
    override(tx, "max_exposure_usd", "100.50")

    assert some_limits(max_exposure_usd=Decimal("100.50")) == in_force(tx)
    assert some_limits() == limits.in_force(tx, TINY, NOON)


INSERT = (
    "INSERT INTO limit_overrides (account, limit_name, value, at, until, by, reason)"
    " VALUES ('large', '{limit}', {value}, :now, :now + interval '{lasting}', '{by}', '{reason}')"
)


@pytest.mark.parametrize(
    "wrong",
    [
        {"lasting": "0"},
        {"lasting": "8 days"},
        {"limit": "max_everything"},
        {"value": "1.5"},
        {"value": "-1"},
        {"limit": "max_daily_loss_usd", "value": "0"},
        {"limit": "max_contracts_per_order", "value": "0"},
        {"limit": "max_drawdown_pct", "value": "101"},
        {"by": ""},
        {"reason": ""},
    ],
    ids=str,
)
def test_the_database_refuses_an_override_that_is_none(tx: Connection, wrong: dict[str, str]):
    """Without an end, too long, of no limit, absurd, anonymous or unexplained: no hand can write it."""
    good = {"limit": "max_positions", "value": "1", "lasting": "1 hour", "by": "me", "reason": "drill"}
    refused(tx, errors.CheckViolation, "limit_overrides", lambda: run(tx, INSERT.format(**good | wrong), now=NOON))
    run(tx, INSERT.format(**good), now=NOON)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE limit_overrides SET until = until + interval '1 day'",
        "UPDATE limit_overrides SET value = 500",
        "UPDATE limit_overrides SET lifted_at = at, lifted_by = 'me', value = 500",
        "DELETE FROM limit_overrides",
    ],
    ids=["longer", "more", "more while lifting", "gone"],
)
def test_an_override_does_not_change_behind_its_history(tx: Connection, change: str):
    """It may be lifted; it is never prolonged, raised or deleted."""
    override(tx)
    refused(tx, errors.CheckViolation, "", lambda: run(tx, change))


# ---------------------------------------------------------------- the second wall


def test_the_wall_counts_with_the_override(tx: Connection):
    """One position for an hour: the second opening is refused by the database, after the hour it passes."""
    override(tx)
    open_order(tx, 1)
    refused(tx, errors.CheckViolation, WALL, lambda: open_order(tx, 2))

    open_order(tx, 2, approved_at=NOON + HOUR)
    assert [(1, 1), (2, 5)] == [
        tuple(row) for row in run(tx, "SELECT positions, max_positions FROM commitment_log ORDER BY entry_id")
    ]


def halt_every(tx: Connection) -> None:
    accounts.set_every_state(tx, TradingState.HALTED, "drill", NOON)


def confirm_loss(tx: Connection) -> None:
    latches.see(tx, LARGE, LossKind.DAILY_LOSS, SESSION.day, "lost", Sighting(seen_at=NOON, evidence_at=NOON))
    latches.confirm(tx, LARGE, LossKind.DAILY_LOSS, SESSION.day, "lost", NOON)


@pytest.mark.parametrize("stop", [halt_every, confirm_loss], ids=["every account is halted", "a loss is latched"])
def test_the_wall_lets_nothing_open(tx: Connection, stop: Callable[[Connection], None]):
    """With every gate gone the database itself refuses; before, the same order passed."""
    open_order(tx, 1)
    stop(tx)
    refused(tx, errors.CheckViolation, WALL, lambda: open_order(tx, 2))


@pytest.mark.parametrize(
    "change",
    ["DELETE FROM latches", "UPDATE latches SET latched_at = NULL", "UPDATE latches SET day = day + 1"],
)
def test_a_latch_is_only_lifted(tx: Connection, change: str):
    """Confirmed, it is neither deleted nor undone."""
    confirm_loss(tx)
    refused(tx, errors.CheckViolation, "may only be lifted", lambda: run(tx, change))


def test_a_latch_is_lifted_by_somebody_with_a_reason(tx: Connection):
    """Nobody lifts it namelessly."""
    confirm_loss(tx)
    refused(tx, errors.CheckViolation, "latches", lambda: run(tx, "UPDATE latches SET lifted_at = now()"))
    run(tx, "UPDATE latches SET lifted_at = now(), lifted_by = 'me', lift_reason = 'seen'")


def test_the_state_of_all_accounts_is_one_row(tx: Connection):
    """There is no second opinion, and no way to have none."""
    refused(tx, errors.CheckViolation, "append-only", lambda: run(tx, "DELETE FROM every_account"))
    refused(
        tx,
        errors.UniqueViolation,
        "every_account_pkey",
        lambda: run(tx, "INSERT INTO every_account (state, state_reason, state_since) VALUES ('active', '', now())"),
    )


def test_two_accounts_are_never_one_of_the_brokerage(tx: Connection):
    """The same number for both: each would count only its own half (R17)."""
    accounts.mark_reconciled(tx, LARGE, "PA1", NOON)
    refused(
        tx,
        errors.UniqueViolation,
        "accounts_broker_account_number_key",
        lambda: accounts.mark_reconciled(tx, TINY, "PA1", NOON),
    )
