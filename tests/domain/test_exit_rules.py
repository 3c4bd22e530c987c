"""Every exit rule beyond the defaults: a step before its limit, at it, a step beyond it, and on what is unknown.

``price`` is where the position of 10.00 could be left now; a row names the rule that closes it, or None.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.exits import (
    LEVELS,
    REASONS,
    RULES,
    ExitPolicy,
    ExitReason,
    NearExpiry,
    Regime,
    Rung,
    Slice,
    Tier,
    Window,
    first_exit,
    reason_of,
)
from domain.exits.at_the_close import failed_overnight_criteria
from domain.session import Session
from tests.domain.exit_kit import HELD, INSTANT, MINUTE, a_position, only, seen, sold
from tests.factories import NOON, SESSION, a_policy

TODAY = date(2026, 2, 3)
HALF_DAY = replace(SESSION, close=SESSION.open + timedelta(hours=3, minutes=30))


def d(text: str | int) -> Decimal:
    return Decimal(text)


def tiers(*pairs: tuple[int, int]) -> tuple[Tier, ...]:
    return tuple(Tier(arm_pct=d(arm), lock_pct=d(lock)) for arm, lock in pairs)


def rungs(*pairs: tuple[int, int]) -> tuple[Rung, ...]:
    return tuple(Rung(at_pct=d(at), close_pct=d(close)) for at, close in pairs)


def a_window(minutes: int, **over: Any) -> Window:
    values: dict[str, Any] = {"gain_below_pct": None, "failed_criteria": None}
    return Window(before_close=timedelta(minutes=minutes), **values | over)


def near(*pairs: tuple[int, str | None]) -> tuple[NearExpiry, ...]:
    return tuple(NearExpiry(days=days, gain_below_pct=None if below is None else d(below)) for days, below in pairs)


# ---------------------------------------------------------------- at a price

TRAIL_PRICE = only(trail_price_arm_pct=d(20), trail_price_pct=d(10))
TIERS = only(trail_tiers=tiers((30, 70), (50, 80), (80, 85)))
BREAK_EVEN = only(break_even_arm_pct=d(10))

AT_A_PRICE: dict[str, tuple[ExitPolicy, str | None, str | None, str | None]] = {
    # policy, peak, price, rule
    "trailing price: peak a cent short of +20 %": (TRAIL_PRICE, "11.99", "5.00", None),
    "trailing price: 10 % of 12.00 is 10.80, a cent above": (TRAIL_PRICE, "12.00", "10.81", None),
    "trailing price: at 10.80": (TRAIL_PRICE, "12.00", "10.80", "trailing_price"),
    "trailing price: a cent below": (TRAIL_PRICE, "12.00", "10.79", "trailing_price"),
    "trailing price: no price": (TRAIL_PRICE, "12.00", None, None),
    "trailing price: never a price": (TRAIL_PRICE, None, "5.00", None),
    "tiers: peak a cent short of the first": (TIERS, "12.99", "5.00", None),
    "first tier keeps 70 % of 3.00: a cent above 12.10": (TIERS, "13.00", "12.11", None),
    "first tier: at 12.10": (TIERS, "13.00", "12.10", "trailing_tiers"),
    "first tier: a cent below": (TIERS, "13.00", "12.09", "trailing_tiers"),
    "still the first tier: 70 % of 4.99": (TIERS, "14.99", "13.494", None),
    "second tier keeps 80 % of 5.00: a cent above 14.00": (TIERS, "15.00", "14.01", None),
    "second tier: at 14.00": (TIERS, "15.00", "14.00", "trailing_tiers"),
    "third tier keeps 85 % of 8.00: a cent above 16.80": (TIERS, "18.00", "16.81", None),
    "third tier: at 16.80": (TIERS, "18.00", "16.80", "trailing_tiers"),
    "tiers: no price": (TIERS, "18.00", None, None),
    "tiers: never a price": (TIERS, None, "5.00", None),
    "break-even: peak a cent short of +10 %": (BREAK_EVEN, "10.99", "9.00", None),
    "break-even: armed, a cent above the entry": (BREAK_EVEN, "11.00", "10.01", None),
    "break-even: armed, at the entry": (BREAK_EVEN, "11.00", "10.00", "break_even"),
    "break-even: armed, a cent below": (BREAK_EVEN, "11.00", "9.99", "break_even"),
    "break-even: no price": (BREAK_EVEN, "11.00", None, None),
    "break-even: never a price": (BREAK_EVEN, None, "9.00", None),
}


@pytest.mark.parametrize(("policy", "peak", "price", "expected"), AT_A_PRICE.values(), ids=AT_A_PRICE.keys())
def test_a_rule_of_price(policy: ExitPolicy, peak: str | None, price: str | None, expected: str | None):
    """The level belongs to the rule; an unknown price or peak holds."""
    found = first_exit(a_position(peak=peak, policy=policy), seen(price))

    assert expected == (found and found.rule)


@pytest.mark.parametrize(
    ("rule", "policy", "peak", "price"),
    [
        ("trailing_price", TRAIL_PRICE, "12.00", "10.80"),
        ("trailing_tiers", TIERS, "13.00", "12.10"),
        ("break_even", BREAK_EVEN, "11.00", "10.00"),
        ("ladder", only(ladder=rungs((20, 40))), None, "12.00"),
    ],
)
def test_it_waits_for_the_minimum_hold(rule: str, policy: ExitPolicy, peak: str | None, price: str):
    """An instant before 30 minutes nothing is closed, at 30 minutes it is."""
    young = a_position(peak=peak, qty=10, policy=policy, opened_at=NOON - 30 * MINUTE + INSTANT)
    old = replace(young, opened_at=NOON - 30 * MINUTE)

    assert first_exit(young, seen(price)) is None
    assert rule == first_exit(old, seen(price)).rule  # type: ignore[union-attr]


def test_a_tier_that_locks_less_never_loosens():
    """Badly written tiers, the higher locking less: the stop stays where the better one put it."""
    pos = a_position(peak="15.00", policy=only(trail_tiers=tiers((30, 70), (50, 10))))

    assert d("13.50") == LEVELS["trailing_tiers"](pos)


def test_of_a_short_a_trailing_price_stands_above_the_lowest():
    """Ten per cent of the lowest price above it: the mirror in its own measure."""
    short = a_position(qty=-1, peak="8.00", policy=TRAIL_PRICE)

    assert d("8.80") == LEVELS["trailing_price"](short)
    assert first_exit(short, seen("8.79")) is None
    assert "trailing_price" == first_exit(short, seen("8.80")).rule  # type: ignore[union-attr]


# ---------------------------------------------------------------- the ladder

LADDER = only(ladder=rungs((20, 40), (50, 30)))


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        ("11.99", None),
        ("12.00", Slice(qty=4, at_pct=d(20))),
        ("12.01", Slice(qty=4, at_pct=d(20))),
        ("14.99", Slice(qty=4, at_pct=d(20))),
        ("15.00", Slice(qty=7, at_pct=d(50))),
        (None, None),
    ],
)
def test_a_rung_closes_its_part(price: str | None, expected: Slice | None):
    """40 % of ten at +20 %; a jump over two rungs closes both parts at once; no price, no part."""
    found = first_exit(a_position(qty=10, policy=LADDER), seen(price))

    assert expected == (found and found.part)


def test_a_rung_is_taken_once():
    """After the first rung the price may dance around it; the second one takes its own share."""
    pos = sold(a_position(qty=10, policy=LADDER), 4, d(20))

    assert first_exit(pos, seen("12.00")) is None
    assert first_exit(pos, seen("11.00")) is None
    assert Slice(qty=3, at_pct=d(50)) == first_exit(pos, seen("15.00")).part  # type: ignore[union-attr]


def test_a_slice_that_failed_stays_due():
    """The rung was acted on, nothing was closed, and the price is back below it: what is due is due."""
    pos = replace(a_position(qty=10, policy=LADDER), ladder_pct=d(20))

    assert Slice(qty=4, at_pct=d(20)) == first_exit(pos, seen("11.00")).part  # type: ignore[union-attr]
    assert Slice(qty=3, at_pct=d(20)) == first_exit(replace(pos, qty=9, ladder_qty=1), seen("11.00")).part  # type: ignore[union-attr]


@pytest.mark.parametrize("qty", range(1, 21))
def test_the_slices_of_any_quantity_are_whole_and_add_up(qty: int):
    """
    1 to 20 contracts up a ladder of 40, 30 and 20 %: no slice is empty, all together are 90 % rounded
    down, so at least one is left, and it closes once. (R36: half of one contract was sold as 0.)
    """
    pos = a_position(qty=qty, policy=only(ladder=rungs((20, 40), (50, 30), (70, 20)), stop_pct=d(40)))
    slices = []
    for price in ("12.00", "12.10", "15.00", "14.00", "17.00", "17.50"):
        if found := first_exit(pos, seen(price)):
            assert found.part is not None
            slices.append(found.part.qty)
            pos = sold(pos, found.part.qty, found.part.at_pct)

    assert all(part >= 1 for part in slices)
    assert qty * 90 // 100 == sum(slices)
    assert qty - sum(slices) == pos.qty >= 1
    assert ("stop", None) == ((last := first_exit(pos, seen("6.00"))).rule, last.part)  # type: ignore[union-attr]


def test_a_short_is_closed_in_parts_too():
    """What a long sells when the price rises, a short buys when it falls as far."""
    short = a_position(qty=-10, policy=LADDER)

    assert first_exit(short, seen("8.01")) is None
    assert Slice(qty=4, at_pct=d(20)) == first_exit(short, seen("8.00")).part  # type: ignore[union-attr]
    assert -6 == sold(short, 4, d(20)).qty


def test_the_whole_goes_before_a_part():
    """Gained 90 %: the target closes everything, no rung is asked; the list is the priority."""
    pos = a_position(qty=10, policy=a_policy(ladder=rungs((20, 40))))

    assert ("target", None) == ((found := first_exit(pos, seen("19.00"))).rule, found.part)  # type: ignore[union-attr]


def test_another_ladder_asks_for_no_rung_below_what_was_acted_on():
    """A policy applied later, with a rung where the price has been: only what it adds is closed."""
    pos = replace(sold(a_position(qty=10, policy=LADDER), 4, d(20)), policy=only(ladder=rungs((15, 60))))

    assert Slice(qty=2, at_pct=d(20)) == first_exit(pos, seen("11.00")).part  # type: ignore[union-attr]


# ---------------------------------------------------------------- at a time, of an option's life

PROGRESS = only(progress_after=timedelta(hours=1), progress_pct=d(5))
THETA = only(theta_days=2, theta_pct=d(5))
NEAR = only(near_expiry=near((1, "10"), (2, "0")))
HOUR_OLD = NOON - timedelta(hours=1)

IN_TIME: dict[str, tuple[ExitPolicy, dict[str, Any], dict[str, Any], str | None]] = {
    # policy, position, moment, rule
    "progress: an instant early": (PROGRESS, {"peak": "10.00", "opened_at": HOUR_OLD + INSTANT}, {}, None),
    "progress: after an hour, none": (PROGRESS, {"peak": "10.00", "opened_at": HOUR_OLD}, {}, "min_progress"),
    "progress: best gain a cent short": (PROGRESS, {"peak": "10.49", "opened_at": HOUR_OLD}, {}, "min_progress"),
    "progress: best gain +5 %, lost since": (PROGRESS, {"peak": "10.50", "opened_at": HOUR_OLD}, {}, None),
    "progress: no price now, but a peak": (
        PROGRESS,
        {"peak": "10.00", "opened_at": HOUR_OLD},
        {"price": None},
        "min_progress",
    ),
    "progress: never a price": (PROGRESS, {"peak": None, "opened_at": HOUR_OLD}, {}, None),
    "theta: three days left": (THETA, {"days": 3}, {"theta": d("-0.50")}, None),
    "theta: two days left, 4.99 % a day": (THETA, {"days": 2}, {"theta": d("-0.499")}, None),
    "theta: two days left, 5 % a day": (THETA, {"days": 2}, {"theta": d("-0.50")}, "theta_decay"),
    "theta: one day left, more": (THETA, {"days": 1}, {"theta": d("-0.51")}, "theta_decay"),
    "theta: unknown": (THETA, {"days": 1}, {}, None),
    "theta: no price": (THETA, {"days": 1}, {"theta": d("-0.51"), "price": None}, None),
    "theta: a stock": (THETA, {}, {"theta": d("-0.51")}, None),
    "near expiry: three days left at a loss": (NEAR, {"days": 3}, {"price": "9.00"}, None),
    "near expiry: two days, at the entry": (NEAR, {"days": 2}, {"price": "10.00"}, None),
    "near expiry: two days, a cent of loss": (NEAR, {"days": 2}, {"price": "9.99"}, "near_expiry"),
    "near expiry: one day, +10 %": (NEAR, {"days": 1}, {"price": "11.00"}, None),
    "near expiry: one day, a cent less": (NEAR, {"days": 1}, {"price": "10.99"}, "near_expiry"),
    "near expiry: on the day, a cent less": (NEAR, {"days": 0}, {"price": "10.99"}, "near_expiry"),
    "near expiry: past its day": (NEAR, {"days": -1}, {"price": "10.99"}, "near_expiry"),
    "near expiry: no price": (NEAR, {"days": 1}, {"price": None}, None),
    "near expiry: a stock": (NEAR, {}, {"price": "9.00"}, None),
    "near expiry without a gain: a day early": (only(near_expiry=near((1, None))), {"days": 2}, {"price": None}, None),
    "near expiry without a gain: at its day, no price": (
        only(near_expiry=near((1, None))),
        {"days": 1},
        {"price": None},
        "near_expiry",
    ),
}


@pytest.mark.parametrize(("policy", "position", "moment", "expected"), IN_TIME.values(), ids=IN_TIME.keys())
def test_a_rule_of_time(policy: ExitPolicy, position: dict[str, Any], moment: dict[str, Any], expected: str | None):
    """The limit belongs to the rule; what is unknown holds."""
    given = dict(position)
    days = given.pop("days", None)
    expiration = None if days is None else TODAY + timedelta(days=days)
    pos = a_position(policy=policy, expiration=expiration, **given)
    found = first_exit(pos, seen(**{"price": "10.00", **moment}))

    assert expected == (found and found.rule)


# ---------------------------------------------------------------- at the close


@pytest.mark.parametrize(("session", "fires"), [(SESSION, False), (HALF_DAY, True)], ids=["regular", "half day"])
def test_a_half_day_is_flattened_and_a_regular_one_is_not(session: Session, fires: bool):
    """Ten minutes before an early close, to the instant; a swing that may stay over other nights does not stay then."""
    pos = a_position(policy=only(flatten_before_half_day_close=10 * MINUTE), opened_at=SESSION.open)
    last = session.close - 10 * MINUTE

    assert first_exit(pos, seen("10", last - INSTANT, session)) is None
    assert (first_exit(pos, seen("10", last, session)) is not None) is fires
    assert first_exit(pos, seen(None, last, None)) is None


DAY_TRADE = only(
    windows=(
        a_window(90, gain_below_pct=d(-20)),
        a_window(60, gain_below_pct=d(-10)),
        a_window(30, gain_below_pct=d(0)),
        a_window(5),
    )
)

#: The windows of a day trade that was opened at 10.00; New York closes at 16:00.
WINDOWS: dict[str, tuple[timedelta, str | None, str | None]] = {
    "before 14:30 anything may be": (90 * MINUTE + INSTANT, "5.00", None),
    "14:30, -19.99 %": (90 * MINUTE, "8.001", None),
    "14:30, -20 % is not worse than -20 %": (90 * MINUTE, "8.00", None),
    "14:30, a cent worse": (90 * MINUTE, "7.99", "end_of_day_window"),
    "14:30, no price": (90 * MINUTE, None, None),
    "15:00, -10 %": (60 * MINUTE, "9.00", None),
    "15:00, a cent worse": (60 * MINUTE, "8.99", "end_of_day_window"),
    "15:00, worse than what 14:30 asked": (60 * MINUTE, "7.00", "end_of_day_window"),
    "15:30, at the entry": (30 * MINUTE, "10.00", None),
    "15:30, any loss": (30 * MINUTE, "9.99", "end_of_day_window"),
    "15:55, a winner": (5 * MINUTE, "15.00", "end_of_day_window"),
    "15:55, no price": (5 * MINUTE, None, "end_of_day_window"),
    "an instant before 15:55, a winner": (5 * MINUTE + INSTANT, "15.00", None),
}


@pytest.mark.parametrize(("before", "price", "expected"), WINDOWS.values(), ids=WINDOWS.keys())
def test_the_windows_of_a_day_trade(before: timedelta, price: str | None, expected: str | None):
    """The nearer the close, the less may be wrong; each window holds from its time on."""
    found = first_exit(a_position(policy=DAY_TRADE), seen(price, SESSION.close - before))

    assert expected == (found and found.rule)


def test_a_window_counts_from_the_close_of_a_half_day():
    """90 minutes before 13:00 New York on a day that closes then."""
    pos = a_position(policy=DAY_TRADE, opened_at=SESSION.open)
    at = HALF_DAY.close - 90 * MINUTE

    assert first_exit(pos, seen("7.99", at - INSTANT, HALF_DAY)) is None
    assert "end_of_day_window" == first_exit(pos, seen("7.99", at, HALF_DAY)).rule  # type: ignore[union-attr]
    assert first_exit(pos, seen("7.99", at, None)) is None


NIGHT = {"overnight_min_days": 3, "overnight_min_gain_pct": d(10), "overnight_max_usd": d(2000)}

#: days to expiration, price, units, regime; what speaks against a night. 10.00 a share are 1,000 dollars a contract.
CRITERIA: dict[str, tuple[int | None, str | None, int, Regime | None, tuple[str, ...]]] = {
    "all three at their limits": (3, "11.00", 2, Regime.CALM, ()),
    "a day short": (2, "11.00", 2, Regime.CALM, ("2 days",)),
    "a cent short": (3, "10.99", 2, Regime.CALM, ("gain 9.90",)),
    "a contract too many": (3, "11.00", 3, Regime.CALM, ("3000.00 USD",)),
    "everything": (2, "10.99", 3, Regime.CALM, ("2 days", "gain", "3000.00 USD")),
    "a stock has no expiration": (None, "11.00", 2, Regime.CALM, ()),
    "no price, no gain to speak of": (3, None, 2, Regime.CALM, ()),
    "an unknown regime asks for no more": (3, "11.00", 2, None, ()),
    "elevated: half as much again": (4, "11.49", 2, Regime.ELEVATED, ("4 days", "gain 14.90", "2000.00 USD")),
    "elevated, at its limits": (5, "11.50", 1, Regime.ELEVATED, ()),
    "high: twice": (5, "11.99", 1, Regime.HIGH, ("5 days", "gain 19.90")),
    "high, at its limits": (6, "12.00", 1, Regime.HIGH, ()),
    "extreme: three times": (8, "12.99", 1, Regime.EXTREME, ("8 days", "gain 29.90", "1000.00 USD")),
}


@pytest.mark.parametrize(("days", "price", "qty", "regime", "expected"), CRITERIA.values(), ids=CRITERIA.keys())
def test_what_speaks_against_a_night(
    days: int | None, price: str | None, qty: int, regime: Regime | None, expected: tuple[str, ...]
):
    """Days to expiration, gain and dollars at entry; a nervous market asks for more. (L33: it asked for less.)"""
    expiration = None if days is None else TODAY + timedelta(days=days)
    pos = a_position(qty=qty, policy=only(**NIGHT), expiration=expiration)
    known = {} if regime is None else {"regime": regime}
    failed = failed_overnight_criteria(pos, seen(price, **known))

    assert len(expected) == len(failed)
    assert all(text.startswith(start) for text, start in zip(failed, expected, strict=True)), failed


def test_a_nervous_market_allows_less_of_a_loss_over_night():
    """A least gain of -30 % is -15 % in a market that asks for twice as much, never -60 %."""
    pos = a_position(policy=only(overnight_min_gain_pct=d(-30)))

    assert () == failed_overnight_criteria(pos, seen("7.00", regime=Regime.CALM))
    assert () == failed_overnight_criteria(pos, seen("8.50", regime=Regime.HIGH))
    assert 1 == len(failed_overnight_criteria(pos, seen("8.49", regime=Regime.HIGH)))


@pytest.mark.parametrize(
    ("before", "price", "closes"),
    [
        (60, "11.00", False),  # one criterion fails: 15:00 asks for two
        (60, "10.99", True),
        (30, "11.00", True),  # 15:30 asks for one
        (60 + 1, "10.99", False),
    ],
)
def test_the_windows_of_a_swing(before: int, price: str, closes: bool):
    """At 15:00 what fails more than one criterion, at 15:30 what fails any: a contract with two days left."""
    windows = (a_window(60, failed_criteria=2), a_window(30, failed_criteria=1))
    pos = a_position(policy=only(**NIGHT, windows=windows), expiration=TODAY + timedelta(days=2))
    found = first_exit(pos, seen(price, SESSION.close - before * MINUTE, regime=Regime.CALM))

    assert closes is (found is not None)


def test_a_winner_with_weeks_to_go_stays_over_night_though_nobody_tells_its_theta():
    """+30 %, 25 days: at 14:30 and 15:59 it is held, theta and regime unknown. (L14: all closed at 14:30.)"""
    windows = (a_window(90, failed_criteria=1), a_window(5, failed_criteria=1))
    policy = only(**NIGHT, windows=windows, theta_days=2, theta_pct=d(5), regime_at_least=Regime.EXTREME)
    pos = a_position(policy=policy, expiration=TODAY + timedelta(days=25))

    assert first_exit(pos, seen("13.00", SESSION.close - 90 * MINUTE)) is None
    assert first_exit(pos, seen("13.00", SESSION.close - MINUTE)) is None


# ---------------------------------------------------------------- by others

REVERSAL = only(reversal_min_confidence=d("0.60"))
EARNINGS = only(earnings_within_sessions=1)
REGIME = only(regime_at_least=Regime.HIGH)

BY_OTHERS: dict[str, tuple[ExitPolicy, dict[str, Any], str | None]] = {
    "reversal: 0.59": (REVERSAL, {"reversal": d("0.59")}, None),
    "reversal: 0.60": (REVERSAL, {"reversal": d("0.60")}, "signal_reversal"),
    "reversal: 0.61": (REVERSAL, {"reversal": d("0.61")}, "signal_reversal"),
    "reversal: none": (REVERSAL, {"reversal": None}, None),
    "reversal: unknown": (REVERSAL, {}, None),
    "earnings: in two sessions": (EARNINGS, {"sessions_to_earnings": 2}, None),
    "earnings: in one session": (EARNINGS, {"sessions_to_earnings": 1}, "earnings"),
    "earnings: today": (EARNINGS, {"sessions_to_earnings": 0}, "earnings"),
    "earnings: none announced": (EARNINGS, {"sessions_to_earnings": None}, None),
    "earnings: unknown": (EARNINGS, {}, None),
    "regime: elevated": (REGIME, {"regime": Regime.ELEVATED}, None),
    "regime: high": (REGIME, {"regime": Regime.HIGH}, "regime"),
    "regime: extreme": (REGIME, {"regime": Regime.EXTREME}, "regime"),
    "regime: unknown": (REGIME, {}, None),
}


@pytest.mark.parametrize("price", ["10.00", None])
@pytest.mark.parametrize(("policy", "known", "expected"), BY_OTHERS.values(), ids=BY_OTHERS.keys())
def test_a_rule_of_what_others_say(policy: ExitPolicy, known: dict[str, Any], expected: str | None, price: str | None):
    """At the limit it closes, with a price or without; unknown holds."""
    found = first_exit(a_position(policy=policy), seen(price, **known))

    assert expected == (found and found.rule)


# ---------------------------------------------------------------- the list

#: What the report may say. Source: design, section 8.
REPORTED = {
    "catastrophe": ["catastrophe"],
    "stop": ["stop", "break_even"],
    "target": ["target", "ladder"],
    "trailing": ["trailing", "trailing_price", "trailing_tiers"],
    "max_hold": ["max_hold", "min_progress"],
    "end_of_day": ["end_of_day", "half_day", "end_of_day_window"],
    "expiry": ["theta_decay", "near_expiry", "expiry", "expired", "exercised", "assigned", "cash_settled"],
    "signal": ["signal_reversal", "earnings", "regime", "signal"],
    "manual": ["manual"],
    "external": ["external", "exercised_early", "assigned_early", "delivered", "unconfirmed"],
}


def test_every_rule_is_reported_as_one_of_the_agreed_reasons():
    """The rule's own name stands beside it; a name that nobody knows is an error, never "manual" (L21)."""
    assert set(REPORTED) == set(ExitReason)
    assert {rule: reason for reason, rules in REPORTED.items() for rule in rules} == REASONS
    with pytest.raises(KeyError):
        reason_of("boredom")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_rule_names_itself_and_fires_alone(rule: Any):
    """Each rule of the list can be reached through its own setting, and says its own name (L36)."""
    policy, position, moment = ALONE[rule.__name__]
    pos = a_position(policy=only(**policy), **position)
    at = seen(**{"price": "10.00", **moment})

    assert rule.__name__ == first_exit(pos, at).rule  # type: ignore[union-attr]
    assert first_exit(replace(pos, policy=only()), at) is None


EXPIRES = {"expiration": TODAY, "last_session": SESSION}
LATE = {"now": SESSION.close - MINUTE}
#: For each rule: the settings that switch it on, and a position and a moment in which it fires.
ALONE: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "catastrophe": ({"catastrophe_pct": d(50)}, {}, {"price": "5.00"}),
    "stop": ({"stop_pct": d(40)}, {}, {"price": "6.00"}),
    "target": ({"target_pct": d(80)}, {}, {"price": "18.00"}),
    "trailing": ({"trail_arm_pct": d(30), "trail_giveback_pct": d(25)}, {"peak": "14.00"}, {"price": "13.00"}),
    "trailing_price": ({"trail_price_arm_pct": d(30), "trail_price_pct": d(5)}, {"peak": "14.00"}, {"price": "13.00"}),
    "trailing_tiers": ({"trail_tiers": tiers((30, 80))}, {"peak": "14.00"}, {"price": "13.00"}),
    "break_even": ({"break_even_arm_pct": d(30)}, {"peak": "14.00"}, {}),
    "max_hold": ({"max_hold": HELD}, {}, {}),
    "min_progress": ({"progress_after": HELD, "progress_pct": d(5)}, {"peak": "10.00"}, {}),
    "theta_decay": ({"theta_days": 2, "theta_pct": d(5)}, EXPIRES, {"theta": d("-1.00")}),
    "near_expiry": ({"near_expiry": near((1, None))}, EXPIRES, {}),
    "end_of_day": ({"flatten_before_close": 5 * MINUTE}, {}, LATE),
    "half_day": ({"flatten_before_half_day_close": 240 * MINUTE}, {}, {"session": HALF_DAY}),
    "end_of_day_window": ({"windows": (a_window(5),)}, {}, LATE),
    "expiry": ({"close_before_expiry": 60 * MINUTE}, EXPIRES, LATE),
    "signal_reversal": ({"reversal_min_confidence": d("0.5")}, {}, {"reversal": d("0.5")}),
    "earnings": ({"earnings_within_sessions": 1}, {}, {"sessions_to_earnings": 1}),
    "regime": ({"regime_at_least": Regime.EXTREME}, {}, {"regime": Regime.EXTREME}),
    "ladder": ({"ladder": rungs((20, 40))}, {"qty": 10}, {"price": "12.00"}),
}
