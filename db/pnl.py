"""Profit and loss of an account since its session's open, from fills and marks.

Realised and unrealised are one sum: the cash that flowed since the open, plus what is held at its mark, less what was
held at the open at its mark of then. Where nobody looked at the open, the worst that can have happened is counted:
a long is measured from the best price that it ever had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, text

from db import fills
from db import marks as marks_of
from db.marks import OpenMark
from domain.ids import AccountName
from domain.known import Known, Unknown
from domain.loss import Day, day_of
from domain.money import usd
from domain.session import Session

Mark = Known[Decimal] | Unknown


@dataclass(frozen=True, slots=True)
class _Part:
    """What one position made. *guessed*: its symbol, when its price at the open had to be."""

    usd: Decimal
    at: datetime
    guessed: str | None


def since_open(
    tx: Connection,
    account: AccountName,
    marks: Mapping[str, Mark],
    session: Known[Session] | Unknown,
    now: datetime,
    max_mark_age: timedelta,
    floor_usd: Decimal,
) -> Known[Decimal] | Unknown:
    """Return dollars since the session's open; Unknown when a mark is missing or older than *max_mark_age*.

    What rests on a guess is at worst so much: above *floor_usd* it is known to be enough, else it is unknown.
    """
    if isinstance(session, Unknown):
        return session
    opened = session.value.open
    at_open = marks_of.at_open(tx, account, session.value.day)
    parts: list[_Part] = []
    for row in _touched(tx, account, opened):
        day = day_of(fills.of_position(tx, row.position_id), opened)
        part = _part(row, day, marks, at_open.get(row.position_id), opened, now, max_mark_age)
        if isinstance(part, Unknown):
            return part
        parts.append(part)
    total = sum((part.usd for part in parts), start=Decimal(0))
    guessed = [part.guessed for part in parts if part.guessed]
    said = f"price at the open unknown, counted at worst: {', '.join(guessed)}"
    if guessed and total <= floor_usd:
        return Unknown(f"at worst {usd(total)}; {said}", "fills and marks")
    oldest = min((part.at for part in parts), default=now)
    return Known(total, oldest, f"fills and marks; {said}" if guessed else "fills and marks")


def _touched(tx: Connection, account: AccountName, opened: datetime) -> Sequence[Row[Any]]:
    rows: Sequence[Row[Any]] = tx.execute(
        text(
            "SELECT p.position_id, symbol, qty, entry_price, multiplier, peak"
            " FROM positions p JOIN exit_plans e ON e.position_id = p.position_id"
            " WHERE account = :account AND (closed_at IS NULL OR closed_at >= :opened) ORDER BY p.position_id"
        ),
        {"account": account, "opened": opened},
    ).all()
    return rows


def _part(
    row: Row[Any],
    day: Day,
    marks: Mapping[str, Mark],
    at_open: OpenMark | None,
    opened: datetime,
    now: datetime,
    max_mark_age: timedelta,
) -> _Part | Unknown:
    if day.unexplained:
        return Unknown(f"{row.symbol} left without a known price", "fills")
    mark = _mark(row.symbol, marks, now, max_mark_age) if day.held else Known(Decimal(0), now, "fills")
    if isinstance(mark, Unknown):
        return mark
    is_in_time = at_open is not None and at_open.at - opened <= max_mark_age
    guess = bool(day.held_at_open) and not is_in_time
    start = at_open.price if at_open is not None and is_in_time else _best(row, day.held_at_open > 0)
    return _Part(day.pnl(start, mark.value) * row.multiplier, mark.at, row.symbol if guess else None)


def _mark(symbol: str, marks: Mapping[str, Mark], now: datetime, max_age: timedelta) -> Mark:
    mark = marks.get(symbol, Unknown(f"no mark for {symbol}", "quotes"))
    if isinstance(mark, Unknown):
        return Unknown(f"{symbol}: {mark.reason}", mark.source)
    age = now - mark.at
    if age > max_age:
        said = f"{symbol}: its mark is {age.total_seconds():.0f} s old, at most {max_age.total_seconds():.0f} s count"
        return Unknown(said, mark.source)
    return mark


def _best(row: Row[Any], is_long: bool) -> Decimal:
    """Return the best price that the position has had, as far as anybody saw."""
    best = max if is_long else min
    found: Decimal = row.entry_price if row.peak is None else best(row.entry_price, row.peak)
    return found
