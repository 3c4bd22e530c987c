"""What each exit rule waits for: times and prices, read from the same numbers that the rule reads.

A rule acts once one of its conditions is met. What has no condition at all is idle, and says why. Levels are prices a
share; those of rules that ask for strictly less than a gain, or divide, are the first price that is met, in steps of
``STEP``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from functools import partial
from typing import Final

from domain.exits.at_a_price import ladder_due
from domain.exits.at_the_close import failed_overnight_criteria, overnight_gain_pct
from domain.exits.levels import LEVELS
from domain.exits.policy import ExitPolicy, Window
from domain.exits.watched import Moment, Watched
from domain.known import Unknown
from domain.session import NEW_YORK, trading_day

#: The smallest step of a price. Source: SEC rule 612, below a dollar.
STEP: Final = Decimal("0.0001")


class State(StrEnum):
    """Where a rule stands: due acts now; on acts at its level or its time; waiting needs both."""

    OFF = "off"
    IDLE = "idle"
    UNARMED = "not armed"
    UNKNOWN = "unknown"
    WAITING = "waiting"
    ON = "on"
    DUE = "due"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Met from *since* on while the price is at *level* or beyond; None: nothing of the kind is asked for.

    *falling*: the level is reached from above. *needs_price*: without a price it is never met, level or not.
    """

    since: datetime | None
    level: Decimal | None
    falling: bool
    needs_price: bool
    detail: str

    def is_reached(self, price: Decimal | None) -> bool:
        """Does *price* meet it, whatever the time?"""
        if price is None:
            return not self.needs_price
        return self.level is None or (price <= self.level if self.falling else price >= self.level)

    def has_begun(self, now: datetime) -> bool:
        return self.since is None or now >= self.since


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Nothing that time or price does to the position now makes the rule act; *arms_at*: the price that arms it."""

    state: State
    detail: str
    arms_at: Decimal | None


Waits = Sequence[Condition] | Idle


def _off(detail: str = "") -> Idle:
    return Idle(state=State.OFF, detail=detail, arms_at=None)


def _idle(detail: str) -> Idle:
    return Idle(state=State.IDLE, detail=detail, arms_at=None)


def _unknown(detail: str) -> Idle:
    return Idle(state=State.UNKNOWN, detail=detail, arms_at=None)


def _from(since: datetime, detail: str) -> list[Condition]:
    """A rule of time alone."""
    return [Condition(since=since, level=None, falling=True, needs_price=False, detail=detail)]


# ---------------------------------------------------------------- at a price


def _at_a_level(rule: str, pos: Watched, _: Moment) -> Waits:
    level = LEVELS[rule](pos)
    if level is None:
        arm = _arming_gain(rule, pos.policy)
        if arm is None:
            return _off()
        return Idle(state=State.UNARMED, detail=f"armed by a gain of {arm} %", arms_at=pos.price_at_gain(arm))
    return [
        Condition(
            since=None if rule == "catastrophe" else pos.opened_at + pos.policy.min_hold,
            level=level,
            falling=pos.is_long == (rule != "target"),
            needs_price=True,
            detail="",
        )
    ]


def _arming_gain(rule: str, policy: ExitPolicy) -> Decimal | None:
    match rule:
        case "trailing":
            return None if policy.trail_giveback_pct is None else policy.trail_arm_pct
        case "trailing_price":
            return None if policy.trail_price_pct is None else policy.trail_price_arm_pct
        case "trailing_tiers":
            return min((tier.arm_pct for tier in policy.trail_tiers), default=None)
        case "break_even":
            return policy.break_even_arm_pct
    return None


def _ladder(pos: Watched, _: Moment) -> Waits:
    """The lowest rung that would close a whole unit, or what a rung acted on has left due, at any price."""
    if not pos.policy.ladder:
        return _off()
    since = pos.opened_at + pos.policy.min_hold
    if pos.ladder_pct is not None and (due := ladder_due(pos, pos.ladder_pct)):
        left = f"{due} of {pos.max_qty} are left of rung {pos.ladder_pct} %"
        return [Condition(since=since, level=None, falling=not pos.is_long, needs_price=True, detail=left)]
    for rung in sorted(pos.policy.ladder, key=lambda rung: rung.at_pct):
        if due := ladder_due(pos, rung.at_pct):
            level = pos.price_at_gain(rung.at_pct)
            closes = f"{due} of {pos.max_qty} at rung {rung.at_pct} %"
            return [Condition(since=since, level=level, falling=not pos.is_long, needs_price=True, detail=closes)]
    return _idle("no rung that is left closes a whole unit")


# ---------------------------------------------------------------- at a time


def _max_hold(pos: Watched, _: Moment) -> Waits:
    span = pos.policy.max_hold
    return _off() if span is None else _from(pos.opened_at + span, f"held {span}")


def _min_progress(pos: Watched, _: Moment) -> Waits:
    after, wanted, peak = pos.policy.progress_after, pos.policy.progress_pct, pos.excursion.peak
    if after is None or wanted is None:
        return _off()
    if peak is None:
        return _unknown("no price since the opening")
    if pos.gain_pct(peak) >= wanted:
        return _idle(f"a gain of {wanted} % was reached")
    return _from(pos.opened_at + after, f"unless it gains {wanted} % before")


def _theta_decay(pos: Watched, at: Moment) -> Waits:
    """The price below which theta is too large a part of it; a falling price meets it, also for a short."""
    days, limit, theta = pos.policy.theta_days, pos.policy.theta_pct, at.outlook.theta
    if days is None or limit is None:
        return _off()
    if pos.expiration is None:
        return _off("a stock has no theta")
    if isinstance(theta, Unknown):
        return _unknown(f"theta: {theta.reason}")
    level = _down(abs(theta.value) * 100 / limit)
    since = _days_before(pos.expiration, days)
    detail = f"a day takes {limit} % of the price"
    return [Condition(since=since, level=level, falling=True, needs_price=True, detail=detail)]


def _near_expiry(pos: Watched, _: Moment) -> Waits:
    expiration = pos.expiration
    if not pos.policy.near_expiry:
        return _off()
    if expiration is None:
        return _off("a stock does not expire")
    return [
        _below_gain(pos, _days_before(expiration, limit.days), limit.gain_below_pct, f"{limit.days} days left")
        for limit in pos.policy.near_expiry
    ]


def _expiry(pos: Watched, _: Moment) -> Waits:
    span, last = pos.policy.close_before_expiry, pos.last_session
    if span is None:
        return _off()
    if pos.expiration is None:
        return _off("a stock does not expire")
    if last is None:
        return _unknown("the last session is beyond the known calendar")
    return _from(last.close - span, f"{span} before the last close")


# ---------------------------------------------------------------- at the close


def _end_of_day(pos: Watched, at: Moment) -> Waits:
    span = pos.policy.flatten_before_close
    if span is None:
        return _off()
    if at.session is None:
        return _unknown("no session is known")
    return _from(at.session.close - span, f"{span} before the close")


def _half_day(pos: Watched, at: Moment) -> Waits:
    span = pos.policy.flatten_before_half_day_close
    if span is None:
        return _off()
    if at.session is None:
        return _unknown("no session is known")
    if not at.session.is_half_day:
        return _idle("no half day")
    return _from(at.session.close - span, f"{span} before the early close")


def _window(pos: Watched, at: Moment) -> Waits:
    if not pos.policy.windows:
        return _off()
    if at.session is None:
        return _unknown("no session is known")
    found = [_of_window(window, pos, at, at.session.close - window.before_close) for window in pos.policy.windows]
    return [condition for condition in found if condition is not None] or _idle("every window lets it pass")


def _of_window(window: Window, pos: Watched, at: Moment, since: datetime) -> Condition | None:
    """Return what *window* waits for, None when no price makes it close the position."""
    detail = f"{window.before_close} before the close"
    if window.failed_criteria is None:
        return _below_gain(pos, since, window.gain_below_pct, detail)
    then = max(since, at.now)
    blind = replace(at, price=None, now=then, today=trading_day(then))
    missing = window.failed_criteria - len(failed_overnight_criteria(pos, blind))
    if missing <= 0:
        return _below_gain(pos, since, None, detail)
    asked = overnight_gain_pct(pos.policy, at.outlook)
    return None if missing > 1 or asked is None else _below_gain(pos, since, asked, detail)


def _below_gain(pos: Watched, since: datetime, gain_pct: Decimal | None, detail: str) -> Condition:
    """From *since* on, below a gain of *gain_pct*: the first step of a price that is."""
    if gain_pct is None:
        return _from(since, detail)[0]
    bound = pos.price_at_gain(gain_pct)
    level = _up(bound) - STEP if pos.is_long else _down(bound) + STEP
    said = f"{detail}, gain under {gain_pct} %"
    return Condition(since=since, level=level, falling=pos.is_long, needs_price=True, detail=said)


# ---------------------------------------------------------------- because of what others say


def _signal_reversal(pos: Watched, at: Moment) -> Waits:
    least, said = pos.policy.reversal_min_confidence, at.outlook.reversal
    if least is None:
        return _off()
    return _unknown(said.reason) if isinstance(said, Unknown) else _idle(f"the opposite with confidence >= {least}")


def _earnings(pos: Watched, at: Moment) -> Waits:
    limit, left = pos.policy.earnings_within_sessions, at.outlook.sessions_to_earnings
    if limit is None:
        return _off()
    if isinstance(left, Unknown):
        return _unknown(left.reason)
    return _idle("no report is announced" if left.value is None else f"in {left.value} sessions, acts at {limit}")


def _regime(pos: Watched, at: Moment) -> Waits:
    least, seen = pos.policy.regime_at_least, at.outlook.regime
    if least is None:
        return _off()
    return _unknown(seen.reason) if isinstance(seen, Unknown) else _idle(f"{seen.value}, acts at {least}")


def _days_before(expiration: date, days: int) -> datetime:
    """Return when there are *days* left: midnight in New York."""
    day = date.fromordinal(expiration.toordinal() - days)
    return datetime.combine(day, time(), NEW_YORK).astimezone(UTC)


def _down(price: Decimal) -> Decimal:
    return price.quantize(STEP, rounding=ROUND_FLOOR)


def _up(price: Decimal) -> Decimal:
    return price.quantize(STEP, rounding=ROUND_CEILING)


#: What each rule waits for, by its name.
CONDITIONS: Final[Mapping[str, Callable[[Watched, Moment], Waits]]] = {
    **{rule: partial(_at_a_level, rule) for rule in LEVELS},
    "ladder": _ladder,
    "max_hold": _max_hold,
    "min_progress": _min_progress,
    "theta_decay": _theta_decay,
    "near_expiry": _near_expiry,
    "end_of_day": _end_of_day,
    "half_day": _half_day,
    "end_of_day_window": _window,
    "expiry": _expiry,
    "signal_reversal": _signal_reversal,
    "earnings": _earnings,
    "regime": _regime,
}
