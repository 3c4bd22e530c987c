"""What the brokerage booked without an order: each once, and how much of it is in positions by now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, text

from domain.events import ActivityBooked, PositionSettled, Settlement
from domain.ids import AccountName, FactId
from domain.session import trading_day

#: An activity is listed at most so long after the newest one that is known.
LATE: Final = timedelta(days=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unapplied:
    """An activity of which *qty* (signed) is in no position yet; *applied_qty* units of it are."""

    activity_id: str
    account: AccountName
    kind: Settlement
    word: str
    description: str
    day: date
    symbol: str
    qty: int
    applied_qty: int
    price: Decimal
    fact_id: FactId
    at: datetime


def insert(tx: Connection, fact: PositionSettled | ActivityBooked, read_at: datetime) -> bool:
    """Record what was booked; False when it is there already."""
    values: dict[str, Any] = {
        "account": fact.account,
        "activity_id": fact.activity_id,
        "day": trading_day(fact.at),
        "symbol": fact.symbol,
        "net": fact.net_amount_usd,
        "description": fact.description,
        "fact_id": fact.id,
        "at": fact.at,
        "read_at": read_at,
    } | _moves(fact)
    inserted = tx.execute(
        text(
            "INSERT INTO activities (account, activity_id, word, kind, day, symbol, qty, price, net_amount_usd,"
            " description, fact_id, at, read_at) VALUES (:account, :activity_id, :word, :kind, :day, :symbol, :qty,"
            " :price, :net, :description, :fact_id, :at, :read_at) ON CONFLICT (account, activity_id) DO NOTHING"
        ),
        values,
    ).rowcount
    return inserted == 1


def _moves(fact: PositionSettled | ActivityBooked) -> dict[str, Any]:
    if isinstance(fact, PositionSettled):
        return {"word": fact.kind, "kind": fact.kind, "qty": fact.qty, "price": fact.price}
    return {"word": fact.word, "kind": None, "qty": None, "price": None}


def unapplied(tx: Connection, account: AccountName, symbol: str) -> Sequence[Unapplied]:
    """Return what was booked of *symbol* and is not in positions yet, the earliest first, and hold it."""
    rows = tx.execute(
        text(
            "SELECT * FROM activities WHERE account = :account AND symbol = :symbol AND kind IS NOT NULL"
            " AND applied_qty < abs(qty) ORDER BY day, activity_id FOR UPDATE"
        ),
        {"account": account, "symbol": symbol},
    )
    return [
        Unapplied(
            activity_id=r.activity_id,
            account=AccountName(r.account),
            kind=Settlement(r.kind),
            word=r.word,
            description=r.description,
            day=r.day,
            symbol=r.symbol,
            qty=r.qty - r.applied_qty if r.qty > 0 else r.qty + r.applied_qty,
            applied_qty=r.applied_qty,
            price=r.price,
            fact_id=FactId(r.fact_id),
            at=r.at,
        )
        for r in rows
    ]


def apply(tx: Connection, activity: Unapplied, units: int) -> None:
    """Record that *units* more of it are in a position."""
    tx.execute(
        text(
            "UPDATE activities SET applied_qty = applied_qty + :units"
            " WHERE account = :account AND activity_id = :activity_id"
        ),
        {"units": units, "account": activity.account, "activity_id": activity.activity_id},
    )


def ours_since(tx: Connection, account: AccountName) -> date:
    """Return the day on which *account* became ours."""
    moment: datetime = tx.execute(
        text("SELECT ours_since FROM accounts WHERE account = :account"), {"account": account}
    ).scalar_one()
    return trading_day(moment)


def known(tx: Connection, account: AccountName) -> tuple[date, frozenset[str]]:
    """Return the first day of which something may be missing, and the activities that are stored from there on.

    That is LATE before the newest activity, or earlier where a position left without a known price; never before the
    account became ours.
    """
    row = tx.execute(
        text(
            "SELECT ours_since, (SELECT max(day) FROM activities a WHERE a.account = :account) AS newest,"
            " (SELECT min(closed_at) FROM positions p WHERE p.account = :account AND closed_at IS NOT NULL"
            "   AND realized_pnl_usd IS NULL) AS unknown_since FROM accounts WHERE account = :account"
        ),
        {"account": account},
    ).one()
    ours = trading_day(row.ours_since)
    newest = ours if row.newest is None else row.newest - LATE
    since = max(ours, newest if row.unknown_since is None else min(newest, trading_day(row.unknown_since)))
    ids = tx.execute(
        text("SELECT activity_id FROM activities WHERE account = :account AND day >= :since"),
        {"account": account, "since": since},
    )
    return since, frozenset(ids.scalars())


def unhandled(tx: Connection) -> Sequence[tuple[AccountName, str, int]]:
    """Return how many activities of each word, by account, no rule of ours turned into a fill."""
    rows = tx.execute(
        text(
            "SELECT account, word, count(*) AS n FROM activities WHERE kind IS NULL GROUP BY account, word"
            " ORDER BY account, word"
        )
    )
    return [(AccountName(r.account), r.word, r.n) for r in rows]
