"""The reconciler believes two readings, adopts what it finds, and trusts neither strange keys nor a sudden void."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from unittest import mock

import pytest
from sqlalchemy import Engine, text

from actors.desk import Desk
from actors.reconciler import Reconciler
from actors.tracker import Tracker
from brokerage.port import BrokerageUnavailable
from db import accounts, orders, positions
from domain.account import TradingState
from domain.events import AccountStateChanged
from domain.orders import OrderStatus, closing_order
from streams.codec import decode
from tests.factories import LARGE, NOON, PUT, a_policy, some_limits
from tests.simulation.exchange import Exchange

SYMBOLS = [f"{root}260220P00100000" for root in ("AAA", "BBB", "CCC", "DDD", "EEE")]


class House:
    """One account, its brokerage, the reconciler, and the tracker that applies what it finds."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.now = engine, NOON
        prices = {symbol: (Decimal("7.10"), Decimal("7.20")) for symbol in (PUT, *SYMBOLS)}
        self.exchange: Any = Exchange(LARGE, Random(1), self.clock, lambda _: None, lambda _: None, prices)
        desk = Desk(engine=engine, clock=self.clock, wall=self.clock, origin="test", partitions=1)
        self.reconciler = Reconciler(desk, {LARGE: self.exchange})
        self.tracker = Tracker(desk, lambda account, strategy, kind: a_policy())
        with engine.begin() as tx:
            accounts.configure(tx, LARGE, some_limits(), NOON)

    def clock(self) -> datetime:
        return self.now

    def hold(self, symbol: str, qty: int) -> None:
        self.exchange.held[symbol] = qty
        self.exchange.cost[symbol] = Decimal("7.20") * qty

    def look(self, after_s: int = 0) -> Any:
        """Compare once, *after_s* seconds later, and apply what was found."""
        self.now += timedelta(seconds=after_s)
        found = self.reconciler.reconcile(LARGE, self.now)
        self._apply()
        return found

    def doubt(self, after_s: int) -> int:
        """Let the timer of doubts run *after_s* seconds later; return how often the book was read."""
        self.now += timedelta(seconds=after_s)
        with mock.patch.object(self.exchange, "account", side_effect=self.exchange.account) as read:
            self.reconciler.handle_doubts(self.now)
        self._apply()
        return read.call_count

    def _apply(self) -> None:
        with self.engine.begin() as tx:
            rows = tx.execute(text("DELETE FROM outbox WHERE stream LIKE 'fills%' RETURNING type, body")).all()
        self.tracker.handle([decode({b"type": r.type.encode(), b"body": r.body.encode()}) for r in rows])

    def rows(self) -> dict[str, int]:
        with self.engine.connect() as tx:
            return {r.symbol: r.qty for r in tx.execute(text("SELECT symbol, qty FROM positions WHERE qty <> 0"))}

    def state(self) -> tuple[TradingState, str]:
        with self.engine.connect() as tx:
            return accounts.state_of(tx, LARGE)


@pytest.fixture
def house(engine: Engine) -> House:
    return House(engine)


def test_a_first_clean_look_lets_entries_begin(house: House):
    """A new account waits, reducing, until rows and broker were compared once."""
    assert house.state()[0] is TradingState.REDUCING

    house.look()

    assert (TradingState.ACTIVE, "reconciled") == house.state()


def test_a_position_that_we_never_opened_is_adopted_after_two_readings(house: House):
    """With an exit plan, announced, and not on the first reading: a fill may be on its way (R39)."""
    house.hold(PUT, 3)

    house.look()
    assert {} == house.rows()
    house.look(after_s=5)
    assert {} == house.rows()
    house.look(after_s=6)

    assert {PUT: 3} == house.rows()
    assert () == house.look(after_s=30)


def test_a_phantom_leaves_after_two_readings(house: House):
    """The brokerage sold it and nobody told us: the row says external and knows no price (R26)."""
    house.hold(PUT, 3)
    house.look()
    house.look(after_s=11)
    house.hold(PUT, 0)

    house.look()
    house.look(after_s=11)

    with house.engine.connect() as tx:
        closed = tx.execute(text("SELECT qty, exit_reason, exit_price, realized_pnl_usd FROM positions")).one()
    assert (0, "external", None, None) == tuple(closed)


def test_a_failed_read_changes_nothing(house: House, monkeypatch: pytest.MonkeyPatch):
    """An error is not an empty book (L17)."""
    house.hold(PUT, 3)
    house.look()
    house.look(after_s=11)

    def down() -> None:
        raise BrokerageUnavailable("503")

    monkeypatch.setattr(house.exchange, "positions", down)

    assert [None, None] == [house.look(after_s=11), house.look(after_s=11)]
    assert {PUT: 3} == house.rows()


def test_a_sudden_void_needs_a_person(house: House):
    """Five positions vanish at once: nothing is closed by a machine, whatever it reads and however often (L17)."""
    for symbol in SYMBOLS:
        house.hold(symbol, 2)
    house.look()
    house.look(after_s=11)
    for symbol in SYMBOLS:
        house.hold(symbol, 0)

    for _ in range(4):
        house.look(after_s=11)

    assert dict.fromkeys(SYMBOLS, 2) == house.rows()


def test_keys_of_another_account_stop_entries_and_change_nothing(house: House, monkeypatch: pytest.MonkeyPatch):
    """They would have shown "no positions" for an account that has some (R17)."""
    house.hold(PUT, 3)
    house.look()
    house.look(after_s=11)
    house.look(after_s=30)
    assert house.state()[0] is TradingState.ACTIVE
    stranger: Callable[[], Any] = Exchange.account.__get__(
        Exchange("other", Random(1), house.clock, lambda _: None, lambda _: None, {})  # type: ignore[arg-type]
    )
    monkeypatch.setattr(house.exchange, "account", stranger)
    house.hold(PUT, 0)

    house.look(after_s=11)
    house.look(after_s=11)

    assert {PUT: 3} == house.rows()
    state, reason = house.state()
    assert (TradingState.REDUCING, True) == (state, "PA-other" in reason)


def test_a_machine_does_not_loosen_what_a_person_halted(house: House, monkeypatch: pytest.MonkeyPatch):
    """Keys of another account, in an account that is halted: halted it stays, with the person's reason."""
    house.look()
    with house.engine.begin() as tx:
        accounts.set_state(tx, LARGE, TradingState.HALTED, "fire drill", "somebody", house.now)
    stranger: Callable[[], Any] = Exchange.account.__get__(
        Exchange("other", Random(1), house.clock, lambda _: None, lambda _: None, {})  # type: ignore[arg-type]
    )
    monkeypatch.setattr(house.exchange, "account", stranger)

    house.look(after_s=30)

    assert (TradingState.HALTED, "fire drill") == house.state()


def test_every_change_of_state_is_told(house: House, monkeypatch: pytest.MonkeyPatch):
    """Reconciled, stale at a later start, lifted, then stopped by strange keys: four facts, in that order."""
    house.look()
    house.now += timedelta(minutes=5)
    house.reconciler.begin(house.now)
    house.look()
    monkeypatch.setattr(
        house.exchange,
        "account",
        Exchange("other", Random(1), house.clock, lambda _: None, lambda _: None, {}).account,  # type: ignore[arg-type]
    )
    house.look(after_s=30)

    with house.engine.connect() as tx:
        rows = tx.execute(text("SELECT type, body FROM outbox ORDER BY seq")).all()
    facts = [decode({b"type": r.type.encode(), b"body": r.body.encode()}) for r in rows]
    told = [(fact.state, fact.reason.partition(" ")[0]) for fact in facts if isinstance(fact, AccountStateChanged)]
    assert [("active", "reconciled"), ("reducing", "interlock:"), ("active", "reconciled"), ("reducing", "the")] == told


def test_the_brokerages_book_is_kept_as_it_was_read(house: House):
    """Whatever our rows say: what it holds now, without what it held before; a failed read changes nothing."""
    house.hold(SYMBOLS[0], 2)
    house.hold(SYMBOLS[1], -1)
    house.look()
    first = book(house)
    house.exchange.held.pop(SYMBOLS[0])
    house.exchange.held[SYMBOLS[1]] = -3
    house.look(30)

    assert {SYMBOLS[0]: 2, SYMBOLS[1]: -1} == first
    assert {SYMBOLS[1]: -3} == book(house)


def book(house: House) -> dict[str, int]:
    with house.engine.connect() as tx:
        return {r.symbol: r.qty for r in tx.execute(text("SELECT symbol, qty FROM broker_positions"))}


# ---------------------------------------------------------------- doubts

DOUBTFUL = [
    pytest.param("not_held", "the brokerage has None to close", True, id="nothing is held there"),
    pytest.param("40410000", "position not found", True, id="position not found"),
    pytest.param("42210000", "position intent mismatch, inferred: sell_to_open", True, id="another intent"),
    pytest.param("42210000", "limit price must be on the grid", False, id="another reason"),
    pytest.param("40310000", "account is restricted", False, id="restricted"),
]


@pytest.mark.parametrize(("code", "message", "doubtful"), DOUBTFUL)
def test_a_refusal_that_speaks_against_our_rows_is_looked_into_at_once(
    house: House, code: str, message: str, doubtful: bool
):
    """Not at the next time of the timer; once, and again ten seconds later if a difference was found."""
    held_and_compared(house)
    house.hold(PUT, 0)
    house.now += timedelta(seconds=1)
    refuse_a_close(house, code, message)
    looks = [house.doubt(after_s=1) for _ in range(20)]

    # The first look finds the difference, the one that is believed comes ten seconds later.
    assert ([0, 10] if doubtful else []) == [second for second, count in enumerate(looks) if count]
    assert ({} if doubtful else {PUT: 3}) == house.rows()


def test_a_doubt_about_a_brokerage_that_does_not_answer_is_not_asked_every_second(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    """Every five seconds until it answers: nothing is changed meanwhile."""
    held_and_compared(house)
    house.now += timedelta(seconds=1)
    refuse_a_close(house, "not_held", "nothing")

    def down() -> None:
        raise BrokerageUnavailable("503")

    with monkeypatch.context() as away:
        away.setattr(house.exchange, "positions", down)
        looks = [house.doubt(after_s=1) for _ in range(12)]

    assert [0, 5, 10] == [second for second, count in enumerate(looks) if count]
    assert [1, 0, 0] == [house.doubt(after_s=5) for _ in range(3)]


def test_a_doubt_waits_while_others_are_compared(house: House):
    """One HTTP session is not for two threads: a second later it has its turn."""
    held_and_compared(house)
    house.now += timedelta(seconds=1)
    refuse_a_close(house, "not_held", "nothing")

    with house.reconciler._turn:
        assert 0 == house.doubt(after_s=1)
    assert 1 == house.doubt(after_s=1)


def held_and_compared(house: House) -> None:
    house.hold(PUT, 3)
    house.look()
    house.look(after_s=11)
    house.look(after_s=11)


def refuse_a_close(house: House, code: str, message: str) -> None:
    """Write a close of the position that the brokerage has refused."""
    with house.engine.begin() as tx:
        [held] = positions.all_open(tx, LARGE)
        order = closing_order(LARGE, held.position_id, PUT, 3, 3, 1, "stop", None, house.now)
        orders.insert(tx, order, "adopted")
        orders.end(tx, order.order_id, OrderStatus.REJECTED, filled_qty=0, now=house.now, code=code, message=message)
