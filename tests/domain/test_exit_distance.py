"""Distances never disagree with the rules: what is said to fire there fires there, and not one step before."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.exits import RULES, ExitPolicy, Moment, NearExpiry, Regime, Rung, Tier, Watched, Window, first_exit
from domain.exits.conditions import CONDITIONS, STEP, State
from domain.exits.distance import Standing, next_of, standings
from domain.session import trading_day
from tests.domain.exit_kit import HELD, INSTANT, MINUTE, a_position, only, seen
from tests.domain.test_exit_promises import anything, cents, maybe, mirrored, of_price, quantities
from tests.factories import NOON, SESSION, a_policy

BY_NAME = {rule.__name__: rule for rule in RULES}


def d(text: str) -> Decimal:
    return Decimal(text)


def the(rule: str, pos: Watched, at: Moment) -> Standing:
    return next(found for found in standings(pos, at) if found.rule == rule)


# ---------------------------------------------------------------- never against the rules


@st.composite
def scenes(draw: st.DrawFn, policies: st.SearchStrategy[ExitPolicy] = anything) -> tuple[Watched, Moment]:
    """Any position under any policy at any minute of a session, with or without a price, whatever others say."""
    qty = draw(quantities) * draw(st.sampled_from([1, -1]))
    expiration = draw(maybe(st.integers(0, 40).map(lambda days: SESSION.day + timedelta(days=days))))
    pos = a_position(
        qty=qty,
        policy=draw(policies),
        entry=draw(st.integers(1, 20_000_000).map(lambda n: Decimal(n) / 1_000_000)),
        expiration=expiration,
        last_session=SESSION if expiration is not None and draw(st.booleans()) else None,
    )
    pos = replace(pos, opened_at=NOON - draw(st.integers(0, 400)) * MINUTE)
    for price in draw(st.lists(cents, max_size=3)):
        pos = replace(pos, excursion=pos.excursion.marked(price, pos.is_long))
    if pos.policy.ladder and draw(st.booleans()):
        acted_on = draw(st.sampled_from([rung.at_pct for rung in pos.policy.ladder]))
        pos = replace(pos, ladder_pct=acted_on, ladder_qty=draw(st.integers(0, abs(qty))))
    known: dict[str, Any] = {}
    if draw(st.booleans()):
        known["theta"] = Decimal(-draw(st.integers(0, 500))) / 1000
    if draw(st.booleans()):
        known["regime"] = draw(st.sampled_from(Regime))
    if draw(st.booleans()):
        known["reversal"] = draw(maybe(st.integers(0, 100).map(lambda n: Decimal(n) / 100)))
    if draw(st.booleans()):
        known["sessions_to_earnings"] = draw(maybe(st.integers(0, 30)))
    price = draw(maybe(cents))
    session = draw(st.sampled_from([SESSION, SESSION, None]))
    moment = seen(price, NOON + draw(st.integers(0, 239)) * MINUTE, session, **known)
    return marked(pos, moment), moment


def marked(pos: Watched, at: Moment) -> Watched:
    """The peak moves before the rules are asked, as in the exit."""
    return pos if at.price is None else replace(pos, excursion=pos.excursion.marked(at.price, pos.is_long))


def later(at: Moment, now: datetime) -> Moment:
    return replace(at, now=now, today=trading_day(now))


def fires(rule: str, pos: Watched, at: Moment) -> bool:
    return BY_NAME[rule](marked(pos, at), at) is not None


def one_step_back(found: Standing) -> Decimal:
    """The price one step on this side of the level."""
    assert found.level is not None
    assert found.distance is not None
    return found.level + STEP if found.distance < 0 else found.level - STEP


@given(scene=scenes())
def test_a_rule_is_due_exactly_when_it_fires(scene: tuple[Watched, Moment]):
    """One entry a rule, in the order of priority, and due is what the rule itself says."""
    pos, at = scene
    found = standings(pos, at)

    assert [rule.__name__ for rule in RULES] == [s.rule for s in found]
    assert [fires(s.rule, pos, at) for s in found] == [s.state is State.DUE for s in found]


@given(scene=scenes())
def test_a_price_moved_by_the_distance_fires_and_a_step_less_does_not(scene: tuple[Watched, Moment]):
    """Every rule that is on and has a level, long and short: exactly there, not one step before."""
    pos, at = scene
    for found in standings(pos, at):
        if found.state is not State.ON or found.distance is None or found.level is None or found.level <= STEP:
            continue
        assert at.price is not None
        assert fires(found.rule, pos, replace(at, price=at.price + found.distance)), found
        assert not fires(found.rule, pos, replace(at, price=one_step_back(found))), found


@given(scene=scenes())
def test_a_time_moved_by_what_is_left_fires_and_an_instant_less_does_not(scene: tuple[Watched, Moment]):
    """Every rule that acts at a time if the price stays: exactly then, not a microsecond before."""
    pos, at = scene
    for found in standings(pos, at):
        if found.acts_at is None or found.state is State.DUE or found.left is None:
            continue
        assert found.left > timedelta(0)
        assert fires(found.rule, pos, later(at, at.now + found.left)), found
        assert not fires(found.rule, pos, later(at, at.now + found.left - INSTANT)), found


@given(scene=scenes())
def test_what_waits_needs_both(scene: tuple[Watched, Moment]):
    """A rule that waits, with its level still away, fires then and there, and neither there alone nor then alone."""
    pos, at = scene
    for found in standings(pos, at):
        if found.state is not State.WAITING or not found.distance or found.level is None or found.level <= STEP:
            continue
        assert found.at is not None
        there = replace(at, price=found.level)
        assert fires(found.rule, pos, later(there, found.at)), found
        assert not fires(found.rule, pos, later(there, found.at - INSTANT)), found
        assert not fires(found.rule, pos, later(replace(at, price=one_step_back(found)), found.at)), found


@given(scene=scenes())
def test_the_price_that_arms_a_rule_arms_it(scene: tuple[Watched, Moment]):
    """Seen once it puts the rule on or lets it wait; a step less does not."""
    pos, at = scene
    for found in standings(pos, at):
        if found.arms_at is None or found.arms_at <= STEP:
            continue
        back = found.arms_at - STEP if pos.is_long else found.arms_at + STEP
        armed = the(found.rule, marked(pos, replace(at, price=found.arms_at)), at)
        assert State.UNARMED is not armed.state
        assert State.UNARMED is the(found.rule, marked(pos, replace(at, price=back)), at).state


@given(scene=scenes())
def test_the_next_rule_is_the_one_that_comes(scene: tuple[Watched, Moment]):
    """Let only the price move there, or only time pass: something fires then, and nothing a step or instant before."""
    pos, at = scene
    if first_exit(pos, at) is not None or at.session is None:
        return
    found = next_of(standings(pos, at))
    if found.price is not None and found.price.level is not None and found.price.level > STEP:
        there = replace(at, price=found.price.level)
        back = replace(at, price=one_step_back(found.price))
        assert first_exit(marked(pos, there), there) is not None
        assert first_exit(marked(pos, back), back) is None
    if found.time is not None and found.time.acts_at is not None:
        assert first_exit(pos, later(at, found.time.acts_at)) is not None
        assert first_exit(pos, later(at, found.time.acts_at - INSTANT)) is None


@given(policy=of_price, price=cents, peak=cents, qty=quantities)
def test_a_short_stands_as_far_away_as_its_mirror_image(policy: ExitPolicy, price: Decimal, peak: Decimal, qty: int):
    """The same rule in the same state at the opposite distance."""
    long = a_position(qty=qty, policy=policy)
    short = replace(long, qty=-qty)
    here, there = seen(price), seen(mirrored(price))
    long, short = marked(marked(long, seen(peak)), here), marked(marked(short, seen(mirrored(peak))), there)

    assert [(s.rule, s.state, s.distance) for s in standings(long, here)] == [
        (s.rule, s.state, None if s.distance is None else -s.distance) for s in standings(short, there)
    ]


def test_no_rule_is_forgotten():
    """Every rule of the list says what it waits for, and nothing else does."""
    assert set(BY_NAME) == set(CONDITIONS)


# ---------------------------------------------------------------- what a person reads


def test_the_shipped_rules_stand_where_a_trader_expects():
    """
    Bought at 10.00, 31 minutes ago, 9.00 now: stop at 6.00 is 3.00 away, the catastrophe 4.00, the target 9.00; the
    trailing stop is armed at 13.00; 240 minutes are over in 209, the day in 235.
    """
    pos, at = a_position(), seen("9.00")
    found = {s.rule: s for s in standings(pos, at)}

    assert (State.ON, d("5.00"), d("-4.00")) == told(found["catastrophe"])
    assert (State.ON, d("6.00"), d("-3.00")) == told(found["stop"])
    assert (State.ON, d("18.00"), d("9.00")) == told(found["target"])
    assert (State.UNARMED, None, None) == told(found["trailing"])
    assert d("13.00") == found["trailing"].arms_at
    assert (State.ON, 209 * MINUTE) == (found["max_hold"].state, found["max_hold"].left)
    assert (State.ON, SESSION.close - 5 * MINUTE) == (found["end_of_day"].state, found["end_of_day"].at)
    assert State.OFF is found["expiry"].state
    assert "a stock does not expire" == found["expiry"].detail
    assert {State.OFF} == {found[name].state for name in ("ladder", "regime", "earnings", "break_even", "half_day")}
    upcoming = next_of(found.values())
    assert upcoming.price is not None
    assert upcoming.time is not None
    assert ("stop", "max_hold") == (upcoming.price.rule, upcoming.time.rule)
    assert d("-33.33") == round(found["stop"].distance_pct or 0, 2)


def told(found: Standing) -> tuple[State, Decimal | None, Decimal | None]:
    return found.state, found.level, found.distance


def test_the_minimum_hold_is_waited_for_and_the_catastrophe_is_not():
    """Ten minutes old and beyond its stop: the stop acts in twenty, the catastrophe is next by price."""
    pos, at = a_position(opened_at=NOON - 10 * MINUTE), seen("5.50")
    stop = the("stop", pos, at)
    upcoming = next_of(standings(pos, at))

    assert (State.WAITING, d("6.00"), Decimal(0), 20 * MINUTE) == (stop.state, stop.level, stop.distance, stop.left)
    assert upcoming.price is not None
    assert upcoming.time is not None
    assert ("catastrophe", "stop") == (upcoming.price.rule, upcoming.time.rule)


def test_without_a_price_levels_are_known_and_distances_are_not():
    """Unknown says so and is no distance of zero; time goes on without a price."""
    found = {s.rule: s for s in standings(a_position(), seen(None))}

    assert (State.UNKNOWN, d("6.00"), None) == told(found["stop"])
    assert found["stop"].detail.startswith("no price")
    assert State.ON is found["max_hold"].state


@pytest.mark.parametrize(
    ("rule", "policy", "known", "state", "detail"),
    [
        ("theta_decay", only(theta_days=5, theta_pct=d("3")), {}, State.UNKNOWN, "theta: not told"),
        ("regime", only(regime_at_least=Regime.HIGH), {}, State.UNKNOWN, "not told"),
        ("regime", only(regime_at_least=Regime.HIGH), {"regime": Regime.CALM}, State.IDLE, "calm, acts at high"),
        (
            "earnings",
            only(earnings_within_sessions=2),
            {"sessions_to_earnings": 4},
            State.IDLE,
            "in 4 sessions, acts at 2",
        ),
        (
            "earnings",
            only(earnings_within_sessions=2),
            {"sessions_to_earnings": None},
            State.IDLE,
            "no report is announced",
        ),
        ("signal_reversal", only(reversal_min_confidence=d("0.6")), {}, State.UNKNOWN, "not told"),
        (
            "min_progress",
            only(progress_after=HELD, progress_pct=d("5")),
            {},
            State.UNKNOWN,
            "no price since the opening",
        ),
        ("half_day", only(flatten_before_half_day_close=MINUTE), {}, State.IDLE, "no half day"),
        ("ladder", only(ladder=(Rung(at_pct=d("20"), close_pct=d("40")),)), {}, State.IDLE, "no rung that is left"),
        ("trailing_tiers", only(trail_tiers=(Tier(arm_pct=d("30"), lock_pct=d("70")),)), {}, State.UNARMED, "armed by"),
    ],
)
def test_what_cannot_act_says_why(rule: str, policy: ExitPolicy, known: dict[str, Any], state: State, detail: str):
    """A missing input, a calm market, one contract that no rung divides: named, and no distance is made up."""
    pos = a_position(policy=policy, expiration=SESSION.day + timedelta(days=3))
    found = the(rule, pos, seen("9.00", **known))

    assert (state, None, None) == told(found)
    assert found.detail.startswith(detail)


def test_of_several_conditions_the_nearest_counts():
    """Ten days before expiration a loss closes, three days before anything: a gain waits for a fall or for that day."""
    limits = (NearExpiry(days=10, gain_below_pct=d("0")), NearExpiry(days=3, gain_below_pct=None))
    pos = a_position(policy=only(near_expiry=limits), expiration=SESSION.day + timedelta(days=5))

    gaining = the("near_expiry", pos, seen("10.01"))
    assert (State.ON, d("9.9999"), d("-0.0101")) == told(gaining)
    assert trading_day(gaining.at or NOON) == SESSION.day + timedelta(days=2)
    assert State.DUE is the("near_expiry", pos, seen("9.99")).state
    far = replace(pos, expiration=SESSION.day + timedelta(days=30))
    assert State.WAITING is the("near_expiry", far, seen("9.00")).state


def test_a_window_counts_the_criteria_that_no_price_changes():
    """Two of three are asked for, the cost fails already: the gain is the one that is left, at 5 % times nothing."""
    policy = only(
        windows=(Window(before_close=60 * MINUTE, gain_below_pct=None, failed_criteria=2),),
        overnight_min_gain_pct=d("5"),
        overnight_max_usd=d("500"),
    )
    found = the("end_of_day_window", a_position(policy=policy), seen("11.00"))

    assert (State.WAITING, d("10.4999"), d("-0.5001")) == told(found)
    assert SESSION.close - 60 * MINUTE == found.at
    assert (
        State.IDLE
        is the("end_of_day_window", a_position(policy=replace(policy, overnight_max_usd=None)), seen("11.00")).state
    )


def test_a_close_that_is_due_is_next_in_time():
    """A position beyond its stop: the stop is due, now, with what the rule saw."""
    at = seen("6.00")
    found = the("stop", a_position(policy=a_policy()), at)
    upcoming = next_of(standings(a_position(), at))

    assert (State.DUE, NOON, timedelta(0)) == (found.state, found.at, found.left)
    assert "gain -40.00 % <= -40 %" == found.detail
    assert upcoming.time is not None
    assert "stop" == upcoming.time.rule
