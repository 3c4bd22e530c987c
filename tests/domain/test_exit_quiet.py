"""The exit that looks away while nothing can happen decides what the exit decides that evaluates every tick."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.exits import LEVELS, RULES, Exit, ExitPolicy, Moment, Regime, Rung, Watched, first_exit
from domain.exits.quiet import Quiet, quiet
from domain.positions import Excursion
from domain.session import Session, trading_day
from tests.domain.exit_kit import ENTRY, HELD, MINUTE, a_position, only, seen, sold
from tests.domain.test_exit_promises import OF_PRICE, THE_REST, TRAIL_PRICE, anything, cents, maybe, spans
from tests.factories import NOON, SESSION, a_policy

SETTINGS = {**OF_PRICE, **TRAIL_PRICE, **THE_REST, "min_hold": spans}
#: A few rules at a time: of all at once, one nearly always fires at the first tick.
few = st.sets(st.sampled_from(sorted(SETTINGS)), max_size=5).flatmap(
    lambda names: st.fixed_dictionaries({name: SETTINGS[name] for name in sorted(names)}).map(lambda kw: only(**kw))
)
#: Gains in whole per cent meet levels exactly.
met = st.integers(-70, 130).map(lambda gain: ENTRY + ENTRY * gain / 100)
near_entry = st.integers(-300, 300).map(lambda number: ENTRY + Decimal(number) / 100)
waits = st.sampled_from([timedelta(0), timedelta(microseconds=1), timedelta(seconds=1), MINUTE, 30 * MINUTE]) | spans
ticks = st.tuples(waits, st.none() | met | near_entry | cents)
paths = st.lists(ticks, min_size=1, max_size=40)
outlooks = st.fixed_dictionaries(
    {},
    optional={
        "theta": st.integers(-100, 0).map(lambda cent: Decimal(cent) / 100),
        "regime": st.sampled_from(Regime),
        "sessions_to_earnings": maybe(st.integers(0, 5)),
        "reversal": maybe(st.integers(0, 100).map(lambda n: Decimal(n) / 100)),
    },
)
HALF_DAY = replace(SESSION, close=SESSION.open + timedelta(hours=3, minutes=30))
sessions = st.none() | st.sampled_from([SESSION, HALF_DAY])


class Watching:
    """A position as the exit holds it; *looks_away*: it makes use of the band. *evaluated* counts full evaluations."""

    def __init__(self, pos: Watched, session: Session | None, known: dict[str, Any], looks_away: bool) -> None:
        self.pos, self.session, self.known, self.looks_away = pos, session, known, looks_away
        self.band: Quiet | None = None
        self.evaluated = 0

    def see(self, price: Decimal | None, now: Any) -> Exit | None:
        if self.band is not None and self.band.covers(price, now):
            return None
        if price is not None:
            self.pos = replace(self.pos, excursion=self.pos.excursion.marked(price, self.pos.is_long))
        moment = self._moment(price, now)
        self.evaluated += 1
        found = first_exit(self.pos, moment)
        self.band = quiet(self.pos, moment, RULES) if found is None and self.looks_away else None
        if found is not None and found.part is not None:
            self.pos = sold(self.pos, found.part.qty, found.part.at_pct)
        return found

    def _moment(self, price: Decimal | None, now: Any) -> Moment:
        session = self.session if self.session is not None and trading_day(now) == self.session.day else None
        return seen(price, now=now, session=session, **self.known)


def both(pos: Watched, path: Sequence[Any], session: Session | None, known: dict[str, Any]) -> Iterator[Any]:
    """Yield what each of the two exits did at every tick, until all is closed."""
    every, some = Watching(pos, session, known, False), Watching(pos, session, known, True)
    now = pos.opened_at
    for wait, price in path:
        now += wait
        yield (every.see(price, now), every.pos), (some.see(price, now), some.pos)
        if every.pos.qty == 0:
            return


@given(
    policy=few | anything,
    path=paths,
    qty=st.sampled_from([1, 7, -1, -7]),
    session=sessions,
    known=outlooks,
    days=st.none() | st.integers(-1, 30),
    opened=st.integers(0, 600),
)
@settings(max_examples=400, deadline=None)
def test_looking_away_changes_no_decision(
    policy: ExitPolicy,
    path: list[Any],
    qty: int,
    session: Session | None,
    known: dict[str, Any],
    days: int | None,
    opened: int,
) -> None:
    """At every tick: the same exit by the same rule with the same words, or none, and the same peak and trough."""
    pos = a_position(
        qty=qty,
        policy=policy,
        opened_at=SESSION.open + opened * MINUTE,
        expiration=None if days is None else SESSION.day + timedelta(days=days),
        last_session=session if days == 0 else None,
    )
    for every, some in both(pos, path, session, known):
        assert every == some
        if every[0] is not None and every[0].part is None:
            return


def a_band(pos: Watched, moment: Moment) -> Quiet:
    found = quiet(pos, moment, RULES)
    assert found is not None
    return found


def ranged(low: str, high: str, qty: int = 1, **over: Any) -> Watched:
    """A position whose price has been between *low* and *high*."""
    best, worst = (high, low) if qty > 0 else (low, high)
    return replace(a_position(qty=qty, **over), excursion=Excursion(peak=Decimal(best), trough=Decimal(worst)))


def test_the_band_lets_the_exit_look_away() -> None:
    """Between the extremes so far nine of ten ticks of a calm market need no evaluation: else there is no point."""
    some = Watching(ranged("9.00", "11.00"), SESSION, {}, True)
    for number in range(200):
        assert some.see(Decimal(10) + Decimal(number % 21 - 10) / 20, NOON + number * timedelta(seconds=1)) is None
    assert some.evaluated <= 20


@pytest.mark.parametrize("qty", [1, -1])
def test_a_band_ends_short_of_every_level(qty: int) -> None:
    """The price may come back to the stop, and to the armed trailing stop; there the rules are asked."""
    pos = ranged("5.00", "14.00", qty, policy=a_policy(catastrophe_pct=Decimal(60)))
    band = a_band(pos, seen("10.00" if qty < 0 else "13.50"))
    levels = [level for of in LEVELS.values() if (level := of(pos)) is not None]
    assert levels
    assert not any(band.low <= level <= band.high for level in levels)


def test_inside_the_minimum_hold_only_the_catastrophe_bounds_it_from_below() -> None:
    """And it ends with the minimum hold."""
    opened_at = NOON - 10 * MINUTE
    pos = ranged("4.00", "11.00", opened_at=opened_at, policy=a_policy(min_hold=30 * MINUTE))
    band = a_band(pos, seen("10.00"))
    assert Decimal("5.00") < band.low < Decimal("5.001")
    assert opened_at + 30 * MINUTE == band.until


def test_a_band_ends_with_the_session_the_day_and_each_window() -> None:
    """Whatever comes first."""
    pos = ranged("9.00", "11.00", opened_at=NOON - HELD)
    policy = a_policy(max_hold=None, flatten_before_close=None)
    assert SESSION.close == a_band(replace(pos, policy=policy), seen("10.00")).until
    assert SESSION.close - 5 * MINUTE == a_band(replace(pos, policy=a_policy(max_hold=None)), seen("10.00")).until
    midnight = a_band(replace(pos, policy=policy), seen("10.00", session=None)).until
    assert trading_day(midnight - timedelta.resolution) == SESSION.day != trading_day(midnight)


def test_a_rung_that_is_still_due_leaves_no_band() -> None:
    """A slice that failed is asked for at any price."""
    ladder = (Rung(at_pct=Decimal(5), close_pct=Decimal(50)),)
    pos = ranged("9.00", "11.00", qty=4, max_qty=4, policy=only(ladder=ladder), ladder_pct=Decimal(5))
    assert quiet(pos, seen("10.00"), RULES) is None


def test_a_rule_that_nobody_told_the_band_of_is_asked_too() -> None:
    """It may close anything it likes: where it would, there is no band."""

    def whim(pos: Watched, at: Moment) -> Exit | None:
        late = at.now >= NOON + 20 * MINUTE
        return Exit("whim", "", None) if late and at.price is not None and at.price > 10 else None

    pos = ranged("9.00", "11.00")
    assert a_band(pos, seen("9.50")).high == Decimal("11.00")
    assert quiet(pos, seen("9.50"), (*RULES, whim)) is None


def test_without_a_price_so_far_there_is_no_band() -> None:
    """The first price moves the peak."""
    assert quiet(a_position(), seen(None), RULES) is None
