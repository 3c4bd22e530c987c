"""The second walls: what PostgreSQL refuses, whatever the code above it believes, and what it must never refuse."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg2 import errors
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import IntegrityError

from db import accounts, fills, orders, positions
from domain.account import TradingState
from domain.events import Intent, OrderType, Side
from domain.ids import AccountName, PositionId, RecommendationId, fill_id
from domain.orders import Order, OrderStatus, closing_order, opening_order
from domain.positions import Fill, Holding
from tests.factories import CALL, LARGE, NOON, PUT, TINY, a_policy, some_limits
from tests.servers import Cluster

STOCK = "MSFT"


@pytest.fixture(scope="module")
def walls(migrated_cluster: Cluster) -> Iterator[Engine]:
    """One database for all that is rolled back; what commits asks for ``engine``, a database of its own."""
    with migrated_cluster.a_database() as url:
        made = create_engine(url)
        yield made
        made.dispose()


@pytest.fixture
def tx(walls: Engine) -> Iterator[Connection]:
    """A transaction with the active accounts `large` and `tiny` (5 positions, 10,000 USD each); it is rolled back."""
    with walls.connect() as connection, connection.begin() as transaction:
        configure(connection)
        yield connection
        transaction.rollback()


def configure(tx: Connection) -> None:
    for account in (LARGE, TINY):
        accounts.configure(tx, account, some_limits(), NOON)
        accounts.set_state(tx, account, TradingState.ACTIVE, "the test", "the test", NOON)


def refused(tx: Connection, error: type[Exception], name: str, act: Callable[[], Any]) -> str:
    """Run *act*, which the constraint or trigger *name* must refuse; the transaction can go on."""
    with pytest.raises(IntegrityError) as raised, tx.begin_nested():
        act()
    assert isinstance(raised.value.orig, error)
    said = str(raised.value.orig)
    assert name in said or name == raised.value.orig.diag.constraint_name
    return said


def run(tx: Connection, sql: str, **values: Any) -> Any:
    return tx.execute(text(sql), values)


# ---------------------------------------------------------------- rows to start from


def an_opening(number: int = 1, **over: Any) -> Order:
    """One contract at 7.20: 720 USD."""
    symbol = over.pop("symbol", f"X{'ABCDEFGHIJ'[number]}260220P00400000")
    rec = RecommendationId(f"rec-{number}")
    return replace(opening_order(over.pop("account", LARGE), rec, symbol, 1, Decimal("7.20"), NOON), **over)


def open_order(tx: Connection, number: int = 1, *, external: bool = False, **over: Any) -> Order:
    order = an_opening(number, **over)
    orders.insert(tx, order, "day_trade", external=external)
    return order


def a_holding(qty: int, **over: Any) -> Holding:
    values: dict[str, Any] = {
        "qty": qty,
        "max_qty": max(1, abs(qty)),
        "entry_price": Decimal("7.00"),
        "exit_price": None if qty else Decimal("8.00"),
        "realized_pnl_usd": Decimal(0),
        "opened_at": NOON,
        "closed_at": None if qty else NOON,
    }
    return Holding(**values | over)


def hold(
    tx: Connection,
    qty: int = 5,
    symbol: str = PUT,
    *,
    account: AccountName = LARGE,
    adopted: bool = False,
    number: int = 1,
    **over: Any,
) -> PositionId:
    """Write an open (or, with qty 0, a closed) position and its exit plan."""
    position = PositionId(UUID(int=number))
    positions.plan(tx, position, a_policy())
    positions.create(
        tx,
        position_id=position,
        account=account,
        symbol=symbol,
        strategy="day_trade",
        recommendation=None,
        adopted=adopted,
        holding=a_holding(qty, **over),
        exit_reason="external",
    )
    return position


def a_close(position: PositionId, held: int = 5, qty: int = 1, attempt: int = 1, **over: Any) -> Order:
    order = closing_order(LARGE, position, PUT, held, min(qty, abs(held)), attempt, "stop", None, NOON)
    return replace(order, **{"qty": qty, **over})


def close(tx: Connection, order: Order, *, external: bool = False) -> None:
    orders.insert(tx, order, "day_trade", external=external)


def fill(tx: Connection, order: Order, qty: int, cum: int, **over: Any) -> bool:
    broker_order_id = over.pop("broker_order_id", f"broker-{order.order_id.hex[:8]}")
    values: dict[str, Any] = {
        "fill_id": fill_id(order.account, broker_order_id, cum),
        "broker_order_id": broker_order_id,
        "cum_qty": cum,
        "side": order.side,
        "opens": order.intent.opens,
        "qty": qty,
        "price": Decimal("7.10"),
        "at": NOON,
    }
    row: dict[str, Any] = {"execution_id": None, "source": "stream", "position_id": order.position_id}
    row |= {name: over.pop(name) for name in list(over) if name in row}
    return fills.insert(
        tx,
        fill=Fill(**values | over),
        account=order.account,
        order_id=order.order_id,
        symbol=order.symbol,
        read_at=NOON,
        **row,
    )


def committed(tx: Connection, account: AccountName = LARGE) -> tuple[int, Decimal]:
    """Positions and dollars that the account has bound, as the wall counts them."""
    row = run(tx, "SELECT count(*), coalesce(sum(usd), 0) FROM commitments WHERE account = :a", a=account).one()
    return row[0], row[1]


WALL = "account_stays_within_limits"


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


# ---------------------------------------------------------------- a close never opens

CLOSES: dict[str, tuple[int, dict[str, Any]]] = {
    "more than is held": (5, {"qty": 6}),
    "a buy that would widen a long": (5, {"side": Side.BUY, "intent": Intent.BUY_TO_CLOSE}),
    "a sell that would widen a short": (-5, {"side": Side.SELL, "intent": Intent.SELL_TO_CLOSE}),
    "more than is short": (-5, {"qty": 6}),
    "another symbol": (5, {"symbol": CALL}),
    "the underlying for the option (R21)": (5, {"symbol": STOCK}),
    "another account": (5, {"account": TINY}),
    "a position that nobody has": (5, {"position_id": PositionId(UUID(int=99))}),
}


@pytest.mark.parametrize(("held", "over"), CLOSES.values(), ids=CLOSES.keys())
def test_a_close_that_would_open_is_refused(tx: Connection, held: int, over: dict[str, Any]):
    """Symbol, side and quantity are those of the position, or there is no order."""
    order = a_close(hold(tx, held), held=held, **over)

    refused(tx, errors.CheckViolation, "a_close_never_opens", lambda: close(tx, order))


@pytest.mark.parametrize("held", [5, -5])
@pytest.mark.parametrize("qty", [1, 5])
def test_a_close_of_what_is_held_passes(tx: Connection, held: int, qty: int):
    """From one unit to all of them, long and short."""
    close(tx, a_close(hold(tx, held), held=held, qty=qty))


def test_a_close_of_a_closed_position_is_refused(tx: Connection):
    """Nothing is held any more."""
    order = a_close(hold(tx, 0), held=5)

    refused(tx, errors.CheckViolation, "a_close_never_opens", lambda: close(tx, order))


@pytest.mark.parametrize("status", [status for status in OrderStatus if status.is_live])
def test_a_second_live_close_is_refused(tx: Connection, status: OrderStatus):
    """Two closes could sell twice: in every live state the first one blocks the second."""
    position = hold(tx)
    close(tx, a_close(position))
    run(tx, "UPDATE orders SET status = :status", status=status)

    refused(
        tx,
        errors.UniqueViolation,
        "one_live_closing_order_per_position",
        lambda: close(tx, a_close(position, attempt=2)),
    )


@pytest.mark.parametrize("status", [status for status in OrderStatus if not status.is_live])
def test_after_a_close_has_ended_another_may_follow(tx: Connection, status: OrderStatus):
    """A close is retried while quantity is left."""
    position = hold(tx)
    close(tx, a_close(position))
    run(tx, "UPDATE orders SET status = :status, ended_at = :now, final_filled_qty = 0", status=status, now=NOON)

    close(tx, a_close(position, attempt=2))


def test_what_others_sell_does_not_block_our_close(tx: Connection):
    """An external close may live beside ours: it is not ours to count on."""
    position = hold(tx)
    theirs = a_close(position, order_id=uuid4(), client_order_id="theirs")
    close(tx, theirs, external=True)

    close(tx, a_close(position))


# ---------------------------------------------------------------- orders

CHANGES = {
    "qty": "qty = qty + 1",
    "limit_price": "limit_price = 8",
    "symbol": f"symbol = '{CALL}'",
    "side": "side = 'sell', intent = 'sell_to_close'",
    "account": "account = 'tiny'",
    "position_id": "position_id = gen_random_uuid()",
    "multiplier": "multiplier = 1",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_was_approved_does_not_change(tx: Connection, change: str):
    """A row cannot grow past the wall after it was let through."""
    open_order(tx)

    refused(
        tx, errors.CheckViolation, "what was approved does not change", lambda: run(tx, f"UPDATE orders SET {change}")
    )


def test_what_becomes_of_an_order_may_change(tx: Connection):
    """Its states, its fills and the brokerage's id are news, not a new order."""
    order = open_order(tx, qty=3)
    orders.mark_submitting(tx, order.order_id, NOON)
    orders.mark_accepted(tx, order.order_id, "broker-1", NOON)
    orders.ask_cancel(tx, order.order_id, NOON)
    orders.record_filled(tx, order.order_id, 1, NOON)
    orders.end(tx, order.order_id, OrderStatus.CANCELED, filled_qty=1, now=NOON)

    assert (OrderStatus.CANCELED, 1) == ((row := orders.get(tx, order.order_id)).status, row.filled_qty)


def test_an_order_of_somebody_else_may_widen(tx: Connection):
    """It shows its quantity only by its fills."""
    order = open_order(tx, external=True, type=OrderType.MARKET, limit_price=None)
    orders.widen_external(tx, order.order_id, 4)

    assert 4 == orders.get(tx, order.order_id).order.qty


ORDERS: dict[str, tuple[dict[str, Any], str]] = {
    "an opening without a ceiling": ({"type": OrderType.MARKET, "limit_price": None}, "check"),
    "selling to open": ({"side": Side.SELL, "intent": Intent.SELL_TO_OPEN}, "check"),
    "a side against its intent": ({"side": Side.SELL}, "check"),
    "a limit without price": ({"limit_price": None}, "check"),
    "a market order with a price": ({"type": OrderType.MARKET}, "check"),
    "no quantity": ({"qty": 0}, "orders_qty_check"),
    "less than none": ({"qty": -1}, "check"),
    "for nothing": ({"limit_price": Decimal(0)}, "orders_limit_price_check"),
    "no key": ({"client_order_id": ""}, "orders_client_order_id_check"),
    "a key longer than Alpaca takes": ({"client_order_id": "x" * 129}, "orders_client_order_id_check"),
}


@pytest.mark.parametrize(("over", "name"), ORDERS.values(), ids=ORDERS.keys())
def test_an_order_that_cannot_be_is_refused(tx: Connection, over: dict[str, Any], name: str):
    """Each field alone and all of them together say one thing."""
    refused(tx, errors.CheckViolation, name, lambda: open_order(tx, **over))


def test_an_order_for_an_account_that_nobody_configured_is_refused(tx: Connection):
    """There are no limits to keep."""
    order = an_opening(account=AccountName("nobody"))

    with pytest.raises(IntegrityError), tx.begin_nested():
        orders.insert(tx, order, "day_trade")


ORDER_STATES = {
    "more filled than ordered": "filled_qty = qty + 1",
    "filled below nothing": "filled_qty = -1",
    "ended without a time": "status = 'canceled'",
    "a time without an end": "ended_at = now()",
    "a state that nobody knows": "status = 'lost'",
}


@pytest.mark.parametrize("change", ORDER_STATES.values(), ids=ORDER_STATES.keys())
def test_a_state_that_cannot_be_is_refused(tx: Connection, change: str):
    """An order has ended exactly when it says when; it never fills beyond its quantity."""
    open_order(tx)

    refused(tx, errors.CheckViolation, "orders", lambda: run(tx, f"UPDATE orders SET {change}"))


KINDS = {
    "an option's symbol as a stock": {"kind": "STOCK", "underlying": "MSFT"},
    "a ticker as an option": {"symbol": "MSFT"},
    "another name for the stock": {"kind": "STOCK", "symbol": "MSFT", "underlying": "AAPL"},
    "a kind that nobody knows": {"kind": "FUTURE"},
    "no shares a contract": {"multiplier": 0},
}
RAW_ORDER = """
INSERT INTO orders (order_id, client_order_id, account, position_id, external, symbol, underlying, kind, multiplier,
                    strategy, side, intent, qty, type, limit_price, status, reason, approved_at)
VALUES (:id, 'key', 'large', :id, false, :symbol, :underlying, :kind, :multiplier, 'day_trade', 'buy', 'buy_to_open', 1,
        'limit', 7.20, 'approved', 'entry', :now)
"""
AN_OPTION = {"symbol": PUT, "underlying": "MSFT", "kind": "PUT", "multiplier": 100}


@pytest.mark.parametrize("over", KINDS.values(), ids=KINDS.keys())
def test_an_order_names_what_it_is(tx: Connection, over: dict[str, Any]):
    """The underlying's ticker never stands where the option's symbol belongs (R21)."""
    values = AN_OPTION | over | {"id": UUID(int=1), "now": NOON}

    refused(tx, errors.CheckViolation, "orders", lambda: run(tx, RAW_ORDER, **values))


def test_the_raw_order_itself_passes(tx: Connection):
    """So that the refusals above are about what was changed."""
    run(tx, RAW_ORDER, **AN_OPTION, id=UUID(int=1), now=NOON)


def test_a_key_is_used_once(tx: Connection):
    """The same client order id twice would be one order at Alpaca and two here."""
    order = open_order(tx, 1)

    refused(
        tx,
        errors.UniqueViolation,
        "orders_client_order_id_key",
        lambda: open_order(tx, 2, client_order_id=order.client_order_id),
    )


def test_one_recommendation_opens_once(tx: Connection):
    """One decision, one order: another id does not help."""
    open_order(tx, 1)

    refused(
        tx,
        errors.UniqueViolation,
        "one_opening_order_per_recommendation",
        lambda: open_order(tx, 1, order_id=uuid4(), client_order_id="another", position_id=uuid4()),
    )


def test_the_brokerage_s_id_belongs_to_one_order(tx: Connection):
    """A fill finds one order by it."""
    first, second = open_order(tx, 1), open_order(tx, 2)
    orders.mark_accepted(tx, first.order_id, "broker-1", NOON)

    refused(
        tx,
        errors.UniqueViolation,
        "orders_account_broker_order_id_key",
        lambda: orders.mark_accepted(tx, second.order_id, "broker-1", NOON),
    )


# ---------------------------------------------------------------- positions


def test_a_second_open_position_in_a_symbol_is_refused(tx: Connection):
    """A close must never be ambiguous."""
    hold(tx, number=1)

    refused(tx, errors.UniqueViolation, "one_open_position_per_symbol", lambda: hold(tx, number=2))


def test_a_symbol_may_be_held_again_and_elsewhere(tx: Connection):
    """After the first is closed, and in another account."""
    hold(tx, 0, number=1)
    hold(tx, 5, number=2)
    hold(tx, 5, number=3, account=TINY)


def test_a_position_without_an_exit_plan_is_impossible(tx: Connection):
    """There is nothing that nobody watches."""
    hold(tx)

    refused(tx, errors.ForeignKeyViolation, "positions", lambda: run(tx, "DELETE FROM exit_plans"))
    refused(
        tx,
        errors.ForeignKeyViolation,
        "positions",
        lambda: run(tx, "UPDATE positions SET position_id = gen_random_uuid()"),
    )


POSITIONS = {
    "nothing held and not closed": "qty = 0",
    "closed with something held": "closed_at = opened_at, exit_reason = 'stop'",
    "closed without a reason": "qty = 0, closed_at = opened_at",
    "a reason without a close": "exit_reason = 'stop'",
    "a reason that nobody knows": "qty = 0, closed_at = opened_at, exit_reason = 'boredom'",
    "more than ever": "qty = max_qty + 1",
    "shorter than ever": "qty = -max_qty - 1",
    "closed before it was opened": "qty = 0, exit_reason = 'stop', closed_at = opened_at - interval '1 second'",
    "bought for nothing": "entry_price = 0",
    "sold for less than nothing": "exit_price = -0.01",
    "never held": "max_qty = 0, qty = 0, closed_at = opened_at, exit_reason = 'stop'",
    "an option without strike": "strike = NULL",
    "an option without expiration": "expiration = NULL",
    "an option's symbol as a stock": "kind = 'STOCK', strike = NULL, expiration = NULL, multiplier = 1",
    "a ticker as an option": "symbol = 'MSFT'",
    "a strike of nothing": "strike = 0",
    "no shares a contract": "multiplier = 0",
    "a kind that nobody knows": "kind = 'FUTURE'",
}


@pytest.mark.parametrize("change", POSITIONS.values(), ids=POSITIONS.keys())
def test_a_position_that_cannot_be_is_refused(tx: Connection, change: str):
    """Closed exactly when nothing is held, with a reason; an option is an option."""
    hold(tx)

    refused(tx, errors.CheckViolation, "positions", lambda: run(tx, f"UPDATE positions SET {change}"))


STOCKS = {
    "a hundred shares a share": "multiplier = 100",
    "with a strike": "strike = 400",
    "with an expiration": "expiration = '2026-02-20'",
    "of another underlying": "underlying = 'AAPL'",
}


@pytest.mark.parametrize("change", STOCKS.values(), ids=STOCKS.keys())
def test_a_stock_that_cannot_be_is_refused(tx: Connection, change: str):
    """A share is one share of itself, for ever."""
    hold(tx, symbol=STOCK)

    refused(tx, errors.CheckViolation, "positions", lambda: run(tx, f"UPDATE positions SET {change}"))


@pytest.mark.parametrize("change", ["peak = 0", "trough = -1", "close_tries = -1"])
def test_an_exit_plan_holds_prices(tx: Connection, change: str):
    """A peak of nothing is no price."""
    hold(tx)

    refused(tx, errors.CheckViolation, "exit_plans", lambda: run(tx, f"UPDATE exit_plans SET {change}"))


# ---------------------------------------------------------------- fills

EDITS = {
    "price": "price = 0.01",
    "quantity": "qty = 1",
    "cumulative quantity": "cum_qty = 50",
    "side": "side = 'sell'",
    "time": "at = at + interval '1 second'",
    "symbol": f"symbol = '{CALL}'",
    "account": "account = 'tiny'",
    "the brokerage's order": "broker_order_id = 'other'",
    "our order": "order_id = gen_random_uuid()",
}


@pytest.fixture
def filled(tx: Connection) -> Order:
    """An order with one fill of 3 and its position."""
    order = open_order(tx, symbol=PUT, qty=5)
    hold(tx, 3, number=order.position_id.int)
    assert fill(tx, order, 3, 3)
    return order


@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS.keys())
def test_a_fill_is_never_edited(tx: Connection, filled: Order, change: str):
    """What the brokerage executed is history."""
    refused(tx, errors.CheckViolation, "fills is append-only", lambda: run(tx, f"UPDATE fills SET {change}"))


def test_a_fill_is_never_deleted(tx: Connection, filled: Order):
    """Not even with its order."""
    refused(tx, errors.CheckViolation, "fills is append-only", lambda: run(tx, "DELETE FROM fills"))
    refused(tx, errors.ForeignKeyViolation, "fills", lambda: run(tx, "DELETE FROM orders"))


def test_an_execution_is_recorded_once(tx: Connection, filled: Order):
    """From the socket and from REST: the second adds what the first did not know, and nothing else."""
    assert not fill(tx, filled, 3, 3, execution_id="e-1", source="activity")
    assert not fill(tx, filled, 3, 3, execution_id="e-2", price=Decimal(99))
    assert [(3, Decimal("7.10"), "e-1", "stream")] == [
        tuple(row) for row in run(tx, "SELECT qty, price, execution_id, source FROM fills")
    ]


def test_an_execution_id_belongs_to_one_fill(tx: Connection, filled: Order):
    """The same execution under another cumulative quantity would be counted twice."""
    fill(tx, filled, 1, 4, execution_id="e-1")

    refused(tx, errors.UniqueViolation, "fills_execution_id_key", lambda: fill(tx, filled, 1, 5, execution_id="e-1"))


FILLS: dict[str, dict[str, Any]] = {
    "without a price": {"price": None},
    "below nothing": {"price": Decimal("-0.01")},
    "more than there was": {"qty": 9},
    "none": {"qty": 0},
    "from nowhere": {"source": "rumour"},
}


@pytest.mark.parametrize("over", FILLS.values(), ids=FILLS.keys())
def test_a_fill_that_cannot_be_is_refused(tx: Connection, filled: Order, over: dict[str, Any]):
    """Only an adjustment may lack a price; nothing fills beyond what is filled after it."""
    values = {"qty": 1, "cum": 4} | over

    refused(
        tx, errors.CheckViolation, "fills", lambda: fill(tx, filled, values.pop("qty"), values.pop("cum"), **values)
    )


def test_an_adjustment_may_lack_its_price(tx: Connection, filled: Order):
    """What nobody knows is not invented."""
    assert fill(tx, filled, 1, 4, price=None, source="adjustment")


def test_a_fill_without_its_position_cannot_be_committed(engine: Engine):
    """Fill and position are one transaction, in either order: there is no moment between them."""
    with engine.begin() as tx:
        configure(tx)
        order = open_order(tx, symbol=PUT, qty=5)

    with pytest.raises(IntegrityError) as raised, engine.begin() as tx:
        fill(tx, order, 3, 3)
    assert isinstance(raised.value.orig, errors.ForeignKeyViolation)

    with engine.begin() as tx:
        fill(tx, order, 3, 3)
        hold(tx, 3, number=order.position_id.int)


def test_a_fill_without_its_order_is_refused(tx: Connection):
    """It would be found by nobody."""
    refused(tx, errors.ForeignKeyViolation, "fills_order_id_fkey", lambda: fill(tx, an_opening(), 1, 1))


# ---------------------------------------------------------------- decisions and history

A_DECISION = """
INSERT INTO decisions (recommendation, account, outcome, checks, sizing, order_id, at, origin)
VALUES ('rec-1', 'large', :outcome, cast(:checks AS jsonb), 'qty 1 asked', :order_id, :now, 'test')
"""


def decide(tx: Connection, outcome: str, order_id: UUID | None, checks: str = "[]") -> None:
    run(tx, "INSERT INTO recommendations VALUES ('rec-1', '{}', :now, :now) ON CONFLICT DO NOTHING", now=NOON)
    run(tx, A_DECISION, outcome=outcome, order_id=order_id, checks=checks, now=NOON)


def test_a_recommendation_is_decided_once_an_account(tx: Connection):
    """The second outcome is refused, whatever it says."""
    decide(tx, "refused", None)

    refused(tx, errors.UniqueViolation, "decisions_pkey", lambda: decide(tx, "approved", UUID(int=1)))


@pytest.mark.parametrize(
    ("outcome", "order_id", "checks"),
    [("approved", None, "[]"), ("refused", UUID(int=1), "[]"), ("pending", None, "[]"), ("refused", None, "{}")],
)
def test_a_decision_that_cannot_be_is_refused(tx: Connection, outcome: str, order_id: UUID | None, checks: str):
    """An approval names its order, a refusal has none; the checks are a list."""
    refused(tx, errors.CheckViolation, "decisions", lambda: decide(tx, outcome, order_id, checks))


def test_a_decision_needs_its_recommendation(tx: Connection):
    """What was decided can be read."""
    values = {"outcome": "refused", "checks": "[]", "order_id": None, "now": NOON}

    refused(tx, errors.ForeignKeyViolation, "recommendation", lambda: run(tx, A_DECISION, **values))


@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET at = at + interval '1 second'"])
@pytest.mark.parametrize("table", ["commitment_log", "account_changes"])
def test_history_is_added_to_and_never_edited(tx: Connection, table: str, statement: str):
    """The proof of the limits and what people did are there to be read."""
    open_order(tx)

    refused(tx, errors.CheckViolation, f"{table} is append-only", lambda: run(tx, statement.format(table)))


def test_whoever_changes_an_account_has_a_name(tx: Connection):
    """An empty one is none."""
    refused(
        tx,
        errors.CheckViolation,
        "account_changes_by_check",
        lambda: accounts.record_change(tx, LARGE, NOON, "", "state active", "because"),
    )


ACCOUNTS = {
    "a state that nobody knows": "state = 'paused'",
    "fewer positions than none": "max_positions = -1",
    "less than nothing": "max_exposure_usd = -0.01",
    "no loss at all": "max_daily_loss_usd = 0",
    "no contract": "max_contracts_per_order = 0",
    "a name of capitals": "account = 'LARGE'",
    "no name": "account = ''",
    "a name too long": f"account = '{'x' * 41}'",
}


@pytest.mark.parametrize("change", ACCOUNTS.values(), ids=ACCOUNTS.keys())
def test_an_account_that_cannot_be_is_refused(tx: Connection, change: str):
    """Its limits are numbers to keep, its state is one of three."""
    refused(
        tx, errors.CheckViolation, "accounts", lambda: run(tx, f"UPDATE accounts SET {change} WHERE account = 'tiny'")
    )


OTHERS = {
    "a lease of no epoch": "INSERT INTO leases VALUES ('fills.0', 'me', 0, now())",
    "a dead letter without reason": "INSERT INTO dead_letters (stream, actor, entry_id, reason, attempts, origin, at)"
    " VALUES ('fills', 'tracker', '1-1', '', 1, 'test', now())",
    "a dead letter never tried": "INSERT INTO dead_letters (stream, actor, entry_id, reason, attempts, origin, at)"
    " VALUES ('fills', 'tracker', '1-1', 'broken', 0, 'test', now())",
    "a session that ends before it begins": "INSERT INTO sessions VALUES ('2026-02-03', now(), now())",
    "a drift that nobody read": "INSERT INTO drift VALUES ('large', 'X', 'side', 1, -1, 0, now(), now())",
    "a drift of no kind": "INSERT INTO drift VALUES ('large', 'X', 'odd', 1, -1, 1, now(), now())",
    "a latency counted never": "INSERT INTO latencies VALUES ('fill_to_position_ms', 1, 0)",
}


@pytest.mark.parametrize("statement", OTHERS.values(), ids=OTHERS.keys())
def test_a_row_that_says_nothing_is_refused(tx: Connection, statement: str):
    """Leases, dead letters, sessions, drift and latencies hold what can be."""
    refused(tx, errors.CheckViolation, "check", lambda: run(tx, statement))


def test_a_fact_is_handled_once_by_each_actor(tx: Connection):
    """The inbox is a key."""
    handle = "INSERT INTO inbox (actor, fact_id) VALUES (:actor, 'fact-1')"
    run(tx, handle, actor="gate")
    run(tx, handle, actor="tracker")

    refused(tx, errors.UniqueViolation, "inbox_pkey", lambda: run(tx, handle, actor="gate"))


def test_the_wall_holds_at_an_unlikely_moment(tx: Connection):
    """An order approved on another day, for an option that has expired: it counts all the same."""
    open_order(tx, 1, approved_at=NOON - timedelta(days=3), symbol=f"MSFT{date(2014, 6, 21):%y%m%d}P00400000")

    assert (1, Decimal(720)) == committed(tx)
