"""The control port's endpoints for trouble: faults of requests and streams, prices, accounts and books."""

from decimal import Decimal
from typing import Any

from aiohttp import web

from paper import aim, faults, stream_faults, wire
from paper import control_words as words
from paper.aim import BadFault
from paper.book import Account
from paper.book_faults import BookFaults
from paper.control_words import BadOrder
from paper.door import Door
from paper.gate import Gate, reply
from paper.numbers import cents
from paper.prices import Prices
from paper.world import World

_FLAGS = ("shorting", "trading_blocked", "account_blocked", "suspended_by_user")
_LEVELS = range(4)
_A_DAY_S = 86_400


class Trouble:
    """Endpoints that make the server misbehave. *door* is the one that clients come through."""

    def __init__(self, world: World, gate: Gate, door: Door) -> None:
        self._world = world
        self._gate = gate
        self._door = door
        self._prices = Prices(world)
        self._books = BookFaults(world)

    def routes(self) -> list[web.RouteDef]:
        """All endpoints."""
        return [
            web.get("/faults", self.faults),
            web.post("/faults", self.add_fault),
            web.delete("/faults", self.clear_faults),
            web.post("/streams", self.streams),
            web.delete("/streams", self.clear_streams),
            web.post("/prices", self.price),
            web.get("/accounts", self.accounts),
            web.post("/accounts", self.change_account),
            web.post("/close", self.close),
            web.post("/book", self.change_book),
            web.post("/orders", self.set_order_aside),
            web.get("/unsettled", self.unsettled),
            web.post("/unsettled", self.settle),
            web.post("/assets", self.change_asset),
        ]

    async def faults(self, _request: web.Request) -> web.Response:
        """All faults that were ordered, and how often each has struck."""
        return reply({"faults": self._gate.faults.shown(), "streams": self._world.hub.faults.shown()})

    async def add_fault(self, request: web.Request) -> web.Response:
        order = await words.body(request)
        if order.get("do") == "refuse":
            await self._door.refuse(aim.amount(order, "seconds", 60, 0, _A_DAY_S))
        else:
            self._gate.faults.add(faults.read(order))
        return reply({})

    async def clear_faults(self, _request: web.Request) -> web.Response:
        self._gate.faults.clear()
        await self._door.admit()
        return reply({})

    async def streams(self, request: web.Request) -> web.Response:
        """Trouble on a stream: for one account, or for all without one."""
        fault = stream_faults.read(await words.body(request), self._world.accounts)
        return reply({"connections": self._world.hub.trouble(fault)})

    async def clear_streams(self, _request: web.Request) -> web.Response:
        self._world.hub.faults.clear()
        return reply({})

    async def price(self, request: web.Request) -> web.Response:
        order = await words.body(request)
        self._world.catch_up()
        self._prices.obey(order)
        await self._world.hub.flush()
        return reply({"sent": self._world.hub.sent()})

    async def accounts(self, _request: web.Request) -> web.Response:
        self._world.catch_up()
        return reply({account.name: _shown(account) for account in self._world.accounts.values()})

    async def change_account(self, request: web.Request) -> web.Response:
        """Set an account's cash, option level and restrictions; what is not named stays."""
        order = await words.body(request)
        self._world.catch_up()
        account = words.account(self._world, order)
        changes = _changes(order)
        for name, value in changes.items():
            setattr(account, name, value)
        self._world.account_changed(account, changes)
        return reply(_shown(account))

    async def close(self, request: web.Request) -> web.Response:
        """Close a position behind the client's back."""
        order = await words.body(request)
        self._world.catch_up()
        closing = self._books.close(order)
        await self._world.hub.flush()
        if closing is None:
            return reply({"error": f"{order['account']} holds no {order['symbol']}"}, 404)
        return reply({"order": wire.order(closing)})

    async def change_book(self, request: web.Request) -> web.Response:
        """Change a book without an order: a position appears, changes, is assigned, exercised or expires."""
        order = await words.body(request)
        self._world.catch_up()
        position = self._books.obey(order)
        await self._world.hub.flush()
        return reply({"position": position})

    async def set_order_aside(self, request: web.Request) -> web.Response:
        """Let an open order wait in one of the states that are rare, and then go on."""
        order = await words.body(request)
        self._world.catch_up()
        shown = self._books.set_aside(order)
        await self._world.hub.flush()
        return reply({"order": shown})

    async def unsettled(self, _request: web.Request) -> web.Response:
        """Positions in contracts that have ended while nobody knows how."""
        self._world.catch_up()
        return reply({"unsettled": self._books.unsettled()})

    async def settle(self, request: web.Request) -> web.Response:
        """Tell what a stock closed at on a day, and settle by it; answer with what is still unsettled."""
        order = await words.body(request)
        self._world.catch_up()
        self._books.settle(order)
        return reply({"unsettled": self._books.unsettled()})

    async def change_asset(self, request: web.Request) -> web.Response:
        """Let an asset or a contract take orders, or none."""
        order = await words.body(request)
        symbol, tradable = words.symbol(self._world, order), order.get("tradable")
        if not isinstance(tradable, bool):
            raise BadOrder("tradable must be true or false")
        untradable = self._world.registry.untradable
        (untradable.discard if tradable else untradable.add)(symbol)
        return reply({"symbol": symbol, "tradable": tradable})


def _changes(order: dict[str, Any]) -> dict[str, Decimal | int | bool]:
    """What to set, checked before anything is. Raises: BadOrder."""
    changes: dict[str, Decimal | int | bool] = {}
    if "cash" in order:
        changes["cash"] = words.decimal(order, "cash")
    if "option_level" in order:
        if order["option_level"] not in _LEVELS or isinstance(order["option_level"], bool):
            raise BadOrder("option_level must be 0, 1, 2 or 3")
        changes["option_level"] = int(order["option_level"])
    for name in _FLAGS:
        if name in order:
            if not isinstance(order[name], bool):
                raise BadOrder(f"{name} must be true or false")
            changes[name] = order[name]
    unknown = set(order) - {"account", "cash", "option_level", *_FLAGS}
    if unknown or not changes:
        raise BadFault(f"unknown {sorted(unknown)}" if unknown else "nothing to change")
    return changes


def _shown(account: Account) -> dict[str, Any]:
    levels = {"cash": cents(account.cash), "option_level": account.option_level}
    return levels | {name: getattr(account, name) for name in _FLAGS}
