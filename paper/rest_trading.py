"""The trading API's endpoints for orders, positions, activities and the account."""

from collections.abc import Callable
from decimal import Decimal

from aiohttp import web

from paper import configuration, fractions, replacing, tickets, wire, wire_reference
from paper.book import Account, Position
from paper.errors import ApiError, invalid, not_found
from paper.gate import account_of, body_of, reply
from paper.instruments import Contract, Stock
from paper.order import Order
from paper.query import Query
from paper.tickets import Ticket
from paper.world import World

_LIST_DEFAULT, _LIST_MOST = 50, 500
_WHOLE = Decimal(1)
_DIRECTIONS = ("desc", "asc")


class TradingApi:
    """Endpoints that read and change an account's book."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        """All endpoints."""
        return [
            web.get("/v2/account", self.account),
            web.get("/v2/account/configurations", self.configuration),
            web.patch("/v2/account/configurations", self.configure),
            web.post("/v2/orders", self.submit),
            web.get("/v2/orders", self.orders),
            web.delete("/v2/orders", self.cancel_all),
            web.get("/v2/orders:by_client_order_id", self.order_by_client_id),
            web.get("/v2/orders/{id}", self.order),
            web.patch("/v2/orders/{id}", self.replace),
            web.delete("/v2/orders/{id}", self.cancel),
            web.get("/v2/positions", self.positions),
            web.delete("/v2/positions", self.close_all),
            web.get("/v2/positions/{symbol}", self.position),
            web.delete("/v2/positions/{symbol}", self.close),
            web.post("/v2/positions/{symbol}/exercise", self.exercise),
            web.post("/v2/positions/{symbol}/do-not-exercise", self.keep_from_exercise),
        ]

    async def account(self, request: web.Request) -> web.Response:
        return reply(wire_reference.account(account_of(request), self._world.market))

    async def configuration(self, request: web.Request) -> web.Response:
        return reply(wire_reference.configuration(account_of(request)))

    async def configure(self, request: web.Request) -> web.Response:
        account = account_of(request)
        changes = configuration.read(body_of(request))
        configuration.apply(account, changes)
        self._world.account_changed(account, changes)
        return reply(wire_reference.configuration(account))

    # Orders

    async def submit(self, request: web.Request) -> web.Response:
        return reply(self._place(account_of(request), tickets.read(body_of(request))))

    def _place(self, account: Account, ticket: Ticket) -> wire.JSON:
        """Accept an order and route it; the answer shows it as it was accepted, as Alpaca's does."""
        order = self._world.exchange.accept(account, ticket)
        answer = wire.order(order)
        self._world.exchange.route(order)
        return answer

    async def orders(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        account, limit = account_of(request), query.integer("limit", _LIST_DEFAULT, 1, _LIST_MOST)
        descending = query.choice("direction", _DIRECTIONS, "desc") == "desc"
        nested = query.flag("nested")
        shown = (o for o in account.orders.values() if not (o.is_leg_of_combination or (nested and o.parent)))
        chosen = list(filter(_order_filter(query), shown))
        chosen = _page(chosen, account, query)
        chosen.sort(key=lambda o: o.turn, reverse=descending)
        return reply([wire.order(order, rolled_up=nested) for order in chosen[:limit]])

    async def order(self, request: web.Request) -> web.Response:
        order = _order(account_of(request), request.match_info["id"])
        return reply(wire.order(order, rolled_up=Query(request.query).flag("nested")))

    async def order_by_client_id(self, request: web.Request) -> web.Response:
        wanted = request.query.get("client_order_id", "")
        order = account_of(request).by_client_id.get(wanted)
        if order is None:
            raise not_found(f"order not found for {wanted}")
        return reply(wire.order(order, rolled_up=False))

    async def replace(self, request: web.Request) -> web.Response:
        """Answer with the replacement as it was accepted; then it takes its predecessor's place."""
        account, exchange = account_of(request), self._world.exchange
        made = exchange.replace(account, _order(account, request.match_info["id"]), replacing.read(body_of(request)))
        answer = wire.order(made)
        exchange.settle_replacement(made)
        return reply(answer)

    async def cancel(self, request: web.Request) -> web.Response:
        account = account_of(request)
        self._world.exchange.cancel(account, _order(account, request.match_info["id"]))
        return web.Response(status=204)

    async def cancel_all(self, request: web.Request) -> web.Response:
        account = account_of(request)
        return reply([self._cancel_one_of_all(account, order) for order in account.open_orders()], 207)

    def _cancel_one_of_all(self, account: Account, order: Order) -> wire.JSON:
        """Cancel an order; what went with another part of its group is canceled already."""
        try:
            if order.is_open:
                self._world.exchange.cancel(account, order)
        except ApiError as error:
            return {"id": order.id, "status": error.status, "body": error.body}
        return {"id": order.id, "status": 200, "body": wire.order(order)}

    # Positions

    async def positions(self, request: web.Request) -> web.Response:
        account, market = account_of(request), self._world.market
        held = sorted(account.positions.items())
        return reply([wire.position(position, account, market) for _, position in held])

    async def position(self, request: web.Request) -> web.Response:
        account = account_of(request)
        position = account.positions.get(self._symbol(request.match_info["symbol"]))
        if position is None:
            raise not_found("position does not exist")
        return reply(wire.position(position, account, self._world.market))

    async def close(self, request: web.Request) -> web.Response:
        account, symbol = account_of(request), self._symbol(request.match_info["symbol"])
        if symbol not in account.positions:
            raise not_found(f"position not found: {symbol}")
        qty = _qty_to_close(Query(request.query), account.positions[symbol])
        return reply(self._close(account, symbol, qty))

    async def close_all(self, request: web.Request) -> web.Response:
        account = account_of(request)
        if Query(request.query).flag("cancel_orders"):
            for order in account.open_orders():
                self._cancel_one_of_all(account, order)
        return reply([self._close_one_of_all(account, symbol) for symbol in sorted(account.positions)], 207)

    async def exercise(self, request: web.Request) -> web.Response:
        self._world.settlement.exercise(account_of(request), self._long_option(request))
        return web.Response()

    async def keep_from_exercise(self, request: web.Request) -> web.Response:
        self._world.settlement.keep_from_exercise(account_of(request), self._long_option(request))
        return web.Response()

    def _long_option(self, request: web.Request) -> Contract:
        """The contract in the path, of which the account holds some. Raises: ApiError when it does not."""
        wanted = request.match_info["symbol"]
        found = self._world.registry.find(wanted)
        if not isinstance(found, Contract) or account_of(request).held(found.symbol) <= 0:
            raise not_found(f"long position not found: {wanted}")
        return found

    def _close_one_of_all(self, account: Account, symbol: str) -> wire.JSON:
        try:
            body = self._close(account, symbol, abs(account.held(symbol)))
        except ApiError as error:
            return {"symbol": symbol, "status": error.status, "body": error.body}
        return {"symbol": symbol, "status": 200, "body": body}

    def _close(self, account: Account, symbol: str, qty: Decimal) -> wire.JSON:
        """Close a quantity by a market order; its refusal names no related orders."""
        side = "sell" if account.held(symbol) > 0 else "buy"
        try:
            return self._place(account, tickets.closing_ticket(symbol, side, qty))
        except ApiError as error:
            error.body.pop("related_orders", None)
            raise

    def _symbol(self, symbol_or_id: str) -> str:
        instrument = self._world.registry.find(symbol_or_id)
        return instrument.symbol if instrument else symbol_or_id


def _order(account: Account, order_id: str) -> Order:
    order = account.orders.get(order_id.lower())
    if order is None:
        raise not_found(f"order not found for {order_id}")
    return order


def _order_filter(query: Query) -> Callable[[Order], bool]:
    """The filters of the list of orders; read once, so that a malformed one is refused whatever the book holds."""
    status = query.choice("status", ("open", "closed", "all"), "open")
    after, until, side = query.time("after"), query.time("until"), query.text("side")
    classes, symbols = query.names("asset_class"), query.names("symbols")

    def is_asked_for(order: Order) -> bool:
        return (
            status in {"all", "open" if order.is_open else "closed"}
            and (after is None or order.submitted_at > after)
            and (until is None or order.submitted_at < until)
            and side in {None, order.side}
            and (not classes or any(part.instrument.asset_class in classes for part in _traded(order)))
            and (not symbols or any(_is_named(part, symbols, classes) for part in _traded(order)))
        )

    return is_asked_for


def _traded(order: Order) -> list[Order]:
    """What an order is listed by: itself, or the legs of a multi-leg order, which has no symbol of its own."""
    return order.legs if order.is_combination else [order]


def _is_named(order: Order, symbols: list[str], classes: list[str]) -> bool:
    """Whether a list of symbols names the order; among options an underlying names all its contracts."""
    instrument = order.instrument
    if order.symbol in symbols:
        return True
    return classes == ["us_option"] and isinstance(instrument, Contract) and instrument.underlying in symbols


def _page(orders: list[Order], account: Account, query: Query) -> list[Order]:
    """Cut the list before or after an order, which is not in it itself."""
    before, after = query.text("before_order_id"), query.text("after_order_id")
    if (before or after) and (query.text("after") or query.text("until")):
        raise invalid("before_order_id and after_order_id cannot be combined with after and until")
    if before is not None:
        orders = [o for o in orders if o.turn < _order(account, before).turn]
    if after is not None:
        orders = [o for o in orders if o.turn > _order(account, after).turn]
    return orders


def _qty_to_close(query: Query, position: Position) -> Decimal:
    """The quantity that qty or percentage asks for, in units that trade; all of it when neither is given."""
    held, qty, percentage = abs(position.qty), query.decimal("qty"), query.decimal("percentage")
    in_parts = isinstance(position.instrument, Stock) and position.instrument.fractionable
    if qty is not None and percentage is not None:
        raise invalid("only one of qty or percentage is accepted")
    if percentage is not None:
        if not 0 < percentage <= 100:
            raise invalid("percentage must be between 0 and 100")
        qty = fractions.of_position(held, percentage) if in_parts else fractions.of_position(held, percentage, _WHOLE)
    if qty is None:
        return held
    if qty <= 0:
        raise invalid("qty must be > 0")
    return qty
