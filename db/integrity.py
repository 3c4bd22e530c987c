"""Rows against rows: positions are the fold over their fills, orders the sum of theirs, each question has one answer.

Everything is computed here a second time, from the history and not from the views, so that an error in one of the
two shows. In a stack at rest there is no mismatch; while one is at work, a cancel that overtook its last fill shows
for as long as that fill is on its way.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, text

from domain.events import Side
from domain.ids import FillId
from domain.positions import Fill, Holding, fold

#: The places of the column ``realized_pnl_usd``; PostgreSQL rounds half away from zero.
_PNL_PLACES: Final = Decimal("0.0001")
#: The places to which dollars of commitments are compared.
_USD_PLACES: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Row *id* of *table*: *field* says one thing and should say another."""

    table: str
    id: str
    field: str
    says: Any
    should_say: Any


def mismatches(tx: Connection) -> list[Mismatch]:
    """Return everything that does not agree; read it in one transaction that sees one moment."""
    fills = _fills(tx)
    holdings = _holdings(tx, fills)
    return [
        *_positions(holdings),
        *_orders(tx),
        *_fills_in_place(tx),
        *_bookings(tx),
        *_live_closes(tx),
        *_commitments(tx, holdings),
        *_decisions(tx),
        *_approvals(tx),
    ]


def _fills(tx: Connection) -> Mapping[UUID, Sequence[Fill]]:
    """Return every fill by its position."""
    found: dict[UUID, list[Fill]] = defaultdict(list)
    rows = tx.execute(
        text(
            "SELECT f.position_id, fill_id, f.broker_order_id, cum_qty, f.side, opening, f.qty, price, at, held_after,"
            " reason"
            " FROM fills f JOIN orders USING (order_id)"
        )
    )
    for r in rows:
        fill = Fill(
            fill_id=FillId(r.fill_id),
            broker_order_id=r.broker_order_id,
            cum_qty=r.cum_qty,
            side=Side(r.side),
            opens=r.opening,
            qty=r.qty,
            price=r.price,
            at=r.at,
            held_after=r.held_after,
            reason=r.reason,
        )
        found[r.position_id].append(fill)
    return found


@dataclass(frozen=True, slots=True)
class _Held:
    row: Row[Any]
    holding: Holding | None


def _holdings(tx: Connection, fills: Mapping[UUID, Sequence[Fill]]) -> list[_Held]:
    """Return every position row beside what its fills add up to."""
    rows = tx.execute(text("SELECT * FROM positions ORDER BY opened_at, position_id"))
    return [
        _Held(row, fold(of_row, row.multiplier) if (of_row := fills.get(row.position_id)) else None) for row in rows
    ]


# ---------------------------------------------------------------- positions and fills


def _positions(held: Sequence[_Held]) -> Iterator[Mismatch]:
    for each in held:
        if each.holding is None:
            yield Mismatch("positions", str(each.row.position_id), "fills", 0, "at least one")
            continue
        for field, should_say in _columns(each.holding).items():
            says = getattr(each.row, field)
            if says != should_say:
                yield Mismatch("positions", str(each.row.position_id), field, says, should_say)


def _columns(holding: Holding) -> dict[str, Any]:
    pnl = holding.realized_pnl_usd
    return {
        "qty": holding.qty,
        "max_qty": holding.max_qty,
        "entry_price": holding.entry_price,
        "exit_price": holding.exit_price,
        "realized_pnl_usd": None if pnl is None else pnl.quantize(_PNL_PLACES, rounding=ROUND_HALF_UP),
        "opened_at": holding.opened_at,
        "closed_at": holding.closed_at,
    }


def _orders(tx: Connection) -> Iterator[Mismatch]:
    """An order has filled what its fills add up to, and what the brokerage said at its end."""
    rows = tx.execute(
        text(
            "SELECT o.order_id, o.qty, o.status, o.filled_qty, o.final_filled_qty,"
            " coalesce(sum(f.qty), 0)::integer AS total"
            " FROM orders o LEFT JOIN fills f ON f.order_id = o.order_id GROUP BY o.order_id ORDER BY o.order_id"
        )
    )
    for row in rows:
        order = str(row.order_id)
        if row.filled_qty != row.total:
            yield Mismatch("orders", order, "filled_qty", row.filled_qty, row.total)
        if row.final_filled_qty is not None and row.final_filled_qty > row.total:
            yield Mismatch("fills", order, "sum over the order", row.total, row.final_filled_qty)
        if row.status == "filled" and row.total < row.qty:
            yield Mismatch("orders", order, "status", row.status, f"not filled: {row.total} of {row.qty}")


def _fills_in_place(tx: Connection) -> Iterator[Mismatch]:
    """A fill belongs to a position, the one that its order belongs to, and says what its order says."""
    rows = tx.execute(
        text(
            "SELECT f.fill_id, f.position_id, p.position_id AS found, o.position_id AS of_order, f.account, f.symbol,"
            " f.side, o.account AS order_account, o.symbol AS order_symbol, o.side AS order_side"
            " FROM fills f LEFT JOIN positions p ON p.position_id = f.position_id"
            " LEFT JOIN orders o ON o.order_id = f.order_id ORDER BY f.at, f.fill_id"
        )
    )
    for row in rows:
        fill = str(row.fill_id)
        if row.found is None:
            yield Mismatch("fills", fill, "position_id", row.position_id, "a position that exists")
        if row.position_id != row.of_order:
            yield Mismatch("fills", fill, "position_id", row.position_id, row.of_order)
        for field in ("account", "symbol", "side"):
            if getattr(row, field) != getattr(row, f"order_{field}"):
                yield Mismatch("fills", fill, field, getattr(row, field), getattr(row, f"order_{field}"))


def _bookings(tx: Connection) -> Iterator[Mismatch]:
    """What counts as applied of a booking is in fills."""
    rows = tx.execute(
        text(
            "SELECT a.account, a.activity_id, a.applied_qty, coalesce(sum(f.qty), 0)::integer AS total"
            " FROM activities a LEFT JOIN fills f ON f.account = a.account AND f.source = 'settlement'"
            "  AND split_part(f.broker_order_id, '+', 1) = 'activity-' || a.activity_id"
            " WHERE a.kind IS NOT NULL GROUP BY a.account, a.activity_id ORDER BY a.account, a.activity_id"
        )
    )
    for row in rows:
        if row.applied_qty != row.total:
            yield Mismatch("activities", f"{row.account} {row.activity_id}", "applied_qty", row.applied_qty, row.total)


def _live_closes(tx: Connection) -> Iterator[Mismatch]:
    """An open position has one live close of ours at most, a closed one has none."""
    rows = tx.execute(
        text(
            "SELECT o.position_id, count(*) AS live, p.closed_at IS NULL AND p.position_id IS NOT NULL AS is_open"
            " FROM orders o LEFT JOIN positions p ON p.position_id = o.position_id"
            " WHERE NOT o.opening AND NOT o.external AND o.ended_at IS NULL"
            " GROUP BY o.position_id, p.position_id, p.closed_at ORDER BY o.position_id"
        )
    )
    for row in rows:
        allowed = 1 if row.is_open else 0
        if row.live > allowed:
            yield Mismatch("orders", str(row.position_id), "live closes of the position", row.live, allowed)


# ---------------------------------------------------------------- commitments

_Bound = Mapping[tuple[str, UUID], tuple[Decimal, int]]


def _commitments(tx: Connection, held: Sequence[_Held]) -> Iterator[Mismatch]:
    """The view that the limits are checked by equals dollars and units computed from the history."""
    seen, computed = _viewed(tx), _computed(tx, held)
    nothing = (Decimal(0), 0)
    for key in sorted({*seen, *computed}, key=str):
        says, should_say = seen.get(key, nothing), computed.get(key, nothing)
        name = f"{key[0]} {key[1]}"
        if _cents(says[0]) != _cents(should_say[0]):
            yield Mismatch("commitments", name, "usd", says[0], _cents(should_say[0]))
        if says[1] != should_say[1]:
            yield Mismatch("commitments", name, "held_qty", says[1], should_say[1])


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(_USD_PLACES, rounding=ROUND_HALF_UP)


def _viewed(tx: Connection) -> _Bound:
    rows = tx.execute(text("SELECT account, position_id, usd, held_qty FROM commitments"))
    return {(r.account, r.position_id): (r.usd, r.held_qty) for r in rows}


def _computed(tx: Connection, held: Sequence[_Held]) -> _Bound:
    usd: dict[tuple[str, UUID], Decimal] = defaultdict(Decimal)
    units: Counter[tuple[str, UUID]] = Counter()
    for each in held:
        if each.holding is not None and each.holding.qty:
            key = (each.row.account, each.row.position_id)
            usd[key] += each.holding.entry_price * abs(each.holding.qty) * each.row.multiplier
            units[key] += each.holding.qty
    for order in _reserving(tx):
        unfilled = (order.qty if order.final_filled_qty is None else order.final_filled_qty) - order.total
        if unfilled > 0:
            usd[order.account, order.position_id] += order.limit_price * unfilled * order.multiplier
    return {key: (usd[key], units[key]) for key in usd}


def _reserving(tx: Connection) -> Sequence[Row[Any]]:
    """Return our opening orders with what their fills add up to."""
    return tx.execute(
        text(
            "SELECT o.account, o.position_id, o.qty, o.final_filled_qty, o.limit_price, o.multiplier,"
            " coalesce((SELECT sum(qty) FROM fills f WHERE f.order_id = o.order_id), 0)::integer AS total"
            " FROM orders o WHERE intent IN ('buy_to_open', 'sell_to_open') AND NOT external"
        )
    ).all()


# ---------------------------------------------------------------- decisions


def _decisions(tx: Connection) -> Iterator[Mismatch]:
    """Every recommendation has exactly one outcome in each account that it names, and none elsewhere."""
    asked = {
        (r.recommendation, account)
        for r in tx.execute(text("SELECT recommendation, body FROM recommendations"))
        for account in r.body["accounts"]
    }
    decided = {(r.recommendation, r.account) for r in tx.execute(text("SELECT recommendation, account FROM decisions"))}
    for key in sorted(asked - decided):
        yield Mismatch("decisions", "@".join(key), "outcome", None, "approved or refused")
    for key in sorted(decided - asked):
        yield Mismatch("decisions", "@".join(key), "account", key[1], "an account that the recommendation names")


def _approvals(tx: Connection) -> Iterator[Mismatch]:
    """An approval has its order, and an opening of ours has its approval."""
    orphans = tx.execute(
        text(
            "SELECT d.recommendation, d.account, d.order_id FROM decisions d LEFT JOIN orders o"
            " ON o.order_id = d.order_id AND o.account = d.account"
            " WHERE d.order_id IS NOT NULL AND o.order_id IS NULL ORDER BY d.recommendation, d.account"
        )
    )
    for row in orphans:
        name = f"{row.recommendation}@{row.account}"
        yield Mismatch("decisions", name, "order_id", row.order_id, "an order of this account")
    unapproved = tx.execute(
        text(
            "SELECT o.order_id, o.recommendation FROM orders o LEFT JOIN decisions d ON d.order_id = o.order_id"
            " WHERE o.intent IN ('buy_to_open', 'sell_to_open') AND NOT o.external AND d.order_id IS NULL"
            " ORDER BY o.order_id"
        )
    )
    for row in unapproved:
        yield Mismatch("orders", str(row.order_id), "decision", None, f"an approval of {row.recommendation}")
