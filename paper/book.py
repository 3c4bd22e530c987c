"""The book of an account: cash, orders, positions and what is held back for them.

Pure bookkeeping: no clock, no market, no refusals. A position's sums are kept exactly; averages are computed when
shown.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from paper import ids
from paper.instruments import Contract, Instrument

ZERO = Decimal(0)
#: States in which an order can still change.
OPEN_STATES = frozenset({"accepted", "pending_new", "new", "partially_filled"})
#: A short stock position locks its proceeds and as much again (a cash account's collateral).
_SHORT_COLLATERAL = 2


@dataclass(slots=True, kw_only=True)
class Order:
    """One order. *turn* is its place among all orders of its account; *reserve_price* is what its buying power
    was checked at; *first_part* is how much its first execution fills when it fills in two parts."""

    id: str
    account: str
    turn: int
    client_order_id: str
    instrument: Instrument
    side: str
    type: str
    time_in_force: str
    qty: Decimal
    limit_price: Decimal | None
    intent: str
    extended_hours: bool
    submitted_at: datetime
    expires_at: datetime
    reserve_price: Decimal
    first_part: Decimal | None
    status: str = "accepted"
    updated_at: datetime
    filled_qty: Decimal = ZERO
    filled_value: Decimal = ZERO
    filled_at: datetime | None = None
    canceled_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    expired_at: datetime | None = None
    failed_at: datetime | None = None
    executions: int = 0
    events: int = 0

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    @property
    def left(self) -> Decimal:
        """What is not filled yet."""
        return self.qty - self.filled_qty

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATES

    @property
    def opens(self) -> bool:
        return self.intent.endswith("_to_open")

    @property
    def sign(self) -> int:
        return 1 if self.side == "buy" else -1


@dataclass(slots=True)
class Position:
    """What is held of one instrument; *qty* and *cost* are negative for a short, *cost* includes the multiplier."""

    instrument: Instrument
    qty: Decimal = ZERO
    cost: Decimal = ZERO

    def apply(self, qty: Decimal, price: Decimal) -> None:
        """Add a signed quantity; a reduction takes its share of the cost. Never called across zero."""
        if self.qty * qty >= 0:
            self.cost += qty * price * self.instrument.multiplier
        else:
            self.cost = self.cost * (self.qty + qty) / self.qty
        self.qty += qty


@dataclass(frozen=True, slots=True)
class Activity:
    """One execution, as the activities list shows it."""

    id: str
    at: datetime
    order_id: str
    symbol: str
    side: str
    qty: Decimal
    price: Decimal
    cum_qty: Decimal
    leaves_qty: Decimal
    order_status: str


@dataclass(slots=True)
class Account:
    """One account. Key id is its name. *last_equity* is its equity at the last session's close, dollars."""

    name: str
    cash: Decimal
    option_level: int
    shorting: bool
    created_at: datetime
    orders: dict[str, Order] = field(default_factory=dict)
    by_client_id: dict[str, Order] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    activities: list[Activity] = field(default_factory=list)
    last_equity: Decimal = ZERO
    trading_blocked: bool = False
    account_blocked: bool = False
    suspended_by_user: bool = False
    _open: dict[str, dict[str, Order]] = field(default_factory=lambda: defaultdict(dict))

    @property
    def id(self) -> str:
        return ids.make("account", self.name)

    @property
    def number(self) -> str:
        return "PA" + self.id.replace("-", "")[:10].upper()

    def add(self, order: Order) -> None:
        """Take a new order into the book."""
        self.orders[order.id] = order
        self.by_client_id[order.client_order_id] = order
        self._open[order.symbol][order.id] = order

    def ended(self, order: Order) -> None:
        """Forget an order among the open ones."""
        self._open[order.symbol].pop(order.id, None)

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Orders that can still fill, oldest first."""
        if symbol is not None:
            return list(self._open[symbol].values()) if symbol in self._open else []
        return sorted((o for some in self._open.values() for o in some.values()), key=lambda o: o.turn)

    def held(self, symbol: str) -> Decimal:
        """The signed quantity of a position; zero when there is none."""
        position = self.positions.get(symbol)
        return position.qty if position else ZERO

    def settle(self, order: Order, qty: Decimal, price: Decimal) -> None:
        """Book one execution: cash and position move together."""
        signed = qty * order.sign
        position = self.positions.setdefault(order.symbol, Position(order.instrument))
        position.apply(signed, price)
        self.cash -= signed * price * order.instrument.multiplier
        if position.qty == 0:
            del self.positions[order.symbol]

    def closing_orders(self, symbol: str) -> list[Order]:
        """Open orders that reduce the position."""
        return [order for order in self.open_orders(symbol) if not order.opens]

    def held_for_orders(self, symbol: str) -> Decimal:
        """Quantity that open closing orders, or short calls on these shares, already claim."""
        return sum((o.left for o in self.closing_orders(symbol)), ZERO) + self._covering(symbol)

    def available(self, symbol: str) -> Decimal:
        """What a further closing order may close."""
        return max(ZERO, abs(self.held(symbol)) - self.held_for_orders(symbol))

    def buying_power(self) -> Decimal:
        """Cash that is neither promised to open buys nor securing a short, dollars."""
        opening = [order for order in self.open_orders() if order.opens]
        promised = sum((reserve(o.instrument, o.side, o.left, o.reserve_price) for o in opening), ZERO)
        return self.cash - promised - self._collateral()

    def _collateral(self) -> Decimal:
        """Cash that secures short puts and short stock."""
        total = ZERO
        for position in self.positions.values():
            if position.qty >= 0:
                continue
            if isinstance(position.instrument, Contract):
                total += reserve(position.instrument, "sell", -position.qty, ZERO)
            else:
                total += -position.cost * _SHORT_COLLATERAL
        return total

    def _covering(self, symbol: str) -> Decimal:
        """Shares of *symbol* that cover short calls, held or ordered."""
        short = [(p.instrument, -p.qty) for p in self.positions.values() if p.qty < 0]
        short += [(o.instrument, o.left) for o in self.open_orders() if o.intent == "sell_to_open"]
        calls = [
            (i, qty) for i, qty in short if isinstance(i, Contract) and i.kind == "call" and i.underlying == symbol
        ]
        return sum((qty * contract.multiplier for contract, qty in calls), ZERO)


def reserve(instrument: Instrument, side: str, qty: Decimal, price: Decimal) -> Decimal:
    """Dollars that an opening order needs: its price, or the strike of a cash-secured put; a covered call none."""
    if side == "sell" and isinstance(instrument, Contract):
        return instrument.strike * qty * instrument.multiplier if instrument.kind == "put" else ZERO
    return price * qty * instrument.multiplier
