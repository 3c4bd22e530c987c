"""Recommendations as they were read, and the one outcome that each has in each account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from domain.checks import Check
from domain.ids import AccountName, OrderId, RecommendationId


class AnotherBody(ValueError):
    """A recommendation came again under its id with other content: it is not the same recommendation."""


def remember(
    tx: Connection, recommendation: RecommendationId, body: Mapping[str, Any], at: datetime, now: datetime
) -> None:
    """Keep the recommendation as first read.

    Raises:
        AnotherBody: its id is known with other content.
    """
    statement = text(
        "INSERT INTO recommendations (recommendation, body, at, read_at) VALUES (:id, :body, :at, :now)"
        " ON CONFLICT (recommendation) DO UPDATE SET recommendation = excluded.recommendation"
        " RETURNING body = :body"
    ).bindparams(bindparam("body", type_=JSONB))
    same = tx.execute(statement, {"id": recommendation, "body": dict(body), "at": at, "now": now}).scalar_one()
    if not same:
        raise AnotherBody(f"id: {recommendation!r} came before with another body")


def record(
    tx: Connection,
    *,
    recommendation: RecommendationId,
    account: AccountName,
    checks: Sequence[Check],
    sizing: str,
    order_id: OrderId | None,
    now: datetime,
    origin: str,
) -> None:
    """Write the outcome; there is only one: a second write is refused by the primary key."""
    statement = text(
        "INSERT INTO decisions (recommendation, account, outcome, checks, sizing, order_id, at, origin)"
        " VALUES (:recommendation, :account, :outcome, :checks, :sizing, :order_id, :now, :origin)"
    ).bindparams(bindparam("checks", type_=JSONB))
    tx.execute(
        statement,
        {
            "recommendation": recommendation,
            "account": account,
            "outcome": "refused" if order_id is None else "approved",
            "checks": [_plain(check) for check in checks],
            "sizing": sizing,
            "order_id": order_id,
            "now": now,
            "origin": origin,
        },
    )


def _plain(check: Check) -> dict[str, Any]:
    return asdict(check) | {"age_s": None if check.age_s is None else float(check.age_s)}


def exists(tx: Connection, recommendation: RecommendationId, account: AccountName) -> bool:
    found = tx.execute(
        text("SELECT 1 FROM decisions WHERE recommendation = :recommendation AND account = :account"),
        {"recommendation": recommendation, "account": account},
    ).one_or_none()
    return found is not None
