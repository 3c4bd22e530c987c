"""feeds: what Alpaca says, onto the streams.

Each socket has a thread that translates a frame and publishes it in one step. The actor's own thread keeps the
subscriptions in line with what is wanted, and catches up by REST: at the start, after every connection, after an
unreadable frame, and on a timer, because an open socket may be mute. Prices are read once by REST after every
connection and for every newly wanted symbol: a quiet contract may not be quoted again for minutes. What is held is
asked for again and again by ``actors.second_look``.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Protocol

from actors.bookings import Booked, Bookings
from actors.catch_up import CatchUp, Names, Stored
from brokerage import facts
from brokerage.alpaca_feeds import QuoteFeed, option_feed, stock_feed, trade_feed
from brokerage.endpoints import Endpoints, Keys
from brokerage.feed_thread import FeedStatus, FeedThread, Frame, Handlers, Liveness, Unreadable
from brokerage.port import Brokerage, BrokerageError
from domain.events import Fact, OrderAccepted, OrderFilled
from domain.ids import AccountName
from domain.instrument import NotASymbol, Option, parse_symbol
from domain.prices import SECOND_FEED
from streams.names import Stream

log = logging.getLogger(__name__)

CATCH_UP_EVERY: Final = timedelta(seconds=15)
#: After a failed catch-up.
CATCH_UP_AGAIN: Final = timedelta(seconds=5)
#: What is booked without an order is listed a day late on paper: minutes do not matter, and requests are few.
BOOKINGS_EVERY: Final = timedelta(minutes=5)
#: How long a timer waits for the server to confirm a changed subscription.
CONFIRM_S: Final = 2.0
#: Source: a paper account measured over eleven weeks: open sockets went mute after 19 to 400 minutes.
TRADES_ALIVE: Final = Liveness(recycle_s=600, quiet_s=None)
PRICES_ALIVE: Final = Liveness(recycle_s=600, quiet_s=60)


class Publish(Protocol):
    def __call__(self, stream: str, facts: Sequence[Fact], counter: str, counted: int) -> None:
        """Append *facts* and add *counted* to *counter*, in one step. Called from several threads."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFeed:
    """One account: *brokerage* belongs to the actor's thread."""

    keys: Keys
    brokerage: Brokerage


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """The world outside of feeds. *publish* and *bury* are called from several threads."""

    publish: Publish
    #: Keep a frame that cannot be read: where it came from, the frame, why.
    bury: Callable[[str, bytes, str], None]
    #: The symbols whose quotes are needed. Ordered, most important first (open positions, pending orders, the watch
    #: list), it says what is left out when there are more than a feed may watch.
    wanted: Callable[[], Collection[str]]
    #: The orders that our rows hold for alive: client order id, and broker order id or "".
    pending: Callable[[AccountName], Sequence[tuple[str, str]]]
    #: The executions that our rows hold.
    stored: Callable[[AccountName], Stored]
    #: What was booked without an order and our rows hold.
    booked: Callable[[AccountName], Booked]
    wall: Callable[[], datetime]


class Feeds:
    """Start it, call ``on_timer`` about once a second of the actors' clock, stop it.

    The price feeds use the keys of the first account: Alpaca allows one connection per account to each.
    """

    def __init__(
        self,
        accounts: Mapping[AccountName, AccountFeed],
        urls: Endpoints,
        doors: Doors,
        origin: str,
        trades_alive: Liveness = TRADES_ALIVE,
        prices_alive: Liveness = PRICES_ALIVE,
    ) -> None:
        self._accounts, self._urls, self._doors, self._origin = accounts, urls, doors, origin
        #: How often each event came that we have no word for.
        self.unknown_events: Counter[str] = Counter()
        self._due: set[AccountName] = set(accounts)
        self._unpriced: set[str] = set()
        self._reconnected: set[str] = set()
        self._next: dict[AccountName, datetime] = {}
        self._next_bookings: dict[AccountName, datetime] = {}
        self._names = {name: Names() for name in accounts}
        self._catch_ups = {name: self._catch_up_of(name, account) for name, account in accounts.items()}
        self._bookings = {
            name: Bookings(name, account.brokerage, partial(doors.booked, name), origin)
            for name, account in accounts.items()
        }
        self._trades = {
            name: trade_feed(_source(name), account.keys, urls, self._trade_handlers(name), doors.wall, trades_alive)
            for name, account in accounts.items()
        }
        self._prices = next(iter(accounts.values())).brokerage
        keys = next(iter(accounts.values())).keys
        self._options = option_feed(keys, urls, self._price_handlers("option"), doors.wall, prices_alive)
        self._stocks = stock_feed(keys, urls, self._price_handlers("stock"), doors.wall, prices_alive)
        self._wanted: tuple[str, ...] | None = None
        self._asked: tuple[tuple[QuoteFeed, frozenset[str]], ...] = ()

    def start(self) -> None:
        for feed in self._all():
            feed.start()

    def stop(self) -> bool:
        """Stop every feed, each within a second; False when a handler still keeps one busy."""
        stopped = [feed.stop() for feed in self._all()]
        return all(stopped)

    def wait_connected(self, timeout_s: float) -> bool:
        """Wait until every socket is open and listening."""
        until = time.monotonic() + timeout_s
        return all(feed.wait_connected(max(0.0, until - time.monotonic())) for feed in self._all())

    def status(self) -> Mapping[str, FeedStatus]:
        return {feed.name: feed.status for feed in self._all()}

    def connected_accounts(self) -> list[AccountName]:
        """Return the accounts whose order updates have an open connection now."""
        return [name for name, feed in self._trades.items() if feed.status.connected]

    def on_timer(self, now: datetime) -> None:
        """Bring subscriptions in line, then catch up where it is due; *now* is the actors' clock."""
        self.subscribe()
        self._read_prices()
        for account in self._accounts:
            if account in self._due or now >= self._next.get(account, now):
                self._try_to_catch_up(account, now)
            if now >= self._next_bookings.get(account, now):
                self._try_to_read_bookings(account, now)

    def subscribe(self) -> None:
        """Ask for the wanted quotes; a change returns when the servers confirmed it, or after CONFIRM_S."""
        changed = []
        for feed, symbols in self._wanted_of_each_feed():
            reconnected = feed.name in self._reconnected
            self._reconnected.discard(feed.name)
            self._unpriced |= symbols if reconnected else symbols - feed.wanted
            if feed.want(symbols):
                changed.append(feed)
        until = time.monotonic() + CONFIRM_S
        for feed in changed:
            if not feed.wait_confirmed(max(0.0, until - time.monotonic())):
                log.warning("feed %s did not confirm its subscriptions", feed.name)

    def _wanted_of_each_feed(self) -> tuple[tuple[QuoteFeed, frozenset[str]], ...]:
        """Share out what is wanted; what cannot be had is said once a change."""
        given = self._doors.wanted()
        wanted = tuple(given) if isinstance(given, Sequence) else tuple(sorted(given))
        if wanted != self._wanted:
            options, stocks = _by_kind(wanted)
            self._wanted = wanted
            self._asked = (
                (self._options, _most_important(options, self._urls.option_symbols)),
                (self._stocks, _most_important(stocks, self._urls.stock_symbols)),
            )
        return self._asked

    def _read_prices(self) -> None:
        """Publish the latest quotes of what was not priced since it was wanted or since its socket was away."""
        unpriced = sorted(self._unpriced)
        if not unpriced:
            return
        try:
            quotes = tuple(self._prices.quotes(unpriced).values())
        except BrokerageError as e:
            log.warning("cannot read latest quotes: %s", e)
            return
        if quotes:
            fact = facts.ticked(SECOND_FEED, facts.digest(repr(quotes).encode()), quotes)
            self._doors.publish(Stream.TICKS, [fact], SECOND_FEED, 0)
        self._unpriced.clear()

    def catch_up(self, account: AccountName) -> None:
        """Publish what Alpaca did in *account* that the streams may lack.

        Raises:
            BrokerageError: it could not be learned.
        """
        if found := self._catch_ups[account].look():
            self._doors.publish(Stream.FILLS, found, _source(account), 0)

    def _try_to_catch_up(self, account: AccountName, now: datetime) -> None:
        self._due.discard(account)  # first, so that a connection made meanwhile is caught up as well
        try:
            self.catch_up(account)
        except BrokerageError as e:
            log.warning("cannot catch up on %s: %s", account, e)
            self._next[account] = now + CATCH_UP_AGAIN
        except Exception:
            self._due.add(account)
            raise
        else:
            self._next[account] = now + CATCH_UP_EVERY

    def read_bookings(self, account: AccountName) -> None:
        """Publish what Alpaca booked in *account* without an order; after catching up, so that trades come first.

        Raises:
            BrokerageError: it could not be learned.
        """
        if found := self._bookings[account].look():
            self._doors.publish(Stream.FILLS, found, _source(account), 0)

    def _try_to_read_bookings(self, account: AccountName, now: datetime) -> None:
        self._next_bookings[account] = now + CATCH_UP_AGAIN
        try:
            self.read_bookings(account)
        except BrokerageError as e:
            log.warning("cannot read what was booked in %s: %s", account, e)
        else:
            self._next_bookings[account] = now + BOOKINGS_EVERY

    def _catch_up_of(self, name: AccountName, account: AccountFeed) -> CatchUp:
        pending, stored = partial(self._doors.pending, name), partial(self._doors.stored, name)
        names, origin, wall = self._names[name], self._origin, self._doors.wall
        return CatchUp(name, account.brokerage, pending, stored, names, origin, wall)

    def _all(self) -> list[FeedThread]:
        return [*self._trades.values(), self._options, self._stocks]

    def _trade_handlers(self, account: AccountName) -> Handlers:
        source = _source(account)
        return Handlers(
            on_frame=partial(self._on_trade, account),
            on_connected=partial(self._due.add, account),
            on_unreadable=partial(self._on_unreadable_trade, account),
            on_trouble=partial(log.warning, "feed %s: %s", source),
        )

    def _on_trade(self, account: AccountName, frame: Frame) -> bool:
        if not isinstance(frame.body, dict):
            raise Unreadable("not an object")
        if frame.body.get("stream") != "trade_updates":
            return False
        try:
            found = self._trade_facts(account, frame)
        except Exception as e:
            self._doors.publish(Stream.FILLS, [], _source(account), 1)
            raise Unreadable(repr(e)) from e
        self._doors.publish(Stream.FILLS, found, _source(account), 1)
        return True

    def _trade_facts(self, account: AccountName, frame: Frame) -> list[Fact]:
        data: Any = frame.body["data"]
        found = facts.trade_update(data, account, self._origin, frame.read_at)
        if data["event"] not in facts.KNOWN_EVENTS:
            self.unknown_events[str(data["event"])] += 1
        for fact in found:
            if isinstance(fact, OrderAccepted | OrderFilled) and fact.client_order_id:
                self._names[account].learn(fact.broker_order_id, fact.client_order_id)
        return found

    def _on_unreadable_trade(self, account: AccountName, raw: bytes, error: str) -> None:
        self._due.add(account)
        self._doors.bury(_source(account), raw, error)

    def _price_handlers(self, feed: str) -> Handlers:
        return Handlers(
            on_frame=partial(self._on_prices, feed),
            on_connected=partial(self._reconnected.add, feed),
            on_unreadable=partial(self._doors.bury, feed),
            on_trouble=partial(log.warning, "feed %s: %s", feed),
        )

    def _on_prices(self, feed: str, frame: Frame) -> bool:
        """Publish the readable quotes of a frame as one fact, and bury the frame if one was not readable."""
        try:
            prices = facts.price_frame(frame.body)
        except Exception as e:
            raise Unreadable(repr(e)) from e
        if not prices.messages:
            return False
        ticked = [facts.ticked(feed, facts.digest(frame.raw), prices.quotes)] if prices.quotes else []
        self._doors.publish(Stream.TICKS, ticked, feed, prices.messages)
        if prices.unreadable:
            raise Unreadable("; ".join(prices.unreadable))
        return True


def _source(account: AccountName) -> str:
    return f"trade_updates:{account}"


def _by_kind(symbols: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return options and stocks apart, in their order; what is no symbol has no quotes."""
    options: list[str] = []
    stocks: list[str] = []
    for symbol in symbols:
        try:
            (options if isinstance(parse_symbol(symbol), Option) else stocks).append(symbol)
        except NotASymbol as e:
            log.warning("no quotes are asked for: %s", e)
    return options, stocks


def _most_important(symbols: Sequence[str], limit: int) -> frozenset[str]:
    """Return the first *limit* symbols: one too many and the server would refuse them all."""
    distinct = list(dict.fromkeys(symbols))
    if len(distinct) > limit:
        log.warning("only %d symbols can be watched, left out: %s", limit, distinct[limit:])
    return frozenset(distinct[:limit])
