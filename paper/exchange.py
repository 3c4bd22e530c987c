"""What happens to an order, from its acceptance to its end.

accepted -> (session opens) -> new -> partially_filled -> filled; canceled and expired end it from any open state.
An order is filled at the far side of the best bid and offer, never at a price that is not there. Everything happens
at the timeline's present; every step is announced once, after the book has changed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from paper import book, ids, rules, valuation
from paper.book import Account, Activity, Order
from paper.errors import ApiError, invalid, unprocessable
from paper.instruments import Contract, Instrument, Registry, is_occ
from paper.lottery import Lottery
from paper.market import Market
from paper.sessions import Calendar, Session
from paper.tickets import Ticket, closing_ticket
from paper.timeline import Event, Rank, Timeline
from paper.times import new_york_stamp

#: The second part of an order that fills in two parts comes at the symbol's next quote, or after this.
REMAINDER_AFTER = timedelta(seconds=60)
#: Alpaca cancels a GTC order after this.
GTC_LIFE = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill or partial fill."""

    id: str
    qty: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class Update:
    """One thing that happened to an order, for the trade_updates stream. *position_qty* is signed, after it."""

    at: datetime
    event_id: str
    event: str
    order: Order
    execution: Execution | None
    position_qty: Decimal


class Exchange:
    """All accounts' orders against one market."""

    def __init__(
        self,
        *,
        timeline: Timeline,
        calendar: Calendar,
        registry: Registry,
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
        self._registry = registry
        self._market = market
        self._lottery = lottery
        self._announce = announce
        self._remainders: dict[str, Event] = {}
        self._delayed: dict[str, Event] = {}

    # Orders of clients

    def accept(self, account: Account, ticket: Ticket) -> Order:
        """Check a ticket and take it into the book. The caller answers, then calls `route`.

        Raises: ApiError with Alpaca's refusal.
        """
        if ticket.client_order_id in account.by_client_id:
            raise invalid("client_order_id must be unique")
        instrument = self._registry.find(ticket.symbol)
        if instrument is None:
            raise _unknown(ticket.symbol)
        situation = self._situation(account, instrument)
        rules.check(ticket, situation)
        order = self._order(account, ticket, situation)
        if ticket.time_in_force != "fok":
            qty, key = order.qty, order.client_order_id
            order.first_part = self._lottery.first_part(account.name, key, order.symbol, order.side, qty)
        self._book(account, order)
        return order

    def route(self, order: Order) -> None:
        """Bring an accepted order to the market, if it is open."""
        if order.status == "pending_new":
            self._activate(order)

    def cancel(self, account: Account, order: Order) -> None:
        """End an order. Raises: ApiError when it has ended already."""
        if not order.is_open:
            raise unprocessable(f'order is already in "{order.status}" state')
        order.cancel_requested_at = order.canceled_at = self._timeline.now
        self._end(account, order, "canceled")

    # Events of the market and of the day

    def quoted(self, symbols: Iterable[str]) -> None:
        """New quotes of these symbols are there: whatever meets them fills."""
        for symbol in symbols:
            for account in self.accounts.values():
                for order in account.open_orders(symbol):
                    self._call_off(self._remainders, order)
                    self._try(order)

    def session_opens(self) -> None:
        """Queued orders reach the market."""
        for order in self._open_orders():
            if order.status == "accepted":
                self._activate(order)

    def session_closes(self) -> None:
        """Orders whose time is over expire, and the day's closing equity is noted."""
        now = self._timeline.now
        for order in self._open_orders():
            if order.expires_at <= now:
                order.expired_at = now
                self._end(self.accounts[order.account], order, "expired")
        self._market.note_closing_marks()
        for account in self.accounts.values():
            account.last_equity = valuation.equity(account, self._market)

    # The brokerage's own doing

    def close_behind(self, account: Account, symbol: str, qty: Decimal) -> Order | None:
        """Close up to *qty* of a position by an order of the brokerage's own; None when nothing is held.

        What the client's own closing orders claim is taken from them: they are canceled first when too little is
        free, as a liquidation does. No rule refuses it, and it fills in one piece.
        """
        held = account.held(symbol)
        qty = min(qty, abs(held))
        if qty <= 0:
            return None
        if account.available(symbol) < qty:
            for order in account.closing_orders(symbol):
                self.cancel(account, order)
        ticket = closing_ticket(symbol, "sell" if held > 0 else "buy", qty)
        order = self._order(account, ticket, self._situation(account, self._registry.known(symbol)))
        self._book(account, order)
        self.route(order)
        return order

    def reject(self, order: Order) -> None:
        """End an order that was accepted, as a venue does that refuses it late."""
        order.failed_at = self._timeline.now
        self._end(self.accounts[order.account], order, "rejected")

    def fill_at(self, order: Order, price: Decimal) -> None:
        """Fill what is left of an open order at *price*, whatever the market shows."""
        self._fill(order, order.left, price)

    def release(self, key: str) -> None:
        """Let a parked order, or a parked symbol's orders, meet the market again."""
        self.parked.discard(key)
        for order in self._open_orders():
            if key in {order.id, order.symbol}:
                self._try(order)

    def hold_fills(self, holding: bool) -> None:
        """While held nothing fills; on release everything that can fill does."""
        self.holding = holding
        if not holding:
            for order in self._open_orders():
                if order.id not in self._remainders:
                    self._try(order)

    # Inside

    def _situation(self, account: Account, instrument: Instrument) -> rules.Situation:
        now, symbol = self._timeline.now, instrument.symbol
        trade = self._market.trades.get(symbol)
        return rules.Situation(
            account=account,
            instrument=instrument,
            underlying=self._registry.find(instrument.underlying) if isinstance(instrument, Contract) else None,
            quote=self._market.quotes.get(symbol),
            last_trade=trade.price if trade else None,
            session=self._calendar.session_at(now),
            last_session=self._calendar.latest(now),
            now=now,
        )

    def _order(self, account: Account, ticket: Ticket, at: rules.Situation) -> Order:
        client_order_id = ticket.client_order_id or _own_key(account, ticket, at.now)
        return Order(
            id=ids.order_id(account.name, client_order_id),
            account=account.name,
            turn=len(account.orders),
            client_order_id=client_order_id,
            instrument=at.instrument,
            side=ticket.side,
            type=ticket.type,
            time_in_force=ticket.time_in_force,
            qty=rules.qty_of(ticket),
            limit_price=ticket.limit_price,
            intent=rules.intent_of(ticket, at),
            extended_hours=ticket.extended_hours,
            submitted_at=at.now,
            updated_at=at.now,
            expires_at=self._expiry(ticket),
            reserve_price=rules.reserve_price(ticket, at),
            first_part=None,
        )

    def _expiry(self, ticket: Ticket) -> datetime:
        now = self._timeline.now
        end = self._calendar.ending_after(now).close
        return end if ticket.time_in_force != "gtc" else end + GTC_LIFE

    def _book(self, account: Account, order: Order) -> None:
        is_open = self._calendar.session_at(self._timeline.now) is not None
        order.status = "pending_new" if is_open else "accepted"
        account.add(order)
        self._tell(order, order.status)

    def _activate(self, order: Order) -> None:
        order.status = "new"
        self._tell(order, "new", numbered=True)
        self._try(order)
        if order.is_open and order.time_in_force in {"ioc", "fok"}:
            self.cancel(self.accounts[order.account], order)

    def _try(self, order: Order) -> None:
        """Fill an order if it meets the market now, at once or after the delay that was asked for."""
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
        """The open session in which an order may fill now, if any."""
        if self.holding or self.parked & {order.id, order.symbol} or order.status not in {"new", "partially_filled"}:
            return None
        return self._calendar.session_at(self._timeline.now)

    def _price(self, order: Order, session: Session) -> Decimal | None:
        """The price an order meets: the far side of a quote of this session, within its limit."""
        quote = self._market.quotes.get(order.symbol)
        if quote is None or quote.at < session.open:
            return None
        price = quote.ask if order.side == "buy" else quote.bid
        if price is None or order.limit_price is None:
            return price
        return price if (order.limit_price - price) * order.sign >= 0 else None

    def _execute(self, order: Order) -> None:
        session = self._session_for(order)
        price = self._price(order, session) if session else None
        if price is None:
            return
        first = order.first_part if order.executions == 0 else None
        self._fill(order, first or order.left, price)
        if order.is_open:
            due = self._timeline.now + REMAINDER_AFTER
            self._remainders[order.id] = self._timeline.schedule(due, Rank.ORDER, lambda: self._remainder_is_due(order))

    def _fill(self, order: Order, qty: Decimal, price: Decimal) -> None:
        account, now = self.accounts[order.account], self._timeline.now
        order.executions += 1
        order.filled_qty += qty
        order.filled_value += qty * price
        order.status = "partially_filled" if order.left else "filled"
        order.updated_at = now
        account.settle(order, qty, price)
        if not order.left:
            order.filled_at = now
            self._close_book(account, order)
        account.activities.append(_activity(order, qty, price, now))
        execution = Execution(ids.make("execution", order.id, order.executions), qty, price)
        self._tell(order, "partial_fill" if order.left else "fill", execution=execution)

    def _end(self, account: Account, order: Order, status: str) -> None:
        order.status = status
        self._close_book(account, order)
        self._tell(order, status, numbered=True)

    def _close_book(self, account: Account, order: Order) -> None:
        account.ended(order)
        self._call_off(self._remainders, order)
        self._call_off(self._delayed, order)

    def _call_off(self, waits: dict[str, Event], order: Order) -> None:
        event = waits.pop(order.id, None)
        if event is not None:
            event.called_off = True

    def _open_orders(self) -> list[Order]:
        return [order for account in self.accounts.values() for order in account.open_orders()]

    def _tell(self, order: Order, event: str, execution: Execution | None = None, *, numbered: bool = False) -> None:
        """Announce an event; *numbered* events carry an execution id without being executions (`new`, the ends)."""
        now = self._timeline.now
        order.events += 1
        order.updated_at = now
        if numbered and execution is None:
            execution = Execution(ids.make("event", order.id, order.events), book.ZERO, book.ZERO)
        event_id = ids.event_id(now, order.id, order.events)
        held = self.accounts[order.account].held(order.symbol)
        self._announce(Update(now, event_id, event, order, execution, held))


def _own_key(account: Account, ticket: Ticket, now: datetime) -> str:
    """A client id for an order that came without: from what it is and when, not from its place among others."""
    words = ("client order", account.name, ticket.symbol, ticket.side, ticket.qty, ticket.limit_price, now)
    keys = (ids.make(*words, copy) for copy in range(len(account.orders) + 1))
    return next(key for key in keys if key not in account.by_client_id)


def _unknown(symbol: str) -> ApiError:
    if is_occ(symbol):
        return unprocessable(f'contract "{symbol}" not found')
    return unprocessable(f'asset "{symbol}" not found')


def _activity(order: Order, qty: Decimal, price: Decimal, now: datetime) -> Activity:
    return Activity(
        id=f"{new_york_stamp(now)}::{ids.make('activity', order.id, order.executions)}",
        at=now,
        order_id=order.id,
        symbol=order.symbol,
        side=order.side,
        qty=qty,
        price=price,
        cum_qty=order.filled_qty,
        leaves_qty=order.left,
        order_status=order.status,
    )
