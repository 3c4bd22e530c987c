"""One websocket, kept open in a thread of its own, whatever happens to it.

Everything that is read goes to the handlers, which run in this thread, one call per frame, in order. A frame that
cannot be read is handed over as it came, and the connection lives on. A handler that fails otherwise (the queue
behind it is down) ends the connection: what it could not take is fetched by the catch-up that every new connection
asks for.

An open socket may be mute, so a connection is replaced when it is *recycle_s* old, and one from which frames are
expected when it said nothing for *quiet_s* (twice as long after each silence, up to *recycle_s*: a closed market is
silent too).
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Protocol

from alpaca.common.utils import reconnect_delay

from brokerage.port import NotAuthorized

log = logging.getLogger(__name__)

OPEN_TIMEOUT_S: Final = 10.0
#: A connection that lived this long ended by bad luck, not by refusal: the next try comes at once.
STABLE_S: Final = 10.0
#: How long a goodbye may take; ``stop`` promises a second.
CLOSE_TIMEOUT_S: Final = 0.4
_CANCEL_AGAIN_S: Final = 0.1


class Unreadable(Exception):
    """A frame is not what we know; it goes to ``on_unreadable`` and the connection stays."""


class Socket(Protocol):
    """One connection after another to the same endpoint, as the same listener."""

    @property
    def is_ready(self) -> bool:
        """Did the server confirm that we will be told what we came for?"""
        ...

    @property
    def is_expecting(self) -> bool:
        """Is there something subscribed that should not be silent for long?"""
        ...

    async def open(self) -> None:
        """Connect and authenticate; NotAuthorized when the keys are refused."""
        ...

    async def recv(self) -> bytes | str: ...

    async def close(self) -> None: ...

    def decode(self, raw: bytes | str) -> Any:
        """Parse a frame and take notice of what it says about the connection itself."""
        ...


@dataclass(frozen=True, slots=True)
class Frame:
    """What came in one websocket message; *read_at* is the wall clock."""

    raw: bytes
    body: Any
    read_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Handlers:
    """Called in the feed's thread.

    ``on_frame`` says whether the frame carried data, and may raise Unreadable. ``on_trouble`` gets what a person
    should know and must not raise.
    """

    on_frame: Callable[[Frame], bool]
    on_connected: Callable[[], None]
    on_unreadable: Callable[[bytes, str], None]
    on_trouble: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Liveness:
    """When a connection is replaced though nobody closed it; None is never (a recorded day must not lose a frame)."""

    recycle_s: float | None
    quiet_s: float | None
    backoff_s: float = 0.5
    max_backoff_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedStatus:
    """What health asks of a feed: *frames* are those with data, *refused* means that the keys are not accepted."""

    connected: bool
    connections: int
    frames: int
    last_frame_at: datetime | None
    refused: bool


NEVER_CONNECTED: Final = FeedStatus(connected=False, connections=0, frames=0, last_frame_at=None, refused=False)


class FeedThread:
    """Keeps *socket* open and hands its frames to *handlers*; *wall* is read once per frame."""

    def __init__(
        self, name: str, socket: Socket, handlers: Handlers, wall: Callable[[], datetime], liveness: Liveness
    ) -> None:
        self.name = name
        self._socket, self._handlers, self._wall, self._liveness = socket, handlers, wall, liveness
        self._quiet_s = liveness.quiet_s
        self._heard_at = 0.0
        self._stopping = False
        self._status = NEVER_CONNECTED
        self._connected = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._main, name=f"feed {name}", daemon=True)
        self._started = threading.Event()

    def start(self) -> None:
        self._thread.start()
        self._started.wait()

    def stop(self, timeout_s: float = 1.0) -> bool:
        """End the connection and the thread; False when a handler still keeps it busy after *timeout_s*."""
        self._stopping = True
        until = time.monotonic() + timeout_s
        while self._thread.is_alive() and time.monotonic() < until:
            # Again and again: websockets.legacy swallows a cancellation that comes while it says goodbye.
            self.call(lambda: self._task and self._task.cancel())
            self._thread.join(_CANCEL_AGAIN_S)
        return not self._thread.is_alive()

    def wait_connected(self, timeout_s: float) -> bool:
        return self._connected.wait(timeout_s)

    @property
    def status(self) -> FeedStatus:
        return self._status

    def call(self, action: Callable[[], Any]) -> None:
        """Run *action* in the feed's loop, soon; a feed that has ended ignores it."""
        if self._loop is not None and self._thread.is_alive():
            with suppress(RuntimeError):  # the loop may close between the question and the call
                self._loop.call_soon_threadsafe(action)

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except asyncio.CancelledError:
            log.debug("feed %s stopped", self.name)
        finally:
            self._started.set()

    async def _run(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._started.set()
        failures = 0
        while not self._stopping:
            opened_at = self._loop.time()
            planned = await self._one_connection()
            lived = self._loop.time() - opened_at >= STABLE_S
            failures = 0 if planned or lived else failures + 1
            if failures:
                await asyncio.sleep(reconnect_delay(failures, self._liveness.backoff_s, self._liveness.max_backoff_s))

    async def _one_connection(self) -> bool:
        """Live through one connection; True when we ended it ourselves, as planned."""
        try:
            await self._open()
            return await self._read()
        except NotAuthorized as e:
            self._status = replace(self._status, refused=True)
            self._handlers.on_trouble(f"the keys are refused: {e}")
        except Exception as e:  # noqa: BLE001 - whatever ends a connection, the next one must be tried
            log.warning("feed %s lost its connection: %r", self.name, e)
            self._handlers.on_trouble(f"connection lost: {e!r}")
        finally:
            self._connected.clear()
            self._status = replace(self._status, connected=False)
            await self._goodbye()
        return False

    async def _open(self) -> None:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            await self._socket.open()
            while not self._socket.is_ready:
                self._take(await self._socket.recv())
        connections = self._status.connections + 1
        self._status = replace(self._status, connected=True, refused=False, connections=connections)
        self._connected.set()
        self._handlers.on_connected()

    async def _read(self) -> bool:
        """Read until the connection is due for replacement (then True) or ends with an exception."""
        now = asyncio.get_running_loop().time
        recycle_at = math.inf if self._liveness.recycle_s is None else now() + self._liveness.recycle_s
        self._heard_at = now()
        try:
            async with asyncio.timeout_at(min(recycle_at, self._quiet_at())) as patience:
                while True:
                    if self._take(await self._socket.recv()):
                        self._heard_at, self._quiet_s = now(), self._liveness.quiet_s
                    patience.reschedule(min(recycle_at, self._quiet_at()))
        except TimeoutError:
            if not patience.expired():
                raise
        self._be_more_patient(now() >= recycle_at)
        return True

    def _quiet_at(self) -> float:
        """The loop time at which this connection has been silent for too long."""
        return math.inf if self._quiet_s is None or not self._socket.is_expecting else self._heard_at + self._quiet_s

    def _be_more_patient(self, recycled: bool) -> None:
        if recycled or self._quiet_s is None:
            return
        self._handlers.on_trouble(f"silent for {self._quiet_s:.0f} s: replaced")
        self._quiet_s = min(self._quiet_s * 2, self._liveness.recycle_s or math.inf)

    def _take(self, raw: bytes | str) -> bool:
        """Hand over one frame and say whether it carried data."""
        read_at = self._wall()
        as_bytes = raw.encode() if isinstance(raw, str) else raw
        try:
            carried = self._handlers.on_frame(Frame(as_bytes, self._decoded(raw), read_at))
        except Unreadable as e:
            self._handlers.on_unreadable(as_bytes, str(e))
            return False
        if carried:
            self._status = replace(self._status, frames=self._status.frames + 1, last_frame_at=read_at)
        return carried

    def _decoded(self, raw: bytes | str) -> Any:
        try:
            return self._socket.decode(raw)
        except Exception as e:
            raise Unreadable(repr(e)) from e

    async def _goodbye(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._socket.close()
        except Exception as e:  # noqa: BLE001 - it is gone either way
            log.debug("feed %s: goodbye failed: %r", self.name, e)
