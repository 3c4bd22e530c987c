"""The steps of a close, the grid that their prices stand on, and the pauses after refusals."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.closing import (
    AT_MARKET,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MARKET,
    STRAIGHT,
    Leave,
    pause_after,
    terms_of,
    willing_price,
)
from domain.events import Side
from domain.exits import RULES, CloseStep
from domain.instrument import Kind
from domain.ticks import is_on, option_tick, stock_tick
from tests.factories import NOON, SESSION

SECOND = timedelta(seconds=1)
STEPS = (
    CloseStep(beyond_pct=Decimal(0), wait=3 * SECOND),
    CloseStep(beyond_pct=Decimal(5), wait=4 * SECOND),
)
BEFORE_CLOSE = SESSION.close


def a_leave(**over: Any) -> Leave:
    values: dict[str, Any] = {
        "side": Side.SELL,
        "kind": Kind.CALL,
        "rule": "stop",
        "price": Decimal("4.20"),
        "now": NOON,
        "session": SESSION,
    }
    return Leave(**values | over)


# ---------------------------------------------------------------- steps


def test_a_close_goes_from_step_to_step_to_the_market():
    """At the bid for three seconds, five per cent below it for four, then at the market, and there it stays."""
    terms = [terms_of(STEPS, begun, a_leave()) for begun in (0, 1, 2, AT_MARKET)]

    assert [
        (Decimal("4.20"), NOON + 3 * SECOND, 1),
        (Decimal("3.90"), NOON + 4 * SECOND, 2),  # 3.99 is between the ten cents of the coarse grid
        (None, None, AT_MARKET),
        (None, None, AT_MARKET),
    ] == [(t.limit_price, t.awaited_until, t.next_step) for t in terms]


@pytest.mark.parametrize(
    "over",
    [
        pytest.param({"price": None}, id="no price"),
        pytest.param({"price": Decimal("0.04")}, id="nothing on the grid but zero"),
        *(pytest.param({"rule": rule}, id=rule) for rule in sorted(STRAIGHT)),
        pytest.param({"now": BEFORE_CLOSE - timedelta(seconds=60)}, id="the last minute"),
        pytest.param({"now": BEFORE_CLOSE + SECOND}, id="after the close"),
    ],
)
def test_what_cannot_wait_goes_to_the_market(over: dict[str, Any]):
    """And stays there: a limit after a market order would be a step back."""
    assert terms_of(STEPS, 0, a_leave(**over)) is MARKET


def test_a_limit_ends_before_the_last_minute():
    """61 s before the close a step has a second; an unknown close cuts nothing."""
    late = BEFORE_CLOSE - timedelta(seconds=61)

    assert late + SECOND == terms_of(STEPS, 0, a_leave(now=late)).awaited_until
    assert late + 3 * SECOND == terms_of(STEPS, 0, a_leave(now=late, session=None)).awaited_until


def test_a_policy_without_steps_closes_at_the_market():
    assert terms_of((), 0, a_leave()) is MARKET


def test_the_rules_that_do_not_wait_have_names_of_rules():
    """A name that no rule has would make every close wait."""
    assert {rule.__name__ for rule in RULES} | {"manual"} >= STRAIGHT


# ---------------------------------------------------------------- the grid

PRICES = [
    # kind, side, price, beyond, limit
    (Kind.CALL, Side.SELL, "2.99", "0", "2.95"),
    (Kind.CALL, Side.SELL, "3.00", "0", "3.00"),
    (Kind.CALL, Side.SELL, "3.05", "0", "3.00"),
    (Kind.CALL, Side.SELL, "3.10", "5", "2.90"),  # 2.945
    (Kind.CALL, Side.SELL, "0.05", "0", "0.05"),
    (Kind.CALL, Side.SELL, "0.05", "5", None),
    (Kind.CALL, Side.SELL, "0.04", "0", None),
    (Kind.PUT, Side.BUY, "2.96", "0", "3.00"),
    (Kind.PUT, Side.BUY, "3.01", "0", "3.10"),
    (Kind.PUT, Side.BUY, "0.01", "0", "0.05"),
    (Kind.PUT, Side.BUY, "2.90", "5", "3.10"),  # 3.045
    (Kind.STOCK, Side.SELL, "100.00", "1", "99.00"),
    (Kind.STOCK, Side.SELL, "33.33", "5", "31.66"),  # 31.6635
    (Kind.STOCK, Side.BUY, "33.33", "5", "35.00"),  # 34.9965
    (Kind.STOCK, Side.SELL, "1.00", "1", "0.99"),
    (Kind.STOCK, Side.SELL, "0.12345", "0", "0.1234"),
    (Kind.STOCK, Side.BUY, "0.99995", "0", "1.00"),
]


@pytest.mark.parametrize(("kind", "side", "price", "beyond", "limit"), PRICES)
def test_a_limit_stands_on_the_grid_on_the_willing_side(kind: Kind, side: Side, price: str, beyond: str, limit: str):
    """A sale is rounded down, a purchase up: a limit that is refused or does not trade protects nobody. Never zero."""
    expected = None if limit is None else Decimal(limit)

    assert expected == willing_price(Decimal(price), Decimal(beyond), side, kind)


@given(
    price=st.decimals("0.0001", "5000", places=4),
    beyond=st.decimals("0", "99", places=2),
    side=st.sampled_from(Side),
    kind=st.sampled_from(Kind),
)
def test_every_limit_is_accepted_and_never_less_willing_than_asked(
    price: Decimal, beyond: Decimal, side: Side, kind: Kind
):
    """On the grid of every class, at most two places for an option, at least as willing as the per cent ask for."""
    found = willing_price(price, beyond, side, kind)

    if found is None:
        assert side is Side.SELL
        return
    wanted = price * (1 + side.sign * beyond / 100)
    assert (found - wanted) * side.sign >= 0
    if kind is Kind.STOCK:
        assert is_on(found, stock_tick(found))
        return
    assert all(is_on(found, option_tick(found, "ACME", penny)) for penny in (True, False))
    assert found == found.quantize(Decimal("0.01"))


# ---------------------------------------------------------------- pauses

PAUSES = [
    # failures, seconds to the close, pause in seconds
    (0, 20_000, 1),
    (1, 20_000, 1),
    (2, 20_000, 2),
    (9, 20_000, 256),
    (10, 20_000, 300),
    (1000, 20_000, 300),
    (10, 1200, 300),
    (10, 1199, 299.75),
    (10, 300, 75),
    (5, 300, 16),
    (10, 4, 1),
    (10, 1, 1),
    (10, 0, 300),  # the session is over: the market itself is waited for
    (10, None, 300),  # nobody knows when it closes
]


@pytest.mark.parametrize(("failures", "left_s", "pause_s"), PAUSES)
def test_a_pause_doubles_and_leaves_time_for_more(failures: int, left_s: int | None, pause_s: float):
    """From a second to five minutes, and never more than a quarter of what is left of the session."""
    session = None if left_s is None else replace(SESSION, close=NOON + timedelta(seconds=left_s))

    assert timedelta(seconds=pause_s) == pause_after(failures, NOON, session)


@pytest.mark.parametrize("failures", range(12))
def test_from_five_minutes_before_the_close_there_are_many_tries(failures: int):
    """R29: whatever failed before, 15:55 leaves ten tries or more before 16:00, and no more than thirty."""
    now, tries = SESSION.close - timedelta(minutes=5), 0
    while SESSION.is_open(now):
        tries += 1
        now += pause_after(failures + tries, now, SESSION)

    assert 10 <= tries <= 30


@given(failures=st.integers(0, 10**6), left_s=st.integers(0, 23_400))
def test_every_pause_is_between_its_bounds(failures: int, left_s: int):
    """Refused for ever, a close is tried once in five minutes at least and once a second at most."""
    session = replace(SESSION, close=NOON + timedelta(seconds=left_s))

    assert FIRST_PAUSE <= pause_after(failures, NOON, session) <= LONGEST_PAUSE
