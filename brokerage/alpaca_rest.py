"""The port over Alpaca's HTTP API, by alpaca-py.

One instance belongs to one account and to one thread: its HTTP sessions must not be shared. Closing orders get an
instance of their own with the exits' lane of the rate budget, so that no entry can stand in their way.

Requests go through alpaca-py's clients as plain paths and text. Its typed calls would send prices as floats, and fail
on a word they do not know after the order was accepted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, TypeVar
from urllib.parse import quote as escaped

from alpaca.data.historical.option import OptionHistoricalDataClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.trading.client import TradingClient

from brokerage import non_trades, translate
from brokerage.budget import Api, Lane
from brokerage.endpoints import Endpoints, Keys
from brokerage.port import (
    BookedActivity,
    BrokerAccount,
    BrokerageUnavailable,
    BrokerOrder,
    BrokerPosition,
    Execution,
    NotCancelable,
    OrderRequest,
    RequestRefused,
)
from brokerage.wire import OnRequest, ask, prepare, send_order
from domain.contracts import ChainRange, Snapshot
from domain.events import Quote
from domain.instrument import Contract, NotASymbol, Option, is_option, parse_symbol
from domain.money import plain
from domain.session import Session, day_start

T = TypeVar("T")
log = logging.getLogger(__name__)

#: The most symbols that one request for latest quotes may name. Source: Alpaca's market data reference.
SYMBOLS_PER_REQUEST: Final = 100
ORDERS_PER_PAGE: Final = 500
CONTRACTS_PER_PAGE: Final = 10_000
SNAPSHOTS_PER_PAGE: Final = 1000
#: A listing that does not end after this many pages is no listing.
MOST_PAGES: Final = 20
ACTIVITIES_PER_PAGE: Final = 100
#: ``after`` may be exclusive and knows fewer digits than the executions: ask for a little more than is wanted.
_ASK_EARLIER: Final = timedelta(seconds=2)
#: Alpaca filters what has no time by its day: ask for one more.
_LISTED_EARLIER: Final = timedelta(days=1)


class AlpacaBrokerage:
    """One account at Alpaca, or at a server that speaks like it. Not for two threads."""

    def __init__(
        self, keys: Keys, urls: Endpoints, timeout_s: float, budget: Lane, on_request: OnRequest | None = None
    ) -> None:
        who = (keys.key_id, keys.secret)
        self._trading = TradingClient(*who, url_override=urls.trading, raw_data=True)
        self._options = OptionHistoricalDataClient(*who, url_override=urls.data, raw_data=True)
        self._stocks = StockHistoricalDataClient(*who, url_override=urls.data, raw_data=True)
        for client in (self._trading, self._options, self._stocks):
            prepare(client, timeout_s, on_request)
        self._urls, self._budget = urls, budget

    def close(self) -> None:
        """Close the connections."""
        for client in (self._trading, self._options, self._stocks):
            client._session.close()

    def account(self) -> BrokerAccount:
        return self._must("/account", {}, translate.broker_account)

    def now(self) -> datetime:
        return self._must("/clock", {}, lambda raw: translate.moment(raw["timestamp"]))

    def sessions(self, first: date, last: date) -> tuple[Session, ...]:
        days = {"start": first.isoformat(), "end": last.isoformat()}
        found = self._must("/calendar", days, lambda raw: [translate.session(day) for day in raw])
        return tuple(sorted((s for s in found if first <= s.day <= last), key=lambda s: s.day))

    def contract(self, symbol: str) -> Contract | None:
        try:
            named = parse_symbol(symbol)
        except NotASymbol:
            return None
        if isinstance(named, Option):
            return self._ask(f"/options/contracts/{symbol}", {}, translate.option_contract)
        return self._ask(f"/assets/{escaped(symbol, safe='')}", {}, translate.stock)

    def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        options = [s for s in symbols if is_option(s)]
        stocks = [s for s in symbols if s not in set(options)]
        found: dict[str, Quote] = {}
        for group in _groups(options):
            found |= self._latest(self._options, "/options/quotes/latest", self._urls.option_feed, group)
        for group in _groups(stocks):
            found |= self._latest(self._stocks, "/stocks/quotes/latest", self._urls.stock_feed, group)
        return found

    def contracts(self, asked: ChainRange) -> Sequence[Contract]:
        query = {"underlying_symbols": asked.underlying, "status": "active", "limit": CONTRACTS_PER_PAGE}
        query |= _bounds(asked)

        def page(query: Mapping[str, Any]) -> tuple[list[Contract], str | None]:
            return self._must("/options/contracts", query, translate.contract_page)

        return [contract for found in _pages(page, query) for contract in found]

    def chain(self, asked: ChainRange) -> Mapping[str, Snapshot]:
        path = f"/options/snapshots/{escaped(asked.underlying, safe='')}"
        query = {"feed": self._urls.option_feed, "limit": SNAPSHOTS_PER_PAGE} | _bounds(asked)
        pages = _pages(lambda q: self._snapshots(path, q), query)
        return {symbol: shown for found in pages for symbol, shown in found.items()}

    def snapshots(self, symbols: Sequence[str]) -> Mapping[str, Snapshot]:
        found: dict[str, Snapshot] = {}
        for group in _groups([s for s in symbols if is_option(s)]):
            query = {"symbols": ",".join(group), "feed": self._urls.option_feed, "limit": SNAPSHOTS_PER_PAGE}
            for page in _pages(lambda q: self._snapshots("/options/snapshots", q), query):
                found |= page
        return found

    def _snapshots(self, path: str, query: Mapping[str, Any]) -> tuple[dict[str, Snapshot], str | None]:
        self._budget.take(Api.DATA)
        return ask(lambda: self._options.get(path, dict(query)), translate.snapshot_page) or ({}, None)

    def submit(self, order: OrderRequest) -> BrokerOrder:
        body = translate.order_body(order)
        self._budget.take(Api.TRADING)
        return send_order(lambda: self._trading.post("/orders", body), translate.broker_order)

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder | None:
        return self._ask("/orders:by_client_order_id", {"client_order_id": client_order_id}, translate.broker_order)

    def order(self, broker_order_id: str) -> BrokerOrder | None:
        return self._ask(f"/orders/{escaped(broker_order_id, safe='')}", {}, translate.broker_order)

    def open_orders(self) -> Sequence[BrokerOrder]:
        return self._must("/orders", {"status": "open", "direction": "asc", "limit": ORDERS_PER_PAGE}, _all_orders)

    def cancel(self, broker_order_id: str) -> None:
        path = f"/orders/{escaped(broker_order_id, safe='')}"
        self._budget.take(Api.TRADING)
        try:
            gone = ask(lambda: self._trading.delete(path), lambda _: False)
        except RequestRefused as e:
            raise NotCancelable(str(e)) from e
        if gone is None:
            raise NotCancelable(f"no such order: {broker_order_id}")

    def positions(self) -> Sequence[BrokerPosition]:
        found = self._must("/positions", {}, lambda raw: [translate.broker_position(p) for p in raw])
        return [p for p in found if p.qty]

    def position(self, symbol: str) -> BrokerPosition | None:
        found = self._ask(f"/positions/{escaped(symbol, safe='')}", {}, translate.broker_position)
        return found if found and found.qty else None

    def executions(self, since: datetime) -> Sequence[Execution]:
        after = {"after": (since - _ASK_EARLIER).isoformat()}
        pages = self._activity_pages("/account/activities/FILL", after, _whole_executions)
        found = [e for page in pages for e in page if e.at >= since]
        return sorted(found, key=lambda e: (e.at, e.broker_order_id, e.cum_qty))

    def booked(self, since: date) -> Sequence[BookedActivity]:
        after = {"after": day_start(since - _LISTED_EARLIER).isoformat(), "category": "non_trade_activity"}
        pages = self._activity_pages("/account/activities", after, lambda raw: [non_trades.booked(a) for a in raw])
        found = [a for page in pages for a in page if a.day >= since]
        return sorted(found, key=lambda a: (a.day, a.activity_id))

    def _activity_pages(
        self, path: str, filters: Mapping[str, str], read: Callable[[list[translate.Json]], list[T]]
    ) -> Iterator[list[T]]:
        """Yield page after page, ascending; the token of the next page is the id of the last activity."""
        query: dict[str, Any] = {**filters, "direction": "asc", "page_size": ACTIVITIES_PER_PAGE}
        while True:
            last, size, page = self._must(path, query, lambda raw: (raw[-1]["id"] if raw else "", len(raw), read(raw)))
            yield page
            if size < ACTIVITIES_PER_PAGE or last == query.get("page_token"):
                return
            query["page_token"] = last

    def _latest(self, client: Any, path: str, feed: str, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """One unknown symbol may refuse the whole request: then each is asked for alone."""
        self._budget.take(Api.DATA)
        query = {"symbols": ",".join(symbols), "feed": feed}
        try:
            return ask(lambda: client.get(path, query), translate.quotes) or {}
        except RequestRefused as e:
            log.warning("no latest quotes of %s: %s", query["symbols"], e)
            if len(symbols) == 1:
                return {}
        return {s: q for one in symbols for s, q in self._latest(client, path, feed, [one]).items()}

    def _ask(self, path: str, query: Mapping[str, Any], read: Callable[[Any], T]) -> T | None:
        self._budget.take(Api.TRADING)
        return ask(lambda: self._trading.get(path, dict(query)), read)

    def _must(self, path: str, query: Mapping[str, Any], read: Callable[[Any], T]) -> T:
        """Ask for something that every account has."""
        answer = self._ask(path, query, read)
        if answer is None:
            raise RequestRefused(404, "", f"{path} is not there")
        return answer


def _groups(symbols: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(symbols), SYMBOLS_PER_REQUEST):
        yield symbols[start : start + SYMBOLS_PER_REQUEST]


def _bounds(asked: ChainRange) -> dict[str, str]:
    """The filters that the list of contracts and the option chain share."""
    return {
        "type": asked.kind.lower(),
        "expiration_date_gte": asked.first.isoformat(),
        "expiration_date_lte": asked.last.isoformat(),
        "strike_price_gte": plain(asked.lowest),
        "strike_price_lte": plain(asked.highest),
    }


def _pages(read: Callable[[Mapping[str, Any]], tuple[T, str | None]], query: Mapping[str, Any]) -> Iterator[T]:
    """Yield every page that *read* finds; each names the next one by a token.

    Raises:
        BrokerageUnavailable: the pages do not end, or a token leads back to its own page.
    """
    token: str | None = None
    for _ in range(MOST_PAGES):
        page, after = read(query if token is None else {**query, "page_token": token})
        yield page
        if not after:
            return
        if after == token:
            break
        token = after
    raise BrokerageUnavailable(f"pages without end, the last token was {token!r:.80}")


def _all_orders(raw: list[translate.Json]) -> list[BrokerOrder]:
    """Read the open orders; a full page would be half a list that passes for the whole."""
    if len(raw) >= ORDERS_PER_PAGE:
        raise ValueError(f"{ORDERS_PER_PAGE} open orders or more")
    return translate.broker_orders(raw)


def _whole_executions(raw: list[translate.Json]) -> list[Execution]:
    """Return the executions of a page without those of fractions (somebody else's)."""
    fractions = [a["id"] for a in raw if not translate.is_whole(a)]
    if fractions:
        log.warning("executions of fractions of a share are left out: %s", fractions)
    return [translate.execution(a) for a in raw if translate.is_whole(a)]
