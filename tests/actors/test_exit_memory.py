"""What the exit keeps in memory while ticks pour: rows change with the state, not with every tick."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from actors.desk import Desk
from actors.exit import ExitActor
from db import sessions
from domain.events import PositionChanged
from domain.ids import PositionId
from tests.db.wall_kit import configure, hold
from tests.factories import LARGE, NOON, PUT, SESSION, a_quote, ticked

INSTANT = timedelta(milliseconds=1)
#: The put costs 7.00: the stop is at 4.20, the trailing stop is armed at 9.10.
ENTRY = Decimal("7.00")


class Pouring:
    """An exit that holds one put since the morning, and ticks of it a millisecond apart."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.now = engine, NOON
        desk = Desk(engine=engine, clock=lambda: self.now, wall=lambda: self.now, origin="test", partitions=1)
        self.exit = ExitActor(desk)
        with engine.begin() as tx:
            configure(tx)
            sessions.keep(tx, [SESSION])
            self.position = hold(tx, 5, PUT, opened_at=SESSION.open, entry_price=ENTRY)

    def pour(self, *bids: str | Decimal, batch: int = 1000) -> None:
        """Hand over one tick for each bid, a millisecond after the one before, *batch* at a time."""
        for n in range(0, len(bids), batch):
            frames = []
            for bid in bids[n : n + batch]:
                self.now += INSTANT
                quote = a_quote(bid=str(bid), ask=str(Decimal(bid) + 1), at=self.now)
                frames.append(ticked(quote, at=self.now))
            self.exit.handle_ticks(frames)

    def one(self, statement: str) -> Any:
        with self.engine.connect() as tx:
            return tx.execute(text(statement)).one()

    def peak(self) -> Any:
        return self.one("SELECT peak FROM exit_plans").peak

    def closes(self) -> list[Any]:
        with self.engine.connect() as tx:
            return list(tx.execute(text("SELECT reason FROM orders WHERE NOT opening")).scalars())


@pytest.fixture
def pouring(engine: Engine) -> Pouring:
    return Pouring(engine)


@contextmanager
def counted(engine: Engine, begins: str) -> Iterator[list[str]]:
    """Collect the statements that begin so."""
    found: list[str] = []

    def look(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(begins):
            found.append(statement)

    event.listen(engine, "before_cursor_execute", look)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", look)


def test_a_peak_that_moves_seldom_is_written_at_once(pouring: Pouring):
    """Only what follows within a second of a write waits: a timer that had nothing to write holds up nothing."""
    pouring.pour("7.00")
    pouring.now += timedelta(seconds=1)
    pouring.exit.handle_timer(pouring.now)
    pouring.pour("8.00")
    assert Decimal("8.00") == pouring.peak()


def test_a_peak_that_moves_with_every_tick_is_written_once_a_second(pouring: Pouring):
    """Fifty batches within a second are one statement; the timer writes what is left."""
    pouring.pour("7.00")
    with counted(pouring.engine, "UPDATE exit_plans") as written:
        pouring.pour(*(ENTRY + Decimal(n) / 1000 for n in range(1, 500)), batch=10)
        assert [] == written
        pouring.exit.handle_timer(pouring.now)
        assert 1 == len(written)
    assert Decimal("7.499") == pouring.peak()


def test_what_moved_is_written_while_ticks_pour(pouring: Pouring):
    """No timer is needed: the first batch after a second writes it."""
    pouring.pour("7.00", "8.00")
    pouring.now += timedelta(seconds=1)
    pouring.pour("7.50")
    assert Decimal("8.00") == pouring.peak()


@pytest.mark.parametrize("killed_after", [1, 7, 50, 99, 120, 249])
def test_a_crash_forgets_at_most_the_last_second_of_a_peak(pouring: Pouring, killed_after: int):
    """
    The price rises with every tick, ten ticks a batch. The process dies after any batch, and all that it handled is
    acknowledged: its successor knows at least the peak of a second before.
    """
    pouring.pour("7.00")
    rising = [ENTRY + Decimal(n) / 1000 for n in range(1, killed_after * 10 + 1)]
    pouring.pour(*rising, batch=10)

    before_ms = len(rising) - 1000
    pouring.exit = ExitActor(pouring.exit.desk)
    pouring.pour("7.00")

    [watch] = pouring.exit._memory.all()
    known = watch.position.excursion.peak
    assert known is not None
    assert known >= (rising[before_ms] if before_ms > 0 else ENTRY)


def test_a_close_writes_the_peak_that_it_was_decided_by(pouring: Pouring):
    """Armed at 10.00 and left at 9.25, within one second: the row shows both the peak and the rule."""
    pouring.pour("7.00")
    with counted(pouring.engine, "UPDATE exit_plans") as written:
        pouring.pour("10.00", "9.30", "9.25")
        assert ["trailing"] == pouring.closes()
        assert Decimal("10.00") == pouring.peak()
    assert 2 >= len(written), "the peak, and the rule that fired"


@pytest.mark.parametrize("at", [0, 1, 499, 998, 999])
def test_one_touch_among_a_thousand_ticks_closes(pouring: Pouring, at: int):
    """Wherever in a batch it stands, and although the price comes back at once."""
    calm = [ENTRY + Decimal(n % 21 - 10) / 10 for n in range(1000)]
    pouring.pour(*calm)
    touched = [*calm[:at], Decimal("4.20"), *calm[at + 1 :]]
    pouring.pour(*touched)
    assert ["stop"] == pouring.closes()


def test_a_touch_just_inside_the_stop_closes_nothing(pouring: Pouring):
    """One cent above it, again and again."""
    pouring.pour("7.00", *["4.21"] * 50, "7.00")
    assert [] == pouring.closes()


def test_a_band_does_not_outlive_its_policy(pouring: Pouring):
    """A person applies a tighter stop: the price has not moved, and the next tick closes."""
    pouring.pour("5.00", "7.00", "6.00", "6.00")
    with pouring.engine.begin() as tx:
        tx.execute(text("UPDATE exit_plans SET policy = jsonb_set(policy, '{stop_pct}', '\"10\"')"))
    pouring.now += timedelta(seconds=5)
    pouring.pour("6.00")
    assert ["stop"] == pouring.closes()


def test_a_band_does_not_outlive_its_time(pouring: Pouring):
    """Nothing moves, and at the end of the day the position is closed."""
    pouring.pour("5.00", "7.00", "6.00", "6.00")
    pouring.now = SESSION.close - timedelta(minutes=5) - timedelta(seconds=1)
    with pouring.engine.begin() as tx:
        tx.execute(text("UPDATE exit_plans SET policy = jsonb_set(policy, '{max_hold}', 'null')"))
    pouring.pour("6.00", "6.00")
    assert [] == pouring.closes()
    pouring.now = SESSION.close - timedelta(minutes=5)
    pouring.exit.handle_timer(pouring.now)
    assert ["end_of_day"] == pouring.closes()


def test_marks_that_could_not_be_written_are_written_later(pouring: Pouring):
    """The newest quote wins, whichever write fails."""
    pouring.pour("7.00")
    with pouring.engine.begin() as tx:
        tx.execute(text("ALTER TABLE marks RENAME TO hidden"))
    with pytest.raises(Exception, match="marks"):
        pouring.exit.handle_timer(pouring.now)
    with pouring.engine.begin() as tx:
        tx.execute(text("ALTER TABLE hidden RENAME TO marks"))
    pouring.exit.handle_timer(pouring.now)
    assert Decimal("7.00") == pouring.one("SELECT bid FROM marks").bid


def test_a_change_of_one_position_reads_that_position_alone(pouring: Pouring):
    """Its fact comes; what is read of positions is one row, and what was known of the others stays."""
    pouring.pour("7.00")
    held = [watch.position.position_id for watch in pouring.exit._memory.all()]
    with counted(pouring.engine, "SELECT p.position_id, account, symbol") as read:
        pouring.exit.handle_decisions([_changed(held[0])])

    assert ["ANY" in statement for statement in read] == [True]
    assert held == [watch.position.position_id for watch in pouring.exit._memory.all()]


def test_what_was_closed_is_watched_no_more(pouring: Pouring):
    """The fact of its close takes it out of memory, before the rows are read again."""
    pouring.pour("7.00")
    [watch] = pouring.exit._memory.all()
    with pouring.engine.begin() as tx:
        tx.execute(text("UPDATE positions SET qty = 0, closed_at = now(), exit_rule = 'stop', exit_reason = 'stop'"))

    pouring.exit.handle_decisions([_changed(watch.position.position_id)])

    assert [] == list(pouring.exit._memory.all())


def _changed(position: PositionId) -> PositionChanged:
    return PositionChanged(
        id=f"changed-{position}",
        at=NOON,
        schema=1,
        cause="test",
        origin="test",
        position_id=position,
        account=LARGE,
        symbol=PUT,
        qty=1,
        entry_price=ENTRY,
    )
