"""Rows to JSON: the one place where Python values become what a document holds.

Money, prices and ``_pct`` are strings without exponent and with at least two places; counts, seconds and ms are
numbers; times are UTC ISO text with Z; unknown is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID


def money(amount: Decimal) -> str:
    """Return *amount* exactly, without exponent: 7 is ``7.00``, 7.125000 is ``7.125``."""
    if amount == 0:
        return "0.00"
    whole, _, places = format(amount, "f").partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"


def utc(at: datetime) -> str:
    """Return an aware time as UTC ISO text with Z."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def plain(value: Any) -> Any:
    """Return *value* as JSON types.

    Raises:
        TypeError: a document may not hold such a value.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Decimal():
            return money(value)
        case datetime():
            return utc(value)
        case date():
            return value.isoformat()
        case UUID():
            return str(value)
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__}: no document holds such a value, was {value!r:.80}")


def age_s(at: datetime | None, now: datetime) -> float | None:
    """Return the age of *at* in seconds to a thousandth, None when the time is unknown."""
    return None if at is None else round((now - at).total_seconds(), 3)
