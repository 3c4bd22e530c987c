"""How each position is to be left: its policy, what its price has been, and how far leaving has come.

A plan is written before its position; none of this state ever loosens, the database sees to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from db import policies
from domain.exits import ExitPolicy
from domain.ids import PositionId
from domain.positions import Excursion


def plan(tx: Connection, position_id: PositionId, policy: ExitPolicy) -> None:
    """Write how the position is to be left, unless that is written already."""
    statement = text(
        "INSERT INTO exit_plans (position_id, policy, policy_version) VALUES (:id, :policy, :version)"
        " ON CONFLICT (position_id) DO NOTHING"
    ).bindparams(bindparam("policy", type_=JSONB))
    tx.execute(statement, {"id": position_id, "policy": policies.to_json(policy), "version": policy.version})


def widen_excursion(tx: Connection, position_id: PositionId, seen: Excursion, is_long: bool) -> None:
    """Move peak and trough outwards; they never move back, whoever writes last."""
    widen_excursions(tx, [(position_id, seen, is_long)])


def widen_excursions(tx: Connection, seen: Sequence[tuple[PositionId, Excursion, bool]]) -> None:
    """Do so for many positions in one statement: what was *seen* of each, and whether it is long."""
    tx.execute(
        text(
            "UPDATE exit_plans e SET"
            " peak = CASE WHEN s.is_long THEN greatest(e.peak, s.peak) ELSE least(e.peak, s.peak) END,"
            " trough = CASE WHEN s.is_long THEN least(e.trough, s.trough) ELSE greatest(e.trough, s.trough) END"
            " FROM unnest(CAST(:ids AS uuid[]), CAST(:peaks AS numeric[]), CAST(:troughs AS numeric[]),"
            " CAST(:longs AS boolean[])) AS s (position_id, peak, trough, is_long)"
            " WHERE e.position_id = s.position_id"
        ),
        {
            "ids": [position_id for position_id, _, _ in seen],
            "peaks": [excursion.peak for _, excursion, _ in seen],
            "troughs": [excursion.trough for _, excursion, _ in seen],
            "longs": [is_long for _, _, is_long in seen],
        },
    )


def mark_rung(tx: Connection, position_id: PositionId, at_pct: Decimal) -> None:
    """Record that the ladder acted on the rung at a gain of *at_pct*; it never climbs down.

    The close of a higher rung begins at its first step, unless the whole is being closed.
    """
    tx.execute(
        text(
            "UPDATE exit_plans SET ladder_pct = greatest(ladder_pct, :pct),"
            " close_step = CASE WHEN triggered_rule IS NULL AND (ladder_pct IS NULL OR ladder_pct < :pct) THEN 0"
            "                   ELSE close_step END WHERE position_id = :id"
        ),
        {"id": position_id, "pct": at_pct},
    )


def replace_policy(tx: Connection, position_id: PositionId, policy: ExitPolicy) -> None:
    """Let *policy* govern the position from now on; what its price has been stays.

    A close that was begun at the market, because there were no steps, stays there.
    """
    statement = text(
        "UPDATE exit_plans SET policy = :policy, policy_version = :version, close_step = CASE"
        " WHEN triggered_rule IS NOT NULL AND policy -> 'close_steps' = '[]' THEN 100 ELSE close_step END"
        " WHERE position_id = :id"
    ).bindparams(bindparam("policy", type_=JSONB))
    tx.execute(statement, {"id": position_id, "policy": policies.to_json(policy), "version": policy.version})


def mark_triggered(tx: Connection, position_id: PositionId, rule: str, now: datetime) -> None:
    """Record which rule asked first for the close of the whole: it begins at its first step, later tries go on."""
    tx.execute(
        text(
            "UPDATE exit_plans SET triggered_rule = coalesce(triggered_rule, :rule),"
            " triggered_at = coalesce(triggered_at, :now),"
            " close_step = CASE WHEN triggered_rule IS NULL THEN 0 ELSE close_step END WHERE position_id = :id"
        ),
        {"id": position_id, "rule": rule, "now": now},
    )


def close_step(tx: Connection, position_id: PositionId) -> int:
    """Return how many steps on its way to the market the close under way has begun."""
    found: int = tx.execute(
        text("SELECT close_step FROM exit_plans WHERE position_id = :id"), {"id": position_id}
    ).scalar_one()
    return found


def step_on(tx: Connection, position_id: PositionId, step: int) -> None:
    """Record that the close has come so far; it never moves away from the market."""
    tx.execute(
        text("UPDATE exit_plans SET close_step = greatest(close_step, :step) WHERE position_id = :id"),
        {"id": position_id, "step": step},
    )


def count_failed_close(tx: Connection, position_id: PositionId) -> int:
    """A close was refused, or ended by others, with quantity left; return how many have been."""
    tries: int = tx.execute(
        text("UPDATE exit_plans SET close_tries = close_tries + 1 WHERE position_id = :id RETURNING close_tries"),
        {"id": position_id},
    ).scalar_one()
    return tries


def retry_from(tx: Connection, position_id: PositionId, at: datetime) -> None:
    """No close of the position is tried before *at*."""
    tx.execute(text("UPDATE exit_plans SET retry_at = :at WHERE position_id = :id"), {"id": position_id, "at": at})
