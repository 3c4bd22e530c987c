"""The rules that decide, as they came into force: the youngest row counts, whatever file a process has read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

_LATEST = " FROM configurations ORDER BY configuration_id DESC LIMIT 1"


def hash_in_force(tx: Connection) -> str | None:
    """Return the hash of the rules in force, None before the first."""
    found: str | None = tx.execute(text(f"SELECT hash{_LATEST}")).scalar()
    return found


def body_in_force(tx: Connection) -> Mapping[str, Any] | None:
    """Return the rules in force as JSON types, None before the first."""
    found: Mapping[str, Any] | None = tx.execute(text(f"SELECT body{_LATEST}")).scalar()
    return found


def put(tx: Connection, config_hash: str, body: Mapping[str, Any], by: str, reason: str, now: datetime) -> bool:
    """Bring rules into force; False when they are already."""
    if hash_in_force(tx) == config_hash:
        return False
    statement = text(
        "INSERT INTO configurations (hash, body, at, by, reason) VALUES (:hash, :body, :now, :by, :reason)"
    ).bindparams(bindparam("body", type_=JSONB))
    tx.execute(statement, {"hash": config_hash, "body": dict(body), "now": now, "by": by, "reason": reason})
    return True
