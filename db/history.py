"""What an account has traded lately: its openings of the day, its last trades in a symbol, its losses in a row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, text

from domain.history import History
from domain.ids import AccountName
from domain.known import Unknown
from domain.session import day_began

#: A trade is an opening of ours that still may fill or has filled; what ended without a fill was none.
#: What somebody else opened in the account is no trade of ours: it counts as a commitment.
_TRADE: Final = (
    "account = :account AND opening AND NOT external"
    " AND (ended_at IS NULL OR filled_qty > 0 OR coalesce(final_filled_qty, 0) > 0)"
)
_TRADES: Final = (
    "SELECT count(*) AS trades, count(*) FILTER (WHERE symbol = :symbol) AS in_symbol,"
    " count(*) FILTER (WHERE underlying = :underlying) AS in_underlying"
    f" FROM orders WHERE {_TRADE} AND approved_at >= :day"
)
_LATEST: Final = (
    "SELECT max(at) FILTER (WHERE symbol = :symbol) AS symbol_at, max(at) AS underlying_at FROM ("
    f" SELECT symbol, approved_at AS at FROM orders WHERE {_TRADE} AND underlying = :underlying"
    " UNION ALL SELECT symbol, closed_at FROM positions"
    " WHERE account = :account AND underlying = :underlying AND closed_at IS NOT NULL) AS moves"
)
_CLOSES: Final = (
    "SELECT array_agg(symbol ORDER BY closed_at DESC, position_id) AS closed,"
    " array_agg(realized_pnl_usd ORDER BY closed_at DESC, position_id) AS pnl_usd"
    " FROM positions WHERE account = :account AND closed_at >= :day"
)
#: One question: whoever decides next waits for its answer.
_HISTORY: Final = text(f"SELECT * FROM ({_TRADES}) AS trades, ({_LATEST}) AS latest, ({_CLOSES}) AS closes")


def read(tx: Connection, account: AccountName, symbol: str, underlying: str, now: datetime) -> History:
    """Return what *account* has traded until *now*, for a decision about *symbol*. Call it under the account's lock."""
    values = {"account": account, "symbol": symbol, "underlying": underlying, "day": day_began(now)}
    row = tx.execute(_HISTORY, values).one()
    return History(
        trades=row.trades,
        in_symbol=row.in_symbol,
        in_underlying=row.in_underlying,
        symbol_at=row.symbol_at,
        underlying_at=row.underlying_at,
        losses_in_a_row=_losses(list(zip(row.closed or (), row.pnl_usd or (), strict=True))),
    )


def _losses(closes: Sequence[tuple[str, Decimal | None]]) -> int | Unknown:
    """Count the losses, the latest first, until one was none; what left without a price may be either."""
    for number, (symbol, pnl_usd) in enumerate(closes):
        if pnl_usd is None:
            return Unknown(f"{symbol} left without a known price", "positions")
        if pnl_usd >= 0:
            return number
    return len(closes)
