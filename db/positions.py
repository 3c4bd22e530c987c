"""The positions as their fills made them, each read with its exit plan: one cannot exist without the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, text

from db import policies
from domain.exits import ExitPolicy, reason_of
from domain.ids import AccountName, PositionId, RecommendationId
from domain.instrument import Kind, Option, parse_symbol
from domain.positions import Excursion, Holding


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRow:
    """A position as it stands. *retry_at*: no new close before this time; *close_tries*: closes that ended unfilled.

    *exit_rule* and *triggered_rule* are names of rules. *ladder_qty*: units that the ladder closed; *ladder_pct*: the
    gain of its highest rung that was acted on.
    """

    position_id: PositionId
    account: AccountName
    symbol: str
    kind: Kind
    multiplier: int
    strategy: str
    recommendation: RecommendationId | None
    qty: int
    max_qty: int
    entry_price: Decimal
    opened_at: datetime
    closed_at: datetime | None
    exit_rule: str | None
    policy: ExitPolicy
    excursion: Excursion
    close_tries: int
    retry_at: datetime | None
    triggered_rule: str | None
    ladder_qty: int
    ladder_pct: Decimal | None


_SELECT = (
    "SELECT p.position_id, account, symbol, kind, multiplier, strategy, recommendation, qty, max_qty, entry_price,"
    " opened_at, closed_at, exit_rule, policy, peak, trough, close_tries, retry_at, triggered_rule, ladder_pct,"
    " (SELECT coalesce(sum(o.filled_qty), 0)::integer FROM orders o"
    "   WHERE o.position_id = p.position_id AND o.reason = 'ladder') AS ladder_qty"
    " FROM positions p JOIN exit_plans e ON e.position_id = p.position_id"
)


def _row(r: Row[Any]) -> PositionRow:
    return PositionRow(
        position_id=PositionId(r.position_id),
        account=AccountName(r.account),
        symbol=r.symbol,
        kind=Kind(r.kind),
        multiplier=r.multiplier,
        strategy=r.strategy,
        recommendation=None if r.recommendation is None else RecommendationId(r.recommendation),
        qty=r.qty,
        max_qty=r.max_qty,
        entry_price=r.entry_price,
        opened_at=r.opened_at,
        closed_at=r.closed_at,
        exit_rule=r.exit_rule,
        policy=policies.from_json(r.policy),
        excursion=Excursion(peak=r.peak, trough=r.trough),
        close_tries=r.close_tries,
        retry_at=r.retry_at,
        triggered_rule=r.triggered_rule,
        ladder_qty=r.ladder_qty,
        ladder_pct=r.ladder_pct,
    )


def get(tx: Connection, position_id: PositionId) -> PositionRow | None:
    row = tx.execute(text(f"{_SELECT} WHERE p.position_id = :id"), {"id": position_id}).one_or_none()
    return None if row is None else _row(row)


def lock(tx: Connection, position_id: PositionId) -> PositionRow | None:
    """Return the position and hold it until the transaction ends; None when no fill has created it yet."""
    row = tx.execute(text(f"{_SELECT} WHERE p.position_id = :id FOR UPDATE OF p"), {"id": position_id}).one_or_none()
    return None if row is None else _row(row)


def open_in(tx: Connection, account: AccountName, symbol: str) -> PositionRow | None:
    """Return the open position of *symbol* in *account*, if there is one, and hold it."""
    row = tx.execute(
        text(f"{_SELECT} WHERE account = :account AND symbol = :symbol AND closed_at IS NULL FOR UPDATE OF p"),
        {"account": account, "symbol": symbol},
    ).one_or_none()
    return None if row is None else _row(row)


def open_at(tx: Connection, account: AccountName, symbol: str, moment: datetime) -> PositionRow | None:
    """Return the position of *symbol* that was open at *moment*, whatever became of it, and hold it."""
    row = tx.execute(
        text(
            f"{_SELECT} WHERE account = :account AND symbol = :symbol AND opened_at <= :moment"
            " AND (closed_at IS NULL OR closed_at >= :moment) ORDER BY p.opened_at DESC LIMIT 1 FOR UPDATE OF p"
        ),
        {"account": account, "symbol": symbol, "moment": moment},
    ).one_or_none()
    return None if row is None else _row(row)


def adjusted_since(tx: Connection, account: AccountName, symbol: str, since: datetime) -> Sequence[PositionRow]:
    """Return the positions of *symbol* that were adjusted after *since*, the first adjusted first, and hold them.

    What is read late may be what such an adjustment missed.
    """
    rows = tx.execute(
        text(
            f"{_SELECT} WHERE account = :account AND symbol = :symbol AND EXISTS (SELECT 1 FROM fills f"
            "  WHERE f.position_id = p.position_id AND f.source = 'adjustment' AND f.at > :since)"
            " ORDER BY p.opened_at, p.position_id FOR UPDATE OF p"
        ),
        {"account": account, "symbol": symbol, "since": since},
    )
    return [_row(r) for r in rows]


def all_open(
    tx: Connection,
    account: AccountName | None = None,
    on_unreadable: Callable[[PositionId, str, Exception], None] | None = None,
    only: Collection[PositionId] | None = None,
) -> Sequence[PositionRow]:
    """Return the open positions, or *only* some, oldest first.

    *on_unreadable* is told of a row that cannot be read, instead of us.
    """
    where = "" if account is None else " AND account = :account"
    where += "" if only is None else " AND p.position_id = ANY(:only)"
    values = {"account": account} | ({} if only is None else {"only": list(only)})
    rows = tx.execute(
        text(f"{_SELECT} WHERE closed_at IS NULL{where} ORDER BY opened_at, p.position_id"),
        {name: value for name, value in values.items() if value is not None},
    )
    return [row for r in rows if (row := _readable(r, on_unreadable)) is not None]


def _readable(r: Row[Any], on_unreadable: Callable[[PositionId, str, Exception], None] | None) -> PositionRow | None:
    try:
        return _row(r)
    except Exception as e:
        if on_unreadable is None:
            raise
        on_unreadable(PositionId(r.position_id), r.symbol, e)
        return None


def create(
    tx: Connection,
    *,
    position_id: PositionId,
    account: AccountName,
    symbol: str,
    strategy: str,
    recommendation: RecommendationId | None,
    adopted: bool,
    holding: Holding,
    exit_rule: str,
) -> None:
    """Write the position that its first fill made; *exit_rule* counts only if that fill also closed it."""
    instrument = parse_symbol(symbol)
    option = instrument if isinstance(instrument, Option) else None
    values = _holding(holding, exit_rule) | {
        "id": position_id,
        "account": account,
        "symbol": symbol,
        "underlying": instrument.underlying,
        "kind": instrument.kind,
        "strike": option.strike if option else None,
        "expiration": option.expiration if option else None,
        "multiplier": instrument.multiplier,
        "strategy": strategy,
        "recommendation": recommendation,
        "adopted": adopted,
        "opened_at": holding.opened_at,
    }
    tx.execute(
        text(
            "INSERT INTO positions (position_id, account, symbol, underlying, kind, strike, expiration, multiplier,"
            " strategy, recommendation, adopted, qty, max_qty, entry_price, exit_price, realized_pnl_usd, opened_at,"
            " closed_at, exit_reason, exit_rule)"
            " VALUES (:id, :account, :symbol, :underlying, :kind, :strike, :expiration, :multiplier, :strategy,"
            " :recommendation, :adopted, :qty, :max_qty, :entry_price, :exit_price, :realized, :opened_at, :closed_at,"
            " :exit_reason, :exit_rule)"
        ),
        values,
    )


def save(tx: Connection, position_id: PositionId, holding: Holding, exit_rule: str) -> None:
    """Bring the row to what its fills add up to; a late fill may open it again."""
    tx.execute(
        text(
            "UPDATE positions SET qty = :qty, max_qty = :max_qty, entry_price = :entry_price,"
            " exit_price = :exit_price, realized_pnl_usd = :realized, opened_at = :opened_at, closed_at = :closed_at,"
            " exit_reason = :exit_reason, exit_rule = :exit_rule WHERE position_id = :id"
        ),
        _holding(holding, exit_rule) | {"id": position_id},
    )


def _holding(holding: Holding, exit_rule: str) -> dict[str, object]:
    closed = holding.closed_at is not None
    return {
        "qty": holding.qty,
        "max_qty": holding.max_qty,
        "entry_price": holding.entry_price,
        "exit_price": holding.exit_price,
        "realized": holding.realized_pnl_usd,
        "opened_at": holding.opened_at,
        "closed_at": holding.closed_at,
        "exit_reason": reason_of(exit_rule) if closed else None,
        "exit_rule": exit_rule if closed else None,
    }
