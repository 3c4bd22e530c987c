"""Alpaca's news to our facts. Pure: JSON or port objects in, facts out.

The same happening has the same fact id whether the socket told it or a REST call did, so that catching up may repeat
what the socket said: an order is accepted once and ends once, an execution is known by what its order has filled
after it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, Final

from brokerage.port import BookedActivity, BrokerOrder, Execution
from brokerage.translate import MISSHAPEN, Json, broker_order, decimal, is_whole, moment, quote, whole
from domain.events import (
    ActivityBooked,
    Fact,
    FillSource,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    PositionSettled,
    Quote,
    QuotesTicked,
)
from domain.ids import AccountName, FactId, fact_id
from domain.session import at_new_york

SCHEMA: Final = 1
#: When an activity that names only its day is held to have happened, in New York.
BOOKED_AT: Final = time(16, 0)
FILLS: Final = frozenset({"fill", "partial_fill"})
ACCEPTANCES: Final = frozenset({"new", "accepted", "pending_new"})
ENDS: Final = frozenset({"canceled", "expired", "rejected"})
#: Events that change nothing for us. The end of a replaced order (nobody of ours replaces one) is found by catching up.
SILENT: Final = frozenset(
    {
        "done_for_day",
        "replaced",
        "stopped",
        "pending_cancel",
        "pending_replace",
        "calculated",
        "suspended",
        "order_replace_rejected",
        "order_cancel_rejected",
        "accepted_for_bidding",
        "held",
        "restated",
    }
)
KNOWN_EVENTS: Final = FILLS | ACCEPTANCES | ENDS | SILENT
#: Messages of the price feeds that carry no data.
_CONTROL: Final = frozenset({"success", "subscription", "error"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Who tells: the *account*, the id of the news that is the *cause*, and the *origin* of our code."""

    account: AccountName
    cause: str
    origin: str


def trade_update(data: Json, account: AccountName, origin: str, read_at: datetime) -> list[Fact]:
    """Return the facts in one event of the trade_updates stream: one, or none for an event without meaning for us.

    Raises:
        LookupError, TypeError, ValueError, ArithmeticError: the event has another shape than we know.
    """
    event = data["event"]
    if event not in FILLS | ACCEPTANCES | ENDS:
        return []
    order = broker_order(data["order"])
    told = Told(account=account, cause=str(data.get("event_id") or order.broker_order_id), origin=origin)
    at = moment(data.get("timestamp") or data.get("at") or data["order"]["updated_at"])
    if event in FILLS:
        return _streamed_fill(data, order, told, at, read_at)
    return [accepted(order, told, at)] if event in ACCEPTANCES else [ended(order, event, told, at)]


def _streamed_fill(data: Json, order: BrokerOrder, told: Told, at: datetime, read_at: datetime) -> list[Fact]:
    """A fill of a fraction is not ours, as in translate."""
    if not is_whole({"qty": data["qty"], "cum_qty": data["order"]["filled_qty"]}):
        return []
    return [
        OrderFilled(
            id=filled_id(told.account, order.broker_order_id, order.filled_qty),
            at=at,
            schema=SCHEMA,
            cause=told.cause,
            origin=told.origin,
            account=told.account,
            broker_order_id=order.broker_order_id,
            client_order_id=order.client_order_id,
            execution_id=data.get("execution_id"),
            symbol=order.symbol,
            side=order.side,
            qty=whole(data["qty"]),
            price=decimal(data["price"]),
            cum_qty=order.filled_qty,
            source=FillSource.STREAM,
            read_at=read_at,
        )
    ]


def filled(execution: Execution, client_order_id: str | None, told: Told, read_at: datetime) -> OrderFilled:
    """Return the fact of an execution that the activities list."""
    return OrderFilled(
        id=filled_id(told.account, execution.broker_order_id, execution.cum_qty),
        at=execution.at,
        schema=SCHEMA,
        cause=told.cause,
        origin=told.origin,
        account=told.account,
        broker_order_id=execution.broker_order_id,
        client_order_id=client_order_id,
        execution_id=None,
        symbol=execution.symbol,
        side=execution.side,
        qty=execution.qty,
        price=execution.price,
        cum_qty=execution.cum_qty,
        source=FillSource.ACTIVITY,
        read_at=read_at,
    )


def filled_id(account: AccountName, broker_order_id: str, cum_qty: int) -> FactId:
    """The id of the fact that this execution happened."""
    return fact_id("filled", account, broker_order_id, cum_qty)


def accepted(order: BrokerOrder, told: Told, at: datetime) -> OrderAccepted:
    return OrderAccepted(
        id=fact_id("accepted", told.account, order.broker_order_id),
        at=at,
        schema=SCHEMA,
        cause=told.cause,
        origin=told.origin,
        account=told.account,
        broker_order_id=order.broker_order_id,
        client_order_id=order.client_order_id,
        symbol=order.symbol,
    )


def ended(order: BrokerOrder, word: str, told: Told, at: datetime) -> OrderCanceled | OrderExpired | OrderRejected:
    """Return the fact that *order* ended without being filled; *word* is Alpaca's, and ``replaced`` ends it as well."""
    common: Mapping[str, Any] = {
        "id": fact_id("ended", told.account, order.broker_order_id),
        "at": at,
        "schema": SCHEMA,
        "cause": told.cause,
        "origin": told.origin,
        "account": told.account,
        "broker_order_id": order.broker_order_id,
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "filled_qty": order.filled_qty,
    }
    if word == "rejected":
        return OrderRejected(**common, code="rejected", message="rejected after it was accepted")
    return OrderExpired(**common) if word == "expired" else OrderCanceled(**common)


def booked(activity: BookedActivity, told: Told) -> PositionSettled | ActivityBooked:
    """Return the fact of an activity without an order: one that moves a position, or one that people must see."""
    common: Mapping[str, Any] = {
        "id": fact_id("booked", told.account, activity.activity_id),
        "at": at_new_york(activity.day, BOOKED_AT),
        "schema": SCHEMA,
        "cause": told.cause,
        "origin": told.origin,
        "account": told.account,
        "activity_id": activity.activity_id,
        "symbol": activity.symbol,
        "net_amount_usd": activity.net_amount_usd,
        "description": activity.description,
    }
    if activity.kind is None or activity.qty is None or activity.price is None:
        return ActivityBooked(**common, word=activity.word)
    return PositionSettled(**common, kind=activity.kind, qty=activity.qty, price=activity.price)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceFrame:
    """What one frame of a price feed holds: *messages* counts everything but control messages."""

    quotes: tuple[Quote, ...]
    messages: int
    unreadable: tuple[str, ...]


def price_frame(body: Any) -> PriceFrame:
    """Read every quote of a frame; one of another shape is named and does not take the others with it.

    Raises:
        TypeError: the frame is no list of messages.
    """
    quotes: list[Quote] = []
    unreadable: list[str] = []
    data = [m for m in _messages(body) if m.get("T") not in _CONTROL]
    for message in data:
        try:
            if message["T"] == "q":
                quotes.append(quote(message["S"], message))
        except MISSHAPEN as e:
            unreadable.append(f"{e!r} in {message!r}")
    return PriceFrame(quotes=tuple(quotes), messages=len(data), unreadable=tuple(unreadable))


def _messages(body: Any) -> Sequence[Json]:
    if not isinstance(body, list) or not all(isinstance(m, dict) for m in body):
        raise TypeError(f"not a list of messages: {body!r:.200}")
    return body


def digest(raw: bytes) -> str:
    """Return a name of a frame by its content."""
    return hashlib.blake2b(raw, digest_size=16).hexdigest()


def ticked(feed: str, frame_digest: str, quotes: tuple[Quote, ...]) -> QuotesTicked:
    """Return the fact of one frame; it happened when its newest quote did.

    Raises:
        ValueError: there is no quote in it.
    """
    at = max(q.at for q in quotes)
    return QuotesTicked(id=fact_id("ticked", feed, frame_digest), at=at, schema=SCHEMA, feed=feed, quotes=quotes)
