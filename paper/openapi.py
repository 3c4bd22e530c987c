"""The description of the surface that clients see, OpenAPI 3.1, made from the routes and a table of their details.

A route that the table lacks is described all the same, by its path and what every endpoint may answer; so the
description never leaves one out.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from paper.openapi_schemas import (
    DAY,
    MOMENT,
    QUANTITY,
    SCHEMAS,
    SIDE,
    TEXT,
    Schema,
    choice,
    listed,
    nullable,
    ref,
    shape,
)

PATH = "/openapi.json"
_FLAG = choice("true", "false", "True", "False")
_WHEN: Schema = {"anyOf": [MOMENT, DAY]}
_EVENTS = "text/event-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What an endpoint takes and gives.

    *query* maps parameters to schemas, of which it *needs* some; *replies* maps statuses to bodies, None is empty.
    """

    summary: str
    query: dict[str, Schema] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    body: str | None = None
    replies: dict[int, Schema | None] = field(default_factory=lambda: {200: {}})
    media: str = "application/json"


def _limit(most: int) -> Schema:
    return {"type": "integer", "minimum": 1, "maximum": most}


_PAGE = {"limit": _limit(10_000), "page_token": TEXT}
_CONTRACT_FILTERS = {
    "expiration_date": DAY,
    "expiration_date_gte": DAY,
    "expiration_date_lte": DAY,
    "strike_price_gte": QUANTITY,
    "strike_price_lte": QUANTITY,
    "type": choice("call", "put"),
    "root_symbol": TEXT,
}
_ACTIVITY_FILTERS = {
    "after": _WHEN,
    "until": _WHEN,
    "date": DAY,
    "direction": choice("asc", "desc"),
    "page_size": _limit(100),
    "page_token": TEXT,
}
_ORDER_FILTERS = {
    "status": choice("open", "closed", "all"),
    "limit": _limit(500),
    "after": _WHEN,
    "until": _WHEN,
    "direction": choice("asc", "desc"),
    "nested": _FLAG,
    "symbols": TEXT,
    "side": SIDE,
    "asset_class": TEXT,
    "before_order_id": TEXT,
    "after_order_id": TEXT,
}
_EVENT_RANGE = {"since": _WHEN, "until": _WHEN, "since_id": TEXT, "until_id": TEXT}
_SYMBOLS: dict[str, Any] = {"query": {"symbols": TEXT, "feed": TEXT}, "needs": ("symbols",)}


def _map(name: str, schema: Schema) -> dict[int, Schema | None]:
    """A reply that maps symbols to something, under a name."""
    return {200: shape({name: {"type": "object", "additionalProperties": schema}})}


def _one(name: str) -> dict[int, Schema | None]:
    return {200: ref(name)}


def _many(name: str) -> dict[int, Schema | None]:
    return {200: listed(ref(name))}


OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/v2/account"): Operation(summary="The account", replies=_one("Account")),
    ("GET", "/v2/account/configurations"): Operation(summary="Its settings", replies=_one("Configuration")),
    ("PATCH", "/v2/account/configurations"): Operation(
        summary="Choose settings", body="ConfigurationChange", replies=_one("Configuration")
    ),
    ("GET", "/v2/account/activities"): Operation(
        summary="What happened in the account",
        query=_ACTIVITY_FILTERS | {"activity_types": TEXT, "category": choice("trade_activity", "non_trade_activity")},
        replies=_many("Activity"),
    ),
    ("GET", "/v2/account/activities/{type}"): Operation(
        summary="What happened, of one kind", query=_ACTIVITY_FILTERS | {"order_id": TEXT}, replies=_many("Activity")
    ),
    ("POST", "/v2/orders"): Operation(summary="Submit an order", body="OrderRequest", replies=_one("Order")),
    ("GET", "/v2/orders"): Operation(summary="Orders", query=_ORDER_FILTERS, replies=_many("Order")),
    ("DELETE", "/v2/orders"): Operation(summary="Cancel all orders", replies={207: listed(ref("Canceled"))}),
    ("GET", "/v2/orders:by_client_order_id"): Operation(
        summary="An order by the client's id", query={"client_order_id": TEXT}, replies=_one("Order")
    ),
    ("GET", "/v2/orders/{id}"): Operation(summary="An order", query={"nested": _FLAG}, replies=_one("Order")),
    ("PATCH", "/v2/orders/{id}"): Operation(summary="Replace an order", body="OrderChange", replies=_one("Order")),
    ("DELETE", "/v2/orders/{id}"): Operation(summary="Ask to cancel an order", replies={204: None}),
    ("GET", "/v2/positions"): Operation(summary="Positions", replies=_many("Position")),
    ("DELETE", "/v2/positions"): Operation(
        summary="Close all positions", query={"cancel_orders": _FLAG}, replies={207: listed(ref("Closed"))}
    ),
    ("GET", "/v2/positions/{symbol}"): Operation(summary="A position", replies=_one("Position")),
    ("DELETE", "/v2/positions/{symbol}"): Operation(
        summary="Close a position", query={"qty": QUANTITY, "percentage": QUANTITY}, replies=_one("Order")
    ),
    ("POST", "/v2/positions/{symbol}/exercise"): Operation(summary="Exercise a long option", replies={200: None}),
    ("POST", "/v2/positions/{symbol}/do-not-exercise"): Operation(
        summary="Let a long option expire", replies={200: None}
    ),
    ("GET", "/v3/clock"): Operation(
        summary="The clocks of markets",
        query={"markets": TEXT},
        replies={200: shape({"clocks": listed({"type": "object"})})},
    ),
    ("GET", "/v3/calendar/{market}"): Operation(
        summary="Trading days of a market",
        query={"start": DAY, "end": DAY},
        replies={200: shape({"market": {"type": "object"}, "calendar": listed({"type": "object"})})},
    ),
    ("GET", "/v2/clock"): Operation(summary="The market's clock", replies=_one("Clock")),
    ("GET", "/v2/calendar"): Operation(
        summary="Trading days", query={"start": DAY, "end": DAY}, replies=_many("CalendarDay")
    ),
    ("GET", "/v2/assets"): Operation(
        summary="Stocks",
        query={"status": TEXT, "asset_class": TEXT, "exchange": TEXT, "attributes": TEXT},
        replies=_many("Asset"),
    ),
    ("GET", "/v2/assets/{symbol}"): Operation(summary="A stock", replies=_one("Asset")),
    ("GET", "/v2/options/contracts"): Operation(
        summary="Option contracts",
        query=_CONTRACT_FILTERS | _PAGE | {"underlying_symbols": TEXT, "status": choice("active", "inactive")},
        replies={200: shape({"option_contracts": listed(ref("Contract")), "next_page_token": nullable(TEXT)})},
    ),
    ("GET", "/v2/options/contracts/{symbol}"): Operation(summary="A contract", replies=_one("Contract")),
    ("GET", "/v2/stocks/quotes/latest"): Operation(
        summary="Stocks' quotes", **_SYMBOLS, replies=_map("quotes", ref("Quote"))
    ),
    ("GET", "/v2/stocks/trades/latest"): Operation(
        summary="Stocks' trades", **_SYMBOLS, replies=_map("trades", ref("Trade"))
    ),
    ("GET", "/v2/stocks/bars/latest"): Operation(
        summary="Stocks' last bars", **_SYMBOLS, replies=_map("bars", ref("Bar"))
    ),
    ("GET", "/v2/stocks/snapshots"): Operation(summary="Stocks' snapshots", **_SYMBOLS),
    ("GET", "/v2/stocks/bars"): Operation(
        summary="Bars of stocks",
        query=_PAGE | {"symbols": TEXT, "timeframe": TEXT, "start": _WHEN, "end": _WHEN, "sort": choice("asc", "desc")},
        needs=("symbols", "timeframe"),
        replies=_map("bars", listed(ref("Bar"))),
    ),
    ("GET", "/v1beta1/options/quotes/latest"): Operation(
        summary="Contracts' quotes", **_SYMBOLS, replies=_map("quotes", ref("Quote"))
    ),
    ("GET", "/v1beta1/options/trades/latest"): Operation(
        summary="Contracts' trades", **_SYMBOLS, replies=_map("trades", ref("Trade"))
    ),
    ("GET", "/v1beta1/options/snapshots"): Operation(
        summary="Contracts' snapshots", **_SYMBOLS, replies=_map("snapshots", {"type": "object"})
    ),
    ("GET", "/v1beta1/options/snapshots/{underlying}"): Operation(
        summary="An option chain",
        query=_CONTRACT_FILTERS | {"limit": _limit(1000), "page_token": TEXT, "updated_since": _WHEN, "feed": TEXT},
        replies=_map("snapshots", {"type": "object"}),
    ),
    ("GET", "/v2/events/trades"): Operation(
        summary="Trade updates, resumable", query=_EVENT_RANGE, replies={200: TEXT}, media=_EVENTS
    ),
    ("GET", "/v2beta1/events/activities"): Operation(
        summary="Activities, resumable", query=_EVENT_RANGE, replies={200: TEXT}, media=_EVENTS
    ),
}
#: What any endpoint may answer: bad body or parameter, keys, permission, nothing there, wrong method, too large,
#: refused, too many.
_REFUSALS = (400, 401, 403, 404, 405, 413, 422, 429)


def describe(routes: Iterable[web.AbstractRoute]) -> dict[str, Any]:
    """The description of all routes that answer with a document; websockets are none."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = route.resource.canonical if route.resource is not None else ""
        if route.method != "HEAD" and path != PATH and not _is_socket(path):
            operation = OPERATIONS.get((route.method, path)) or Operation(summary=_told(route))
            paths.setdefault(path, {})[route.method.lower()] = _described(route.method, path, operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Paper: a local Alpaca", "version": "2.0"},
        "security": [{"key": [], "secret": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "APCA-API-KEY-ID"},
                "secret": {"type": "apiKey", "in": "header", "name": "APCA-API-SECRET-KEY"},
            },
        },
    }


def _is_socket(path: str) -> bool:
    return path in {"/stream", "/stream/", "/v2/{feed}", "/v1beta1/{feed}"}


def _told(route: web.AbstractRoute) -> str:
    lines = (route.handler.__doc__ or "").strip().splitlines()
    return lines[0] if lines else "An endpoint"


def _described(method: str, path: str, operation: Operation) -> dict[str, Any]:
    inside = [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in re.findall(r"{(\w+)}", path)]
    query = [
        {"name": name, "in": "query", "required": name in operation.needs, "schema": schema}
        for name, schema in operation.query.items()
    ]
    told: dict[str, Any] = {
        "operationId": method.lower() + re.sub(r"\W+", "_", path).rstrip("_"),
        "summary": operation.summary,
        "parameters": inside + query,
        "responses": _replies(operation),
    }
    if operation.body is not None:
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": ref(operation.body)}}}
    return told


def _replies(operation: Operation) -> dict[str, Any]:
    error = {"application/json": {"schema": ref("Error")}}
    replies: dict[str, Any] = {str(s): {"description": "refused", "content": error} for s in _REFUSALS}
    for status, schema in operation.replies.items():
        replies[str(status)] = {"description": "done"}
        if schema is not None:
            replies[str(status)]["content"] = {operation.media: {"schema": schema}}
    return replies
