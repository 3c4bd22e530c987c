"""Alpaca's JSON to the words of the port. Pure: every function takes parsed JSON and returns values.

Numbers in trading answers are strings; those of market data are JSON numbers, which arrive here as Decimal or int
(HTTP) or as a binary float (msgpack): the shortest text of a double is exact for every price of up to 15 digits.
A misshapen input raises LookupError, TypeError, ValueError or ArithmeticError; words that we do not know (a new
status, a new intent) raise nothing.

Fractions of a unit are not ours: a quantity is cut to whole units, so that we can never sell more than is held.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgpack

from brokerage.port import BrokerAccount, BrokerOrder, BrokerPosition, Execution, OrderRequest
from domain.contracts import Greeks, Snapshot
from domain.events import Intent, Quote, Side
from domain.instrument import Contract, Kind
from domain.money import plain
from domain.session import NEW_YORK, Session, trading_day

Json = Mapping[str, Any]
T = TypeVar("T")
log = logging.getLogger(__name__)

#: What a translation raises on an input of another shape.
MISSHAPEN: Final = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError)


def decimal(value: Any) -> Decimal:
    """Return *value* (text, int, Decimal or a double) as the number it was written as."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise TypeError(f"not a number: {value!r}")
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise ValueError(f"not a finite number: {value!r}")
    return number


def whole(value: Any) -> int:
    """Return the whole units of *value*, cut towards zero."""
    return int(decimal(value))


def moment(value: Any) -> datetime:
    """Return an aware UTC time, cut to microseconds, from RFC 3339 text or a msgpack timestamp.

    Raises:
        ValueError: the text has no time zone.
    """
    if isinstance(value, msgpack.Timestamp):
        at: datetime = value.to_datetime()
        return at
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError(f"a time without a zone: {value!r}")
    return at.astimezone(UTC)


def side(word: str) -> Side:
    """Return the side; activities also say ``sell_short``."""
    return Side.SELL if word.startswith("sell") else Side(word)


def intent(word: Any) -> Intent | None:
    """Return the intent, or None for none or one that we do not know."""
    return Intent(word) if word in set(Intent) else None


def order_body(order: OrderRequest) -> dict[str, str]:
    """Return what is POSTed for *order*: text only, so that no price passes through a float."""
    body = {
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "position_intent": order.intent.value,
        "qty": str(order.qty),
        "type": order.type.value,
        "time_in_force": "day",
        "order_class": "simple",
    }
    if order.limit_price is not None:
        body["limit_price"] = plain(order.limit_price)
    return body


def broker_order(raw: Json) -> BrokerOrder:
    submitted_at = moment(raw.get("submitted_at") or raw["created_at"])
    return BrokerOrder(
        broker_order_id=raw["id"],
        client_order_id=raw["client_order_id"],
        symbol=raw["symbol"],
        side=side(raw["side"]),
        intent=intent(raw.get("position_intent")),
        qty=whole(raw.get("qty") or "0"),  # null in an order by dollars
        filled_qty=whole(raw["filled_qty"]),
        status=raw["status"],
        submitted_at=submitted_at,
        updated_at=moment(raw["updated_at"]) if raw.get("updated_at") else submitted_at,
    )


def broker_orders(raw: list[Json]) -> list[BrokerOrder]:
    """Leave out the parents of multi-leg orders: they have no symbol and no side, and we never place them."""
    return [broker_order(o) for o in raw if o["side"]]


def broker_position(raw: Json) -> BrokerPosition:
    return BrokerPosition(
        symbol=raw["symbol"],
        qty=whole(raw["qty"]),
        available_qty=abs(whole(raw["qty_available"])),
        entry_price=decimal(raw["avg_entry_price"]),
    )


def broker_account(raw: Json) -> BrokerAccount:
    """Read an account; it is blocked when anybody blocked it or its status is not ACTIVE."""
    blocks = (raw["trading_blocked"], raw["account_blocked"], raw["trade_suspended_by_user"])
    return BrokerAccount(
        account_number=raw["account_number"],
        equity_usd=decimal(raw["equity"]),
        cash_usd=decimal(raw["cash"]),
        buying_power_usd=decimal(raw["buying_power"]),
        options_buying_power_usd=decimal(raw["options_buying_power"]),
        trading_blocked=any(blocks) or raw["status"] != "ACTIVE",
    )


def option_contract(raw: Json) -> Contract:
    return Contract(
        symbol=raw["symbol"],
        underlying=raw["underlying_symbol"],
        kind=Kind(raw["type"].upper()),
        multiplier=whole(raw.get("multiplier") or raw["size"]),
        strike=decimal(raw["strike_price"]),
        expiration=date.fromisoformat(raw["expiration_date"]),
        tradable=bool(raw["tradable"]) and raw["status"] == "active",
        open_interest=_some(raw.get("open_interest"), whole),
        open_interest_on=_some(raw.get("open_interest_date"), date.fromisoformat),
        penny=_some(raw.get("ppind"), bool),
    )


def _some(value: Any, read: Callable[[Any], T]) -> T | None:
    """Read what may be left out; nothing is None, never zero."""
    return None if value is None else read(value)


def contract_page(raw: Json) -> tuple[list[Contract], str | None]:
    """Return the contracts of a page and the token of the next one."""
    return [option_contract(c) for c in raw["option_contracts"]], raw.get("next_page_token")


def snapshot_page(raw: Json) -> tuple[dict[str, Snapshot], str | None]:
    """Return the snapshots of a page and the token of the next one; one of another shape is left out and told."""
    found = {}
    for symbol, body in raw["snapshots"].items():
        try:
            found[symbol] = snapshot(symbol, body)
        except MISSHAPEN as e:
            log.warning("%s: no snapshot, %r in %.200r", symbol, e, body)
    return found, raw.get("next_page_token")


def snapshot(symbol: str, raw: Json) -> Snapshot:
    """Read a contract's snapshot. Its volume is that of the day's bar, of the day that the bar names."""
    bar, greeks = raw.get("dailyBar") or {}, raw.get("greeks") or {}
    return Snapshot(
        symbol=symbol,
        quote=_some(raw.get("latestQuote"), lambda q: quote(symbol, q)),
        volume=_some(bar.get("v"), whole),
        volume_on=_some(bar.get("t"), lambda t: trading_day(moment(t))),
        greeks=Greeks(**{name: _some(greeks.get(name), decimal) for name in ("delta", "gamma", "theta", "vega")}),
    )


def stock(raw: Json) -> Contract:
    return Contract(
        symbol=raw["symbol"],
        underlying=raw["symbol"],
        kind=Kind.STOCK,
        multiplier=1,
        strike=None,
        expiration=None,
        tradable=bool(raw["tradable"]) and raw["status"] == "active",
        open_interest=None,
        open_interest_on=None,
        penny=None,
    )


def session(raw: Json) -> Session:
    """Read a calendar day: its times are New York wall clock without a zone."""
    day = date.fromisoformat(raw["date"])
    opens, closes = (
        datetime.combine(day, time.fromisoformat(raw[key]), NEW_YORK).astimezone(UTC) for key in ("open", "close")
    )
    return Session(day=day, open=opens, close=closes)


def execution(raw: Json) -> Execution:
    return Execution(
        activity_id=raw["id"],
        broker_order_id=raw["order_id"],
        symbol=raw["symbol"],
        side=side(raw["side"]),
        qty=whole(raw["qty"]),
        price=decimal(raw["price"]),
        cum_qty=whole(raw["cum_qty"]),
        at=moment(raw["transaction_time"]),
    )


def is_whole(raw: Json) -> bool:
    """Is this execution one of whole units?"""
    return all(decimal(raw[key]) == whole(raw[key]) for key in ("qty", "cum_qty"))


def quote(symbol: str, raw: Json) -> Quote:
    """Read a quote; a price of 0 is Alpaca's way to say that this side is missing."""
    return Quote(
        symbol=symbol,
        bid=_price(raw["bp"]),
        ask=_price(raw["ap"]),
        bid_size=whole(raw["bs"]),
        ask_size=whole(raw["as"]),
        at=moment(raw["t"]),
    )


def _price(value: Any) -> Decimal | None:
    price = decimal(value)
    return price if price > 0 else None


def quotes(raw: Json) -> dict[str, Quote]:
    return {symbol: quote(symbol, q) for symbol, q in raw["quotes"].items()}
