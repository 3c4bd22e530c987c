"""The last quote of what is held, and what it was worth at a session's open. Dollars a share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Connection, text

from domain.events import Quote
from domain.ids import AccountName, PositionId
from domain.known import Known, Unknown
from domain.loss import mark_of
from domain.prices import usable_ask, usable_bid
from domain.session import Session


@dataclass(frozen=True, slots=True)
class OpenMark:
    """A position was worth *price* at *at*, the first moment of the session of *day* at which anybody looked."""

    position_id: PositionId
    day: date
    price: Decimal
    at: datetime


def keep(tx: Connection, quotes: Sequence[Quote]) -> None:
    """Write the last quote of each symbol and when each side was last a price; an older one replaces nothing newer."""
    if not quotes:
        return
    found = [_Mark.of(known) for _, known in sorted(_by_symbol(quotes).items())]
    tx.execute(
        text(
            "INSERT INTO marks (symbol, bid, ask, at, bid_at, ask_at)"
            " SELECT * FROM unnest(CAST(:symbols AS text[]), CAST(:bids AS numeric[]), CAST(:asks AS numeric[]),"
            " CAST(:ats AS timestamptz[]), CAST(:bid_ats AS timestamptz[]), CAST(:ask_ats AS timestamptz[]))"
            " ON CONFLICT (symbol) DO UPDATE SET"
            " bid = CASE WHEN marks.at < excluded.at THEN excluded.bid ELSE marks.bid END,"
            " ask = CASE WHEN marks.at < excluded.at THEN excluded.ask ELSE marks.ask END,"
            " at = greatest(marks.at, excluded.at),"
            " bid_at = greatest(marks.bid_at, excluded.bid_at),"
            " ask_at = greatest(marks.ask_at, excluded.ask_at)"
        ),
        {
            "symbols": [m.last.symbol for m in found],
            "bids": [m.last.bid for m in found],
            "asks": [m.last.ask for m in found],
            "ats": [m.last.at for m in found],
            "bid_ats": [m.bid_at for m in found],
            "ask_ats": [m.ask_at for m in found],
        },
    )


@dataclass(frozen=True, slots=True)
class _Mark:
    """The last quote of a symbol, and when each side was last a price, None: never."""

    last: Quote
    bid_at: datetime | None
    ask_at: datetime | None

    @classmethod
    def of(cls, quotes: Sequence[Quote]) -> _Mark:
        return cls(
            last=max(quotes, key=lambda q: q.at),
            bid_at=max((q.at for q in quotes if usable_bid(q) is not None), default=None),
            ask_at=max((q.at for q in quotes if usable_ask(q) is not None), default=None),
        )


def _by_symbol(quotes: Sequence[Quote]) -> Mapping[str, Sequence[Quote]]:
    found: dict[str, list[Quote]] = {}
    for quote in quotes:
        found.setdefault(quote.symbol, []).append(quote)
    return found


def keep_open(tx: Connection, marks: Iterable[OpenMark]) -> None:
    """Write marks of a session's open; the first one stays."""
    rows = [{"id": m.position_id, "day": m.day, "price": m.price, "at": m.at} for m in marks]
    if rows:
        tx.execute(
            text(
                "INSERT INTO session_marks (position_id, day, price, at) VALUES (:id, :day, :price, :at)"
                " ON CONFLICT (position_id, day) DO NOTHING"
            ),
            rows,
        )


def held(tx: Connection, now: datetime, blind_since: datetime) -> Mapping[str, bool]:
    """Return what is held while its market is open, blind symbols first: those without a price since *blind_since*.

    A price is one at the side that a position leaves at, since its opening. A calendar that ends is no closed market.
    """
    rows = tx.execute(
        text(
            "SELECT p.symbol, bool_or(greatest(p.opened_at, CASE WHEN p.qty > 0 THEN m.bid_at ELSE m.ask_at END)"
            "                         <= :blind_since) AS is_blind"
            " FROM positions p LEFT JOIN marks m USING (symbol) WHERE p.closed_at IS NULL"
            " AND (EXISTS (SELECT 1 FROM sessions WHERE open <= :now AND :now < close)"
            "      OR NOT EXISTS (SELECT 1 FROM sessions WHERE close > :now))"
            " GROUP BY p.symbol ORDER BY is_blind DESC, p.symbol"
        ),
        {"now": now, "blind_since": blind_since},
    )
    return {row.symbol: row.is_blind for row in rows}


def level(tx: Connection, symbol: str) -> Known[Decimal] | Unknown:
    """Return the middle of the last quote of *symbol*; one side alone is no level."""
    row = tx.execute(
        text("SELECT (bid + ask) / 2 AS mid, at FROM marks WHERE symbol = :symbol AND bid_at = at AND ask_at = at"),
        {"symbol": symbol},
    ).one_or_none()
    return Unknown(f"no two-sided quote of {symbol}", "marks") if row is None else Known(row.mid, row.at, "marks")


def at_open(tx: Connection, account: AccountName, day: date) -> Mapping[PositionId, OpenMark]:
    """Return what the positions of *account* were worth at the open of *day*."""
    rows = tx.execute(
        text(
            "SELECT position_id, s.day, s.price, s.at FROM session_marks s JOIN positions USING (position_id)"
            " WHERE account = :account AND s.day = :day"
        ),
        {"account": account, "day": day},
    )
    return {r.position_id: OpenMark(r.position_id, r.day, r.price, r.at) for r in rows}


def unmarked(tx: Connection, account: AccountName, session: Session) -> Mapping[PositionId, str]:
    """Return the symbols of open positions from before the open of *session* that nobody marked since."""
    rows = tx.execute(
        text(
            "SELECT position_id, symbol FROM positions p WHERE account = :account AND closed_at IS NULL"
            " AND opened_at < :open AND NOT EXISTS"
            " (SELECT 1 FROM session_marks s WHERE s.position_id = p.position_id AND s.day = :day)"
        ),
        {"account": account, "open": session.open, "day": session.day},
    )
    return {r.position_id: r.symbol for r in rows}


def of_held(tx: Connection, account: AccountName) -> Mapping[str, Known[Decimal] | Unknown]:
    """Return the mark of each open position's symbol, as exit last saw it."""
    rows = tx.execute(
        text(
            "SELECT p.symbol, m.bid, m.ask, m.at FROM positions p LEFT JOIN marks m USING (symbol)"
            " WHERE p.account = :account AND p.closed_at IS NULL"
        ),
        {"account": account},
    )
    return {
        r.symbol: Unknown("exit has not seen a price", "marks")
        if r.at is None
        else mark_of(r.bid, r.ask, r.at, "marks")
        for r in rows
    }


def last_quotes(tx: Connection) -> Mapping[str, Quote]:
    """Return the last quote of each symbol that is held, as exit last saw it; sizes are not kept."""
    rows = tx.execute(
        text(
            "SELECT symbol, bid, ask, at FROM marks"
            " WHERE symbol IN (SELECT symbol FROM positions WHERE closed_at IS NULL)"
        )
    )
    return {r.symbol: Quote(symbol=r.symbol, bid=r.bid, ask=r.ask, bid_size=0, ask_size=0, at=r.at) for r in rows}
