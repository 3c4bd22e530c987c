"""What the market shows now: the last quote and trade of every instrument, and bars made from stock quotes.

Prices stay text until somebody asks: a day has thousands of quotes and few of them meet an order.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from itertools import takewhile
from typing import Self

from paper.tape import QuoteRow, TradeRow
from paper.times import new_york_day

#: What Alpaca's snapshots may tell of a contract beside its prices.
GREEKS = ("delta", "gamma", "theta", "vega", "rho")


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask; an empty text is a side without a price, which is not a price of zero."""

    symbol: str
    bid_text: str
    ask_text: str
    bid_size: str
    ask_size: str
    at: datetime

    @property
    def bid(self) -> Decimal | None:
        return Decimal(self.bid_text) if self.bid_text else None

    @property
    def ask(self) -> Decimal | None:
        return Decimal(self.ask_text) if self.ask_text else None


@dataclass(frozen=True, slots=True)
class Trade:
    """The last trade of a minute, with the minute's size."""

    symbol: str
    price_text: str
    size: str
    at: datetime

    @property
    def price(self) -> Decimal:
        return Decimal(self.price_text)


@dataclass(frozen=True, slots=True)
class DayBar:
    """What was traded of an instrument on *day* (New York), from its trades; each of them is a minute's."""

    day: date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
    count: int
    paid: Decimal

    @classmethod
    def of(cls, trade: Trade, day: date) -> Self:
        """The bar of the day's first trade."""
        price, size = trade.price, int(trade.size)
        return cls(day, price, price, price, price, size, 1, price * size)

    def after(self, trade: Trade) -> Self:
        """The bar with one more trade of its day."""
        price, size = trade.price, int(trade.size)
        return replace(
            self,
            high=max(self.high, price),
            low=min(self.low, price),
            close=price,
            volume=self.volume + size,
            count=self.count + 1,
            paid=self.paid + price * size,
        )


class Market:
    """The state of all instruments; it only ever moves forward."""

    def __init__(self) -> None:
        self.quotes: dict[str, Quote] = {}
        self.trades: dict[str, Trade] = {}
        self.day_bars: dict[str, DayBar] = {}
        #: Greeks of one share by contract, as the control port said: no tape has any.
        self.greeks: dict[str, dict[str, float]] = {}
        self.closing_marks: dict[str, Decimal] = {}
        self.closing_day: date | None = None
        #: What each session's stocks closed at, by its day: what its options are settled by.
        self.closes: dict[date, dict[str, Decimal]] = defaultdict(dict)
        self._mids: dict[str, list[tuple[datetime, Decimal]]] = defaultdict(list)

    def show_quotes(self, rows: Iterable[QuoteRow], at: datetime) -> list[Quote]:
        """Take over the quotes of one moment and return them."""
        shown = [Quote(*row, at) for row in rows]
        for quote in shown:
            self.quotes[quote.symbol] = quote
        return shown

    def show_trades(self, rows: Iterable[TradeRow], at: datetime) -> list[Trade]:
        """Take over the trades of one moment and return them."""
        shown = [Trade(*row, at) for row in rows]
        for trade in shown:
            self.trades[trade.symbol] = trade
            self._count(trade)
        return shown

    def _count(self, trade: Trade) -> None:
        day, bar = new_york_day(trade.at), self.day_bars.get(trade.symbol)
        self.day_bars[trade.symbol] = bar.after(trade) if bar and bar.day == day else DayBar.of(trade, day)

    def remember_mid(self, symbol: str) -> None:
        """Keep the mid price of a symbol's last quote for its bars, when the quote is two-sided."""
        quote = self.quotes[symbol]
        if quote.bid is not None and quote.ask is not None:
            self._mids[symbol].append((quote.at, (quote.bid + quote.ask) / 2))

    def mids(self, symbol: str) -> list[tuple[datetime, Decimal]]:
        """All mid prices of a stock so far, oldest first."""
        return self._mids.get(symbol, [])

    def mids_between(self, symbol: str, start: datetime, end: datetime) -> list[tuple[datetime, Decimal]]:
        """The mid prices of a stock from *start* up to, not including, *end*; oldest first."""
        found = takewhile(lambda mid: mid[0] >= start, reversed(self.mids(symbol)))
        return [mid for mid in found if mid[0] < end][::-1]

    def quoted_since(self, start: datetime, end: datetime) -> list[str]:
        """The stocks that have a mid price in that time."""
        return sorted(symbol for symbol in self._mids if self.mids_between(symbol, start, end))

    def note_closing_marks(self, day: date | None) -> None:
        """The session of *day* ends: its last marks are what the next session's changes are measured from."""
        self.closing_day = day
        marks = ((symbol, self.mark(symbol)) for symbol in {*self.quotes, *self.trades})
        self.closing_marks = {symbol: mark for symbol, mark in marks if mark is not None}

    def note_closes(self, day: date, symbols: Iterable[str]) -> None:
        """Keep what these closed at; one without a price on *day* has none, whatever it cost before."""
        for symbol in symbols:
            mark = self.mark(symbol) if self._is_of(day, symbol) else None
            if mark is not None:
                self.closes[day].setdefault(symbol, mark)

    def _is_of(self, day: date, symbol: str) -> bool:
        shown = (self.quotes.get(symbol), self.trades.get(symbol))
        return any(seen is not None and new_york_day(seen.at) == day for seen in shown)

    def mark(self, symbol: str) -> Decimal | None:
        """The price at which a position is valued: the mid, else the one side there is, else the last trade."""
        quote = self.quotes.get(symbol)
        bid, ask = (quote.bid, quote.ask) if quote else (None, None)
        if bid is not None and ask is not None:
            return (bid + ask) / 2
        trade = self.trades.get(symbol)
        return bid or ask or (trade.price if trade else None)
