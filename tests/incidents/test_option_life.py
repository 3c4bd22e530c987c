"""What happens to a position without us: expiry, exercise, assignment, liquidation, other people's orders.

Against the local Alpaca over HTTP, which changes books at once and lists expiries, exercises and assignments a day
late. Each position ends with a reason and a result, and all results together are the cash that moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Engine, text

from db import timeline
from tests.factories import LARGE, TINY
from tests.incidents.at_life import (
    CASH,
    DEAD_CALL,
    FIRST,
    RICH_CALL,
    RICH_PUT,
    SECOND,
    SHORT,
    WIDGET,
    AtLife,
    three_days,
)
from tests.incidents.at_paper import MARGIN
from tests.paper.days import CALL, STOCK
from tests.paper.kit import serving

LIFE = ("filled", "settled", "adjusted", "closed")
END = ("symbol", "exit_rule", "exit_reason", "exit_price", "realized_pnl_usd")
UNKNOWN = (None, None)


@pytest.fixture
def house(engine: Engine, tmp_path: Path) -> Iterator[AtLife]:
    with serving(three_days(tmp_path)) as paper:
        paper.to("14:31:00", FIRST)
        made = AtLife(engine, paper, tuple(CASH))
        made.compare(times=1)
        yield made
        made.close()


def close_of(house: AtLife, day: str) -> None:
    """Let the session end, and the comparison see it; nothing is listed yet."""
    house.paper.to("21:00:00", day)
    house.look()
    house.compare()


def next_morning(house: AtLife, day: str) -> None:
    house.paper.to("12:00:00", day)
    house.look()


# ---------------------------------------------------------------- one at a time


def test_what_expires_worthless_is_unknown_today_and_nothing_tomorrow(house: AtLife):
    """
    The position is gone at the close, and nobody has said why: closed, unconfirmed, without a result. The next day it
    expired: at 0, which is known then, and the whole premium is lost.
    """
    house.hold("dead", DEAD_CALL, 2, accounts=(LARGE,))
    close_of(house, FIRST)
    assert [(DEAD_CALL, "unconfirmed", "external", *UNKNOWN)] == house.positions(LARGE, *END)

    next_morning(house, SECOND)

    assert [(DEAD_CALL, "expired", "expiry", Decimal(0), Decimal(-50))] == house.positions(LARGE, *END)
    assert {
        "rows_only: rows had 2, the brokerage 0",
        "expired, booked for 2026-02-03: Option Expiry",
    } == set(details(house))
    assert ["filled", "settled", "closed", "adjusted"] == [e for e in history(house) if e in LIFE]
    house.assert_that_money_adds_up()
    house.assert_that_rows_agree()


def test_when_the_booking_comes_first_nothing_ever_differs(house: AtLife):
    """Nobody compared until it was listed: rows follow the booking, and no comparison has anything to say."""
    house.hold("dead", DEAD_CALL, 2, accounts=(LARGE,))
    house.hold("rich", RICH_CALL, 1, accounts=(MARGIN,))
    house.paper.to("12:00:00", SECOND)
    with house.engine.begin() as tx:  # an account of yesterday: on its first day a booking opens nothing
        tx.execute(text("UPDATE accounts SET ours_since = ours_since - interval '1 day'"))

    house.look()

    assert [(DEAD_CALL, "expired", "expiry", Decimal(0), Decimal(-50))] == house.positions(LARGE, *END)
    assert () == house.reconciler.reconcile(LARGE, house.now()) == house.reconciler.reconcile(MARGIN, house.now())
    house.assert_that_rows_agree()


def test_an_exercise_loses_the_premium_and_its_shares_begin_at_the_strike(house: AtLife):
    """
    A call of 95 with the share at 100: 100 shares at 95, adopted in the evening with an exit plan and announced; the
    booking confirms both. Sold at 99.99, both together made what the cash says: -560 and +499.
    """
    house.hold("rich", RICH_CALL, 1, accounts=(LARGE,))
    close_of(house, FIRST)
    adopted = [(STOCK, 100, Decimal(95), "adopted", True)]
    assert adopted == house.positions(LARGE, "symbol", "qty", "entry_price", "strategy", "adopted")[1:]

    next_morning(house, SECOND)
    assert (RICH_CALL, "exercised", "expiry", Decimal(0), Decimal(-560)) == house.positions(LARGE, *END)[0]
    assert adopted == house.positions(LARGE, "symbol", "qty", "entry_price", "strategy", "adopted")[1:]
    house.assert_that_rows_agree()

    house.paper.to("14:31:00", SECOND)
    house.by_hand(LARGE, STOCK, "sell", 100)
    house.look()
    assert (STOCK, "external", "external", Decimal("99.99"), Decimal(499)) == house.positions(LARGE, *END)[1]
    house.assert_that_money_adds_up()


def test_a_put_exercised_without_shares_makes_a_short_that_is_adopted(house: AtLife):
    """100 short at 105 are a position like others: known, announced, with an exit plan, closed by a purchase."""
    house.hold("put", RICH_PUT, 1, accounts=(SHORT,))
    close_of(house, FIRST)
    next_morning(house, SECOND)

    assert [(RICH_PUT, 0, "exercised"), (STOCK, -100, None)] == house.positions(SHORT, "symbol", "qty", "exit_rule")
    assert [(Decimal(105), "adopted")] == house.positions(SHORT, "entry_price", "strategy")[1:]
    house.assert_that_rows_agree()

    house.paper.to("14:31:00", SECOND)
    house.by_hand(SHORT, STOCK, "buy", 100)
    house.look()
    assert [Decimal(-530), Decimal(499)] == [pnl for (pnl,) in house.positions(SHORT, "realized_pnl_usd")]
    house.assert_that_money_adds_up()


def test_a_short_put_that_was_adopted_is_assigned(house: AtLife):
    """Sold by hand, adopted, assigned: the premium stays, and the shares came at 105 when they were worth 100."""
    house.by_hand(MARGIN, RICH_PUT, "sell", 1)
    house.look()
    assert [(RICH_PUT, -1, True)] == house.positions(MARGIN, "symbol", "qty", "adopted")
    close_of(house, FIRST)
    next_morning(house, SECOND)

    assert (RICH_PUT, "assigned", "expiry", Decimal(0), Decimal(510)) == house.positions(MARGIN, *END)[0]
    house.paper.to("14:31:00", SECOND)
    house.by_hand(MARGIN, STOCK, "sell", 100)
    house.look()
    assert Decimal(510 - 501) == sum(pnl for (pnl,) in house.positions(MARGIN, "realized_pnl_usd"))
    house.assert_that_money_adds_up()


def test_a_covered_call_that_is_assigned_takes_the_shares_at_the_strike(house: AtLife):
    """Shares and the call sold against them are gone in the evening; the booking says at 95 each, and why."""
    house.by_hand(MARGIN, STOCK, "buy", 100)
    house.by_hand(MARGIN, RICH_CALL, "sell", 1)
    house.look()
    close_of(house, FIRST)
    assert {STOCK: 0, RICH_CALL: 0} == dict(house.positions(MARGIN, "symbol", "qty"))
    next_morning(house, SECOND)

    assert {
        (STOCK, "delivered", "external", Decimal(95), Decimal(-501)),
        (RICH_CALL, "assigned", "expiry", Decimal(0), Decimal(540)),
    } == set(house.positions(MARGIN, *END))
    house.assert_that_money_adds_up()
    house.assert_that_rows_agree()


def test_what_is_settled_in_cash_leaves_at_its_worth(engine: Engine, tmp_path: Path):
    """An index at 100 pays 5.00 for a call of 95; no shares come, and the result is cash less premium."""
    with serving(replace(three_days(tmp_path), cash_settled=(STOCK,))) as paper:
        paper.to("14:31:00", FIRST)
        house = AtLife(engine, paper, tuple(CASH))
        house.compare(times=1)
        house.hold("rich", RICH_CALL, 2, accounts=(LARGE,))
        close_of(house, FIRST)
        next_morning(house, SECOND)

        assert [(RICH_CALL, "cash_settled", "expiry", Decimal(5), Decimal(-120))] == house.positions(LARGE, *END)
        house.assert_that_money_adds_up()
        house.assert_that_rows_agree()
        house.close()


def test_an_early_exercise_of_a_part_explains_that_part(house: AtLife):
    """Two of five are exercised at noon by somebody: external, and the three that stay are ours to leave."""
    house.hold("call", CALL, 5, accounts=(LARGE,))
    house.paper.to("17:00:00", FIRST)
    house.book("exercise", LARGE, CALL, qty=2)
    house.compare()
    assert {CALL: 3, STOCK: 200} == {s: q for s, q in house.positions(LARGE, "symbol", "qty") if q}

    house.exits.handle(house.trigger(CALL, "0.50"))
    house.look()
    assert [(CALL, 0, "catastrophe", None)] == house.positions(LARGE, "symbol", "qty", "exit_rule", "realized_pnl_usd")[
        :1
    ]
    next_morning(house, SECOND)

    # Two were lost at 1.10 each, three were sold at 0.50.
    assert (CALL, "catastrophe", Decimal(-400)) == house.positions(LARGE, "symbol", "exit_rule", "realized_pnl_usd")[0]
    house.assert_that_rows_agree()


def test_shares_that_left_before_their_booking_is_listed_are_explained_by_it(house: AtLife):
    """Adopted in the evening, sold the next morning before anybody read the bookings: one position, one result."""
    house.hold("rich", RICH_CALL, 1, accounts=(LARGE,))
    close_of(house, FIRST)
    house.paper.to("14:31:00", SECOND)
    house.by_hand(LARGE, STOCK, "sell", 100)
    house.look(bookings=False)
    assert (STOCK, 0) == house.positions(LARGE, "symbol", "qty")[1]

    house.look()

    assert 2 == len(house.positions(LARGE, "symbol"))
    house.assert_that_money_adds_up()
    house.assert_that_rows_agree()


def test_four_that_expire_at_once_need_no_person(house: AtLife):
    """Much that vanishes is suspicious (L17), but not what traded for the last time today."""
    for number in range(3):
        house.hold(f"dead-{number}", (DEAD_CALL, RICH_CALL, RICH_PUT)[number], 1, accounts=(MARGIN,))
    house.hold("other", CALL, 1, accounts=(MARGIN,))
    close_of(house, FIRST)

    assert {CALL: 1} == {s: q for s, q in house.positions(MARGIN, "symbol", "qty") if q and s != STOCK}


def test_a_known_end_is_not_told_again(house: AtLife):
    """We sold it, the result is known. A booking that finds nothing left of it waits, and changes nothing."""
    house.hold("call", CALL, 2, accounts=(LARGE,))
    house.exits.handle(house.trigger(CALL, "0.50"))
    house.look()
    before = house.positions(LARGE, *END, "closed_at")
    house.book("open", LARGE, CALL, qty=2, price="1")
    house.book("expire", LARGE, CALL)
    next_morning(house, SECOND)

    assert before == house.positions(LARGE, *END, "closed_at")
    with house.engine.connect() as tx:
        assert [(2, 0)] == [tuple(r) for r in tx.execute(text("SELECT abs(qty), applied_qty FROM activities"))]


# ---------------------------------------------------------------- orders of others


@pytest.mark.parametrize("kind", ["manual", "liquidation"])
def test_a_close_by_somebody_else_has_its_true_price(house: AtLife, kind: str):
    """By hand or by the brokerage: an execution like any other, the reason is external, and the result is known."""
    house.hold("call", CALL, 3, accounts=(LARGE,))
    house.close_behind(LARGE, CALL, 3, kind)
    house.look()

    assert [(CALL, "external", "external", Decimal("1.00"), Decimal(-30))] == house.positions(LARGE, *END)
    house.assert_that_money_adds_up()


def test_what_cannot_be_paid_for_is_liquidated_before_it_expires(house: AtLife):
    """Half an hour before the close the brokerage sells a call whose shares nobody could buy."""
    house.hold("rich", RICH_CALL, 1, accounts=(TINY,))
    house.paper.to("20:31:00", FIRST)
    house.look()
    house.compare()

    assert [(RICH_CALL, "external", "external", Decimal("5.40"), Decimal(-20))] == house.positions(TINY, *END)
    [detail] = [d for d in details(house) if d.startswith("not ours")]
    assert detail.endswith("; 0:30:00 before its last close, when the brokerage may liquidate")
    house.assert_that_money_adds_up()


def test_every_position_closed_at_once_by_the_api(house: AtLife):
    """DELETE /v2/positions: one order each, none of them ours."""
    house.hold("call", CALL, 3, accounts=(LARGE,))
    house.hold("share", WIDGET, 10, accounts=(LARGE,))
    status, _ = house.paper.call("DELETE", "/v2/positions", LARGE, params={"cancel_orders": "true"})
    assert 207 == status
    house.look()

    assert ["external", "external"] == [reason for (reason,) in house.positions(LARGE, "exit_reason")]
    house.assert_that_money_adds_up()


def test_a_leg_of_a_bracket_closes_four_minutes_after_the_entry(house: AtLife):
    """R01 with shares: a stop that hangs on the position at the brokerage fills, and both executions are rows."""
    house.hold("share", WIDGET, 10, accounts=(LARGE,))
    house.wait(260)
    house.close_behind(LARGE, WIDGET, 10, "bracket", leg="stop_loss", price="19.50")
    house.look()

    assert [(WIDGET, "external", "external", Decimal("19.50"), Decimal("-5.10"))] == house.positions(LARGE, *END)
    assert [(260,)] == house.positions(LARGE, "extract(epoch FROM closed_at - opened_at)::integer")
    house.assert_that_money_adds_up()


def test_a_sale_by_hand_under_our_live_close_leaves_the_rest_to_us(house: AtLife):
    """
    Our close of five rests; somebody sells two, for which the brokerage cancels it. Three are left, and the exit
    closes them: two prices, one position, nothing sold twice.
    """
    house.hold("call", CALL, 5, accounts=(LARGE,))
    house.paper.control("POST", "/fills", hold=True)
    first = house.trigger(CALL, "0.50")
    house.exits.handle(first)
    house.close_behind(LARGE, CALL, 2)
    house.paper.control("POST", "/fills", hold=False)
    house.look()
    house.wait(120)
    house.exit.handle_timer(house.now())
    house.publish()
    second = house.approved[-1]
    if second != first:
        house.exits.handle(second)
    house.look()
    house.compare()

    assert {} == house.held_there(LARGE)
    house.assert_that_money_adds_up()
    house.assert_that_rows_agree()


def history(house: AtLife) -> list[str]:
    """The timeline of the only position, as its events' names."""
    with house.engine.connect() as tx:
        [position] = tx.execute(text("SELECT position_id FROM positions")).scalars()
        return [event["event"] for event in timeline.of_position(tx, position)]


def details(house: AtLife) -> list[str]:
    """What is said of the orders that were not ours, the first first."""
    with house.engine.connect() as tx:
        rows = tx.execute(text("SELECT detail FROM orders WHERE external ORDER BY approved_at, detail"))
        return list(rows.scalars())


# ---------------------------------------------------------------- all of it, over two days


def live_through(house: AtLife) -> None:
    """Every way in which a position ends without us, in four accounts, until everything is flat."""
    house.hold("dead", DEAD_CALL, 2, accounts=(LARGE,))
    house.hold("rich", RICH_CALL, 1, accounts=(LARGE,))
    house.hold("share", WIDGET, 10, accounts=(LARGE,))
    house.hold("poor", RICH_CALL, 1, accounts=(TINY,))
    house.hold("call", CALL, 5, accounts=(MARGIN,))
    house.hold("put", RICH_PUT, 1, accounts=(SHORT,))
    house.by_hand(MARGIN, RICH_PUT, "sell", 1)
    house.look()
    house.wait(260)
    house.close_behind(LARGE, WIDGET, 10, "bracket", leg="stop_loss", price="19.50")
    house.close_behind(MARGIN, CALL, 2)
    house.book("exercise", MARGIN, CALL, qty=1)
    house.look()
    house.compare()
    house.start()
    house.paper.to("20:59:00", FIRST)
    house.look()
    close_of(house, FIRST)
    house.start()
    for hour in ("05:00:01", "12:00:00"):
        house.paper.to(hour, SECOND)
        house.look()
        house.compare()
    house.paper.to("14:31:00", SECOND)
    for name in house.brokerages:
        for symbol, qty in house.held_there(name).items():
            house.by_hand(name, symbol, "sell" if qty > 0 else "buy", abs(qty))
    house.look()
    house.start()
    house.rng = None
    house.look()
    house.compare()
    house.look()


def test_two_days_in_which_everything_ends_without_us(house: AtLife):
    """Nothing is held, every position has a reason and a result, and together they are the cash that moved."""
    live_through(house)

    house.assert_that_money_adds_up()
    house.assert_that_rows_agree()
    assert {
        (LARGE, DEAD_CALL, "expired"),
        (LARGE, RICH_CALL, "exercised"),
        (LARGE, WIDGET, "external"),
        (LARGE, STOCK, "external"),
        (TINY, RICH_CALL, "external"),
        (MARGIN, CALL, "external"),
        (MARGIN, RICH_PUT, "assigned"),
        (MARGIN, STOCK, "external"),
        (SHORT, RICH_PUT, "exercised"),
        (SHORT, STOCK, "external"),
    } == {(name, *row) for name in house.brokerages for row in house.positions(name, "symbol", "exit_rule")}


def test_a_night_in_which_everything_is_started_anew(engine: Engine, tmp_path: Path):
    """Server and actors go down after the close, before anything is listed; others go on with rows and books alone."""
    options = three_days(tmp_path)
    with serving(options) as paper:
        paper.to("14:31:00", FIRST)
        house = AtLife(engine, paper, tuple(CASH))
        house.compare(times=1)
        house.hold("dead", DEAD_CALL, 2, accounts=(LARGE,))
        house.hold("rich", RICH_CALL, 1, accounts=(LARGE,))
        house.hold("put", RICH_PUT, 1, accounts=(SHORT,))
        close_of(house, FIRST)
        unknown = [name for name in (LARGE, SHORT) for row in house.positions(name, *END) if row[1] == "unconfirmed"]
        assert [LARGE, LARGE, SHORT] == unknown
    with serving(replace(options, start=datetime(2026, 2, 4, 12, tzinfo=UTC))) as paper:
        house.move_to(paper)
        house.look()
        paper.to("14:31:00", SECOND)
        house.by_hand(LARGE, STOCK, "sell", 100)
        house.by_hand(SHORT, STOCK, "buy", 100)
        house.look()

        house.assert_that_money_adds_up()
        house.assert_that_rows_agree()
        house.close()


@pytest.mark.parametrize("seed", range(3))
def test_two_days_read_twice_late_and_in_any_order(house: AtLife, seed: int):
    """What is listed is delivered never, once or twice and shuffled, until one full look: the same money."""
    house.rng = Random(seed)
    live_through(house)

    house.assert_that_money_adds_up()
    house.assert_that_rows_agree()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 40))
def test_two_days_in_many_disorders(house: AtLife, seed: int):
    """The same, for long."""
    test_two_days_read_twice_late_and_in_any_order(house, seed)
