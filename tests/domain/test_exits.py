"""The exit rules: each at its limit, without a price, in its order, for longs and shorts, whatever the calendar."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.exits import (
    REASONS,
    RULES,
    Exit,
    ExitPolicy,
    ExitReason,
    Watched,
    at_a_price,
    at_a_time,
    at_the_close,
    by_others,
    first_exit,
    trailing_level,
)
from domain.exits.at_the_close import failed_overnight_criteria
from domain.positions import Excursion
from domain.session import Session, last_session_until
from tests.domain.exit_kit import ENTRY, INSTANT, MINUTE, a_position, only, reason, seen, walk
from tests.factories import NOON, SESSION, a_policy, a_quote

# ---------------------------------------------------------------- prices at their limits

PRICES = {
    "a cent above the stop": ("10.00", None, "6.01", None),
    "the stop: -40 %": ("10.00", None, "6.00", ExitReason.STOP),
    "a cent below the stop": ("10.00", None, "5.99", ExitReason.STOP),
    "a cent above the catastrophe": ("10.00", None, "5.01", ExitReason.STOP),
    "the catastrophe: -50 %": ("10.00", None, "5.00", ExitReason.CATASTROPHE),
    "a cent below the catastrophe": ("10.00", None, "4.99", ExitReason.CATASTROPHE),
    "next to nothing": ("10.00", None, "0.01", ExitReason.CATASTROPHE),
    "a cent below the target": ("10.00", None, "17.99", None),
    "the target: +80 %": ("10.00", None, "18.00", ExitReason.TARGET),
    "a cent above the target": ("10.00", None, "18.01", ExitReason.TARGET),
    "nothing happened": ("10.00", None, "10.00", None),
    "peak a cent short of +30 %: not armed": ("10.00", "12.99", "10.00", None),
    "armed at +30 %, a cent above the level": ("10.00", "13.00", "12.26", None),
    "armed at +30 %, at the level": ("10.00", "13.00", "12.25", ExitReason.TRAILING),
    "armed at +30 %, a cent below the level": ("10.00", "13.00", "12.24", ExitReason.TRAILING),
    "armed, fallen through the entry": ("10.00", "13.00", "9.00", ExitReason.TRAILING),
    "armed, fallen to the stop: the stop is named first": ("10.00", "13.00", "6.00", ExitReason.STOP),
}


@pytest.mark.parametrize(("entry", "peak", "price", "expected"), PRICES.values(), ids=PRICES.keys())
def test_a_price_rule_fires_at_its_limit(entry: str, peak: str | None, price: str, expected: ExitReason | None):
    """The limit belongs to the rule; a cent before it, the position is held."""
    assert expected == reason(first_exit(a_position(entry, peak=peak), seen(price)))


@pytest.mark.parametrize(("entry", "peak", "price", "expected"), PRICES.values(), ids=PRICES.keys())
def test_a_short_is_the_mirror_image(entry: str, peak: str | None, price: str, expected: ExitReason | None):
    """What a long does when the price falls, a short does when it rises as far."""

    def mirrored(text: str) -> Decimal:
        return 2 * Decimal(entry) - Decimal(text)

    short = a_position(entry, qty=-1, peak=None if peak is None else mirrored(peak))

    assert expected == reason(first_exit(short, seen(mirrored(price))))


def test_the_trailing_stop_of_the_worked_example():
    """9.00 rises to 13.95 (+55 %): a quarter of 4.95 may be given back, so it closes at 12.7125 or less (L13)."""
    pos = a_position("9.00", peak="13.95")

    assert Decimal("12.7125") == trailing_level(pos)
    assert reason(first_exit(pos, seen("12.72"))) is None
    assert Exit("trailing", "price 12.7125, peak 13.95, level 12.7125", None) == first_exit(pos, seen("12.7125"))
    assert ExitReason.TRAILING == reason(first_exit(pos, seen("12.71")))


def test_the_entry_alone_arms_nothing():
    """A cent of gain is no peak worth protecting: the old system armed at once (L13)."""
    assert trailing_level(a_position("9.00")) is None
    assert trailing_level(a_position("9.00", peak="9.01")) is None


@pytest.mark.parametrize("missing", ["trail_arm_pct", "trail_giveback_pct"])
def test_half_a_trailing_rule_is_none(missing: str):
    """Without arming or giving back there is no trailing stop."""
    assert trailing_level(a_position("9.00", peak="13.95", policy=a_policy(**{missing: None}))) is None


def test_the_peak_only_widens():
    """A later, lower price takes nothing from the peak, a higher one nothing from the trough; longs and shorts."""
    long = Excursion(peak=None, trough=None)
    for price in ("10", "13.95", "9", "12"):
        long = long.marked(Decimal(price), is_long=True)
    short = Excursion(peak=None, trough=None)
    for price in ("10", "13.95", "9", "12"):
        short = short.marked(Decimal(price), is_long=False)

    assert Excursion(peak=Decimal("13.95"), trough=Decimal(9)) == long
    assert Excursion(peak=Decimal(9), trough=Decimal("13.95")) == short


# ---------------------------------------------------------------- an unknown price closes nothing


@pytest.mark.parametrize("qty", [1, -1])
def test_no_price_fires_no_rule_of_price(qty: int):
    """Unknown is not zero: the position is held until somebody names a price."""
    assert first_exit(a_position(qty=qty, peak="13.00" if qty > 0 else "7.00"), seen(None)) is None


TIME_RULES = {
    ExitReason.MAX_HOLD: (only(max_hold=240 * MINUTE), a_position(opened_at=NOON - 240 * MINUTE)),
    ExitReason.END_OF_DAY: (only(flatten_before_close=5 * MINUTE), a_position()),
    ExitReason.EXPIRY: (only(close_before_expiry=60 * MINUTE), a_position(last_session=SESSION)),
}


@pytest.mark.parametrize(("expected", "policy", "pos"), [(k, *v) for k, v in TIME_RULES.items()], ids=str)
def test_a_rule_of_time_needs_no_price(expected: ExitReason, policy: ExitPolicy, pos: Watched):
    """Time passes on an illiquid contract too."""
    late = seen(None, now=NOON if expected is ExitReason.MAX_HOLD else SESSION.close - MINUTE)

    assert expected == reason(first_exit(replace(pos, policy=policy), late))


@pytest.mark.parametrize(
    ("bid", "ask", "long", "short"),
    [
        ("7.10", "7.20", "7.10", "7.20"),
        (None, "7.20", None, "7.20"),
        ("7.10", None, "7.10", None),
        ("0.01", "0.05", "0.01", "0.05"),
        ("0", "0", None, None),
        ("-1", "NaN", None, None),
        ("Infinity", "Infinity", None, None),
    ],
)
def test_a_position_is_priced_at_the_side_it_would_trade_at(
    bid: str | None, ask: str | None, long: str | None, short: str | None
):
    """A long is left at the bid, a short at the ask; a side that names no positive price is missing."""
    quote = a_quote(bid=bid, ask=ask)

    assert (None if long is None else Decimal(long)) == a_position(qty=1).price_of(quote)
    assert (None if short is None else Decimal(short)) == a_position(qty=-1).price_of(quote)


# ---------------------------------------------------------------- the minimum hold

YOUNG = NOON - 30 * MINUTE + INSTANT
OLD_ENOUGH = NOON - 30 * MINUTE


@pytest.mark.parametrize(
    ("peak", "price", "expected"),
    [
        ("10.00", "6.00", ExitReason.STOP),
        ("18.00", "18.00", ExitReason.TARGET),
        ("13.00", "12.25", ExitReason.TRAILING),
    ],
)
def test_the_minimum_hold_delays_stop_target_and_trailing(peak: str, price: str, expected: ExitReason):
    """An instant before 30 minutes they wait, at 30 minutes they fire (R01: closed after 4 min 20 s)."""
    assert first_exit(a_position(peak=peak, opened_at=YOUNG), seen(price)) is None
    assert expected == reason(first_exit(a_position(peak=peak, opened_at=OLD_ENOUGH), seen(price)))


def test_a_catastrophe_does_not_wait():
    """At a loss of half, a position of this very second is closed."""
    assert ExitReason.CATASTROPHE == reason(first_exit(a_position(opened_at=NOON), seen("5.00")))


def test_rules_of_time_do_not_wait():
    """A position that was opened four minutes before the flatten is flattened."""
    now = SESSION.close - 5 * MINUTE
    pos = a_position(opened_at=now - 4 * MINUTE)

    assert ExitReason.END_OF_DAY == reason(first_exit(pos, seen("10.00", now=now)))


# ---------------------------------------------------------------- the clock and the calendar


def test_the_maximum_hold_ends_at_its_limit():
    """240 minutes; an instant before, the position is held."""
    assert first_exit(a_position(opened_at=NOON - 240 * MINUTE + INSTANT), seen("10.00")) is None
    assert ExitReason.MAX_HOLD == reason(first_exit(a_position(opened_at=NOON - 240 * MINUTE), seen("10.00")))


def a_session(day: str, opens: str, closes: str) -> Session:
    def at(clock: str) -> datetime:
        return datetime.fromisoformat(f"{day}T{clock}:00").replace(tzinfo=UTC)

    return Session(day=date.fromisoformat(day), open=at(opens), close=at(closes))


SESSIONS = {
    "winter": a_session("2026-02-03", "14:30", "21:00"),
    "the Friday before the clocks go forward": a_session("2026-03-06", "14:30", "21:00"),
    "the Monday after the clocks went forward": a_session("2026-03-09", "13:30", "20:00"),
    "the Friday before the clocks go back": a_session("2025-10-31", "13:30", "20:00"),
    "the Monday after the clocks went back": a_session("2025-11-03", "14:30", "21:00"),
    "a half day": a_session("2025-11-28", "14:30", "18:00"),
}


@pytest.mark.parametrize("session", SESSIONS.values(), ids=SESSIONS.keys())
def test_the_day_ends_at_its_own_close(session: Session):
    """Flattened five minutes before the close that the calendar names, on every kind of day."""
    last = session.close - 5 * MINUTE
    pos = a_position(policy=only(flatten_before_close=5 * MINUTE), opened_at=session.open)

    assert first_exit(pos, seen("10", last - INSTANT, session)) is None
    assert ExitReason.END_OF_DAY == reason(first_exit(pos, seen("10", last, session)))
    assert f"at {session.close:%H:%M}:00Z" in str(first_exit(pos, seen("10", last, session)))


def test_without_a_session_the_day_does_not_end():
    """No calendar, no close to count from; the other rules go on."""
    pos = a_position(policy=only(flatten_before_close=5 * MINUTE, stop_pct=Decimal(40)))

    assert first_exit(pos, seen("10", SESSION.close, None)) is None
    assert ExitReason.STOP == reason(first_exit(pos, seen("6", SESSION.close, None)))


FRIDAY = a_session("2014-06-20", "13:30", "20:00")


@pytest.mark.parametrize("session", SESSIONS.values(), ids=SESSIONS.keys())
def test_an_option_leaves_an_hour_before_its_last_close(session: Session):
    """On the last trading day the hour is counted from that day's own close; on earlier days nothing happens."""
    last = session.close - 60 * MINUTE
    pos = a_position(policy=only(close_before_expiry=60 * MINUTE), last_session=session)

    assert first_exit(pos, seen("10", last - INSTANT, session)) is None
    assert first_exit(pos, seen("10", last - timedelta(days=1), session)) is None
    assert ExitReason.EXPIRY == reason(first_exit(pos, seen("10", last, session)))


def test_a_contract_that_expires_on_saturday_leaves_on_friday():
    """Contracts of 2014 expire on Saturdays; nobody trades then, so the last session is Friday's."""
    calendar = [a_session(f"2014-06-{day}", "13:30", "20:00") for day in (17, 18, 19, 20, 23)]
    last = last_session_until(date(2014, 6, 21), tuple(calendar))
    pos = a_position(policy=only(close_before_expiry=60 * MINUTE), last_session=last)

    assert last == FRIDAY
    assert first_exit(pos, seen("10", FRIDAY.close - 60 * MINUTE - INSTANT, FRIDAY)) is None
    assert ExitReason.EXPIRY == reason(first_exit(pos, seen("10", FRIDAY.close - 60 * MINUTE, FRIDAY)))


def test_a_position_found_after_its_last_session_still_wants_to_leave():
    """Whoever slept through Friday is told on Monday."""
    monday = a_session("2014-06-23", "13:30", "20:00")
    pos = a_position(policy=only(close_before_expiry=60 * MINUTE), last_session=FRIDAY)

    assert ExitReason.EXPIRY == reason(first_exit(pos, seen("10", monday.open, monday)))


def test_a_stock_does_not_expire():
    """It has no last session."""
    pos = a_position(policy=only(close_before_expiry=60 * MINUTE), last_session=None)

    assert first_exit(pos, seen("10", SESSION.close - INSTANT)) is None


# ---------------------------------------------------------------- the rules as a whole


@pytest.mark.parametrize("price", ["0.01", "5.00", "6.00", "12.25", "18.00", "100.00"])
def test_a_policy_with_every_rule_off_holds_for_ever(price: str):
    """None switches a rule off."""
    pos = a_position(peak="13.00", policy=only(), opened_at=NOON - timedelta(days=100), last_session=SESSION)

    assert first_exit(pos, seen(price, now=SESSION.close)) is None


def test_every_rule_is_in_rules():
    """A rule that is written but not listed would never be asked."""
    modules = (at_a_price, at_a_time, at_the_close, by_others)
    written = {
        function
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if list(inspect.signature(function).parameters) == ["pos", "at"] and not name.startswith("_")
        if function.__module__ == module.__name__ and function is not failed_overnight_criteria
    }

    assert written == set(RULES)
    assert len(written) == len(RULES)
    assert [rule.__name__ for rule in RULES] == list(REASONS)[: len(RULES)]


def test_when_everything_fires_the_first_of_rules_is_named():
    """The order of RULES is the order of priority: take the first away, and the next one speaks."""
    policy = a_policy(max_hold=MINUTE, target_pct=Decimal(-90), trail_arm_pct=Decimal(-90))
    pos = a_position(peak="9.00", policy=policy, last_session=SESSION)
    moment = seen("4.00", now=SESSION.close - MINUTE)
    named = [found.rule for rule in RULES if (found := rule(pos, moment))]

    assert ["catastrophe", "stop", "target", "trailing", "max_hold", "end_of_day", "expiry"] == named
    assert ExitReason.CATASTROPHE == reason(first_exit(pos, moment))


# ---------------------------------------------------------------- whatever the path

cents = st.integers(1, 3000).map(lambda number: Decimal(number) / 100)
paths = st.lists(cents, min_size=1, max_size=30)


def expected_exit(path: Sequence[Decimal]) -> int | None:
    """The same in other words, for a long of 10.00 under the default policy: stop 6, target 18, trailing from 13."""
    peak = Decimal(0)
    for number, price in enumerate(path):
        peak = max(peak, price)
        gave_back = peak >= 13 and (peak - price) * 4 >= peak - 10
        if price <= 6 or price >= 18 or gave_back:
            return number
    return None


@given(path=paths)
def test_no_tick_of_a_batch_is_skipped(path: list[Decimal]):
    """Evaluated tick by tick, a batch closes at the first tick that any rule wants: conflation would miss it."""
    found = walk(a_position(ENTRY), path)

    assert expected_exit(path) == (None if found is None else found[0])


def test_the_last_tick_of_a_batch_does_not_tell_all():
    """Down to the stop and back within one batch: who looks at the last tick only, holds."""
    path = [Decimal("9.00"), Decimal("5.99"), Decimal("9.00")]

    assert (1, "stop") == walk(a_position(ENTRY), path)
    assert walk(a_position(ENTRY), path[-1:]) is None


@given(path=paths, qty=st.sampled_from([10, -10]))
def test_no_position_survives_a_price_beyond_its_stop(path: list[Decimal], qty: int):
    """Walk any path, long or short: held long enough, it closes at the first tick at or beyond its stop, or before."""
    stop = Decimal(6) if qty > 0 else Decimal(14)
    found = walk(a_position(ENTRY, qty=qty), path)
    hit = next((n for n, price in enumerate(path) if (price <= stop if qty > 0 else price >= stop)), None)

    assert hit is None or (found is not None and found[0] <= hit)


@given(path=paths, qty=st.sampled_from([10, -10]))
def test_before_the_minimum_hold_only_a_catastrophe_closes(path: list[Decimal], qty: int):
    """In the first minutes the only price that closes is a loss of half."""
    worst = Decimal(5) if qty > 0 else Decimal(15)
    found = walk(a_position(ENTRY, qty=qty), path, opened=timedelta())
    hit = next((n for n, price in enumerate(path) if (price <= worst if qty > 0 else price >= worst)), None)

    assert (None if hit is None else (hit, "catastrophe")) == found


@given(path=st.lists(st.integers(1, 1999).map(lambda number: Decimal(number) / 100), min_size=1, max_size=30))
def test_long_and_short_mirror_each_other_along_any_path(path: list[Decimal]):
    """A short on the mirrored path closes at the same tick for the same reason."""
    mirrored = [2 * ENTRY - price for price in path]

    assert walk(a_position(ENTRY, qty=1), path) == walk(a_position(ENTRY, qty=-1), mirrored)


@given(path=paths, cut=st.integers(0, 30))
def test_the_peak_survives_a_restart(path: list[Decimal], cut: int):
    """Stop after any tick, carry nothing over but the row's excursion, go on: the exit is the same."""
    whole = walk(a_position(ENTRY), path)
    before, after = path[:cut], path[cut:]
    first = walk(a_position(ENTRY), before)
    if first is not None:
        assert whole == first
        return
    excursion = Excursion(peak=None, trough=None)
    for price in before:
        excursion = excursion.marked(price, is_long=True)
    second = walk(a_position(ENTRY, excursion=excursion), after)

    assert whole == (None if second is None else (second[0] + len(before), second[1]))
