"""The trading calendar as the brokerage told it, for actors that hold no keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy import Connection, text

from domain.session import Session


def keep(tx: Connection, sessions: Sequence[Session]) -> None:
    """Write *sessions*; a changed close (a half day announced late) replaces the old one."""
    for session in sessions:
        tx.execute(
            text(
                "INSERT INTO sessions (day, open, close) VALUES (:day, :open, :close)"
                " ON CONFLICT (day) DO UPDATE SET open = :open, close = :close"
            ),
            {"day": session.day, "open": session.open, "close": session.close},
        )


def between(tx: Connection, first: date, last: date) -> tuple[Session, ...]:
    """Return the known sessions from *first* to *last*, both included, ascending."""
    rows = tx.execute(
        text("SELECT day, open, close FROM sessions WHERE day BETWEEN :first AND :last ORDER BY day"),
        {"first": first, "last": last},
    )
    return tuple(Session(day=r.day, open=r.open, close=r.close) for r in rows)
