"""Hosting actors: decode, handle, publish what was decided, acknowledge. The only actor module that knows dramatiq.

A reader is a subscription to one stream: its batch is one dramatiq message. Timers run on the wall, or, on a
recorded day, when the clock's stream says that it moved.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import redis
from dramatiq import Worker
from sqlalchemy.exc import DBAPIError

from actors.clocks import Clock, WallClock
from actors.desk import Desk, announced, held_lease
from actors.failures import TRANSIENT, classify
from actors.keeper import Keeper
from db import heartbeats, leases, outbox
from streams.broker import StreamsBroker
from streams.codec import decode, decode_ticks
from streams.consumer import Entry, Subscription, Waiting
from streams.hooks import DeadLetter, StreamHooks
from streams.names import Stream
from streams.publish import publish_many
from streams.ticks import Ticks

log = logging.getLogger(__name__)

#: How long a fact that was decided can wait because its decider died before publishing it.
SWEEP_EVERY_S: Final = 2.0
#: How often a copy looks whether another one left entries behind, and how long it takes the slot for that, in ms.
ADOPT_EVERY_S: Final = 5.0
MOMENT_MS: Final = 5000
HEARTBEAT_EVERY: Final = timedelta(seconds=3)
#: A process that has not proved itself for so long does not work.
HEARTBEATS_MISSED: Final = 4
EACH_MOVE: Final = timedelta(seconds=1)
#: How long a stop waits for handlers and readers. dramatiq takes what has passed off this again for every thread that
#: it joins, so a dozen readers that end together within a second need a dozen seconds here.
STOP_MS: Final = 20_000


class Delivered(NamedTuple):
    """A fact and the wall time at which it entered its stream."""

    fact: Any
    wall_at: datetime


Handle = Callable[[Sequence[Delivered]], None]
Timer = Callable[[datetime], None]


class Ticked(NamedTuple):
    """The quotes of one entry and the wall time at which it entered its stream, in ms since 1970."""

    ticks: Ticks
    wall_ms: int


def ticked(entry: Entry) -> Ticked:
    """Return the quotes in *entry*, or raise Undecodable."""
    ms, _, _ = entry.id.partition("-")
    return Ticked(decode_ticks(entry.fields), int(ms))


def delivered(entry: Entry) -> Delivered:
    """Return the fact in *entry*, or raise Undecodable."""
    ms, _, _ = entry.id.partition("-")
    return Delivered(decode(entry.fields), datetime.fromtimestamp(int(ms) / 1000, UTC))


@dataclass(frozen=True, slots=True)
class WaitingRoom:
    """What may wait in a backlog, and how *count* at a time of it are handled."""

    may_wait: Callable[[Entry], bool]
    handle: Handle
    count: int


@dataclass(slots=True)
class _Timer:
    every: timedelta
    run: Timer
    due: datetime | None = None
    done_at: datetime | None = None

    def run_if_due(self, now: datetime) -> None:
        """On a recorded day: a timer of a second or less runs whenever the clock moves."""
        if self.due is None or now >= self.due or self.every <= EACH_MOVE:
            self.due = now + self.every
            self.run(now)


@dataclass(slots=True)
class Runtime:
    """Hosts readers and timers of one process on one dramatiq Worker. *instance* names the process in leases."""

    desk: Desk
    client: redis.Redis
    clock: Clock
    instance: str
    on_dead: Callable[[DeadLetter], None]
    hooks: StreamHooks
    slots: int
    block_ms: int = 1000
    _broker: StreamsBroker = field(init=False)
    _keepers: list[Keeper] = field(default_factory=list, init=False)
    _threads: list[threading.Thread] = field(default_factory=list, init=False)
    _clocked: dict[str, list[_Timer]] = field(default_factory=dict, init=False)
    _clock_keepers: dict[str, Keeper] = field(default_factory=dict, init=False)
    _actors: set[str] = field(default_factory=set, init=False)
    _readers: int = field(default=0, init=False)
    _orphanages: list[Callable[[], None]] = field(default_factory=list, init=False)
    _on_stop: list[Callable[[], object]] = field(default_factory=list, init=False)
    _beaten_at: float | None = field(default=None, init=False)  # monotonic seconds
    _stop: threading.Event = field(default_factory=threading.Event, init=False)
    _worker: Worker | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._broker = StreamsBroker(client=self.client, middleware=[], hooks=self.hooks)

    # ------------------------------------------------------------ what is hosted

    def read(
        self,
        stream: str,
        group: str,
        handle: Callable[[Sequence[Any]], None],
        *,
        count: int = 100,
        keeper: Keeper | None = None,
        opened: Callable[[Entry], Any] = delivered,
    ) -> None:
        """Hand every batch of *stream* to *handle*, under the partition's lease, or under that of *keeper*.

        *opened* makes of an entry what the handler gets.
        """
        keeper = keeper or self.keep(f"{group}:{stream}")
        self._add(stream, group, keeper, f"{group}-0", handle, count, opened=opened)

    def read_slot(
        self, stream: str, group: str, handle: Handle, *, count: int = 100, waiting: WaitingRoom | None = None
    ) -> None:
        """Share *stream* with other copies: each reads under the lease of a slot of its own.

        What *waiting* chooses in a backlog is handled by one of the copies, apart from the rest.
        """
        consumers = {f"{slots_of(stream, group)}{slot}": f"{group}-{slot}" for slot in range(self.slots)}
        keeper = self.keep(*consumers)
        aside = None if waiting is None else Waiting(f"{group}-waiting", self._chooser(waiting.may_wait))
        actor = self._add(stream, group, keeper, _follows(keeper, consumers), handle, count, waiting=aside)
        if waiting is not None and aside is not None:
            self._subscribe_waiting(stream, group, aside, waiting)
        self._orphanages.append(lambda: self._adopt(actor, keeper, consumers))

    def keep(self, *names: str) -> Keeper:
        """Return a keeper of the first of these leases that is free: one among all processes holds it at a time."""
        keeper = Keeper(self.desk.engine, names, self.instance)
        self._keepers.append(keeper)
        keeper.start()
        return keeper

    def every(self, actor: str, interval: timedelta, run: Timer) -> None:
        """Call *run* about every *interval* of the clock; one that fails is called again at its next time."""
        self._clocked.setdefault(actor, []).append(_Timer(interval, run))
        self._actors.add(_whose(actor))

    def clock_under(self, actor: str, keeper: Keeper) -> None:
        """On a recorded day, run the timers of *actor* under a lease that it has for something else too."""
        self._clock_keepers[actor] = keeper

    def on_stop(self, run: Callable[[], object]) -> None:
        """Call *run* when the runtime stops, before leases are given back."""
        self._on_stop.append(run)

    # ------------------------------------------------------------ life

    def start(self) -> None:
        for actor, timers in self._clocked.items():
            self._start_timers(actor, timers)
        self._worker = Worker(self._broker, worker_threads=max(self._readers, 1), worker_timeout=self.block_ms)
        self._worker.start()
        self._thread("heartbeat", self._beat)
        self._thread("outbox sweep", self._sweep)
        if self._orphanages:
            self._thread("orphans", self._look_after_orphans)

    def stop(self) -> None:
        """Stop reading, let handlers finish, give leases back."""
        self._stop.set()
        if self._worker is not None:
            self._worker.stop(timeout=STOP_MS)
        for run in self._on_stop:
            run()
        for keeper in self._keepers:
            keeper.stop()
        for thread in self._threads:
            thread.join(timeout=1)

    def wait(self, timeout_s: float | None = None) -> bool:
        return self._stop.wait(timeout_s)

    def trouble(self) -> str | None:
        """Return why this process does not work, None when it does: its heartbeat is a row, and the streams answer."""
        if self._beaten_at is None:
            return "no heartbeat yet"
        silent_s = time.monotonic() - self._beaten_at
        if silent_s > HEARTBEATS_MISSED * HEARTBEAT_EVERY.total_seconds():
            return f"no heartbeat for {silent_s:.0f} s"
        try:
            self.client.ping()
        except redis.RedisError as e:
            return f"the streams do not answer: {e}"
        return None

    # ------------------------------------------------------------ readers

    def _subscribe_waiting(self, stream: str, group: str, aside: Waiting, room: WaitingRoom) -> None:
        keeper = self.keep(f"{group}:{stream}.waiting")
        self._add(stream, group, keeper, aside.consumer, room.handle, room.count, of_waiting=aside)

    def _chooser(self, may_wait: Callable[[Entry], bool]) -> Callable[[Sequence[Entry]], Sequence[Entry]]:
        def chosen(page: Sequence[Entry]) -> Sequence[Entry]:
            self.clock.refresh()
            return [entry for entry in page if may_wait(entry)]

        return chosen

    def _add(
        self,
        stream: str,
        group: str,
        keeper: Keeper,
        consumer: str | Callable[[], str],
        handle: Callable[[Sequence[Any]], None],
        count: int,
        *,
        waiting: Waiting | None = None,
        of_waiting: Waiting | None = None,
        opened: Callable[[Entry], Any] = delivered,
    ) -> Any:
        """Subscribe, and return the dramatiq actor behind the subscription."""
        self._actors.add(group)
        self._readers += 1
        subscription = Subscription(
            stream=stream,
            group=group,
            consumer=consumer,
            count=count,
            block_ms=self.block_ms,
            allowed=keeper.is_held,
            version=self.desk.origin,
            waiting=waiting,
            of_waiting=of_waiting,
        )

        def run(batch: Sequence[Entry]) -> None:
            self.clock.refresh()
            token = held_lease.set(keeper.lease)
            try:
                handle([opened(entry) for entry in batch])
            finally:
                held_lease.reset(token)
            self.publish()

        return self._broker.subscribe(subscription, run, classify=classify, on_dead=self.on_dead)

    def publish(self) -> None:
        """Send what the running handler decided; what a crash leaves in the outbox is sent by the sweep."""
        if announced.get():
            self._drain()
            announced.set(False)

    def _drain(self) -> None:
        while outbox.drain(self.desk.engine, self._send) == outbox.PAGE:
            pass

    def _sweep(self) -> None:
        """Publish what nobody came to publish: its decider died after the commit."""
        while not self._stop.wait(SWEEP_EVERY_S):
            try:
                self._drain()
            except TRANSIENT as e:
                log.warning("the outbox waits: %s", e)

    def _send(self, parcels: Sequence[outbox.Parcel]) -> None:
        publish_many(self.client, [(p.stream, {"type": p.type.encode(), "body": p.body.encode()}) for p in parcels])

    def _adopt(self, actor: Any, keeper: Keeper, consumers: Mapping[str, str]) -> None:
        """Take over what the reader of a slot left pending when nobody holds the slot any more."""
        for name, consumer in consumers.items():
            ours = keeper.lease
            if ours is None:
                return
            if ours.name == name:
                continue
            with self.desk.engine.begin() as tx:
                lease = leases.acquire(tx, name, f"{self.instance} for a moment", MOMENT_MS)
            if lease is None:
                continue
            if adopted := self._broker.adopt(actor, consumer):
                log.warning("took over %d entries that %s had left", adopted, consumer)
            with self.desk.engine.begin() as tx:
                leases.release(tx, lease)

    def _look_after_orphans(self) -> None:
        while not self._stop.wait(ADOPT_EVERY_S):
            for adopt in self._orphanages:
                try:
                    adopt()
                except TRANSIENT as e:
                    log.warning("cannot look after orphaned entries: %s", e)

    # ------------------------------------------------------------ timers

    def _start_timers(self, actor: str, timers: Sequence[_Timer]) -> None:
        if isinstance(self.clock, WallClock):
            for timer in timers:
                self._thread(f"{actor} timer", lambda timer=timer: self._tick(timer))  # type: ignore[misc]
            return

        def moved(batch: Sequence[Delivered]) -> None:
            for item in batch:
                for timer in timers:
                    timer.run_if_due(item.fact.at)

        self.read(Stream.CLOCK, actor, moved, count=1, keeper=self._clock_keepers.get(actor))

    def _tick(self, timer: _Timer) -> None:
        """Run at once, then again and again: what waits for the first comparison need not wait for the second."""
        while True:
            try:
                timer.run(self.clock())
                self.publish()
                timer.done_at = self.desk.wall()
            except Exception:
                log.exception("a timer failed; it runs again in %s", timer.every)
            if self._stop.wait(timer.every.total_seconds()):
                return

    def _beat(self) -> None:
        while True:
            try:
                if self._beat_once():
                    self._beaten_at = time.monotonic()
            except DBAPIError as e:
                log.warning("no heartbeat: %s", e)
            if self._stop.wait(HEARTBEAT_EVERY.total_seconds()):
                return

    def _beat_once(self) -> bool:
        """Write a heartbeat for each actor that is alive; False when one of them is not."""
        alive = {actor: self._alive_at(actor) for actor in sorted(self._actors)}
        with self.desk.engine.begin() as tx:
            for actor, at in alive.items():
                if at is not None:
                    heartbeats.beat(tx, actor, self.instance, self.desk.origin, at)
        return None not in alive.values()

    def _alive_at(self, actor: str) -> datetime | None:
        """Return when *actor* last proved itself: its slowest timer done, or now if it has none of its own."""
        timers = [t for name, timers in self._clocked.items() if _whose(name) == actor for t in timers]
        quick = [t.done_at for t in timers if t.every <= HEARTBEAT_EVERY]
        if not quick or not isinstance(self.clock, WallClock):
            return self.desk.wall()
        return None if None in quick else min(at for at in quick if at is not None)

    def _thread(self, name: str, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()


def _follows(keeper: Keeper, consumers: Mapping[str, str]) -> Callable[[], str]:
    """Return what answers with the consumer of the slot that *keeper* holds now, or held or would hold otherwise."""
    last = [next(iter(consumers.values()))]

    def consumer() -> str:
        if held := keeper.lease:
            last[0] = consumers[held.name]
        return last[0]

    return consumer


def slots_of(stream: str, group: str) -> str:
    """Return how the leases of the slots of a stream's readers begin."""
    return f"{group}:{stream}:"


def _whose(timers: str) -> str:
    """Return the actor behind a set of timers: the executor has two."""
    return timers.partition("-")[0]
