"""A position is the fold over its fills, whatever the order in which they arrived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events import Side
from domain.ids import fill_id
from domain.positions import Fill, Holding, effective, fold
from tests.factories import LARGE, NOON

HUNDRED = 100
#: What a column of dollars keeps is coarser than what 28 digits lose.
SPECK = Decimal("0.000000001")


def fills_of(*trades: tuple[int, str | None]) -> list[Fill]:
    """One order each, a second apart: (signed quantity, price); without a price it is an adjustment by so many."""
    before = [sum(qty for qty, _ in trades[:number]) for number in range(len(trades))]
    return [
        Fill(
            fill_id=fill_id(LARGE, f"order-{number:03}", abs(qty)),
            broker_order_id=f"order-{number:03}",
            cum_qty=abs(qty),
            side=Side.BUY if qty > 0 else Side.SELL,
            opens=qty * trades[0][0] > 0,
            qty=abs(qty),
            price=None if price is None else Decimal(price),
            at=NOON + number * timedelta(seconds=1),
            held_after=before[number] + qty if price is None else None,
            reason="external" if price is None else "stop",
        )
        for number, (qty, price) in enumerate(trades)
    ]


def held(*trades: tuple[int, str | None], multiplier: int = HUNDRED) -> Holding:
    return fold(fills_of(*trades), multiplier)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


# ---------------------------------------------------------------- examples


def test_a_second_buy_averages_the_entry():
    """10 at 7.20 and 5 at 8.00 are 15 at 7.4667; the old system kept 10 at 7.20 (L10)."""
    holding = held((10, "7.20"), (5, "8.00"))

    assert (15, 15, Decimal("7.466667")) == (holding.qty, holding.max_qty, holding.entry_price)
    assert (None, Decimal(0), None) == (holding.exit_price, holding.realized_pnl_usd, holding.closed_at)
    assert after(0) == holding.opened_at


def test_what_opens_comes_before_what_closes_at_the_same_instant():
    """On a recorded clock both have one time; the brokerage's ids say nothing about their order."""
    opening, closing = fills_of((10, "7.20"), (-10, "8.00"))
    closing = replace(closing, at=opening.at, broker_order_id="order-000-before")

    holding = fold([closing, opening], HUNDRED)

    assert (0, Decimal("7.20"), Decimal(800)) == (holding.qty, holding.entry_price, holding.realized_pnl_usd)


def test_an_adjustment_comes_before_the_trades_of_its_instant():
    """On a recorded clock the close that follows it has its time: three of five were left, and three are sold."""
    bought, sold = fills_of((5, "7.00"), (-3, "8.00"))

    assert 0 == fold([bought, sold, replace(stated(3, 1), at=sold.at)], HUNDRED).qty


def test_a_partial_close_keeps_the_entry_and_realises_its_share():
    """4 of 10 leave with 1.00 of gain each: 400 dollars; the six that stay cost what they cost."""
    holding = held((10, "7.20"), (-4, "8.20"))

    assert (6, 10, Decimal("7.20")) == (holding.qty, holding.max_qty, holding.entry_price)
    assert (Decimal("8.20"), Decimal(400)) == (holding.exit_price, holding.realized_pnl_usd)
    assert holding.closed_at is None


def test_a_closed_position_says_what_it_was():
    """Nothing is held; entry and exit are the averages of all that came and all that left."""
    expected = Holding(
        qty=0,
        max_qty=15,
        entry_price=Decimal("7.466667"),
        exit_price=Decimal("7.600000"),
        realized_pnl_usd=Decimal(200),
        opened_at=NOON,
        closed_at=NOON + timedelta(seconds=3),
        left_by="stop",
    )

    assert expected == held((10, "7.20"), (5, "8.00"), (-5, "8.00"), (-10, "7.40"))


def test_shares_count_once():
    """A contract is a hundred shares, a share is one."""
    assert Decimal(4) == held((10, "7.20"), (-4, "8.20"), multiplier=1).realized_pnl_usd


def test_a_short_gains_when_the_price_falls():
    """Sold at 8, bought back at 6: what we never do on purpose is still counted right."""
    holding = held((-10, "8.00"), (10, "6.00"))

    assert (0, 10, Decimal("8.00")) == (holding.qty, holding.max_qty, holding.entry_price)
    assert (Decimal("6.00"), Decimal(2000)) == (holding.exit_price, holding.realized_pnl_usd)


def test_a_close_beyond_zero_opens_the_other_side():
    """10 held, 15 sold: ten leave with their gain, five are short at the price of the sale."""
    holding = held((10, "7.00"), (-15, "8.00"))

    assert (-5, 10, Decimal("8.00")) == (holding.qty, holding.max_qty, holding.entry_price)
    assert (Decimal("8.00"), Decimal(1000)) == (holding.exit_price, holding.realized_pnl_usd)
    assert holding.closed_at is None


def test_a_position_may_come_back():
    """Flat in between, held again: the entry is that of what is held now."""
    holding = held((10, "7.00"), (-10, "8.00"), (2, "9.00"))

    assert (2, 10, Decimal("9.00")) == (holding.qty, holding.max_qty, holding.entry_price)
    assert (Decimal(1000), None) == (holding.realized_pnl_usd, holding.closed_at)


def test_an_average_has_six_places():
    """A third of a dollar is rounded to what the column keeps."""
    assert "1.333333" == str(held((2, "1.00"), (1, "2.00")).entry_price)


def test_leaving_without_a_price_leaves_no_profit():
    """A phantom that the brokerage no longer shows has no price: none is invented, the P&L is unknown, not zero."""
    holding = held((10, "7.00"), (-10, None))

    assert (0, None, None) == (holding.qty, holding.exit_price, holding.realized_pnl_usd)
    assert after(1) == holding.closed_at


def test_an_unknown_price_is_not_forgotten_by_later_ones():
    """Part of it left at no known price: what the whole made stays unknown."""
    holding = held((10, "7.00"), (-4, None), (-6, "8.00"))

    assert (0, None, None) == (holding.qty, holding.exit_price, holding.realized_pnl_usd)


def test_leaving_without_a_price_keeps_the_cost_of_the_rest():
    """Six of ten stay, at what they cost."""
    assert (6, Decimal("7.00")) == ((rest := held((10, "7.00"), (-4, None))).qty, rest.entry_price)


@pytest.mark.parametrize("trades", [[], [(10, None)], [(-10, None)]])
def test_what_has_no_execution_is_no_position(trades: list[tuple[int, str | None]]):
    """What is held must have cost something known: an entry price is never invented."""
    with pytest.raises(ValueError, match="fills: a position without an execution is no position"):
        held(*trades)


def test_an_adjustment_takes_at_most_what_is_held():
    """It fills a gap and makes none: eleven of ten are ten, and nothing is taken from nothing."""
    assert 0 == held((10, "7.00"), (-11, None)).qty
    assert 10 == held((10, "7.00"), (5, None)).qty


def test_an_execution_that_is_read_late_takes_the_place_of_its_adjustment():
    """The sale by hand was read after the position had been adjusted away: its price counts, nothing is short."""
    holding = held((10, "7.00"), (-10, None), (-10, "8.00"))

    assert (0, Decimal("8.00"), Decimal(1000)) == (holding.qty, holding.exit_price, holding.realized_pnl_usd)


def stated(held_after: int, second: float, price: str | None = None) -> Fill:
    """An adjustment: what the brokerage held at that second."""
    [fill] = fills_of((1, None))
    name = f"adjustment-{second}"
    named = replace(fill, fill_id=fill_id(LARGE, name, 1), broker_order_id=name, at=after(second))
    return replace(named, held_after=held_after, price=None if price is None else Decimal(price))


def test_a_part_that_is_explained_late_is_not_taken_twice():
    """Two of five were sold by hand, adjusted away, and then read: three stay, and the P&L of the two is known."""
    bought, sold = fills_of((5, "7.00"), (-2, "8.00"))
    holding = fold([bought, stated(3, 1.5), sold], HUNDRED)

    assert (3, Decimal("8.00"), Decimal(200)) == (holding.qty, holding.exit_price, holding.realized_pnl_usd)


def test_what_was_added_is_explained_by_a_purchase_that_is_read_late():
    """Six of ten were read, the other four adopted at an average price, and then read: ten, at their own prices."""
    first, late = fills_of((6, "7.00"), (4, "8.00"))
    adopted = stated(10, 1.5, "7.40")

    assert (10, Decimal("7.16")) == ((h := fold([first, adopted], HUNDRED)).qty, h.entry_price)
    assert fold([first, late], HUNDRED) == fold([first, adopted, late], HUNDRED)


def test_an_adjustment_never_crosses_zero():
    """Three held, the brokerage shows two short: three are taken, and the short is another position."""
    assert 0 == fold([*fills_of((3, "7.00")), stated(-2, 1)], HUNDRED).qty


def test_what_costs_nothing_opens_nothing():
    """One of two purchases is not read yet, a sale by hand is, and one expired: nothing is short for nothing."""
    first, sold, expired = fills_of((1, "7.00"), (-1, "8.00"), (-1, "0"))
    late = replace(first, broker_order_id="order-late", fill_id=fill_id(LARGE, "order-late", 1))

    assert 0 == fold([first, sold, expired], HUNDRED).qty
    whole = fold([first, sold, expired, late], HUNDRED)
    assert (0, Decimal(-600)) == (whole.qty, whole.realized_pnl_usd)


def test_who_took_last_is_told():
    """The order whose fill came last in time, whatever arrived last; an adjustment only where it took something."""
    bought, sold = fills_of((5, "7.00"), (-5, "8.00"))
    assert "stop" == fold([stated(0, 2), sold, bought], HUNDRED).left_by
    assert "external" == fold([replace(sold, qty=3), stated(0, 2), bought], HUNDRED).left_by
    assert fold([bought], HUNDRED).left_by is None


def test_fills_of_one_instant_follow_their_order():
    """Executions of the same millisecond are sorted by their order and what it had filled: the result is one."""
    first, second = fills_of((3, "7.00"), (2, "8.00"))
    second = replace(second, at=first.at, broker_order_id=first.broker_order_id, cum_qty=5)

    assert fold([first, second], HUNDRED) == fold([second, first], HUNDRED)


# ---------------------------------------------------------------- properties

prices = st.integers(1, 3000).map(lambda cents: str(Decimal(cents) / 100))
quantities = st.integers(1, 20) | st.integers(-20, -1)
trades = st.lists(st.tuples(quantities, prices), min_size=1, max_size=10)


def cash_flow(of: Sequence[Fill]) -> Decimal:
    """What came in less what went out, in dollars."""
    return sum((-f.signed_qty * (f.price or 0) * HUNDRED for f in of), start=Decimal(0))


@given(made=trades, data=st.data())
def test_the_order_of_arrival_does_not_matter(made: list[tuple[int, str]], data: st.DataObject):
    """Any permutation of the same fills adds up to the same holding."""
    fills = fills_of(*made)
    shuffled = data.draw(st.permutations(fills))

    assert fold(fills, HUNDRED) == fold(shuffled, HUNDRED)


@given(made=trades, stating=st.lists(st.tuples(st.integers(-20, 20), st.integers(0, 9)), max_size=4), data=st.data())
def test_adjustments_in_any_order_of_arrival_add_up_to_one(
    made: list[tuple[int, str]], stating: list[tuple[int, int]], data: st.DataObject
):
    """Trades and statements about what is held, shuffled: one holding, and what moved is what is held."""
    fills = [*fills_of(*made), *(stated(held, second + place / 10) for place, (held, second) in enumerate(stating))]
    shuffled = data.draw(st.permutations(fills))

    assert fold(fills, HUNDRED) == fold(shuffled, HUNDRED)
    assert sum(move.signed_qty for move in effective(fills)) == fold(fills, HUNDRED).qty


@given(made=trades)
def test_what_is_held_is_the_sum_of_the_fills(made: list[tuple[int, str]]):
    """Signed; the largest quantity ever held is at least that, and closed means nothing is held."""
    holding = held(*made)

    assert sum(qty for qty, _ in made) == holding.qty
    assert abs(holding.qty) <= holding.max_qty <= sum(abs(qty) for qty, _ in made)
    assert (holding.qty == 0) == (holding.closed_at is not None)


@given(made=trades, last=prices)
def test_flat_means_that_the_profit_is_the_cash(made: list[tuple[int, str]], last: str):
    """Once nothing is held, what was realised is exactly what came in less what went out, contract size included."""
    open_qty = sum(qty for qty, _ in made)
    fills = fills_of(*made, *([(-open_qty, last)] if open_qty else []))
    holding = fold(fills, HUNDRED)

    assert holding.qty == 0
    assert holding.realized_pnl_usd is not None
    assert abs(cash_flow(fills) - holding.realized_pnl_usd) < SPECK


@given(made=trades)
def test_profit_and_cost_add_up_at_any_time(made: list[tuple[int, str]]):
    """Cash paid so far is what is held at its cost, less what was realised."""
    fills = fills_of(*made)
    holding = fold(fills, HUNDRED)
    at_cost = holding.qty * holding.entry_price * HUNDRED

    assert holding.realized_pnl_usd is not None
    # The entry price is rounded to six places: half of one of them for each share held.
    assert abs(cash_flow(fills) - (holding.realized_pnl_usd - at_cost)) <= abs(holding.qty) * Decimal("0.00005") + SPECK


@given(made=trades)
def test_a_short_is_the_mirror_image(made: list[tuple[int, str]]):
    """Swap buys and sells: quantities and profit change their sign, prices do not."""
    long, short = held(*made), held(*((-qty, price) for qty, price in made))

    assert (-long.qty, long.max_qty, long.entry_price, long.exit_price) == (
        short.qty,
        short.max_qty,
        short.entry_price,
        short.exit_price,
    )
    assert long.realized_pnl_usd is not None
    assert -long.realized_pnl_usd == short.realized_pnl_usd


@given(made=trades, multiplier=st.sampled_from([1, 10, 100]))
def test_the_multiplier_scales_the_profit_alone(made: list[tuple[int, str]], multiplier: int):
    """Prices are per share whatever the size of a contract."""
    one, many = held(*made, multiplier=1), held(*made, multiplier=multiplier)

    assert one.realized_pnl_usd is not None
    assert replace(one, realized_pnl_usd=one.realized_pnl_usd * multiplier) == many


@given(qty=st.integers(1, 50), price=prices, exit_price=prices, data=st.data())
def test_however_an_order_is_split_into_fills_it_is_the_same(
    qty: int, price: str, exit_price: str, data: st.DataObject
):
    """Partial fills at one price make the position that one fill would have made (L06, L09)."""
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, qty - 1)), max_size=5))) if qty > 1 else []
    parts = [b - a for a, b in zip([0, *cuts], [*cuts, qty], strict=True)]
    split, whole = held(*((part, price) for part in parts), (-qty, exit_price)), held((qty, price), (-qty, exit_price))

    assert (whole.qty, whole.max_qty, whole.entry_price, whole.exit_price) == (
        split.qty,
        split.max_qty,
        split.entry_price,
        split.exit_price,
    )
    assert whole.realized_pnl_usd is not None
    assert split.realized_pnl_usd is not None
    assert abs(whole.realized_pnl_usd - split.realized_pnl_usd) < SPECK
