"""Entries that could not be handled: rows with their reason, until a person decides."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text


class UnknownDeadLetter(LookupError):
    """No dead letter has this number."""


def record(
    tx: Connection,
    *,
    stream: str,
    actor: str,
    entry_id: str,
    fact_type: str | None,
    body: str | None,
    account: str | None,
    reason: str,
    attempts: int,
    origin: str,
    now: datetime,
) -> bool:
    """Write one; the same entry of the same actor is written once. NUL characters cannot be stored and are shown."""
    inserted = tx.execute(
        text(
            "INSERT INTO dead_letters (stream, actor, entry_id, type, body, account, reason, attempts, origin, at)"
            " VALUES (:stream, :actor, :entry_id, :type, :body, :account, :reason, :attempts, :origin, :now)"
            " ON CONFLICT (stream, actor, entry_id) DO NOTHING"
        ),
        {
            "stream": stream,
            "actor": actor,
            "entry_id": entry_id,
            "type": _storable(fact_type),
            "body": _storable(body),
            "account": account,
            "reason": _storable(reason) or "no reason was given",
            "attempts": attempts,
            "origin": origin,
            "now": now,
        },
    )
    return inserted.rowcount == 1


def _storable(text_: str | None) -> str | None:
    return None if text_ is None else text_.replace("\x00", "\\x00")


def waiting(tx: Connection) -> Sequence[dict[str, Any]]:
    """Return those that nobody has decided about, oldest first, without their bodies."""
    rows = tx.execute(
        text(
            "SELECT dead_id, stream, actor, entry_id, type, account, reason, attempts, origin, at, state"
            " FROM dead_letters WHERE state = 'waiting' ORDER BY dead_id"
        )
    )
    return [dict(r._mapping) for r in rows]


def get(tx: Connection, dead_id: int) -> dict[str, Any]:
    """Return one whole, or raise :exc:`UnknownDeadLetter`."""
    row = tx.execute(text("SELECT * FROM dead_letters WHERE dead_id = :id"), {"id": dead_id}).one_or_none()
    if row is None:
        raise UnknownDeadLetter(f"dead letter {dead_id}: there is none")
    return dict(row._mapping)


def decide(tx: Connection, dead_id: int, state: str, reason: str) -> None:
    """Record what a person decided: requeued or dropped."""
    tx.execute(
        text("UPDATE dead_letters SET state = :state, state_reason = :reason WHERE dead_id = :id"),
        {"id": dead_id, "state": state, "reason": reason},
    )


def count(tx: Connection) -> int:
    number: int = tx.execute(text("SELECT count(*) FROM dead_letters")).scalar_one()
    return number
