"""A server whose every answer the test dictates: for faults on the wire that no honest server commits."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from brokerage.alpaca_rest import AlpacaBrokerage
from brokerage.budget import RateBudget
from brokerage.endpoints import Keys, on_one_port

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
TIMEOUT_S = 0.4


@dataclass
class Seen:
    """One request as it came over the wire."""

    method: str
    path: str
    query: dict[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


@dataclass
class Wire:
    """Answers each (method, path) with what was told, in turn; the last one stays."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    answers: dict[tuple[str, str], deque[Answer]] = field(default_factory=lambda: defaultdict(deque))

    def say(self, method: str, path: str, *answers: Answer) -> None:
        self.answers[method, path].extend(answers)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(Seen(request.method, request.path, dict(request.query), await request.text()))
        told = self.answers[request.method, request.path]
        if not told:
            return web.json_response({"code": 40410000, "message": "endpoint not found"}, status=404)
        return await (told.popleft() if len(told) > 1 else told[0])(request)


def reply(body: Any, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=body if isinstance(body, str) else json.dumps(body), status=status)

    return answer


async def reset(request: web.Request) -> web.StreamResponse:
    """Read everything, then cut the connection without a word."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def hang(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(TIMEOUT_S * 3)
    return web.Response()


@pytest.fixture
def faults() -> dict[str, Answer]:
    """The ways to get no clear answer."""
    return {
        "reset": reset,
        "hang": hang,
        "html 502": reply("<html><h1>502 Bad Gateway</h1></html>", 502),
        "504": reply("upstream request timeout", 504),
        "500": reply({"code": 50010000, "message": "internal server error occurred"}, 500),
        "junk": reply("<html>all is well</html>", 200),
        "gateway 404": reply("<html>404</html>", 404),
    }


@pytest.fixture
def say() -> Callable[..., Answer]:
    return reply


@pytest.fixture
def wire() -> Iterator[Wire]:
    told = Wire()
    loop = asyncio.new_event_loop()
    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", told.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    loop.run_until_complete(runner.setup())
    site = web.TCPSite(runner, "127.0.0.1", 0)
    loop.run_until_complete(site.start())
    host, port = runner.addresses[0][:2]
    told.url = f"http://{host}:{port}"
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield told
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


@pytest.fixture
def at() -> Iterator[Callable[[str], AlpacaBrokerage]]:
    """Open a brokerage at a URL; it is closed when the test ends."""
    opened = []

    def open_at(url: str) -> AlpacaBrokerage:
        opened.append(AlpacaBrokerage(Keys("large", "paper"), on_one_port(url), TIMEOUT_S, RateBudget().entries))
        return opened[-1]

    yield open_at
    for brokerage in opened:
        brokerage.close()


@pytest.fixture
def alpaca(wire: Wire, at: Callable[[str], AlpacaBrokerage]) -> AlpacaBrokerage:
    return at(wire.url)
