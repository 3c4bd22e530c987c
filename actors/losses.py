"""What an account has lost, watched: a loss at its limit latches when a second look confirms it.

Called under the account's lock, by the gate before it decides and between decisions by the interlock. A latch stops
entries only; exits never ask for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Connection

from actors import trading_state
from actors.desk import Desk
from db import accounts, latches, marks
from db.latches import Latch
from db.marks import OpenMark
from domain.account import Book, LossKind
from domain.ids import AccountName
from domain.known import Known, Unknown
from domain.loss import LossRules, Sighting, drawdown_floor_usd
from domain.money import usd
from domain.session import Session

Mark = Known[Decimal] | Unknown


@dataclass(frozen=True, slots=True)
class _Reading:
    """*observed* in words; *beyond*: at the limit or beyond it; the newest price behind it is of *evidence_at*."""

    kind: LossKind
    observed: str
    beyond: bool
    evidence_at: datetime


@dataclass(frozen=True, slots=True)
class Losses:
    """*by* is written where a latch is made or lifted."""

    desk: Desk
    rules: LossRules
    by: str

    def look(
        self,
        tx: Connection,
        account: AccountName,
        held: Mapping[str, Mark],
        session: Known[Session] | Unknown,
        equity: Known[Decimal] | Unknown,
        now: datetime,
    ) -> Book:
        """Return the book of *account* after latching, or lifting, what is due.

        *held*: the mark of each open position's symbol.
        """
        if isinstance(equity, Known):
            accounts.note_equity(tx, account, equity)
        if isinstance(session, Known):
            self._lift_of_former_sessions(tx, account, session.value, now)
            self._keep_open_marks(tx, account, held, session.value, now)
        book = accounts.read_book(tx, account, held, session, now, self.rules.max_mark_age)
        if isinstance(session, Known):
            latched = self._judge(tx, book, held, session.value.day, equity, now)
            book = replace(book, latched=latched)
        return book

    def _lift_of_former_sessions(self, tx: Connection, account: AccountName, session: Session, now: datetime) -> None:
        """A new session begins anew, unless the configuration wants a person; what was only seen once is forgotten."""
        for kind, latch in latches.live(tx, account).items():
            if latch.day >= session.day or not session.is_open(now):
                continue
            if latch.latched_at is None:
                latches.forget(tx, account, kind)
            elif not self.rules.until_person:
                latches.lift(tx, account, kind, self.by, f"the session of {session.day} has begun", now)
                accounts.record_change(tx, account, now, self.by, f"{kind} latch lifted", f"session of {session.day}")

    def _keep_open_marks(
        self, tx: Connection, account: AccountName, held: Mapping[str, Mark], session: Session, now: datetime
    ) -> None:
        """What nobody marked at the open is marked now; how late that is decides what it is worth."""
        if session.is_open(now):
            marks.keep_open(tx, _late_marks(tx, account, held, session))

    # ------------------------------------------------------------ latching

    def _judge(
        self,
        tx: Connection,
        book: Book,
        held: Mapping[str, Mark],
        day: date,
        equity: Known[Decimal] | Unknown,
        now: datetime,
    ) -> frozenset[LossKind]:
        """Latch what is confirmed, note what is seen for the first time, forget what is not seen again."""
        live = latches.live(tx, book.account)
        latched = set(book.latched)
        for reading in _readings(book, held, equity, now):
            latch = live.get(reading.kind)
            if latch is not None and latch.latched_at is not None:
                continue
            if self._latches(tx, book.account, latch, reading, day, now):
                self._tell(tx, book, reading, now)
                latched.add(reading.kind)
        return frozenset(latched)

    @staticmethod
    def _latches(
        tx: Connection, account: AccountName, latch: Latch | None, reading: _Reading, day: date, now: datetime
    ) -> bool:
        sighting = Sighting(seen_at=now, evidence_at=reading.evidence_at)
        if not reading.beyond:
            latches.forget(tx, account, reading.kind)
            return False
        if latch is None:
            latches.see(tx, account, reading.kind, day, reading.observed, sighting)
            return False
        if not latch.sighting.is_confirmed_by(sighting):
            return False
        latches.confirm(tx, account, reading.kind, day, reading.observed, now)
        return True

    def _tell(self, tx: Connection, book: Book, reading: _Reading, now: datetime) -> None:
        what = f"{reading.kind} latched"
        accounts.record_change(tx, book.account, now, self.by, what, reading.observed)
        trading_state.announce(self.desk, tx, book.account, book.state, f"{what}: {reading.observed}", self.by)


def _readings(
    book: Book, held: Mapping[str, Mark], equity: Known[Decimal] | Unknown, now: datetime
) -> Iterable[_Reading]:
    """What is unknown is no loss and no recovery: it refuses, and neither latches nor forgets."""
    limits, pnl, peak = book.limits, book.daily_pnl_usd, book.equity_peak_usd
    if isinstance(pnl, Known):
        newest = max((mark.at for mark in held.values() if isinstance(mark, Known)), default=now)
        floor = -limits.max_daily_loss_usd
        observed = f"daily P&L {usd(pnl.value)} USD at or beyond {floor}"
        yield _Reading(LossKind.DAILY_LOSS, observed, pnl.value <= floor, newest)
    if isinstance(equity, Known) and peak is not None and limits.has_drawdown:
        floor = drawdown_floor_usd(limits, peak)
        observed = f"equity {usd(equity.value)} USD at or under {usd(floor)}, from a peak of {usd(peak)}"
        yield _Reading(LossKind.DRAWDOWN, observed, equity.value <= floor, equity.at)


def _late_marks(tx: Connection, account: AccountName, held: Mapping[str, Mark], session: Session) -> Iterable[OpenMark]:
    unmarked = marks.unmarked(tx, account, session)
    for position_id, symbol in unmarked.items():
        mark = held.get(symbol)
        if isinstance(mark, Known) and mark.at >= session.open:
            yield OpenMark(position_id, session.day, mark.value, mark.at)
