"""Why nothing, or little, was bought: every outcome since a moment, grouped by what decided it."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, TextClause, text

Rows = list[dict[str, Any]]

_OF_ACCOUNT: Final = "(CAST(:account AS text) IS NULL OR account = :account)"

#: A check counts where it failed; ``alone`` where nothing else failed, so that it alone stood in the way.
_REFUSALS: Final = text(
    "SELECT c ->> 'gate' AS gate, count(*) AS count, count(*) FILTER (WHERE d.failed = 1) AS alone,"
    " max(d.at) AS last_at, (array_agg(c ->> 'observed' ORDER BY d.at DESC))[1] AS observed,"
    " (array_agg(c ->> 'allowed' ORDER BY d.at DESC))[1] AS allowed,"
    " (array_agg(d.recommendation ORDER BY d.at DESC))[1] AS recommendation"
    " FROM (SELECT recommendation, account, at, checks, (SELECT count(*) FROM jsonb_array_elements(checks) e"
    "         WHERE NOT (e ->> 'passed')::boolean) AS failed FROM decisions"
    f"       WHERE outcome = 'refused' AND at >= :since AND {_OF_ACCOUNT}) AS d,"
    " jsonb_array_elements(d.checks) AS c WHERE NOT (c ->> 'passed')::boolean"
    " GROUP BY c ->> 'gate' ORDER BY count(*) DESC, c ->> 'gate'"
)

_OUTCOMES: Final = text(
    "SELECT count(*) FILTER (WHERE outcome = 'approved') AS approved,"
    " count(*) FILTER (WHERE outcome = 'refused') AS refused,"
    f" count(DISTINCT recommendation) AS recommendations FROM decisions WHERE at >= :since AND {_OF_ACCOUNT}"
)

_UNDECIDED: Final = text(
    "SELECT r.recommendation, a.account, r.at FROM recommendations r,"
    " LATERAL (SELECT jsonb_array_elements_text(r.body -> 'accounts') AS account) AS a"
    " WHERE NOT EXISTS (SELECT 1 FROM decisions d WHERE (d.recommendation, d.account) = (r.recommendation, a.account))"
    " AND (CAST(:account AS text) IS NULL OR a.account = :account) ORDER BY r.at, r.recommendation, a.account"
)

#: What became of openings that were approved: most that did not fill ended by themselves.
_ORDERS: Final = text(
    "SELECT status, reject_code, count(*) AS count, count(*) FILTER (WHERE filled_qty > 0) AS filled FROM orders"
    f" WHERE opening AND NOT external AND approved_at >= :since AND {_OF_ACCOUNT}"
    " GROUP BY status, reject_code ORDER BY count(*) DESC, status"
)

#: What a person has put back is what becomes of it then.
_DEAD: Final = text(
    "SELECT reason, body FROM dead_letters WHERE stream = 'recommendations' AND at >= :since AND state <> 'requeued'"
)


def refusals(tx: Connection, since: datetime, account: str | None) -> Rows:
    """Return how often each check refused since *since*, the most frequent first, each with its latest example."""
    return _rows(tx, _REFUSALS, since=since, account=account)


def outcomes(tx: Connection, since: datetime, account: str | None) -> dict[str, Any]:
    """Return how many recommendations were decided since *since*, and how."""
    [row] = _rows(tx, _OUTCOMES, since=since, account=account)
    return row


def undecided(tx: Connection, account: str | None = None) -> Rows:
    """Return what was read and has no outcome yet: (recommendation, account) and when it was issued."""
    return _rows(tx, _UNDECIDED, account=account)


def openings(tx: Connection, since: datetime, account: str | None) -> Rows:
    """Return how the openings that were approved since *since* stand or ended."""
    return _rows(tx, _ORDERS, since=since, account=account)


def unreadable(tx: Connection, since: datetime) -> Rows:
    """Return the recommendations that became dead letters since *since*, by their reason, the most frequent first.

    One that was read before the gate gave up on it is undecided, and counts there.
    """
    read = {row["recommendation"] for row in undecided(tx)}
    counts = Counter(row["reason"] for row in _rows(tx, _DEAD, since=since) if _named_in(row["body"]) not in read)
    return [{"reason": r, "count": n} for r, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def _named_in(body: str | None) -> str | None:
    """Return the id in the body of a dead letter, None where there is none that could be read."""
    try:
        name = json.loads(body or "")["id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return name if isinstance(name, str) else None


def _rows(tx: Connection, statement: TextClause, **values: object) -> Rows:
    return [dict(row._mapping) for row in tx.execute(statement, values)]
