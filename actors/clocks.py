"""The two clocks: the wall, and the clock of a recorded day.

A recorded day moves its clock by a key; a handler sees one moment from its first to its last line.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Protocol

import redis

#: The key that holds the time of a recorded day, UTC ISO text.
CLOCK_KEY: Final = "gapless:clock"


class Clock(Protocol):
    def __call__(self) -> datetime: ...

    def refresh(self) -> None:
        """Look at the time; called before each handler."""
        ...


class WallClock:
    def __call__(self) -> datetime:
        return datetime.now(UTC)

    def refresh(self) -> None:
        """The wall needs no look."""


class RecordedClock:
    """The time that the driver of a recorded day has set."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._now: datetime | None = None

    def __call__(self) -> datetime:
        if self._now is None:
            self.refresh()
        if self._now is None:
            raise RuntimeError(f"{CLOCK_KEY}: no recorded day has set its clock")
        return self._now

    def refresh(self) -> None:
        """Read the key; the time never goes back."""
        raw = self._client.get(CLOCK_KEY)
        if isinstance(raw, bytes):
            self._now = datetime.fromisoformat(raw.decode())


def set_recorded_clock(client: redis.Redis, now: datetime) -> None:
    client.set(CLOCK_KEY, now.isoformat())
