"""Contradictions between rules for entries and exits are found before they cost money (R37, L15, L37)."""

from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.account import Limits
from domain.consistency import contradictions
from domain.events import Action
from domain.exits import ExitPolicy, NearExpiry, Regime, Rung, Tier, Window
from domain.gates import EntryRules, RuleBook
from domain.instrument import Kind
from domain.regime import Band, RegimeRules
from tests.factories import LARGE, TINY, a_policy, some_limits, some_rules

NAMED = {"day_trade"}


def found(
    rules: EntryRules | None = None,
    limits: Limits | None = None,
    policy: ExitPolicy | None = None,
    earnings: tuple[str, ...] = (),
) -> tuple[str, ...]:
    given = rules or some_rules()
    book = RuleBook(
        of_account={LARGE: given}, of_strategy={(LARGE, name): given for name in given.min_confidence if name in NAMED}
    )
    policies = {(LARGE, "day_trade", kind): policy or a_policy() for kind in Kind}
    return contradictions(book, {LARGE: limits or some_limits()}, policies, earnings)


def test_the_shipped_rules_do_not_contradict_each_other():
    """The factories hold the defaults of design and configuration."""
    assert () == found()


HOUR = timedelta(hours=1)


def a_tier(arm: int, lock: int) -> Tier:
    return Tier(arm_pct=Decimal(arm), lock_pct=Decimal(lock))


def a_rung(at: int, close: int) -> Rung:
    return Rung(at_pct=Decimal(at), close_pct=Decimal(close))


def near(days: int, below: Decimal | None = None) -> NearExpiry:
    return NearExpiry(days=days, gain_below_pct=below)


def a_window(minutes: int, **over: Any) -> Window:
    values: dict[str, Any] = {"gain_below_pct": None, "failed_criteria": None}
    return Window(before_close=timedelta(minutes=minutes), **values | over)


def bands(*names: str) -> RegimeRules:
    levels = [Decimal(10 * n) for n in range(1, len(names))]
    made = (Band(name=n, below=b, size_ratio=Decimal(1)) for n, b in zip(names, [*levels, None], strict=True))
    return RegimeRules(symbol="VIXY", max_age=timedelta(seconds=900), bands=tuple(made))


WRONG: dict[str, dict[str, Any]] = {
    "flattened 0:15:00 before": {"policy": a_policy(flatten_before_close=timedelta(minutes=15))},
    "is closed 1:30:00 before": {"policy": a_policy(close_before_expiry=timedelta(minutes=90))},
    "held at most 0:30:00": {"policy": a_policy(max_hold=timedelta(minutes=30))},
    "catastrophe closes at 26 %": {"policy": a_policy(stop_pct=None, catastrophe_pct=Decimal(26))},
    "stop closes at 20 %": {"policy": a_policy(stop_pct=Decimal(20), min_hold=timedelta(0))},
    "comes before the stop": {"policy": a_policy(stop_pct=Decimal(60))},
    "no rule ever closes at a loss": {"policy": a_policy(stop_pct=None, catastrophe_pct=None)},
    "the target at 80 % has closed already": {"policy": a_policy(trail_arm_pct=Decimal(80))},
    "needs both": {"policy": a_policy(trail_giveback_pct=None)},
    "a trailing stop of the price needs both": {"policy": a_policy(trail_price_pct=Decimal(10))},
    "minimum progress needs both": {"policy": a_policy(progress_pct=Decimal(5))},
    "a theta rule needs both": {"policy": a_policy(theta_days=2)},
    "the trailing stop of the price is armed at 90 %": {
        "policy": a_policy(trail_price_arm_pct=Decimal(90), trail_price_pct=Decimal(10))
    },
    "break-even is armed at 80 %": {"policy": a_policy(break_even_arm_pct=Decimal(80))},
    "progress is asked for at 80 %": {"policy": a_policy(progress_after=HOUR, progress_pct=Decimal(80))},
    "progress is asked for after 4:00:00": {"policy": a_policy(progress_after=4 * HOUR, progress_pct=Decimal(5))},
    "a tier is armed at 80 %": {"policy": a_policy(trail_tiers=(a_tier(80, 70),))},
    "a rung stands at 80 %": {"policy": a_policy(ladder=(a_rung(80, 40),))},
    "two tiers stand at the same gain": {"policy": a_policy(trail_tiers=(a_tier(30, 70), a_tier(30, 80)))},
    "two rungs stand at the same gain": {"policy": a_policy(ladder=(a_rung(20, 40), a_rung(20, 10)))},
    "the tier at 50 % locks 60 %, less than the 70 %": {
        "policy": a_policy(trail_tiers=(a_tier(50, 60), a_tier(30, 70)))
    },
    "on a half day an entry is allowed until 0:15:00": {"policy": a_policy(flatten_before_half_day_close=HOUR / 4)},
    "no window asks for them": {"policy": a_policy(overnight_min_days=3)},
    "closes what fails 2 criteria, and 1 are set": {
        "policy": a_policy(overnight_min_days=3, windows=(a_window(10, failed_criteria=2),))
    },
    "a window closes everything 0:15:00 before": {"policy": a_policy(windows=(a_window(15),))},
    "a window closes what gains less than -20 % from 1:30:00 before": {
        "policy": a_policy(windows=(a_window(90, gain_below_pct=Decimal(-20)),))
    },
    "near_expiry closes whatever it gains with 2 days left": {"policy": a_policy(near_expiry=(near(2),))},
    "near_expiry closes what gains less than -26 %": {"policy": a_policy(near_expiry=(near(2, Decimal(-26)),))},
    "regime_at_least is set, but there is no [volatility]": {"policy": a_policy(regime_at_least=Regime.EXTREME)},
    "but the bands wild of [volatility] are called like no regime": {
        "policy": a_policy(regime_at_least=Regime.EXTREME),
        "rules": some_rules(regime=bands("calm", "wild")),
    },
    "earnings_within_sessions is set, but [earnings] lists no ticker": {"policy": a_policy(earnings_within_sessions=1)},
    "max_positions is 0": {"limits": some_limits(max_positions=0)},
    "less than the cheapest contract": {
        "limits": some_limits(max_exposure_usd=Decimal("0.99"), max_daily_loss_usd=Decimal("0.50"))
    },
    "cannot trip": {"limits": some_limits(max_daily_loss_usd=Decimal("10000.01"))},
    "permitted is empty": {"rules": some_rules(permitted=frozenset())},
    "no strategy has a min_confidence": {"rules": some_rules(min_confidence={})},
    "no recommendation can reach it": {"rules": some_rules(min_confidence={"day_trade": Decimal("1.01")})},
    "the session is not longer": {"rules": some_rules(no_entry_before_close=6.5 * HOUR)},
    "can never trip": {"rules": some_rules(max_quote_age=timedelta(seconds=119))},
}


@pytest.mark.parametrize(("said", "given"), WRONG.items(), ids=WRONG.keys())
def test_a_contradiction_is_named(said: str, given: dict[str, Any]):
    """One sentence that shows both settings."""
    assert [True] == [said in text for text in found(**given)]


def rules(**over: Any) -> dict[str, Any]:
    return {"rules": some_rules(**over)}


MINUTE = timedelta(minutes=1)
STOCKS = frozenset({(Action.BUY, Kind.STOCK)})
#: What is said -> the settings that it is said of, and those a step further of which it is not.
NEVER_OR_NOTHING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "max_position_usd 4000 can never trip: max_underlying_exposure_usd 4000 refuses first": (
        rules(max_position_usd=Decimal(4000), max_underlying_exposure_usd=Decimal(4000)),
        rules(max_position_usd=Decimal(3999), max_underlying_exposure_usd=Decimal(4000)),
    ),
    "max_underlying_exposure_usd 10000 can never trip: max_exposure_usd 10000.00 refuses first": (
        rules(max_underlying_exposure_usd=Decimal(10000)),
        rules(max_underlying_exposure_usd=Decimal(9999)),
    ),
    "max_underlying_exposure_usd 6001 can never trip: max_sector_exposure_usd 6000 refuses first": (
        rules(
            max_underlying_exposure_usd=Decimal(6001), max_sector_exposure_usd=Decimal(6000), sectors={"MSFT": "tech"}
        ),
        rules(
            max_underlying_exposure_usd=Decimal(5999), max_sector_exposure_usd=Decimal(6000), sectors={"MSFT": "tech"}
        ),
    ),
    "max_positions_per_underlying 5 can never trip: max_positions 5 refuses first": (
        rules(max_positions_per_underlying=5),
        rules(max_positions_per_underlying=4),
    ),
    "max_trades_per_symbol 3 can never trip: max_trades_per_underlying 3 refuses first": (
        rules(max_trades_per_symbol=3, max_trades_per_underlying=3),
        rules(max_trades_per_symbol=2, max_trades_per_underlying=3),
    ),
    "max_trades_per_symbol 8 can never trip: max_trades_per_day 8 refuses first": (
        rules(max_trades_per_symbol=8, max_trades_per_day=8),
        rules(max_trades_per_symbol=7, max_trades_per_day=8),
    ),
    "symbol_cooldown_min 0:15:00 can never trip: underlying_cooldown_min 0:15:00 refuses first": (
        rules(symbol_cooldown=15 * MINUTE, underlying_cooldown=15 * MINUTE),
        rules(symbol_cooldown=16 * MINUTE, underlying_cooldown=15 * MINUTE),
    ),
    "min_days_to_expiry 0 can never trip": (rules(min_days_to_expiry=0), rules(min_days_to_expiry=1)),
    "only stocks are permitted": (
        rules(permitted=STOCKS, max_days_to_expiry=30),
        rules(permitted=STOCKS, max_days_to_expiry=None),
    ),
    "min_confidence 0 of day_trade can never trip": (
        rules(min_confidence={"day_trade": Decimal(0)}),
        rules(min_confidence={"day_trade": Decimal("0.01")}),
    ),
    "no_entry_after_open_min 0 can never trip": (
        rules(no_entry_after_open=timedelta(0)),
        rules(no_entry_after_open=MINUTE),
    ),
    "entry_from 09:30 can never trip": (rules(entry_from=time(9, 30)), rules(entry_from=time(9, 31))),
    "entry_until 15:45 can never trip: entries stop 0:15:00 before the close at 16:00": (
        rules(entry_until=time(15, 45)),
        rules(entry_until=time(15, 44)),
    ),
    "deny_symbols GME can never trip: not in allow_symbols MSFT": (
        rules(allow_symbols=frozenset({"MSFT"}), deny_symbols=frozenset({"GME"})),
        rules(allow_symbols=frozenset({"MSFT", "GME"}), deny_symbols=frozenset({"GME"})),
    ),
    "allow_symbols nothing and deny_symbols nothing leave nothing that may open": (
        rules(allow_symbols=frozenset()),
        rules(allow_symbols=frozenset({"MSFT"})),
    ),
    "allow_symbols MSFT and deny_symbols GME, MSFT leave nothing that may open": (
        rules(allow_symbols=frozenset({"MSFT"}), deny_symbols=frozenset({"GME", "MSFT"})),
        rules(deny_symbols=frozenset({"GME", "MSFT"})),
    ),
    "min_days_to_expiry 31 is above max_days_to_expiry 30": (
        rules(min_days_to_expiry=31, max_days_to_expiry=30),
        rules(min_days_to_expiry=30, max_days_to_expiry=30),
    ),
    "entry_from 14:00, entry_until 14:00": (
        rules(entry_from=time(14), entry_until=time(14)),
        rules(entry_from=time(13, 59), entry_until=time(14)),
    ),
    "entry_from unset, entry_until 09:40, 0:10:00 after the open": (
        rules(entry_until=time(9, 40), no_entry_after_open=10 * MINUTE),
        rules(entry_until=time(9, 41), no_entry_after_open=10 * MINUTE),
    ),
    "entries begin 6:15:00 after the open and stop 0:15:00 before": (
        rules(no_entry_after_open=375 * MINUTE),
        rules(no_entry_after_open=374 * MINUTE),
    ),
    "max_position_usd 0.99 is less than the cheapest contract": (
        rules(max_position_usd=Decimal("0.99")),
        rules(max_position_usd=Decimal("1.00")),
    ),
    "max_sector_exposure_usd 6000 without sectors": (
        rules(max_sector_exposure_usd=Decimal(6000)),
        rules(max_sector_exposure_usd=Decimal(6000), sectors={"MSFT": "tech"}),
    ),
    "max_sector_exposure_usd 6000 refuses XOM of allow_symbols": (
        rules(
            max_sector_exposure_usd=Decimal(6000),
            sectors={"MSFT": "tech"},
            allow_symbols=frozenset({"MSFT", "XOM"}),
        ),
        rules(max_sector_exposure_usd=Decimal(6000), sectors={"MSFT": "tech"}, allow_symbols=frozenset({"MSFT"})),
    ),
    "max_spread_pct 200 can never trip": (
        rules(max_spread_pct=Decimal(200)) | {"policy": a_policy(catastrophe_pct=None)},
        rules(max_spread_pct=Decimal("199.99")) | {"policy": a_policy(catastrophe_pct=None)},
    ),
    "bought with min_days_to_expiry 2, and near_expiry closes whatever it gains with 2 days left": (
        rules(min_days_to_expiry=2) | {"policy": a_policy(near_expiry=(near(2),))},
        rules(min_days_to_expiry=3) | {"policy": a_policy(near_expiry=(near(2),))},
    ),
    "on a half day an entry is allowed until 0:15:00": (
        rules(refuse_half_days=False) | {"policy": a_policy(flatten_before_half_day_close=15 * MINUTE)},
        rules(refuse_half_days=True) | {"policy": a_policy(flatten_before_half_day_close=15 * MINUTE)},
    ),
    "an entry is allowed until 1:00:00 before the close, and a window closes everything 1:00:00 before": (
        rules(entry_until=time(15), refuse_half_days=True) | {"policy": a_policy(windows=(a_window(60),))},
        rules(entry_until=time(14, 59), refuse_half_days=True) | {"policy": a_policy(windows=(a_window(60),))},
    ),
    "any spread (spread_is_within_limit is off) is a loss of up to 100.0 % at the bid right after the entry, and a": (
        rules(off=frozenset({"spread_is_within_limit"}))
        | {"policy": a_policy(catastrophe_pct=None, windows=(a_window(15, gain_below_pct=Decimal(-99)),))},
        rules(off=frozenset({"spread_is_within_limit"}))
        | {"policy": a_policy(catastrophe_pct=None, windows=(a_window(15, gain_below_pct=Decimal(-100)),))},
    ),
    "any spread (spread_is_within_limit is off) is a loss of up to 100.0 % at the bid": (
        rules(off=frozenset({"spread_is_within_limit"})),
        rules(off=frozenset({"direction_is_not_opposed"})),
    ),
}


@pytest.mark.parametrize(
    ("said", "wrong", "right"), [(said, *pair) for said, pair in NEVER_OR_NOTHING.items()], ids=NEVER_OR_NOTHING.keys()
)
def test_a_limit_that_never_trips_or_that_nothing_meets_is_named(
    said: str, wrong: dict[str, Any], right: dict[str, Any]
):
    """Each with its key and value, up to the very step where it makes sense."""
    assert [True] == [said in text for text in found(**wrong)]
    assert () == found(**right)


@pytest.mark.parametrize(
    "given",
    [
        {"policy": a_policy(theta_days=2, theta_pct=Decimal(5))},
        {"policy": a_policy(earnings_within_sessions=1), "earnings": ("MSFT",)},
        {
            "policy": a_policy(regime_at_least=Regime.HIGH),
            "rules": some_rules(regime=bands("normal", "calm", "elevated", "high", "extreme")),
        },
    ],
    ids=["theta", "earnings", "regime"],
)
def test_a_rule_that_hangs_on_what_somebody_supplies_is_no_contradiction(given: dict[str, Any]):
    """The feed tells theta, a person the dates and the bands."""
    assert () == found(**given)


def test_a_strategy_without_a_policy_is_named():
    """What may be bought and nobody says how it is left."""
    book = RuleBook(of_account={LARGE: some_rules()}, of_strategy={(LARGE, "day_trade"): some_rules()})
    policies = {(LARGE, "day_trade", kind): a_policy() for kind in Kind if kind is not Kind.PUT}

    assert ("large, day_trade, PUT: may be bought, and no exit policy says how it is left",) == contradictions(
        book, {LARGE: some_limits()}, policies, ()
    )


def test_a_finding_of_many_places_is_said_once():
    """With all of them in front."""
    book = RuleBook(
        of_account={}, of_strategy={(a, "day_trade"): some_rules(min_days_to_expiry=0) for a in (LARGE, TINY)}
    )
    policies = {(a, "day_trade", kind): a_policy() for a in (LARGE, TINY) for kind in Kind}
    [text] = contradictions(book, {a: some_limits() for a in (LARGE, TINY)}, policies, ())

    assert text.startswith("large, day_trade; tiny, day_trade: min_days_to_expiry 0 can never trip")


# ---------------------------------------------------------------- R37 and L15


@pytest.mark.parametrize(
    ("days", "margin", "closes_before", "contradicts"),
    [
        (None, 90 * MINUTE, 60 * MINUTE, False),
        (None, 60 * MINUTE, 60 * MINUTE, True),
        (7, 60 * MINUTE, 60 * MINUTE, False),
        (7, 90 * MINUTE, 7 * 24 * HOUR, False),
        (7, 90 * MINUTE, 7 * 24 * HOUR + 15 * MINUTE, True),
        (8, 90 * MINUTE, 7 * 24 * HOUR + 15 * MINUTE, False),
    ],
)
def test_R37_what_may_be_bought_is_not_closed_at_once(  # noqa: N802
    days: int | None, margin: timedelta, closes_before: timedelta, contradicts: bool
):
    """A rule that closes weeklies at once, and a selector that may buy them, are told before the first order."""
    rules = some_rules(min_days_to_expiry=days, no_entry_before_last_close=margin)
    texts = found(rules, policy=a_policy(close_before_expiry=closes_before))

    assert contradicts == bool(texts)
    assert all("may be bought" in text and "is closed" in text for text in texts)


@pytest.mark.parametrize(
    ("until", "refuse_half_days", "contradicts"),
    [(time(15), True, True), (time(14, 30), True, True), (time(14, 29), True, False), (time(14, 29), False, True)],
)
def test_L15_no_entry_is_allowed_after_its_own_flattening(  # noqa: N802
    until: time, refuse_half_days: bool, contradicts: bool
):
    """Entries until 15:00 and a flattening at 14:30; on a half day no time of day helps."""
    rules = some_rules(entry_until=until, refuse_half_days=refuse_half_days)
    texts = found(rules, policy=a_policy(flatten_before_close=90 * MINUTE))

    assert contradicts == bool(texts)
    assert all("flattened 1:30:00 before" in text for text in texts)


HARMLESS: dict[str, ExitPolicy] = {
    "windows after the last entry": a_policy(windows=(a_window(14), a_window(10, gain_below_pct=Decimal(0)))),
    "a window that takes only what no entry loses": a_policy(windows=(a_window(90, gain_below_pct=Decimal(-27)),)),
    "tiers that lock more the higher they stand": a_policy(trail_tiers=(a_tier(50, 80), a_tier(30, 70))),
    "a ladder below the target": a_policy(ladder=(a_rung(20, 40), a_rung(40, 30))),
    "criteria that a window asks for": a_policy(overnight_min_days=3, windows=(a_window(10, failed_criteria=1),)),
    "progress before the longest hold": a_policy(progress_after=2 * HOUR, progress_pct=Decimal(5)),
    "a half day's flatten after the last entry": a_policy(flatten_before_half_day_close=timedelta(minutes=14)),
    "near expiry only what no entry loses": a_policy(near_expiry=(near(2, Decimal(-27)),)),
}


@pytest.mark.parametrize("policy", HARMLESS.values(), ids=HARMLESS.keys())
def test_what_does_not_contradict_is_not_named(policy: ExitPolicy):
    """The same settings a step on the other side of each limit."""
    assert () == found(policy=policy)


def test_options_alone_come_near_their_expiry():
    """A stock has none, so the same table is harmless for it."""
    policy = a_policy(near_expiry=(near(2),), close_before_expiry=timedelta(minutes=90))

    assert () == found(some_rules(permitted=STOCKS), policy=policy)
