"""One account as the gates see it: its limits, its trading state and what is already committed.

No field of a safety type has a default: what a gate cannot see, it must not pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from domain.ids import AccountName, PositionId
from domain.instrument import Kind
from domain.known import Known, Unknown


class TradingState(StrEnum):
    ACTIVE = "active"
    REDUCING = "reducing"  # exits and SELLs only; set by the interlock, lifts itself when the cause is gone
    HALTED = "halted"  # the same, open entry orders are canceled, lifted by a person only

    def stricter(self, other: TradingState) -> TradingState:
        """Return the one of the two that lets less happen."""
        strictness = (TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED)
        return max(self, other, key=strictness.index)


class LossKind(StrEnum):
    """What a latch is about."""

    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Ceilings of one account. A position counts from the approval of its order, not from its fill.

    Drawdown is counted from the account's highest equity; None is switched off.
    """

    max_positions: int
    max_exposure_usd: Decimal
    max_daily_loss_usd: Decimal
    max_contracts_per_order: int
    max_drawdown_usd: Decimal | None
    max_drawdown_pct: Decimal | None

    @property
    def has_drawdown(self) -> bool:
        return self.max_drawdown_usd is not None or self.max_drawdown_pct is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """What one position binds: what is held at its entry price and the unfilled rest of its opening order.

    *held_qty* is signed, negative where an adopted position is short; *pending_qty* is what may still fill.
    """

    position_id: PositionId
    symbol: str
    underlying: str
    kind: Kind
    held_qty: int
    pending_qty: int
    usd: Decimal
    closing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """A locked snapshot: nothing in it can change until the transaction ends.

    *state* is the stricter of the account's own and that of all accounts; *limits* are those in force, overrides
    included. *equity_peak_usd* is the highest equity that the brokerage ever stated, None before the first.
    """

    account: AccountName
    state: TradingState
    state_reason: str
    limits: Limits
    commitments: tuple[Commitment, ...]
    daily_pnl_usd: Known[Decimal] | Unknown
    equity_peak_usd: Decimal | None
    latched: frozenset[LossKind]
    read_at: datetime

    @property
    def positions(self) -> int:
        return len(self.commitments)

    @property
    def exposure_usd(self) -> Decimal:
        return sum((c.usd for c in self.commitments), start=Decimal(0))
