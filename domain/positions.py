"""A position is a fold over its fills.

The fills are sorted before they are folded, so neither the order in which they arrive nor
a duplicate (the caller stores each fill once) can change the result. Of two at the same
instant the one that opens comes first: nothing can be closed before it is there.

An adjustment is no trade but a statement: at that time the brokerage held so many. It adds or takes what the trades
before it leave open, and nothing once they are all known, however late they were read. It comes before the trades of
its instant: what it says was already so some seconds earlier, when it was first seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from domain.events import Side
from domain.ids import FillId
from domain.money import average_price


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution: *qty* units at *price* dollars per share; *opens* says whether its order opens or closes.

    *reason* is that of its order. *held_after* is signed and only an adjustment's: what the brokerage held then; its
    *qty* is what was missing when it was written, its *price* that of what it added, null when it took.
    """

    fill_id: FillId
    broker_order_id: str
    cum_qty: int
    side: Side
    opens: bool
    qty: int
    price: Decimal | None
    at: datetime
    held_after: int | None
    reason: str

    @property
    def signed_qty(self) -> int:
        return self.side.sign * self.qty


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a position's fills add up to.

    *qty* is signed and 0 when closed. *entry_price* is the average of what is held, and of all that came once it is
    closed. *exit_price* and *realized_pnl_usd* are null when a quantity left without a known price. *left_by* is the
    reason of the order that took away last, null when none did.
    """

    qty: int
    max_qty: int
    entry_price: Decimal
    exit_price: Decimal | None
    realized_pnl_usd: Decimal | None
    opened_at: datetime
    closed_at: datetime | None
    left_by: str | None


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
    left_by: str | None = None


def fold(fills: Iterable[Fill], multiplier: int) -> Holding:
    """Return what *fills* add up to; the exit price is the average over all units that left.

    Raises:
        ValueError: nothing ever came in.
    """
    moves = effective(fills)
    if not moves:
        raise ValueError("fills: a position without an execution is no position")
    sums = _Sums()
    for move in moves:
        _add(sums, move)
    leaving = average_price(sums.left_proceeds, sums.left) if sums.left and sums.left_proceeds is not None else None
    return Holding(
        qty=sums.qty,
        max_qty=sums.max_qty,
        entry_price=_entry_price(sums),
        exit_price=leaving,
        realized_pnl_usd=None if sums.realized is None else sums.realized * multiplier,
        opened_at=moves[0].at,
        closed_at=moves[-1].at if sums.qty == 0 else None,
        left_by=sums.left_by,
    )


def effective(fills: Iterable[Fill]) -> Sequence[Fill]:
    """Return what really moved, in order of time: trades as they are, adjustments as what no trade explains."""
    moves: list[Fill] = []
    held = 0
    move: Fill | None
    for fill in sorted(fills, key=lambda f: (f.at, f.held_after is None, not f.opens, *_name(f))):
        if fill.held_after is None:
            held += _give_back(moves, held, fill)
            move = _for_nothing(fill, held) if fill.price == 0 else fill
        else:
            move = _unexplained(fill, held, fill.held_after)
        if move is not None:
            moves.append(move)
            held += move.signed_qty
    return moves


def _for_nothing(ended: Fill, held: int) -> Fill | None:
    """Return what a contract's end takes: it opens nothing, what is beyond *held* waits for purchases not read yet."""
    units = min(ended.qty, max(0, -ended.side.sign * held))
    return replace(ended, qty=units) if units else None


def _give_back(moves: list[Fill], held: int, closing: Fill) -> int:
    """Return to what is *held* what adjustments took, as far as *closing* needs it: a close takes what was there.

    Clocks differ, so a trade may bear a later time than the adjustment that missed it.
    """
    lacking = 0 if closing.opens else closing.qty - max(0, -closing.side.sign * held)
    given = 0
    for place in range(len(moves) - 1, -1, -1):
        taken = moves[place]
        if lacking > given and taken.price is None and taken.side is closing.side:
            units = min(taken.qty, lacking - given)
            moves[place] = replace(taken, qty=taken.qty - units)
            given += units
    moves[:] = [move for move in moves if move.qty]
    return -closing.side.sign * given


def _unexplained(stated: Fill, held: int, held_after: int) -> Fill | None:
    """Return what an adjustment adds to or takes from *held*; it never crosses zero, and adds nothing for no price."""
    missing = held_after - held
    if missing * held < 0:
        taken = min(abs(missing), abs(held))
        return replace(stated, side=Side.SELL if held > 0 else Side.BUY, qty=taken, price=None)
    if missing == 0 or stated.price is None:
        return None
    return replace(stated, side=Side.BUY if missing > 0 else Side.SELL, qty=abs(missing))


def _name(fill: Fill) -> tuple[str, int]:
    return fill.broker_order_id, fill.cum_qty


def _entry_price(sums: _Sums) -> Decimal:
    """The first fill always opens, so something has entered."""
    if sums.qty:
        return average_price(sums.open_cost, abs(sums.qty))
    return average_price(sums.entered_cost, sums.entered)


def _add(sums: _Sums, fill: Fill) -> None:
    signed = fill.signed_qty
    closing = min(abs(signed), abs(sums.qty)) if signed * sums.qty < 0 else 0
    if closing:
        _leave(sums, fill.price, closing)
        sums.left_by = fill.reason if not fill.opens or fill.price is None else sums.left_by
    opening = abs(signed) - closing
    if not opening:
        return
    if fill.price is None:
        raise ValueError(f"price: what opens needs one, was None ({fill.fill_id})")
    sums.qty += fill.side.sign * opening
    sums.open_cost += fill.price * opening
    sums.entered += opening
    sums.entered_cost += fill.price * opening
    sums.max_qty = max(sums.max_qty, abs(sums.qty))


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
