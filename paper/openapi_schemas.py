"""The shapes of what the API takes and gives, as JSON Schema.

They say what a client may rely on: names, types and formats. A reply may carry more than they name.
"""

from typing import Any

Schema = dict[str, Any]

DECIMAL = r"^-?\d+(\.\d+)?$"
TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
AMOUNT: Schema = {"type": "string", "pattern": DECIMAL}
MOMENT: Schema = {"type": "string", "format": "date-time"}
DAY: Schema = {"type": "string", "format": "date"}
UUID: Schema = {"type": "string", "format": "uuid"}
#: What comes in as a number may be a JSON number or the string of it.
QUANTITY: Schema = {"anyOf": [{"type": "number"}, AMOUNT]}


def nullable(schema: Schema) -> Schema:
    """The same, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def listed(schema: Schema) -> Schema:
    """A list of them."""
    return {"type": "array", "items": schema}


def ref(name: str) -> Schema:
    """A named schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def choice(*words: str) -> Schema:
    """One of some words."""
    return {"type": "string", "enum": list(words)}


def shape(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """An object with these fields."""
    return {"type": "object", "required": list(required), "properties": required | (optional or {})}


def _named(schema: Schema, names: str) -> dict[str, Schema]:
    return dict.fromkeys(names.split(), schema)


SIDE = choice("buy", "sell")
ORDER_TYPE = choice("market", "limit", "stop", "stop_limit", "trailing_stop")
TIME_IN_FORCE = choice("day", "gtc", "opg", "cls", "ioc", "fok")
ORDER_CLASS = choice("", "simple", "bracket", "oco", "oto", "mleg")
INTENT = choice("buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close")

_ORDER = shape(
    _named(UUID, "id")
    | _named(TEXT, "client_order_id symbol asset_class asset_id order_class order_type type side status")
    | _named(MOMENT, "created_at updated_at submitted_at")
    | _named(nullable(MOMENT), "filled_at expired_at expires_at canceled_at failed_at replaced_at")
    | _named(nullable(AMOUNT), "qty notional filled_avg_price limit_price stop_price trail_percent trail_price hwm")
    | _named(AMOUNT, "filled_qty")
    | {"time_in_force": TIME_IN_FORCE, "extended_hours": FLAG, "legs": nullable(listed(ref("Order")))}
    | _named(nullable(TEXT), "replaced_by replaces")
)
_POSITION = shape(
    _named(TEXT, "asset_id symbol exchange asset_class")
    | {"side": choice("long", "short"), "asset_marginable": FLAG}
    | _named(AMOUNT, "qty qty_available avg_entry_price market_value cost_basis unrealized_pl unrealized_plpc")
    | _named(AMOUNT, "unrealized_intraday_pl unrealized_intraday_plpc current_price lastday_price change_today")
)
_ACCOUNT = shape(
    {"id": UUID, "account_number": TEXT, "status": TEXT, "currency": TEXT, "created_at": MOMENT}
    | _named(AMOUNT, "cash equity last_equity portfolio_value buying_power options_buying_power long_market_value")
    | _named(WHOLE, "options_approved_level options_trading_level")
    | _named(FLAG, "trading_blocked account_blocked transfers_blocked trade_suspended_by_user shorting_enabled")
)
_ORDER_REQUEST = shape(
    {"type": ORDER_TYPE, "time_in_force": TIME_IN_FORCE},
    {
        "symbol": TEXT,
        "qty": QUANTITY,
        "notional": QUANTITY,
        "side": SIDE,
        "limit_price": nullable(QUANTITY),
        "stop_price": nullable(QUANTITY),
        "trail_price": nullable(QUANTITY),
        "trail_percent": nullable(QUANTITY),
        "extended_hours": nullable(FLAG),
        "client_order_id": nullable({"type": "string", "maxLength": 128}),
        "order_class": nullable(ORDER_CLASS),
        "position_intent": nullable(INTENT),
        "take_profit": nullable(shape({}, {"limit_price": QUANTITY})),
        "stop_loss": nullable(shape({}, {"stop_price": QUANTITY, "limit_price": nullable(QUANTITY)})),
        "legs": nullable(
            listed(shape({"symbol": TEXT, "ratio_qty": QUANTITY}, {"side": SIDE, "position_intent": INTENT}))
        ),
    },
)
_CHANGE_REQUEST = shape(
    {},
    {
        "qty": nullable(QUANTITY),
        "time_in_force": nullable(TIME_IN_FORCE),
        "limit_price": nullable(QUANTITY),
        "stop_price": nullable(QUANTITY),
        "trail": nullable(QUANTITY),
        "client_order_id": nullable({"type": "string", "maxLength": 128}),
    },
)
_QUOTE = shape(_named(NUMBER, "bp ap bs as") | _named(TEXT, "bx ax") | {"t": MOMENT})
_TRADE = shape({"p": NUMBER, "s": NUMBER, "x": TEXT, "t": MOMENT})
_BAR = shape(_named(NUMBER, "o h l c v n vw") | {"t": MOMENT})

SCHEMAS: dict[str, Schema] = {
    "Error": shape({"message": TEXT}, {"code": WHOLE}),
    "Order": _ORDER,
    "OrderRequest": _ORDER_REQUEST,
    "OrderChange": _CHANGE_REQUEST,
    "Canceled": shape({"id": UUID, "status": WHOLE}, {"body": {}}),
    "Closed": shape({"symbol": TEXT, "status": WHOLE, "body": {}}),
    "Position": _POSITION,
    "Account": _ACCOUNT,
    "Configuration": shape({"suspend_trade": FLAG, "no_shorting": FLAG, "max_options_trading_level": nullable(WHOLE)}),
    "ConfigurationChange": shape(
        {},
        _named(FLAG, "suspend_trade no_shorting fractional_trading disable_overnight_trading ptp_no_exception_entry")
        | {"max_options_trading_level": WHOLE, "trade_confirm_email": TEXT, "max_margin_multiplier": TEXT},
    ),
    "Activity": shape({"activity_type": TEXT, "id": TEXT}, {"qty": AMOUNT, "symbol": TEXT}),
    "Clock": shape({"timestamp": MOMENT, "is_open": FLAG, "next_open": MOMENT, "next_close": MOMENT}),
    "CalendarDay": shape({"date": DAY} | _named(TEXT, "open close session_open session_close settlement_date")),
    "Asset": shape(
        {"id": UUID} | _named(TEXT, "class exchange symbol name status") | _named(FLAG, "tradable shortable")
    ),
    "Contract": shape(
        {"id": UUID, "expiration_date": DAY, "strike_price": AMOUNT, "tradable": FLAG}
        | _named(TEXT, "symbol name status underlying_symbol root_symbol type style multiplier")
    ),
    "Quote": _QUOTE,
    "Trade": _TRADE,
    "Bar": _BAR,
}
