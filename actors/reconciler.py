"""reconciler: Alpaca's book against our rows, at start, at once after doubts, and on a timer.

It acts only on what two readings say, some seconds apart; a failed read changes nothing. What the brokerage holds
and we do not is adopted with a default exit plan; what we hold and it does not leaves by an adjustment that says so,
never by an invented trade. Much vanishing at once needs a person.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from actors import trading_state
from actors.desk import Desk
from brokerage.port import Brokerage, BrokerageError, BrokerPosition
from db import accounts, broker_book, doubts, drift, positions, sessions
from db.accounts import NOT_RECONCILED
from db.interlocks import RECONCILIATION
from domain.events import DriftFound, PositionAdjusted
from domain.ids import AccountName, fact_id
from domain.known import Known
from domain.reconcile import Difference, differences, needs_a_person
from domain.session import Session, trading_day
from streams.names import Stream

log = logging.getLogger(__name__)

#: Two readings that agree and lie this far apart are believed: a fill in flight is applied by then.
BETWEEN_READINGS: Final = timedelta(seconds=10)
#: A comparison that is older says nothing about now.
STALE: Final = timedelta(minutes=2)
#: A doubt about a brokerage that cannot be read is looked into again after this.
AFTER_FAILURE: Final = timedelta(seconds=5)
#: How far the calendar is kept for actors without keys.
CALENDAR_BACK, CALENDAR_AHEAD = timedelta(days=7), timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Reconciler:
    desk: Desk
    brokerages: Mapping[AccountName, Brokerage]
    _calendar: dict[date, tuple[Session, ...]] = field(default_factory=dict, init=False)
    _failed_at: dict[AccountName, datetime] = field(default_factory=dict, init=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, init=False)

    name = "reconciler"

    def begin(self, now: datetime) -> None:
        """At start: what was not compared lately is compared before anything opens again."""
        with self.desk.begin() as tx:
            for account, last in accounts.reconciled_at(tx).items():
                if last is None or now - last > STALE:
                    detail = NOT_RECONCILED if last is None else f"not reconciled since {last}"
                    trading_state.engage(self.desk, tx, account, RECONCILIATION, detail, self.name)

    def handle_timer(self, now: datetime) -> None:
        """Compare every account once; one that cannot be read is left as it is."""
        with self._turn:
            for account in self.brokerages:
                self.reconcile(account, now)

    def handle_doubts(self, now: datetime) -> None:
        """Compare at once the accounts in which something spoke against our rows; while others are compared, later."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            with self.desk.engine.connect() as tx:
                doubted = doubts.accounts(tx, now - BETWEEN_READINGS)
            for account in doubted:
                if account in self.brokerages and self._may_be_asked(account, now):
                    self.reconcile(account, now)
        finally:
            self._turn.release()

    def _may_be_asked(self, account: AccountName, now: datetime) -> bool:
        failed_at = self._failed_at.get(account)
        return failed_at is None or now - failed_at >= AFTER_FAILURE

    def reconcile(self, account: AccountName, now: datetime, *, fix: bool = False) -> tuple[Difference, ...] | None:
        """Compare *account* and return what differs, None when the brokerage could not be read.

        *fix*: a person asked for it: mend at once what one reading shows.
        """
        brokerage = self.brokerages[account]
        try:
            stated = brokerage.account()
            held = brokerage.positions()
            self._read_calendar(brokerage, now)
        except BrokerageError as e:
            log.warning("account %s could not be read, nothing is changed: %s", account, e)
            self._failed_at[account] = now
            return None
        self._failed_at.pop(account, None)
        with self.desk.begin() as tx:
            if not self._is_ours(tx, account, stated.account_number):
                return None
            broker_book.keep(tx, account, {p.symbol: p.qty for p in held})
            found = self._compare(tx, account, held)
            self._act(tx, account, found, now, fix)
            accounts.mark_reconciled(tx, account, stated.account_number, now)
            accounts.note_equity(tx, account, Known(stated.equity_usd, now, "account"))
            if not found:  # rows equal the brokerage's book
                trading_state.release(self.desk, tx, account, RECONCILIATION, self.name, "reconciled")
        return found

    def _is_ours(self, tx: Connection, account: AccountName, number: str) -> bool:
        """The keys open the account that our rows belong to (R17); otherwise nothing opens and nothing is compared."""
        known = accounts.broker_account_number(tx, account)
        other = accounts.owner_of(tx, number)
        if known in (None, number) and other in (None, account):
            return True
        if known in (None, number):
            known = f"none: it is the account of {other}"
        log.error("account %s: the keys open %s, our rows belong to %s", account, number, known)
        reason = f"the keys open account {number}, our rows belong to {known}"
        trading_state.restrict(self.desk, tx, account, reason, self.name)
        return False

    def _read_calendar(self, brokerage: Brokerage, now: datetime) -> None:
        """Keep the calendar for those who hold no keys; once a day is enough."""
        today = trading_day(now)
        if today in self._calendar:
            return
        calendar = brokerage.sessions(today - CALENDAR_BACK, today + CALENDAR_AHEAD)
        with self.desk.begin() as tx:
            sessions.keep(tx, calendar)
        self._calendar.clear()
        self._calendar[today] = calendar

    @staticmethod
    def _compare(tx: Connection, account: AccountName, held: Sequence[BrokerPosition]) -> tuple[Difference, ...]:
        rows = {p.symbol: p.qty for p in positions.all_open(tx, account)}
        broker = {p.symbol: p.qty for p in held}
        return differences(rows, broker, {p.symbol: p.entry_price for p in held})

    def _act(self, tx: Connection, account: AccountName, found: Sequence[Difference], now: datetime, fix: bool) -> None:
        drift.keep_only(tx, account, [d.symbol for d in found])
        held = len(positions.all_open(tx, account))
        # What trades no more is gone for a known reason, however much of it there was.
        surprising = [d for d in found if not (d.rows_qty and sessions.has_ended(tx, d.symbol, now))]
        may_act = fix or not needs_a_person(surprising, held)
        if not may_act:
            log.error("account %s: %d positions would change at once; a person must decide", account, len(surprising))
        for difference in found:
            readings, first_at = drift.observe(
                tx, account, difference.symbol, difference.kind, difference.rows_qty, difference.broker_qty, now
            )
            if readings == 1:
                self._tell(tx, account, difference, first_at)
            if fix or (may_act and readings > 1 and now - first_at >= BETWEEN_READINGS):
                self._mend(tx, account, difference, first_at, now)

    def _tell(self, tx: Connection, account: AccountName, found: Difference, first_at: datetime) -> None:
        fact = DriftFound(
            id=fact_id("drift", account, found, first_at),
            at=first_at,
            schema=1,
            cause=self.name,
            origin=self.desk.origin,
            account=account,
            symbol=found.symbol,
            kind=found.kind,
            rows_qty=found.rows_qty,
            broker_qty=found.broker_qty,
        )
        self.desk.announce(tx, Stream.DECISIONS, fact)

    def _mend(self, tx: Connection, account: AccountName, found: Difference, first_at: datetime, now: datetime) -> None:
        fact = PositionAdjusted(
            id=fact_id("adjusted", account, found, first_at),
            at=now,
            schema=1,
            cause=self.name,
            origin=self.desk.origin,
            account=account,
            symbol=found.symbol,
            qty=found.broker_qty,
            price=found.price,
            reason=f"{found.kind}: rows had {found.rows_qty}, the brokerage {found.broker_qty}",
        )
        self.desk.announce(tx, Stream.FILLS, fact, account)
