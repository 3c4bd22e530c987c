"""What exit sees is written for others: the last quote of what is held, and its mark of the session's open."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text

from actors.desk import Desk
from actors.exit import ExitActor
from db import marks, sessions
from tests.db.wall_kit import configure, hold
from tests.factories import LARGE, PUT, SESSION, a_quote, ticked

MINUTE = timedelta(minutes=1)


class Eyes:
    """An exit that watches one put, bought the day before."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.now = engine, SESSION.open - MINUTE
        desk = Desk(engine=engine, clock=self.clock, wall=self.clock, origin="test", partitions=1)
        self.exit = ExitActor(desk)
        with engine.begin() as tx:
            configure(tx)
            sessions.keep(tx, [SESSION])
            self.position = hold(tx, 5, PUT, opened_at=SESSION.open - timedelta(days=1))

    def clock(self) -> datetime:
        return self.now

    def see(self, bid: str, ask: str, *, after: timedelta = MINUTE) -> None:
        """A quote comes, then the timer runs."""
        self.now += after
        self.exit.handle_ticks([ticked(a_quote(bid=bid, ask=ask, at=self.now), at=self.now)])
        self.exit.handle_timer(self.now)

    def at_open(self) -> Any:
        with self.engine.connect() as tx:
            return marks.at_open(tx, LARGE, SESSION.day).get(self.position)

    def last(self) -> Any:
        with self.engine.connect() as tx:
            return marks.of_held(tx, LARGE)[PUT]


@pytest.fixture
def eyes(engine: Engine) -> Eyes:
    return Eyes(engine)


def test_the_first_quote_of_the_session_is_the_mark_of_its_open(eyes: Eyes):
    """What came before the open is no mark of it, and what comes later does not replace it."""
    eyes.see("6.00", "6.20", after=MINUTE / 2)
    assert eyes.at_open() is None

    eyes.see("7.00", "7.20", after=MINUTE)
    eyes.see("5.00", "5.20")
    assert (Decimal("7.10"), SESSION.open + MINUTE / 2) == (eyes.at_open().price, eyes.at_open().at)


def test_an_exit_that_starts_anew_does_not_mark_again(eyes: Eyes):
    """The row is the memory."""
    eyes.see("7.00", "7.20", after=2 * MINUTE)
    eyes.exit = ExitActor(eyes.exit.desk)
    eyes.see("5.00", "5.20")

    assert Decimal("7.10") == eyes.at_open().price


def test_the_last_quote_is_there_for_everybody(eyes: Eyes):
    """The mid of the last one, with the time of the market; a quote that comes late does not bring it back."""
    eyes.see("7.00", "7.20", after=2 * MINUTE)
    eyes.see("5.00", "5.20")
    with eyes.engine.begin() as tx:
        marks.keep(tx, [a_quote(bid="9.00", ask="9.20", at=SESSION.open)])

    assert (Decimal("5.10"), eyes.now) == (eyes.last().value, eyes.now)
    assert eyes.now == eyes.last().at


def test_a_symbol_that_exit_never_saw_is_unknown(eyes: Eyes):
    """No price is no price of zero."""
    assert "exit has not seen a price" == eyes.last().reason


def test_a_mark_of_the_open_is_history(eyes: Eyes):
    """Nobody edits it afterwards."""
    eyes.see("7.00", "7.20", after=2 * MINUTE)
    with pytest.raises(Exception, match="append-only"), eyes.engine.begin() as tx:
        tx.execute(text("UPDATE session_marks SET price = 1"))
