"""What an account lost in a session, and when a loss counts as seen twice."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.account import TradingState
from domain.events import Side
from domain.ids import FillId
from domain.known import Known, Unknown
from domain.loss import STANDS, Sighting, day_of, drawdown_floor_usd, mark_of
from domain.positions import Fill, fold
from tests.factories import NOON, SESSION, some_limits

OPEN = SESSION.open
SECOND = timedelta(seconds=1)


def a_fill(number: int, side: Side, qty: int, price: str | None, after: timedelta) -> Fill:
    return Fill(
        fill_id=FillId(UUID(int=number)),
        broker_order_id=f"b-{number}",
        cum_qty=qty,
        side=side,
        opens=side is Side.BUY,
        qty=qty,
        price=None if price is None else Decimal(price),
        at=OPEN + after,
        held_after=7 if price is None else None,
        reason="stop",
    )


def bought(qty: int, price: str, after: timedelta) -> Fill:
    return a_fill(1, Side.BUY, qty, price, after)


def sold(qty: int, price: str | None, after: timedelta, number: int = 2) -> Fill:
    return a_fill(number, Side.SELL, qty, price, after)


HOUR = timedelta(hours=1)
YESTERDAY = timedelta(days=-1)


@pytest.mark.parametrize(
    ("fills", "open_mark", "mark", "made"),
    [
        ([bought(10, "2.00", HOUR)], "0", "1.50", "-5.00"),
        ([bought(10, "2.00", HOUR), sold(10, "1.20", 2 * HOUR)], "0", "9", "-8.00"),
        ([bought(10, "2.00", HOUR), sold(4, "1.20", 2 * HOUR)], "0", "3.00", "2.80"),
        ([bought(10, "2.00", YESTERDAY)], "3.00", "2.50", "-5.00"),
        ([bought(10, "2.00", YESTERDAY), sold(10, "2.90", HOUR)], "3.00", "9", "-1.00"),
        ([bought(10, "2.00", YESTERDAY), sold(10, "1.00", YESTERDAY + HOUR)], "9", "9", "0"),
        ([bought(10, "2.00", -SECOND)], "2.00", "2.00", "0"),
        ([a_fill(1, Side.SELL, 10, "2.00", YESTERDAY)], "3.00", "3.50", "-5.00"),
    ],
    ids=[
        "bought today, under water",
        "bought and sold today",
        "a part sold, the rest gained",
        "held over night: since the open, not since the entry",
        "sold today what was held over night: a gain since the entry is a loss since the open",
        "yesterday's loss is yesterday's",
        "bought a second before the open",
        "short over night",
    ],
)
def test_the_day_begins_at_the_open(fills: list[Fill], open_mark: str, mark: str, made: str):
    """Dollars a share since the session's open: cash that flowed, what is held at its mark, less its open mark."""
    assert Decimal(made) == day_of(fills, OPEN).pnl(Decimal(open_mark), Decimal(mark))


def test_what_left_without_a_price_is_told():
    """An adjustment took three of ten away today: nobody knows for how much."""
    day = day_of([bought(10, "2.00", YESTERDAY), sold(3, None, HOUR)], OPEN)

    assert (10, 7, 3) == (day.held_at_open, day.held, day.unexplained)


def test_what_left_without_a_price_yesterday_is_not_of_today():
    """What nobody knows about yesterday makes today no less known."""
    assert 0 == day_of([bought(10, "2.00", YESTERDAY), sold(3, None, YESTERDAY + HOUR)], OPEN).unexplained


prices = st.integers(1, 5000).map(lambda cents: Decimal(cents) / 100)


@given(entry=prices, parts=st.lists(st.tuples(st.integers(1, 3), prices), max_size=3), mark=prices)
def test_of_a_position_of_today_it_is_realised_plus_unrealised(entry: Decimal, parts: Any, mark: Decimal):
    """What began today needs no mark of the open: the sum equals what the fold calls realised, and the rest."""
    fills = [bought(10, str(entry), SECOND)]
    fills += [sold(qty, str(price), (n + 2) * SECOND, n + 2) for n, (qty, price) in enumerate(parts)]
    whole = fold(fills, 1)
    assert whole.realized_pnl_usd is not None

    assert whole.realized_pnl_usd + whole.qty * (mark - entry) == day_of(fills, OPEN).pnl(Decimal(0), mark)


# ---------------------------------------------------------------- seen twice


def seen(at_s: float, evidence_s: float) -> Sighting:
    return Sighting(seen_at=NOON + at_s * SECOND, evidence_at=NOON + evidence_s * SECOND)


@pytest.mark.parametrize(
    ("first", "second", "confirmed"),
    [
        (seen(0, -9), seen(1, 0), True),
        (seen(0, 0), seen(1, 0), False),
        (seen(0, 0), seen(STANDS.total_seconds() - 0.001, 0), False),
        (seen(0, 0), seen(STANDS.total_seconds(), 0), True),
        (seen(0, -9), seen(0, 0), False),
        (seen(1, -9), seen(0, 0), False),
    ],
    ids=["a newer price", "the same price", "not long enough", "it stands", "the same moment", "an earlier look"],
)
def test_a_second_look_is_one_at_something_new_or_at_what_stands(first: Sighting, second: Sighting, confirmed: bool):
    """One bad print, read twice, is not two losses."""
    assert confirmed == first.is_confirmed_by(second)


# ---------------------------------------------------------------- drawdown, marks, states


def test_the_nearer_of_two_drawdown_limits_counts():
    """Dollars and per cent: whichever is reached first."""
    limits = some_limits(max_drawdown_usd=Decimal(2000), max_drawdown_pct=Decimal(1))

    assert Decimal(99_000) == drawdown_floor_usd(limits, Decimal(100_000))
    assert Decimal(498_000) == drawdown_floor_usd(limits, Decimal(500_000))


def test_a_drawdown_that_is_off_has_no_floor():
    """Who asks for it has forgotten to look whether it is on."""
    with pytest.raises(ValueError, match="empty"):
        drawdown_floor_usd(some_limits(max_drawdown_usd=None, max_drawdown_pct=None), Decimal(1))


def test_a_mark_is_the_mid_else_the_bid_else_unknown():
    """An offer without a bid is no value: nobody would take the position."""
    one, two = Decimal(1), Decimal(2)

    assert Known(Decimal("1.5"), NOON, "quotes") == mark_of(one, two, NOON, "quotes")
    assert Known(one, NOON, "quotes") == mark_of(one, None, NOON, "quotes")
    assert Unknown("nobody bids", "quotes") == mark_of(None, two, NOON, "quotes")


def test_the_stricter_of_two_states_counts():
    """Halted before reducing before active, whichever of the two says it."""
    active, reducing, halted = TradingState

    for loose, strict in ((active, reducing), (active, halted), (reducing, halted)):
        assert strict is loose.stricter(strict) is strict.stricter(loose)
