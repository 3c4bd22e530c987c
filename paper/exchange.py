"""What clients, the day and the brokerage do to orders; what then happens to an order is in `floor`.

A request is checked by `rules`, drafted by `drafting` and taken into the book; the caller answers, then routes it.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal

from paper import drafting, replacing, rules, rules_combinations, valuation
from paper.book import Account
from paper.errors import ApiError, invalid, unprocessable
from paper.instruments import Contract, Instrument, Registry, is_occ
from paper.lottery import Lottery
from paper.market import Market
from paper.order import Order
from paper.sessions import Calendar
from paper.situation import Situation
from paper.succession import Succession
from paper.switches import Switches
from paper.tickets import Ticket, closing_ticket
from paper.timeline import Timeline
from paper.times import new_york_day
from paper.updates import Update


class Exchange(Succession):
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
        switches: Switches,
    ) -> None:
        super().__init__(
            timeline=timeline,
            calendar=calendar,
            market=market,
            accounts=accounts,
            lottery=lottery,
            announce=announce,
        )
        self.switches = switches
        self._registry = registry

    # Orders of clients

    def accept(self, account: Account, ticket: Ticket) -> Order:
        """Check a ticket and take it into the book. The caller answers, then calls `route`.

        Raises: ApiError with Alpaca's refusal.
        """
        if ticket.client_order_id in account.by_client_id:
            raise invalid("client_order_id must be unique")
        order = self._combination(account, ticket) if ticket.legs else self._single(account, ticket)
        for part in [order] if order.is_combination else order.group:
            self._draw(part)
        self._book(account, order)
        return order

    def cancel(self, account: Account, order: Order) -> None:
        """End an order and its group. Raises: ApiError when it has ended already."""
        if order.status == "canceled" and not self.switches.cancel_of_canceled_refused:
            return
        what = "leg order" if order.is_leg_of_combination else "order"
        if not order.is_open or order.status == "pending_replace":
            state = order.status if order.is_leg_of_combination else f'"{order.status}"'
            raise unprocessable(f"{what} is already in {state} state")
        if replacing.is_pending(order, account.orders.get(order.replaces or "")):
            raise unprocessable("order chain not fully replaced")
        self.cancel_for(order)

    def replace(self, account: Account, order: Order, change: replacing.Change) -> Order:
        """Check a change and take the replacement into the book. The caller answers, then calls `settle_replacement`.

        Raises: ApiError with Alpaca's refusal.
        """
        ticket = replacing.ticket(order, change, account.orders.get(order.replaces or ""))
        if ticket.client_order_id is not None and ticket.client_order_id in account.by_client_id:
            raise invalid("client_order_id must be unique")
        made = self._replacement(account, order, ticket)
        made.replaces, order.replaced_by = order.id, made.id
        made.status = self._first_status()
        account.announce(made)
        return made

    # Events of the market and of the day

    def quoted(self, symbols: Iterable[str]) -> None:
        """New quotes of these symbols are there: whatever meets them fills."""
        tried: set[str] = set()
        for symbol in symbols:
            for account in self.accounts.values():
                for order in account.open_orders(symbol):
                    head = order.parent if order.is_leg_of_combination and order.parent is not None else order
                    if head.is_combination and head.id in tried:
                        continue
                    tried.add(head.id)
                    self._call_off(self._remainders, head)
                    self._try(head)
                    self._leave_opening_auction(head)

    def session_opens(self) -> None:
        """Queued orders reach the market; what has grown too old is canceled."""
        self._cancel_aged()
        for order in self._open_orders():
            if order.status == "accepted":
                self._activate(order)

    def session_closes(self) -> None:
        """The closing auction is held, orders whose time is over expire, and the day's closing equity is noted."""
        now = self._timeline.now
        self._hold_closing_auction()
        self._cancel_aged()
        for order in self._open_orders():
            if order.is_open and order.expires_at <= now:
                self._end(order, "expired")
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
                if order.is_open:
                    self.cancel_for(order)
        ticket = closing_ticket(symbol, "sell" if held > 0 else "buy", qty)
        situation = self._situation(account, self._registry.known(symbol))
        order = drafting.draft(account, ticket, situation, self._expiry(ticket, situation.instrument))
        self._book(account, order)
        self.route(order)
        return order

    def cancel_for(self, order: Order) -> None:
        """Cancel an order, or the one it is a leg of, by the brokerage's own decision."""
        self._cancel(order.parent if order.is_leg_of_combination and order.parent is not None else order)

    def reject(self, order: Order) -> None:
        """End an order that was accepted, as a venue does that refuses it late."""
        self._end(order, "rejected")

    def fill_at(self, order: Order, price: Decimal) -> None:
        """Fill what is left of an open order at *price*, whatever the market shows; its legs have their own."""
        if not order.is_combination:
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

    def _single(self, account: Account, ticket: Ticket) -> Order:
        instrument = self._registry.find(ticket.symbol)
        if instrument is None:
            raise _unknown(ticket.symbol)
        situation = self._situation(account, instrument)
        rules.check(ticket, situation)
        return drafting.draft(account, ticket, situation, self._expiry(ticket, instrument))

    def _combination(self, account: Account, ticket: Ticket, old: Order | None = None) -> Order:
        contracts = [rules_combinations.contract_of(leg, self._registry) for leg in ticket.legs]
        situations = [self._situation(account, contract, old) for contract in contracts]
        reserve = rules_combinations.check(ticket, situations)
        expires_at = min(self._expiry(ticket, contract) for contract in contracts)
        order = drafting.draft_combination(account, ticket, contracts, self._timeline.now, expires_at)
        order.reserve_price = reserve / order.qty / order.instrument.multiplier
        return order

    def _replacement(self, account: Account, order: Order, ticket: Ticket) -> Order:
        if order.is_combination:
            return self._combination(account, ticket, order)
        situation = self._situation(account, order.instrument, order)
        if order.status != "held":
            rules.check(ticket, situation)
        made = drafting.draft(account, ticket, situation, self._expiry(ticket, order.instrument))
        self._draw(made)
        made.intent, made.order_class = order.intent, order.order_class
        made.group_id, made.group_role = order.group_id, order.group_role
        return made

    def _leave_opening_auction(self, order: Order) -> None:
        """What its session's first quote has not filled is not in the opening auction any more."""
        if order.time_in_force != "opg" or order.id in self._delayed:
            return
        session, quote = self._session_for(order), self._market.quotes.get(order.symbol)
        if session is not None and quote is not None and quote.at >= session.open:
            self._cancel(order)

    def _hold_closing_auction(self) -> None:
        """Orders for the close fill at the session's last quotes, or never."""
        self._auction = self._calendar.latest(self._timeline.now)
        for order in self._open_orders():
            if order.time_in_force == "cls" and order.is_working:
                self._execute(order)
                if order.is_open:
                    self._cancel(order)
        self._auction = None

    def _cancel_aged(self) -> None:
        now = self._timeline.now
        for order in self._open_orders():
            if order.is_open and order.time_in_force == "gtc" and order.expires_at <= now:
                self._end(order, "expired" if isinstance(order.instrument, Contract) else "canceled")

    def _situation(self, account: Account, instrument: Instrument, replacing: Order | None = None) -> Situation:
        now, symbol = self._timeline.now, instrument.symbol
        trade, today = self._market.trades.get(symbol), new_york_day(now)
        return Situation(
            account=account,
            instrument=instrument,
            underlying=self._registry.find(instrument.underlying) if isinstance(instrument, Contract) else None,
            quote=self._market.quotes.get(symbol),
            last_trade=trade.price if trade else None,
            mark=self._market.mark(symbol),
            session=self._calendar.session_at(now),
            last_session=self._calendar.latest(now),
            auction_day=next(iter(self._calendar.between(today, today)), None),
            now=now,
            switches=self.switches,
            replacing=replacing,
        )

    def _expiry(self, ticket: Ticket, instrument: Instrument) -> datetime:
        return drafting.expiry(ticket, instrument, self._calendar, self._timeline.now)


def _unknown(symbol: str) -> ApiError:
    if is_occ(symbol):
        return unprocessable(f'contract "{symbol}" not found')
    return unprocessable(f'asset "{symbol}" not found')
