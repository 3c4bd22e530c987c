"""When positions are left: R30, R31, R32, L36, half days, holidays, daylight saving and midnight."""

# ruff: noqa: N802 - a test is named after its row

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from actors.tracker import Tracker
from cli.settings import load
from domain import exits
from domain.events import ExitTriggered
from domain.exits import RULES, ExitPolicy, first_exit
from domain.session import Session, at_new_york, last_session_until
from streams.names import Stream, partitioned
from tests.domain.exit_kit import a_position, only, seen
from tests.domain.test_exit_rules import ALONE
from tests.factories import LARGE, a_policy, a_quote, a_recommendation, ticked
from tests.incidents.stage import Stage

MINUTE = timedelta(minutes=1)
SHIPPED = Path(__file__).parents[2] / "gapless.toml"


def a_session(day: str, close: time = time(16, 0)) -> Session:
    at = date.fromisoformat(day)
    return Session(day=at, open=at_new_york(at, time(9, 30)), close=at_new_york(at, close))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# ---------------------------------------------------------------- the configuration that ships

NORMAL, HALF = a_session("2026-11-24"), a_session("2026-11-27", time(13, 0))
#: Good Friday is closed, so what expires on it trades for the last time on Thursday.
THURSDAY = a_session("2026-04-02")
GOOD_FRIDAY = date(2026, 4, 3)


def left_at(policy: ExitPolicy, opened: datetime, session: Session, **over: Any) -> tuple[str, timedelta] | None:
    """Walk through *session* minute by minute at an unchanged price: which rule closes, how long before the close."""
    position = a_position(policy=policy, opened_at=opened, **over)
    now = opened
    while now < session.close:
        found = first_exit(position, seen("10.00", now=now, session=session))
        if found is not None:
            return found.rule, session.close - now
        now += MINUTE
    return None


@pytest.mark.parametrize("session", [NORMAL, HALF], ids=["a normal day", "a half day"])
def test_R30_every_strategy_has_a_defined_end_of_the_day(session: Session):
    """
    As shipped, in every account and for both kinds: what trades by the day and what was adopted is flat five minutes
    before the real close; what swings holds over night, on purpose, because its policy names no flattening.
    """
    noon = session.close - 2 * 60 * MINUTE
    for (account, strategy, kind), policy in load(SHIPPED).policies().items():
        expected = None if strategy == "swing_trade" else ("end_of_day", 5 * MINUTE)
        assert expected == left_at(policy, noon, session), (account, strategy, kind)
        assert (policy.flatten_before_close is None) == (strategy == "swing_trade"), (account, strategy, kind)


def test_R30_no_option_lives_to_its_last_close_holidays_included():
    """It expires on Good Friday: every strategy leaves it on Thursday, an hour before the close at the latest."""
    last = last_session_until(GOOD_FRIDAY, (a_session("2026-04-01"), THURSDAY, a_session("2026-04-06")))
    assert THURSDAY == last
    for (account, strategy, kind), policy in load(SHIPPED).policies().items():
        option = {"expiration": GOOD_FRIDAY, "last_session": last} if kind == "option" else {}
        found = left_at(policy, THURSDAY.close - 2 * 60 * MINUTE, THURSDAY, **option)
        if kind == "option":
            assert ("expiry", 60 * MINUTE) == found, (account, strategy, kind)


# ---------------------------------------------------------------- through the actors


@pytest.fixture
def on(a_stage: Callable[..., Stage]) -> Callable[..., Stage]:
    """Set a stage at a time: ``on(calendar, "2026-03-06T15:00:00", policy)``."""

    def made(calendar: tuple[Session, ...], now: str, policy: ExitPolicy) -> Stage:
        stage = a_stage(calendar=calendar)
        stage.now = utc(now)
        stage.tracker = Tracker(stage.desk, lambda account, strategy, kind: policy)
        return stage

    return made


def hold(stage: Stage, symbol: str, name: str = "rec") -> None:
    """Buy one contract at 2.00 in the large account."""
    stage.prices[symbol] = (Decimal("1.90"), Decimal("2.00"))
    stage.publish("recommendations", a_recommendation(id=name, at=stage.now, symbol=symbol, qty=1))
    stage.deliver()
    brokerage = stage.brokerages[LARGE]
    for order in brokerage.open_orders():
        brokerage.fill(order.broker_order_id)
    stage.deliver()
    assert 1 in stage.rows("SELECT qty FROM positions WHERE symbol = :s", s=symbol)


def bid(stage: Stage, symbol: str, price: str | Decimal) -> None:
    """Let the market show a bid now."""
    quote = a_quote(symbol, str(price), str(Decimal(price) + Decimal("0.10")), at=stage.now)
    stage.prices[symbol] = (Decimal(price), Decimal(price) + Decimal("0.10"))
    stage.publish(partitioned(Stream.TICKS, 0), ticked(quote, at=stage.now))
    stage.deliver()


def fired(stage: Stage) -> list[str]:
    return [fact.rule for fact in stage.facts(ExitTriggered)]


def sweep_to(stage: Stage, moment: str) -> list[str]:
    """Let the timers run at *moment*; return the rules that have fired so far."""
    stage.sweep(after=utc(moment) - stage.now)
    return fired(stage)


AMD, AMD_OF_DECEMBER = "AMD260417P00150000", "AMD261218P00150000"
BY_THE_DAY = a_policy(max_hold=None)
OVERNIGHT = a_policy(max_hold=None, flatten_before_close=None)

#: The clocks go forward on 8 March and back on 1 November: the close is an hour earlier or later in UTC.
SPRING = (a_session("2026-03-06"), a_session("2026-03-09"))
AUTUMN = (a_session("2026-10-30"), a_session("2026-11-02"))


@pytest.mark.parametrize(
    ("calendar", "symbol", "bought_at", "just_before", "flat_at"),
    [
        (SPRING, AMD, "2026-03-06T18:00:00", "2026-03-06T20:54:59", "2026-03-06T20:55:00"),
        (SPRING, AMD, "2026-03-09T17:00:00", "2026-03-09T19:54:59", "2026-03-09T19:55:00"),
        (AUTUMN, AMD_OF_DECEMBER, "2026-10-30T17:00:00", "2026-10-30T19:54:59", "2026-10-30T19:55:00"),
        (AUTUMN, AMD_OF_DECEMBER, "2026-11-02T18:00:00", "2026-11-02T20:54:59", "2026-11-02T20:55:00"),
    ],
    ids=["before the clocks go forward", "after it", "before the clocks go back", "after it"],
)
def test_the_end_of_the_day_follows_new_york_through_daylight_saving(
    on: Callable[..., Stage], calendar: Any, symbol: str, bought_at: str, just_before: str, flat_at: str
):
    """One calendar, two hours of UTC: five minutes before the real close, never an hour early and never after it."""
    stage = on(calendar, bought_at, BY_THE_DAY)
    hold(stage, symbol)

    assert [] == sweep_to(stage, just_before)
    assert ["end_of_day"] == sweep_to(stage, flat_at)


def test_a_stack_that_runs_over_the_change_of_clocks_leaves_on_both_sides(on: Callable[..., Stage]):
    """
    The same processes over the weekend of 8 March: one position leaves on Friday at 20:55 UTC, another on Monday at
    19:55, and what was bought on Friday to be held is still held, with its days counted in New York.
    """
    stage = on(SPRING, "2026-03-06T18:00:00", BY_THE_DAY)
    hold(stage, AMD, "friday")
    stage.tracker = Tracker(stage.desk, lambda account, strategy, kind: OVERNIGHT)
    hold(stage, "MU260417P00150000", "kept")
    assert ["end_of_day"] == sweep_to(stage, "2026-03-06T20:55:00")
    for order in stage.brokerages[LARGE].open_orders():
        stage.brokerages[LARGE].fill(order.broker_order_id)
    stage.deliver()
    stage.now = utc("2026-03-09T13:35:00")
    stage.tracker = Tracker(stage.desk, lambda account, strategy, kind: BY_THE_DAY)
    hold(stage, "QCOM260417P00150000", "monday")

    assert ["end_of_day"] == sweep_to(stage, "2026-03-09T19:54:59")
    assert ["end_of_day"] * 2 == sweep_to(stage, "2026-03-09T19:55:00")
    assert [1] == stage.rows("SELECT qty FROM positions WHERE symbol LIKE 'MU%'")


def test_a_half_day_is_flattened_before_its_own_close(on: Callable[..., Stage]):
    """The day after Thanksgiving closes at 13:00 in New York, which is 18:00 UTC."""
    stage = on((NORMAL, HALF), "2026-11-27T15:00:00", BY_THE_DAY)
    hold(stage, AMD_OF_DECEMBER)

    assert [] == sweep_to(stage, "2026-11-27T17:54:59")
    assert ["end_of_day"] == sweep_to(stage, "2026-11-27T17:55:00")


def test_midnight_closes_nothing(on: Callable[..., Stage]):
    """
    What is held over night passes midnight in UTC, then in New York: the days change, the market is closed, and no
    rule fires until the next session asks for it.
    """
    calendar = (a_session("2026-02-03"), a_session("2026-02-04"))
    stage = on(calendar, "2026-02-03T20:00:00", OVERNIGHT)
    hold(stage, "AMD260220P00150000")
    bid(stage, "AMD260220P00150000", "2.00")

    while stage.now < utc("2026-02-04T14:30:00"):
        stage.sweep(after=30 * MINUTE)
        assert [] == fired(stage), stage.now


# ---------------------------------------------------------------- R31, R32


@pytest.mark.parametrize("seed", range(5))
def test_R31_noise_of_the_first_half_hour_closes_nothing(stage: Stage, seed: int):
    """A path within 25 % of the entry for thirty minutes, a tick every ten seconds: not one exit."""
    rng, symbol = Random(seed), "AMD260220P00150000"
    stage.now = utc("2026-02-03T15:00:00")
    hold(stage, symbol)
    until = stage.now + 30 * MINUTE
    while stage.now < until:
        bid(stage, symbol, Decimal(rng.randint(150, 250)) / 100)
        stage.now += timedelta(seconds=10)

    assert [] == fired(stage)


TWENTY_HOURS = a_policy(max_hold=timedelta(hours=20), flatten_before_close=None)
TWO_DAYS = (a_session("2026-02-03"), a_session("2026-02-04"))


def test_R32_the_longest_hold_survives_a_restart_and_midnight(on: Callable[..., Stage]):
    """Twenty hours from 19:30: every actor is started anew over night, and at 15:30 the next day it closes."""
    stage = on(TWO_DAYS, "2026-02-03T19:30:00", TWENTY_HOURS)
    hold(stage, "AMD260220P00150000")
    sweep_to(stage, "2026-02-04T04:59:00")
    stage.start()

    assert [] == sweep_to(stage, "2026-02-04T15:29:59")
    stage.start()
    assert ["max_hold"] == sweep_to(stage, "2026-02-04T15:30:00")


def test_R32_the_stop_outranks_time(on: Callable[..., Stage]):
    """43 % below its entry when its time is over: it is the stop that closes it, not the clock."""
    stage = on(TWO_DAYS, "2026-02-03T19:30:00", TWENTY_HOURS)
    symbol = "AMD260220P00150000"
    hold(stage, symbol)
    stage.now = utc("2026-02-04T15:30:00")
    bid(stage, symbol, "1.14")

    assert ["stop"] == fired(stage)


def test_R32_a_stop_that_was_passed_over_night_closes_with_the_first_price(on: Callable[..., Stage]):
    """It stood at -43 % for twenty hours once. Here the first tick of the session is enough."""
    stage = on(TWO_DAYS, "2026-02-03T19:30:00", OVERNIGHT)
    symbol = "AMD260220P00150000"
    hold(stage, symbol)
    sweep_to(stage, "2026-02-04T14:29:59")
    stage.now = utc("2026-02-04T14:30:01")
    bid(stage, symbol, "1.14")

    assert ["stop"] == fired(stage)


# ---------------------------------------------------------------- L36


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_L36_a_rule_that_is_taken_out_of_the_list_is_missed(rule: Any, monkeypatch: pytest.MonkeyPatch):
    """Each configured rule is wired: with it its own case closes, and without it nothing else answers for it."""
    policy, position, moment = ALONE[rule.__name__]
    pos, at = a_position(policy=only(**policy), **position), seen(**{"price": "10.00", **moment})
    found = first_exit(pos, at)
    assert found is not None
    assert rule.__name__ == found.rule

    monkeypatch.setattr(exits, "RULES", tuple(other for other in RULES if other is not rule))

    assert first_exit(pos, at) is None
