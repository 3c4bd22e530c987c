"""Alpaca's three websockets as feeds: trade updates of an account, option quotes, stock quotes.

alpaca-py connects, authenticates and speaks the protocols. Its own read loops are not used: they drop an event when a
handler fails, drop the rest of an array after one bad element, repeat wrong keys silently, say nothing of a
reconnect, and take five seconds to stop. ``feed_thread`` reads instead.

Source: alpaca-py 0.44.0, whose underscored methods are called here and nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgpack
from alpaca.data.live.option import OptionDataStream
from alpaca.data.live.stock import StockDataStream
from alpaca.data.live.websocket import DataStream
from alpaca.trading.stream import TradingStream
from websockets.legacy.client import WebSocketClientProtocol
from websockets.legacy.exceptions import InvalidStatusCode

from brokerage.endpoints import Endpoints, Keys
from brokerage.feed_thread import FeedThread, Handlers, Liveness
from brokerage.port import NotAuthorized

log = logging.getLogger(__name__)

#: The library waits 180 s for a pong; a dead peer should be noticed before the next exit.
_WEBSOCKET: Final = {
    "ping_interval": 10,
    "ping_timeout": 20,
    "max_queue": 1024,
    "open_timeout": 5,
    "close_timeout": 0.1,
}
#: What a person must put right. "connection limit exceeded" is not among them: the old connection will be reaped.
_KEY_TROUBLE: Final = ("auth failed", "failed to authenticate", "insufficient subscription", "not authenticated")


async def _ignore(_: Any) -> None:
    """Stand in for a handler: alpaca-py subscribes only to what has one."""


def _named(error: Exception) -> Exception:
    """Return NotAuthorized for an error that says so: alpaca-py raises a bare ValueError for everything."""
    refused = isinstance(error, InvalidStatusCode) and error.status_code in (401, 403)
    if refused or (type(error) is ValueError and any(said in str(error) for said in _KEY_TROUBLE)):
        return NotAuthorized(str(error))
    return error


async def _receive(ws: Any) -> bytes | str:
    raw: bytes | str = await ws.recv()
    return raw


async def _hang_up(ws: WebSocketClientProtocol | None) -> None:
    """Say goodbye, and let go of the connection when nobody answers."""
    if ws is None:
        return
    try:
        await ws.close()
    finally:
        if ws.transport is not None:
            ws.transport.abort()


class _TradeSocket(TradingStream):
    """The trade_updates of one account; ready when the server confirmed that it listens for us."""

    is_expecting = False  # an account may be silent for days

    def __init__(self, keys: Keys, urls: Endpoints) -> None:
        super().__init__(
            keys.key_id,
            keys.secret,
            raw_data=True,
            url_override=urls.trading_stream,
            websocket_params=dict(_WEBSOCKET),
        )
        self.subscribe_trade_updates(_ignore)
        self.is_ready = False

    async def open(self) -> None:
        self.is_ready = False
        try:
            await self._start_ws()  # type: ignore[no-untyped-call]
        except Exception as e:
            raise _named(e) from e

    async def recv(self) -> bytes | str:
        return await _receive(self._ws)

    async def close(self) -> None:
        ws, self._ws = self._ws, None
        await _hang_up(ws)

    def decode(self, raw: bytes | str) -> Any:
        body = json.loads(raw, parse_float=Decimal)
        if isinstance(body, dict) and body.get("stream") == "listening":
            self.is_ready = "trade_updates" in body["data"]["streams"]
        return body


class _Quotes:
    """The quotes of a data stream: what is wanted, what the server confirmed, and the way from one to the other."""

    def __init__(self, stream: DataStream) -> None:
        self._stream = stream
        self.wanted: frozenset[str] = frozenset()
        self._confirmed: frozenset[str] | None = None
        self._changed = threading.Condition()
        self._asking = asyncio.Lock()
        self.is_ready = False

    @property
    def is_expecting(self) -> bool:
        return bool(self.wanted)

    async def open(self) -> None:
        self._stream._handlers["quotes"] = {}
        try:
            await self._stream._start_ws()
        except Exception as e:
            raise _named(e) from e
        self.is_ready = True
        await self.align()

    async def recv(self) -> bytes | str:
        return await _receive(self._stream._ws)

    async def close(self) -> None:
        ws, self._stream._ws = self._stream._ws, None
        self.is_ready = False
        self._confirm(None)
        await _hang_up(ws)

    def decode(self, raw: bytes | str) -> Any:
        body = msgpack.unpackb(raw)
        for message in body if isinstance(body, list) else []:
            self._notice(message)
        return body

    def _notice(self, message: Any) -> None:
        kind = message.get("T") if isinstance(message, dict) else None
        if kind == "subscription":
            self._confirm(frozenset(message.get("quotes") or ()))
        elif kind == "error":
            log.warning("%s answered error %s: %s", self._stream._endpoint, message.get("code"), message.get("msg"))

    def _confirm(self, symbols: frozenset[str] | None) -> None:
        with self._changed:
            self._confirmed = symbols
            self._changed.notify_all()

    def want(self, symbols: frozenset[str]) -> bool:
        """Say what is wanted from now on; True when that is something else than before."""
        with self._changed:
            if symbols == self.wanted:
                return False
            self.wanted = symbols
            return True

    def wait_confirmed(self, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: (self._confirmed or frozenset()) == self.wanted, timeout_s)

    async def align(self) -> None:
        """Ask the server for what is wanted and not for anything else; without a connection, opening one does it."""
        async with self._asking:
            if not self.is_ready:
                return
            wanted, asked = self.wanted, frozenset(self._stream._handlers["quotes"])
            self._stream._handlers["quotes"] = dict.fromkeys(sorted(wanted), _ignore)
            if wanted - asked:
                await self._stream._send_subscribe_msg()
            if asked - wanted:
                await self._stream._send_unsubscribe_msg("quotes", sorted(asked - wanted))


class QuoteFeed(FeedThread):
    """A price feed whose symbols may change while it runs."""

    def __init__(
        self,
        name: str,
        stream: DataStream,
        handlers: Handlers,
        wall: Callable[[], datetime],
        liveness: Liveness,
    ) -> None:
        self._quotes = _Quotes(stream)
        super().__init__(name, self._quotes, handlers, wall, liveness)

    @property
    def wanted(self) -> frozenset[str]:
        return self._quotes.wanted

    def want(self, symbols: frozenset[str]) -> bool:
        """Ask for the quotes of exactly *symbols*, from any thread; True when that is a change."""
        changed = self._quotes.want(symbols)
        if changed:
            self.call(self._align_soon)
        return changed

    def wait_confirmed(self, timeout_s: float) -> bool:
        """Wait until the server confirmed exactly what is wanted."""
        return self._quotes.wait_confirmed(timeout_s)

    def _align_soon(self) -> None:
        self._aligning = asyncio.ensure_future(self._align())

    async def _align(self) -> None:
        try:
            await self._quotes.align()
        except Exception as e:  # noqa: BLE001 - the read loop sees the same end of the connection and opens another
            log.debug("feed %s could not subscribe: %r", self.name, e)


def trade_feed(
    name: str, keys: Keys, urls: Endpoints, handlers: Handlers, wall: Callable[[], datetime], liveness: Liveness
) -> FeedThread:
    """Return the feed of an account's trade updates, not started."""
    return FeedThread(name, _TradeSocket(keys, urls), handlers, wall, liveness)


def option_feed(
    keys: Keys, urls: Endpoints, handlers: Handlers, wall: Callable[[], datetime], liveness: Liveness
) -> QuoteFeed:
    """Return the feed of option quotes, not started. Alpaca allows one connection per account."""
    stream = OptionDataStream(
        keys.key_id, keys.secret, raw_data=True, url_override=urls.option_stream, websocket_params=dict(_WEBSOCKET)
    )
    return QuoteFeed("option", stream, handlers, wall, liveness)


def stock_feed(
    keys: Keys, urls: Endpoints, handlers: Handlers, wall: Callable[[], datetime], liveness: Liveness
) -> QuoteFeed:
    """Return the feed of stock quotes, not started. Alpaca allows one connection per account."""
    stream = StockDataStream(
        keys.key_id, keys.secret, raw_data=True, url_override=urls.stock_stream, websocket_params=dict(_WEBSOCKET)
    )
    return QuoteFeed("stock", stream, handlers, wall, liveness)
