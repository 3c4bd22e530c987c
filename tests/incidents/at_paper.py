"""The actors against the real local Alpaca over HTTP: its clock and its faults are in the test's hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
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
from brokerage.alpaca_rest import AlpacaBrokerage
from brokerage.budget import RateBudget
from brokerage.endpoints import Keys, on_one_port
from brokerage.facts import Told, ended, filled
from db import accounts, orders, outbox
from domain.account import TradingState
from domain.events import Fact, OrderApproved
from domain.ids import AccountName
from streams.codec import decode
from streams.names import Stream
from tests.factories import LARGE, a_policy, a_quote, a_recommendation, a_rule_book, some_limits, some_rules, ticked
from tests.paper.days import CALL, DAY
from tests.paper.kit import Paper

MARGIN = AccountName("margin")


class AtPaper:
    """Two accounts; nothing moves unless the test says so. *approved* collects what the executor is to send,
    *decisions* what the exit has not heard.

    *policy* is how every position is left; who sets another one starts again.
    """

    def __init__(
        self, engine: Engine, paper: Paper, accounts_of: Sequence[AccountName] = (LARGE, MARGIN), **rules: Any
    ) -> None:
        self.engine, self.paper, self.rules, self.policy = engine, paper, some_rules(**rules), a_policy()
        self.approved: list[OrderApproved] = []
        self.fills: list[Fact] = []
        self.decisions: list[Fact] = []
        self.brokerages = {name: self._brokerage(name) for name in accounts_of}
        with engine.begin() as tx:
            for name in self.brokerages:
                accounts.configure(tx, name, some_limits(), self.now())
                accounts.set_state(tx, name, TradingState.ACTIVE, "test", "test", self.now())
        self.start()

    def _brokerage(self, name: str) -> AlpacaBrokerage:
        urls = on_one_port(self.paper.said["rest"])
        hours_in_seconds = RateBudget(trading_per_minute=100_000, data_per_minute=100_000)
        return AlpacaBrokerage(Keys(name, "paper"), urls, 2, hours_in_seconds.entries)

    def now(self) -> datetime:
        return datetime.fromisoformat(self.paper.control("GET", "/clock")[1]["at"])

    def start(self) -> None:
        """Start every actor with an empty memory, as after a crash."""
        self.desk = Desk(
            engine=self.engine, clock=self.now, wall=lambda: datetime.now(UTC), origin="test", partitions=1
        )
        ports: Any = self.brokerages
        ttl = timedelta(seconds=60)
        markets = {n: Market(p, self.now) for n, p in ports.items()}
        book = a_rule_book(self.rules, accounts=tuple(self.brokerages))
        self.gate = Gate(self.desk, markets, book, of_recorded_day(self.desk))
        self.entries = Executor(self.desk, ports, ttl, opens=True, sleep=lambda _: None)
        self.exits = Executor(self.desk, ports, ttl, opens=False, sleep=lambda _: None)
        self.tracker = Tracker(self.desk, lambda account, strategy, kind: self.policy)
        self.exit = ExitActor(self.desk)
        self.reconciler = Reconciler(self.desk, ports)

    def recommend(self, name: str = "rec", symbol: str = CALL, qty: int = 3, **over: Any) -> OrderApproved:
        """Let an entry be approved; it is not sent yet."""
        rec = a_recommendation(id=name, at=self.now(), symbol=symbol, qty=qty, **over)
        self.gate.handle(rec, self.now())
        self.publish()
        return self.approved[-1]

    def hold(self, name: str = "rec", symbol: str = CALL, qty: int = 3, **over: Any) -> None:
        """Let a position be opened and known."""
        self.entries.handle(self.recommend(name, symbol, qty, **over))
        self.catch_up()

    def trigger(self, symbol: str, bid: str) -> OrderApproved:
        """Let the market show *bid*, and the exit see it; return the close that it asks for."""
        self.paper.quote(symbol, bid, str(Decimal(bid) + Decimal("0.05")))
        self.exit.handle_ticks(
            [ticked(a_quote(symbol, bid, str(Decimal(bid) + Decimal("0.05")), at=self.now()), at=self.now())]
        )
        self.publish()
        return self.approved[-1]

    def catch_up(self) -> None:
        """Read by REST what the brokerage executed, and apply it."""
        for name, brokerage in self.brokerages.items():
            told = Told(account=name, cause="rest", origin="test")
            for execution in brokerage.executions(datetime.fromisoformat(f"{DAY}T14:00:00Z")):
                order = brokerage.order(execution.broker_order_id)
                self.tracker.handle(
                    [filled(execution, order.client_order_id if order else None, told, datetime.now(UTC))]
                )
        self.publish()

    def hear_ends(self) -> None:
        """Read by REST which of our orders have ended without being filled."""
        with self.engine.connect() as tx:
            live = [row for row in orders.live(tx) if row.broker_order_id is not None]
        for row in live:
            order = self.brokerages[row.order.account].order(row.broker_order_id or "")
            if order is not None and order.ended and order.status != "filled":
                told = Told(account=row.order.account, cause="rest", origin="test")
                self.tracker.handle([ended(order, order.status, told, order.updated_at)])
        self.publish()

    def publish(self) -> None:
        def send(parcels: Any) -> None:
            for parcel in parcels:
                fact = decode({b"type": parcel.type.encode(), b"body": parcel.body.encode()})
                if isinstance(fact, OrderApproved):
                    self.approved.append(fact)
                if parcel.stream == Stream.DECISIONS:
                    self.decisions.append(fact)
                if parcel.stream.startswith("fills"):
                    self.fills.append(fact)

        while outbox.drain(self.engine, send):
            pass
        facts, self.fills = self.fills, []
        if facts:
            self.tracker.handle(facts)
            self.publish()

    def requests(self) -> list[dict[str, Any]]:
        """Every request that reached the brokerage over HTTP: how it came, and what was answered."""
        return [e for e in self.paper.control("GET", "/journal")[1]["entries"] if e["kind"] == "request"]

    def posted(self) -> list[dict[str, Any]]:
        """Every order that reached the brokerage over HTTP: its body as it was sent, and what was answered."""
        return [e for e in self.requests() if (e["method"], e["path"]) == ("POST", "/v2/orders")]

    def close(self) -> None:
        for brokerage in self.brokerages.values():
            brokerage.close()
