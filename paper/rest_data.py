"""The market data API: latest quotes and trades, snapshots, option chains, and bars of stocks."""

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from paper import wire_data
from paper.errors import ApiError, data_error, unprocessable
from paper.gate import reply
from paper.instruments import Contract, Stock
from paper.query import Query
from paper.rest_reference import after_token, contract_filter, page_token
from paper.wire_data import JSON, Frame
from paper.world import World

_SYMBOLS_MOST = 100
_CHAIN_DEFAULT, _CHAIN_MOST = 100, 1000
_BARS_DEFAULT, _BARS_MOST = 1000, 10_000
_TIMEFRAME = re.compile(r"(\d{1,2})(Min|T|Hour|H|Day|D)", re.ASCII)
_UNITS = {"Min": timedelta(minutes=1), "T": timedelta(minutes=1), "Hour": timedelta(hours=1), "H": timedelta(hours=1)}
#: The feeds that a free subscription has.
_STOCK_FEEDS = ("iex", "delayed_sip", "test")
_OPTION_FEEDS = ("indicative",)


def _bad(message: str) -> ApiError:
    return data_error(400, message)


class DataApi:
    """Endpoints of the market data API, as of the clock's present."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        """All endpoints."""
        return [
            web.get("/v2/stocks/quotes/latest", self.stock_quotes),
            web.get("/v2/stocks/trades/latest", self.stock_trades),
            web.get("/v2/stocks/bars/latest", self.stock_latest_bars),
            web.get("/v2/stocks/snapshots", self.stock_snapshots),
            web.get("/v2/stocks/bars", self.stock_bars),
            web.get("/v1beta1/options/quotes/latest", self.option_quotes),
            web.get("/v1beta1/options/trades/latest", self.option_trades),
            web.get("/v1beta1/options/snapshots", self.option_snapshots),
            web.get("/v1beta1/options/snapshots/{underlying}", self.option_chain),
        ]

    # Stocks

    async def stock_quotes(self, request: web.Request) -> web.Response:
        return reply({"quotes": _collect(self._stocks(request), self._stock_quote)})

    async def stock_trades(self, request: web.Request) -> web.Response:
        return reply({"trades": _collect(self._stocks(request), self._stock_trade)})

    async def stock_latest_bars(self, request: web.Request) -> web.Response:
        return reply({"bars": _collect(self._stocks(request), self._latest_minute)})

    async def stock_snapshots(self, request: web.Request) -> web.Response:
        return reply(_collect(self._stocks(request), self._stock_snapshot))

    async def stock_bars(self, request: web.Request) -> web.Response:
        """Bars by symbol and time; a page ends after *limit* bars of all symbols together."""
        query = Query(request.query, _bad)
        symbols, frame = self._stocks(request), _timeframe(query)
        limit = query.integer("limit", _BARS_DEFAULT, 1, _BARS_MOST)
        skip = query.integer("page_token", 0, 0, 999_999_999)
        start, end = query.time("start"), query.time("end")
        rows = [(s, bar) for s in sorted(symbols) for bar in self._bars(s, frame, start, end)]
        if query.choice("sort", ("asc", "desc"), "asc") == "desc":
            rows.reverse()
        grouped: dict[str, list[JSON]] = {}
        for symbol, bar in rows[skip : skip + limit]:
            grouped.setdefault(symbol, []).append(bar)
        token = str(skip + limit) if len(rows) > skip + limit else None
        return reply({"bars": grouped, "next_page_token": token})

    def _bars(self, symbol: str, frame: Frame, start: datetime | None, end: datetime | None) -> list[JSON]:
        found = wire_data.bars(self._world.market.mids(symbol), frame)
        return [bar for at, bar in found if (start is None or at >= start) and (end is None or at <= end)]

    def _stocks(self, request: web.Request) -> list[str]:
        query = Query(request.query, _bad)
        if (query.text("feed") or _STOCK_FEEDS[0]) not in _STOCK_FEEDS:
            raise ApiError(403, unprocessable("subscription does not permit querying recent SIP data").body)
        known = self._world.registry
        return [symbol for symbol in _symbols(query) if isinstance(known.find(symbol), Stock)]

    def _stock_quote(self, symbol: str) -> JSON | None:
        quote = self._world.market.quotes.get(symbol)
        return wire_data.timed(wire_data.stock_quote(quote), quote.at) if quote else None

    def _stock_trade(self, symbol: str) -> JSON | None:
        trade = self._world.market.trades.get(symbol)
        return wire_data.timed(wire_data.stock_trade(trade), trade.at) if trade else None

    def _latest_minute(self, symbol: str) -> JSON | None:
        return _last(wire_data.bars(self._world.market.mids(symbol)[-2:], Frame(timedelta(minutes=1))), 1)

    def _stock_snapshot(self, symbol: str) -> JSON | None:
        quote = self._stock_quote(symbol)
        if quote is None:
            return None
        days = wire_data.bars(self._world.market.mids(symbol), Frame(None))
        return {
            "latestQuote": quote,
            "latestTrade": self._stock_trade(symbol),
            "minuteBar": self._latest_minute(symbol),
            "dailyBar": _last(days, 1),
            "prevDailyBar": _last(days, 2),
        }

    # Options

    async def option_quotes(self, request: web.Request) -> web.Response:
        return reply({"quotes": _collect(self._contracts(request), self._option_quote)})

    async def option_trades(self, request: web.Request) -> web.Response:
        return reply({"trades": _collect(self._contracts(request), self._option_trade)})

    async def option_snapshots(self, request: web.Request) -> web.Response:
        shown = _collect(self._contracts(request), self._option_snapshot)
        return reply({"snapshots": shown, "next_page_token": None})

    async def option_chain(self, request: web.Request) -> web.Response:
        """Snapshots of an underlying's contracts that have shown a price, in the order of expiration and symbol."""
        query = Query(request.query, _bad)
        _check_option_feed(query)
        limit = query.integer("limit", _CHAIN_DEFAULT, 1, _CHAIN_MOST)
        since, underlying = query.time("updated_since"), request.match_info["underlying"]
        passes, listed = contract_filter(query), self._world.registry.contracts
        chain = [c for c in listed if c.underlying == underlying and passes(c) and self._has_moved(c.symbol, since)]
        chain = after_token(chain, query)
        token = page_token(chain[limit - 1].symbol) if len(chain) > limit else None
        shown = _collect((contract.symbol for contract in chain[:limit]), self._option_snapshot)
        return reply({"snapshots": shown, "next_page_token": token})

    def _has_moved(self, symbol: str, since: datetime | None) -> bool:
        seen = [
            found.at
            for found in (self._world.market.quotes.get(symbol), self._world.market.trades.get(symbol))
            if found
        ]
        return bool(seen) and (since is None or max(seen) >= since)

    def _contracts(self, request: web.Request) -> list[str]:
        query = Query(request.query, _bad)
        _check_option_feed(query)
        known = self._world.registry
        return [symbol for symbol in _symbols(query) if isinstance(known.find(symbol), Contract)]

    def _option_quote(self, symbol: str) -> JSON | None:
        quote = self._world.market.quotes.get(symbol)
        return wire_data.timed(wire_data.option_quote(quote), quote.at) if quote else None

    def _option_trade(self, symbol: str) -> JSON | None:
        trade = self._world.market.trades.get(symbol)
        return wire_data.timed(wire_data.option_trade(trade), trade.at) if trade else None

    def _option_snapshot(self, symbol: str) -> JSON | None:
        bar = self._world.market.day_bars.get(symbol)
        parts = {
            "latestQuote": self._option_quote(symbol),
            "latestTrade": self._option_trade(symbol),
            "dailyBar": wire_data.day_bar(bar) if bar else None,
            "greeks": self._world.market.greeks.get(symbol) or None,
        }
        return {name: part for name, part in parts.items() if part is not None} or None


def _symbols(query: Query) -> list[str]:
    symbols = query.names("symbols")
    if not symbols:
        raise _bad("symbols is required")
    if len(symbols) > _SYMBOLS_MOST:
        raise _bad(f"too many symbols: at most {_SYMBOLS_MOST}")
    return symbols


def _check_option_feed(query: Query) -> None:
    if (query.text("feed") or _OPTION_FEEDS[0]) not in _OPTION_FEEDS:
        raise data_error(403, "OPRA agreement is not signed")


def _collect(symbols: Iterable[str], show: Callable[[str], Any]) -> JSON:
    """What is known, by symbol; the rest is silently missing, as Alpaca does it."""
    shown = ((symbol, show(symbol)) for symbol in symbols)
    return {symbol: body for symbol, body in shown if body is not None}


def _last(bars: list[tuple[datetime, JSON]], nth: int) -> JSON | None:
    """The nth bar from the end."""
    return bars[-nth][1] if len(bars) >= nth else None


def _timeframe(query: Query) -> Frame:
    text = query.text("timeframe")
    match = _TIMEFRAME.fullmatch(text or "")
    if match is None or match[1].strip("0") == "":
        raise _bad(f"invalid timeframe: {text}")
    unit = _UNITS.get(match[2])
    if unit is None:
        return Frame(None)
    return Frame(unit * int(match[1]))
