"""The second source of prices: REST is asked for the latest quotes of what is held, whether its socket is mute or not.

A round asks for everything that is held and, half a round later, once more for what has no usable price. A snapshot of
an option carries quote and Greeks in one request. What is learned goes onto the ticks under a feed of its own; theta
and the level of volatility, which no rule asks tick by tick, go into rows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from brokerage import facts
from brokerage.port import Brokerage, BrokerageError
from domain.events import Fact, Quote
from domain.instrument import is_option
from domain.prices import SECOND_FEED
from streams.names import Stream

log = logging.getLogger(__name__)

#: The shortest round.
EVERY: Final = timedelta(seconds=12)
#: On a recorded day both sources tell what the same tape says: it is asked for the Greeks' sake, and rarely.
EVERY_RECORDED: Final = timedelta(minutes=5)
#: The most symbols of a kind in a round: what one request may name. Where more are held, they take turns.
MOST: Final = 100
#: What a round costs at most: a request for options and one for stocks, and both again for what has no usable price.
REQUESTS_A_ROUND: Final = 4
#: Requests a minute that are left to the first prices of newly wanted symbols.
LEFT: Final = 4
#: Without a usable price for so long, a position is asked about twice as often.
BLIND_AFTER: Final = timedelta(seconds=60)


def round_of(requests_a_minute: int) -> timedelta:
    """Return how long a round takes that stays within *requests_a_minute*, of which a few are left to others.

    With the shipped 24 (12 % of 200): 4 requests a round, 20 a minute, a round of 12 s.
    """
    ours = max(requests_a_minute - LEFT, 1)
    return max(EVERY, timedelta(seconds=60 * REQUESTS_A_ROUND / ours))


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondDoors:
    """The world outside of it."""

    #: What is held while its market is open, most important first; True: it has had no usable price for BLIND_AFTER.
    held: Callable[[datetime], Mapping[str, bool]]
    #: The stock whose price says how agitated the market is, None when none is configured.
    volatility: Callable[[], str | None]
    publish: Callable[[str, Sequence[Fact], str, int], None]
    #: Keep the level of volatility, and thetas by symbol, learned at a time.
    keep: Callable[[Sequence[Quote], Mapping[str, Decimal], datetime], None]


@dataclass(slots=True)
class SecondLook:
    """*brokerage* belongs to the thread that calls ``on_timer``, twice a round."""

    brokerage: Brokerage
    doors: SecondDoors
    every: timedelta
    _round_at: datetime | None = field(default=None, init=False)
    _turn: int = field(default=0, init=False)

    def on_timer(self, now: datetime) -> None:
        """Ask for all that is held when a round is over, else for what has no usable price; a failure is no price."""
        held = self.doors.held(now)
        if self._round_at is None or now - self._round_at >= self.every:
            self._round_at = now
            self._look(self._whose_turn(list(held)), self.doors.volatility() if held else None, now)
        else:
            self._look(self._whose_turn([symbol for symbol, is_blind in held.items() if is_blind]), None, now)

    def _whose_turn(self, symbols: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return the options and the stocks to ask for now."""
        self._turn += 1
        options = [symbol for symbol in symbols if is_option(symbol)]
        stocks = [symbol for symbol in symbols if not is_option(symbol)]
        return self._some(options), self._some(stocks)

    def _some(self, symbols: list[str]) -> list[str]:
        first = self._turn * MOST % max(len(symbols), 1) if len(symbols) > MOST else 0
        return (symbols[first:] + symbols[:first])[:MOST]

    def _look(self, asked: tuple[list[str], list[str]], volatility: str | None, now: datetime) -> None:
        options, stocks = asked
        named = [*stocks[: MOST - 1], volatility] if volatility and volatility not in stocks else stocks
        quotes = [*self._of_options(options, now), *self._of_stocks(named, volatility, now)]
        told = tuple(quote for quote in quotes if quote.symbol in {*options, *stocks})
        if told:
            fact = facts.ticked(SECOND_FEED, facts.digest(repr(told).encode()), told)
            self.doors.publish(Stream.TICKS, [fact], SECOND_FEED, 0)

    def _of_options(self, symbols: Sequence[str], now: datetime) -> Iterator[Quote]:
        if not symbols:
            return
        try:
            shown = self.brokerage.snapshots(symbols)
        except BrokerageError as e:
            log.warning("cannot read snapshots of what is held: %s", e)
            return
        thetas = {symbol: s.greeks.theta for symbol, s in shown.items() if s.greeks.theta is not None}
        if thetas:
            self.doors.keep([], thetas, now)
        yield from (s.quote for s in shown.values() if s.quote is not None)

    def _of_stocks(self, symbols: Sequence[str], volatility: str | None, now: datetime) -> Iterator[Quote]:
        if not symbols:
            return
        try:
            quotes = self.brokerage.quotes(symbols)
        except BrokerageError as e:
            log.warning("cannot read latest quotes of what is held: %s", e)
            return
        if volatility is not None and volatility in quotes:
            self.doors.keep([quotes[volatility]], {}, now)
        yield from quotes.values()
