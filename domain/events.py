"""Every fact that travels on a stream.

Names are past tense: a fact says what happened and is never edited. ``id`` is the
deduplication key, ``at`` the aware UTC moment at which it happened (not when it was read),
``schema`` the version of its shape. No field has a default: a fact that could be half known is two facts.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from domain.ids import AccountName, FactId, OrderId, PositionId, RecommendationId
from domain.instrument import Kind

#: Longest id of a recommendation, in characters: it becomes part of keys and of what people type.
MAX_ID: Final = 64
#: A name (source, account, underlying, symbol, strategy) in a recommendation: bounded, no control characters.
NAME: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,200}")
#: Largest quantity: what a column of 32 bits holds.
MAX_QTY: Final = 2**31 - 1
#: Dollars stay below this: what NUMERIC(16, 2) holds.
USD_CEILING: Final = Decimal(10) ** 14
#: The only version of a recommendation so far.
RECOMMENDATION_SCHEMA: Final = 1
#: What PostgreSQL's text cannot hold: NUL, and half a character.
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_MAX_PLACE: Final = 120


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1


class Action(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


class Intent(StrEnum):
    """What an order does to a position. Source: Alpaca's position_intent."""

    BUY_TO_OPEN = "buy_to_open"
    BUY_TO_CLOSE = "buy_to_close"
    SELL_TO_OPEN = "sell_to_open"
    SELL_TO_CLOSE = "sell_to_close"

    @property
    def opens(self) -> bool:
        return self in (Intent.BUY_TO_OPEN, Intent.SELL_TO_OPEN)


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"


class FillSource(StrEnum):
    STREAM = "stream"
    ACTIVITY = "activity"


class Settlement(StrEnum):
    """What a brokerage does to a position without an order. *delivered*: shares that came or went at a strike."""

    EXPIRED = "expired"
    EXERCISED = "exercised"
    ASSIGNED = "assigned"
    CASH_SETTLED = "cash_settled"
    DELIVERED = "delivered"


def require(holds: bool, field: str, expected: str, value: object) -> None:
    """Raise ValueError naming *field*, what is *expected* of it and its *value*, unless *holds*."""
    if not holds:
        raise ValueError(f"{field}: {expected}, was {value!a:.120}")


def refuse_unstorable(value: Any, place: str = "") -> None:
    """Raise ValueError naming the first text in *value* (JSON, standing at *place*) that PostgreSQL cannot store."""
    waiting: list[tuple[str, Any]] = [(place, value)]
    while waiting:
        place, part = waiting.pop()
        storable = not (isinstance(part, str) and _UNSTORABLE.search(part))
        require(storable, place.removeprefix("."), "text without NUL and half characters", part)
        waiting += _parts(place, part)


def _parts(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Names are parts too. A place is what people read: escaped and bounded."""
    if isinstance(value, dict):
        for name, inner in value.items():
            inside = f"{place}.{ascii(name)[1:-1]:.80}"[:_MAX_PLACE]
            yield inside, name
            yield inside, inner
    elif isinstance(value, list | tuple):
        yield from ((f"{place}.{number}"[:_MAX_PLACE], inner) for number, inner in enumerate(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    id: FactId
    at: datetime
    schema: int

    def __post_init__(self) -> None:
        require(self.at.utcoffset() == timedelta(0), "at", "an aware time in UTC is expected", self.at.isoformat())


@dataclass(frozen=True, slots=True, kw_only=True)
class OurFact(Fact):
    """A fact of this house: *cause* is the id of what led to it, *origin* the code and configuration that ran."""

    cause: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationIssued(Fact):
    """A signal engine suggests a trade; exactly one of *qty* (units) and *notional_usd* is given."""

    source: str
    accounts: tuple[AccountName, ...]
    underlying: str
    instrument: Kind
    action: Action
    symbol: str | None
    qty: int | None
    notional_usd: Decimal | None
    confidence: Decimal
    strategy: str
    reason: dict[str, Any]

    def __post_init__(self) -> None:
        Fact.__post_init__(self)
        require(self.schema == RECOMMENDATION_SCHEMA, "schema", f"version {RECOMMENDATION_SCHEMA}", self.schema)
        printable = self.id.isascii() and self.id.isprintable()
        require(printable and 1 <= len(self.id) <= MAX_ID, "id", f"1 to {MAX_ID} printable ASCII characters", self.id)
        require(len(self.accounts) > 0, "accounts", "at least one account", list(self.accounts))
        require(len(set(self.accounts)) == len(self.accounts), "accounts", "distinct names", list(self.accounts))
        self._require_names()
        self._require_amounts()
        refuse_unstorable(self.reason, "reason")

    def _require_names(self) -> None:
        named = [(field, getattr(self, field)) for field in ("source", "underlying", "symbol", "strategy")]
        for field, name in (*named, *(("accounts", account) for account in self.accounts)):
            fits = name is None or NAME.fullmatch(name) is not None
            require(fits, field, "1 to 200 characters without control characters", name)

    def _require_amounts(self) -> None:
        asked = (self.qty, self.notional_usd)
        require(asked.count(None) == 1, "qty", "exactly one of qty and notional_usd", [str(a) for a in asked])
        require(self.qty is None or 1 <= self.qty <= MAX_QTY, "qty", f"a whole number from 1 to {MAX_QTY}", self.qty)
        dollars = self.notional_usd is None or 0 < self.notional_usd < USD_CEILING
        require(dollars, "notional_usd", f"dollars above 0 and below {USD_CEILING:f}", str(self.notional_usd))
        require(0 <= self.confidence <= 1, "confidence", "a decimal from 0 to 1", str(self.confidence))

    @property
    def recommendation_id(self) -> RecommendationId:
        return RecommendationId(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderApproved(OurFact):
    """The gate (to open) or the exit, a SELL or a flatten (to close) decided that this order shall be placed."""

    order_id: OrderId
    client_order_id: str
    position_id: PositionId
    account: AccountName
    symbol: str
    side: Side
    intent: Intent
    qty: int
    type: OrderType
    limit_price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAccepted(OurFact):
    """Alpaca took the order; it may already be filled."""

    account: AccountName
    broker_order_id: str
    client_order_id: str
    symbol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilled(OurFact):
    """Alpaca executed *qty* of an order at *price*; *cum_qty* of it is filled after this execution.

    *client_order_id* and *execution_id* are null where the source does not know them (REST activities).
    *read_at* is the wall clock when the frame was read: the start of the gap that we measure.
    """

    account: AccountName
    broker_order_id: str
    client_order_id: str | None
    execution_id: str | None
    symbol: str
    side: Side
    qty: int
    price: Decimal
    cum_qty: int
    source: FillSource
    read_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRejected(OurFact):
    """Alpaca will not execute the order (more). *filled_qty* is what it executed before."""

    account: AccountName
    broker_order_id: str | None
    client_order_id: str
    symbol: str
    code: str
    message: str
    filled_qty: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCanceled(OurFact):
    account: AccountName
    broker_order_id: str
    client_order_id: str
    symbol: str
    filled_qty: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderExpired(OurFact):
    account: AccountName
    broker_order_id: str
    client_order_id: str
    symbol: str
    filled_qty: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionAdjusted(OurFact):
    """The reconciler found that the brokerage holds another quantity than our fills explain.

    *qty* is signed: what the brokerage holds now. *price* is its average entry price, null when it holds nothing:
    a phantom has no price, and none is invented for it.
    """

    account: AccountName
    symbol: str
    qty: int
    price: Decimal | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionSettled(OurFact):
    """The brokerage booked an expiry, an exercise, an assignment or the shares of one: a move without an order.

    *qty* is signed, units: negative takes from a long position or adds to a short one. *price* is always known, dollars
    per share: 0 for a contract that ended (its worth is in the shares), the strike for shares, its worth for cash.
    The brokerage tells the day alone; *at* is 16:00 of it in New York. *net_amount_usd* is the cash that moved.
    """

    account: AccountName
    activity_id: str
    kind: Settlement
    symbol: str
    qty: int
    price: Decimal
    net_amount_usd: Decimal | None
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityBooked(OurFact):
    """The brokerage booked something that moves no position by a rule of ours: shown to people, never dropped.

    *word* is the brokerage's own; *at* is 16:00 New York time of the day it names.
    """

    account: AccountName
    activity_id: str
    word: str
    symbol: str | None
    net_amount_usd: Decimal | None
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Best bid and offer of one symbol. A missing side is None: not a price of zero dollars."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    bid_size: int
    ask_size: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotesTicked(Fact):
    """The quotes of one frame of the price feed."""

    feed: str
    quotes: tuple[Quote, ...]

    def among(self, symbols: Container[str]) -> Iterator[Quote]:
        """Return the quotes of *symbols*, in order."""
        return (quote for quote in self.quotes if quote.symbol in symbols)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockMoved(Fact):
    """A recorded day moved its clock to *at*; actors run their timers on it. Never published in live trading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationRefused(OurFact):
    recommendation: RecommendationId
    account: AccountName
    refusals: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionOpened(OurFact):
    position_id: PositionId
    account: AccountName
    symbol: str
    qty: int
    entry_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionChanged(OurFact):
    position_id: PositionId
    account: AccountName
    symbol: str
    qty: int
    entry_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionClosed(OurFact):
    position_id: PositionId
    account: AccountName
    symbol: str
    exit_price: Decimal | None
    realized_pnl_usd: Decimal | None
    exit_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitTriggered(OurFact):
    """A rule fired; *order_id* is the closing order that it wrote."""

    position_id: PositionId
    account: AccountName
    symbol: str
    rule: str
    detail: str
    order_id: OrderId


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitPolicyChanged(OurFact):
    """New positions of *strategy* in *account* get another exit policy; *changes* says which numbers differ.

    *kind* is ``option`` or ``stock``. Positions that are held keep theirs until somebody applies it.
    """

    account: AccountName
    strategy: str
    kind: str
    before_version: str
    version: str
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitPolicyApplied(OurFact):
    """A person let another exit policy govern an open position."""

    position_id: PositionId
    account: AccountName
    symbol: str
    before_version: str
    version: str
    changes: tuple[str, ...]
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEnded(OurFact):
    """An order left the market: canceled, expired, rejected or never sent."""

    order_id: OrderId
    position_id: PositionId
    account: AccountName
    symbol: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStateChanged(OurFact):
    account: AccountName
    state: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitChanged(OurFact):
    """*limit* of *account* is *after* from now on; *until* is the end of an override, null where there is none."""

    account: AccountName
    limit: str
    before: str
    after: str
    until: datetime | None
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationChanged(OurFact):
    """Other rules are in force: *before* and *after* are hashes, *before* null for the first ones."""

    before: str | None
    after: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftFound(OurFact):
    """Broker and rows disagree about *symbol*: both quantities, signed."""

    account: AccountName
    symbol: str
    kind: str
    rows_qty: int
    broker_qty: int


AnyFact = (
    RecommendationIssued
    | OrderApproved
    | OrderAccepted
    | OrderFilled
    | OrderRejected
    | OrderCanceled
    | OrderExpired
    | PositionAdjusted
    | PositionSettled
    | ActivityBooked
    | QuotesTicked
    | ClockMoved
    | RecommendationRefused
    | PositionOpened
    | PositionChanged
    | PositionClosed
    | ExitTriggered
    | ExitPolicyChanged
    | ExitPolicyApplied
    | OrderEnded
    | AccountStateChanged
    | LimitChanged
    | ConfigurationChanged
    | DriftFound
)
