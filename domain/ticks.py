"""The grid that an order's price stands on.

A stock is priced in cents from a dollar on and in hundredths of a cent below. An option depends on its class: in the
exchanges' penny programme it is priced in cents below $3 and in five cents from there on, otherwise in five and in ten
cents; three classes are priced in cents throughout. Alpaca itself refuses an option's price of more than two places.

Source: the penny interval programme of the U.S. options exchanges; Regulation NMS, rule 612; R47.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

#: Classes of the programme that are priced in cents whatever they cost.
ALWAYS_PENNIES: Final = frozenset({"SPY", "QQQ", "IWM"})
_THREE: Final = Decimal(3)


def stock_tick(price: Decimal) -> Decimal:
    return Decimal("0.01") if price >= 1 else Decimal("0.0001")


def option_tick(price: Decimal, underlying: str, penny: bool) -> Decimal:
    """Return the increment of an option at *price*; *penny*: its class is in the programme."""
    if underlying in ALWAYS_PENNIES:
        return Decimal("0.01")
    low, high = (Decimal("0.01"), Decimal("0.05")) if penny else (Decimal("0.05"), Decimal("0.10"))
    return low if price < _THREE else high


def is_on(price: Decimal, tick: Decimal) -> bool:
    return price % tick == 0
