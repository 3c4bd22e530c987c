"""What others know about a position: where it comes from, how old it may be, and why it is unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors.exit import ExitActor
from actors.outlook import MAX_THETA_AGE, NOTHING_CONFIGURED, Sources, gather
from db import marks, positions, sessions, thetas
from domain.exits import Outlook, Regime
from domain.known import Known, Unknown
from domain.regime import Band, RegimeRules
from tests.actors.test_exit_rules_wired import closes, holding  # noqa: F401 - a fixture
from tests.cli.house import AAA, House
from tests.factories import NOON, SESSION, a_quote

SECOND = timedelta(seconds=1)
BANDS = RegimeRules(
    symbol="VIXY",
    max_age=timedelta(seconds=900),
    bands=(
        Band(name="normal", below=Decimal(20), size_ratio=Decimal(1)),
        Band(name="high", below=Decimal(30), size_ratio=Decimal("0.5")),
        Band(name="storm", below=None, size_ratio=Decimal(0)),
    ),
)
ASKING = {"theta_days": 30, "theta_pct": Decimal(5), "regime_at_least": Regime.HIGH, "earnings_within_sessions": 1}


@pytest.fixture
def house(holding: Any) -> House:  # noqa: F811
    """A house that holds a call on AAA under the rules that ask others."""
    made: House = holding(**ASKING)
    return made


def known(house: House, **sources: Any) -> Outlook:
    with house.engine.connect() as tx:
        rows = positions.all_open(tx)
        [outlook] = gather(tx, rows, house.now, replace(NOTHING_CONFIGURED, **sources), [SESSION]).values()
    return outlook


def vixy(house: House, bid: str | None, ask: str | None, age_s: int = 0) -> None:
    with house.engine.begin() as tx:
        marks.keep(tx, [a_quote("VIXY", bid, ask, at=house.now - age_s * SECOND)])


def test_theta_is_as_old_as_its_answer(house: House):
    """At its bound it is known, a microsecond later it is not, and the reason has its time."""
    with house.engine.begin() as tx:
        thetas.keep(tx, {AAA: Decimal("-0.15")}, house.now)
        thetas.keep(tx, {AAA: Decimal("-9.00")}, house.now - SECOND)
    told = house.now
    house.now = told + MAX_THETA_AGE
    assert Known(Decimal("-0.15"), told, "snapshots") == known(house).theta

    house.now += timedelta(microseconds=1)
    assert Unknown(f"the theta of {AAA} is of {told:%Y-%m-%dT%H:%M:%SZ}", "snapshots") == known(house).theta


@pytest.mark.parametrize(
    ("bid", "ask", "regime"),
    [
        ("19.90", "20.00", Regime.CALM),
        ("20.00", "20.00", Regime.HIGH),
        ("29.90", "30.00", Regime.HIGH),
        ("31.00", "31.10", "the band storm is called like no regime"),
        (None, "20.00", "no two-sided quote of VIXY"),
        ("20.10", "20.00", "no two-sided quote of VIXY"),
    ],
)
def test_the_band_of_the_configured_price_is_the_regime(house: House, bid: str | None, ask: str, regime: Regime | str):
    """The middle of its quote decides; normal is calm, and a band of another name says nothing."""
    vixy(house, bid, ask)
    found = known(house, regime=BANDS).regime

    assert regime == (found.reason if isinstance(found, Unknown) else found.value)


def test_a_regime_that_is_old_or_nobodys_is_unknown(house: House):
    """An old price is none, and without [volatility] nobody is asked."""
    vixy(house, "25.00", "25.10", age_s=901)

    assert isinstance(known(house, regime=BANDS).regime, Unknown)
    assert Unknown("no [volatility] is configured", "config") == known(house).regime


@pytest.mark.parametrize(
    ("dates", "said"),
    [
        ([date(2026, 2, 3)], 0),
        ([date(2026, 2, 4)], 1),
        ([date(2026, 1, 5), date(2026, 2, 5)], 2),
        ([date(2026, 1, 5)], None),
        ([], None),
    ],
)
def test_earnings_are_counted_in_sessions(house: House, dates: list[date], said: int | None):
    """Today is 0; what is past is no report, and a ticker without a date reports none."""
    assert said == _value(known(house, earnings={"AAA": dates}).sessions_to_earnings)


def test_a_ticker_that_is_not_listed_is_unknown(house: House):
    """The dates of others say nothing about it."""
    told = known(house, earnings={"BBB": [date(2026, 2, 3)]}).sessions_to_earnings
    assert Unknown("[earnings] says nothing about AAA", "config") == told


@pytest.mark.parametrize(("rule", "what"), [("regime", "VIXY"), ("earnings", "a date")])
def test_what_becomes_known_closes(house: House, rule: str, what: str):
    """The exit reads its sources anew with its rows: a wild market, or a date for tomorrow, leaves the position."""
    with house.engine.begin() as tx:
        sessions.keep(tx, [SESSION])
    told: list[Sources] = [NOTHING_CONFIGURED]
    house.exit = ExitActor(house.desk, sources=lambda: told[-1])
    house.exit.handle_timer(house.now)
    house.settle()
    assert [] == closes(house)

    vixy(house, "25.00", "25.10")
    told.append(replace(NOTHING_CONFIGURED, **_said(what)))
    house.now += 10 * SECOND
    house.exit.handle_timer(house.now)
    house.settle()
    assert [rule] == [name for name, *_ in closes(house)]


def _said(what: str) -> dict[str, Any]:
    return {"regime": BANDS} if what == "VIXY" else {"earnings": {"AAA": [NOON.date() + timedelta(days=1)]}}


def _value(answer: Any) -> Any:
    return answer.value if isinstance(answer, Known) else answer
