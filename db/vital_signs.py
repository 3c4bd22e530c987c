"""Until when each part of the stack is known to have been well: what the interlock and every gate judge by."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, text

from domain.ids import AccountName

#: Names of signs that somebody writes; heartbeats, comparisons and prices have rows of their own.
STREAMS: Final = "streams"
TRACKER_LAG: Final = "tracker lag"
BROKER_STREAM: Final = "broker stream"

#: A price is that of the side which the position leaves at. It is missed only while its market is open, and not before
#: the position was there.
_READ: Final = text(
    "SELECT 'actor' AS kind, actor AS name, max(at) AS at FROM heartbeats GROUP BY actor"
    " UNION ALL SELECT 'sign', name, at FROM vital_signs WHERE account IN ('', :account)"
    " UNION ALL SELECT 'reconciliation', '', reconciled_at FROM accounts WHERE account = :account"
    " UNION ALL SELECT 'price', p.symbol,"
    "  greatest(CASE WHEN p.qty > 0 THEN m.bid_at ELSE m.ask_at END, p.opened_at, s.open)"
    " FROM positions p JOIN sessions s ON s.open <= :now AND :now < s.close LEFT JOIN marks m ON m.symbol = p.symbol"
    " WHERE p.account = :account AND p.closed_at IS NULL"
    " UNION ALL SELECT 'dispute', p.symbol, d.since FROM price_disputes d JOIN positions p USING (position_id)"
    " WHERE p.account = :account AND d.ended_at IS NULL"
    " UNION ALL SELECT 'evaluation', p.symbol, CAST(:wall AS timestamptz) - (clock_timestamp() - e.looked_at)"
    " FROM evaluations e JOIN positions p USING (position_id) WHERE p.account = :account AND p.closed_at IS NULL"
)


class Vital(NamedTuple):
    """*kind* is actor, sign, reconciliation, price, dispute or evaluation; *at* is None when it was never well."""

    kind: str
    name: str
    at: datetime | None


def note(tx: Connection, name: str, at: datetime, account: str = "") -> None:
    """Say that *name* was well at *at*; time does not go back."""
    tx.execute(
        text(
            "INSERT INTO vital_signs (name, account, at) VALUES (:name, :account, :at)"
            " ON CONFLICT (name, account) DO UPDATE SET at = :at WHERE vital_signs.at < :at"
        ),
        {"name": name, "account": account, "at": at},
    )


def noted_at(tx: Connection, name: str) -> datetime | None:
    """Return up to when *name* was known to be well, None when it never was."""
    found: datetime | None = tx.execute(
        text("SELECT at FROM vital_signs WHERE name = :name AND account = ''"), {"name": name}
    ).scalar_one_or_none()
    return found


def read(tx: Connection, account: AccountName, now: datetime, wall: datetime) -> tuple[Vital, ...]:
    """Return what *account* depends on, in one look at *now* of the stack's clock and *wall* of the machine's."""
    rows = tx.execute(_READ, {"account": account, "now": now, "wall": wall})
    return tuple(Vital(r.kind, r.name, r.at) for r in rows)
