"""The four actors and the small exchange over real PostgreSQL, in calm weather: what a document is read from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from sqlalchemy import Engine

from actors.desk import Desk
from actors.executor import Executor
from actors.exit import ExitActor
from actors.gate import Gate
from actors.market import Market
from actors.pulse import of_recorded_day
from actors.reconciler import Reconciler
from actors.tracker import Tracker
from brokerage.port import BrokerOrder
from db import accounts, outbox, sessions
from domain.account import TradingState
from domain.events import Fact, Intent, Side
from streams.codec import decode
from tests.factories import LARGE, NOON, SESSION, TINY, a_policy, a_recommendation, a_rule_book, some_limits, ticked
from tests.simulation.exchange import Exchange

AAA, BBB, CCC = (f"{root}260220C00100000" for root in ("AAA", "BBB", "CCC"))


class House:
    """*orders_before*: how many orders the brokerage had before ours, so that it gives ours other ids."""

    def __init__(self, engine: Engine, *, orders_before: int = 0) -> None:
        self.engine, self.now, self.wall = engine, NOON, NOON
        self.prices = {symbol: (Decimal("4.90"), Decimal("5.00")) for symbol in (AAA, BBB, CCC)}
        self.queue: list[Fact] = []
        self.published: dict[str, list[Any]] = defaultdict(list)
        self.exchanges = {name: self._exchange(name, orders_before) for name in (LARGE, TINY)}
        ports: Any = self.exchanges
        self.desk = Desk(
            engine=engine, clock=lambda: self.now, wall=lambda: self.wall, origin="1.0+code/config", partitions=1
        )
        ttl = timedelta(seconds=60)
        markets = {n: Market(p, lambda: self.now) for n, p in ports.items()}
        self.gate = Gate(self.desk, markets, a_rule_book(), of_recorded_day(self.desk))
        self.entries = Executor(self.desk, ports, ttl, opens=True, sleep=lambda _: None)
        self.exits = Executor(self.desk, ports, ttl, opens=False, sleep=lambda _: None)
        self.tracker = Tracker(self.desk, lambda account, strategy, kind: a_policy(min_hold=timedelta(minutes=5)))
        self.exit = ExitActor(self.desk)
        self.reconciler = Reconciler(self.desk, ports)
        self._configure()

    def _exchange(self, name: Any, orders_before: int) -> Exchange:
        made = Exchange(
            name=name,
            rng=Random(1),
            clock=lambda: self.now,
            emit=self.queue.append,
            seam=lambda _: None,
            prices=self.prices,
        )
        made.orders |= {f"before-{number}": _an_old_order(number) for number in range(orders_before)}
        return made

    def _configure(self) -> None:
        limits = {LARGE: some_limits(), TINY: some_limits(max_positions=1, max_exposure_usd=Decimal("2000.00"))}
        with self.engine.begin() as tx:
            sessions.keep(tx, [SESSION])
            for name, of_account in limits.items():
                accounts.configure(tx, name, of_account, NOON)
                accounts.set_state(tx, name, TradingState.ACTIVE, "test", "test", NOON)

    # ------------------------------------------------------------ what happens

    def recommend(self, name: str = "rec-1", **over: Any) -> None:
        """Issue a recommendation and let everything that follows from it happen, except at the exchange."""
        rec = a_recommendation(**({"id": name, "at": self.now, "symbol": AAA, "qty": 2} | over))
        self.gate.handle(rec, self.wall)
        self.settle()

    def trade(self, account: Any = LARGE, pieces: int = 20) -> None:
        """Let the exchange fill what it can, and the tracker read it."""
        for _ in range(pieces):
            self.exchanges[account].trade()
        self.settle()

    def tick(self, symbol: str, bid: str, after: timedelta = timedelta(minutes=10)) -> None:
        """The market moves to *bid* some time later; the exit sees it."""
        self.now += after
        self.prices[symbol] = (Decimal(bid), Decimal(bid) + Decimal("0.10"))
        self.exit.handle_ticks([ticked(self.exchanges[LARGE].quote(symbol), at=self.now)])
        self.settle()

    def sweep(self) -> None:
        self.entries.sweep(self.now)
        self.exits.sweep(self.now)
        self.settle()

    def settle(self) -> None:
        """Publish and deliver until nothing is left."""
        while outbox.drain(self.engine, self._send) or self.queue:
            facts, self.queue[:] = list(self.queue), []
            if facts:
                self.tracker.handle(facts)

    def _send(self, parcels: Sequence[outbox.Parcel]) -> None:
        for parcel in parcels:
            fact = decode({b"type": parcel.type.encode(), b"body": parcel.body.encode()})
            stream = parcel.stream.partition(".")[0]
            self.published[stream].append(fact)
            if stream == "fills":
                self.queue.append(fact)
        for parcel in parcels:
            self._deliver(parcel)

    def _deliver(self, parcel: outbox.Parcel) -> None:
        """A drain holds its rows until it ends, so what is delivered here must not wait for them."""
        stream = parcel.stream.partition(".")[0]
        handlers = {"entries": self.entries.handle, "exits": self.exits.handle}
        if stream in handlers:
            handlers[stream](decode({b"type": parcel.type.encode(), b"body": parcel.body.encode()}))


def _an_old_order(number: int) -> BrokerOrder:
    return BrokerOrder(
        broker_order_id=f"before-{number}",
        client_order_id=f"before-{number}",
        symbol=AAA,
        side=Side.BUY,
        intent=Intent.BUY_TO_OPEN,
        qty=1,
        filled_qty=0,
        status="canceled",
        submitted_at=NOON,
        updated_at=NOON,
    )


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)
