"""The control port: the clock, the fills, quotes made by hand, faults, and the journal.

Not a part of Alpaca. It listens on a port of its own, answers JSON, and is never limited or hurt by faults.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from paper import faults, stream_faults, times, wire
from paper.aim import BadFault
from paper.gate import Gate, reply
from paper.numbers import is_whole, number, plain
from paper.options import FASTEST
from paper.world import World

#: A fill may be delayed by a day at most.
_LONGEST_DELAY_S = 86_400


class BadOrder(Exception):
    """Raised when a request to the control port makes no sense."""


class Control:
    """The endpoints of the control port. *wake* tells the pacer that the clock or its queue has changed."""

    def __init__(self, world: World, gate: Gate, wake: Callable[[], None]) -> None:
        self._world = world
        self._gate = gate
        self._wake = wake

    def app(self) -> web.Application:
        """The application that serves the control port."""
        app = web.Application(middlewares=[_explain])
        app.add_routes(
            [
                web.get("/clock", self.clock),
                web.post("/clock", self.move_clock),
                web.get("/idle", self.idle),
                web.post("/fills", self.fills),
                web.post("/quotes", self.quote),
                web.post("/close", self.close),
                web.post("/faults", self.add_fault),
                web.delete("/faults", self.clear_faults),
                web.post("/streams", self.streams),
                web.get("/journal", self.journal),
            ]
        )
        return app

    # The clock

    async def clock(self, _request: web.Request) -> web.Response:
        self._world.catch_up()
        return reply(self._clock() | {"speed": self._world.timeline.speed})

    async def move_clock(self, request: web.Request) -> web.Response:
        order = await _object(request)
        timeline = self._world.timeline
        self._world.catch_up()
        to, speed = _instant(order, "to"), order.get("speed")
        if to is None and speed is None:
            raise BadOrder("to or speed is required")
        if to is not None:
            if to < timeline.now:
                raise BadOrder(f"time does not go back: it is {times.iso(timeline.now)}")
            timeline.jump(to)
        if speed is not None:
            timeline.run_at(_amount(order, "speed", FASTEST))
        self._wake()
        await self._world.hub.flush()
        return reply(self._clock() | {"speed": timeline.speed, "sent": self._world.hub.sent()})

    def _clock(self) -> dict[str, Any]:
        following = self._world.timeline.next_at()
        return {"at": times.iso(self._world.timeline.now), "next_event": times.iso(following) if following else None}

    async def idle(self, _request: web.Request) -> web.Response:
        self._world.catch_up()
        in_flight, unwritten = self._gate.in_flight, self._world.hub.unwritten
        return reply(
            {
                "idle": not in_flight and not unwritten,
                "at": times.iso(self._world.timeline.now),
                "requests": self._gate.requests,
                "in_flight": in_flight,
                "sent": self._world.hub.sent(),
            }
        )

    # The market and the book

    async def fills(self, request: web.Request) -> web.Response:
        """Hold or release fills, delay them."""
        order, exchange = await _object(request), self._world.exchange
        self._world.catch_up()
        if "delay_s" in order:
            exchange.delay = timedelta(seconds=_amount(order, "delay_s", _LONGEST_DELAY_S))
        if "hold" in order:
            if not isinstance(order["hold"], bool):
                raise BadOrder("hold must be true or false")
            exchange.hold_fills(order["hold"])
        self._wake()
        await self._world.hub.flush()
        return reply({"hold": exchange.holding, "delay_s": exchange.delay.total_seconds()})

    async def quote(self, request: web.Request) -> web.Response:
        """Show a quote now; a side that is null is missing."""
        order = await _object(request)
        self._world.catch_up()
        symbol = _known_symbol(self._world, order)
        row = (symbol, *(_side(order, name) for name in ("bid", "ask")), *_sizes(order))
        self._world.show([(row[0], row[1], row[2], row[3], row[4])], [])
        self._wake()
        await self._world.hub.flush()
        return reply(self._clock() | {"sent": self._world.hub.sent()})

    async def close(self, request: web.Request) -> web.Response:
        """Close a position behind the client's back."""
        order = await _object(request)
        self._world.catch_up()
        account, symbol = order.get("account"), _known_symbol(self._world, order)
        if account not in self._world.accounts:
            raise BadOrder(f"unknown account {account!r}")
        qty = _positive(order, "qty")
        if not is_whole(qty):
            raise BadOrder("qty must be whole")
        closing = self._world.close_behind(account, symbol, qty)
        self._wake()
        await self._world.hub.flush()
        if closing is None:
            return reply({"error": f"{account} holds no {symbol}"}, 404)
        return reply({"order": wire.order(closing)})

    # Faults and the journal

    async def add_fault(self, request: web.Request) -> web.Response:
        self._gate.faults.add(faults.read(await _object(request)))
        return reply({})

    async def clear_faults(self, _request: web.Request) -> web.Response:
        self._gate.faults.clear()
        return reply({})

    async def streams(self, request: web.Request) -> web.Response:
        """Trouble on a stream: for one account, or for all without one."""
        order = await _object(request)
        return reply({"connections": self._world.hub.trouble(stream_faults.read(order, self._world.accounts))})

    async def journal(self, request: web.Request) -> web.Response:
        after = number(request.query.get("after", "0"))
        if after is None:
            raise BadOrder("after must be a number")
        entries = self._world.journal.since(int(after))
        return web.Response(text=json.dumps({"entries": entries}, default=str), content_type="application/json")


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (BadOrder, BadFault) as error:
        return reply({"error": str(error)}, 400)
    except web.HTTPException as error:
        return reply({"error": error.reason}, error.status)


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        order = json.loads(await request.read(), parse_float=Decimal)
    except (ValueError, RecursionError):
        raise BadOrder("the body is no JSON") from None
    if not isinstance(order, dict):
        raise BadOrder("the body is no JSON object")
    return order


def _instant(order: dict[str, Any], name: str) -> datetime | None:
    given = order.get(name)
    if given is None:
        return None
    try:
        at = times.parse(str(given))
    except (ValueError, OverflowError):
        raise BadOrder(f"{name} must be an ISO time, not {given!r}") from None
    if at.year > times.LAST_YEAR:
        raise BadOrder(f"{name} is beyond the year {times.LAST_YEAR}")
    return at


def _positive(order: dict[str, Any], name: str) -> Decimal:
    value = number(order.get(name))
    if value is None or value <= 0:
        raise BadOrder(f"{name} must be a positive number")
    return value


def _amount(order: dict[str, Any], name: str, most: int) -> float:
    value = number(order.get(name))
    if value is None or not 0 <= value <= most:
        raise BadOrder(f"{name} must be a number from 0 to {most}")
    return float(value)


def _known_symbol(world: World, order: dict[str, Any]) -> str:
    found = world.registry.find(str(order.get("symbol")))
    if found is None:
        raise BadOrder(f"unknown symbol {order.get('symbol')!r}")
    return found.symbol


def _side(order: dict[str, Any], name: str) -> str:
    return plain(_positive(order, name)) if order.get(name) is not None else ""


def _sizes(order: dict[str, Any]) -> tuple[str, str]:
    """Sizes as text, 10 unless given; none where there is no price."""
    given = {side: str(int(_positive({"n": order.get(f"{side}_size") or 10}, "n"))) for side in ("bid", "ask")}
    return (
        given["bid"] if order.get("bid") is not None else "",
        given["ask"] if order.get("ask") is not None else "",
    )
