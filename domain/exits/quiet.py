"""Where nothing happens: prices between which no rule fires and no peak moves, and the time until which that holds.

A tick inside costs two comparisons, any other one a full evaluation. The levels of the rules propose the band and the
rules themselves confirm it: each of them fires on one side of a price, and from an instant on until the day ends. So
when none fires at the lowest price, nor at the highest, in the last instant, none fires in between or before; and what
one holds for with a price it holds for without. A rule that this module does not know is asked in the same way: at
worst there is no band, and every tick is evaluated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Final

from domain.exits.at_a_price import ladder_due
from domain.exits.levels import LEVELS
from domain.exits.watched import Moment, Rule, Watched, days_to_expiry, held_long_enough
from domain.known import Known
from domain.session import NEW_YORK

#: How far from a level the band stays, as a share of the entry price: finer than any price, coarser than any rounding.
_MARGIN: Final = Decimal("1e-9")
#: The rules of price that fire beyond a level upwards (a short: downwards); all other levels are of a fall.
_RISES: Final = frozenset({"target"})
#: The only rule of price that does not wait for the minimum hold.
_AT_ONCE: Final = frozenset({"catastrophe"})
_ZERO: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class Quiet:
    """From *low* to *high*, both included, before *until*."""

    low: Decimal
    high: Decimal
    until: datetime

    def covers(self, price: Decimal | None, now: datetime) -> bool:
        return price is not None and self.low <= price <= self.high and now < self.until


def quiet(pos: Watched, at: Moment, rules: tuple[Rule, ...]) -> Quiet | None:
    """Return where none of *rules* closes anything of *pos* as long as others say what they say now; None: nowhere."""
    peak, trough = pos.excursion.peak, pos.excursion.trough
    if peak is None or trough is None:
        return None
    until = at.now + _time_left(pos, at)
    last = replace(at, now=until - timedelta.resolution)
    margin = pos.entry_price * _MARGIN
    low = max([min(peak, trough), *(level + margin for level in _floors(pos, last))])
    high = min([max(peak, trough), *(level - margin for level in _ceilings(pos, last))])
    if low > high:
        return None
    corners = (replace(last, price=low), replace(last, price=high))
    return None if any(rule(pos, corner) for corner in corners for rule in rules) else Quiet(low, high, until)


# ---------------------------------------------------------------- time


def _time_left(pos: Watched, at: Moment) -> timedelta:
    """Return how long until a rule of time, the minimum hold, a window, the session or the day says something else."""
    policy, session, last = pos.policy, at.session, pos.last_session
    held = at.now - pos.opened_at
    ends = [span - held for span in (policy.min_hold, policy.max_hold, policy.progress_after) if span is not None]
    if session is not None:
        spans = (policy.flatten_before_close, policy.flatten_before_half_day_close)
        before = [_ZERO, *(s for s in spans if s is not None), *(window.before_close for window in policy.windows)]
        ends += [session.close - span - at.now for span in before]
    if last is not None and policy.close_before_expiry is not None:
        ends.append(last.close - policy.close_before_expiry - at.now)
    tomorrow = datetime.combine(at.today + timedelta(days=1), time(), NEW_YORK)
    return min(end for end in [*ends, tomorrow - at.now] if end > _ZERO)


# ---------------------------------------------------------------- price


def _floors(pos: Watched, at: Moment) -> Iterator[Decimal]:
    """The prices that must stay below the price."""
    if pos.is_long:
        yield from _falls(pos, at)
    else:
        yield from _rises(pos, at)
    days, policy, theta = days_to_expiry(pos, at), pos.policy, at.outlook.theta
    is_near = days is not None and policy.theta_days is not None and days <= policy.theta_days
    if is_near and policy.theta_pct and isinstance(theta, Known):
        yield abs(theta.value) * 100 / policy.theta_pct


def _ceilings(pos: Watched, at: Moment) -> Iterator[Decimal]:
    """The prices that must stay above the price."""
    yield from _rises(pos, at) if pos.is_long else _falls(pos, at)


def _rises(pos: Watched, at: Moment) -> Iterator[Decimal]:
    """Where gains are taken."""
    if not held_long_enough(pos, at):
        return
    for rule in _RISES:
        if (level := LEVELS[rule](pos)) is not None:
            yield level
    done = pos.ladder_pct
    for rung in pos.policy.ladder:
        if ladder_due(pos, rung.at_pct if done is None else max(done, rung.at_pct)):
            yield pos.price_at_gain(rung.at_pct)


def _falls(pos: Watched, at: Moment) -> Iterator[Decimal]:
    """Where losses are stopped, gains kept, and what gains too little before a night or an expiration is closed."""
    names = LEVELS.keys() - _RISES if held_long_enough(pos, at) else _AT_ONCE
    for rule in names:
        if (level := LEVELS[rule](pos)) is not None:
            yield level
    days = days_to_expiry(pos, at)
    asked = [limit.gain_below_pct for limit in pos.policy.near_expiry if days is not None and days <= limit.days]
    if at.session is not None:
        windows = [w for w in pos.policy.windows if at.session.closes_within(w.before_close, at.now)]
        asked += [window.gain_below_pct for window in windows]
    yield from (pos.price_at_gain(gain_pct) for gain_pct in asked if gain_pct is not None)
