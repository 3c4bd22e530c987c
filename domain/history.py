"""What an account has traded lately, read from its rows under its lock: nothing here is counted in memory."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from domain.known import Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One account, seen by a decision about one symbol. Trades are our openings that live or have filled at all.

    *trades* counts those of the New York day in any symbol, *in_symbol* and *in_underlying* those in the decision's
    own. *symbol_at* and *underlying_at* are the latest opening or close there, of any day; None means never.
    *losses_in_a_row* are the latest positions closed on the New York day, back to the last that did not lose.
    """

    trades: int
    in_symbol: int
    in_underlying: int
    symbol_at: datetime | None
    underlying_at: datetime | None
    losses_in_a_row: int | Unknown
