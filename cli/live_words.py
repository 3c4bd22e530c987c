"""The words of the live view: contracts, spans, refusals, signed dollars and bars as a trader reads them.

Colours mean something: red is a loss or an alarm, green a gain, yellow a limit that is reached. What is unknown says
so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from rich.text import Text

from cli.cells import UNKNOWN
from domain.instrument import Kind, NotASymbol, Stock, parse_symbol
from domain.session import NEW_YORK

LOSS, GAIN, LIMIT, QUIET = "red", "green", "yellow", "dim"
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400
#: Below this many seconds a span is told in seconds: a minute is too coarse for a position that lived for four.
_IN_SECONDS: Final = 120

#: What each check looks at, in a trader's words.
SUBJECTS: Final[Mapping[str, str]] = {
    "account_is_active": "account",
    "stack_is_alive": "stack",
    "brokerage_lets_trade": "brokerage:",
    "action_is_permitted": "trade",
    "symbol_is_allowed": "symbol",
    "symbol_is_not_denied": "symbol",
    "strategy_is_known": "strategy",
    "confidence_is_enough": "confidence",
    "recommendation_is_fresh": "signal is old:",
    "features_are_fresh": "inputs are old:",
    "market_is_open_for_entries": "time",
    "opening_minutes_are_over": "time",
    "time_is_within_entry_hours": "time",
    "session_is_long_enough": "session lasts",
    "symbol_is_named": "contract",
    "type_matches_symbol": "instrument",
    "contract_is_tradable": "contract",
    "contract_is_unexpired": "expiration",
    "expiration_is_far_enough": "expires in",
    "expiration_is_near_enough": "expires in",
    "feed_is_alive": "feed silent for",
    "quote_is_fresh": "quote is old:",
    "quote_is_two_sided": "quote",
    "quote_is_uncrossed": "quote crossed:",
    "prices_are_on_the_tick_grid": "prices",
    "spread_is_within_limit": "spread",
    "order_price_is_on_the_class_tick": "price",
    "open_interest_is_enough": "open interest",
    "volume_is_enough": "volume",
    "premium_is_enough": "premium",
    "delta_is_within_range": "delta",
    "volatility_is_bearable": "volatility",
    "quantity_is_at_least_one": "quantity",
    "contracts_are_within_cap": "contracts",
    "symbol_is_not_held": "symbol",
    "direction_is_not_opposed": "opposite",
    "position_count_is_within_limit": "positions would be",
    "positions_in_underlying_are_within_limit": "positions in underlying would be",
    "position_cost_is_within_limit": "position would cost",
    "exposure_is_within_limit": "exposure would be",
    "underlying_exposure_is_within_limit": "exposure in underlying would be",
    "sector_exposure_is_within_limit": "exposure in sector would be",
    "buying_power_is_enough": "cost",
    "trades_of_the_day_are_within_limit": "trades today would be",
    "trades_in_symbol_are_within_limit": "trades in symbol would be",
    "trades_in_underlying_are_within_limit": "trades in underlying would be",
    "symbol_has_cooled_down": "symbol traded before",
    "underlying_has_cooled_down": "underlying traded before",
    "losses_in_a_row_are_within_limit": "losses in a row:",
    "portfolio_delta_is_within_limit": "delta of all would be",
    "portfolio_vega_is_within_limit": "vega of all would be",
    "portfolio_theta_is_within_limit": "theta of all would be",
    "daily_loss_is_within_limit": "day's result",
    "drawdown_is_within_limit": "drawdown",
    "database_wall": "database",
    "market_is_open": "time",
    "quantity_is_in_units": "quantity in",
    "position_is_held": "held",
    "position_is_not_closing": "position is",
}
#: How a bound begins in a check, and in words; anything else is "allowed".
_BOUNDS: Final = (("<= ", "limit "), (">= ", "needs "), ("> ", "needs more than "))
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_DOLLARS: Final = re.compile(r"\d{4,}\.\d\d\b")
_SECONDS: Final = re.compile(r"\b(\d{3,})(\.\d+)? s\b")
_UUID: Final = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")


@lru_cache(maxsize=1000)
def contract(symbol: str) -> str:
    """Return ``MSFT 20Feb26 400P`` for an option, the ticker for a stock, and what cannot be read as it stands."""
    try:
        found = parse_symbol(symbol)
    except NotASymbol:
        return symbol
    if isinstance(found, Stock):
        return symbol
    right = "C" if found.kind is Kind.CALL else "P"
    return f"{found.underlying} {found.expiration:%d%b%y} {found.strike.normalize():f}{right}"


def new_york(at: datetime) -> str:
    return f"{at.astimezone(NEW_YORK):%H:%M:%S}"


def span(seconds: float | None) -> str:
    """Return ``95 s``, ``29 min``, ``3:30 h`` or ``2 d 4 h``."""
    if seconds is None:
        return UNKNOWN
    whole = max(0, int(seconds))
    if whole < _IN_SECONDS:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S}:{whole % _HOUR_S // _MINUTE_S:02} h"
    return f"{whole // _DAY_S} d {whole % _DAY_S // _HOUR_S} h"


def refusal(check: Mapping[str, Any]) -> str:
    """Say what a failed check saw and what it allows."""
    subject = SUBJECTS.get(check["gate"], str(check["gate"]).replace("_", " "))
    return f"{subject} {_readable(check['observed'])}, {_allowed(check['allowed'])}"


def _allowed(text: str) -> str:
    for sign, words in _BOUNDS:
        if text.startswith(sign):
            return words + _readable(text.removeprefix(sign))
    return f"allowed {_readable(text)}"


def _readable(text: str) -> str:
    text = _MOMENT.sub(lambda m: new_york(datetime.fromisoformat(m[0])), text)
    text = _DOLLARS.sub(lambda m: f"{Decimal(m[0]):,}", text)
    text = _SECONDS.sub(lambda m: span(int(m[1])), text)
    return _UUID.sub(r"\1", text)


def gain(amount: Decimal | None, places: int = 2, unit: str = "") -> Text:
    """Return a signed number: a loss is red, a gain green, none of both plain; unknown says so."""
    if amount is None:
        return Text(UNKNOWN, style=QUIET)
    shown = round(amount, places)
    style = LOSS if shown < 0 else GAIN if shown > 0 else ""
    return Text(f"{shown:+,.{places}f}{unit}" if shown else f"{abs(shown):.{places}f}{unit}", style=style)


def bar(used: Decimal | int, limit: Decimal | int, width: int, *, ascii_only: bool) -> Text:
    """Return a bar of *width* cells: full and yellow exactly when the limit is reached; anything used shows a cell."""
    full, rest = ("#", ".") if ascii_only else ("█", "░")
    if used >= limit:
        return Text(full * width, style=LIMIT)
    cells = min(width - 1, max(1 if used > 0 else 0, int(width * used / limit)))
    return Text(full * cells + rest * (width - cells))
