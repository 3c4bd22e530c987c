"""The trading API's endpoints that only tell: clock, calendar, assets, contracts and the list of activities."""

import base64
from collections.abc import Callable
from datetime import date, timedelta

from aiohttp import web

from paper import times, wire, wire_markets, wire_reference
from paper.book import Activity, NonTrade
from paper.errors import invalid, not_found
from paper.gate import account_of, reply
from paper.instruments import Contract, Stock
from paper.query import Query
from paper.sessions import Session
from paper.world import World

_CALENDAR_DAYS = 366
_CONTRACTS_DEFAULT, _CONTRACTS_MOST = 100, 10_000
_ACTIVITIES_MOST = 100


class ReferenceApi:
    """Endpoints without effect on the book."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._switches = world.exchange.switches

    def routes(self) -> list[web.RouteDef]:
        """All endpoints."""
        return [
            web.get("/v2/clock", self.clock),
            web.get("/v2/calendar", self.calendar),
            web.get("/v3/clock", self.market_clocks),
            web.get("/v3/calendar/{market}", self.market_calendar),
            web.get("/v2/assets", self.assets),
            web.get("/v2/assets/{symbol}", self.asset),
            web.get("/v2/options/contracts", self.contracts),
            web.get("/v2/options/contracts/{symbol}", self.contract),
            web.get("/v2/account/activities", self.activities),
            web.get("/v2/account/activities/{type}", self.activities),
        ]

    async def clock(self, _request: web.Request) -> web.Response:
        return reply(wire_reference.clock(self._world.timeline.now, self._world.calendar))

    async def calendar(self, request: web.Request) -> web.Response:
        calendar = self._world.calendar
        return reply([wire_reference.calendar_day(session, calendar) for session in self._sessions(request)])

    async def market_clocks(self, request: web.Request) -> web.Response:
        """The clocks of the markets asked for, or of all."""
        names = Query(request.query).names("markets") or list(wire_markets.MARKETS)
        found = [market for market in map(wire_markets.market_named, names) if market is not None]
        if len(found) < len(names):
            raise invalid("invalid markets")
        now, calendar = self._world.timeline.now, self._world.calendar
        return reply({"clocks": [wire_markets.clock(market, now, calendar) for market in found]})

    async def market_calendar(self, request: web.Request) -> web.Response:
        market = wire_markets.market_named(request.match_info["market"])
        if market is None:
            raise invalid("invalid market")
        days = [wire_markets.day(market, session, self._world.calendar) for session in self._sessions(request)]
        return reply({"market": market, "calendar": days})

    def _sessions(self, request: web.Request) -> list[Session]:
        """The trading days from start to end; a year from today unless asked otherwise."""
        query, today = Query(request.query), times.new_york_day(self._world.timeline.now)
        start = query.day("start") or today
        if start.year > times.LAST_YEAR:
            raise query.refuse("start")
        end = query.day("end") or start + timedelta(days=_CALENDAR_DAYS)
        return self._world.calendar.between(start, min(end, start + timedelta(days=10 * _CALENDAR_DAYS)))

    async def assets(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        classes, exchanges = query.names("asset_class"), query.names("exchange")
        attributes = set(query.names("attributes"))
        registry = self._world.registry
        shown = [wire_reference.asset(stock, registry, self._switches) for stock in registry.stocks]
        return reply(
            [
                asset
                for asset in shown
                if query.text("status") in {None, asset["status"]}
                and (not classes or asset["class"] in classes)
                and (not exchanges or asset["exchange"] in exchanges)
                and attributes <= set(asset["attributes"])
            ]
        )

    async def asset(self, request: web.Request) -> web.Response:
        wanted = request.match_info["symbol"]
        found = self._world.registry.find(wanted)
        if not isinstance(found, Stock):
            raise not_found(f"asset not found for {wanted}")
        return reply(wire_reference.asset(found, self._world.registry, self._switches))

    # Option contracts

    async def contracts(self, request: web.Request) -> web.Response:
        """Contracts in the order of expiration and symbol; a page token is the last symbol of a page."""
        query = Query(request.query)
        limit = query.integer("limit", _CONTRACTS_DEFAULT, 1, _CONTRACTS_MOST)
        chosen = list(filter(self._filter(query), self._world.registry.contracts))
        chosen = after_token(chosen, query)
        token = page_token(chosen[limit - 1].symbol) if len(chosen) > limit else None
        return reply({"option_contracts": [self._shown(c) for c in chosen[:limit]], "next_page_token": token})

    async def contract(self, request: web.Request) -> web.Response:
        wanted = request.match_info["symbol"]
        found = self._world.registry.find(wanted)
        if not isinstance(found, Contract):
            raise not_found(f"option contract {wanted} not found")
        return reply(self._shown(found))

    def _shown(self, contract: Contract) -> wire.JSON:
        active = self._is_active(contract)
        tradable = active and contract.symbol not in self._world.registry.untradable
        underlying = Stock(contract.underlying, True).asset_id
        return wire_reference.contract(contract, underlying, self._world.market, active=active, tradable=tradable)

    def _is_active(self, contract: Contract) -> bool:
        """A contract is active until its hours of its last trading day end."""
        now, hours = self._world.timeline.now, self._world.registry.hours(contract)
        return next(self._world.calendar.starting(contract.last_trading_day)).closes(hours) > now and (
            times.new_york_day(now) <= contract.last_trading_day
        )

    def _filter(self, query: Query) -> Callable[[Contract], bool]:
        underlyings = query.names("underlying_symbols")
        status = query.choice("status", ("active", "inactive"), "active")
        passes = contract_filter(query)
        in_pennies = query.text("ppind") is None or query.flag("ppind")  # all contracts here are
        names = ("expiration_date", "expiration_date_gte", "expiration_date_lte")
        latest = date.max if any(query.text(name) for name in names) else self._next_weekend()

        def is_asked_for(contract: Contract) -> bool:
            return (
                in_pennies
                and (not underlyings or contract.underlying in underlyings)
                and contract.expiration <= latest
                and passes(contract)
                and status == ("active" if self._is_active(contract) else "inactive")
            )

        return is_asked_for

    def _next_weekend(self) -> date:
        """Without dates in the query, contracts up to the coming Sunday are listed."""
        today = times.new_york_day(self._world.timeline.now)
        return today + timedelta(days=6 - today.weekday())

    # Activities

    async def activities(self, request: web.Request) -> web.Response:
        """Executions and what happened without orders, by the time they are listed under."""
        query = Query(request.query)
        kinds = [request.match_info["type"]] if "type" in request.match_info else query.names("activity_types")
        category = query.choice("category", ("trade_activity", "non_trade_activity", ""), "")
        size = query.integer("page_size", _ACTIVITIES_MOST, 1, _ACTIVITIES_MOST)
        account, is_wanted = account_of(request), _activity_filter(query)
        listed: list[Activity | NonTrade] = []
        if category != "non_trade_activity" and (not kinds or "FILL" in kinds):
            listed += account.activities
        if category != "trade_activity":
            now = self._world.timeline.now
            listed += [n for n in account.non_trades if n.at <= now and (not kinds or n.activity_type in kinds)]
        chosen = sorted(filter(is_wanted, listed), key=lambda entry: entry.at)
        if query.choice("direction", ("desc", "asc"), "desc") == "desc":
            chosen.reverse()
        chosen = _after_activity(chosen, query.text("page_token"))
        return reply([_shown(entry) for entry in chosen[:size]])


def _shown(entry: Activity | NonTrade) -> wire.JSON:
    return wire.activity(entry) if isinstance(entry, Activity) else wire.non_trade(entry)


def contract_filter(query: Query) -> Callable[[Contract], bool]:
    """The filters that the list of contracts and the option chain share."""
    exact = query.day("expiration_date")
    first, last = query.day("expiration_date_gte") or date.min, query.day("expiration_date_lte") or date.max
    low, high = query.decimal("strike_price_gte"), query.decimal("strike_price_lte")
    kind = query.choice("type", ("call", "put", ""), "")
    root, style = query.text("root_symbol"), query.text("style")

    def passes(contract: Contract) -> bool:
        return (
            exact in {None, contract.expiration}
            and first <= contract.expiration <= last
            and (low is None or low <= contract.strike)
            and (high is None or contract.strike <= high)
            and kind in {"", contract.kind}
            and root in {None, contract.root}
            and style in {None, contract.style}
        )

    return passes


def page_token(symbol: str) -> str:
    """The token of the page after *symbol*."""
    return base64.urlsafe_b64encode(symbol.encode()).decode()


def after_token(contracts: list[Contract], query: Query) -> list[Contract]:
    """What comes after the page that the query's token ended."""
    token = query.text("page_token")
    if token is None:
        return contracts
    try:
        last = base64.urlsafe_b64decode(token.encode()).decode()
    except ValueError:
        raise query.refuse("page_token") from None
    places = [index for index, contract in enumerate(contracts) if contract.symbol == last]
    if not places:
        raise query.refuse("page_token")
    return contracts[places[0] + 1 :]


def _activity_filter(query: Query) -> Callable[[Activity | NonTrade], bool]:
    after, until, day = query.time("after"), query.time("until"), query.day("date")
    order_id = query.text("order_id")

    def is_wanted(entry: Activity | NonTrade) -> bool:
        happened = entry.day if isinstance(entry, NonTrade) else times.new_york_day(entry.at)
        return (
            (after is None or entry.at > after)
            and (until is None or entry.at < until)
            and day in {None, happened}
            and (order_id is None or (isinstance(entry, Activity) and entry.order_id == order_id))
        )

    return is_wanted


def _after_activity(entries: list[Activity | NonTrade], token: str | None) -> list[Activity | NonTrade]:
    if token is None:
        return entries
    places = [index for index, entry in enumerate(entries) if entry.id == token]
    if not places:
        raise invalid("invalid page_token")
    return entries[places[0] + 1 :]
