"""Money and price arithmetic.

Every amount is a Decimal. Dollars carry the suffix ``_usd``; prices are per share (for
options: per share of the underlying, so one contract costs ``price * 100``). ``_pct``
holds per cent: 40 means 40 %. Columns are NUMERIC and JSON carries strings, so no amount
ever passes through a float.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

CENT: Final = Decimal("0.01")
ZERO_USD: Final = Decimal("0.00")
_HUNDRED: Final = Decimal(100)
_SIX_PLACES: Final = Decimal("0.000001")


def usd(amount: Decimal | int | str) -> Decimal:
    """Round *amount* to whole cents, half to even."""
    if isinstance(amount, float):
        raise TypeError(f"money must not be a float, was {amount!r}")
    return Decimal(amount).quantize(CENT, rounding=ROUND_HALF_EVEN)


def average_price(cost: Decimal, qty: int) -> Decimal:
    """Return *cost* / *qty* in dollars per share, to six places: the precision of the columns."""
    return (cost / qty).quantize(_SIX_PLACES, rounding=ROUND_HALF_EVEN)


def change_pct(before: Decimal, after: Decimal) -> Decimal:
    """Return the move from *before* to *after* in per cent: 25 means up 25 %."""
    if before <= 0:
        raise ValueError(f"price must be positive, was {before}")
    return (after - before) / before * _HUNDRED


def plain(amount: Decimal) -> str:
    """Return *amount* without exponent and without trailing zeros, at least two places kept for cents."""
    text = format(amount, "f")
    if "." not in text:
        return text
    whole, _, places = text.partition(".")
    places = places.rstrip("0")
    return f"{whole}.{places.ljust(2, '0')}" if places else whole
