"""Driving recorded days: the clock moves when nothing is under way, so a day has one outcome at any speed.

Each step: the clock's key, then the local Alpaca up to that moment, then what is recommended at it, one by one, then
the timers; after each of these everything comes to rest. Steps lie where something happens by itself: a quote, a
recommendation, an order's or a position's deadline.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import redis
from sqlalchemy import Engine

from actors.clocks import set_recorded_clock
from cli.day import Day, Recommended
from cli.paper_control import PaperControl
from cli.patience import Patience
from cli.quiet import Quiet
from cli.settings import Settings
from db import deadlines
from domain.events import ClockMoved, RecommendationIssued
from domain.ids import fact_id
from streams.codec import encode
from streams.names import Stream
from streams.publish import Fields, publish

#: A wait for the wall is cut into pieces of this many seconds, so that a stop is noticed.
_NAP_S: Final = 0.05


@dataclass(slots=True)
class Driver:
    """*speed*: seconds of the day in a second of the wall, None for as fast as it goes. *on_step* may raise to stop."""

    client: redis.Redis
    engine: Engine
    paper: PaperControl
    quiet: Quiet
    patience: Patience
    entry_ttl: timedelta
    speed: float | None
    on_step: Callable[[datetime], None]
    _market_from: datetime = field(init=False)
    _sent: Mapping[str, Any] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._market_from = self.paper.clock().at

    def play(self, days: Sequence[Day]) -> None:
        """Play *days* one after the other."""
        for day in days:
            self._play(day)

    def begin(self, start: datetime, up_s: float | None = None) -> None:
        """Let every actor see the first moment; returns when all of them are up and at rest.

        *up_s*: how long they may take to come up, in seconds of the wall; None for the usual patience.
        """
        self._set_clock(start)
        self._tick(start, up_s)

    def _play(self, day: Day) -> None:
        waiting = list(day.recommended)
        wall_start = time.monotonic()
        now = day.start
        while True:
            self._keep_pace(now - day.start, wall_start)
            waiting = self._step(now, waiting)
            if now >= day.end:
                return
            now = self._next(now, waiting, day.end)

    def _step(self, now: datetime, waiting: list[Recommended]) -> list[Recommended]:
        """Move everything to *now*; return the recommendations that are still to come."""
        self._set_clock(now)
        if self._market_moved(now):
            self.quiet.wait()
        due = [r for r in waiting if r.at <= now]
        for recommended in due:
            self._publish(Stream.RECOMMENDATIONS, recommendation_fields(recommended.body))
            self.quiet.wait()
        self._tick(now)
        self.on_step(now)
        return waiting[len(due) :]

    def _market_moved(self, now: datetime) -> bool:
        """Let the market come to *now*; False when it said nothing on its way. It begins at the open, not before."""
        if now < self._market_from:
            return False
        moved = self.paper.move_to(now)
        spoke, self._sent = moved.sent != self._sent, moved.sent
        return spoke

    def _tick(self, now: datetime, patience_s: float | None = None) -> None:
        """Let the actors run their timers."""
        moved = ClockMoved(id=fact_id("clock", now), at=now, schema=1)
        self._publish(Stream.CLOCK, encode(moved))
        self.quiet.wait(patience_s)

    def _set_clock(self, now: datetime) -> None:
        self.patience(lambda: set_recorded_clock(self.client, now))

    def _publish(self, stream: str, fields: Fields) -> None:
        self.patience(lambda: publish(self.client, stream, fields))

    def _next(self, now: datetime, waiting: Sequence[Recommended], end: datetime) -> datetime:
        deadline = self.patience(lambda: self._deadline(now))
        candidates = [end, deadline, self.paper.clock().next_event, *(r.at for r in waiting[:1])]
        return min(at for at in candidates if at is not None and at > now)

    def _deadline(self, now: datetime) -> datetime | None:
        with self.engine.connect() as tx:
            return deadlines.after(tx, now, self.entry_ttl)

    def _keep_pace(self, into_the_day: timedelta, wall_start: float) -> None:
        if self.speed is None:
            return
        due = wall_start + into_the_day.total_seconds() / self.speed
        while (left := due - time.monotonic()) > 0:
            time.sleep(min(left, _NAP_S))


def driver_of(
    settings: Settings,
    engine: Engine,
    client: redis.Redis,
    paper: PaperControl,
    patience: Patience,
    speed: float | None,
    on_step: Callable[[datetime], None],
) -> Driver:
    """Return the driver of a stack with these servers."""
    return Driver(
        client=client,
        engine=engine,
        paper=paper,
        quiet=Quiet(client, engine, paper, settings.stack.partitions, patience),
        patience=patience,
        entry_ttl=timedelta(seconds=settings.entries.entry_ttl_s),
        speed=speed,
        on_step=on_step,
    )


def recommendation_fields(body: str) -> dict[str, bytes]:
    """Return the entry that a signal engine would add for this line, whatever is in it."""
    return {"type": RecommendationIssued.__name__.encode(), "body": body.encode(errors="surrogateescape")}
