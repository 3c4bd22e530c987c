"""When to leave: the numbers of one policy, and the closed list of reasons that a report may give.

None (or an empty table) switches a rule off. ``_pct`` is per cent: 40 means 40 %. A gain is the holder's: a short
gains when the price falls. Spans before a close count back from the session's real close, half days included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class ExitReason(StrEnum):
    STOP = "stop"
    CATASTROPHE = "catastrophe"
    TARGET = "target"
    TRAILING = "trailing"
    MAX_HOLD = "max_hold"
    END_OF_DAY = "end_of_day"
    EXPIRY = "expiry"
    SIGNAL = "signal"
    MANUAL = "manual"
    EXTERNAL = "external"


#: What the report calls a close, by the rule that wrote it. Beside the rules: what people, a SELL and others do.
REASONS: Final[Mapping[str, ExitReason]] = MappingProxyType(
    {
        "catastrophe": ExitReason.CATASTROPHE,
        "stop": ExitReason.STOP,
        "target": ExitReason.TARGET,
        "trailing": ExitReason.TRAILING,
        "trailing_price": ExitReason.TRAILING,
        "trailing_tiers": ExitReason.TRAILING,
        "break_even": ExitReason.STOP,
        "max_hold": ExitReason.MAX_HOLD,
        "min_progress": ExitReason.MAX_HOLD,
        "theta_decay": ExitReason.EXPIRY,
        "near_expiry": ExitReason.EXPIRY,
        "end_of_day": ExitReason.END_OF_DAY,
        "half_day": ExitReason.END_OF_DAY,
        "end_of_day_window": ExitReason.END_OF_DAY,
        "expiry": ExitReason.EXPIRY,
        "signal_reversal": ExitReason.SIGNAL,
        "earnings": ExitReason.SIGNAL,
        "regime": ExitReason.SIGNAL,
        "ladder": ExitReason.TARGET,
        "signal": ExitReason.SIGNAL,
        "manual": ExitReason.MANUAL,
        "external": ExitReason.EXTERNAL,
        "expired": ExitReason.EXPIRY,
        "exercised": ExitReason.EXPIRY,
        "assigned": ExitReason.EXPIRY,
        "cash_settled": ExitReason.EXPIRY,
        "exercised_early": ExitReason.EXTERNAL,
        "assigned_early": ExitReason.EXTERNAL,
        "delivered": ExitReason.EXTERNAL,
        "unconfirmed": ExitReason.EXTERNAL,
    }
)


def reason_of(rule: str) -> ExitReason:
    """Return what the report calls a close that *rule* wrote.

    Raises:
        KeyError: no rule has that name; a reason that nobody knows is an error, not "manual" (L21).
    """
    return REASONS[rule]


class Regime(StrEnum):
    """How nervous the market is, calm first; *rank* grows with the risk."""

    CALM = "calm"
    ELEVATED = "elevated"
    HIGH = "high"
    EXTREME = "extreme"

    @property
    def rank(self) -> int:
        return _REGIMES.index(self)


_REGIMES: Final = tuple(Regime)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """From a peak gain of *arm_pct* on, *lock_pct* of the peak gain is kept."""

    arm_pct: Decimal
    lock_pct: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """At a gain of *at_pct*, *close_pct* of the largest quantity ever held is closed."""

    at_pct: Decimal
    close_pct: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class NearExpiry:
    """With *days* or fewer calendar days to expiration, close; or only what gains less than *gain_below_pct*."""

    days: int
    gain_below_pct: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From *before_close* on, close what gains less than *gain_below_pct*, or what fails *failed_criteria* or more.

    The criteria are those for a night; with neither, everything is closed.
    """

    before_close: timedelta
    gain_below_pct: Decimal | None
    failed_criteria: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseStep:
    """A limit order *beyond_pct* per cent worse than the price of the side that the close trades at, for *wait*."""

    beyond_pct: Decimal
    wait: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitPolicy:
    """Every number of every rule; a policy is stored with the position that it governs. *version*: a hash of them."""

    version: str
    # At a price.
    stop_pct: Decimal | None
    catastrophe_pct: Decimal | None
    target_pct: Decimal | None
    trail_arm_pct: Decimal | None
    trail_giveback_pct: Decimal | None
    trail_price_arm_pct: Decimal | None
    trail_price_pct: Decimal | None
    trail_tiers: tuple[Tier, ...]
    break_even_arm_pct: Decimal | None
    ladder: tuple[Rung, ...]
    # At a time.
    min_hold: timedelta
    max_hold: timedelta | None
    progress_after: timedelta | None
    progress_pct: Decimal | None
    # Of an option's life.
    theta_days: int | None
    theta_pct: Decimal | None
    near_expiry: tuple[NearExpiry, ...]
    close_before_expiry: timedelta | None
    # At the end of a day.
    flatten_before_close: timedelta | None
    flatten_before_half_day_close: timedelta | None
    windows: tuple[Window, ...]
    overnight_min_days: int | None
    overnight_min_gain_pct: Decimal | None
    overnight_max_usd: Decimal | None
    # Because of what others say.
    reversal_min_confidence: Decimal | None
    earnings_within_sessions: int | None
    regime_at_least: Regime | None
    # How it is left: limits, one after the other, before the market.
    close_steps: tuple[CloseStep, ...]


def changes(before: ExitPolicy, after: ExitPolicy) -> tuple[str, ...]:
    """Return what differs, a sentence a number; the version is no number."""
    names = [field.name for field in fields(ExitPolicy) if field.name != "version"]
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in names]
    return tuple(f"{name}: {_shown(old)} -> {_shown(new)}" for name, old, new in pairs if old != new)


def _shown(value: object) -> str:
    if value is None or value == ():
        return "off"
    if isinstance(value, tuple):
        return ", ".join(_shown(item) for item in value)
    if isinstance(value, Tier | Rung | NearExpiry | Window | CloseStep):
        return " ".join(f"{f.name} {_shown(getattr(value, f.name))}" for f in fields(value))
    return str(value)
