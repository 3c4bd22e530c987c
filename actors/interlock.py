"""The interlock: looks four times a second whether all is well that a position will need, and stops entries if not.

Two looks, each on a thread of its own, so that a server that hangs does not blind the other: at the streams (do they
answer, how far is the tracker behind), and at the rows (everything). One process holds the lease and watches; every
gate judges the same rows once more when it decides, so that entries stop even while nobody watches.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from actors import trading_state
from actors.desk import Desk, held_lease
from actors.losses import Losses
from actors.pulse import Pulse
from db import accounts, interlocks, marks, sessions, vital_signs
from db.interlocks import RECONCILIATION
from db.leases import Lease
from domain.ids import AccountName
from domain.interlock import unwell
from domain.known import Known, Unknown
from domain.session import Session, trading_day

log = logging.getLogger(__name__)

#: How often it looks, and how often at losses: they ask for the account's lock.
TICK: Final = timedelta(milliseconds=250)
LOSS_TICK: Final = timedelta(seconds=1)

#: How long the oldest fill that the tracker has not applied has waited; raises when the streams do not answer.
Lag = Callable[[], timedelta]


@dataclass(slots=True)
class Interlock:
    """*lease* returns the lease under which this copy watches, None while another one does."""

    desk: Desk
    pulse: Pulse
    losses: Callable[[], Losses]
    lag: Lag
    lease: Callable[[], Lease | None]
    _losses_at: datetime | None = field(default=None, init=False)

    name = "interlock"

    def look_at_streams(self, _: datetime) -> None:
        """Say that the streams answer, and up to when fills are applied."""
        if self.lease() is None:
            return
        asked_at, lag = self.desk.wall(), self.lag()
        with self.desk.engine.begin() as tx:
            vital_signs.note(tx, vital_signs.STREAMS, asked_at)
            vital_signs.note(tx, vital_signs.TRACKER_LAG, asked_at - lag)

    def look_at_rows(self, now: datetime) -> None:
        """Engage what is lost and release what is back, in every account."""
        lease = self.lease()
        if lease is None:
            return
        token = held_lease.set(lease)
        try:
            for account in self._names():
                self._watch(account)
            if self._losses_at is None or now - self._losses_at >= LOSS_TICK:
                self._losses_at = now
                self._look_at_losses(now)
        finally:
            held_lease.reset(token)

    def _names(self) -> Collection[AccountName]:
        with self.desk.engine.connect() as tx:
            return sorted(accounts.names(tx))

    def _watch(self, account: AccountName) -> None:
        """Compare what is with what is written; only a difference asks for the account's lock."""
        with self.desk.engine.connect() as tx:
            wanted = self._causes(tx, account)
            written = dict(interlocks.causes(tx, account))
            state, reason = accounts.state_of(tx, account)
        held = bool(wanted) or RECONCILIATION in written
        written.pop(RECONCILIATION, None)  # the reconciler's own
        if wanted == written and trading_state.agrees(state, reason, held):
            return
        with self.desk.begin() as tx:
            self._write(tx, account, wanted, written)

    def _causes(self, tx: Connection, account: AccountName) -> Mapping[str, str]:
        pulse = self.pulse(tx, account)
        if isinstance(pulse, Unknown):
            return {"pulse": f"pulse unknown: {pulse.reason}"}
        return {sign.part: sign.allowed for sign in unwell(pulse.value)}

    def _write(
        self, tx: Connection, account: AccountName, wanted: Mapping[str, str], written: Mapping[str, str]
    ) -> None:
        accounts.lock(tx, account)
        for cause in written.keys() - wanted.keys():
            log.warning("account %s: %s is well again", account, cause)
            interlocks.release(tx, account, cause)
        for cause, detail in wanted.items():
            if interlocks.engage(tx, account, cause, detail, self.desk.clock()):
                log.warning("account %s: entries stop: %s", account, detail)
        trading_state.follow(self.desk, tx, account, self.name)

    # ------------------------------------------------------------ losses between decisions

    def _look_at_losses(self, now: datetime) -> None:
        """A loss that comes and goes between two recommendations is a loss."""
        session = self._session(now)
        if isinstance(session, Unknown) or not session.value.is_open(now):
            return
        for account in self._names():
            with self.desk.begin() as tx:
                accounts.lock(tx, account)
                held = marks.of_held(tx, account)
                self.losses().look(tx, account, held, session, accounts.equity(tx, account), now)

    def _session(self, now: datetime) -> Known[Session] | Unknown:
        today = trading_day(now)
        with self.desk.engine.connect() as tx:
            found = sessions.between(tx, today, today)
        return Known(found[0], now, "calendar") if found else Unknown(f"no session on {today}", "calendar")
