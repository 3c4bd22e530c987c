"""A small honest brokerage in memory for the storm: it keeps its own book and infers intents from it.

It never does what Alpaca would not do: a client order id is used once, a close of what is not held is refused,
an order never crosses zero, fills add up to the order. What is random is when and in how many pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from random import Random

from brokerage.port import (
    BookedActivity,
    BrokerAccount,
    BrokerageUnavailable,
    BrokerOrder,
    BrokerPosition,
    DuplicateClientOrderId,
    Execution,
    IntentMismatch,
    NotCancelable,
    OrderRejected,
    OrderRequest,
    OutcomeUnknown,
)
from domain.contracts import ChainRange, Greeks, Snapshot
from domain.events import (
    Fact,
    FillSource,
    Intent,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderType,
    Quote,
    Settlement,
    Side,
)
from domain.ids import AccountName, fact_id
from domain.instrument import Contract, Option, parse_symbol
from domain.session import Session, trading_day
from tests.factories import SESSION, a_contract


class Crash(BaseException):
    """The process died here. No handler of ours may catch it."""


@dataclass
class Exchange:
    """One account. *emit* receives what its stream would bring; *seam* may crash before or after an effect."""

    name: AccountName
    rng: Random
    clock: Callable[[], datetime]
    emit: Callable[[Fact], None]
    seam: Callable[[str], None]
    prices: dict[str, tuple[Decimal, Decimal]]
    cash: Decimal = Decimal(100_000)
    orders: dict[str, BrokerOrder] = field(default_factory=dict)
    limits: dict[str, Decimal | None] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    cost: dict[str, Decimal] = field(default_factory=dict)
    filled: list[Execution] = field(default_factory=list)
    activities: list[BookedActivity] = field(default_factory=list)
    unlisted: list[BookedActivity] = field(default_factory=list)
    trouble: float = 0.0

    # ------------------------------------------------------------ the port

    def account(self) -> BrokerAccount:
        return BrokerAccount(
            account_number=f"PA-{self.name}",
            equity_usd=self.cash + 100 * sum(self.cost.values()),  # what is held, at what it cost
            cash_usd=self.cash,
            buying_power_usd=self.cash,
            options_buying_power_usd=self.cash,
            trading_blocked=False,
        )

    def now(self) -> datetime:
        return self.clock()

    def sessions(self, first: date, last: date) -> tuple[Session, ...]:
        return (SESSION,) if first <= SESSION.day <= last else ()

    def contract(self, symbol: str) -> Contract | None:
        return a_contract(symbol)

    def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        return {s: self.quote(s) for s in symbols if s in self.prices}

    def quote(self, symbol: str) -> Quote:
        bid, ask = self.prices[symbol]
        return Quote(symbol=symbol, bid=bid, ask=ask, bid_size=10, ask_size=10, at=self.clock())

    def contracts(self, asked: ChainRange) -> Sequence[Contract]:
        return [a_contract(s) for s in sorted(self.prices) if _stands_in(s, asked)]

    def chain(self, asked: ChainRange) -> Mapping[str, Snapshot]:
        return self.snapshots([s for s in self.prices if _stands_in(s, asked)])

    def snapshots(self, symbols: Sequence[str]) -> Mapping[str, Snapshot]:
        """Quotes, and nothing else that could be known."""
        nothing = Greeks(delta=None, gamma=None, theta=None, vega=None)
        return {
            s: Snapshot(symbol=s, quote=self.quote(s), volume=None, volume_on=None, greeks=nothing)
            for s in symbols
            if s in self.prices
        }

    def submit(self, order: OrderRequest) -> BrokerOrder:
        self.seam("before submit")
        if self.rng.random() < self.trouble:
            raise self.rng.choice((BrokerageUnavailable, OutcomeUnknown))("503 before it was read")
        self._refuse_what_alpaca_refuses(order)
        placed = self._place(order)
        self.seam("after submit")
        if self.rng.random() < self.trouble:
            raise OutcomeUnknown("504 after it was accepted")
        return placed

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder | None:
        return next((o for o in self.orders.values() if o.client_order_id == client_order_id), None)

    def order(self, broker_order_id: str) -> BrokerOrder | None:
        return self.orders.get(broker_order_id)

    def open_orders(self) -> Sequence[BrokerOrder]:
        return [o for o in self.orders.values() if not o.ended]

    def cancel(self, broker_order_id: str) -> None:
        self.seam("before cancel")
        order = self.orders[broker_order_id]
        if order.ended:
            raise NotCancelable(f"order is already in {order.status} state")
        if self.rng.random() < 0.2:  # the fill wins
            self.fill(broker_order_id)
        if not self.orders[broker_order_id].ended:
            self._end(broker_order_id)
        self.seam("after cancel")

    def positions(self) -> Sequence[BrokerPosition]:
        return [p for symbol in sorted(self.held) if (p := self.position(symbol))]

    def position(self, symbol: str) -> BrokerPosition | None:
        qty = self.held.get(symbol, 0)
        if qty == 0:
            return None
        entry = self.cost[symbol] / qty
        return BrokerPosition(symbol=symbol, qty=qty, available_qty=qty - self._reserved(symbol), entry_price=entry)

    def executions(self, since: datetime) -> Sequence[Execution]:
        return [e for e in self.filled if e.at >= since]

    def booked(self, since: date) -> Sequence[BookedActivity]:
        return [a for a in self.activities if a.day >= since]

    # ------------------------------------------------------------ the book

    def _reserved(self, symbol: str) -> int:
        live = (o for o in self.orders.values() if not o.ended and o.symbol == symbol and o.side is Side.SELL)
        return sum(o.qty - o.filled_qty for o in live)

    def _refuse_what_alpaca_refuses(self, order: OrderRequest) -> None:
        if self.order_by_client_id(order.client_order_id):
            raise DuplicateClientOrderId(422, "40010001", "client_order_id must be unique")
        held = self.held.get(order.symbol, 0)
        inferred = Intent.BUY_TO_OPEN if order.side is Side.BUY else Intent.SELL_TO_CLOSE
        if order.side is Side.SELL and held <= 0:
            inferred = Intent.SELL_TO_OPEN
        if inferred is not order.intent:
            message = f"position intent mismatch, inferred: {inferred}, specified: {order.intent}"
            raise IntentMismatch(422, "42210000", message)
        if order.side is Side.SELL and order.qty > held - self._reserved(order.symbol):
            raise OrderRejected(403, "40310000", "insufficient qty available for order")
        if self.rng.random() < self.trouble:
            raise OrderRejected(403, "40310000", "insufficient options buying power")

    def _place(self, order: OrderRequest) -> BrokerOrder:
        broker_id = f"{self.name}-{len(self.orders) + 1}"
        self.orders[broker_id] = BrokerOrder(
            broker_order_id=broker_id,
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            intent=order.intent,
            qty=order.qty,
            filled_qty=0,
            status="new",
            submitted_at=self.clock(),
            updated_at=self.clock(),
        )
        self.limits[broker_id] = order.limit_price
        self.emit(self._accepted(broker_id))
        return self.orders[broker_id]

    def trade(self) -> None:
        """Fill a piece of some live order that is marketable."""
        live = [o.broker_order_id for o in self.orders.values() if not o.ended and self._marketable(o)]
        if live:
            self.fill(self.rng.choice(live))

    def _marketable(self, order: BrokerOrder) -> bool:
        limit, (bid, ask) = self.limits[order.broker_order_id], self.prices[order.symbol]
        return limit is None or (bid >= limit if order.side is Side.SELL else ask <= limit)

    def fill(self, broker_id: str) -> None:
        """Execute a random piece of an order at the far side of the quote."""
        order = self.orders[broker_id]
        qty = self.rng.randint(1, order.qty - order.filled_qty)
        bid, ask = self.prices[order.symbol]
        price = bid if order.side is Side.SELL else min(ask, self.limits[broker_id] or ask)
        self._book(order.symbol, order.side.sign * qty, price)
        cum = order.filled_qty + qty
        status = "filled" if cum == order.qty else "partially_filled"
        self.orders[broker_id] = replace(order, filled_qty=cum, status=status)
        execution = Execution(
            activity_id=f"{broker_id}::{cum}",
            broker_order_id=broker_id,
            symbol=order.symbol,
            side=order.side,
            qty=qty,
            price=price,
            cum_qty=cum,
            at=self.clock(),
        )
        self.filled.append(execution)
        self.emit(self.filled_fact(execution))

    def _book(self, symbol: str, signed: int, price: Decimal) -> None:
        held = self.held.get(symbol, 0)
        cost = self.cost.get(symbol, Decimal(0))
        self.cost[symbol] = cost + price * signed if signed > 0 else cost * (held + signed) / held
        self.held[symbol] = held + signed
        self.cash -= price * signed * 100

    def sell_behind_our_back(self) -> None:
        """A person sells some of a position at the brokerage."""
        free = [s for s, qty in self.held.items() if qty - self._reserved(s) > 0]
        if not free:
            return
        symbol = self.rng.choice(free)
        qty = self.rng.randint(1, self.held[symbol] - self._reserved(symbol))
        request = OrderRequest(
            client_order_id=f"by-hand-{len(self.orders)}",
            symbol=symbol,
            side=Side.SELL,
            intent=Intent.SELL_TO_CLOSE,
            qty=qty,
            type=OrderType.MARKET,
            limit_price=None,
        )
        broker_id = self._place(request).broker_order_id
        while not self.orders[broker_id].ended:
            self.fill(broker_id)

    def end_without_an_order(self) -> None:
        """Some of a position is gone for nothing, and nobody says so until it is listed."""
        free = [s for s, qty in self.held.items() if qty - self._reserved(s) > 0]
        if not free:
            return
        symbol = self.rng.choice(free)
        qty = self.rng.randint(1, self.held[symbol] - self._reserved(symbol))
        self._book(symbol, -qty, Decimal(0))
        self.unlisted.append(
            BookedActivity(
                activity_id=f"{self.name}-{len(self.unlisted) + len(self.activities)}",
                word="OPEXP",
                kind=Settlement.EXPIRED,
                day=trading_day(self.clock()),
                symbol=symbol,
                qty=-qty,
                price=Decimal(0),
                net_amount_usd=Decimal(0),
                description="Option Expiry",
            )
        )

    def list_activities(self) -> None:
        self.activities += self.unlisted
        self.unlisted.clear()

    def _end(self, broker_id: str) -> None:
        order = self.orders[broker_id] = replace(self.orders[broker_id], status="canceled")
        self.emit(
            OrderCanceled(
                id=fact_id("canceled", self.name, broker_id),
                at=self.clock(),
                schema=1,
                cause=broker_id,
                origin="storm",
                account=self.name,
                broker_order_id=broker_id,
                client_order_id=order.client_order_id,
                symbol=order.symbol,
                filled_qty=order.filled_qty,
            )
        )

    # ------------------------------------------------------------ its stream

    def _accepted(self, broker_id: str) -> OrderAccepted:
        order = self.orders[broker_id]
        return OrderAccepted(
            id=fact_id("accepted", self.name, broker_id),
            at=self.clock(),
            schema=1,
            cause=broker_id,
            origin="storm",
            account=self.name,
            broker_order_id=broker_id,
            client_order_id=order.client_order_id,
            symbol=order.symbol,
        )

    def filled_fact(self, execution: Execution, *, from_rest: bool = False) -> OrderFilled:
        """The fact that socket or REST makes of an execution; the REST one comes under another id on purpose."""
        how = "rest" if from_rest else "socket"
        return OrderFilled(
            id=fact_id("fill", how, self.name, execution.broker_order_id, execution.cum_qty),
            at=execution.at,
            schema=1,
            cause=execution.broker_order_id,
            origin="storm",
            account=self.name,
            broker_order_id=execution.broker_order_id,
            client_order_id=self.orders[execution.broker_order_id].client_order_id,
            execution_id=None if from_rest else f"exec-{execution.activity_id}",
            symbol=execution.symbol,
            side=execution.side,
            qty=execution.qty,
            price=execution.price,
            cum_qty=execution.cum_qty,
            source=FillSource.ACTIVITY if from_rest else FillSource.STREAM,
            read_at=self.clock(),
        )


def _stands_in(symbol: str, asked: ChainRange) -> bool:
    named = parse_symbol(symbol)
    return (
        isinstance(named, Option)
        and (named.underlying, named.kind) == (asked.underlying, asked.kind)
        and asked.first <= named.expiration <= asked.last
        and asked.lowest <= named.strike <= asked.highest
    )
