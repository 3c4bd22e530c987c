"""How far a position is from each of its exit rules: in dollars a share, in per cent, or in time.

Nothing here decides: whether a rule acts now is what the rule itself says, and what it waits for is read from the
numbers that it reads (``domain.exits.conditions``). All of it as things stand: a peak that moves moves levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from domain.exits import RULES
from domain.exits.conditions import CONDITIONS, Condition, Idle, State
from domain.exits.watched import Moment, Rule, Watched


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where one rule stands.

    *level*: the price at which it acts, and *distance* the move from the price now to it, 0 when the price is there
    or beyond; *distance_pct* is per cent of the price now. *at*: when it acts, and *left* the time until then. One of
    the two is enough while it is ``on``, both are needed while it is ``waiting``. *arms_at*: the price that arms it.
    """

    rule: str
    state: State
    level: Decimal | None
    distance: Decimal | None
    distance_pct: Decimal | None
    arms_at: Decimal | None
    at: datetime | None
    left: timedelta | None
    detail: str

    @property
    def acts_at(self) -> datetime | None:
        """When it acts if the price stays as it is, None: never."""
        stays = self.level is None or self.distance == 0 or self.state is State.ON
        return self.at if self.state in (State.ON, State.DUE, State.WAITING) and stays else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """The rule that acts first if only the price moves, and the one that does if only time passes; None: no rule."""

    price: Standing | None
    time: Standing | None


def standings(pos: Watched, at: Moment) -> tuple[Standing, ...]:
    """Return where every rule stands, in the order of their priority."""
    return tuple(_standing(rule, pos, at) for rule in RULES)


def next_of(found: Iterable[Standing]) -> Next:
    """Return which rule is next; of two that are equally near the one with priority."""
    known = list(found)
    near = [s for s in known if s.state is State.ON and s.distance is not None]
    soon = [(s.acts_at, s) for s in known if s.acts_at is not None]
    return Next(
        price=min(near, key=lambda s: abs(s.distance or Decimal(0)), default=None),
        time=min(soon, key=lambda pair: pair[0], default=(None, None))[1],
    )


def _standing(rule: Rule, pos: Watched, at: Moment) -> Standing:
    name, fires = rule.__name__, rule(pos, at)
    if fires is not None:
        return _made(name, State.DUE, at, None, since=at.now, detail=fires.detail)
    waits = CONDITIONS[name](pos, at)
    if isinstance(waits, Idle):
        return _made(name, waits.state, at, None, since=None, detail=waits.detail, arms_at=waits.arms_at)
    return _waiting(name, waits, at)


def _waiting(name: str, waits: Sequence[Condition], at: Moment) -> Standing:
    """Return where a rule stands that does not act now: what of its conditions comes first."""
    begun = [c for c in waits if c.has_begun(at.now)]
    in_time = [c for c in waits if c not in begun and c.is_reached(at.price)]
    if begun:
        nearest = min(begun, key=lambda c: _way(c, at))
        then = min((c.since for c in in_time if c.since), default=None)
        state = State.UNKNOWN if at.price is None and then is None else State.ON
        return _made(name, state, at, nearest, since=then, detail=nearest.detail)
    first = min(in_time or waits, key=lambda c: (c.since or at.now, _way(c, at)))
    if first.needs_price and at.price is None:
        return _made(name, State.UNKNOWN, at, first, since=first.since, detail=first.detail)
    state = State.WAITING if first.needs_price else State.ON
    return _made(name, state, at, first, since=first.since, detail=first.detail)


def _way(condition: Condition, at: Moment) -> Decimal:
    """How far the price has to move."""
    if condition.level is None or at.price is None or condition.is_reached(at.price):
        return Decimal(0)
    return abs(condition.level - at.price)


def _made(
    rule: str,
    state: State,
    at: Moment,
    condition: Condition | None,
    *,
    since: datetime | None,
    detail: str,
    arms_at: Decimal | None = None,
) -> Standing:
    level = condition.level if condition else None
    distance = None
    if condition is not None and level is not None and at.price is not None:
        distance = Decimal(0) if condition.is_reached(at.price) else level - at.price
    if condition is not None and condition.needs_price and at.price is None:
        detail = f"no price; {detail}" if detail else "no price"
    return Standing(
        rule=rule,
        state=state,
        level=level,
        distance=distance,
        distance_pct=None if distance is None or not at.price else distance / at.price * 100,
        arms_at=arms_at,
        at=since,
        left=None if since is None else since - at.now,
        detail=detail,
    )
