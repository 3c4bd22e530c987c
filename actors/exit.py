"""exit: ticks and time -> a closing order for every position whose rules fire.

Open positions and their exit state live in memory, loaded from rows and loaded again every few seconds; rows are
written only when something changed. Every tick of a watched symbol is evaluated, so a batch skips no decision.
What a rule asks for is written by ``actors.leaving``.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from actors.desk import Desk
from actors.failures import classify
from actors.leaving import Leaving
from actors.marks import Marks
from actors.memory import Memory, cannot_evaluate
from actors.outlook import NOTHING_CONFIGURED, Sources
from actors.watches import Closing, Watch
from db import disputes, evaluations, exit_plans
from domain.closing import STRAIGHT
from domain.events import (
    ExitPolicyApplied,
    Fact,
    OrderEnded,
    PositionChanged,
    PositionClosed,
    PositionOpened,
    Quote,
)
from domain.exits import RULES, Exit, Moment, agreed_exit, first_exit
from domain.exits.quiet import quiet
from domain.ids import PositionId
from domain.prices import Source, source_of
from domain.session import Session, market_is_closed, trading_day
from streams.delivery import Failure
from streams.ticks import Ticks

log = logging.getLogger(__name__)

#: The facts after which rows say something else than memory.
CHANGES: Final = (PositionOpened, PositionChanged, PositionClosed, OrderEnded, ExitPolicyApplied)
#: How often peaks and troughs are written while ticks move them; a close writes those that it was decided by itself.
FLUSH_EVERY: Final = timedelta(seconds=1)
#: How often it says in rows which positions it looked at.
SAY_EVERY: Final = timedelta(seconds=1)


def _every_symbol(_: str) -> bool:
    return True


@dataclass(slots=True)
class ExitActor:
    """Ticks, decisions and timers come from different threads: they take turns."""

    desk: Desk
    #: Which symbols are its own: those of one partition of the ticks.
    covers: Callable[[str], bool] = _every_symbol
    #: What it is called where it says that it looked at a position, and until when it promises to look again.
    instance: str = "exit"
    within: timedelta = timedelta(seconds=5)
    #: What people configured about prices and about what others say, as it is in force now.
    sources: Callable[[], Sources] = lambda: NOTHING_CONFIGURED
    _memory: Memory = field(init=False)
    _flushed_at: datetime | None = field(default=None, init=False)
    _said_at: datetime | None = field(default=None, init=False)
    _marks: Marks = field(default_factory=Marks, init=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, init=False)
    _leaving: Leaving = field(init=False)

    name = "exit"

    def __post_init__(self) -> None:
        self._leaving = Leaving(self.desk)
        self._memory = Memory(self.desk.engine, self.covers, self.sources)

    # ------------------------------------------------------------ what comes in

    def handle_ticks(self, batch: Iterable[Ticks]) -> int:
        """Evaluate every quote of a watched symbol; return how many there were."""
        with self._turn:
            now = self.desk.clock()
            self._load_if_due(now)
            told = ((source_of(frame.feed), frame.among(self._memory.watches)) for frame in batch)
            seen = sum(self._see(quote, source, now) for source, quotes in told for quote in quotes)
            self._flush_if_due(now)
            return seen

    def handle_decisions(self, batch: Sequence[Fact]) -> None:
        """A position or an order changed: memory follows its rows at once."""
        changed = {fact.position_id for fact in batch if isinstance(fact, CHANGES)}
        if not changed:
            return
        with self._turn:
            now = self.desk.clock()
            self._flush(now)
            self._memory.follow(changed, now)
            for watch in [w for w in self._memory.all() if w.position.position_id in changed]:
                self._judge(watch)

    def handle_timer(self, now: datetime) -> None:
        """Rules of time fire without a tick."""
        with self._turn:
            self._load_if_due(now)
            self._evaluate_all()
            self._flush(now)
            looked_at = [watch.position.position_id for watch in self._memory.all() if not watch.is_beyond_us]
        # Ticks need not wait for what only others read.
        self._write_marks()
        self._say_who_looked(looked_at)

    def forget(self) -> None:
        """Begin anew from the rows: somebody else may have evaluated meanwhile."""
        with self._turn:
            self._memory.forget()
            self._marks.clear()

    # ------------------------------------------------------------ memory

    def _load_if_due(self, now: datetime) -> None:
        """What memory saw beyond the rows is written before it is read again."""
        if self._memory.is_due(now):
            self._flush(now)
            self._memory.load(now)

    def _flush_if_due(self, now: datetime) -> None:
        """Peaks may wait for a second, a dispute may not."""
        is_due = self._flushed_at is None or now - self._flushed_at >= FLUSH_EVERY
        if is_due or any(watch.dispute_moved for watch in self._memory.all()):
            self._flush(now)

    def _flush(self, now: datetime) -> None:
        """Write the peaks and troughs that moved, and what sources dispute, in one transaction."""
        moved = [watch for watch in self._memory.all() if watch.dirty]
        disputed = [watch for watch in self._memory.all() if watch.dispute_moved]
        if not moved and not disputed:
            return
        seen = [(w.position.position_id, w.position.excursion, w.position.is_long) for w in moved]
        with self.desk.begin() as tx:
            exit_plans.widen_excursions(tx, seen)
            for watch in disputed:
                self._write_dispute(tx, watch)
        self._flushed_at = now
        for watch in moved:
            watch.dirty = False
        for watch in disputed:
            watch.dispute_moved = False

    def _write_dispute(self, tx: Connection, watch: Watch) -> None:
        pos, dispute = watch.position, watch.dispute
        if dispute is None:
            log.warning("%s: two sources of prices agree again, or one is silent", pos.symbol)
            disputes.end(tx, pos.position_id, self.desk.clock())
        else:
            said = (dispute.live_price, dispute.second_price)
            log.error("%s: the live price is %s, REST says %s: only what both ask for is closed", pos.symbol, *said)
            disputes.begin(tx, pos.position_id, dispute)

    def _write_marks(self) -> None:
        """Let others see the prices that the rules saw."""
        with self._turn:
            marks = self._marks.taken()
        if marks.is_empty:
            return
        try:
            with self.desk.begin() as tx:
                marks.write(tx)
        except BaseException:
            with self._turn:
                self._marks.take_back(marks)
            raise

    def _say_who_looked(self, looked_at: Sequence[PositionId]) -> None:
        """Once a second of the wall is enough: a recorded day runs its timers more often."""
        wall = self.desk.wall()
        if self._said_at is not None and wall - self._said_at < SAY_EVERY:
            return
        with self.desk.begin() as tx:
            evaluations.note(tx, looked_at, self.instance, self.within)
        self._said_at = wall

    # ------------------------------------------------------------ evaluation

    def _see(self, quote: Quote, source: Source, now: datetime) -> int:
        watches = self._memory.watches.get(quote.symbol, [])
        max_pct, mute = self._memory.in_force.max_divergence_pct, False
        for watch in watches:
            if quote.at >= watch.position.opened_at and watch.seen(quote, source, now, max_pct):
                self._mark(watch)
                self._marks.see(watch.position, quote, self._session(trading_day(quote.at)))
                self._judge(watch)
                mute |= source is Source.SECOND and watch.is_mute
        if mute:
            self.desk.metrics.missed_by_live()
        return len(watches)

    @staticmethod
    def _mark(watch: Watch) -> None:
        """Move peak and trough; a price that another source denies moves neither."""
        if watch.price is None or watch.dispute is not None:
            return
        pos = watch.position
        if pos.excursion.includes(watch.price):
            return
        excursion = pos.excursion.marked(watch.price, pos.is_long)
        if excursion != pos.excursion:
            watch.position, watch.dirty = replace(pos, excursion=excursion), True

    def _evaluate_all(self) -> None:
        for watch in list(self._memory.all()):
            self._judge(watch)

    def _judge(self, watch: Watch) -> None:
        """Evaluate, and let no bug in one position keep others from it."""
        try:
            self._evaluate(watch)
        except Exception as e:
            if classify(e) is not Failure.UNEXPECTED:
                raise
            if not watch.is_beyond_us:
                cannot_evaluate(watch.position.position_id, watch.position.symbol, e)
            watch.is_beyond_us = True
        else:
            watch.is_beyond_us = False

    def _evaluate(self, watch: Watch) -> None:
        now = self.desk.clock()
        if watch.is_quiet(now):
            return
        watch.quiet = None
        today = trading_day(now)
        session = self._session(today)
        under_way = watch.closing is Closing.ALL
        if (under_way and not watch.at_limit) or market_is_closed(self._memory.calendar, now):
            return
        if watch.triggered is not None and not under_way:  # a former close left quantity: until nothing is left
            if watch.closing is Closing.NOTHING and watch.may_try(now):
                self._leaving.all(watch, Exit(watch.triggered, "quantity is left", None), now)
            return
        known = self._memory.outlook_of(watch)
        moments = [
            Moment(price=price, now=now, today=today, session=session, outlook=known) for price in watch.prices_at(now)
        ]
        if len(moments) == 1:
            moment, found = moments[0], first_exit(watch.position, moments[0])
        elif (agreed := agreed_exit(watch.position, moments)) is not None:
            found, moment = agreed
        else:
            return
        if found is None:
            watch.quiet = quiet(watch.position, moment, RULES)
            return
        if under_way and found.rule not in STRAIGHT:
            return
        if found.part is None:
            self._leaving.all(watch, found, now)
        elif watch.closing is Closing.NOTHING and watch.may_try(now):
            self._leaving.a_part(watch, moment, self._memory.calendar)

    def _session(self, day: date) -> Session | None:
        return next((s for s in self._memory.calendar if s.day == day), None)
