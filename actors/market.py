"""What the brokerage shows before a decision: each answer Known with its time and source, or Unknown with a reason.

A failed call is an Unknown, never a zero and never an exception: the gate that needs it refuses and names it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeVar

from brokerage.port import BrokerAccount, Brokerage, BrokerageError
from domain.checks import clock_text
from domain.contracts import Candidate, ChainRange, Snapshot
from domain.events import Quote
from domain.instrument import Contract, NotASymbol, Option, parse_symbol
from domain.known import Known, Unknown
from domain.loss import mark_of
from domain.session import Session, last_session_until, trading_day

T = TypeVar("T")

#: Days that one look into the calendar covers: holidays never close the market for a week.
CALENDAR_DAYS: Final = 8
#: A read that fails is repeated this often before it counts as unknown, with this pause in seconds.
READ_TRIES: Final = 3
READ_PAUSE_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Everything that was asked of the brokerage for one decision."""

    contract: Known[Contract] | Unknown
    session: Known[Session] | Unknown
    last_session: Known[Session | None] | Unknown
    quote: Known[Quote] | Unknown
    feed_at: Known[datetime] | Unknown
    buying_power_usd: Known[Decimal] | Unknown
    options_buying_power_usd: Known[Decimal] | Unknown
    trading_blocked: Known[bool] | Unknown
    equity_usd: Known[Decimal] | Unknown
    marks: Mapping[str, Known[Decimal] | Unknown]
    snapshots: Known[Mapping[str, Snapshot]] | Unknown
    volatility: Known[Decimal] | Unknown

    @classmethod
    def unasked(cls, why: str) -> Sight:
        """Nobody was asked, and so nothing is known."""
        no = Unknown(f"not asked: {why}", "brokerage")
        return cls(
            contract=no,
            session=no,
            last_session=no,
            quote=no,
            feed_at=no,
            buying_power_usd=no,
            options_buying_power_usd=no,
            equity_usd=no,
            trading_blocked=no,
            marks={},
            snapshots=no,
            volatility=no,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wants:
    """What some configurations ask for beside the rest: *shown* contracts with volume and Greeks, and the price of
    *volatility*, a symbol."""

    shown: Sequence[str]
    volatility: str | None


@dataclass(slots=True)
class Market:
    """The read-only side of one account's brokerage. One thread at a time: its HTTP session is not shared."""

    brokerage: Brokerage
    clock: Callable[[], datetime]
    _calendar: tuple[date, tuple[Session, ...]] | None = field(default=None, init=False)
    _contracts: dict[tuple[date, str], Contract] = field(default_factory=dict, init=False)

    def look(self, symbol: str | None, underlying: str, held: Sequence[str], wants: Wants) -> Sight:
        """Ask for all that a decision about *symbol* needs, and for the marks of the *held* symbols."""
        named = (symbol or "", underlying, wants.volatility or "", *held)
        wanted = dict.fromkeys(s for s in named if _is_symbol(s))
        quotes = self._quotes(list(wanted))
        account = self._ask(self.brokerage.account, "account")
        return Sight(
            contract=self._contract(symbol),
            session=self.session(),
            last_session=self._last_session(symbol),
            quote=_quote_of(quotes, symbol),
            feed_at=_feed_at(quotes, symbol, underlying),
            buying_power_usd=_field(account, lambda a: a.buying_power_usd),
            options_buying_power_usd=_field(account, lambda a: a.options_buying_power_usd),
            trading_blocked=_field(account, lambda a: a.trading_blocked),
            equity_usd=_field(account, lambda a: a.equity_usd),
            marks={s: _mark(_quote_of(quotes, s)) for s in held},
            snapshots=self._snapshots(wants.shown),
            volatility=_mid(_quote_of(quotes, wants.volatility)),
        )

    def price(self, symbol: str, max_age: timedelta) -> Known[Decimal] | Unknown:
        """Return the mid of *symbol*'s quote; one that is older than *max_age* or one-sided is no price."""
        if not _is_symbol(symbol):
            return Unknown(f"{symbol!r} is no symbol", "symbol")
        price = _mid(_quote_of(self._quotes([symbol]), symbol))
        if isinstance(price, Known) and self.clock() - price.at > max_age:
            return Unknown(f"its quote is of {clock_text(price.at)}", price.source)
        return price

    def chain(self, asked: ChainRange) -> Known[tuple[Candidate, ...]] | Unknown:
        """Return the contracts that are listed in a part of a chain, each with what the feed shows of it."""
        listed = self._ask(lambda: self.brokerage.contracts(asked), "contracts")
        if isinstance(listed, Unknown) or not listed.value:
            return listed if isinstance(listed, Unknown) else Known((), listed.at, listed.source)
        shown = self._ask(lambda: self.brokerage.chain(asked), "chain")
        if isinstance(shown, Unknown):
            return shown
        found = tuple(Candidate(contract=c, snapshot=shown.value.get(c.symbol)) for c in listed.value)
        return Known(found, shown.at, shown.source)

    def _snapshots(self, symbols: Sequence[str]) -> Known[Mapping[str, Snapshot]] | Unknown:
        if not symbols:
            return Unknown("nothing was asked for", "config")
        return self._ask(lambda: self.brokerage.snapshots(symbols), "snapshots")

    def session(self) -> Known[Session] | Unknown:
        """Return the regular session of today (New York), Unknown when there is none or nobody says."""
        today = trading_day(self.clock())
        calendar = self._sessions(today)
        if isinstance(calendar, Unknown):
            return calendar
        session = next((s for s in calendar.value if s.day == today), None)
        if session is None:
            return Unknown(f"no session on {today}", "calendar")
        return Known(session, calendar.at, calendar.source)

    def _last_session(self, symbol: str | None) -> Known[Session | None] | Unknown:
        """Return an option's last session if it is near, None if it is further than the calendar was read."""
        try:
            instrument = parse_symbol(symbol or "")
        except NotASymbol as e:
            return Unknown(str(e), "symbol")
        today = trading_day(self.clock())
        calendar = self._sessions(today)
        if isinstance(calendar, Unknown):
            return calendar
        near = isinstance(instrument, Option) and instrument.expiration < today + timedelta(days=CALENDAR_DAYS)
        last = (
            last_session_until(instrument.expiration, calendar.value)
            if near and isinstance(instrument, Option)
            else None
        )
        return Known(last, calendar.at, calendar.source)

    def _sessions(self, today: date) -> Known[tuple[Session, ...]] | Unknown:
        if self._calendar is None or self._calendar[0] != today:
            until = today + timedelta(days=CALENDAR_DAYS)
            answer = self._ask(lambda: self.brokerage.sessions(today, until), "calendar")
            if isinstance(answer, Unknown):
                return answer
            self._calendar = (today, answer.value)
        return Known(self._calendar[1], self.clock(), "calendar")

    def _contract(self, symbol: str | None) -> Known[Contract] | Unknown:
        if symbol is None:
            return Unknown("no symbol is named", "recommendation")
        if not _is_symbol(symbol):
            return Unknown(f"{symbol!r} is no symbol", "symbol")
        key = (trading_day(self.clock()), symbol)
        if key in self._contracts:
            return Known(self._contracts[key], self.clock(), "contracts")
        answer = self._ask(lambda: self.brokerage.contract(symbol), "contracts")
        if isinstance(answer, Unknown):
            return answer
        if answer.value is None:
            return Unknown(f"{symbol} is not listed", "contracts")
        self._contracts[key] = answer.value
        return Known(answer.value, answer.at, answer.source)

    def _quotes(self, symbols: Sequence[str]) -> Known[Mapping[str, Quote]] | Unknown:
        return self._ask(lambda: self.brokerage.quotes(symbols), "quotes")

    def _ask(self, call: Callable[[], T], source: str) -> Known[T] | Unknown:
        """Call, and again after a short pause; an answer counts as old as its question, so it may only look older."""
        for attempt in range(READ_TRIES):
            asked_at = self.clock()
            try:
                return Known(call(), asked_at, source)
            except BrokerageError as e:
                reason = f"{type(e).__name__}: {e}"
            if attempt + 1 < READ_TRIES:
                time.sleep(READ_PAUSE_S)
        return Unknown(reason, source)


def _is_symbol(text: str | None) -> bool:
    try:
        parse_symbol(text or "")
    except NotASymbol:
        return False
    return True


def _quote_of(quotes: Known[Mapping[str, Quote]] | Unknown, symbol: str | None) -> Known[Quote] | Unknown:
    if isinstance(quotes, Unknown):
        return quotes
    quote = quotes.value.get(symbol or "")
    if quote is None:
        return Unknown(f"no quote for {symbol or 'no symbol'}", "quotes")
    return Known(quote, quote.at, "quotes")


def _feed_at(
    quotes: Known[Mapping[str, Quote]] | Unknown, symbol: str | None, underlying: str
) -> Known[datetime] | Unknown:
    """The feed of a contract is alive when it, or its underlying, was quoted lately."""
    if isinstance(quotes, Unknown):
        return quotes
    seen = [quotes.value[s].at for s in (symbol, underlying) if s is not None and s in quotes.value]
    if not seen:
        return Unknown(f"no quote for {symbol or 'no symbol'} or {underlying}", "quotes")
    return Known(max(seen), max(seen), "quotes")


def _mark(quote: Known[Quote] | Unknown) -> Known[Decimal] | Unknown:
    if isinstance(quote, Unknown):
        return quote
    return mark_of(quote.value.bid, quote.value.ask, quote.at, quote.source)


def _mid(quote: Known[Quote] | Unknown) -> Known[Decimal] | Unknown:
    """The middle of a two-sided quote; one side alone is no price to measure by."""
    if isinstance(quote, Unknown):
        return quote
    bid, ask = quote.value.bid, quote.value.ask
    if bid is None or ask is None:
        return Unknown("the quote has one side only", quote.source)
    return Known((bid + ask) / 2, quote.at, quote.source)


def _field(account: Known[BrokerAccount] | Unknown, read: Callable[[BrokerAccount], T]) -> Known[T] | Unknown:
    return account if isinstance(account, Unknown) else Known(read(account.value), account.at, account.source)
