"""Words, numbers and times as a person reads them, and the one look of our tables.

What is unknown says so: never 0, never an empty cell. Cells are text, so nothing in a reason or a symbol can be
taken for markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final, Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from cli.plain import money
from domain.session import NEW_YORK

UNKNOWN: Final = "unknown"

_PRICE_PLACES: Final = Decimal("0.0001")
#: Columns that are copied by hand or read at a glance: their words stay whole.
_WHOLE: Final = frozenset({"id", "symbol", "account", "order", "status"})
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400
#: From this many of the next smaller unit on, the larger unit is used.
_ENOUGH: Final = 2


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Return a table; a column whose name begins with ``>`` holds numbers and is right-aligned."""
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
        collapse_padding=True,
    )
    for name in columns:
        numbers = name.startswith(">")
        side: Literal["left", "right"] = "right" if numbers else "left"
        whole = name.partition("\n")[0] in _WHOLE
        made.add_column(name.removeprefix(">"), justify=side, overflow="fold", no_wrap=numbers or whole)
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(word(cell)) for cell in row))
    if not made.row_count:
        made.show_header = False
        made.add_row(Text("none", style="dim"), *[""] * (len(columns) - 1))
    return made


def word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return UNKNOWN if value is None else str(value)


def usd(amount: str | None) -> str:
    """Return dollars to the cent with thousands apart."""
    return UNKNOWN if amount is None else f"{Decimal(amount):,.2f}"


def price(text: str | None) -> str:
    """Return a price to four places at most; averages have six."""
    return UNKNOWN if text is None else money(Decimal(text).quantize(_PRICE_PLACES, rounding=ROUND_HALF_EVEN))


def pct(value: str | None) -> str:
    return UNKNOWN if value is None else f"{Decimal(value):+.1f}"


def when(text: str | None) -> str:
    """Return a time in UTC and in New York: ``02-03 17:00:05Z 12:00:05 NY``."""
    if text is None:
        return UNKNOWN
    at = datetime.fromisoformat(text)
    return f"{at:%m-%d %H:%M:%S}Z {at.astimezone(NEW_YORK):%H:%M:%S} NY"


def clock(text: str) -> str:
    """Return a time as a clock in New York shows it, with its day: ``02-03 12:00:05``."""
    return f"{datetime.fromisoformat(text).astimezone(NEW_YORK):%m-%d %H:%M:%S}"


def age(seconds: float | None) -> str:
    """Return a span in its largest fitting unit."""
    if seconds is None:
        return UNKNOWN
    for unit_s, name in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= unit_s * _ENOUGH:
            return f"{seconds / unit_s:.0f} {name}"
    return f"{seconds:.0f} s"


def ms(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.1f}"


def used(value: Any, limit: Any) -> str:
    return f"{word(value)} / {word(limit)}"


def short(identity: str | None) -> str:
    """Return the beginning of an id: enough to tell apart, and to ask for."""
    return "-" if identity is None else identity[:8]
