"""One storm: the four actors over real PostgreSQL, driven by a seed.

Whatever is delivered twice, in whatever order, wherever the process dies: between any two steps that matter
(before and after each commit, around each call to the brokerage, before publishing, before the acknowledgement).
A storm is a function of its seed; ``Storm(engine, seed).run()`` repeats it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from sqlalchemy import Connection, Engine, event

from actors.desk import Desk
from actors.executor import Executor
from actors.exit import ExitActor
from actors.gate import Gate
from actors.market import Market
from actors.pulse import of_recorded_day
from actors.reconciler import Reconciler
from actors.tracker import Tracker
from brokerage.port import BrokerageUnavailable
from db import accounts, outbox
from domain.account import TradingState
from domain.events import Fact
from domain.exits import ExitPolicy
from streams.codec import decode
from streams.names import Stream
from tests.factories import LARGE, NOON, TINY, a_policy, a_recommendation, a_rule_book, some_limits, ticked
from tests.simulation.exchange import Crash, Exchange
from tests.simulation.invariants import assert_always, assert_settled

SYMBOLS = tuple(f"{root}260220C00100000" for root in ("AAA", "BBB", "CCC", "DDD", "EEE"))
LIMITS = {
    LARGE: some_limits(max_positions=3, max_exposure_usd=Decimal("6000.00"), max_daily_loss_usd=Decimal(100_000)),
    TINY: some_limits(max_positions=1, max_exposure_usd=Decimal("1500.00"), max_daily_loss_usd=Decimal(100_000)),
}
STEPS = 160
#: Steps without trouble after which nothing may be left to do.
SETTLING = 60


class Storm:
    """*policy*: how every position is left."""

    def __init__(self, engine: Engine, seed: int, policy: ExitPolicy | None = None) -> None:
        self.engine, self.rng, self.now = engine, Random(seed), NOON
        self.policy = policy or a_policy(min_hold=timedelta(minutes=5))
        self.queues: dict[str, list[Fact]] = defaultdict(list)
        self.calm = False
        self.prices = {s: (Decimal("4.90"), Decimal("5.00")) for s in SYMBOLS}
        self.exchanges = {name: self._exchange(name) for name in (LARGE, TINY)}
        self.asked: list[str] = []
        event.listen(engine, "begin", lambda _: self.seam("begin"))
        event.listen(engine, "commit", lambda _: self.seam("commit"))
        self._configure()
        self.start()

    def _exchange(self, name: Any) -> Exchange:
        return Exchange(
            name=name,
            rng=self.rng,
            clock=lambda: self.now,
            emit=self.queues["fills"].append,
            seam=self.seam,
            prices=self.prices,
            trouble=0.08,
        )

    def _configure(self) -> None:
        self.calm = True
        with self.engine.begin() as tx:
            for name, limits in LIMITS.items():
                accounts.configure(tx, name, limits, NOON)
                accounts.set_state(tx, name, TradingState.ACTIVE, "storm", "test", NOON)
        self.calm = False

    def start(self) -> None:
        """Start every actor with an empty memory, as after a crash."""
        clock: Callable[[], datetime] = lambda: self.now  # noqa: E731 - one line says it
        desk = Desk(engine=self.engine, clock=clock, wall=clock, origin="storm", partitions=1)
        ports: Any = self.exchanges
        markets = {name: Market(port, clock) for name, port in ports.items()}
        ttl = timedelta(seconds=60)
        self.gate = Gate(desk, markets, a_rule_book(), of_recorded_day(desk))
        self.entries = Executor(desk, ports, ttl, opens=True, sleep=lambda _: None)
        self.exits = Executor(desk, ports, ttl, opens=False, sleep=lambda _: None)
        self.tracker = Tracker(desk, lambda account, strategy, kind: self.policy)
        self.exit = ExitActor(desk)
        self.reconciler = Reconciler(desk, ports)

    def seam(self, _: str) -> None:
        """The process may die here."""
        if not self.calm and self.rng.random() < 0.02:
            raise Crash

    # ------------------------------------------------------------ the run

    def run(self) -> None:
        for _ in range(STEPS):
            self.now += timedelta(seconds=self.rng.choice((0, 1, 5, 30)))
            self._survive(self.rng.choice(self._happenings()))
            self._check(assert_always)
        self.calm = True
        for exchange in self.exchanges.values():
            exchange.trouble = 0.0
        self.start()
        for _ in range(SETTLING):
            self.now += timedelta(seconds=20)
            self._settle()
        self._check(assert_always)
        self._check(lambda tx: assert_settled(tx, self.exchanges, self.asked))

    def _check(self, invariant: Callable[[Connection], None]) -> None:
        calm, self.calm = self.calm, True
        with self.engine.connect() as tx:
            invariant(tx)
        self.calm = calm

    def _happenings(self) -> Sequence[Callable[[], None]]:
        deliver = [self._deliver] * 5
        return [
            *deliver,
            self._recommend,
            self._recommend,
            self._tick,
            self._trade,
            self._trade,
            self._timers,
            self._rest,
            self._by_hand,
        ]

    def _survive(self, happening: Callable[[], None]) -> None:
        try:
            happening()
        except Crash:
            self.start()
        except BrokerageUnavailable:
            pass  # not acknowledged: the same entry comes again

    # ------------------------------------------------------------ what happens

    def _recommend(self) -> None:
        number = len(self.asked) + 1
        both = self.rng.random() < 0.5
        rec = a_recommendation(
            id=f"rec-{number}",
            at=self.now,
            accounts=(LARGE, TINY) if both else (self.rng.choice((LARGE, TINY)),),
            symbol=self.rng.choice(SYMBOLS),
            qty=self.rng.randint(1, 5),
        )
        self.asked.extend(f"{rec.id}@{account}" for account in rec.accounts)
        self.queues["recommendations"].append(rec)

    def _tick(self) -> None:
        symbol = self.rng.choice(SYMBOLS)
        bid = Decimal(self.rng.randint(150, 1200)) / 100
        self.prices[symbol] = (bid, bid + Decimal("0.10"))
        quote = self.exchanges[LARGE].quote(symbol)
        self.queues["ticks"].append(ticked(quote, at=self.now))

    def _trade(self) -> None:
        self.exchanges[self.rng.choice((LARGE, TINY))].trade()

    def _rest(self) -> None:
        """A catch-up over REST brings executions again, under other ids."""
        exchange = self.exchanges[self.rng.choice((LARGE, TINY))]
        for execution in self.rng.sample(exchange.filled, min(3, len(exchange.filled))):
            self.queues["fills"].append(exchange.filled_fact(execution, from_rest=True))

    def _by_hand(self) -> None:
        if self.rng.random() < 0.3:
            self.exchanges[self.rng.choice((LARGE, TINY))].sell_behind_our_back()

    def _timers(self) -> None:
        self.entries.sweep(self.now)
        self.exits.sweep(self.now)
        self.exit.handle_timer(self.now)
        self.reconciler.handle_doubts(self.now)
        self._publish()

    def _deliver(self) -> None:
        """Hand over one of the first entries of some stream: delivered late, twice, or in another order."""
        waiting = sorted(name for name, facts in self.queues.items() if facts)
        if not waiting:
            return
        name = self.rng.choice(waiting)
        place = self.rng.randrange(min(3, len(self.queues[name])))
        fact = self.queues[name][place]
        self._handle(name, fact)
        self._publish()
        self.seam("before the acknowledgement")
        if self.rng.random() < 0.8:
            self.queues[name].remove(fact)

    def _handle(self, name: str, fact: Any) -> None:
        match name.partition(".")[0]:
            case Stream.RECOMMENDATIONS:
                self.gate.handle(fact, fact.at)
            case Stream.ENTRIES:
                self.entries.handle(fact)
            case Stream.EXITS:
                self.exits.handle(fact)
            case Stream.FILLS:
                self.tracker.handle([fact])
            case Stream.TICKS:
                self.exit.handle_ticks([fact])
            case Stream.DECISIONS:
                self.exit.handle_decisions([fact])
            case _:
                raise ValueError(f"stream: nobody reads {name!r}")

    def _publish(self) -> None:
        def send(parcels: Sequence[outbox.Parcel]) -> None:
            for parcel in parcels:
                self.seam("while publishing")
                fields = {b"type": parcel.type.encode(), b"body": parcel.body.encode()}
                name = "fills" if parcel.stream.startswith("fills") else parcel.stream
                self.queues[name].append(decode(fields))

        outbox.drain(self.engine, send)

    # ------------------------------------------------------------ and then it is calm

    def _settle(self) -> None:
        """Let everything happen in order until no entry waits, then run every timer once."""
        for exchange in self.exchanges.values():
            for execution in exchange.filled:
                self.queues["fills"].append(exchange.filled_fact(execution, from_rest=True))
        self._drain_queues()
        self._timers()
        for name in self.exchanges:
            self.reconciler.reconcile(name, self.now)
        for exchange in self.exchanges.values():
            exchange.trade()
        self._publish()
        self._drain_queues()

    def _drain_queues(self) -> None:
        while waiting := [name for name, facts in self.queues.items() if facts]:
            for name in waiting:
                facts, self.queues[name][:] = list(self.queues[name]), []
                for fact in facts:
                    self._handle(name, fact)
            self._publish()
