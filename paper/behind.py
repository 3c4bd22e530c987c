"""What the brokerage does of its own accord: orders that no client sent, and ends and fills that nobody asked for."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from paper import drafting
from paper.book import Account
from paper.instruments import Contract, Instrument, Registry
from paper.lottery import Lottery
from paper.market import Market
from paper.order import Order
from paper.sessions import Calendar, Hours
from paper.situation import Situation
from paper.succession import Succession
from paper.switches import Switches
from paper.tickets import Ticket, closing_ticket, exits_ticket
from paper.timeline import Timeline
from paper.times import new_york_day
from paper.updates import Update


class Behind(Succession):
    """The floor and the brokerage behind it."""

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

    def close_behind(self, account: Account, symbol: str, qty: Decimal) -> Order | None:
        """Close up to *qty* of a position by an order of the brokerage's own; None when nothing is held.

        What the client's own closing orders claim is taken from them: they are canceled first when too little is
        free, as a liquidation does. No rule refuses it, and it fills in one piece.
        """
        held = account.held(symbol)
        qty = min(qty, abs(held))
        if qty <= 0:
            return None
        self._free(account, symbol, qty)
        return self._own(account, closing_ticket(symbol, "sell" if held > 0 else "buy", qty))

    def exit_behind(self, account: Account, symbol: str, qty: Decimal, role: str, price: Decimal) -> Order | None:
        """Let an exit of a bracket fill at a price, up to *qty*, and end the other one; None when nothing is held.

        Without a working exit the position is given a pair of them first, as by hand in the dashboard.
        """
        held = account.held(symbol)
        qty = min(qty, abs(held))
        if qty <= 0:
            return None
        exits = [o for o in account.open_orders(symbol) if o.group_role == role and o.is_working]
        if not exits:
            self._free(account, symbol, qty)
            pair = self._own(account, exits_ticket(symbol, "sell" if held > 0 else "buy", qty, price))
            exits = [part for part in pair.group if part.group_role == role]
        self.fill_at(exits[0], price, qty)
        return exits[0]

    def _free(self, account: Account, symbol: str, qty: Decimal) -> None:
        """Cancel the client's closing orders when they leave less than *qty* free."""
        if account.available(symbol) < qty:
            for order in account.closing_orders(symbol):
                if order.is_open:
                    self.cancel_for(order)

    def _own(self, account: Account, ticket: Ticket) -> Order:
        """An order of the brokerage's own, brought to the market."""
        situation = self._situation(account, self._registry.known(ticket.symbol))
        order = drafting.draft(account, ticket, situation, self._expiry(ticket, situation.instrument))
        self._book(account, order)
        self._plan(order)
        self.route(order)
        return order

    def cancel_for(self, order: Order) -> None:
        """Cancel an order, or the one it is a leg of, by the brokerage's own decision."""
        self._cancel(head_of(order))

    def reject(self, order: Order) -> None:
        """End an order that was accepted, as a venue does that refuses it late."""
        self._end(order, "rejected")

    def fill_at(self, order: Order, price: Decimal, qty: Decimal | None = None) -> None:
        """Fill an open order at *price*, up to *qty*, whatever the market shows; legs have prices of their own."""
        if order.is_open and not order.is_combination:
            self._fill(order, min(qty or order.left, order.left), price)

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

    def _situation(
        self, account: Account, instrument: Instrument, replacing: Order | None = None, *, extended: bool = False
    ) -> Situation:
        now, symbol = self._timeline.now, instrument.symbol
        hours = self._registry.hours(instrument, extended=extended)
        trade, today = self._market.trades.get(symbol), new_york_day(now)
        return Situation(
            account=account,
            instrument=instrument,
            underlying=self._registry.find(instrument.underlying) if isinstance(instrument, Contract) else None,
            quote=self._market.quotes.get(symbol),
            last_trade=trade.price if trade else None,
            mark=self._market.mark(symbol),
            hours=hours,
            session=self._calendar.session_at(now, Hours.CORE if hours == Hours.EXTENDED else hours),
            extended=self._calendar.session_at(now, Hours.EXTENDED) is not None,
            tradable=symbol not in self._registry.untradable,
            last_session=self._calendar.latest(now),
            auction_day=next(iter(self._calendar.between(today, today)), None),
            now=now,
            switches=self.switches,
            replacing=replacing,
        )

    def _expiry(self, ticket: Ticket, instrument: Instrument) -> datetime:
        hours = self._registry.hours(instrument, extended=ticket.extended_hours)
        return drafting.expiry(ticket, instrument, hours, self._calendar, self._timeline.now)


def head_of(order: Order) -> Order:
    """The order that decides: the parent of a multi-leg order's leg, or the order itself."""
    return order.parent if order.is_leg_of_combination and order.parent is not None else order
