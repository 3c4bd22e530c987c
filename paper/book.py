"""The book of an account: cash, orders, positions and what is held back for them.

Pure bookkeeping: no clock, no market, no refusals. A position's sums are kept exactly; averages are computed when
shown.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from paper import ids, margin
from paper.instruments import Contract, Instrument
from paper.order import ZERO, Order

#: The secret of an account that was given none: a local stand-in protects nothing.
SECRET = "paper"  # noqa: S105
#: A short stock position locks its proceeds and as much again (a cash account's collateral).
_SHORT_COLLATERAL = 2


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


@dataclass(frozen=True, slots=True)
class NonTrade:
    """A change of position or cash that no order made; *at* is when the list of activities shows it, which is the
    day after it happened (*day*). *qty* is signed: negative takes away."""

    id: str
    at: datetime
    day: date
    activity_type: str
    symbol: str
    qty: Decimal
    price: Decimal | None
    net_amount: Decimal
    description: str
    group_id: str


@dataclass(slots=True)
class Account:
    """One account: *name* and *secret* are its keys, *last_equity* what it was worth at the last close, dollars.

    *option_level* and *shorting* are what was approved; *max_option_level*, *no_shorting* and *suspended_by_user*
    are what the account's owner has chosen below that.
    """

    name: str
    cash: Decimal
    option_level: int
    shorting: bool
    created_at: datetime
    orders: dict[str, Order] = field(default_factory=dict)
    by_client_id: dict[str, Order] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    activities: list[Activity] = field(default_factory=list)
    non_trades: list[NonTrade] = field(default_factory=list)
    last_equity: Decimal = ZERO
    trading_blocked: bool = False
    account_blocked: bool = False
    suspended_by_user: bool = False
    no_shorting: bool = False
    max_option_level: int | None = None
    preferences: dict[str, Any] = field(default_factory=dict)
    keeps_from_exercise: set[str] = field(default_factory=set)
    secret: str = SECRET
    _open: dict[str, dict[str, Order]] = field(default_factory=lambda: defaultdict(dict))

    @property
    def id(self) -> str:
        return ids.make("account", self.name)

    @property
    def number(self) -> str:
        return "PA" + self.id.replace("-", "")[:10].upper()

    def add(self, order: Order) -> None:
        """Take a new order into the book."""
        self.announce(order)
        self._open[order.symbol][order.id] = order

    def announce(self, order: Order) -> None:
        """Let an order be found by its ids, before it claims anything."""
        order.turn = len(self.orders)
        self.orders[order.id] = order
        self.by_client_id[order.client_order_id] = order

    def admit(self, order: Order) -> None:
        """Take a replacement that was announced, and its legs, into the book."""
        self._open[order.symbol][order.id] = order
        for leg in order.legs if order.is_combination else []:
            self.add(leg)

    def ended(self, order: Order) -> None:
        """Forget an order among the open ones."""
        self._open[order.symbol].pop(order.id, None)

    @property
    def trading_level(self) -> int:
        """The option level in force."""
        chosen = self.max_option_level
        return self.option_level if chosen is None else min(chosen, self.option_level)

    @property
    def may_short(self) -> bool:
        return self.shorting and not self.no_shorting

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Orders that can still change, oldest first.

        With a symbol the legs of multi-leg orders are among them, without one only their parents are.
        """
        if symbol is not None:
            return list(self._open[symbol].values()) if symbol in self._open else []
        found = (o for some in self._open.values() for o in some.values() if not o.is_leg_of_combination)
        return sorted(found, key=lambda o: o.turn)

    def held(self, symbol: str) -> Decimal:
        """The signed quantity of a position; zero when there is none."""
        position = self.positions.get(symbol)
        return position.qty if position else ZERO

    def settle(self, order: Order, qty: Decimal, price: Decimal) -> None:
        """Book one execution: cash and position move together."""
        self.book(order.instrument, qty * order.sign, price)

    def book(self, instrument: Instrument, qty: Decimal, price: Decimal) -> None:
        """Add a signed quantity at a price, dollars per share, and pay for it."""
        held = self.held(instrument.symbol)
        if held * (held + qty) < 0:  # an assignment may cross through zero; averages start anew there
            self.book(instrument, -held, price)
            qty += held
        position = self.positions.setdefault(instrument.symbol, Position(instrument))
        position.apply(qty, price)
        self.cash -= qty * price * instrument.multiplier
        if position.qty == 0:
            del self.positions[instrument.symbol]

    def closing_orders(self, symbol: str) -> list[Order]:
        """Open orders that reduce the position; parts of a group that still wait for their entry do not yet."""
        return [o for o in self.open_orders(symbol) if not o.opens and o.status != "held"]

    def held_for_orders(self, symbol: str) -> Decimal:
        """Quantity that open closing orders, or short calls on these shares, already claim.

        Of a group only one part can fill, so that the group claims once.
        """
        claims: dict[str, Decimal] = {}
        for order in self.closing_orders(symbol):
            key = order.group_id or order.id
            claims[key] = max(order.left, claims.get(key, ZERO))
        return sum(claims.values(), ZERO) + self._covering(symbol)

    def available(self, symbol: str) -> Decimal:
        """What a further closing order may close."""
        return max(ZERO, abs(self.held(symbol)) - self.held_for_orders(symbol))

    def buying_power(self) -> Decimal:
        """Cash that is neither promised to open orders nor securing a short, dollars."""
        promised = sum((reserve_of(order) for order in self.open_orders()), ZERO)
        return self.cash - promised - self.collateral()

    def option_positions(self, underlying: str) -> margin.Holding:
        """Signed quantities of all contracts on *underlying*."""
        held = ((p.instrument, p.qty) for p in self.positions.values())
        return {i: qty for i, qty in held if isinstance(i, Contract) and i.underlying == underlying}

    def collateral(self) -> Decimal:
        """Cash that secures short options and short stock."""
        instruments = [p.instrument for p in self.positions.values()]
        underlyings = {i.underlying for i in instruments if isinstance(i, Contract)}
        options = sum((margin.collateral(self.option_positions(name)) for name in underlyings), ZERO)
        short = [p for p in self.positions.values() if p.qty < 0 and not isinstance(p.instrument, Contract)]
        return options + sum((-p.cost * _SHORT_COLLATERAL for p in short), ZERO)

    def _covering(self, symbol: str) -> Decimal:
        """Shares of *symbol* that cover short calls, held or ordered."""
        shares = margin.covering_shares(self.option_positions(symbol))
        for order in self.open_orders():
            contract = order.instrument
            if order.intent != "sell_to_open" or not isinstance(contract, Contract) or contract.kind != "call":
                continue
            if contract.underlying == symbol:
                shares += order.left * contract.multiplier
        return shares


def reserve_of(order: Order) -> Decimal:
    """Dollars that an open order keeps from buying power."""
    if not order.opens and not order.is_combination:
        return ZERO
    if order.notional is not None:
        return order.notional
    return reserve(order.instrument, order.side, order.left, order.reserve_price)


def reserve(instrument: Instrument, side: str, qty: Decimal, price: Decimal) -> Decimal:
    """Dollars that an opening order needs: its price, or the strike of a cash-secured put; a covered call none."""
    if side == "sell" and isinstance(instrument, Contract):
        return instrument.strike * qty * instrument.multiplier if instrument.kind == "put" else ZERO
    return price * qty * instrument.multiplier
