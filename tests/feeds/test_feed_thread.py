"""A feed on a hostile wire: nothing is lost in silence, and it always comes back."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgpack
import pytest
from aiohttp import WSMsgType, web

from brokerage.alpaca_feeds import option_feed, trade_feed
from brokerage.endpoints import Keys, on_one_port
from brokerage.feed_thread import FeedThread, Handlers, Liveness, Unreadable

KEYS = Keys("large", "paper")
STEADY = Liveness(recycle_s=None, quiet_s=None, backoff_s=0.05, max_backoff_s=0.1)
WAIT_S = 3.0


def eventually(said: Callable[[], Any]) -> Any:
    """Wait until it is true."""
    until = time.monotonic() + WAIT_S
    while not (found := said()) and time.monotonic() < until:
        time.sleep(0.01)
    return found


@dataclass
class Server:
    """Speaks both protocols, and misbehaves as told."""

    url: str = ""
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    refuse_handshakes: int = 0
    accept_keys: bool = True
    subscribed: list[dict[str, Any]] = field(default_factory=list)
    confirm: bool = True

    async def trades(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_handshakes:
            self.refuse_handshakes -= 1
            return web.Response(status=429)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for frame in socket:
            message = json.loads(frame.data)
            if message["action"] == "listen":
                self.sockets.append(socket)
                await socket.send_bytes(json.dumps({"stream": "listening", "data": message["data"]}).encode())
            else:
                status = "authorized" if self.accept_keys else "unauthorized"
                await socket.send_bytes(json.dumps({"stream": "authorization", "data": {"status": status}}).encode())
        return socket

    async def quotes(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_bytes(msgpack.packb([{"T": "success", "msg": "connected"}]))
        held: set[str] = set()
        async for frame in socket:
            if frame.type is not WSMsgType.BINARY:
                break
            message = msgpack.unpackb(frame.data)
            if message["action"] == "auth":
                self.sockets.append(socket)
                good = {"T": "success", "msg": "authenticated"}
                bad = {"T": "error", "code": 402, "msg": "auth failed"}
                await socket.send_bytes(msgpack.packb([good if self.accept_keys else bad]))
                continue
            self.subscribed.append(message)
            told = set(message["quotes"])
            held = held | told if message["action"] == "subscribe" else held - told
            if self.confirm:
                await socket.send_bytes(msgpack.packb([{"T": "subscription", "quotes": sorted(held)}]))
        return socket

    def do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(WAIT_S)

    def send(self, raw: bytes) -> None:
        self.do(self.sockets[-1].send_bytes(raw))

    def cut(self) -> None:
        async def abort() -> None:
            self.sockets[-1]._writer.transport.abort()

        self.do(abort())


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()
    app = web.Application()
    app.router.add_get("/stream", told.trades)
    app.router.add_get("/v1beta1/indicative", told.quotes)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    told.loop.run_until_complete(runner.setup())
    told.loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
    host, port = runner.addresses[0][:2]
    told.url = f"http://{host}:{port}"
    thread = threading.Thread(target=told.loop.run_forever)
    thread.start()
    yield told
    told.do(runner.cleanup())
    told.loop.call_soon_threadsafe(told.loop.stop)
    thread.join(WAIT_S)
    told.loop.close()


@dataclass
class Log:
    """What the handlers were told."""

    bodies: list[Any] = field(default_factory=list)
    connections: int = 0
    unreadable: list[tuple[bytes, str]] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def on_frame(self, frame: Any) -> bool:
        if self.failures:
            raise self.failures.pop()
        is_data = "data" in str(frame.body)
        if is_data and "authorization" not in str(frame.body) and "listening" not in str(frame.body):
            self.bodies.append(frame.body)
            return True
        return False

    def on_connected(self) -> None:
        self.connections += 1

    def handlers(self) -> Handlers:
        return Handlers(
            on_frame=self.on_frame,
            on_connected=self.on_connected,
            on_unreadable=lambda raw, error: self.unreadable.append((raw, error)),
            on_trouble=self.trouble.append,
        )


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def running() -> Iterator[Callable[[FeedThread], FeedThread]]:
    """Start a feed; it is stopped at the end, within a second."""
    started: list[FeedThread] = []

    def run(feed: FeedThread) -> FeedThread:
        feed.start()
        started.append(feed)
        return feed

    yield run
    for feed in started:
        assert feed.stop()


def now() -> datetime:
    return datetime.now(UTC)


def trades(server: Server, log: Log, liveness: Liveness = STEADY) -> FeedThread:
    return trade_feed("trades", KEYS, on_one_port(server.url), log.handlers(), now, liveness)


def quotes(server: Server, log: Log, liveness: Liveness = STEADY) -> Any:
    return option_feed(KEYS, on_one_port(server.url), log.handlers(), now, liveness)


def an_update(n: int) -> bytes:
    return json.dumps({"stream": "trade_updates", "data": {"n": n}}).encode()


def test_every_frame_is_handed_over_in_order(server, log, running):
    """Binary frames of JSON, one call each."""
    feed = running(trades(server, log))
    assert feed.wait_connected(WAIT_S)
    for n in range(5):
        server.send(an_update(n))

    assert eventually(lambda: len(log.bodies) == 5)
    assert [0, 1, 2, 3, 4] == [body["data"]["n"] for body in log.bodies]
    assert 5 == feed.status.frames


def test_a_junk_frame_is_buried_and_the_connection_lives(server, log, running):
    """The frame is handed over as it came, and the next one is read on the same connection."""
    feed = running(trades(server, log))
    assert feed.wait_connected(WAIT_S)
    server.send(b"\xff{junk")
    server.send(an_update(1))

    assert eventually(lambda: log.bodies)
    assert [b"\xff{junk"] == [raw for raw, _ in log.unreadable]
    assert 1 == log.connections


def test_a_frame_that_the_handler_cannot_read_is_buried(server, log, running):
    """Unreadable is an answer, not an end."""
    feed = running(trades(server, log))
    assert feed.wait_connected(WAIT_S)
    log.failures.append(Unreadable("an event of next year"))
    server.send(an_update(1))
    server.send(an_update(2))

    assert eventually(lambda: log.bodies)
    assert [(an_update(1), "an event of next year")] == log.unreadable
    assert (1, [2]) == (log.connections, [body["data"]["n"] for body in log.bodies])


def test_a_handler_that_cannot_take_a_frame_costs_the_connection(server, log, running):
    """The queue is down: the new connection asks for a catch-up, which fetches what was not taken."""
    feed = running(trades(server, log))
    assert feed.wait_connected(WAIT_S)
    log.failures.append(OSError("no queue"))
    server.send(an_update(1))

    assert eventually(lambda: log.connections == 2)
    assert any("no queue" in trouble for trouble in log.trouble)


def test_a_cut_connection_is_made_again_and_told(server, log, running):
    """Each connection is announced, so that each is caught up."""
    feed = running(trades(server, log))
    assert feed.wait_connected(WAIT_S)
    server.cut()

    assert eventually(lambda: log.connections == 2)
    server.send(an_update(1))
    assert eventually(lambda: log.bodies)


def test_refused_handshakes_are_tried_again(server, log, running):
    """429 while the old connection is still counted: the feed comes up when it is reaped."""
    server.refuse_handshakes = 3
    feed = running(trades(server, log))

    assert feed.wait_connected(WAIT_S)
    assert (1, 3) == (log.connections, len(log.trouble))


@pytest.mark.parametrize("feed_of", [trades, quotes])
def test_refused_keys_are_said_and_not_given_up(server, log, running, feed_of):
    """A person must act; when they have, the feed comes up by itself."""
    server.accept_keys = False
    feed = running(feed_of(server, log))
    assert eventually(lambda: feed.status.refused)
    assert "the keys are refused" in log.trouble[0]

    server.accept_keys = True

    assert feed.wait_connected(WAIT_S)
    assert eventually(lambda: not feed.status.refused)


def test_a_server_that_is_away_is_waited_for(log, running):
    """Nobody listens on the port: the feed keeps trying and can still be stopped."""
    feed = running(trades(Server(url="http://127.0.0.1:1"), log))

    assert eventually(lambda: len(log.trouble) >= 2)
    assert not feed.status.connected


def test_an_old_connection_is_replaced(server, log, running):
    """A mute socket looks alive: none gets older than recycle_s, and the change is no trouble."""
    running(trades(server, log, Liveness(recycle_s=0.1, quiet_s=None, backoff_s=0.05)))

    assert eventually(lambda: log.connections >= 3)
    assert [] == log.trouble


def test_a_silent_price_feed_is_replaced_with_growing_patience(server, log, running):
    """With something subscribed and no data: after 0.1 s, 0.2 s, 0.4 s; a closed market must not become a storm."""
    feed = running(quotes(server, log, Liveness(recycle_s=60, quiet_s=0.1, backoff_s=0.05)))
    feed.want(frozenset({"A"}))
    began = time.monotonic()

    assert eventually(lambda: len(log.trouble) == 3)
    assert time.monotonic() - began >= 0.7
    assert all("silent" in trouble for trouble in log.trouble)


def test_a_price_feed_without_subscriptions_may_be_silent(server, log, running):
    """There is nothing that it could say."""
    feed = running(quotes(server, log, Liveness(recycle_s=None, quiet_s=0.05)))
    assert feed.wait_connected(WAIT_S)
    time.sleep(0.2)

    assert (1, []) == (log.connections, log.trouble)


def test_subscriptions_change_while_it_runs(server, log, running):
    """From another thread; true only when the server confirmed exactly that."""
    feed = running(quotes(server, log))
    assert feed.wait_connected(WAIT_S)

    for wanted in ({"A", "B"}, {"B", "C"}, set(), {"D"}):
        assert feed.want(frozenset(wanted))
        assert feed.wait_confirmed(WAIT_S)
    assert not feed.want(frozenset({"D"}))

    assert [("subscribe", ["A", "B"]), ("subscribe", ["B", "C"]), ("unsubscribe", ["A"])] == [
        (said["action"], said["quotes"]) for said in server.subscribed[:3]
    ]


def test_an_unconfirmed_subscription_is_not_taken_for_granted(server, log, running):
    """The wait is bounded and says no."""
    server.confirm = False
    feed = running(quotes(server, log))
    assert feed.wait_connected(WAIT_S)
    feed.want(frozenset({"A"}))

    assert not feed.wait_confirmed(0.1)


def test_subscriptions_outlive_the_connection(server, log, running):
    """What was wanted is asked for again by itself."""
    feed = running(quotes(server, log))
    feed.want(frozenset({"A"}))
    assert feed.wait_confirmed(WAIT_S)
    server.cut()

    assert eventually(lambda: log.connections == 2)
    assert feed.wait_confirmed(WAIT_S)
    assert 2 == len(server.sockets)


def test_a_feed_stops_within_a_second(server, log):
    """While it reads, and while it waits to try again."""
    reading, waiting = trades(server, log), trades(Server(url="http://127.0.0.1:1"), log)
    for feed in (reading, waiting):
        feed.start()
    assert reading.wait_connected(WAIT_S)
    began = time.monotonic()

    assert [True, True] == [reading.stop(), waiting.stop()]
    assert time.monotonic() - began < 1


def test_a_feed_stops_at_whatever_moment(server, log):
    """Connecting, reading or saying goodbye: a cancellation that the library swallows is said again."""
    stopped = []
    for n in range(25):
        feed = trades(server, log, Liveness(recycle_s=0.005, quiet_s=None, backoff_s=0.01))
        feed.start()
        assert feed.wait_connected(WAIT_S)
        time.sleep(n * 0.0007)
        stopped.append(feed.stop())

    assert [True] * 25 == stopped
