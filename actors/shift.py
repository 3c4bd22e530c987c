"""Who evaluates a partition of the ticks now: the copy of exit that holds its lease. The others stand by.

A copy that stands by looks four times a second at when each open position is to be evaluated next, and at the sign of
life of the evaluator itself. What was left alone for twice the time is taken away from whoever has it, dead, hung or
slow, and evaluated here. It shares no process with the one that it watches; what the other one still writes is refused,
because every transaction proves its lease.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from actors.desk import Desk, held_lease
from actors.exit import ExitActor
from actors.keeper import Keeper
from db import evaluations, leases, vital_signs
from db.leases import Lease, LeaseLost
from domain.events import Fact
from streams.ticks import Ticks

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Shift:
    """One copy of exit for one partition. *within*: how long a position, or the evaluator, may be unheard of.

    *keeper* keeps the lease of the partition; *sign* is the name of the evaluator's sign of life.
    """

    desk: Desk
    exit: ExitActor
    keeper: Keeper
    sign: str
    within: timedelta
    _epoch: int | None = field(default=None, init=False)

    # ------------------------------------------------------------ on duty

    def handle_ticks(self, batch: Sequence[Ticks]) -> int:
        self._take_notice(held_lease.get())
        return self.exit.handle_ticks(batch)

    def handle_decisions(self, batch: Sequence[Fact]) -> None:
        """Partitions that others evaluate learn of it when they load their rows again."""
        if (lease := self.keeper.lease) is not None:
            self._take_notice(lease)
            with _under(lease):  # facts are read under one partition's lease and told to all
                self.exit.handle_decisions(batch)

    def on_timer(self, now: datetime) -> None:
        """Evaluate what time decides, and say that it was done.

        Raises:
            LeaseLost: another copy evaluates. A recorded day waits until one of them did.
        """
        lease = self.keeper.lease
        if lease is None:
            raise LeaseLost(f"lease {self.keeper.name} is not ours")
        self._take_notice(lease)
        with _under(lease):
            self.exit.handle_timer(now)
            self._show_life()

    def on_wall_timer(self, now: datetime) -> None:
        """Do so while it is ours to do."""
        if self.keeper.lease is None:
            return
        try:
            self.on_timer(now)
        except LeaseLost as e:
            log.warning("another copy evaluates: %s", e)

    def _take_notice(self, lease: Lease | None) -> None:
        """Under a new lease memory begins anew: what was known before may be old."""
        if lease is not None and lease.epoch != self._epoch:
            self._epoch = lease.epoch
            self.exit.forget()

    def _show_life(self) -> None:
        with self.desk.begin() as tx:
            vital_signs.note(tx, self.sign, self.desk.wall())

    # ------------------------------------------------------------ standing by

    def stand_by(self, now: datetime) -> None:
        """Take over what was left alone for twice the time."""
        if self.keeper.lease is not None:
            return
        with self.desk.engine.connect() as tx:
            seen = leases.holder(tx, self.keeper.name)
            abandoned = self._abandoned(tx)
        if seen is None or not abandoned or not self.keeper.seize(seen):
            return
        log.error("%s (epoch %d) left alone: %s; it is evaluated here now", seen.holder, seen.epoch, abandoned)
        self.on_wall_timer(now)

    def _abandoned(self, tx: Connection) -> str:
        """Return what nobody has looked at for twice the time, in words; empty when all is well."""
        late = [e.symbol for e in evaluations.of_open(tx) if self.exit.covers(e.symbol) and e.is_abandoned]
        if late:
            return ", ".join(late)
        shown_at = vital_signs.noted_at(tx, self.sign)
        silent = shown_at is not None and self.desk.wall() - shown_at > 2 * self.within
        return "the evaluator itself" if silent else ""


@contextmanager
def _under(lease: Lease) -> Iterator[None]:
    token = held_lease.set(lease)
    try:
        yield
    finally:
        held_lease.reset(token)
