"""What the floor of the exchange tells: one update for everything that happens to an order."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from paper.order import Order

#: Events that the event streams tell and the trade_updates socket does not.
STREAM_ONLY = frozenset({"held", "restated"})


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill or partial fill."""

    id: str
    qty: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class LegFill:
    """What a leg had of its multi-leg order's execution; *position_qty* is signed, after it."""

    leg: Order
    execution: Execution
    position_qty: Decimal


@dataclass(frozen=True, slots=True)
class Update:
    """One thing that happened to an order, for the trade_updates stream. *position_qty* is signed, after it."""

    at: datetime
    event_id: str
    event: str
    order: Order
    execution: Execution | None
    position_qty: Decimal
    leg_fills: tuple[LegFill, ...] = ()
