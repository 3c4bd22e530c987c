"""One websocket connection: what its client wants, how it is written to, and how it ends.

What is published is queued and written by a task of the connection, in order; so publishing never waits.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgpack
from aiohttp import WSCloseCode, web

from paper import times

log = logging.getLogger(__name__)

#: What the data streams say with each of their error codes.
ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    408: "v2 not enabled",
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
    412: "option messages are only available in MsgPack format",
    413: "star subscription is not allowed for option quotes",
    500: "internal error",
}
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
        #: Frames that wait for the next one to overtake them, each with its number of messages.
        self.held: list[tuple[bytes, int]] = []
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
