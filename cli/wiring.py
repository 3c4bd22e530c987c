"""Where the objects are made: each actor with what it needs, and nothing else.

alpaca-py is imported only in processes that talk to Alpaca: gate, executor, feeds and reconciler.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import redis
from sqlalchemy import Engine

from actors import pulse
from actors.clocks import Clock, RecordedClock, WallClock
from actors.copies import Copies
from actors.desk import Desk
from actors.executor import Executor
from actors.exit import ExitActor
from actors.interlock import TICK, Interlock
from actors.keeper import Keeper
from actors.late import AT_ONCE, Late, Read
from actors.losses import Losses
from actors.market import Market
from actors.pulse import Pulse
from actors.reconciler import Reconciler
from actors.runtime import Delivered, Runtime, Ticked, WaitingRoom, slots_of, ticked
from actors.shift import Shift
from actors.tracker import Tracker
from cli import starting
from cli.burial import burial
from cli.credentials import endpoints_of, keys_of
from cli.groups import groups_of
from cli.origin import origin
from cli.rulebook import Rulebook
from cli.ruled import RuledGate, RuledPolicies
from cli.settings import BadConfiguration, Settings
from db import housekeeping, latencies, schema, vital_signs
from domain.events import Fact
from domain.ids import AccountName
from monitoring.metrics import ActorMetrics
from streams.clients import writing_client
from streams.codec import encode
from streams.consumer import Entry
from streams.hooks import StreamHooks
from streams.names import Stream, partition_of, partitioned
from streams.progress import progress
from streams.publish import publish_many
from streams.trim import trim_finished

if TYPE_CHECKING:
    from brokerage.budget import RateBudget
    from brokerage.endpoints import Endpoints, Keys
    from brokerage.port import Brokerage
    from cli.feeding import Feeding

log = logging.getLogger(__name__)

ACTORS: Final = ("gate", "executor", "tracker", "exit", "feeds", "reconciler")
#: How often timers run on the wall clock; a recorded day runs them whenever its clock moves.
EXIT_TIMER: Final = timedelta(seconds=1)
FEEDS_TIMER: Final = timedelta(seconds=1)
SWEEP_TIMER: Final = timedelta(seconds=1)
DOUBTS_TIMER: Final = timedelta(seconds=1)
#: Per cent of an account's requests that each process may send, so that all together stay within Alpaca's limit.
SHARE_PCT: Final = {"gate": 30, "executor": 50, "feeds": 12, "reconciler": 8}
HOUSEKEEPING: Final = timedelta(hours=1)
#: Finished entries stay on their streams for a week: for `record`, and for eyes.
KEEP_STREAMS_MS: Final = 7 * 24 * 3600 * 1000
#: A recorded day waits for exit as long as it takes: nothing is overdue.
CLOCK_WAITS: Final = timedelta(days=1)
#: How many entries of ticks exit takes at once: what a read and an acknowledgement cost is shared by them.
TICKS_AT_ONCE: Final = 1000
#: How long feeds waits for its sockets before it serves without them.
CONNECT_S: Final = 10.0


@dataclass(slots=True)
class Wiring:
    """The parts that actors of one process share."""

    settings: Settings
    engine: Engine
    client: redis.Redis
    clock: Clock
    desk: Desk
    runtime: Runtime
    rules: Rulebook
    _watches: bool = field(default=False, init=False)

    @classmethod
    def connect(
        cls, settings: Settings, *, hooks: StreamHooks | None = None, metrics: ActorMetrics | None = None
    ) -> Wiring:
        """Open the database and the streams.

        Raises:
            BadConfiguration: an address is missing.
            WrongSchema: the database is at another version.
        """
        engine = schema.connect(address(settings, "database_url"))
        schema.require_head(engine)
        client = writing_client(address(settings, "redis_url"))
        return cls.of(settings, engine, client, hooks=hooks, metrics=metrics)

    @classmethod
    def of(
        cls,
        settings: Settings,
        engine: Engine,
        client: redis.Redis,
        *,
        hooks: StreamHooks | None = None,
        metrics: ActorMetrics | None = None,
    ) -> Wiring:
        recorded = settings.stack.clock == "recorded"
        clock: Clock = RecordedClock(client) if recorded else WallClock()
        desk = make_desk(settings, engine, clock, metrics)
        runtime = Runtime(
            desk=desk,
            client=client,
            clock=clock,
            instance=f"{socket.gethostname()}-{os.getpid()}",
            on_dead=burial(desk),
            hooks=hooks or StreamHooks(),
            slots=settings.stack.gate_slots,
        )
        return cls(settings, engine, client, clock, desk, runtime, Rulebook(engine, settings))

    def host(self, actor: str) -> None:
        """Attach *actor* to the runtime."""
        attach: Mapping[str, Callable[[], None]] = {
            "gate": self._gate,
            "executor": self._executor,
            "tracker": self._tracker,
            "exit": self._exit,
            "feeds": self._feeds,
            "reconciler": self._reconciler,
        }
        if actor not in attach:
            raise BadConfiguration(f"actor: one of {', '.join(attach)} is expected, was {actor!r}")
        attach[actor]()

    # ------------------------------------------------------------ actors

    def _gate(self) -> None:
        ports = self._own(self.budgets("gate"))
        starting.require_sane_limits(self.engine, ports, self.clock())
        markets = {name: Market(port, self.clock) for name, port in ports.items()}
        ruled = RuledGate(self.desk, self.rules, markets, self.pulse)

        def handle(batch: Sequence[Delivered]) -> None:
            late = Late(ruled.gate())
            timely, too_old = late.split([Read(item.fact, item.wall_at) for item in batch])
            for read in timely:
                ruled.gate().handle(read.rec, read.wall_at)
                self.runtime.publish()
            if too_old:
                late.refuse(too_old)

        def may_wait(entry: Entry) -> bool:
            return Late(ruled.known()).may_wait(entry.fields.get(b"body", b""))

        room = WaitingRoom(may_wait, handle, AT_ONCE)
        self.runtime.read_slot(Stream.RECOMMENDATIONS, "gate", handle, count=10, waiting=room)
        self._interlock()

    def pulse(self, settings: Settings) -> Pulse:
        if settings.stack.clock == "recorded":
            return pulse.of_recorded_day(self.desk)
        return pulse.of_rows(self.desk, settings.bounds())

    def _interlock(self) -> None:
        """Watch from here while nobody else does. On a recorded day the clock itself waits for every actor."""
        if self.settings.stack.clock == "recorded" or self._watches:
            return
        self._watches = True
        keeper = self.runtime.keep("interlock")
        watch = Interlock(
            desk=self.desk,
            pulse=lambda tx, account: self.pulse(self.rules.settings)(tx, account),
            losses=lambda: Losses(self.desk, self.rules.settings.losses.rules(), Interlock.name),
            lag=self._tracker_lag,
            lease=lambda: keeper.lease,
        )
        self.runtime.every("interlock", TICK, watch.look_at_rows)
        self.runtime.every("interlock-streams", TICK, watch.look_at_streams)

    def _tracker_lag(self) -> timedelta:
        partitions = range(self.settings.stack.partitions)
        fills = {partitioned(Stream.FILLS, partition): ["tracker"] for partition in partitions}
        waiting = [group.oldest_age_ms or 0 for group in progress(self.client, fills).groups]
        return timedelta(milliseconds=max(waiting))

    def _executor(self) -> None:
        ttl = timedelta(seconds=self.settings.entries.entry_ttl_s)
        budgets = self.budgets("executor")
        lanes = ((Stream.ENTRIES, True, "executor-entries"), (Stream.EXITS, False, "executor-exits"))
        for stream, opens, timer in lanes:
            executor = Executor(self.desk, self._own(budgets, for_exits=not opens), ttl, opens)
            self._read_partitions(stream, "executor", _one_by_one(executor.handle, self.runtime), count=10)
            self.runtime.every(timer, SWEEP_TIMER, executor.sweep)

    def _tracker(self) -> None:
        ruled = RuledPolicies(self.desk, self.rules)
        ruled.follow()
        tracker = Tracker(self.desk, self.rules.policy_of)

        def handle(batch: Sequence[Delivered]) -> None:
            ruled.follow()
            tracker.handle([item.fact for item in batch])

        self._read_partitions(Stream.FILLS, "tracker", handle)

    def _exit(self) -> None:
        """Evaluate each partition of the ticks whose lease is ours, and stand by for the others.

        A recorded day waits for every actor, so that nobody need stand by, and one copy does everything.
        """
        meter = _TickMeter(self.engine)
        everything = self.runtime.keep("exit") if self.settings.stack.clock == "recorded" else None
        shifts = [self._shift(partition, meter, everything) for partition in range(self.settings.stack.partitions)]

        def decisions(batch: Sequence[Delivered]) -> None:
            for shift in shifts:
                shift.handle_decisions([item.fact for item in batch])

        self.runtime.read(Stream.DECISIONS, "exit", decisions, keeper=shifts[0].keeper)
        self.runtime.every("exit", EXIT_TIMER, lambda _: meter.flush())
        for shift in shifts:
            if everything is None:
                self.runtime.every("exit", EXIT_TIMER, shift.on_wall_timer)
                self.runtime.every("exit-standby", TICK, shift.stand_by)
            else:
                self.runtime.every("exit", EXIT_TIMER, shift.on_timer)
                self.runtime.clock_under("exit", everything)

    def _shift(self, partition: int, meter: _TickMeter, keeper: Keeper | None) -> Shift:
        stream, number = partitioned(Stream.TICKS, partition), self.settings.stack.partitions
        recorded = self.settings.stack.clock == "recorded"
        within = CLOCK_WAITS if recorded else self.settings.interlock.evaluation_age
        evaluator = ExitActor(
            self.desk,
            covers=lambda symbol: partition_of(symbol, number) == partition,
            instance=self.runtime.instance,
            within=within,
            sources=lambda: self.rules.lately().sources(),
        )
        keeper = keeper or self.runtime.keep(f"exit:{stream}")
        shift = Shift(self.desk, evaluator, keeper, pulse.evaluator_of(partition), within)

        def ticks(batch: Sequence[Ticked]) -> None:
            if shift.handle_ticks([item.ticks for item in batch]):
                now_ms = self.desk.wall().timestamp() * 1000
                meter.add(now_ms - item.wall_ms for item in batch)
                self.desk.metrics.tick_decided((now_ms - batch[0].wall_ms) / 1000)

        self.runtime.read(stream, "exit", ticks, count=TICKS_AT_ONCE, keeper=keeper, opened=ticked)
        return shift

    def _reconciler(self) -> None:
        reconciler = Reconciler(self.desk, self.brokerages(self.budgets("reconciler")))
        reconciler.begin(self.clock())
        interval = timedelta(seconds=self.settings.stack.reconcile_every_s)
        self.runtime.every("reconciler", interval, reconciler.handle_timer)
        self.runtime.every("reconciler", DOUBTS_TIMER, reconciler.handle_doubts)
        self.runtime.every("reconciler", HOUSEKEEPING, self._keep_house)
        self._interlock()

    def _keep_house(self, _: datetime) -> None:
        """Streams go by what every group has finished, never by length; rows that are only delivery go by age."""
        streams = groups_of(self.settings.stack.partitions)
        streams.pop(Stream.CLOCK)
        trim_finished(self.client, streams, keep_ms=KEEP_STREAMS_MS)
        with self.engine.begin() as tx:
            housekeeping.prune(tx)

    def _feeds(self) -> None:
        from actors.feeds import PRICES_ALIVE, TRADES_ALIVE, AccountFeed, Feeds
        from brokerage.feed_thread import Liveness
        from cli.feeding import Feeding

        # On a recorded day a quiet minute of the wall says nothing about a socket.
        patient = Liveness(recycle_s=None, quiet_s=None)
        recorded = self.settings.stack.clock == "recorded"
        budgets = self.budgets("feeds")
        ports = self._own(budgets)
        feeding = Feeding(self.engine, self.client, self.desk, self.settings.stack.watch, self._volatility)
        feeds = Feeds(
            {name: AccountFeed(keys=self.keys(name), brokerage=ports[name]) for name in ports},
            self.endpoints(),
            feeding.doors(),
            self.desk.origin,
            trades_alive=patient if recorded else TRADES_ALIVE,
            prices_alive=patient if recorded else PRICES_ALIVE,
        )
        self.desk.metrics.watch_feeds(feeds.status)
        feeds.start()
        if not feeds.wait_connected(CONNECT_S):
            log.warning("not every feed is connected yet: %s", feeds.status())
        self.runtime.every("feeds", FEEDS_TIMER, feeds.on_timer)
        self.runtime.every("feeds-connected", FEEDS_TIMER, lambda _: self._note_connected(feeds.connected_accounts()))
        first = next(iter(budgets))
        self._second_look(self.brokerages({first: budgets[first]})[first], feeding, recorded=recorded)
        self.runtime.on_stop(feeds.stop)

    def _second_look(self, port: Brokerage, feeding: Feeding, *, recorded: bool) -> None:
        """A thread and a client of its own: a slow answer about prices delays no catch-up of fills."""
        from actors.second_look import EVERY_RECORDED, SecondLook, round_of

        every = EVERY_RECORDED if recorded else round_of(self._share("feeds"))
        look = SecondLook(port, feeding.second_doors(), every)
        self.runtime.every("feeds", every if recorded else every / 2, look.on_timer)

    def _volatility(self) -> str | None:
        configured = self.rules.lately().volatility
        return None if configured is None else configured.symbol

    def _note_connected(self, connected: Iterable[AccountName]) -> None:
        with self.engine.begin() as tx:
            for account in connected:
                vital_signs.note(tx, vital_signs.BROKER_STREAM, self.desk.wall(), account)

    def _read_partitions(
        self, stream: Stream, group: str, handle: Callable[[Sequence[Delivered]], None], *, count: int = 100
    ) -> None:
        for partition in range(self.settings.stack.partitions):
            self.runtime.read(partitioned(stream, partition), group, handle, count=count)

    # ------------------------------------------------------------ the brokerage

    def brokerages(
        self, budgets: Mapping[AccountName, RateBudget], *, for_exits: bool = False
    ) -> dict[AccountName, Brokerage]:
        """Return a client of its own for each account, within what *budgets* let it ask."""
        from brokerage.alpaca_rest import AlpacaBrokerage

        timeout_s = self.settings.brokerage.timeout_s
        return {
            name: AlpacaBrokerage(
                self.keys(name),
                self.endpoints(),
                timeout_s,
                budget.exits if for_exits else budget.entries,
                partial(self.desk.metrics.requested, name),
            )
            for name, budget in budgets.items()
        }

    def _own(
        self, budgets: Mapping[AccountName, RateBudget], *, for_exits: bool = False
    ) -> dict[AccountName, Brokerage]:
        """Return clients that are proved to open our accounts, as far as the brokerage answers."""
        starting.require_sdk()
        ports = self.brokerages(budgets, for_exits=for_exits)
        starting.require_own_accounts(self.engine, ports)
        return ports

    def budgets(self, actor: str) -> dict[AccountName, RateBudget]:
        """Return *actor*'s share of what Alpaca grants each account; of the executor's, exits have a part alone.

        Copies of gate divide its share among them.
        """
        from brokerage.budget import MAX_WAIT_S, RateBudget

        asked, share = self.settings.brokerage, self._share(actor)
        copies = Copies(self.engine, slots_of(Stream.RECOMMENDATIONS, "gate")) if actor == "gate" else None
        recorded = self.settings.stack.clock == "recorded"
        return {
            name: RateBudget(
                trading_per_minute=share,
                data_per_minute=share,
                reserved_for_exits=asked.reserved_for_exits if actor == "executor" else 0,
                max_wait_s=0.0 if recorded else MAX_WAIT_S,
                clock=(lambda: self.clock().timestamp()) if recorded else time.monotonic,
                copies=copies,
            )
            for name in self.settings.account_names()
        }

    def _share(self, actor: str) -> int:
        """Return how many requests a minute *actor* may send to each of Alpaca's counters."""
        return self.settings.brokerage.requests_per_minute * SHARE_PCT[actor] // 100

    def keys(self, account: AccountName) -> Keys:
        return keys_of(self.settings, account)

    def endpoints(self) -> Endpoints:
        return endpoints_of(self.settings)


def address(settings: Settings, name: str) -> str:
    """Return one of the two server addresses, or raise BadConfiguration."""
    found = getattr(settings.servers, name)
    if found is None:
        raise BadConfiguration(f"servers.{name}: no address: set GAPLESS_{name.upper()}")
    return str(found.get_secret_value())


def make_desk(
    settings: Settings, engine: Engine, clock: Callable[[], datetime], metrics: ActorMetrics | None = None
) -> Desk:
    return Desk(
        engine=engine,
        clock=clock,
        wall=lambda: datetime.now(UTC),
        origin=origin(settings),
        partitions=settings.stack.partitions,
        metrics=metrics or ActorMetrics(),
    )


def publish_facts(client: redis.Redis, stream: str, facts: Sequence[Fact]) -> None:
    publish_many(client, [(stream, encode(fact)) for fact in facts])


def _one_by_one(handle: Callable[[Any], None], runtime: Runtime) -> Callable[[Sequence[Delivered]], None]:
    """One order is one step: what it decided is published before the next one is taken."""

    def run(batch: Sequence[Delivered]) -> None:
        for item in batch:
            handle(item.fact)
            runtime.publish()

    return run


class _TickMeter:
    """Counts tick-to-decision times in whole milliseconds, every entry's own, and writes the counts once in a while."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._counts: Counter[int] = Counter()

    def add(self, measured_ms: Iterable[float]) -> None:
        self._counts.update(map(ceil, measured_ms))

    def flush(self) -> None:
        counts, self._counts = self._counts, Counter()
        if counts:
            with self._engine.begin() as tx:
                latencies.add_counts(tx, "tick_to_decision_ms", counts)
