"""The hub: everything that is published goes through it to the connections that want it.

`Hub.flush` tells when everything has been handed to the sockets. The hub counts the data messages it queued (one
trade update, one quote, one trade), which is what a client that reads along can compare. Faults of the streams act
here, between publishing and the queue of a connection.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from aiohttp import WSCloseCode

from paper.sockets import ERRORS, Connection, Message
from paper.stream_faults import JUNK, OPTION, STOCK, TRADE_UPDATES, StreamFault, StreamFaults, estranged


class Hub:
    """All authenticated connections, and the counts of what was queued for them.

    *later* lets something happen in so many seconds of the clock.
    """

    def __init__(self, accounts: Iterable[str], later: Callable[[float, Callable[[], None]], None]) -> None:
        self.faults = StreamFaults()
        self._later = later
        self._connections: list[Connection] = []
        self._updates = dict.fromkeys(accounts, 0)
        self._market = {STOCK: 0, OPTION: 0}

    def join(self, connection: Connection) -> None:
        self._connections.append(connection)

    def leave(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)

    def has(self, stream: str, feed: str, account: str) -> bool:
        """Whether an account is connected to a feed."""
        return any(c.stream == stream and c.feed == feed and c.account == account for c in self._connections)

    def listens(self, stream: str, channel: str) -> bool:
        """Whether anybody is subscribed to a channel."""
        return any(c.stream == stream and c.wanted.get(channel) for c in self._connections)

    def sent(self) -> dict[str, Any]:
        """How many data messages have been queued so far, in all."""
        return {TRADE_UPDATES: dict(self._updates), **self._market}

    def listening(self) -> dict[str, int]:
        """How many connections of each stream have asked for something."""
        asking = [c.stream for c in self._connections if TRADE_UPDATES in c.wanted or any(c.wanted.values())]
        return {stream: asking.count(stream) for stream in (TRADE_UPDATES, STOCK, OPTION)}

    @property
    def unwritten(self) -> int:
        return sum(connection.unwritten for connection in self._connections)

    async def flush(self) -> None:
        """Wait until every queued frame has been handed to its socket."""
        for connection in list(self._connections):
            await connection.written.wait()

    # Publishing

    def publish_update(self, account: str, payload: dict[str, Any]) -> None:
        """Send an account's trade update to whoever listens."""
        topic = (payload["data"]["event"], payload["data"]["order"]["symbol"])
        for connection in list(self._connections):
            if connection.account != account or TRADE_UPDATES not in connection.wanted or connection.muted:
                continue
            fault = self.faults.hit(TRADE_UPDATES, account, [topic])
            shown = estranged(payload, fault.do) if fault and fault.do.startswith("unknown_") else payload
            self._deliver(connection, connection.encoding.one(shown), 1, fault)

    def publish_market(self, stream: str, messages: Sequence[Message]) -> None:
        """Send the messages of one instant: one frame for each subscriber."""
        for connection in list(self._connections):
            if connection.stream != stream or not connection.wanted or connection.muted:
                continue
            chosen = [message for message in messages if connection.wants(message)]
            if chosen:
                fault = self.faults.hit(stream, connection.account, ((m.channel, m.symbol) for m in chosen))
                frame = connection.encoding.many([message.encoded(connection.encoding) for message in chosen])
                self._deliver(connection, frame, len(chosen), fault)

    def publish_status(self, symbol: str, body: dict[str, Any], at: datetime) -> None:
        """Tell stock subscribers of a symbol's trading status, which is not counted."""
        status = Message("statuses", symbol, at, body)
        for connection in self._connections:
            if connection.stream == STOCK and connection.wants(status) and not connection.muted:
                connection.push(connection.encoding.many([status.encoded(connection.encoding)]))

    def _deliver(self, connection: Connection, frame: bytes, messages: int, fault: StreamFault | None) -> None:
        """Queue a frame of so many messages, unless a fault says otherwise."""
        do = fault.do if fault else ""
        if fault and do == "delay_next":
            self._later(fault.seconds, partial(self._send, connection, frame, messages))
        elif do == "reorder_next":
            connection.held.append((frame, messages))
        elif do == "garble_next":
            connection.push(frame[: len(frame) // 2])
        elif do != "drop_next":
            if do == "junk_next":
                connection.push(JUNK)
            for _ in range(2 if do == "duplicate_next" else 1):
                self._send(connection, frame, messages)

    def _send(self, connection: Connection, frame: bytes, messages: int) -> None:
        """Queue a frame, and after it those that it was to overtake."""
        if connection not in self._connections:
            return
        overtaken, connection.held = connection.held, []
        for one, count in [(frame, messages), *overtaken]:
            connection.push(one)
            self._count(connection, count)

    def _count(self, connection: Connection, messages: int) -> None:
        if connection.stream == TRADE_UPDATES:
            self._updates[str(connection.account)] += messages
        else:
            self._market[connection.stream] += messages

    # Faults

    def trouble(self, fault: StreamFault) -> int:
        """Let a fault act, now or on what comes; return how many connections are there for it."""
        concerned = [c for c in self._connections if c.stream == fault.stream and fault.account in {None, c.account}]
        if fault.do not in {"mute", "unmute", "close", "error"}:
            self.faults.add(fault)
            return len(concerned)
        for connection in concerned:
            if fault.do in {"mute", "unmute"}:
                connection.muted = fault.do == "mute"
            elif fault.do == "error":
                self._fail(connection, fault.code)
            else:
                self._close(connection, fault.code)
        return len(concerned)

    def _fail(self, connection: Connection, code: int) -> None:
        """Say that something went wrong here, then close."""
        if connection.stream == TRADE_UPDATES:
            connection.say({"action": "error", "data": {"error_message": "internal server error"}})
        else:
            connection.say([{"T": "error", "code": code, "msg": ERRORS.get(code, ERRORS[500])}])
        self._close(connection, WSCloseCode.INTERNAL_ERROR)

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
