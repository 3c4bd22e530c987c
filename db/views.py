"""What the rows say, for people and for the report: read-only, one function a table.

Each row is a dict of Python values (Decimal, aware datetime, UUID); unknown is None. Whoever shows them picks
the keys. Lists are ordered by when things happened, then by id, so that the same rows give the same list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Engine, TextClause, text

from domain.events import Side
from domain.money import CENT, change_pct

Rows = list[dict[str, Any]]

_ZERO_PCT: Final = Decimal("0.00")

_RECOMMENDATION: Final = text(
    "SELECT recommendation, body, at, read_at FROM recommendations WHERE recommendation = :id"
)

_DECISIONS: Final = text(
    "SELECT recommendation, account, outcome, checks, sizing, sizing_steps, selection, order_id, limits,"
    " at, origin FROM decisions"
    " WHERE (CAST(:recommendation AS text) IS NULL OR recommendation = :recommendation)"
    " ORDER BY at, recommendation, account"
)

_ORDERS: Final = text(
    "SELECT order_id, client_order_id, account, position_id, recommendation, symbol, side, intent, qty, type,"
    " limit_price, awaited_until, status, filled_qty, submitted_at, ended_at, reject_code, reject_message,"
    " approved_at, accepted_at, cancel_asked_at, external, reason, detail, broker_order_id, multiplier FROM orders"
    " WHERE (CAST(:account AS text) IS NULL OR account = :account)"
    " AND (CAST(:position AS uuid) IS NULL OR position_id = CAST(:position AS uuid))"
    " AND (NOT :live OR ended_at IS NULL)"
    " ORDER BY approved_at, order_id"
)

_FILLS: Final = text(
    "SELECT fill_id, execution_id, order_id, account, symbol, side, qty, price, at, cum_qty, position_id, source,"
    " broker_order_id, read_at FROM fills"
    " WHERE (CAST(:account AS text) IS NULL OR account = :account)"
    " AND (CAST(:position AS uuid) IS NULL OR position_id = CAST(:position AS uuid))"
    " ORDER BY at, order_id, cum_qty"
)

#: The first fill tells whether a position is long or short after it is closed; a try that was never sent is no try,
#: nor is a step that we ended ourselves, and what left before a rule asked for the whole is not among its tries.
_POSITIONS: Final = text(
    "SELECT p.position_id, p.account, p.symbol, p.underlying, p.kind, p.strategy, p.multiplier, p.recommendation,"
    " p.adopted, p.qty, p.max_qty, p.entry_price, p.exit_price, p.opened_at, p.closed_at, p.exit_reason, p.exit_rule,"
    " p.realized_pnl_usd, e.peak, e.trough, e.triggered_rule, e.triggered_at, e.retry_at, e.policy_version,"
    " e.ladder_pct,"
    " (SELECT CASE WHEN p.qty > 0 THEN m.bid_at ELSE m.ask_at END FROM marks m WHERE m.symbol = p.symbol) AS priced_at,"
    " (SELECT since FROM price_disputes d WHERE d.position_id = p.position_id AND ended_at IS NULL) AS disputed_since,"
    " c.tries, c.left_qty, c.live AS live_closes,"
    " (SELECT side FROM fills f WHERE f.position_id = p.position_id"
    "   ORDER BY f.at, f.broker_order_id, f.cum_qty LIMIT 1) AS opened_by"
    " FROM positions p JOIN exit_plans e ON e.position_id = p.position_id,"
    " LATERAL (SELECT count(*) FILTER (WHERE NOT external AND status <> 'expired_unsent'"
    "                                  AND (status <> 'canceled' OR cancel_asked_at IS NULL)"
    "                                  AND approved_at >= e.triggered_at) AS tries,"
    "                 coalesce(sum(filled_qty) FILTER (WHERE approved_at >= e.triggered_at), 0)::integer AS left_qty,"
    "                 count(*) FILTER (WHERE NOT external AND ended_at IS NULL) AS live"
    "            FROM orders o WHERE o.position_id = p.position_id AND NOT o.opening) AS c"
    " WHERE (CAST(:account AS text) IS NULL OR p.account = :account)"
    " AND (CAST(:position AS uuid) IS NULL OR p.position_id = CAST(:position AS uuid))"
    " AND (NOT :open OR p.closed_at IS NULL)"
    " ORDER BY p.opened_at, p.position_id"
)

#: Realised dollars are unknown as soon as one position left without a known price.
_ACCOUNTS: Final = text(
    "SELECT a.*, now_bound.positions, now_bound.exposure_usd,"
    " ARRAY(SELECT kind FROM latches t WHERE t.account = a.account AND latched_at IS NOT NULL AND lifted_at IS NULL"
    "       ORDER BY kind) AS latched,"
    " greatest(peak.positions, now_bound.positions) AS peak_positions,"
    " greatest(peak.exposure_usd, now_bound.exposure_usd) AS peak_exposure_usd, earned.realized_pnl_usd"
    " FROM accounts a,"
    " LATERAL (SELECT count(*) AS positions, coalesce(sum(usd), 0) AS exposure_usd"
    "            FROM commitments c WHERE c.account = a.account) AS now_bound,"
    " LATERAL (SELECT coalesce(max(l.positions), 0) AS positions, coalesce(max(l.exposure_usd), 0) AS exposure_usd"
    "            FROM commitment_log l WHERE l.account = a.account) AS peak,"
    " LATERAL (SELECT CASE WHEN bool_or(p.realized_pnl_usd IS NULL) THEN NULL"
    "                      ELSE coalesce(sum(p.realized_pnl_usd), 0) END AS realized_pnl_usd"
    "            FROM positions p WHERE p.account = a.account) AS earned"
    " ORDER BY a.account"
)

_BREACHES: Final = text(
    "SELECT count(*) FROM commitment_log WHERE NOT adopted"
    " AND (positions > max_positions OR exposure_usd > max_exposure_usd)"
)


@contextmanager
def one_moment(engine: Engine) -> Iterator[Connection]:
    """Open a read-only transaction whose statements all see the same moment, so that a document agrees with itself."""
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as tx:
        yield tx


def _rows(tx: Connection, statement: TextClause, **values: object) -> Rows:
    return [dict(row._mapping) for row in tx.execute(statement, values)]


def recommendation(tx: Connection, recommendation_id: str) -> dict[str, Any] | None:
    """Return the recommendation as it was first read, None when it never was."""
    return next(iter(_rows(tx, _RECOMMENDATION, id=recommendation_id)), None)


def recommendations_read(tx: Connection) -> int:
    """Return how many distinct recommendations were read."""
    number: int = tx.execute(text("SELECT count(*) FROM recommendations")).scalar_one()
    return number


def decisions(tx: Connection, recommendation_id: str | None = None) -> Rows:
    """Return the outcomes, all or of one recommendation; ``refusals`` are the checks that failed."""
    found = _rows(tx, _DECISIONS, recommendation=recommendation_id)
    return [row | {"refusals": [check for check in row["checks"] if not check["passed"]]} for row in found]


def orders(tx: Connection, *, account: str | None = None, position: UUID | None = None, live: bool = False) -> Rows:
    """Return orders; *live*: only those that have not ended."""
    return _rows(tx, _ORDERS, account=account, position=position, live=live)


def fills(tx: Connection, *, account: str | None = None, position: UUID | None = None) -> Rows:
    return _rows(tx, _FILLS, account=account, position=position)


def positions(
    tx: Connection, *, account: str | None = None, position: UUID | None = None, only_open: bool = False
) -> Rows:
    """Return positions with their best and worst move in per cent of the entry price, and a close that is stuck.

    The entry itself is the first point of the path: the best move is at least 0, the worst at most 0.
    """
    found = _rows(tx, _POSITIONS, account=account, position=position, open=only_open)
    return [row | _excursions(row) | {"close_blocked": _close_blocked(row)} for row in found]


def _excursions(row: Mapping[str, Any]) -> dict[str, Decimal | None]:
    is_long = row["qty"] > 0 if row["qty"] else row["opened_by"] == Side.BUY
    best, worst = (_move_pct(row["entry_price"], row[price], is_long) for price in ("peak", "trough"))
    return {
        "max_favorable_pct": None if best is None else max(best, _ZERO_PCT),
        "max_adverse_pct": None if worst is None else min(worst, _ZERO_PCT),
    }


def _move_pct(entry: Decimal, price: Decimal | None, is_long: bool) -> Decimal | None:
    """Return the move in favour of the position, to two places."""
    if price is None:
        return None
    move = change_pct(entry, price)
    return (move if is_long else -move).quantize(CENT, rounding=ROUND_HALF_EVEN)


def _close_blocked(row: Mapping[str, Any]) -> int | None:
    """Return how often a close was tried in vain, None unless the position wants to be left and nothing left it."""
    wanted = row["closed_at"] is None and row["triggered_rule"] is not None
    return row["tries"] if wanted and row["left_qty"] == 0 and row["tries"] else None


def accounts(tx: Connection) -> Rows:
    """Return the accounts with what they have bound now and at most, reservations included."""
    return _rows(tx, _ACCOUNTS)


def breaches(tx: Connection) -> int:
    """Return how many openings were let in beyond a limit in force at that moment; adoptions are none."""
    number: int = tx.execute(_BREACHES).scalar_one()
    return number


def outbox_waiting(tx: Connection) -> int:
    """Return how many facts are decided and not yet published."""
    number: int = tx.execute(text("SELECT count(*) FROM outbox WHERE published_at IS NULL")).scalar_one()
    return number
