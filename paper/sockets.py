"""Websocket connections and the hub that delivers to them.

What is published is queued for every connection that wants it, in order, and written by a task of the connection; so
publishing never waits, and `Hub.flush` tells when everything has been handed to the sockets. The hub counts the data
messages it queued (one trade update, one quote, one trade), which is what a client that reads along can compare.
"""

import asyncio
import json
import logging
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgpack
from aiohttp import WSCloseCode, web

from paper import times

log = logging.getLogger(__name__)

TRADE_UPDATES, STOCK, OPTION = "trade_updates", "stock", "option"
STREAMS = (TRADE_UPDATES, STOCK, OPTION)

#: A client that takes no bytes for this long (wall time) is dropped.
_SLOW_AFTER_S = 10.0


class Encoding:
    """How messages of one connection are written."""

    def __init__(self, *, packed: bool, text: bool) -> None:
        self.packed = packed
        self.text = text

    def one(self, message: Any) -> bytes:
        """Encode one message."""
        if self.packed:
            return bytes(msgpack.packb(message))
        return json.dumps(message, separators=(",", ":")).encode()

    def many(self, encoded: Sequence[bytes]) -> bytes:
        """Put encoded messages into one array."""
        if self.packed:
            return bytes(msgpack.Packer().pack_array_header(len(encoded))) + b"".join(encoded)
        return b"[" + b",".join(encoded) + b"]"


PACKED = Encoding(packed=True, text=False)
JSON_TEXT = Encoding(packed=False, text=True)
JSON_BINARY = Encoding(packed=False, text=False)


@dataclass(slots=True)
class Message:
    """A quote or trade on its way to sockets; each encoding of it is made once."""

    channel: str
    symbol: str
    at: datetime
    body: dict[str, Any]
    _encoded: dict[bool, bytes] = field(default_factory=dict)

    def encoded(self, encoding: Encoding) -> bytes:
        """Its bytes; in msgpack the time is a timestamp extension, in JSON a text."""
        found = self._encoded.get(encoding.packed)
        if found is None:
            when: Any = times.nanos(self.at)
            if encoding.packed:
                when = msgpack.Timestamp.from_unix_nano(times.epoch_ns(self.at))
            found = self._encoded[encoding.packed] = encoding.one(self.body | {"t": when})
        return found


class Connection:
    """One websocket: who it is, what it wants, and the frames it still has to get."""

    def __init__(self, socket: web.WebSocketResponse, stream: str, feed: str, encoding: Encoding) -> None:
        self.socket = socket
        self.stream = stream
        self.feed = feed
        self.encoding = encoding
        self.account: str | None = None
        self.muted = False
        self.wanted: dict[str, set[str]] = {}
        self.written = asyncio.Event()
        self.written.set()
        self._queue: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None

    def wants(self, message: Message) -> bool:
        """Whether the client has subscribed to what this message is about."""
        symbols = self.wanted.get(message.channel)
        return symbols is not None and (message.symbol in symbols or "*" in symbols)

    @property
    def unwritten(self) -> int:
        return len(self._queue)

    def push(self, frame: bytes) -> None:
        """Queue one frame."""
        self._queue.append(frame)
        self.written.clear()
        self._wake.set()

    def say(self, message: Any) -> None:
        """Queue one message of the protocol."""
        self.push(self.encoding.one(message))

    async def write(self) -> None:
        """Write queued frames until the socket ends."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._queue:
                    async with asyncio.timeout(_SLOW_AFTER_S):
                        await self._send(self._queue[0])
                    self._queue.popleft()
                self.written.set()
        except (ConnectionError, TimeoutError) as error:
            log.info("a %s client is gone: %r", self.stream, error)
            self.abort()
        finally:
            self._queue.clear()
            self.written.set()

    async def _send(self, frame: bytes) -> None:
        if self.encoding.text:
            await self.socket.send_str(frame.decode())
        else:
            await self.socket.send_bytes(frame)

    async def close(self, code: int = WSCloseCode.GOING_AWAY) -> None:
        """Write what is queued, then close in order."""
        await self.written.wait()
        await self.socket.close(code=code, drain=False)

    def close_soon(self, code: int = WSCloseCode.GOING_AWAY) -> None:
        """Close in order, without waiting for it."""
        self._closing = asyncio.get_running_loop().create_task(self.close(code))

    def abort(self) -> None:
        """Cut the connection."""
        writer = self.socket._writer  # private, but aiohttp offers no public way to drop a websocket
        if writer is not None and writer.transport is not None:
            writer.transport.abort()


class Hub:
    """All authenticated connections, the counts of what was queued for them, and the faults of the streams."""

    def __init__(self, accounts: Iterable[str]) -> None:
        self._connections: list[Connection] = []
        self._updates = dict.fromkeys(accounts, 0)
        self._market = {STOCK: 0, OPTION: 0}
        self._troubles: Counter[tuple[str, str, str | None]] = Counter()

    def join(self, connection: Connection) -> None:
        self._connections.append(connection)

    def leave(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)

    def has(self, stream: str, feed: str, account: str) -> bool:
        """Whether an account is connected to a feed."""
        return any(c.stream == stream and c.feed == feed and c.account == account for c in self._connections)

    def sent(self) -> dict[str, Any]:
        """How many data messages have been queued so far, in all."""
        return {TRADE_UPDATES: dict(self._updates), **self._market}

    @property
    def unwritten(self) -> int:
        return sum(connection.unwritten for connection in self._connections)

    async def flush(self) -> None:
        """Wait until every queued frame has been handed to its socket."""
        for connection in list(self._connections):
            await connection.written.wait()

    def publish_update(self, account: str, payload: dict[str, Any]) -> None:
        """Send an account's trade update to whoever listens."""
        for connection in self._connections:
            if connection.account == account and TRADE_UPDATES in connection.wanted:
                self._updates[account] += self._deliver(connection, connection.encoding.one(payload))

    def publish_market(self, stream: str, messages: Sequence[Message]) -> None:
        """Send the messages of one instant: one frame for each subscriber."""
        for connection in self._connections:
            if connection.stream != stream or not connection.wanted:
                continue
            chosen = [m.encoded(connection.encoding) for m in messages if connection.wants(m)]
            if chosen:
                frame = connection.encoding.many(chosen)
                self._market[stream] += len(chosen) * self._deliver(connection, frame)

    def _deliver(self, connection: Connection, frame: bytes) -> int:
        """Queue a frame as often as the faults in force say, and return how often."""
        if connection.muted or self._strikes("drop_next", connection):
            return 0
        copies = 2 if self._strikes("duplicate_next", connection) else 1
        for _ in range(copies):
            connection.push(frame)
        return copies

    def _strikes(self, deed: str, connection: Connection) -> bool:
        """Whether a fault hits this delivery; it is used up then."""
        for account in (connection.account, None):
            key = (deed, connection.stream, account)
            if self._troubles[key]:
                self._troubles[key] -= 1
                return True
        return False

    # Faults

    def trouble(self, deed: str, stream: str, account: str | None, count: int, code: int) -> int:
        """Do one of mute, unmute, close, drop_next, duplicate_next; return how many connections it concerns now."""
        concerned = [c for c in self._connections if c.stream == stream and account in {None, c.account}]
        if deed in {"drop_next", "duplicate_next"}:
            self._troubles[deed, stream, account] += count
        for connection in concerned:
            if deed in {"mute", "unmute"}:
                connection.muted = deed == "mute"
            elif deed == "close":
                self._close(connection, code)
        return len(concerned)

    def _close(self, connection: Connection, code: int) -> None:
        """Close one connection; 1006 is what a client sees when there is no closing handshake."""
        self.leave(connection)
        if code == WSCloseCode.ABNORMAL_CLOSURE:
            connection.abort()
        else:
            connection.close_soon(code)

    async def shut(self) -> None:
        """Cut all connections; the server is going down."""
        for connection in list(self._connections):
            connection.abort()
        self._connections.clear()
