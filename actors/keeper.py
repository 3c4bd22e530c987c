"""Keeping a lease: taken when free, renewed from a thread, and lost in time when it cannot be renewed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from db import leases
from db.leases import Lease

log = logging.getLogger(__name__)

#: How long a lease outlives its last renewal: a successor of a killed holder waits this long.
TTL_MS: Final = 6000
RENEW_EVERY_S: Final = TTL_MS / 1000 / 4


class Keeper:
    """Holds the first of *names* that is free, and keeps it. ``lease`` is None while it has none."""

    def __init__(self, engine: Engine, names: Sequence[str], holder: str) -> None:
        self._engine, self._names, self._holder = engine, tuple(names), holder
        self._lease: Lease | None = None
        self._until = 0.0
        self._turn = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"lease {names[0]}", daemon=True)

    def start(self) -> None:
        self._keep()
        self._thread.start()

    def stop(self) -> None:
        """Give the lease back, so that a successor need not wait."""
        self._stop.set()
        self._thread.join(timeout=RENEW_EVERY_S)
        held = self.lease
        self._lease = None
        if held is None:
            return
        try:
            with self._engine.begin() as tx:
                leases.release(tx, held)
        except SQLAlchemyError as e:
            log.warning("lease %s could not be given back, it runs out by itself: %s", held.name, e)

    @property
    def lease(self) -> Lease | None:
        """The lease, as long as the database would still say that it is ours."""
        return self._lease if time.monotonic() < self._until else None

    @property
    def name(self) -> str:
        """What it keeps, or would keep first."""
        return self._names[0]

    def is_held(self) -> bool:
        return self.lease is not None

    def seize(self, seen: Lease) -> bool:
        """Take the lease away from *seen*; False when it changed hands meanwhile."""
        with self._turn:
            asked_at = time.monotonic()
            with self._engine.begin() as tx:
                taken = leases.seize(tx, seen, self._holder, TTL_MS)
            if taken is None:
                return False
            self._lease, self._until = taken, asked_at + TTL_MS / 1000
            return True

    def _run(self) -> None:
        while not self._stop.wait(RENEW_EVERY_S):
            self._keep()

    def _keep(self) -> None:
        with self._turn:
            self._keep_in_turn()

    def _keep_in_turn(self) -> None:
        asked_at = time.monotonic()
        try:
            with self._engine.begin() as tx:
                self._lease = self._renewed(tx, self._lease) if self._lease else self._first_free(tx)
        except SQLAlchemyError as e:
            log.warning("lease %s could not be renewed: %s", self._names, e)
            return
        if self._lease is not None:
            self._until = asked_at + TTL_MS / 1000

    def _first_free(self, tx: Connection) -> Lease | None:
        taken = (leases.acquire(tx, name, self._holder, TTL_MS) for name in self._names)
        return next((lease for lease in taken if lease is not None), None)

    def _renewed(self, tx: Connection, held: Lease) -> Lease | None:
        """Renew the same lease; one that changed hands meanwhile comes back with another epoch, or not at all."""
        return leases.acquire(tx, held.name, self._holder, TTL_MS) or self._first_free(tx)
