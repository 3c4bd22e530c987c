"""What happened last, for a view that is refreshed several times a second: a few rows, whatever the ledger holds.

``views`` reads whole tables, for documents; this reads their newest end. Read-only; unknown is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, text

from db.views import Rows

_DECISIONS: Final = text(
    "SELECT d.recommendation, d.account, d.outcome, d.checks, d.at, r.body ->> 'action' AS action,"
    " coalesce(r.body ->> 'symbol', r.body ->> 'underlying') AS symbol, r.body ->> 'qty' AS asked_qty,"
    " r.body ->> 'notional_usd' AS asked_usd, o.qty, o.limit_price"
    " FROM decisions d JOIN recommendations r ON r.recommendation = d.recommendation"
    " LEFT JOIN orders o ON o.order_id = d.order_id"
    " ORDER BY d.at DESC, d.recommendation DESC, d.account LIMIT :limit"
)

_CLOSED: Final = text(
    "SELECT account, symbol, multiplier, max_qty, entry_price, exit_price, realized_pnl_usd, exit_reason, opened_at,"
    " closed_at FROM positions WHERE closed_at IS NOT NULL ORDER BY closed_at DESC, position_id LIMIT :limit"
)

#: What an open position has realised by partial closes belongs to it, so it counts until the position is closed.
_REALIZED: Final = text(
    "SELECT account, CASE WHEN bool_or(realized_pnl_usd IS NULL) THEN NULL ELSE sum(realized_pnl_usd) END AS usd"
    " FROM positions WHERE closed_at IS NULL OR closed_at >= :since GROUP BY account"
)

_COUNTS: Final = text(
    "SELECT (SELECT count(*) FROM decisions WHERE outcome = 'approved' AND at >= :since) AS approved,"
    " (SELECT count(*) FROM decisions WHERE outcome = 'refused' AND at >= :since) AS refused,"
    " (SELECT count(*) FROM positions WHERE closed_at >= :since) AS closed,"
    " (SELECT count(*) FROM dead_letters WHERE state = 'waiting') AS dead_letters,"
    " (SELECT count(*) FROM drift) AS drift"
)


def decisions(tx: Connection, limit: int) -> Rows:
    """Return the last decisions, newest first, each with what was recommended and the order that came of it."""
    found = [dict(row._mapping) for row in tx.execute(_DECISIONS, {"limit": limit})]
    return [row | {"refusals": [check for check in row["checks"] if not check["passed"]]} for row in found]


def closed_positions(tx: Connection, limit: int) -> Rows:
    """Return the positions that were closed last, newest first."""
    return [dict(row._mapping) for row in tx.execute(_CLOSED, {"limit": limit})]


def realized_usd(tx: Connection, since: datetime) -> Mapping[str, Decimal | None]:
    """Return dollars by account, of positions that are open or were closed after *since*.

    None: one of them left without a known price. An account without such a position is not listed.
    """
    return {row.account: row.usd for row in tx.execute(_REALIZED, {"since": since})}


def counts(tx: Connection, since: datetime) -> dict[str, Any]:
    """Return decisions and closed positions since *since*, and dead letters and drifts that wait for somebody."""
    return dict(tx.execute(_COUNTS, {"since": since}).one()._mapping)
