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
    """Record that the ladder acted on the rung at a gain of *at_pct*; it never climbs down."""
    tx.execute(
        text("UPDATE exit_plans SET ladder_pct = greatest(ladder_pct, :pct) WHERE position_id = :id"),
        {"id": position_id, "pct": at_pct},
    )


def replace_policy(tx: Connection, position_id: PositionId, policy: ExitPolicy) -> None:
    """Let *policy* govern the position from now on; what its price has been stays."""
    statement = text(
        "UPDATE exit_plans SET policy = :policy, policy_version = :version WHERE position_id = :id"
    ).bindparams(bindparam("policy", type_=JSONB))
    tx.execute(statement, {"id": position_id, "policy": policies.to_json(policy), "version": policy.version})


def mark_triggered(tx: Connection, position_id: PositionId, rule: str, now: datetime) -> None:
    """Record which rule asked first for the close; later tries keep it."""
    tx.execute(
        text(
            "UPDATE exit_plans SET triggered_rule = coalesce(triggered_rule, :rule),"
            " triggered_at = coalesce(triggered_at, :now) WHERE position_id = :id"
        ),
        {"id": position_id, "rule": rule, "now": now},
    )


def record_failed_close(tx: Connection, position_id: PositionId, now: datetime) -> None:
    """A close ended with quantity left: the next try comes after a pause that doubles from 1 s to 5 min."""
    tx.execute(
        text(
            "UPDATE exit_plans SET close_tries = close_tries + 1,"
            " retry_at = :now + least(power(2, least(close_tries, 10)), 300) * interval '1 second'"
            " WHERE position_id = :id"
        ),
        {"id": position_id, "now": now},
    )
