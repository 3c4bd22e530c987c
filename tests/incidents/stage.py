"""An incident on stage: its recorded streams go through the real actors, over real streams and rows.

The fixture says what the market and the brokerage did; what our actors do about it is their own. The brokerage's
book follows the recording: it takes our orders, and fills them when and as the recording says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import redis
from sqlalchemy import Engine, text

from actors.desk import Desk
from actors.executor import Executor
from actors.exit import ExitActor
from actors.failures import classify
from actors.gate import Gate
from actors.market import Market
from actors.pulse import of_recorded_day
from actors.reconciler import Reconciler
from actors.runtime import Delivered, delivered
from actors.tracker import Tracker
from brokerage.port import BrokerOrder, Execution, OrderRequest
from cli.burial import burial
from db import accounts, integrity, outbox, sessions
from domain.account import Limits, TradingState
from domain.events import Fact, Intent, OrderFilled, QuotesTicked
from domain.exits import ExitPolicy
from domain.gates import EntryRules
from domain.ids import AccountName
from domain.session import Session
from streams.codec import Undecodable, decode, encode
from streams.consumer import StreamConsumer, Subscription
from streams.delivery import Delivery
from streams.names import Stream, partitioned
from streams.progress import GroupProgress, positions
from streams.publish import publish, publish_many
from streams.record import read_fixture
from tests.factories import LARGE, NOON, TINY, a_policy, a_rule_book, some_limits
from tests.simulation.exchange import Exchange

FIXTURES = Path(__file__).parent / "fixtures"
#: The documented limits of the two accounts.
LIMITS = {
    LARGE: some_limits(),
    TINY: some_limits(max_positions=1, max_exposure_usd=Decimal("2000.00"), max_contracts_per_order=1),
}
SESSIONS = tuple(
    Session(
        day=date(2026, 2, d), open=datetime(2026, 2, d, 14, 30, tzinfo=UTC), close=datetime(2026, 2, d, 21, tzinfo=UTC)
    )
    for d in (3, 4, 5)
)
#: Deliveries in a row after which something is going round in circles.
PATIENCE = 200


class Steady(Random):
    """No dice: what the storm leaves to chance does not happen."""

    def random(self) -> float:
        return 0.99


@dataclass
class RecordedBrokerage(Exchange):
    """A brokerage whose fills come from a recording. *sent* is every order that reached it, refused ones too."""

    sent: list[OrderRequest] = field(default_factory=list)
    calendar: tuple[Session, ...] = SESSIONS

    def sessions(self, first: date, last: date) -> tuple[Session, ...]:
        return tuple(s for s in self.calendar if first <= s.day <= last)

    def submit(self, order: OrderRequest) -> BrokerOrder:
        self.sent.append(order)
        return super().submit(order)

    def told(self, fact: OrderFilled) -> None:
        """Let the book do what the recording says that it did; what is told twice happened once."""
        if any((e.broker_order_id, e.cum_qty) == (fact.broker_order_id, fact.cum_qty) for e in self.filled):
            return
        order = self.orders.get(fact.broker_order_id) or self._foreign(fact)
        status = "filled" if fact.cum_qty == order.qty else "partially_filled"
        self.orders[order.broker_order_id] = replace(order, filled_qty=fact.cum_qty, status=status)
        self._book(fact.symbol, fact.side.sign * fact.qty, fact.price)
        self.filled.append(
            Execution(
                activity_id=fact.id,
                broker_order_id=fact.broker_order_id,
                symbol=fact.symbol,
                side=fact.side,
                qty=fact.qty,
                price=fact.price,
                cum_qty=fact.cum_qty,
                at=fact.at,
            )
        )

    def _foreign(self, fact: OrderFilled) -> BrokerOrder:
        """An order that we did not place; one of ours that is not here is a mistake of ours."""
        if fact.broker_order_id.startswith(f"{self.name}-"):
            raise AssertionError(f"{fact.broker_order_id} was never placed; placed are {sorted(self.orders)}")
        opens = self.held.get(fact.symbol, 0) * fact.side.sign >= 0
        return BrokerOrder(
            broker_order_id=fact.broker_order_id,
            client_order_id=fact.client_order_id or fact.broker_order_id,
            symbol=fact.symbol,
            side=fact.side,
            intent=Intent(f"{fact.side}_to_{'open' if opens else 'close'}"),
            qty=fact.cum_qty,
            filled_qty=0,
            status="new",
            submitted_at=fact.at,
            updated_at=fact.at,
        )


class Stage:
    """*without* names actors that are stopped, *rules* are those of every entry, *calendar* is the brokerage's.

    *policy*: how every position is left.
    """

    def __init__(
        self,
        engine: Engine,
        client: redis.Redis,
        *,
        limits: dict[AccountName, Limits] | None = None,
        without: Sequence[str] = (),
        rules: EntryRules | None = None,
        calendar: tuple[Session, ...] = SESSIONS,
        policy: ExitPolicy | None = None,
    ) -> None:
        self.rules, self.calendar, self.policy = a_rule_book(rules), calendar, policy or a_policy()
        self.engine, self.client, self.now = engine, client, SESSIONS[0].open
        self.limits, self.without = LIMITS | (limits or {}), without
        self.prices: dict[str, tuple[Decimal, Decimal]] = {}
        self.told: list[Fact] = []
        self.brokerages = {name: self._brokerage(name) for name in self.limits}
        self._configure()
        self.start()

    def _brokerage(self, name: AccountName) -> RecordedBrokerage:
        return RecordedBrokerage(
            name=name,
            rng=Steady(),
            clock=lambda: self.now,
            emit=lambda fact: self.publish(partitioned(Stream.FILLS, 0), fact),
            seam=lambda _: None,
            prices=self.prices,
            cash=Decimal(1_000_000),
            calendar=self.calendar,
        )

    def _configure(self) -> None:
        with self.engine.begin() as tx:
            sessions.keep(tx, self.calendar)
            for name, limits in self.limits.items():
                accounts.configure(tx, name, limits, NOON)
                accounts.set_state(tx, name, TradingState.ACTIVE, "test", "test", NOON)

    def start(self) -> None:
        """Start every actor with an empty memory."""
        self.desk = Desk(engine=self.engine, clock=lambda: self.now, wall=lambda: self.now, origin="test", partitions=1)
        ports: Any = self.brokerages
        ttl = timedelta(seconds=60)
        markets = {n: Market(p, lambda: self.now) for n, p in ports.items()}
        self.gate = Gate(self.desk, markets, self.rules, of_recorded_day(self.desk))
        self.entries = Executor(self.desk, ports, ttl, opens=True, sleep=lambda _: None)
        self.exits = Executor(self.desk, ports, ttl, opens=False, sleep=lambda _: None)
        self.tracker = Tracker(self.desk, lambda account, strategy, kind: self.policy)
        self.exit = ExitActor(self.desk)
        self.reconciler = Reconciler(self.desk, ports)
        self._readers = [self._reader(*row) for row in self._subscriptions() if row[1] not in self.without]

    def _subscriptions(self) -> Sequence[tuple[str, str, Callable[[Sequence[Delivered]], object]]]:
        def each(handle: Callable[[Any], object]) -> Callable[[Sequence[Delivered]], object]:
            return lambda batch: [handle(item) for item in batch]

        return (
            (Stream.RECOMMENDATIONS, "gate", each(lambda item: self.gate.handle(item.fact, item.wall_at))),
            (partitioned(Stream.ENTRIES, 0), "executor", each(lambda item: self.entries.handle(item.fact))),
            (partitioned(Stream.EXITS, 0), "executor", each(lambda item: self.exits.handle(item.fact))),
            (partitioned(Stream.FILLS, 0), "tracker", lambda batch: self.tracker.handle([i.fact for i in batch])),
            (partitioned(Stream.TICKS, 0), "exit", lambda batch: self.exit.handle_ticks([i.fact for i in batch])),
            (Stream.DECISIONS, "exit", lambda batch: self.exit.handle_decisions([i.fact for i in batch])),
        )

    def _reader(
        self, stream: str, group: str, handle: Callable[[Sequence[Delivered]], object]
    ) -> tuple[StreamConsumer, Delivery]:
        consumer = StreamConsumer(
            self.client, Subscription(stream=stream, group=group, consumer=f"{group}-0", version="test")
        )

        def run(batch: Sequence[Any]) -> None:
            handle([delivered(entry) for entry in batch])

        return consumer, Delivery(consumer, run, classify=classify, on_dead=burial(self.desk))

    # ------------------------------------------------------------ playing

    def play(self, name: str, *, after_each: Callable[[], None] | None = None, in_one_batch: bool = False) -> None:
        """Play a fixture: each line at its own time, delivered and acknowledged before the next one comes.

        *in_one_batch*: the brokerage's fills reach the tracker together, in one read.
        """
        held_back: list[Fact] = []
        for stream, fields in read_fixture(FIXTURES / f"{name}.jsonl"):
            fact = self._happen(fields)
            if in_one_batch and isinstance(fact, OrderFilled):
                held_back.append(fact)
                continue
            publish(self.client, stream, fields)
            self.deliver()
            if after_each:
                after_each()
        for fact in held_back:
            self.publish(partitioned(Stream.FILLS, 0), fact)
        self.deliver()

    def _happen(self, fields: dict[bytes, bytes]) -> Fact | None:
        """Let clock, market and brokerage come to where the line is."""
        try:
            fact: Fact = decode(fields)
        except Undecodable:
            return None
        self.now = max(self.now, fact.at)
        if isinstance(fact, QuotesTicked):
            self.prices |= {q.symbol: (q.bid, q.ask) for q in fact.quotes if q.bid and q.ask}
        if isinstance(fact, OrderFilled) and fact.account in self.brokerages:
            self.brokerages[fact.account].told(fact)
        return fact

    def publish(self, stream: str, fact: Fact) -> None:
        publish(self.client, stream, encode(fact))

    def deliver(self) -> None:
        """Hand over what the streams hold until every entry is acknowledged or a dead letter."""
        for _ in range(PATIENCE):
            while outbox.drain(self.engine, self._send):
                pass
            behind = {(g.stream, g.group) for g in self._progress() if not g.is_caught_up}
            if not behind:
                return
            for consumer, delivery in self._readers:
                if (consumer.stream, consumer.group) in behind:
                    delivery.deliver(consumer.read(block_ms=1))
        raise AssertionError(f"still not at rest after {PATIENCE} rounds: {behind}")

    def _progress(self) -> tuple[GroupProgress, ...]:
        """An empty read blocks until the server's next cron, so only those that are behind are read."""
        return positions(self.client, {consumer.stream: [consumer.group] for consumer, _ in self._readers})

    def _send(self, parcels: Sequence[outbox.Parcel]) -> None:
        found = [(p.stream, {"type": p.type.encode(), "body": p.body.encode()}) for p in parcels]
        self.told += [decode({b"type": f["type"], b"body": f["body"]}) for _, f in found]
        publish_many(self.client, found)

    def sweep(self, after: timedelta = timedelta(0)) -> None:
        """Some time passes, then the timers run."""
        self.now += after
        self.entries.sweep(self.now)
        self.exits.sweep(self.now)
        self.exit.handle_timer(self.now)
        self.reconciler.handle_doubts(self.now)
        self.deliver()

    def reconcile(self, account: AccountName = LARGE, after: timedelta = timedelta(0)) -> Any:
        self.now += after
        found = self.reconciler.reconcile(account, self.now)
        self.deliver()
        return found

    # ------------------------------------------------------------ looking

    def rows(self, statement: str, **values: Any) -> list[Any]:
        """Return rows as tuples, or plain values where there is one column."""
        with self.engine.connect() as tx:
            found = [tuple(row) for row in tx.execute(text(statement), values)]
        return [row[0] if len(row) == 1 else row for row in found]

    def one(self, statement: str, **values: Any) -> Any:
        [found] = self.rows(statement, **values)
        return found

    def facts(self, kind: type[Fact]) -> list[Any]:
        """What was published, of one kind."""
        return [fact for fact in self.told if isinstance(fact, kind)]

    def assert_no_gap(self) -> None:
        """Every execution of the brokerage is exactly one row, and every row agrees with its fills."""
        truth = sorted(
            (name, e.broker_order_id, e.cum_qty, e.qty, e.price)
            for name, brokerage in self.brokerages.items()
            for e in brokerage.filled
        )
        rows = self.rows(
            "SELECT f.account, f.broker_order_id, f.cum_qty, f.qty, f.price"
            " FROM fills f JOIN positions p USING (position_id) WHERE f.source IN ('stream', 'activity')"
        )
        assert truth == sorted(rows)
        with self.engine.connect() as tx:
            assert [] == integrity.mismatches(tx)

    def unacknowledged(self) -> int:
        return sum(group.pending for group in self._progress())
