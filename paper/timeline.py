"""The clock and everything that will happen by itself, in order of time.

Nothing here reads the wall clock except `target`, and only while the clock runs: at speed 0 the clock moves when it
is told to. Events of one instant run in the order of their rank, then of their scheduling.
"""

import heapq
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum


class Rank(IntEnum):
    """Which of several events of one instant comes first."""

    OPEN = 0
    MARKET = 1
    BROKERAGE = 2
    ORDER = 3
    CLOSE = 4


@dataclass(order=True, slots=True)
class Event:
    """Something that will happen at *at*, unless it is called off before."""

    at: datetime
    rank: Rank
    turn: int
    action: Callable[[], None] = field(compare=False)
    called_off: bool = field(default=False, compare=False)


class Timeline:
    """A clock that never goes back, and the queue of what is due."""

    def __init__(self, start: datetime, speed: float) -> None:
        self.now = start
        self.speed = speed
        self._anchor = start
        self._anchor_wall = time.monotonic()
        self._queue: list[Event] = []
        self._turns = itertools.count()

    def schedule(self, at: datetime, rank: Rank, action: Callable[[], None]) -> Event:
        """Let *action* happen at *at*; an instant that has passed means as soon as the clock moves."""
        event = Event(at, rank, next(self._turns), action)
        heapq.heappush(self._queue, event)
        return event

    def next_at(self) -> datetime | None:
        """When the next thing happens by itself; None when nothing will."""
        while self._queue and self._queue[0].called_off:
            heapq.heappop(self._queue)
        return self._queue[0].at if self._queue else None

    def advance(self, to: datetime) -> None:
        """Move the clock to *to*, letting every due event happen at its own time."""
        while (at := self.next_at()) is not None and at <= to:
            event = heapq.heappop(self._queue)
            self.now = max(self.now, event.at)
            event.action()
        self.now = max(self.now, to)

    def jump(self, to: datetime) -> None:
        """Advance by order of the control port; a running clock goes on from there."""
        self.advance(to)
        self._anchor_here()

    def run_at(self, speed: float) -> None:
        """Let the clock run at *speed* seconds per second from now on; 0 stops it."""
        self.advance(self.target())
        self.speed = speed
        self._anchor_here()

    def target(self) -> datetime:
        """What the clock would show now."""
        if not self.speed:
            return self.now
        elapsed = timedelta(seconds=(time.monotonic() - self._anchor_wall) * self.speed)
        return max(self.now, self._anchor + elapsed)

    def wall_seconds_until(self, at: datetime) -> float:
        """How long until the running clock shows *at*."""
        return max(0.0, (at - self.target()).total_seconds() / self.speed)

    def _anchor_here(self) -> None:
        self._anchor, self._anchor_wall = self.now, time.monotonic()
