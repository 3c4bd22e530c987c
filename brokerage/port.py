"""What the actors need from a brokerage for one account, and how it can fail.

Errors are named by what the caller must do:

* OrderRejected           record it; the same order will be rejected again
* IntentMismatch          (a rejection) our rows and the broker's book differ: reconcile, never retry without intent
* BrokerageUnavailable    nothing is known to have happened; wait and ask again
* OutcomeUnknown          the order may or may not live: look it up by its client order id before anything else
* NotAuthorized           wrong keys: a person must act
* RequestRefused          a question was not understood: a bug of ours, asking again will not help

Money is Decimal, time is aware UTC, quantities are whole units (signed only in BrokerPosition).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from domain.contracts import ChainRange, Snapshot
from domain.events import Intent, OrderType, Quote, Settlement, Side
from domain.instrument import Contract
from domain.session import Session


class BrokerageError(Exception):
    """Base of all errors of this port."""


class BrokerageUnavailable(BrokerageError):
    """No answer, or an answer that says: later (429, 5xx, connection lost, timeout)."""


class OutcomeUnknown(BrokerageUnavailable):
    """An order was sent and no clear answer came back."""


class NotAuthorized(BrokerageError):
    """The keys were refused."""


class _Answered(BrokerageError):
    """An answer of 4xx other than "wait": HTTP status, Alpaca's code and its sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"HTTP {status} {code}: {message}")
        self.status, self.code, self.message = status, code, message


class RequestRefused(_Answered):
    """A question (not an order) was refused: the same question will be refused again."""


class OrderRejected(_Answered):
    """Alpaca understood the order and will not take it."""


class IntentMismatch(OrderRejected):
    """Alpaca inferred another intent than we stated: it does not hold what our rows say."""


class DuplicateClientOrderId(OrderRejected):
    """The client order id was used before: the order that has it must be looked up and adopted."""


class NotCancelable(BrokerageError):
    """The order has ended already (or never existed); its own state says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAccount:
    """*at* is when the answer was given, on the brokerage's side of the call."""

    account_number: str
    equity_usd: Decimal
    cash_usd: Decimal
    buying_power_usd: Decimal
    options_buying_power_usd: Decimal
    trading_blocked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """A DAY order of whole units with an explicit intent, order class simple."""

    client_order_id: str
    symbol: str
    side: Side
    intent: Intent
    qty: int
    type: OrderType
    limit_price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOrder:
    """An order as Alpaca has it. *status* is Alpaca's word; ``ended`` sorts it."""

    broker_order_id: str
    client_order_id: str
    symbol: str
    side: Side
    intent: Intent | None
    qty: int
    filled_qty: int
    status: str
    submitted_at: datetime
    updated_at: datetime

    @property
    def ended(self) -> bool:
        return self.status in ENDED


#: Source: Alpaca's order life cycle; done_for_day is not the end of a gtc order, and ours are day orders.
ENDED = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerPosition:
    """*qty* is signed; *available_qty* is what no open order holds (unsigned)."""

    symbol: str
    qty: int
    available_qty: int
    entry_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One FILL activity. *cum_qty* is what its order has filled after it."""

    activity_id: str
    broker_order_id: str
    symbol: str
    side: Side
    qty: int
    price: Decimal
    cum_qty: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedActivity:
    """Something that the brokerage booked without an order, on *day*. *word* is its own name for it.

    *kind* is None for what moves no position by a rule of ours; then nothing else of it can be relied on. Where there
    is a kind, *qty* (signed: negative takes from a long) and *price* (dollars per share, 0 for a contract whose worth
    is in the shares or gone) are known.
    """

    activity_id: str
    word: str
    kind: Settlement | None
    day: date
    symbol: str | None
    qty: int | None
    price: Decimal | None
    net_amount_usd: Decimal | None
    description: str


class Brokerage(Protocol):
    """One account. Every call has a timeout; none retries by itself. Reading calls raise
    BrokerageUnavailable, NotAuthorized or RequestRefused; None means that the brokerage answered "there is none"."""

    def account(self) -> BrokerAccount: ...

    def now(self) -> datetime:
        """Return the brokerage's clock, in UTC."""
        ...

    def sessions(self, first: date, last: date) -> tuple[Session, ...]:
        """Return the trading sessions from *first* to *last*, both included, ascending."""
        ...

    def contract(self, symbol: str) -> Contract | None: ...

    def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """Return the latest quote of each symbol, stocks and options mixed; one without a quote is missing."""
        ...

    def contracts(self, asked: ChainRange) -> Sequence[Contract]:
        """Return every option contract that is listed in a part of a chain, all pages."""
        ...

    def chain(self, asked: ChainRange) -> Mapping[str, Snapshot]:
        """Return what the feed shows of a part of a chain, all pages; a contract that was never quoted is missing."""
        ...

    def snapshots(self, symbols: Sequence[str]) -> Mapping[str, Snapshot]:
        """Return what the feed shows of each option contract named; one that it does not know is missing."""
        ...

    def submit(self, order: OrderRequest) -> BrokerOrder:
        """Send *order* once.

        Raises:
            OrderRejected: it will never live under this answer.
            OutcomeUnknown: it may live; look it up.
            BrokerageUnavailable: it was surely not taken (refused before it was read: 429, connection refused).
        """
        ...

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder | None: ...

    def order(self, broker_order_id: str) -> BrokerOrder | None: ...

    def open_orders(self) -> Sequence[BrokerOrder]: ...

    def cancel(self, broker_order_id: str) -> None:
        """Ask for the end of an order; its end is what ``order`` says later, and a fill may win.

        Raises:
            NotCancelable: it has ended already.
        """
        ...

    def positions(self) -> Sequence[BrokerPosition]: ...

    def position(self, symbol: str) -> BrokerPosition | None: ...

    def executions(self, since: datetime) -> Sequence[Execution]:
        """Return every execution at or after *since*, oldest first, all pages."""
        ...

    def booked(self, since: date) -> Sequence[BookedActivity]:
        """Return everything that was booked without an order on *since* or later, oldest first, all pages.

        On a paper account it is listed on the day after, while positions and cash change at once.
        """
        ...
