"""What holds for every policy and every path of prices: any mixture of rules, any market."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from db import policies
from domain.exits import (
    LEVELS,
    ExitPolicy,
    Moment,
    NearExpiry,
    Regime,
    Rung,
    Tier,
    Watched,
    Window,
    changes,
    first_exit,
)
from domain.exits.at_the_close import failed_overnight_criteria
from domain.positions import Excursion
from tests.domain.exit_kit import ENTRY, HELD, MINUTE, a_position, only, seen, sold, walk
from tests.factories import NOON, SESSION

percents = st.integers(1, 120).map(Decimal)
shares = st.integers(1, 100).map(Decimal)
spans = st.integers(0, 400).map(lambda minutes: timedelta(minutes=minutes))
gains = st.integers(-60, 60).map(Decimal)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


def some(rows: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(rows, max_size=3).map(tuple)


tiers = st.builds(Tier, arm_pct=percents, lock_pct=shares)
rungs = st.builds(Rung, at_pct=percents, close_pct=st.integers(1, 33).map(Decimal))
near = st.builds(NearExpiry, days=st.integers(0, 10), gain_below_pct=maybe(gains))
windows = st.one_of(
    st.builds(Window, before_close=spans, gain_below_pct=gains, failed_criteria=st.none()),
    st.builds(Window, before_close=spans, gain_below_pct=st.none(), failed_criteria=maybe(st.integers(1, 3))),
)
#: Every mixture of the rules that look at prices.
OF_PRICE: dict[str, st.SearchStrategy[Any]] = {
    **{name: maybe(percents) for name in ("stop_pct", "catastrophe_pct", "target_pct", "break_even_arm_pct")},
    "trail_arm_pct": maybe(percents),
    "trail_giveback_pct": maybe(shares),
    "trail_tiers": some(tiers),
    "ladder": some(rungs),
}
TRAIL_PRICE = {"trail_price_arm_pct": maybe(percents), "trail_price_pct": maybe(shares)}
#: And of those that look at anything else.
THE_REST: dict[str, st.SearchStrategy[Any]] = {
    **{name: maybe(spans) for name in ("max_hold", "progress_after", "close_before_expiry", "flatten_before_close")},
    "flatten_before_half_day_close": maybe(spans),
    **{name: maybe(percents) for name in ("progress_pct", "theta_pct")},
    **{name: maybe(st.integers(0, 30)) for name in ("theta_days", "overnight_min_days", "earnings_within_sessions")},
    "near_expiry": some(near),
    "windows": some(windows),
    "overnight_min_gain_pct": maybe(gains),
    "overnight_max_usd": maybe(st.integers(1, 50_000).map(Decimal)),
    "reversal_min_confidence": maybe(st.integers(0, 100).map(lambda n: Decimal(n) / 100)),
    "regime_at_least": maybe(st.sampled_from(Regime)),
}


def drawn(**settings: st.SearchStrategy[Any]) -> st.SearchStrategy[ExitPolicy]:
    return st.fixed_dictionaries(settings).map(lambda chosen: only(**chosen))


of_price = drawn(**OF_PRICE)
of_all_prices = drawn(**OF_PRICE, **TRAIL_PRICE)
anything = drawn(**OF_PRICE, **TRAIL_PRICE, **THE_REST)
cents = st.integers(1, 1999).map(lambda number: Decimal(number) / 100)
paths = st.lists(cents, min_size=1, max_size=30)
quantities = st.integers(1, 20)


def mirrored(price: Decimal) -> Decimal:
    return 2 * ENTRY - price


@given(policy=of_price, path=paths, qty=quantities)
def test_long_and_short_are_mirror_images_whatever_the_policy(policy: ExitPolicy, path: list[Decimal], qty: int):
    """
    A short on the mirrored path closes at the same tick by the same rule, parts included. (The trailing stop of the
    price is measured in the peak price, which differs between the two: it has a test of its own.)
    """
    long = walk(a_position(qty=qty, policy=policy), path)
    short = walk(a_position(qty=-qty, policy=policy), [mirrored(price) for price in path])

    assert long == short


@given(policy=of_all_prices, path=paths, long=st.booleans())
def test_a_stop_only_tightens(policy: ExitPolicy, path: list[Decimal], long: bool):
    """Along any path no level ever moves away from the price that it follows, and none that stood is taken down."""
    pos = a_position(qty=1 if long else -1, policy=policy)
    before = {rule: level(pos) for rule, level in LEVELS.items()}
    for price in path:
        pos = replace(pos, excursion=pos.excursion.marked(price, pos.is_long))
        now = {rule: level(pos) for rule, level in LEVELS.items()}
        for rule, old in before.items():
            new = now[rule]
            assert old is None or (new is not None and (new >= old if long else new <= old)), rule
        before = now


@given(policy=of_all_prices, path=paths, qty=quantities, long=st.booleans())
def test_no_position_survives_a_price_beyond_any_of_its_stops(
    policy: ExitPolicy, path: list[Decimal], qty: int, long: bool
):
    """Held long enough, it is closed at the first tick at or beyond a stop that stands, by whatever rule."""
    pos = a_position(qty=qty if long else -qty, policy=policy)
    found = walk(pos, path)
    for number, price in enumerate(path):
        pos = replace(pos, excursion=pos.excursion.marked(price, pos.is_long))
        stops = [level(pos) for rule, level in LEVELS.items() if rule != "target"]
        if any(level is not None and pos.is_at_or_beyond(price, level) for level in stops):
            assert found is not None
            assert found[0] <= number
            return


@given(policy=of_all_prices, path=paths, qty=quantities)
def test_parts_are_whole_and_never_more_than_is_held(policy: ExitPolicy, path: list[Decimal], qty: int):
    """Any ladder, any quantity, any path: every part is at least one unit and at most what is left (R36)."""
    pos = a_position(qty=qty, policy=policy)
    for price in path:
        pos = replace(pos, excursion=pos.excursion.marked(price, is_long=True))
        found = first_exit(pos, seen(price, session=None))
        if found is None:
            continue
        if found.part is None or found.part.qty == pos.qty:
            return
        assert 1 <= found.part.qty < pos.qty
        pos = sold(pos, found.part.qty, found.part.at_pct)
        again = first_exit(pos, seen(price, session=None))
        assert again is None or again.part is None, "one rung, one part"


@given(policy=anything, path=paths, cut=st.integers(0, 30), qty=quantities)
def test_a_restart_changes_nothing(policy: ExitPolicy, path: list[Decimal], cut: int, qty: int):
    """Stop after any tick and go on with what a row can carry: the exit is the same, parts taken stay taken."""
    start = a_position(qty=qty, policy=policy)
    whole = walk(start, path)
    pos, gone = start, None
    for number, price in enumerate(path):
        if number == cut:
            pos = reread(pos)
        pos = replace(pos, excursion=pos.excursion.marked(price, is_long=True))
        found = first_exit(pos, seen(price, now=pos.opened_at + HELD + number * timedelta(seconds=1), session=None))
        if found is not None and (found.part is None or found.part.qty == pos.qty):
            gone = (number, found.rule)
            break
        if found is not None and found.part is not None:
            pos = sold(pos, found.part.qty, found.part.at_pct)

    assert whole == gone


def reread(pos: Watched) -> Watched:
    """The position after a restart: numbers and policy as text and back."""
    seen_before = pos.excursion
    return replace(
        pos,
        policy=policies.from_json(json.loads(json.dumps(policies.to_json(pos.policy)))),
        excursion=Excursion(
            peak=None if seen_before.peak is None else Decimal(str(seen_before.peak)),
            trough=None if seen_before.trough is None else Decimal(str(seen_before.trough)),
        ),
        ladder_pct=None if pos.ladder_pct is None else Decimal(str(pos.ladder_pct)),
    )


@given(policy=anything)
def test_a_policy_survives_its_row(policy: ExitPolicy):
    """As JSON and back it is the same, and nothing in it has changed."""
    again = policies.from_json(json.loads(json.dumps(policies.to_json(policy))))

    assert policy == again
    assert () == changes(policy, again)


@given(policy=anything, minutes=st.integers(0, 390), days=st.integers(-1, 40))
def test_what_nobody_knows_closes_nothing(policy: ExitPolicy, minutes: int, days: int):
    """No price ever, no session, no outlook: only rules that need nothing but the clock and the contract may close."""
    pos = a_position(policy=policy, expiration=SESSION.day + timedelta(days=days))
    found = first_exit(pos, seen(None, now=NOON + minutes * MINUTE, session=None))

    assert found is None or found.rule in {"max_hold", "near_expiry"}


# ---------------------------------------------------------------- more risk never relaxes a rule (L33)

regimes = st.sampled_from(Regime)
more = st.integers(0, 20)


def at_risk(pos: Watched, regime: Regime, theta: Decimal, price: Decimal, now_before: timedelta) -> Moment:
    return seen(price, SESSION.close - now_before, regime=regime, theta=theta)


@given(
    policy=drawn(**THE_REST),
    price=cents,
    regime=regimes,
    worse=regimes,
    days=st.integers(0, 40),
    fewer=more,
    qty=quantities,
    larger=more,
    decay=more,
    faster=more,
    before=spans,
    nearer=spans,
    fall=st.integers(0, 500),
)
def test_more_risk_never_keeps_what_less_risk_closed(
    policy: ExitPolicy,
    price: Decimal,
    regime: Regime,
    worse: Regime,
    days: int,
    fewer: int,
    qty: int,
    larger: int,
    decay: int,
    faster: int,
    before: timedelta,
    nearer: timedelta,
    fall: int,
):
    """
    A more nervous market, fewer days, a larger position, faster decay, a nearer close, a lower price: whatever was
    closed before is closed still. (In the old system a high theta lowered the gain that a night asked for.)
    """
    policy = replace(policy, max_hold=None, progress_after=None)
    worse = max(regime, worse, key=lambda r: r.rank)
    lower = max(price - Decimal(fall) / 100, Decimal("0.01"))
    pos = a_position(qty=qty, policy=policy, expiration=SESSION.day + timedelta(days=days))
    risky = replace(pos, qty=qty + larger, max_qty=qty + larger, expiration=SESSION.day + timedelta(days=days - fewer))
    calm = at_risk(pos, regime, Decimal(-decay) / 10, price, before)
    tense = at_risk(pos, worse, Decimal(-decay - faster) / 10, lower, max(before - nearer, timedelta(0)))

    assert len(failed_overnight_criteria(pos, calm)) <= len(failed_overnight_criteria(risky, tense))
    assert first_exit(pos, calm) is None or first_exit(risky, tense) is not None


@given(path=paths, looser=percents, tighter=percents)
def test_a_tighter_stop_never_closes_later(path: Sequence[Decimal], looser: Decimal, tighter: Decimal):
    """The smaller of two stops is reached first, or at the same tick."""
    small, large = sorted((looser, tighter))
    first = walk(a_position(policy=only(stop_pct=small)), path)
    second = walk(a_position(policy=only(stop_pct=large)), path)

    assert second is None or (first is not None and first[0] <= second[0])
