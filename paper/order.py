"""An order: what was asked for, where it stands, and to which group it belongs.

A group is a bracket, an oco or an oto (its parts are orders of their own, tied by *group*), or a multi-leg order
(its legs follow their parent in everything and fill with it).
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from paper.instruments import Instrument
from paper.sessions import Hours

ZERO = Decimal(0)
#: States in which an order can still change.
OPEN_STATES = frozenset(
    {
        "accepted",
        "pending_new",
        "new",
        "partially_filled",
        "held",
        "pending_replace",
        "pending_cancel",
        "done_for_day",
        "accepted_for_bidding",
        "stopped",
        "suspended",
        "calculated",
    }
)
#: States in which the market may fill an order; while something is pending a fill may still win.
WORKING_STATES = frozenset({"new", "partially_filled", "pending_replace", "pending_cancel"})
#: States in which an open order waits for the brokerage and does not fill.
ASIDE_STATES = frozenset({"accepted_for_bidding", "stopped", "suspended", "calculated"})
STOP_TYPES = frozenset({"stop", "stop_limit", "trailing_stop"})
#: Classes of orders whose parts are tied to each other.
GROUP_CLASSES = frozenset({"bracket", "oco", "oto"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The prices an order was given, dollars per share; *trail_percent* is in percent."""

    limit: Decimal | None = None
    stop: Decimal | None = None
    trail: Decimal | None = None
    trail_percent: Decimal | None = None


@dataclass(slots=True, kw_only=True)
class Order:
    """One order. *turn* is its place among all orders of its account; *reserve_price* is what its buying power
    was checked at; *first_part* is how much its first execution fills when it fills in two parts. *hwm* is the best
    price a trailing stop has seen; *ratio* is how many units of a leg belong to one unit of its multi-leg parent;
    *hours* are those in which it may fill. Of an order by dollars (*notional*) the *qty* is what they would buy."""

    id: str
    account: str
    turn: int
    client_order_id: str
    instrument: Instrument
    side: str
    type: str
    time_in_force: str
    qty: Decimal
    notional: Decimal | None = None
    prices: Prices
    intent: str
    extended_hours: bool
    submitted_at: datetime
    expires_at: datetime
    reserve_price: Decimal
    first_part: Decimal | None
    order_class: str = ""
    status: str = "accepted"
    updated_at: datetime
    filled_qty: Decimal = ZERO
    filled_value: Decimal = ZERO
    filled_at: datetime | None = None
    canceled_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    expired_at: datetime | None = None
    failed_at: datetime | None = None
    replaced_at: datetime | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    executions: int = 0
    events: int = 0
    triggered: bool = False
    hwm: Decimal | None = None
    group_id: str | None = None
    group_role: str | None = None
    legs: list["Order"] = field(default_factory=list)
    parent: "Order | None" = None
    ratio: Decimal | None = None
    hours: str = Hours.CORE

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    @property
    def limit_price(self) -> Decimal | None:
        return self.prices.limit

    @property
    def left(self) -> Decimal:
        """What is not filled yet."""
        return self.qty - self.filled_qty

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATES

    @property
    def is_working(self) -> bool:
        """Whether the market may fill it."""
        return self.status in WORKING_STATES

    @property
    def opens(self) -> bool:
        return self.intent.endswith("_to_open")

    @property
    def sign(self) -> int:
        return 1 if self.side == "buy" else -1

    @property
    def is_combination(self) -> bool:
        """Whether it is the parent of a multi-leg order."""
        return self.order_class == "mleg" and self.parent is None

    @property
    def is_leg_of_combination(self) -> bool:
        return self.order_class == "mleg" and self.parent is not None

    @property
    def group(self) -> list["Order"]:
        """All parts of its bracket, oco, oto or multi-leg order; itself alone when it belongs to none."""
        head = self.parent or self
        return [head, *head.legs]

    @property
    def stop_level(self) -> Decimal | None:
        """The price that triggers a stop: the given one, or the best price seen less the trail."""
        if self.type != "trailing_stop":
            return self.prices.stop
        if self.hwm is None:
            return None
        trail = self.prices.trail
        if trail is None:
            trail = self.hwm * (self.prices.trail_percent or ZERO) / 100
        return self.hwm - trail if self.side == "sell" else self.hwm + trail

    def take_place_of(self, old: "Order") -> None:
        """Step into a replaced order's place in its group."""
        if self.is_combination:
            return
        self.parent, self.legs = old.parent, old.legs
        old.legs = []
        for leg in self.legs:
            leg.parent = self
        if self.parent is not None:
            self.parent.legs = [self if leg is old else leg for leg in self.parent.legs]
            old.parent = None
