"""When each actor last did its work, and which code and configuration it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text


def beat(tx: Connection, actor: str, instance: str, origin: str, now: datetime) -> None:
    tx.execute(
        text(
            "INSERT INTO heartbeats (actor, instance, at, origin) VALUES (:actor, :instance, :now, :origin)"
            " ON CONFLICT (actor, instance) DO UPDATE SET at = :now, origin = :origin"
        ),
        {"actor": actor, "instance": instance, "now": now, "origin": origin},
    )


def latest(tx: Connection) -> Mapping[str, datetime]:
    """Return when some copy of each actor last showed life."""
    rows = tx.execute(text("SELECT actor, max(at) AS at FROM heartbeats GROUP BY actor"))
    return {r.actor: r.at for r in rows}


def all_of(tx: Connection) -> Sequence[dict[str, Any]]:
    return [dict(r._mapping) for r in tx.execute(text("SELECT * FROM heartbeats ORDER BY actor, instance"))]
