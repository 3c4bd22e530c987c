"""What Alpaca books without an order (its non-trade activities) to the words of the port. Pure.

A contract that ends leaves at 0, whatever it was worth: its worth is in the shares, which come or go at the strike
(OPTRD), so that both together make the cash that moved. Only what is settled in cash leaves at its worth. An activity
that says anything else than we know has no kind: it is shown, and no price is invented for it.

Source: Alpaca's documents on option activities; see docs/adr/0020-what-nobody-ordered.md.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from brokerage.port import BookedActivity
from brokerage.translate import MISSHAPEN, Json, decimal
from domain.events import Settlement
from domain.instrument import Option, parse_symbol

log = logging.getLogger(__name__)

KINDS: Final[Mapping[str, Settlement]] = {
    "OPEXP": Settlement.EXPIRED,
    "OPEXC": Settlement.EXERCISED,
    "OPASN": Settlement.ASSIGNED,
    "OPCSH": Settlement.CASH_SETTLED,
    "OPTRD": Settlement.DELIVERED,
}
#: These end a contract without any cash of their own.
_FOR_NOTHING: Final = (Settlement.EXPIRED, Settlement.EXERCISED, Settlement.ASSIGNED)
#: What stands when nothing was taken back. A missing status is old; another one is for a person.
_STANDS: Final = ("executed", "")


def booked(raw: Json) -> BookedActivity:
    """Return one activity; of another shape than we know it has no kind, and the log says why.

    Raises:
        LookupError, TypeError, ValueError: it has no id, no word or no day, and could not even be shown.
    """
    word, kind = str(raw["activity_type"]), None
    qty, price = None, None
    try:
        if word in KINDS:
            qty, price = _moved(raw, KINDS[word])
            kind = KINDS[word]
    except MISSHAPEN as e:
        log.warning("activity %s moves nothing, it cannot be understood: %s in %.300r", raw.get("id"), e, raw)
    return BookedActivity(
        activity_id=str(raw["id"]),
        word=word,
        kind=kind,
        day=date.fromisoformat(str(raw["date"])[:10]),
        symbol=raw.get("symbol") or None,
        qty=qty,
        price=price,
        net_amount_usd=_amount(raw.get("net_amount")),
        description=str(raw.get("description") or ""),
    )


def _moved(raw: Json, kind: Settlement) -> tuple[int, Decimal]:
    """Return signed units and dollars per share.

    Raises:
        ValueError: it says something that our rule for its kind does not.
    """
    qty, cash = decimal(raw["qty"]), decimal(raw.get("net_amount") or 0)
    instrument = parse_symbol(raw["symbol"])
    if qty == 0 or qty != int(qty):
        raise ValueError(f"qty: whole units are expected, was {qty}")
    if str(raw.get("status") or "") not in _STANDS:
        raise ValueError(f"status: executed is expected, was {raw['status']!r}")
    if isinstance(instrument, Option) != (kind is not Settlement.DELIVERED):
        raise ValueError(f"symbol: {instrument.symbol} does not go with {raw['activity_type']}")
    if kind not in _FOR_NOTHING:
        return int(qty), _price(raw, abs(qty) * instrument.multiplier, cash)
    if cash:
        raise ValueError(f"net_amount: a contract that ends moves no cash of its own, was {cash}")
    return int(qty), Decimal(0)


def _price(raw: Json, shares: Decimal, cash: Decimal) -> Decimal:
    """Return the stated price, or what the cash says: what is unknown is not zero."""
    price = abs(cash) / shares if raw.get("price") is None else decimal(raw["price"])
    if price <= 0:
        raise ValueError(f"price: neither a price nor cash, price {raw.get('price')!r}, net_amount {cash}")
    return price


def _amount(value: Any) -> Decimal | None:
    try:
        return None if value is None else decimal(value)
    except MISSHAPEN:
        return None
