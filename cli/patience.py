"""Waiting for servers that are away for a moment: a restart of Redis or PostgreSQL does not end a recorded day."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import redis
from sqlalchemy.exc import InterfaceError, OperationalError

#: What a server that is restarting makes of a call.
AWAY: Final = (redis.ConnectionError, redis.TimeoutError, InterfaceError, OperationalError)
#: Between two tries, in seconds.
_PAUSE_S: Final = 0.1

#: After this long without rest something is stuck, and a server is gone, in seconds of the wall.
PATIENCE_S: Final = 60.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server may be away, in seconds; *check* raises when nobody will bring it back."""

    seconds: float
    check: Callable[[], None]

    def __call__(self, call: Callable[[], T]) -> T:
        """Return what *call* returns; it must be one that may be made twice.

        Raises:
            The server's own error, when it stays away for too long.
        """
        until = time.monotonic() + self.seconds
        while True:
            try:
                return call()
            except AWAY:
                self.check()
                if time.monotonic() > until:
                    raise
                time.sleep(_PAUSE_S)
