"""What monitoring asks of the rows at every scrape: read-only, each question on an index of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, TextClause, text

from domain.checks import Check

Rows = Sequence[Row[Any]]

#: Realised dollars are unknown as soon as one position left without a known price.
_ACCOUNTS: Final = text(
    "SELECT a.*, held.open_positions, bound.committed, bound.exposure_usd, pending.reservations, pending.reserved_usd,"
    " missing.unapplied, missing.unapplied_since, earned.realized_usd, beyond.breaches,"
    " EXISTS (SELECT 1 FROM latches t WHERE t.account = a.account AND kind = 'daily_loss'"
    "          AND latched_at IS NOT NULL AND lifted_at IS NULL) AS loss_latched"
    " FROM accounts a,"
    " LATERAL (SELECT count(*) AS open_positions FROM positions p"
    "           WHERE p.account = a.account AND closed_at IS NULL) AS held,"
    " LATERAL (SELECT count(*) AS committed, coalesce(sum(usd), 0) AS exposure_usd FROM commitments c"
    "           WHERE c.account = a.account) AS bound,"
    " LATERAL (SELECT count(*) AS reservations,"
    "                 coalesce(sum(limit_price * multiplier * (coalesce(final_filled_qty, qty) - filled_qty)), 0)"
    "                 AS reserved_usd FROM orders o"
    "           WHERE o.account = a.account AND opening AND NOT external"
    "             AND coalesce(final_filled_qty, qty) > filled_qty) AS pending,"
    " LATERAL (SELECT count(*) AS unapplied, min(ended_at) AS unapplied_since FROM orders o"
    "           WHERE o.account = a.account AND final_filled_qty > filled_qty) AS missing,"
    " LATERAL (SELECT CASE WHEN bool_or(realized_pnl_usd IS NULL) THEN NULL"
    "                      ELSE coalesce(sum(realized_pnl_usd), 0) END AS realized_usd"
    "            FROM positions p WHERE p.account = a.account) AS earned,"
    " LATERAL (SELECT count(*) AS breaches FROM commitment_log l WHERE l.account = a.account AND NOT adopted"
    "             AND (positions > max_positions OR exposure_usd > max_exposure_usd)) AS beyond"
    " ORDER BY a.account"
)

_OPEN: Final = text(
    "SELECT account, p.symbol, qty, opened_at, close_tries,"
    " extract(epoch FROM clock_timestamp() - v.due_at) AS overdue_s,"
    " CASE WHEN qty > 0 THEN m.bid_at ELSE m.ask_at END AS priced_at,"
    " EXISTS (SELECT 1 FROM price_disputes d WHERE d.position_id = p.position_id AND d.ended_at IS NULL) AS disputed"
    " FROM positions p JOIN exit_plans e USING (position_id) JOIN evaluations v USING (position_id)"
    " LEFT JOIN marks m ON m.symbol = p.symbol WHERE closed_at IS NULL ORDER BY account, p.symbol"
)

_TO_BE_LEFT: Final = text(
    "SELECT account, count(*) AS n FROM positions p JOIN exit_plans e ON e.position_id = p.position_id"
    " WHERE closed_at IS NULL AND triggered_rule IS NOT NULL AND NOT EXISTS (SELECT 1 FROM orders o"
    " WHERE o.position_id = p.position_id AND NOT o.opening AND NOT o.external AND o.ended_at IS NULL)"
    " GROUP BY account"
)

_MISMATCHES: Final = text(
    "SELECT account, kind, count(*) AS n FROM drift WHERE readings > 1 GROUP BY account, kind ORDER BY account, kind"
)

_REJECTED: Final = text(
    "SELECT account, opening, reject_code, reject_message, count(*) AS n FROM orders"
    " WHERE status = 'rejected' AND NOT external AND ended_at > :since"
    " GROUP BY account, opening, reject_code, reject_message"
)

_REFUSED: Final = text("SELECT account, checks FROM decisions WHERE at > :since AND outcome = 'refused'")

_UNDECIDED: Final = text(
    "SELECT a.account, count(*) AS n, min(r.read_at) AS since FROM recommendations r,"
    " LATERAL (SELECT jsonb_array_elements_text(r.body -> 'accounts') AS account) AS a"
    " WHERE NOT EXISTS (SELECT 1 FROM decisions d WHERE (d.recommendation, d.account) = (r.recommendation, a.account))"
    " GROUP BY a.account"
)

_DEAD: Final = text(
    "SELECT stream, actor, count(*) AS n FROM dead_letters WHERE state = 'waiting'"
    " GROUP BY stream, actor ORDER BY stream, actor"
)


def _all(tx: Connection, statement: TextClause, **values: object) -> Rows:
    return tx.execute(statement, values).all()


def accounts(tx: Connection) -> Rows:
    """Return each account's row with what it holds, reserves, has earned, and what of its fills is missing."""
    return _all(tx, _ACCOUNTS)


def open_positions(tx: Connection) -> Rows:
    """Return what is held; *priced_at*: when the side that it leaves at was last a price, as exit saw it."""
    return _all(tx, _OPEN)


def to_be_left(tx: Connection) -> Rows:
    """Return how many positions of each account are to be left and have no close under way."""
    return _all(tx, _TO_BE_LEFT)


def at_the_brokerage(tx: Connection) -> Rows:
    """Return account, symbol and signed units as the brokerage said when it was last compared."""
    return _all(tx, text("SELECT account, symbol, qty FROM broker_positions ORDER BY account, symbol"))


def mismatches(tx: Connection) -> Rows:
    """Return how many positions differ, by account and kind, where two readings said so."""
    return _all(tx, _MISMATCHES)


def rejected(tx: Connection, since: datetime) -> Rows:
    """Return how many orders of ours were rejected after *since*, by account, direction, code and sentence."""
    return _all(tx, _REJECTED, since=since)


def refused(tx: Connection, since: datetime) -> Sequence[tuple[str, tuple[Check, ...]]]:
    """Return account and checks of every recommendation that was refused after *since*."""
    return [(r.account, tuple(Check(**check) for check in r.checks)) for r in _all(tx, _REFUSED, since=since)]


def undecided(tx: Connection) -> Rows:
    """Return how many recommendations have no outcome, by account, and when the oldest entered its stream."""
    return _all(tx, _UNDECIDED)


def dead_letters(tx: Connection) -> Rows:
    """Return how many dead letters wait for a person, by stream and actor."""
    return _all(tx, _DEAD)
