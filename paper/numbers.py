"""Numbers on the wire: JSON numbers or strings come in, strings without trailing zeros go out."""

import re
from decimal import Decimal
from typing import Any

_NUMBER = re.compile(r"[+-]?(\d{1,15}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,2})?", re.ASCII)

#: Larger than any price, quantity or percentage; keeps exponents from turning into gigabytes of digits.
_CEILING = Decimal(10) ** 15

#: Averages are shown to this many decimals; the sums behind them stay exact.
_NINE_PLACES = Decimal("0.000000001")


def number(value: Any) -> Decimal | None:
    """Return the number that a JSON number or string stands for, or None when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    text = str(value)
    if not _NUMBER.fullmatch(text):
        return None
    parsed = Decimal(text)
    return parsed if abs(parsed) < _CEILING else None


def plain(value: Decimal) -> str:
    """Write a number without exponent and without trailing zeros."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"", "-0"} else text


def average(total: Decimal, count: Decimal) -> Decimal:
    """Return total / count to nine decimals."""
    return (total / count).quantize(_NINE_PLACES)


def rounded(value: Decimal) -> str:
    """Write a derived number (a ratio, a mid price) to at most nine decimals."""
    return plain(value.quantize(_NINE_PLACES))


def cents(value: Decimal) -> str:
    """Write dollars in whole cents, as Alpaca writes cash."""
    return plain(value.quantize(Decimal("0.01")))


def is_whole(value: Decimal) -> bool:
    """Whether there is nothing behind the decimal point."""
    return value == value.to_integral_value()


def decimals(value: Decimal) -> int:
    """How many decimals a number needs."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
