"""What an account has lost, and when that stops entries for longer than a glance.

A loss at its limit refuses at once. It latches when a second, fresh look says the same: one bad print is no loss.
Dollars are dollars of the account; a limit is a floor, reached at equality.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from domain.account import Limits
from domain.known import Known, Unknown
from domain.positions import Fill, effective

#: A second look is fresh when it saw a newer price than the first, or when what it saw has stood for so long.
STANDS: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRules:
    """*max_mark_age*: what is older is no mark. *until_person*: a new session lifts no latch."""

    max_mark_age: timedelta
    until_person: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A loss at its limit was seen at *seen_at*; the newest price that said so is of *evidence_at*."""

    seen_at: datetime
    evidence_at: datetime

    def is_confirmed_by(self, later: Sighting) -> bool:
        """Did *later* look anew, and at something new or at something that stands?"""
        if later.seen_at <= self.seen_at:
            return False
        return later.evidence_at > self.evidence_at or later.seen_at - self.seen_at >= STANDS


def drawdown_floor_usd(limits: Limits, peak_usd: Decimal) -> Decimal:
    """Return the equity at which the drawdown limit is reached: the higher of the two, where both are on.

    Raises:
        ValueError: neither is on.
    """
    by_usd, by_pct = limits.max_drawdown_usd, limits.max_drawdown_pct
    floors = [] if by_usd is None else [peak_usd - by_usd]
    floors += [] if by_pct is None else [peak_usd * (1 - by_pct / 100)]
    return max(floors)


@dataclass(frozen=True, slots=True)
class Day:
    """One position in one session: units held at the open, cash that flowed since (dollars a share), units held now.

    *unexplained*: units that left since the open without a price.
    """

    held_at_open: int
    flow: Decimal
    held: int
    unexplained: int

    def pnl(self, open_mark: Decimal, mark: Decimal) -> Decimal:
        """Return what was made since the open, in dollars a share: realised and unrealised are one sum."""
        return self.flow + self.held * mark - self.held_at_open * open_mark


def day_of(fills: Sequence[Fill], opened: datetime) -> Day:
    """Return what *fills* of one position did since *opened*; a fill at the instant of the open belongs to the day."""
    moves = effective(fills)
    since = [f for f in moves if f.at >= opened]
    at_open = sum(f.signed_qty for f in moves if f.at < opened)
    flow = sum((-f.signed_qty * f.price for f in since if f.price is not None), start=Decimal(0))
    unexplained = sum(-f.signed_qty for f in since if f.price is None)
    return Day(at_open, flow, sum(f.signed_qty for f in moves), unexplained)


def mark_of(bid: Decimal | None, ask: Decimal | None, at: datetime, source: str) -> Known[Decimal] | Unknown:
    """Return the mid of a two-sided quote, else the bid; without a bid, or crossed, no value is known."""
    if bid is None:
        return Unknown("nobody bids", source)
    if ask is not None and bid > ask:
        return Unknown("the quote is crossed", source)
    return Known(bid if ask is None else (bid + ask) / 2, at, source)
