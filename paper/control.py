"""The control port: the clock, the fills, quotes made by hand, the journal, and all the trouble of `control_trouble`.

Not a part of Alpaca. It listens on a port of its own, answers JSON, and is never limited or hurt by faults.
"""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from paper import control_words as words
from paper import times
from paper.aim import BadFault
from paper.control_trouble import Trouble
from paper.control_words import BadOrder
from paper.door import Door
from paper.gate import Gate, reply
from paper.market import GREEKS
from paper.numbers import number
from paper.options import FASTEST
from paper.prices import Prices
from paper.world import World

#: What `fills` calls them, and what they are called on the exchange.
_DELAYS = {"delay_s": "delay", "replace_delay_s": "replace_delay", "cancel_delay_s": "cancel_delay"}
#: A fill may be delayed by a day at most.
_LONGEST_DELAY_S = 86_400


class Control:
    """The endpoints of the control port; *door* is the clients' one.

    *settle* keeps what changed and tells the pacer that the clock or its queue may be another.
    """

    def __init__(self, world: World, gate: Gate, door: Door, settle: Callable[[], None]) -> None:
        self._world = world
        self._gate = gate
        self._settle = settle
        self._trouble = Trouble(world, gate, door)
        self._prices = Prices(world)

    def app(self) -> web.Application:
        """The application that serves the control port."""
        app = web.Application(middlewares=[self._attend()])
        app.add_routes(
            [
                web.get("/clock", self.clock),
                web.post("/clock", self.move_clock),
                web.get("/idle", self.idle),
                web.post("/fills", self.fills),
                web.post("/quotes", self.quote),
                web.post("/greeks", self.greeks),
                web.get("/journal", self.journal),
                *self._trouble.routes(),
            ]
        )
        return app

    def _attend(self) -> Middleware:
        """Answer senseless orders with a reason, and settle after the others."""

        @web.middleware
        async def attend(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                response = await handler(request)
            except (BadOrder, BadFault) as error:
                return reply({"error": str(error)}, 400)
            except web.HTTPException as error:
                return reply({"error": error.reason}, error.status)
            if request.method != "GET":
                self._settle()
            return response

        return attend

    # The clock

    async def clock(self, _request: web.Request) -> web.Response:
        self._world.catch_up()
        return reply(self._clock() | {"speed": self._world.timeline.speed})

    async def move_clock(self, request: web.Request) -> web.Response:
        order = await words.body(request)
        timeline = self._world.timeline
        self._world.catch_up()
        to, speed = words.instant(order, "to"), order.get("speed")
        if to is None and speed is None:
            raise BadOrder("to or speed is required")
        if to is not None:
            if to < timeline.now:
                raise BadOrder(f"time does not go back: it is {times.iso(timeline.now)}")
            timeline.jump(to)
        if speed is not None:
            timeline.run_at(words.amount(order, "speed", FASTEST))
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
                "listening": self._world.hub.listening(),
            }
        )

    # The market and the book

    async def fills(self, request: web.Request) -> web.Response:
        """Hold or release fills, delay them, and let replacements and cancels stay pending."""
        order, exchange = await words.body(request), self._world.exchange
        self._world.catch_up()
        for name, delay in _DELAYS.items():
            if name in order:
                setattr(exchange, delay, timedelta(seconds=words.amount(order, name, _LONGEST_DELAY_S)))
        if "hold" in order:
            if not isinstance(order["hold"], bool):
                raise BadOrder("hold must be true or false")
            exchange.hold_fills(order["hold"])
        await self._world.hub.flush()
        delays = {name: getattr(exchange, delay).total_seconds() for name, delay in _DELAYS.items()}
        return reply({"hold": exchange.holding} | delays)

    async def quote(self, request: web.Request) -> web.Response:
        """Show a quote now; a side that is null is missing."""
        order = await words.body(request)
        self._world.catch_up()
        self._prices.show(
            words.symbol(self._world, order),
            (_side(order, "bid"), _side(order, "ask")),
            (_side(order, "bid_size"), _side(order, "ask_size")),
        )
        await self._world.hub.flush()
        return reply(self._clock() | {"sent": self._world.hub.sent()})

    async def greeks(self, request: web.Request) -> web.Response:
        """Let a contract's snapshots carry Greeks from now on; those that are not named are left out."""
        order = await words.body(request)
        symbol = words.symbol(self._world, order)
        told = {name: float(words.decimal(order, name)) for name in GREEKS if order.get(name) is not None}
        self._world.market.greeks[symbol] = told
        return reply({"symbol": symbol, "greeks": told})

    # The journal

    async def journal(self, request: web.Request) -> web.Response:
        after = number(request.query.get("after", "0"))
        if after is None:
            raise BadOrder("after must be a number")
        lines = ",".join(self._world.journal.since(int(after)))
        return web.Response(text=f'{{"entries":[{lines}]}}', content_type="application/json")


def _side(order: dict[str, Any], name: str) -> Decimal | None:
    return words.positive(order, name) if order.get(name) is not None else None
