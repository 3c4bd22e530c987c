"""One market, one book, one clock: everything behind the HTTP and websocket doors.

The world moves only in `catch_up` and on order of the control port; both run every due event at its own time.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

from paper import book, wire, wire_data
from paper.bars import Bars
from paper.errors import UsageError
from paper.exchange import Exchange
from paper.hub import Hub
from paper.instruments import Registry
from paper.journal import Journal
from paper.limits import Limits
from paper.lottery import Lottery
from paper.market import Market, Quote, Trade
from paper.options import Options
from paper.order import Order
from paper.sessions import Calendar
from paper.settlement import Settlement
from paper.sockets import Message
from paper.stream_faults import OPTION, STOCK
from paper.tape import BrokerEvent, Day, Instant, QuoteRow, TradeRow
from paper.timeline import Rank, Timeline
from paper.updates import STREAM_ONLY, Update


class World:
    """The state of one server."""

    def __init__(self, options: Options, days: Sequence[Day]) -> None:
        self.calendar = Calendar(tuple(day.session for day in days))
        first = min([days[0].session.open, *(at for day in days for at in day.instants)])
        self.start = options.start or days[0].session.open
        self.timeline = Timeline(min(first, self.start), speed=0)
        self.market = Market()
        self.registry = Registry(
            [i for day in days for i in day.instruments],
            hard_to_borrow=options.hard_to_borrow,
            whole_shares=options.whole_shares,
            late_close=options.late_close,
            cash_settled=options.cash_settled,
        )
        self.accounts = {
            a.name: book.Account(
                a.name, a.cash, a.option_level, a.shorting, self.start, last_equity=a.cash, secret=a.secret
            )
            for a in options.all_accounts()
        }
        self.hub = Hub(self.accounts, self.later)
        self.bars = Bars(self.market, self.hub, self.timeline)
        #: Symbols whose recorded prices are kept back.
        self.silent: set[str] = set()
        #: Who else is told of every trade update, after the journal.
        self.witnesses: list[Callable[[Update, wire.JSON], None]] = []
        #: Told of accounts that changed without an order.
        self.touched: Callable[[book.Account], None] = lambda _account: None
        self.journal = _journal(self.timeline, options.journal, options.state is not None)
        self.limits = Limits(options.rate_limit, options.switches.burst_per_second)
        self.exchange = Exchange(
            timeline=self.timeline,
            calendar=self.calendar,
            registry=self.registry,
            market=self.market,
            accounts=self.accounts,
            lottery=Lottery(options.seed, options.partial_ratio),
            announce=self._announce,
            switches=options.switches,
        )
        self.settlement = Settlement(
            exchange=self.exchange,
            timeline=self.timeline,
            calendar=self.calendar,
            registry=self.registry,
            market=self.market,
            changed=self.book_changed,
        )
        for day in days:
            self._schedule(day)
        self.timeline.advance(self.start)
        self.timeline.run_at(options.speed)

    def catch_up(self) -> None:
        """Let everything happen that is due by a running clock."""
        self.timeline.advance(self.timeline.target())

    def show(self, quotes: Sequence[QuoteRow], trades: Sequence[TradeRow]) -> None:
        """Let the market show these quotes and trades now: publish them, then fill what meets them."""
        now = self.timeline.now
        shown = self.market.show_quotes(quotes, now)
        traded = self.market.show_trades(trades, now)
        frames: dict[str, list[Message]] = {STOCK: [], OPTION: []}
        for quote in shown:
            self._quote_message(quote, frames)
        for trade in traded:
            self._trade_message(trade, frames)
        for stream, messages in frames.items():
            self.hub.publish_market(stream, messages)
        self.exchange.quoted(row[0] for row in quotes)

    def _quote_message(self, quote: Quote, frames: dict[str, list[Message]]) -> None:
        head = {"T": "q", "S": quote.symbol}
        if self.registry.is_stock(quote.symbol):
            self.market.remember_mid(quote.symbol)
            self.bars.quoted()
            stream, body = STOCK, head | wire_data.stock_quote(quote)
        else:
            stream, body = OPTION, head | wire_data.option_quote(quote)
        frames[stream].append(Message("quotes", quote.symbol, quote.at, body))

    def _trade_message(self, trade: Trade, frames: dict[str, list[Message]]) -> None:
        head = {"T": "t", "S": trade.symbol}
        if self.registry.is_stock(trade.symbol):
            stream, body = STOCK, head | wire_data.stock_trade(trade)
        else:
            stream, body = OPTION, head | wire_data.option_trade(trade)
        frames[stream].append(Message("trades", trade.symbol, trade.at, body))

    def close_behind(self, account: str, symbol: str, qty: Decimal) -> Order | None:
        """Close a position behind the client's back; None when there is none."""
        order = self.exchange.close_behind(self.accounts[account], symbol, qty)
        outcome = order.id if order else "no position"
        self.journal.record("close_behind", account=account, symbol=symbol, qty=str(qty), outcome=outcome)
        return order

    def book_changed(self, account: book.Account, symbol: str, reason: str) -> None:
        """Write down that a book changed without an order."""
        qty = str(account.held(symbol))
        self.touched(account)
        self.settlement.watch()
        self.journal.record(
            "book", account=account.name, symbol=symbol, reason=reason, position_qty=qty, cash=str(account.cash)
        )

    def account_changed(self, account: book.Account, changes: Mapping[str, object]) -> None:
        """Write down that an account's settings changed."""
        self.touched(account)
        self.journal.record("account", account=account.name, **changes)

    def _schedule(self, day: Day) -> None:
        """Put a day's events on the timeline."""
        plan = self.timeline.schedule
        plan(day.session.open, Rank.OPEN, self._session_opens)
        plan(day.session.close, Rank.CLOSE, self._session_closes)
        for at, instant in day.instants.items():
            plan(at, Rank.MARKET, partial(self._show_instant, instant))
        for event in day.broker_events:
            if event.account not in self.accounts:
                raise UsageError(f"broker_events.jsonl of {day.session.day} names an unknown account {event.account!r}")
            plan(event.at, Rank.BROKERAGE, partial(self._brokerage_acts, event))

    def _show_instant(self, instant: Instant) -> None:
        quotes = [row for row in instant.quotes if row[0] not in self.silent]
        self.show(quotes, [row for row in instant.trades if row[0] not in self.silent])

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Let something happen in so many seconds of the clock."""
        self.timeline.schedule(self.timeline.now + timedelta(seconds=seconds), Rank.ORDER, action)

    def _brokerage_acts(self, event: BrokerEvent) -> None:
        self.close_behind(event.account, event.symbol, event.qty)

    def _session_opens(self) -> None:
        self.journal.record("session_open")
        self.exchange.session_opens()
        self.settlement.settle()
        self.settlement.watch()

    def _session_closes(self) -> None:
        closed = self.calendar.latest(self.timeline.now)
        if closed is not None:
            self.market.note_closes(closed.day, (stock.symbol for stock in self.registry.stocks))
        self.exchange.session_closes()
        self.settlement.session_closes()
        self.journal.record("session_close")

    def _announce(self, update: Update) -> None:
        """Publish a trade update and write down what it did to the book."""
        payload = wire.trade_update(update, self.calendar)
        order = update.order
        silent = update.event in STREAM_ONLY
        if not silent:
            self.hub.publish_update(order.account, payload)
        self.journal.record(
            "quiet_event" if silent else "event",
            account=order.account,
            symbol=order.symbol,
            position_qty=str(update.position_qty),
            cash=str(self.accounts[order.account].cash),
            **{key: value for key, value in payload["data"].items() if key not in {"at", "position_qty"}},
        )
        for witness in self.witnesses:
            witness(update, payload["data"])
        if update.execution is not None and update.execution.qty:
            self.settlement.watch()


def _journal(timeline: Timeline, path: Path | None, go_on: bool) -> Journal:
    try:
        return Journal(lambda: timeline.now, path, go_on=go_on)
    except OSError as error:
        raise UsageError(f"the journal cannot be written: {error}") from None
