"""How many copies of an actor read now: each may send only its part of what the brokerage grants an account."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from db import leases

log = logging.getLogger(__name__)

#: A copy that came or went is noticed after this many seconds.
LOOK_EVERY_S: Final = 3.0


class Copies:
    """Counts the live leases whose names begin with *prefix*; at least one: whoever asks is there."""

    def __init__(self, engine: Engine, prefix: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._prefix, self._clock = engine, prefix, clock
        self._number, self._until = 1, float("-inf")

    def __call__(self) -> int:
        if self._clock() >= self._until:
            self._number, self._until = self._count(), self._clock() + LOOK_EVERY_S
        return self._number

    def _count(self) -> int:
        try:
            with self._engine.connect() as tx:
                return max(leases.count_live(tx, self._prefix), 1)
        except SQLAlchemyError as e:
            log.warning("cannot count the copies of %s, still %d: %s", self._prefix, self._number, e)
            return self._number
