"""A loss at its limit refuses at once, latches when it is seen a second time, and is lifted as configured (R69)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from actors.desk import Desk
from actors.losses import Losses
from db import accounts, exit_plans, latches
from domain.account import Book, LossKind
from domain.known import Known, Unknown
from domain.loss import STANDS, LossRules
from domain.session import Session
from tests.db.wall_kit import a_holding, configure, fill, open_order
from tests.db.wall_kit import positions as position_rows
from tests.factories import LARGE, NOON, PUT, SESSION, a_policy

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
TOMORROW = Session(day=SESSION.day + DAY, open=SESSION.open + DAY, close=SESSION.close + DAY)


def hold_five(tx: Connection) -> None:
    """Five contracts of the put in `large`, bought at noon at 7.00."""
    order = open_order(tx, symbol=PUT, qty=5)
    exit_plans.plan(tx, order.position_id, a_policy())
    position_rows.create(
        tx,
        position_id=order.position_id,
        account=LARGE,
        symbol=PUT,
        strategy="day_trade",
        recommendation=None,
        adopted=False,
        holding=a_holding(5),
        exit_rule="external",
    )
    fill(tx, order, 5, 5, price=Decimal("7.00"), position_id=order.position_id)


class Room:
    """The account `large`, five contracts that cost 7.00, and what a look at it shows."""

    def __init__(self, engine: Engine, tx: Connection, *, until_person: bool = False) -> None:
        self.tx = tx
        desk = Desk(engine=engine, clock=lambda: NOON, wall=lambda: NOON, origin="test", partitions=1)
        rules = LossRules(max_mark_age=timedelta(minutes=15), until_person=until_person)
        self.losses = Losses(desk, rules, "gate")
        configure(tx)
        hold_five(tx)

    def look(
        self,
        mark: str | Unknown,
        *,
        marked_s: float = 0,
        after_s: float = 0,
        session: Any = SESSION,
        equity: str = "100000",
        at: datetime = NOON,
    ) -> Book:
        """Look *after_s* seconds after *at*, at a mark of *marked_s* seconds after it."""
        now = at + after_s * SECOND
        seen = mark if isinstance(mark, Unknown) else Known(Decimal(mark), at + marked_s * SECOND, "quotes")
        worth = Known(Decimal(equity), now, "account")
        return self.losses.look(self.tx, LARGE, {PUT: seen}, Known(session, now, "calendar"), worth, now)

    def latched(self) -> list[str]:
        return [kind for kind, latch in latches.live(self.tx, LARGE).items() if latch.latched_at is not None]

    def told(self) -> list[str]:
        rows = self.tx.execute(text("SELECT what FROM account_changes WHERE what LIKE '%latch%' ORDER BY change_id"))
        return list(rows.scalars())


@pytest.fixture
def room(engine: Engine) -> Iterator[Room]:
    with engine.begin() as tx:
        yield Room(engine, tx)


def test_the_first_look_refuses_and_does_not_latch(room: Room):
    """$500 lost is the limit: the book says so to the gate at once, and nothing is latched yet."""
    book = room.look("6.00")

    assert (Known(Decimal(-500), NOON, "fills and marks"), frozenset()) == (book.daily_pnl_usd, book.latched)
    assert [] == room.latched()


def test_the_second_fresh_look_latches_and_is_written_down(room: Room):
    """A newer price says the same: latched, in the book of this very decision, in the row and in the history."""
    room.look("6.00")
    book = room.look("5.90", marked_s=1, after_s=1)

    assert {LossKind.DAILY_LOSS} == book.latched
    assert (["daily_loss"], ["daily_loss latched"]) == (room.latched(), room.told())


def test_the_same_price_again_is_no_second_look_until_it_stands(room: Room):
    """One bad print, read twice within a second, does not latch; if it stands for five seconds it is the market."""
    room.look("6.00")

    assert frozenset() == room.look("6.00", after_s=1).latched
    assert {LossKind.DAILY_LOSS} == room.look("6.00", after_s=STANDS.total_seconds()).latched


def test_a_second_look_that_says_otherwise_begins_anew(room: Room):
    """A bad print is forgotten: the next loss needs two looks again."""
    room.look("6.00")
    room.look("7.00", marked_s=1, after_s=1)

    assert frozenset() == room.look("6.00", marked_s=2, after_s=2).latched
    assert {LossKind.DAILY_LOSS} == room.look("6.00", marked_s=3, after_s=3).latched


def test_an_unknown_look_neither_confirms_nor_forgets(room: Room):
    """Nobody bids for a moment: what was seen before waits for the next price."""
    room.look("6.00")
    book = room.look(Unknown("nobody bids", "quotes"), after_s=1)

    assert isinstance(book.daily_pnl_usd, Unknown)
    assert frozenset() == book.latched
    assert {LossKind.DAILY_LOSS} == room.look("6.00", marked_s=2, after_s=2).latched


def latch(room: Room) -> None:
    room.look("6.00")
    room.look("6.00", marked_s=1, after_s=1)


def test_a_latch_stays_when_the_marks_recover(room: Room):
    """The session is over for entries, whatever the price says later."""
    latch(room)

    assert {LossKind.DAILY_LOSS} == room.look("9.00", marked_s=2, after_s=2).latched


def test_a_latch_survives_a_restart(room: Room, engine: Engine):
    """It is a row: a gate that was never there before reads it."""
    latch(room)
    book = accounts.read_book(room.tx, LARGE, {}, Known(SESSION, NOON, "calendar"), NOON, timedelta(minutes=15))

    assert {LossKind.DAILY_LOSS} == book.latched


def test_the_next_session_lifts_it_by_default(room: Room):
    """At its open, not before, and the history says so."""
    latch(room)
    before = TOMORROW.open - SECOND

    assert {LossKind.DAILY_LOSS} == room.look("7.00", session=TOMORROW, at=before).latched
    assert frozenset() == room.look("7.00", session=TOMORROW, at=TOMORROW.open).latched
    assert ["daily_loss latched", "daily_loss latch lifted"] == room.told()


def test_where_the_configuration_wants_a_person_a_session_lifts_nothing(engine: Engine):
    """`latch_until = "person"`: the next session finds it latched."""
    with engine.begin() as tx:
        room = Room(engine, tx, until_person=True)
        latch(room)

        assert {LossKind.DAILY_LOSS} == room.look("7.00", session=TOMORROW, at=TOMORROW.open).latched


def test_what_was_seen_once_yesterday_is_no_first_look_of_today(room: Room):
    """The second look must be of the same session."""
    room.look("6.00")
    room.look("7.00", session=TOMORROW, at=TOMORROW.open)

    assert frozenset() == room.look("6.00", session=TOMORROW, at=TOMORROW.open, marked_s=1, after_s=1).latched


def test_drawdown_latches_from_the_peak_and_from_two_answers_of_the_brokerage(room: Room):
    """Worth $110,000 once; at $55,000 half of the peak is gone, seen twice."""
    room.look("7.00", equity="110000")
    room.look("7.00", equity="55000", after_s=1)
    book = room.look("7.00", equity="54999", after_s=2)

    assert ({LossKind.DRAWDOWN}, Decimal(110_000)) == (book.latched, book.equity_peak_usd)
    assert ["drawdown latched"] == room.told()


def test_the_peak_does_not_fall(room: Room):
    """Less is no new peak; an older answer is none at all."""
    for after_s, equity in ((0, "100000"), (2, "120000"), (3, "90000"), (1, "500000")):
        room.look("7.00", equity=equity, after_s=after_s)
    book = room.look("7.00", equity="90000", after_s=4)

    assert Decimal(120_000) == book.equity_peak_usd


def test_a_guess_of_the_open_never_latches(room: Room):
    """Held over night, unseen at the open: what may be lost is unknown, however often one looks."""
    for after_s in range(5):
        mark = "5.50"
        book = room.look(mark, session=TOMORROW, at=TOMORROW.open - SECOND, marked_s=after_s, after_s=after_s)
        assert LossKind.DAILY_LOSS not in book.latched
