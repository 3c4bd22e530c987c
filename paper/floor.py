"""The floor of the exchange: how an order becomes new, fills and ends, and how the parts of a group follow.

accepted -> (session opens) -> new -> partially_filled -> filled; canceled, expired, rejected and replaced end it from
any open state. Everything happens at the timeline's present; every step is announced once, after the book has
changed. How orders wait for their hours is in `waiting`.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from paper import fractions, ids, meeting
from paper.book import Account, Activity
from paper.lottery import Lottery
from paper.market import Market, Quote
from paper.order import GROUP_CLASSES, ZERO, Order
from paper.sessions import Calendar, Session
from paper.timeline import Event, Rank, Timeline
from paper.times import new_york_stamp
from paper.updates import Execution, LegFill, Update

#: The second part of an order that fills in two parts comes at the symbol's next quote, or after this.
REMAINDER_AFTER = timedelta(seconds=60)
#: What never stays behind after its first meeting with the market.
_AT_ONCE = frozenset({"ioc", "fok"})
_END_TIMES = {"canceled": "canceled_at", "expired": "expired_at", "rejected": "failed_at"}


class Floor:
    """All accounts' orders against one market; what clients and the brokerage may do is in `exchange`."""

    def __init__(
        self,
        *,
        timeline: Timeline,
        calendar: Calendar,
        market: Market,
        accounts: dict[str, Account],
        lottery: Lottery,
        announce: Callable[[Update], None],
    ) -> None:
        self.accounts = accounts
        self.holding = False
        #: Ids of orders, and symbols, that do not fill although the market is there.
        self.parked: set[str] = set()
        self.delay = timedelta(0)
        self._timeline = timeline
        self._calendar = calendar
        self._market = market
        self._lottery = lottery
        self._announce = announce
        self._remainders: dict[str, Event] = {}
        self._delayed: dict[str, Event] = {}
        self._auction: Session | None = None

    # Beginning

    def _book(self, account: Account, order: Order) -> None:
        """Take an order and the parts of its group into the book."""
        order.status = self._first_status(order)
        account.add(order)
        for leg in order.legs:
            leg.status = order.status if leg.is_leg_of_combination else "held"
            account.add(leg)
        self._tell(order, order.status)
        for leg in order.legs:
            if leg.status == "held":
                self._tell(leg, "held")

    def _first_status(self, order: Order) -> str:
        return "accepted" if self._calendar.session_at(self._timeline.now, order.hours) is None else "pending_new"

    def _draw(self, order: Order) -> None:
        """Let the lottery decide whether an order fills in two parts; what needs one price for all does not."""
        if order.time_in_force not in {"fok", "opg", "cls"} and order.notional is None:
            key, qty = order.client_order_id, order.qty
            order.first_part = self._lottery.first_part(order.account, key, order.symbol, order.side, qty)

    def _activate(self, order: Order) -> None:
        order.status = "new"
        self._mirror(order)
        self._tell(order, "new", numbered=True)
        if order.order_class == "oco":
            self._wake(order.legs)
        if order.is_working:
            self._try(order)
        if order.is_open and order.time_in_force in _AT_ONCE:
            self._cancel(order)

    def _wake(self, legs: list[Order]) -> None:
        """The entry is filled: its exits go to the market, for no more than is still there to close."""
        waiting = [leg for leg in legs if leg.status == "held"]
        for leg in waiting:
            account = self.accounts[leg.account]
            free = account.available(leg.symbol) if account.held(leg.symbol) * leg.sign < 0 else ZERO
            if leg.order_class != "oco":
                leg.qty = min(leg.qty, free + self._claimed_by_group(leg))
            leg.status = "new"
        for leg in waiting:
            if leg.qty <= 0:
                self._end(leg, "canceled")
            elif leg.is_open:
                self._tell(leg, "new", numbered=True)
        for leg in waiting:
            if leg.is_working:
                self._try(leg)

    def _claimed_by_group(self, leg: Order) -> Decimal:
        return max((o.left for o in leg.group if o is not leg and o.is_working and not o.opens), default=ZERO)

    # Filling

    def _try(self, order: Order) -> None:
        """Fill an order if it meets the market now, at once or after the delay that was asked for."""
        order = order.parent if order.is_leg_of_combination and order.parent is not None else order
        session = self._session_for(order)
        if session is None or self._price(order, session) is None:
            return
        if not self.delay:
            self._execute(order)
        elif order.id not in self._delayed:
            due = self._timeline.now + self.delay
            self._delayed[order.id] = self._timeline.schedule(due, Rank.ORDER, lambda: self._delayed_fill(order))

    def _delayed_fill(self, order: Order) -> None:
        del self._delayed[order.id]
        self._execute(order)

    def _remainder_is_due(self, order: Order) -> None:
        del self._remainders[order.id]
        self._try(order)

    def _session_for(self, order: Order) -> Session | None:
        """The session in which an order may fill now, if any; an order for the close fills in its auction only."""
        if self.holding or not order.is_working or self.parked & {order.id, *(o.symbol for o in order.group)}:
            return None
        if order.time_in_force == "cls":
            return self._auction
        return self._calendar.session_at(self._timeline.now, order.hours)

    def _price(self, order: Order, session: Session) -> Decimal | None:
        """The price an order meets in this session."""
        since = session.quoted_since(self._timeline.now, order.hours)

        def look(symbol: str) -> Quote | None:
            quote = self._market.quotes.get(symbol)
            return quote if quote is not None and quote.at >= since else None

        return meeting.offered(order, look)

    def _execute(self, order: Order) -> None:
        session = self._session_for(order)
        price = self._price(order, session) if session else None
        if price is None:
            return
        if order.notional is not None:
            self._size(order, order.notional, price)
        first = order.first_part if order.executions == 0 else None
        self._fill(order, min(first or order.left, order.left), price)
        if order.is_open and order.time_in_force not in _AT_ONCE:
            due = self._timeline.now + REMAINDER_AFTER
            self._remainders[order.id] = self._timeline.schedule(due, Rank.ORDER, lambda: self._remainder_is_due(order))

    def _size(self, order: Order, notional: Decimal, price: Decimal) -> None:
        """An order by dollars learns its quantity: what they buy at this price, or of a position what is free."""
        units = fractions.bought(notional, price)
        free = order.left + self.accounts[order.account].available(order.symbol)
        order.qty = units if order.opens else min(units, free)

    def _fill(self, order: Order, qty: Decimal, price: Decimal) -> None:
        account = self.accounts[order.account]
        leg_fills = self._fill_legs(account, order, qty)
        execution = self._book_execution(order, qty, price)
        if not order.is_combination:
            account.settle(order, qty, price)
        if not order.left:
            self._close_book(account, order)
        if not order.is_combination:
            account.activities.append(_activity(order, execution, self._timeline.now))
        self._tell(order, "partial_fill" if order.left else "fill", execution=execution, leg_fills=leg_fills)
        if order.order_class in GROUP_CLASSES:
            self._group_follows(order, qty)

    def _book_execution(self, order: Order, qty: Decimal, price: Decimal) -> Execution:
        now = self._timeline.now
        order.executions += 1
        order.filled_qty += qty
        order.filled_value += qty * price
        if not order.status.startswith("pending_") or not order.left:
            order.status = "partially_filled" if order.left else "filled"
        order.updated_at = now
        if not order.left:
            order.filled_at = now
        return Execution(ids.make("execution", order.id, order.executions), qty, price)

    def _fill_legs(self, account: Account, order: Order, qty: Decimal) -> tuple[LegFill, ...]:
        """The legs of a multi-leg order fill with it, each at the far side of its own quote."""
        prices = meeting.leg_prices(order, self._market.quotes.get) if order.is_combination else None
        fills = []
        for leg, price in zip(order.legs, prices or (), strict=False):
            execution = self._book_execution(leg, qty * (leg.ratio or ZERO), price)
            account.settle(leg, execution.qty, price)
            account.activities.append(_activity(leg, execution, self._timeline.now))
            fills.append(LegFill(leg, execution, account.held(leg.symbol)))
        return tuple(fills)

    def _group_follows(self, order: Order, qty: Decimal) -> None:
        """A filled entry wakes its exits; what one exit has filled, the other need not close any more."""
        if order.group_role == "entry":
            if not order.left:
                self._wake(order.legs)
            return
        for other in order.group:
            if other is order or not other.is_open or other.group_role == "entry":
                continue
            other.qty -= min(qty, other.left)
            if not order.left or not other.left:
                self._end(other, "canceled")
            else:
                self._tell(other, "restated")

    # Ending

    def _cancel(self, order: Order) -> None:
        order.cancel_requested_at = order.cancel_requested_at or self._timeline.now
        self._end(order, "canceled")

    def _end(self, order: Order, status: str) -> None:
        """End an order, and with it all that is open of its group."""
        order.status = status
        setattr(order, _END_TIMES[status], self._timeline.now)
        self._mirror(order)
        self._close_book(self.accounts[order.account], order)
        self._tell(order, status, numbered=True)
        for other in order.group:
            if other.is_open:
                self._end(other, status)

    def _mirror(self, order: Order) -> None:
        """The legs of a multi-leg order are in their parent's state."""
        if order.is_combination:
            for leg in order.legs:
                leg.status = order.status
                leg.updated_at = self._timeline.now
                leg.canceled_at, leg.expired_at, leg.failed_at = order.canceled_at, order.expired_at, order.failed_at

    def _close_book(self, account: Account, order: Order) -> None:
        """Forget a finished order, and the legs that ended with it, among the open ones."""
        account.ended(order)
        for leg in order.legs if order.is_combination else []:
            account.ended(leg)
        self._call_off(self._remainders, order)
        self._call_off(self._delayed, order)

    def _call_off(self, waits: dict[str, Event], order: Order) -> None:
        event = waits.pop(order.id, None)
        if event is not None:
            event.called_off = True

    def _open_orders(self) -> list[Order]:
        return [order for account in self.accounts.values() for order in account.open_orders()]

    def _tell(
        self,
        order: Order,
        event: str,
        execution: Execution | None = None,
        *,
        numbered: bool = False,
        leg_fills: tuple[LegFill, ...] = (),
    ) -> None:
        """Announce an event; *numbered* events carry an execution id without being executions (`new`, the ends)."""
        now = self._timeline.now
        order.events += 1
        order.updated_at = now
        if numbered and execution is None:
            execution = Execution(ids.make("event", order.id, order.events), ZERO, ZERO)
        event_id = ids.event_id(now, order.id, order.events)
        held = self.accounts[order.account].held(order.symbol)
        self._announce(Update(now, event_id, event, order, execution, held, leg_fills))


def _activity(order: Order, execution: Execution, now: datetime) -> Activity:
    return Activity(
        id=f"{new_york_stamp(now)}::{ids.make('activity', order.id, order.executions)}",
        at=now,
        order_id=order.id,
        symbol=order.symbol,
        side=order.side,
        qty=execution.qty,
        price=execution.price,
        cum_qty=order.filled_qty,
        leaves_qty=order.left,
        order_status=order.status,
    )
