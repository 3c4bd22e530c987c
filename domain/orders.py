"""Orders: their states, and the two kinds that we write.

approved -> submitting -> accepted -> filled | canceled | expired | rejected
approved -> expired_unsent                (too old or out of session before it was sent)

An order that has ended frees what it reserved; until then its unfilled rest counts against its account.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from domain.closing import MARKET, Terms
from domain.events import Intent, OrderType, Side
from domain.ids import (
    AccountName,
    OrderId,
    PositionId,
    RecommendationId,
    client_order_id,
    closing_order_id,
    entry_order_id,
    position_id,
)


class OrderStatus(StrEnum):
    APPROVED = "approved"
    SUBMITTING = "submitting"
    ACCEPTED = "accepted"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    EXPIRED_UNSENT = "expired_unsent"

    @property
    def is_live(self) -> bool:
        return self in LIVE


LIVE: Final = frozenset({OrderStatus.APPROVED, OrderStatus.SUBMITTING, OrderStatus.ACCEPTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What we ask Alpaca for. *qty* counts shares or contracts; *limit_price* is dollars per share.

    *awaited_until*: when a limit that closes gives way to the next step of its close; None for every other order.
    """

    order_id: OrderId
    client_order_id: str
    account: AccountName
    position_id: PositionId
    recommendation: RecommendationId | None
    symbol: str
    side: Side
    intent: Intent
    qty: int
    type: OrderType
    limit_price: Decimal | None
    awaited_until: datetime | None
    reason: str
    approved_at: datetime


def opening_order(
    account: AccountName,
    recommendation: RecommendationId,
    symbol: str,
    qty: int,
    limit_price: Decimal,
    now: datetime,
) -> Order:
    """Return the one order that *recommendation* leads to in *account*: a limit at the ask the gate saw."""
    order_id = entry_order_id(recommendation, account)
    return Order(
        order_id=order_id,
        client_order_id=client_order_id(account, order_id),
        account=account,
        position_id=position_id(order_id),
        recommendation=recommendation,
        symbol=symbol,
        side=Side.BUY,
        intent=Intent.BUY_TO_OPEN,
        qty=qty,
        type=OrderType.LIMIT,
        limit_price=limit_price,
        awaited_until=None,
        reason="entry",
        approved_at=now,
    )


def closing_order(
    account: AccountName,
    position: PositionId,
    symbol: str,
    held_qty: int,
    qty: int,
    attempt: int,
    reason: str,
    recommendation: RecommendationId | None,
    now: datetime,
    terms: Terms = MARKET,
) -> Order:
    """Return the order that takes *qty* off a position of *held_qty* (signed) at *terms*: it can only close.

    Raises:
        ValueError: *qty* is not between 1 and what is held.
    """
    if not 0 < qty <= abs(held_qty):
        raise ValueError(f"qty: a close of {symbol} needs 1 to {abs(held_qty)}, was {qty}")
    order_id = closing_order_id(position, attempt)
    is_long = held_qty > 0
    return Order(
        order_id=order_id,
        client_order_id=client_order_id(account, order_id),
        account=account,
        position_id=position,
        recommendation=recommendation,
        symbol=symbol,
        side=Side.SELL if is_long else Side.BUY,
        intent=Intent.SELL_TO_CLOSE if is_long else Intent.BUY_TO_CLOSE,
        qty=qty,
        type=OrderType.MARKET if terms.limit_price is None else OrderType.LIMIT,
        limit_price=terms.limit_price,
        awaited_until=terms.awaited_until,
        reason=reason,
        approved_at=now,
    )
