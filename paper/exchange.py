"""What clients and the day do to orders; what the brokerage does is in `behind`, what then happens in `floor`.

A request is checked by `rules`, drafted by `drafting` and taken into the book; the caller answers, then routes it.
"""

from collections.abc import Iterable

from paper import drafting, fractions, replacing, rules, rules_combinations, valuation
from paper.behind import Behind, head_of
from paper.book import Account
from paper.errors import ApiError, invalid, unprocessable
from paper.instruments import Contract, Stock, is_occ
from paper.order import Order
from paper.sessions import Hours
from paper.tickets import Ticket


class Exchange(Behind):
    """All accounts' orders against one market."""

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
        self._plan(order)
        return order

    def cancel(self, account: Account, order: Order) -> None:
        """End an order and its group. Raises: ApiError when it has ended already."""
        if order.status == "canceled" and not self.switches.cancel_of_canceled_refused:
            return
        what = "leg order" if order.is_leg_of_combination else "order"
        if not order.is_open or order.status in {"pending_replace", "pending_cancel"}:
            state = order.status if order.is_leg_of_combination else f'"{order.status}"'
            raise unprocessable(f"{what} is already in {state} state")
        if replacing.is_pending(order, account.orders.get(order.replaces or "")):
            raise unprocessable("order chain not fully replaced")
        self.ask_to_cancel(head_of(order))

    def replace(self, account: Account, order: Order, change: replacing.Change) -> Order:
        """Check a change and take the replacement into the book. The caller answers, then calls `settle_replacement`.

        Raises: ApiError with Alpaca's refusal.
        """
        ticket = replacing.ticket(order, change, account.orders.get(order.replaces or ""))
        if ticket.client_order_id is not None and ticket.client_order_id in account.by_client_id:
            raise invalid("client_order_id must be unique")
        made = self._replacement(account, order, ticket)
        made.replaces, order.replaced_by = order.id, made.id
        made.status = self._first_status(made)
        account.announce(made)
        return made

    # Events of the market and of the day

    def quoted(self, symbols: Iterable[str]) -> None:
        """New quotes of these symbols are there: whatever meets them fills."""
        tried: set[str] = set()
        for symbol in symbols:
            for account in self.accounts.values():
                for order in account.open_orders(symbol):
                    head = head_of(order)
                    if head.is_combination and head.id in tried:
                        continue
                    tried.add(head.id)
                    self._call_off(self._remainders, head)
                    self._try(head)
                    self._leave_opening_auction(head)

    def session_opens(self) -> None:
        """Queued orders reach the market; what has grown too old is canceled."""
        self._cancel_aged()
        self.hours_begin(*Hours)

    def session_closes(self) -> None:
        """The closing auction is held, orders whose time is over expire, and the day's closing equity is noted."""
        self._hold_closing_auction()
        self._cancel_aged()
        self.hours_end(Hours.CORE)
        closed = self._calendar.latest(self._timeline.now)
        self._market.note_closing_marks(closed.day if closed is not None else None)
        self.note_equity()

    def note_equity(self) -> None:
        """What the accounts are worth now is what the next session's changes are measured from."""
        for account in self.accounts.values():
            account.last_equity = valuation.equity(account, self._market)

    def catch_up(self) -> None:
        """After a time away: what ended meanwhile ends now, what was pending is decided, what may fill is tried."""
        self.abandon_replacements()
        self.decide_pending()
        self._cancel_aged()
        self.hours_end(*Hours)
        now = self._timeline.now
        self.hours_begin(*(hours for hours in Hours if self._calendar.session_at(now, hours) is not None))
        for order in self._open_orders():
            self._plan(order)
            self.release(order.id)

    # Inside

    @property
    def rests_overnight(self) -> bool:
        return self.switches.gtc_done_for_day

    def _single(self, account: Account, ticket: Ticket) -> Order:
        instrument = self._registry.find(ticket.symbol)
        if instrument is None:
            raise _unknown(ticket.symbol)
        situation = self._situation(account, instrument, extended=ticket.extended_hours)
        if isinstance(instrument, Stock):
            ticket = fractions.sized(ticket, situation)
        rules.check(ticket, situation)
        return drafting.draft(account, ticket, situation, self._expiry(ticket, instrument))

    def _combination(self, account: Account, ticket: Ticket, old: Order | None = None) -> Order:
        contracts = [rules_combinations.contract_of(leg, self._registry) for leg in ticket.legs]
        situations = [self._situation(account, contract, old) for contract in contracts]
        reserve = rules_combinations.check(ticket, situations)
        expires_at = min(self._expiry(ticket, contract) for contract in contracts)
        order = drafting.draft_combination(account, ticket, contracts, situations[0], expires_at)
        order.reserve_price = reserve / order.qty / order.instrument.multiplier
        return order

    def _replacement(self, account: Account, order: Order, ticket: Ticket) -> Order:
        if order.is_combination:
            return self._combination(account, ticket, order)
        situation = self._situation(account, order.instrument, order, extended=ticket.extended_hours)
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


def _unknown(symbol: str) -> ApiError:
    if is_occ(symbol):
        return unprocessable(f'contract "{symbol}" not found')
    return unprocessable(f'asset "{symbol}" not found')
