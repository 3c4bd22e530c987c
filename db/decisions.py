"""Recommendations as they were read, and the one outcome that each has in each account."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from domain.account import Limits
from domain.checks import Check
from domain.ids import AccountName, OrderId, RecommendationId
from domain.selection import Selection
from domain.sizing import Step


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A recommendation as it was read: its body in JSON, when it was issued, and when it entered its stream."""

    recommendation: RecommendationId
    body: str
    at: datetime
    read_at: datetime


def remember_all(tx: Connection, read: Sequence[Remembered]) -> None:
    """Keep many recommendations as first read.

    Raises:
        AnotherBody: the id of at least one is known, or stands here, with other content; nothing may be kept.
    """
    values = {
        "ids": [r.recommendation for r in read],
        "bodies": [r.body for r in read],
        "ats": [r.at for r in read],
        "read_ats": [r.read_at for r in read],
    }
    tx.execute(
        text(
            "INSERT INTO recommendations (recommendation, body, at, read_at)"
            " SELECT * FROM unnest(CAST(:ids AS text[]), CAST(:bodies AS jsonb[]), CAST(:ats AS timestamptz[]),"
            " CAST(:read_ats AS timestamptz[])) AS r (recommendation) ORDER BY recommendation ON CONFLICT DO NOTHING"
        ),
        values,
    )
    others = tx.execute(
        text(
            "SELECT recommendation FROM recommendations JOIN unnest(CAST(:ids AS text[]), CAST(:bodies AS jsonb[]))"
            " AS r (recommendation, said) USING (recommendation) WHERE body <> said"
        ),
        values,
    ).scalars()
    if found := sorted(others):
        raise AnotherBody(f"id: {found!r:.200} came before with another body")


def record(
    tx: Connection,
    *,
    recommendation: RecommendationId,
    account: AccountName,
    checks: Sequence[Check],
    sizing: str,
    steps: Sequence[Step] | None,
    selection: Selection | None,
    order_id: OrderId | None,
    limits: Limits | None,
    now: datetime,
    origin: str,
) -> None:
    """Write the outcome; there is only one: a second write is refused by the primary key.

    *origin* names code and configuration, *limits* are those in force, None for a SELL, which has none.
    """
    statement = text(
        "INSERT INTO decisions (recommendation, account, outcome, checks, sizing, sizing_steps, selection, order_id,"
        " limits, at, origin) VALUES (:recommendation, :account, :outcome, :checks, :sizing, :steps, :selection,"
        " :order_id, :limits, :now, :origin)"
    ).bindparams(
        *(bindparam(name, type_=JSONB(none_as_null=True)) for name in ("checks", "steps", "selection", "limits"))
    )
    tx.execute(
        statement,
        {
            "recommendation": recommendation,
            "account": account,
            "outcome": "refused" if order_id is None else "approved",
            "checks": [_plain(check) for check in checks],
            "sizing": sizing,
            "steps": None if steps is None else [asdict(step) for step in steps],
            "selection": None if selection is None else _as_text(asdict(selection)),
            "order_id": order_id,
            "limits": None if limits is None else _plain_limits(limits),
            "now": now,
            "origin": origin,
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    recommendation: RecommendationId
    account: AccountName
    checks: Sequence[Check]
    sizing: str


def refuse_all(tx: Connection, refusals: Sequence[Refusal], now: datetime, origin: str) -> None:
    """Write many outcomes that open nothing; none may have one already."""
    tx.execute(
        text(
            "INSERT INTO decisions (recommendation, account, outcome, checks, sizing, at, origin)"
            " SELECT recommendation, account, 'refused', checks, sizing, :now, :origin"
            " FROM unnest(CAST(:recommendations AS text[]), CAST(:accounts AS text[]), CAST(:checks AS jsonb[]),"
            " CAST(:sizings AS text[])) AS r (recommendation, account, checks, sizing)"
        ),
        {
            "recommendations": [r.recommendation for r in refusals],
            "accounts": [r.account for r in refusals],
            "checks": [json.dumps([_plain(check) for check in r.checks]) for r in refusals],
            "sizings": [r.sizing for r in refusals],
            "now": now,
            "origin": origin,
        },
    )


def _plain(check: Check) -> dict[str, Any]:
    return {
        "gate": check.gate,
        "passed": check.passed,
        "code": check.code,
        "observed": check.observed,
        "allowed": check.allowed,
        "source": check.source,
        "age_s": None if check.age_s is None else float(check.age_s),
    }


def _as_text(value: Any) -> Any:
    """Return *value* as JSON knows it: a Decimal is text, so that it stays the number it is."""
    if isinstance(value, dict):
        return {key: _as_text(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_as_text(inner) for inner in value]
    return str(value) if isinstance(value, Decimal) else value


def _plain_limits(limits: Limits) -> dict[str, Any]:
    """Dollars are text in JSON, counts are numbers."""
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in asdict(limits).items()}


def exists(tx: Connection, recommendation: RecommendationId, account: AccountName) -> bool:
    found = tx.execute(
        text("SELECT 1 FROM decisions WHERE recommendation = :recommendation AND account = :account"),
        {"recommendation": recommendation, "account": account},
    ).one_or_none()
    return found is not None
