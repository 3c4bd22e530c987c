"""Positions that were opened before the rule library keep their policy, and what closed keeps its reason."""

from __future__ import annotations

import json
from uuid import UUID

from alembic import command
from sqlalchemy import create_engine, text

from db import accounts, policies, positions, schema
from domain.ids import PositionId
from tests.factories import LARGE, NOON, PUT, a_policy, some_limits

BEFORE = "0001"
#: The version before the one that brought the steps of a close.
BEFORE_STEPS = "0011"
#: The numbers that a policy had before.
KNOWN_THEN = (
    *("version", "stop_pct", "catastrophe_pct", "target_pct", "trail_arm_pct", "trail_giveback_pct", "min_hold"),
    *("max_hold", "flatten_before_close", "close_before_expiry"),
)


def test_a_policy_and_a_close_from_before_are_read_as_they_were(empty_database_url: str):
    """Rules that nobody knew then are off, the rule that closed is named like its reason."""
    engine = create_engine(empty_database_url)
    stored = {name: value for name, value in policies.to_json(a_policy()).items() if name in KNOWN_THEN}
    with engine.begin() as tx:
        config = schema._config()
        config.attributes["connection"] = tx
        command.upgrade(config, BEFORE)
        tx.execute(
            text("INSERT INTO exit_plans (position_id, policy, policy_version) VALUES (:id, :policy, 'test')"),
            {"id": UUID(int=1), "policy": json.dumps(stored)},
        )
        tx.execute(
            text(
                "INSERT INTO accounts (account, state, state_reason, state_since, max_positions, max_exposure_usd,"
                " max_daily_loss_usd, max_contracts_per_order, ours_since)"
                " VALUES (:account, 'active', 'test', :now, 5, 10000, 500, 10, :now)"
            ),
            {"account": LARGE, "now": NOON},
        )
        tx.execute(
            text(
                "INSERT INTO positions (position_id, account, symbol, underlying, kind, strike, expiration, multiplier,"
                " strategy, adopted, qty, max_qty, entry_price, opened_at, closed_at, exit_reason)"
                " VALUES (:id, :account, :symbol, 'MSFT', 'PUT', 400, '2026-02-20', 100, 'day_trade', false, 0, 1, 7,"
                " :now, :now, 'stop')"
            ),
            {"id": UUID(int=1), "account": LARGE, "symbol": PUT, "now": NOON},
        )

    schema.upgrade(empty_database_url)

    with engine.connect() as tx:
        row = positions.get(tx, PositionId(UUID(int=1)))
    engine.dispose()
    assert row is not None
    assert (a_policy(), "stop", None, 0) == (row.policy, row.exit_rule, row.ladder_pct, row.ladder_qty)


def test_policies_from_before_the_closing_steps_close_at_the_market(empty_database_url: str):
    """Those of positions and those in force, which are history that nobody edits, say that they have no steps."""
    engine = create_engine(empty_database_url)
    stored = {name: value for name, value in policies.to_json(a_policy()).items() if name != "close_steps"}
    with engine.begin() as tx:
        config = schema._config()
        config.attributes["connection"] = tx
        command.upgrade(config, BEFORE_STEPS)
        accounts.configure(tx, LARGE, some_limits(), NOON)
        values = {"account": LARGE, "policy": json.dumps(stored), "now": NOON, "id": UUID(int=1)}
        tx.execute(
            text("INSERT INTO exit_plans (position_id, policy, policy_version) VALUES (:id, :policy, 'test')"), values
        )
        tx.execute(
            text(
                "INSERT INTO exit_policies (account, strategy, kind, version, policy, at)"
                " VALUES (:account, 'day_trade', 'option', 'test', :policy, :now)"
            ),
            values,
        )

    schema.upgrade(empty_database_url)

    with engine.connect() as tx:
        of_position = tx.execute(text("SELECT policy FROM exit_plans")).scalar_one()
        in_force = policies.in_force(tx, LARGE)
    engine.dispose()
    assert a_policy() == policies.from_json(of_position)
    assert {("day_trade", "option"): a_policy()} == in_force
