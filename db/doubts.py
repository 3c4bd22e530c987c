"""Accounts that are to be compared with the brokerage's book now, not at the next time of the timer."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, text

from domain.ids import AccountName

#: A close was refused because the brokerage holds another thing than our rows say, and nobody has looked since.
_MISMATCH = (
    "SELECT o.account FROM orders o JOIN accounts a ON a.account = o.account"
    " WHERE o.status = 'rejected' AND NOT o.opening AND NOT o.external"
    " AND (o.reject_code IN ('not_held', '40410000') OR o.reject_message LIKE '%intent mismatch%')"
    " AND (a.reconciled_at IS NULL OR o.ended_at >= a.reconciled_at)"
)
#: One reading found a difference, and a second one would be believed.
_READ_ONCE = "SELECT account FROM drift WHERE readings = 1 AND first_at <= :read_before"


def accounts(tx: Connection, read_before: datetime) -> tuple[AccountName, ...]:
    """Return the accounts in doubt, by name; a first reading counts if it lies at *read_before* or earlier.

    Source: Alpaca's 40410000 is "position not found".
    """
    rows = tx.execute(text(f"{_MISMATCH} UNION {_READ_ONCE} ORDER BY account"), {"read_before": read_before})
    return tuple(AccountName(r.account) for r in rows)
