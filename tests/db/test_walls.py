"""The second walls: what PostgreSQL refuses, whatever the code above it believes, and what it must never refuse."""

from __future__ import annotations

import threading
import time
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from psycopg2 import errors
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from db import accounts, orders
from domain.account import TradingState
from domain.events import Intent, OrderType, Side
from domain.ids import PositionId
from tests.db.wall_kit import (
    WALL,
    a_close,
    close,
    committed,
    configure,
    fill,
    hold,
    open_order,
    refused,
    run,
)
from tests.factories import CALL, LARGE, NOON, PUT, TINY, some_limits

# ---------------------------------------------------------------- the limits


def test_the_fifth_order_passes_and_the_sixth_is_refused(tx: Connection):
    """A limit of five positions counts orders that nobody has filled yet (R03)."""
    for number in range(5):
        open_order(tx, number)

    said = refused(tx, errors.CheckViolation, WALL, lambda: open_order(tx, 5))

    assert "account large would be over its limits: 6 positions of 5" in said
    assert (5, Decimal(3600)) == committed(tx)


def test_exposure_up_to_the_ceiling_passes_and_a_cent_more_is_refused(tx: Connection):
    """10,000.00 of 10,000.00 is within the limit; contracts count a hundredfold (L01)."""
    open_order(tx, 1, limit_price=Decimal("100.00"))

    assert (1, Decimal(10000)) == committed(tx)
    said = refused(tx, errors.CheckViolation, WALL, lambda: open_order(tx, 2, symbol="A", limit_price=Decimal("0.01")))
    assert "2 positions of 5, 10000.01 USD of 10000.00" in said


def test_a_single_order_beyond_the_ceiling_is_refused(tx: Connection):
    """The order itself counts, not only what was there before it (L02)."""
    refused(tx, errors.CheckViolation, WALL, lambda: open_order(tx, qty=2, limit_price=Decimal("50.01")))

    assert (0, Decimal(0)) == committed(tx)


def test_held_positions_count_with_their_entry_price(tx: Connection):
    """Five held contracts at 7.00 are 3,500 USD; with another 6,500.00 the account is full."""
    hold(tx)
    open_order(tx, limit_price=Decimal("65.00"))

    assert (2, Decimal(10000)) == committed(tx)


def test_another_account_has_its_own_limits(tx: Connection):
    """What `large` has bound does not count in `tiny`."""
    open_order(tx, 1, limit_price=Decimal("100.00"))
    open_order(tx, 1, account=TINY, client_order_id="another", order_id=uuid4(), position_id=uuid4())

    assert [(1, Decimal(10000)), (1, Decimal(720))] == [committed(tx, LARGE), committed(tx, TINY)]


@pytest.mark.parametrize("state", [TradingState.REDUCING, TradingState.HALTED])
def test_nothing_opens_in_an_account_that_is_not_active(tx: Connection, state: TradingState):
    """Whatever the gate believes."""
    accounts.set_state(tx, LARGE, state, "the test", "the test", NOON)

    said = refused(tx, errors.CheckViolation, WALL, lambda: open_order(tx))

    assert f"account large is {state}, nothing may open" in said


def test_a_lowered_limit_is_no_breach_but_blocks(tx: Connection):
    """What is held stays; the next opening is refused under the new limit."""
    open_order(tx, 1)
    open_order(tx, 2)
    accounts.configure(tx, LARGE, some_limits(max_positions=1), NOON)

    said = refused(tx, errors.CheckViolation, WALL, lambda: open_order(tx, 3))

    assert "3 positions of 1" in said


# ---------------------------------------------------------------- what counts, and for how long

SHARES = {
    "approved: all of it": (10, 0, None, None, None, 7200),
    "partly filled: both its shares": (10, 4, None, None, 4, 4 * 700 + 6 * 720),
    "filled: what is held": (10, 10, "filled", 10, 10, 7000),
    "canceled unfilled: nothing": (10, 0, "canceled", 0, None, 0),
    "canceled after 4: what is held": (10, 4, "canceled", 4, 4, 2800),
    "canceled after 6, of which 4 are read: the unread stay": (10, 4, "canceled", 6, 4, 4 * 700 + 2 * 720),
    "rejected with fills on their way": (10, 0, "rejected", 3, None, 3 * 720),
}


@pytest.mark.parametrize(("qty", "read", "ended", "final", "held", "usd"), SHARES.values(), ids=SHARES.keys())
def test_an_order_counts_until_what_it_brought_is_counted(
    tx: Connection, qty: int, read: int, ended: str | None, final: int | None, held: int | None, usd: int
):
    """The unfilled rest at its limit, what is held at its entry price, and no gap and no doubling between them."""
    order = open_order(tx, symbol=PUT, qty=qty)
    if held:
        hold(tx, held, number=order.position_id.int)
    run(tx, "UPDATE orders SET filled_qty = :read", read=read)
    if ended:
        run(tx, "UPDATE orders SET status = :s, ended_at = :now, final_filled_qty = :f", s=ended, now=NOON, f=final)

    assert (1 if usd else 0, Decimal(usd)) == committed(tx)


def test_every_opening_leaves_what_was_bound_in_the_log(tx: Connection):
    """The proof of promise 2: count, dollars and the limits then in force, one row an opening."""
    open_order(tx, 1)
    open_order(tx, 2)
    accounts.configure(tx, LARGE, some_limits(max_positions=7), NOON)
    open_order(tx, 3)
    rows = run(tx, "SELECT positions, exposure_usd, max_positions, max_exposure_usd, adopted, at FROM commitment_log")

    assert [
        (1, Decimal(720), 5, Decimal(10000), False, NOON),
        (2, Decimal(1440), 5, Decimal(10000), False, NOON),
        (3, Decimal(2160), 7, Decimal(10000), False, NOON),
    ] == [tuple(row) for row in rows]


def test_a_refused_opening_leaves_nothing(tx: Connection):
    """Neither a reservation nor a line in the log."""
    refused(tx, errors.CheckViolation, WALL, lambda: open_order(tx, limit_price=Decimal(101)))

    assert (0, 0) == (
        run(tx, "SELECT count(*) FROM orders").scalar_one(),
        run(tx, "SELECT count(*) FROM commitment_log").scalar_one(),
    )


# ---------------------------------------------------------------- what the limits never stop


@pytest.fixture
def no_room(tx: Connection) -> Connection:
    """An account that holds five, is halted and may have nothing: whatever opens in it is refused."""
    hold(tx)
    accounts.configure(tx, LARGE, some_limits(max_positions=0, max_exposure_usd=Decimal(0)), NOON)
    accounts.set_state(tx, LARGE, TradingState.HALTED, "the test", "the test", NOON)
    refused(tx, errors.CheckViolation, WALL, lambda: open_order(tx))
    return tx


def test_a_close_is_never_stopped_by_a_limit(no_room: Connection):
    """Exits always run."""
    close(no_room, a_close(PositionId(UUID(int=1)), qty=5))


def test_a_fill_is_never_stopped_by_a_limit(tx: Connection):
    """The order was let through; whatever it brings is recorded, also when the limits have shrunk since."""
    order = open_order(tx, symbol=PUT, qty=5)
    accounts.configure(tx, LARGE, some_limits(max_positions=0, max_exposure_usd=Decimal(0)), NOON)
    accounts.set_state(tx, LARGE, TradingState.HALTED, "the test", "the test", NOON)
    hold(tx, 5, number=order.position_id.int)

    assert fill(tx, order, 5, 5)
    orders.record_filled(tx, order.order_id, 5, NOON)
    assert (1, Decimal(3500)) == committed(tx)


def test_an_adoption_is_never_stopped_but_counts_and_is_logged(no_room: Connection):
    """What somebody else bought is ours to look after, whatever the limits say: external order, fill, position."""
    order = open_order(no_room, 2, symbol=CALL, external=True, type=OrderType.MARKET, limit_price=None)
    hold(no_room, 3, CALL, adopted=True, number=order.position_id.int)

    assert fill(no_room, order, 3, 3)
    assert (2, Decimal(5600)) == committed(no_room)
    assert [(True, 2, Decimal(5600), 0)] == [
        tuple(row) for row in run(no_room, "SELECT adopted, positions, exposure_usd, max_positions FROM commitment_log")
    ]


def test_what_others_sell_short_is_adopted_too(no_room: Connection):
    """A sell_to_open of ours is refused, one of somebody else is a fact."""
    open_order(
        no_room,
        2,
        symbol=CALL,
        external=True,
        side=Side.SELL,
        intent=Intent.SELL_TO_OPEN,
        type=OrderType.MARKET,
        limit_price=None,
    )


# ---------------------------------------------------------------- two at once


def until_somebody_waits(engine: Engine) -> None:
    """Return when a transaction waits for another's lock."""
    for _ in range(500):
        with engine.connect() as tx:
            waiting = run(
                tx,
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
            )
            if waiting.scalar_one():
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


def outcome_of(engine: Engine, number: int) -> str:
    """Try to open in a transaction of one's own: accepted, or the name of what refused."""
    try:
        with engine.begin() as tx:
            open_order(tx, number)
    except IntegrityError as e:
        return str(e.orig.diag.constraint_name)  # type: ignore[union-attr]
    return "accepted"


@pytest.fixture
def one_slot(engine: Engine) -> Engine:
    """A database in which four of five positions are taken."""
    with engine.begin() as tx:
        configure(tx)
        for number in range(4):
            open_order(tx, number)
    return engine


@pytest.mark.parametrize(("first_commits", "second"), [(True, WALL), (False, "accepted")])
def test_two_transactions_take_turns_on_the_last_free_slot(one_slot: Engine, first_commits: bool, second: str):
    """
    Four of five are taken, two transactions insert an opening without looking: the second
    waits for the first one's end; if that committed, the second is refused, else it has the slot.
    """
    outcome: list[str] = []
    thread = threading.Thread(target=lambda: outcome.append(outcome_of(one_slot, 5)))
    with one_slot.connect() as first:
        turn = first.begin()
        open_order(first, 4)
        thread.start()
        until_somebody_waits(one_slot)
        if first_commits:
            turn.commit()
        else:
            turn.rollback()
        thread.join(10)

    assert [second] == outcome
    with one_slot.connect() as tx:
        assert (5, Decimal(3600)) == committed(tx)


def test_of_many_at_once_exactly_one_has_the_last_slot(one_slot: Engine):
    """Five threads start together for one free slot: one gets it, four are refused, nobody deadlocks."""
    start = threading.Barrier(5)
    outcome: list[str] = []

    def take(number: int) -> None:
        start.wait(10)
        outcome.append(outcome_of(one_slot, number))

    threads = [threading.Thread(target=take, args=(number,)) for number in range(5, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert sorted([WALL] * 4 + ["accepted"]) == sorted(outcome)


def test_a_fill_does_not_wait_for_a_decision(engine: Engine):
    """The gate holds the account's row while it decides; fills and closes of that account go on."""
    with engine.begin() as tx:
        configure(tx)
        order = open_order(tx, symbol=PUT, qty=5)
        position = hold(tx, 5, number=order.position_id.int)
    with engine.connect() as deciding, deciding.begin():
        accounts.lock(deciding, LARGE)
        with engine.begin() as tx:
            run(tx, "SET LOCAL lock_timeout = '2s'")
            assert fill(tx, order, 5, 5)
            close(tx, a_close(position))


def test_the_wall_holds_at_an_unlikely_moment(tx: Connection):
    """An order approved on another day, for an option that has expired: it counts all the same."""
    open_order(tx, 1, approved_at=NOON - timedelta(days=3), symbol=f"MSFT{date(2014, 6, 21):%y%m%d}P00400000")

    assert (1, Decimal(720)) == committed(tx)
