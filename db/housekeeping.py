"""What is only of use for a while goes after a while. Decisions, orders, fills and positions stay for ever."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

#: Times are the database's own. An entry of a stream is never redelivered after so long.
_GONE: Final = (
    "DELETE FROM outbox WHERE published_at < clock_timestamp() - interval '7 days'",
    "DELETE FROM inbox WHERE handled_at < clock_timestamp() - interval '90 days'",
    "DELETE FROM heartbeats WHERE at < clock_timestamp() - interval '1 day'",
)


def prune(tx: Connection) -> int:
    """Delete what has had its time; return how many rows."""
    return sum(tx.execute(text(statement)).rowcount for statement in _GONE)
