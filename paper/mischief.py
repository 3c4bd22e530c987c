"""Faults that happen to an order after its request was answered as ever: races, and refusals that come late."""

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import partial

from aiohttp import web

from paper.book import Account
from paper.faults import Fault
from paper.order import Order
from paper.world import World

Serve = Callable[[], Awaitable[web.Response]]


class Mischief:
    """What becomes of the orders of requests that a fault hit. Times are the clock's."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def play(self, fault: Fault, account: Account | None, order_id: str, serve: Serve) -> web.Response:
        """Answer the request, and let its order have its trouble *seconds* later."""
        order = account.orders.get(order_id) if account is not None else None
        if fault.do == "fill_after_cancel":
            return self._promise_to_cancel(order, fault) if order is not None and order.is_open else await serve()
        exchange = self._world.exchange
        held, exchange.holding = exchange.holding, True
        try:
            response = await serve()
        finally:
            exchange.holding = held
        made = _made(account, response)
        if made is not None:
            exchange.parked.add(made.id)
            end = self._fill if fault.do == "reply_first" else self._reject
            self._world.later(fault.seconds, partial(end, made))
        return response

    def _promise_to_cancel(self, order: Order, fault: Fault) -> web.Response:
        order.cancel_requested_at = self._world.timeline.now
        self._world.exchange.parked.add(order.id)
        self._world.later(fault.seconds, partial(self._fill_anyway, order))
        return web.Response(status=204)

    def _fill(self, order: Order) -> None:
        self._world.exchange.release(order.id)

    def _reject(self, order: Order) -> None:
        self._world.exchange.parked.discard(order.id)
        if order.is_open:
            self._world.exchange.reject(order)

    def _fill_anyway(self, order: Order) -> None:
        """The fill that won the race against the cancel: at the limit, or where the market is."""
        self._world.exchange.parked.discard(order.id)
        price = order.limit_price or self._far_side(order)
        if order.is_open and price is not None:
            self._world.exchange.fill_at(order, price)

    def _far_side(self, order: Order) -> Decimal | None:
        quote = self._world.market.quotes.get(order.symbol)
        if quote is None:
            return None
        return quote.ask if order.side == "buy" else quote.bid


def _made(account: Account | None, response: web.Response) -> Order | None:
    """The order that a request made, found by the answer's id."""
    if account is None or response.status != 200 or not isinstance(response.body, bytes):
        return None
    shown = json.loads(response.body)
    return account.orders.get(str(shown.get("id"))) if isinstance(shown, dict) else None
