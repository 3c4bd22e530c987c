"""What clients and server say on the websockets before and between the data.

`TradeStream` is /stream: JSON in binary frames. `DataStream` is /v2/{feed} and /v1beta1/{feed}: arrays of messages in
JSON, or in msgpack for a client that asked for it with its Content-Type (options speak msgpack only).
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import msgpack
from aiohttp import WSMessage, WSMsgType, web

from paper.book import Account
from paper.hub import Hub
from paper.sockets import ERRORS, JSON_BINARY, JSON_TEXT, PACKED, Connection
from paper.stream_faults import OPTION, STOCK, TRADE_UPDATES

_MSGPACK = "application/msgpack"
_AUTH_WITHIN_S = 10.0
_LARGEST_MESSAGE = 16 * 1024 * 1024
_DEPRECATED = (
    "this authentication format is being deprecated. Please use the format: "
    '{"action": "auth", "key": "x", "secret": "x"}'
)
_STOCK_CHANNELS = (
    "trades",
    "quotes",
    "bars",
    "updatedBars",
    "dailyBars",
    "statuses",
    "lulds",
    "corrections",
    "cancelErrors",
)
_CHANNELS = {STOCK: _STOCK_CHANNELS, OPTION: ("trades", "quotes")}
#: The feeds a free subscription has, and those that exist besides.
_OWN_FEEDS = {STOCK: ("iex", "test"), OPTION: ("indicative",)}
_OTHER_FEEDS = {STOCK: ("sip", "delayed_sip", "boats", "overnight"), OPTION: ("opra",)}
#: Symbols that a free subscription may watch at once.
_SYMBOL_LIMITS = {STOCK: 30, OPTION: 200}

_FATAL = frozenset({402, 404, 406, 409, 412})


class Keys:
    """Which keys there are."""

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self._accounts = accounts

    def account(self, key: Any, secret: Any) -> str | None:
        """The account that these keys open."""
        found = self._accounts.get(key) if isinstance(key, str) else None
        return found.name if found is not None and found.secret == secret else None


async def _open(request: web.Request, hub: Hub, stream: str) -> web.WebSocketResponse:
    """Shake hands, unless a fault refuses it."""
    refusal = hub.faults.at_the_door("refuse_handshake", stream, None)
    if refusal is not None:
        raise _Refused(status_code=refusal.status)
    socket = web.WebSocketResponse(compress=False, max_msg_size=_LARGEST_MESSAGE)
    await socket.prepare(request)
    return socket


class _Refused(web.HTTPException):
    """A handshake that is answered with an error status."""

    def __init__(self, *, status_code: int) -> None:
        self.status_code = status_code
        super().__init__(text="connection limit exceeded" if status_code == web.HTTPTooManyRequests.status_code else "")


def _read(frame: WSMessage) -> Any:
    """Decode a client's message; None when it is neither JSON nor msgpack."""
    try:
        if frame.type is WSMsgType.TEXT:
            return json.loads(frame.data)
        if frame.type is WSMsgType.BINARY:
            return _read_binary(frame.data)
    except (ValueError, OverflowError, RecursionError, msgpack.UnpackException):
        return None
    return None


def _read_binary(data: bytes) -> Any:
    if data[:1] in {b"{", b"["}:
        return json.loads(data)
    return msgpack.unpackb(data)


async def _converse(connection: Connection, hub: Hub, hear: Callable[[Any], bool]) -> None:
    """Let *hear* answer each message until the client leaves or *hear* returns False."""
    writer = asyncio.get_running_loop().create_task(connection.write())
    try:
        async for frame in connection.socket:
            if not hear(_read(frame)):
                await connection.close()
                break
    finally:
        hub.leave(connection)
        writer.cancel()


class TradeStream:
    """The protocol of /stream; *notice* says that the old form of authentication is deprecated."""

    def __init__(self, hub: Hub, keys: Keys, *, notice: bool = True) -> None:
        self._hub = hub
        self._keys = keys
        self._extra = {"message": _DEPRECATED} if notice else {}

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Talk with one client until it leaves."""
        socket = await _open(request, self._hub, TRADE_UPDATES)
        encoding = PACKED if request.headers.get("Content-Type") == _MSGPACK else JSON_BINARY
        connection = Connection(socket, TRADE_UPDATES, "", encoding)
        await _converse(connection, self._hub, lambda message: self._hear(connection, message))
        return socket

    def _hear(self, connection: Connection, message: Any) -> bool:
        action = message.get("action") if isinstance(message, dict) else None
        data = message.get("data") if isinstance(message, dict) else None
        if action == "authenticate" and isinstance(data, dict):
            self._authenticate(connection, data.get("key_id"), data.get("secret_key"), self._extra)
        elif action == "auth":
            self._authenticate(connection, message.get("key"), message.get("secret"), {})
        elif action == "listen":
            self._listen(connection, data)
        else:
            connection.say({"action": "error", "data": {"error_message": "invalid message"}})
        return True

    def _authenticate(self, connection: Connection, key: Any, secret: Any, extra: dict[str, str]) -> None:
        account = self._keys.account(key, secret)
        if account is None or self._hub.faults.at_the_door("refuse_keys", TRADE_UPDATES, account):
            self._refuse(connection, "authenticate")
            return
        if connection.account is None:
            connection.account = account
            self._hub.join(connection)
        data = {"action": "authenticate", "status": "authorized", **extra}
        connection.say({"stream": "authorization", "data": data})

    def _listen(self, connection: Connection, data: Any) -> None:
        if connection.account is None:
            self._refuse(connection, "listen")
            return
        streams = data.get("streams") if isinstance(data, dict) else None
        wanted = [s for s in streams if s == TRADE_UPDATES] if isinstance(streams, list) else []
        connection.wanted = {stream: set() for stream in wanted}
        connection.say({"stream": "listening", "data": {"streams": wanted}})

    def _refuse(self, connection: Connection, action: str) -> None:
        connection.say({"stream": "authorization", "data": {"status": "unauthorized", "action": action}})


class DataStream:
    """The protocol of the market data streams; *stream* is stock or option."""

    def __init__(self, hub: Hub, keys: Keys, stream: str) -> None:
        self._hub = hub
        self._keys = keys
        self._stream = stream
        self._actions = {"auth": self._auth, "subscribe": self._subscribe, "unsubscribe": self._unsubscribe}

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Talk with one client until it leaves."""
        feed = request.match_info["feed"]
        if feed not in _OWN_FEEDS[self._stream] + _OTHER_FEEDS[self._stream]:
            raise web.HTTPNotFound
        socket = await _open(request, self._hub, self._stream)
        encoding = PACKED if request.headers.get("Content-Type") == _MSGPACK else JSON_TEXT
        connection = Connection(socket, self._stream, feed, encoding)
        connection.say([{"T": "success", "msg": "connected"}])
        impatience = asyncio.get_running_loop().call_later(_AUTH_WITHIN_S, self._give_up, connection)
        try:
            await _converse(connection, self._hub, lambda message: self._hear(connection, message))
        finally:
            impatience.cancel()
        return socket

    def _give_up(self, connection: Connection) -> None:
        """No authentication in time."""
        if connection.account is None:
            self._error(connection, 404)
            connection.close_soon()

    def _hear(self, connection: Connection, message: Any) -> bool:
        """Answer a message; False ends the connection."""
        action = self._actions.get(str(message.get("action"))) if isinstance(message, dict) else None
        if action is None:
            return self._error(connection, 400)
        if connection.account is None and action != self._auth:
            return self._error(connection, 401)
        return action(connection, message)

    def _error(self, connection: Connection, code: int) -> bool:
        connection.say([{"T": "error", "code": code, "msg": ERRORS[code]}])
        return code not in _FATAL

    def _auth(self, connection: Connection, message: dict[str, Any]) -> bool:
        if connection.account is not None:
            return self._error(connection, 403)
        account = self._keys.account(message.get("key"), message.get("secret"))
        refusal = self._refusal(connection, account)
        if refusal or account is None:
            return self._error(connection, refusal or 402)
        connection.account = account
        self._hub.join(connection)
        connection.say([{"T": "success", "msg": "authenticated"}])
        return True

    def _refusal(self, connection: Connection, account: str | None) -> int | None:
        """The error code for these keys on this feed, if any."""
        if account is None or self._hub.faults.at_the_door("refuse_keys", self._stream, account):
            return 402
        if connection.feed not in _OWN_FEEDS[self._stream]:
            return 409
        if self._stream == OPTION and connection.encoding is not PACKED:
            return 412
        return 406 if self._hub.has(self._stream, connection.feed, account) else None

    def _subscribe(self, connection: Connection, message: dict[str, Any]) -> bool:
        asked = _asked(message)
        if asked is None:
            return self._error(connection, 400)
        if any(channel not in _CHANNELS[self._stream] for channel in asked):
            return self._error(connection, 410)
        if self._stream == OPTION and "*" in asked.get("quotes", ()):
            return self._error(connection, 413)
        merged = {c: connection.wanted.get(c, set()) | asked.get(c, set()) for c in {*connection.wanted, *asked}}
        if any(len(symbols - {"*"}) > _SYMBOL_LIMITS[self._stream] for symbols in merged.values()):
            return self._error(connection, 405)
        connection.wanted = merged
        return self._confirm(connection)

    def _unsubscribe(self, connection: Connection, message: dict[str, Any]) -> bool:
        asked = _asked(message)
        if asked is None:
            return self._error(connection, 400)
        for channel, symbols in asked.items():
            connection.wanted[channel] = connection.wanted.get(channel, set()) - symbols
        return self._confirm(connection)

    def _confirm(self, connection: Connection) -> bool:
        """Tell the client everything it is subscribed to now."""
        lists = {channel: sorted(connection.wanted.get(channel, ())) for channel in _CHANNELS[self._stream]}
        connection.say([{"T": "subscription", **lists}])
        return True


def _asked(message: dict[str, Any]) -> dict[str, set[str]] | None:
    """The channels and symbols of a subscribe message; None when it is malformed."""
    asked = {name: symbols for name, symbols in message.items() if name != "action"}
    for symbols in asked.values():
        if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
            return None
    return {channel: set(symbols) for channel, symbols in asked.items() if symbols}
