"""Sending what the rows of one account want sent while no executor does it: its own code, under its own leases.

A lease that somebody renews belongs to an executor that lives: its lane is left to it. One that nobody holds, or that
runs out, is taken, and given back at the end. Two senders never work on one lane; and should a sender that was held up
wake in the middle of a call, the client order id makes its order the same order.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from actors.desk import Desk, held_lease
from actors.executor import Executor
from actors.failures import TRANSIENT
from actors.keeper import Keeper
from actors.pauses import FIRST_PAUSE_S, growing
from brokerage.port import BrokerageError, NotAuthorized
from db import leases, orders
from db.orders import OrderRow
from domain.ids import AccountName
from domain.orders import OrderStatus
from streams.names import Stream, partition_of, partitioned

log = logging.getLogger(__name__)

_AT_ONCE: Final = timedelta(0)


@dataclass(slots=True)
class StandIn:
    """Sends for *account* alone. *holder* is its name in leases, *clock* in seconds of any origin."""

    desk: Desk
    account: AccountName
    holder: str
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    trouble: str | None = field(default=None, init=False)

    def is_needed(self) -> bool:
        """Does something wait that no executor will do? Whoever renews both leases lives; one runs out, or is free."""
        first: dict[str, datetime] = {}
        while self.waiting():
            seen = self._held_until()
            if None in seen.values():
                return True
            held = {name: at for name, at in seen.items() if at is not None}
            if all(first.setdefault(name, at) != at for name, at in held.items()):
                return False
            self.sleep(FIRST_PAUSE_S)
        return False

    def pursue(self, entries: Executor, exits: Executor, within_s: float) -> None:
        """Send and cancel until nothing waits, or for *within_s* seconds.

        Raises:
            NotAuthorized: the keys were refused.
        """
        until, pauses = self.clock() + within_s, growing()
        with self._kept(Stream.ENTRIES) as of_entries, self._kept(Stream.EXITS) as of_exits:
            while self.waiting():
                self._sweep(of_entries, entries)
                self._sweep(of_exits, exits)
                pause = next(pauses)
                if self.clock() + pause > until:
                    return
                self.sleep(pause)

    def waiting(self) -> Sequence[OrderRow]:
        """Return the orders of ours that are to be sent, or to end, and have not."""
        with self.desk.engine.connect() as tx:
            live = orders.live(tx, self.account)
        return [
            r
            for r in live
            if not r.external and (r.status is not OrderStatus.ACCEPTED or r.cancel_asked_at is not None)
        ]

    def _lease(self, stream: Stream) -> str:
        return f"executor:{partitioned(stream, partition_of(self.account, self.desk.partitions))}"

    def _held_until(self) -> dict[str, datetime | None]:
        with self.desk.engine.connect() as tx:
            return {name: leases.until(tx, name) for name in map(self._lease, (Stream.ENTRIES, Stream.EXITS))}

    @contextmanager
    def _kept(self, stream: Stream) -> Iterator[Keeper]:
        keeper = Keeper(self.desk.engine, [self._lease(stream)], self.holder)
        keeper.start()
        try:
            yield keeper
        finally:
            keeper.stop()

    def _sweep(self, keeper: Keeper, executor: Executor) -> None:
        """Do what can be done now, as the holder of the lease; what fails is tried in the next round."""
        lease = keeper.lease
        if lease is None:
            return
        token = held_lease.set(lease)
        try:
            executor.sweep(self.desk.clock(), self.account, left_behind=_AT_ONCE)
            self.trouble = None
        except NotAuthorized:
            raise
        except (*TRANSIENT, BrokerageError) as e:
            self.trouble = str(e)
            log.warning("%s: %s", self.account, e)
        finally:
            held_lease.reset(token)
