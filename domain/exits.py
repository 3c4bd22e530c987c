"""The exit rules: small pure functions, each may ask to close a position.

The first rule in RULES that fires wins, so RULES is also the order of priority. Prices are those of the side
that a close would trade at (bid for a long, ask for a short); a missing price is None and fires no price rule.
A short is the mirror image of a long. ``_pct`` is per cent: 40 means 40 %.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from domain.events import Quote
from domain.ids import AccountName, PositionId
from domain.money import change_pct
from domain.positions import Excursion
from domain.session import Session


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitPolicy:
    """When to leave. None switches a rule off; a policy is stored with the position that it governs."""

    version: str
    stop_pct: Decimal | None
    catastrophe_pct: Decimal | None
    target_pct: Decimal | None
    trail_arm_pct: Decimal | None
    trail_giveback_pct: Decimal | None
    min_hold: timedelta
    max_hold: timedelta | None
    flatten_before_close: timedelta | None
    close_before_expiry: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """An open position as the exit sees it; *last_session*: the last on or before expiration, None for a stock."""

    position_id: PositionId
    account: AccountName
    symbol: str
    qty: int
    entry_price: Decimal
    opened_at: datetime
    policy: ExitPolicy
    excursion: Excursion
    last_session: Session | None

    @property
    def is_long(self) -> bool:
        return self.qty > 0

    def price_of(self, quote: Quote) -> Decimal | None:
        """Return the price at which this position could be left, None when nobody names a positive one."""
        price = quote.bid if self.is_long else quote.ask
        return price if price is not None and price.is_finite() and price > 0 else None

    def gain_pct(self, price: Decimal) -> Decimal:
        """Return the holder's gain in per cent; a short gains when the price falls."""
        change = change_pct(self.entry_price, price)
        return change if self.is_long else -change


@dataclass(frozen=True, slots=True)
class Exit:
    """Close now: *reason* names the rule, *detail* shows the numbers it saw."""

    reason: ExitReason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a rule looks at besides the position: a price (None: unknown), the time, today's session (None: none)."""

    price: Decimal | None
    now: datetime
    session: Session | None


Rule = Callable[[Watched, Moment], Exit | None]


def _held_long_enough(pos: Watched, at: Moment) -> bool:
    """The minimum hold delays stop, target and trailing: noise of the first minutes closes nothing."""
    return at.now - pos.opened_at >= pos.policy.min_hold


def catastrophe(pos: Watched, at: Moment) -> Exit | None:
    """Close at a loss of ``catastrophe_pct`` at once, however short the position was held."""
    limit = pos.policy.catastrophe_pct
    if limit is None or at.price is None or pos.gain_pct(at.price) > -limit:
        return None
    return Exit(ExitReason.CATASTROPHE, f"gain {pos.gain_pct(at.price):.2f} % <= -{limit} %")


def stop(pos: Watched, at: Moment) -> Exit | None:
    """Close when the loss reaches ``stop_pct``."""
    limit = pos.policy.stop_pct
    if limit is None or at.price is None or pos.gain_pct(at.price) > -limit or not _held_long_enough(pos, at):
        return None
    return Exit(ExitReason.STOP, f"gain {pos.gain_pct(at.price):.2f} % <= -{limit} %")


def target(pos: Watched, at: Moment) -> Exit | None:
    """Close when the gain reaches ``target_pct``."""
    limit = pos.policy.target_pct
    if limit is None or at.price is None or pos.gain_pct(at.price) < limit or not _held_long_enough(pos, at):
        return None
    return Exit(ExitReason.TARGET, f"gain {pos.gain_pct(at.price):.2f} % >= {limit} %")


def trailing(pos: Watched, at: Moment) -> Exit | None:
    """Once the peak gain reached ``trail_arm_pct``, close after giving back ``trail_giveback_pct`` of it."""
    level = trailing_level(pos)
    if level is None or at.price is None or not _held_long_enough(pos, at):
        return None
    if at.price > level if pos.is_long else at.price < level:
        return None
    return Exit(ExitReason.TRAILING, f"price {at.price}, peak {pos.excursion.peak}, level {level:.4f}")


def trailing_level(pos: Watched) -> Decimal | None:
    """Return the price at which the trailing stop stands, None while it is not armed."""
    peak, policy = pos.excursion.peak, pos.policy
    if peak is None or policy.trail_arm_pct is None or policy.trail_giveback_pct is None:
        return None
    if pos.gain_pct(peak) < policy.trail_arm_pct:
        return None
    return peak - (peak - pos.entry_price) * policy.trail_giveback_pct / 100


def max_hold(pos: Watched, at: Moment) -> Exit | None:
    """Close when the position is as old as ``max_hold``."""
    limit = pos.policy.max_hold
    if limit is None or at.now - pos.opened_at < limit:
        return None
    return Exit(ExitReason.MAX_HOLD, f"held {at.now - pos.opened_at} of {limit}")


def end_of_day(pos: Watched, at: Moment) -> Exit | None:
    """Close ``flatten_before_close`` before the session's real close."""
    span = pos.policy.flatten_before_close
    if span is None or at.session is None or not at.session.closes_within(span, at.now):
        return None
    return Exit(ExitReason.END_OF_DAY, f"{span} before the close at {at.session.close:%H:%M:%SZ}")


def expiry(pos: Watched, at: Moment) -> Exit | None:
    """Close ``close_before_expiry`` before the close of the last session on or before expiration."""
    span, last = pos.policy.close_before_expiry, pos.last_session
    if span is None or last is None or not last.closes_within(span, at.now):
        return None
    return Exit(ExitReason.EXPIRY, f"{span} before the last close at {last.close:%Y-%m-%dT%H:%M:%SZ}")


RULES: Final[tuple[Rule, ...]] = (catastrophe, stop, target, trailing, max_hold, end_of_day, expiry)


def first_exit(pos: Watched, at: Moment) -> Exit | None:
    """Return the first exit that fires, or None to hold."""
    return next((found for rule in RULES if (found := rule(pos, at))), None)
