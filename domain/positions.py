"""A position is a fold over its fills.

The fills are sorted before they are folded, so neither the order in which they arrive nor
a duplicate (the caller stores each fill once) can change the result. Of two at the same
instant the one that opens comes first: nothing can be closed before it is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from domain.events import Side
from domain.ids import FillId
from domain.money import average_price


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution: *qty* units at *price* dollars per share; *opens* says whether its order opens or closes."""

    fill_id: FillId
    broker_order_id: str
    cum_qty: int
    side: Side
    opens: bool
    qty: int
    price: Decimal | None
    at: datetime

    @property
    def signed_qty(self) -> int:
        return self.side.sign * self.qty


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a position's fills add up to.

    *qty* is signed and 0 when closed. *entry_price* is the average of what is held, and of all that came once it is
    closed. *exit_price* and *realized_pnl_usd* are null when a quantity left without a known price.
    """

    qty: int
    max_qty: int
    entry_price: Decimal
    exit_price: Decimal | None
    realized_pnl_usd: Decimal | None
    opened_at: datetime
    closed_at: datetime | None


@dataclass(slots=True)
class _Sums:
    qty: int = 0
    max_qty: int = 0
    open_cost: Decimal = Decimal(0)
    entered: int = 0
    entered_cost: Decimal = Decimal(0)
    left: int = 0
    left_proceeds: Decimal | None = Decimal(0)
    realized: Decimal | None = Decimal(0)


def fold(fills: Iterable[Fill], multiplier: int) -> Holding:
    """Return what *fills* add up to; the exit price is the average over all units that left.

    A fill without a price is an adjustment that took away what nobody could explain. It is folded last and takes at
    most what is held: once the true executions are known, nothing is left for it to take.

    Raises:
        ValueError: no fill has a price.
    """
    known = list(fills)
    trades = sorted((f for f in known if f.price is not None), key=lambda f: (f.at, not f.opens, *_name(f)))
    takings = sorted((f for f in known if f.price is None), key=lambda f: (f.at, *_name(f)))
    if not trades:
        raise ValueError("fills: a position without an execution is no position")
    sums, last_at = _Sums(), trades[-1].at
    for fill in trades:
        _add(sums, fill)
    for fill in takings:
        if _take(sums, fill):
            last_at = fill.at
    leaving = average_price(sums.left_proceeds, sums.left) if sums.left and sums.left_proceeds is not None else None
    return Holding(
        qty=sums.qty,
        max_qty=sums.max_qty,
        entry_price=_entry_price(sums),
        exit_price=leaving,
        realized_pnl_usd=None if sums.realized is None else sums.realized * multiplier,
        opened_at=trades[0].at,
        closed_at=last_at if sums.qty == 0 else None,
    )


def _name(fill: Fill) -> tuple[str, int]:
    return fill.broker_order_id, fill.cum_qty


def _entry_price(sums: _Sums) -> Decimal:
    """The first fill always opens, so something has entered."""
    if sums.qty:
        return average_price(sums.open_cost, abs(sums.qty))
    return average_price(sums.entered_cost, sums.entered)


def _add(sums: _Sums, fill: Fill) -> None:
    if fill.price is None:
        raise ValueError(f"price: an execution needs one, was None ({fill.fill_id})")
    signed = fill.signed_qty
    closing = min(abs(signed), abs(sums.qty)) if signed * sums.qty < 0 else 0
    if closing:
        _leave(sums, fill.price, closing)
    opening = abs(signed) - closing
    sums.qty += fill.side.sign * opening
    sums.open_cost += fill.price * opening
    sums.entered += opening
    sums.entered_cost += fill.price * opening
    sums.max_qty = max(sums.max_qty, abs(sums.qty))


def _take(sums: _Sums, fill: Fill) -> bool:
    """Let an adjustment take what is held on its other side; False when nothing is."""
    if fill.signed_qty * sums.qty >= 0:
        return False
    _leave(sums, None, min(fill.qty, abs(sums.qty)))
    return True


def _leave(sums: _Sums, price: Decimal | None, units: int) -> None:
    cost = sums.open_cost * units / abs(sums.qty)
    direction = 1 if sums.qty > 0 else -1
    sums.open_cost -= cost
    sums.qty -= direction * units
    sums.left += units
    if price is None or sums.left_proceeds is None or sums.realized is None:
        sums.left_proceeds = sums.realized = None
        return
    sums.left_proceeds += price * units
    sums.realized += direction * (price * units - cost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Excursion:
    """The best and the worst price since the opening, seen at the side that a close would trade at."""

    peak: Decimal | None
    trough: Decimal | None

    def includes(self, price: Decimal) -> bool:
        """Would *price* move nothing?"""
        peak, trough = self.peak, self.trough
        return peak is not None and trough is not None and (trough <= price <= peak or peak <= price <= trough)

    def marked(self, price: Decimal, is_long: bool) -> Excursion:
        """Return the excursion after *price*; it may only widen."""
        better = max if is_long else min
        worse = min if is_long else max
        return replace(
            self,
            peak=price if self.peak is None else better(self.peak, price),
            trough=price if self.trough is None else worse(self.trough, price),
        )
