"""What the live view shows, read at one moment: one transaction, a few rows, the tail of the ticks.

There is no table of marks: the last quote of a symbol is what its stream said last. It is kept in memory once it was
seen; a symbol that nobody has quoted is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any, Final, Protocol

import redis
from sqlalchemy import Connection, Engine

from cli import documents
from cli.groups import groups_of
from cli.settings import Settings
from db import latencies, recent, views
from db.views import Rows, one_moment
from domain.events import Quote, QuotesTicked
from domain.money import change_pct
from domain.session import NEW_YORK, trading_day
from streams.codec import Undecodable, decode
from streams.names import Stream, partitioned
from streams.progress import GroupProgress, progress

#: As many rows of decisions and closed positions as the tallest terminal shows.
ROWS: Final = 20
#: How far back a partition's ticks are looked at in one refresh: entries of one frame each.
_TAIL: Final = 200
_HUNDRED: Final = Decimal(100)

Row = Mapping[str, Any]


class Source(Protocol):
    """The part of a running stack that is looked at."""

    @property
    def settings(self) -> Settings: ...
    @property
    def engine(self) -> Engine: ...
    @property
    def client(self) -> redis.Redis: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An open position with its mark: the side that a close would trade at, None when it is not known.

    *no_price* then says what is missing. *pnl_usd* and *pnl_pct* are of what is held now, against its entry price.
    *leaving* is empty unless something has decided to close it. *coming*: how far the price is from the rule that it
    meets next, and which that is; the number stands first: it survives when the line is cut. Empty while unknown.
    """

    account: str
    symbol: str
    qty: int
    entry_price: Decimal
    price: Decimal | None
    no_price: str
    quoted_age_s: float | None
    pnl_usd: Decimal | None
    pnl_pct: Decimal | None
    held_s: float
    leaving: str
    coming: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """*today_usd* is what left today plus what is open at its marks; None: a part of it is not known."""

    name: str
    state: str
    state_reason: str
    loss_latched: bool
    positions: int
    max_positions: int
    exposure_usd: Decimal
    max_exposure_usd: Decimal
    realized_usd: Decimal | None
    open_usd: Decimal | None

    @property
    def today_usd(self) -> Decimal | None:
        if self.realized_usd is None or self.open_usd is None:
            return None
        return self.realized_usd + self.open_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One moment. *groups* is None when the streams did not answer."""

    now: datetime
    mode: str
    session: Row
    accounts: Sequence[Account]
    positions: Sequence[Held]
    decisions: Rows
    orders: Sequence[Row]
    closed: Rows
    counts: Row
    breaches: int
    gap_ms: Mapping[str, float | None]
    groups: Sequence[GroupProgress] | None

    @property
    def worst(self) -> GroupProgress | None:
        """The group that is furthest behind, None when all have caught up or nobody answers."""
        behind = [group for group in self.groups or () if not group.is_caught_up]
        return max(behind, key=lambda group: group.oldest_age_ms or 0, default=None)


@dataclass(slots=True)
class Marks:
    """The last quote of each symbol, from the tail of the ticks."""

    _quotes: dict[str, Quote] = field(default_factory=dict)
    _read_to: dict[str, str] = field(default_factory=dict)
    _wanted: frozenset[str] = frozenset()

    def read(self, client: redis.Redis, partitions: int, wanted: frozenset[str]) -> None:
        """Read what was added since the last time, for the symbols that are *wanted*.

        A symbol that was not wanted before may stand further back, so then the whole tail is read again.

        Raises:
            redis.RedisError: the server is away; what was known stays known.
        """
        if not wanted <= self._wanted:
            self._read_to.clear()
        for partition in range(partitions if wanted else 0):
            self._read_tail(client, partitioned(Stream.TICKS, partition), wanted)
        self._wanted = wanted

    def of(self, symbol: str) -> Quote | None:
        return self._quotes.get(symbol)

    def _read_tail(self, client: redis.Redis, stream: str, wanted: frozenset[str]) -> None:
        since = f"({self._read_to[stream]}" if stream in self._read_to else "-"
        newest_first: Any = client.xrevrange(stream, min=since, count=_TAIL)
        names = [symbol.encode() for symbol in wanted]
        for _, entry in reversed(newest_first):
            body = entry.get(b"body", b"")
            if any(name in body for name in names):  # most frames are of others: they are not worth decoding
                self._take(entry, wanted)
        if newest_first:
            self._read_to[stream] = newest_first[0][0].decode()

    def _take(self, entry: Mapping[bytes, bytes], wanted: frozenset[str]) -> None:
        try:
            fact = decode(entry)
        except Undecodable:  # not ours to complain about: the exit reads the same entry and buries it
            return
        if isinstance(fact, QuotesTicked):
            self._quotes |= {quote.symbol: quote for quote in fact.quotes if quote.symbol in wanted}


def look(source: Source, marks: Marks, now: datetime) -> Snapshot:
    """Return what rows and streams say at this moment; *now* is the clock of the day.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database does not answer.
    """
    partitions = source.settings.stack.partitions
    with one_moment(source.engine) as tx:
        rows = documents.positions(tx, now, source.settings.sources())["items"]
        groups = _streams(source.client, partitions, marks, frozenset(row["symbol"] for row in rows))
        held = [_held(row, marks.of(row["symbol"]), now) for row in rows]
        since = datetime.combine(trading_day(now), time.min, NEW_YORK).astimezone(UTC)
        return Snapshot(
            now=now,
            mode=source.settings.brokerage.mode,
            session=documents.session(tx, now),
            accounts=_accounts(tx, held, now, since),
            positions=held,
            decisions=recent.decisions(tx, ROWS),
            orders=documents.orders(tx, now, live=True)["items"],
            closed=[row | {"pnl_pct": _result_pct(row)} for row in recent.closed_positions(tx, ROWS)],
            counts=recent.counts(tx, since),
            breaches=views.breaches(tx),
            gap_ms=latencies.percentiles(tx, "fill_to_position_ms"),
            groups=groups,
        )


def _streams(
    client: redis.Redis, partitions: int, marks: Marks, wanted: frozenset[str]
) -> Sequence[GroupProgress] | None:
    """Streams that are away are shown as such: what the rows say is worth seeing just then."""
    try:
        marks.read(client, partitions, wanted)
        return progress(client, groups_of(partitions)).groups
    except redis.RedisError:
        return None


def _held(row: Row, quote: Quote | None, now: datetime) -> Held:
    entry, qty = Decimal(row["entry_price"]), row["qty"]
    side = "bid" if qty > 0 else "ask"
    price: Decimal | None = getattr(quote, side, None)
    return Held(
        account=row["account"],
        symbol=row["symbol"],
        qty=qty,
        entry_price=entry,
        price=price,
        no_price="unknown" if quote is None else f"no {side}",
        quoted_age_s=None if quote is None else (now - quote.at).total_seconds(),
        pnl_usd=None if price is None else (price - entry) * qty * row["multiplier"],
        pnl_pct=None if price is None else change_pct(entry, price) * (1 if qty > 0 else -1),
        held_s=row["age_s"],
        leaving=_leaving(row),
        coming=_coming(row),
    )


def _coming(row: Row) -> str:
    """Return the next rule of price with its distance, as the exit last saw the price."""
    name = row["next_rule"]["price"]
    found = next((rule for rule in row["rules"] if rule["rule"] == name), None)
    return "" if found is None else f"{Decimal(found['distance']):+.2f} {name.replace('_', ' ')}"


def _leaving(row: Row) -> str:
    """Return the rule that closes the position, with the number of tries once the first was in vain."""
    if row["triggered_rule"] is None:
        return "closing" if row["state"] == "closing" else ""
    rule = str(row["triggered_rule"]).replace("_", " ")
    tries = row["close_blocked"] or 0
    return f"{rule} {tries} x" if tries > 1 else rule


def _accounts(tx: Connection, held: Sequence[Held], now: datetime, since: datetime) -> list[Account]:
    realized = recent.realized_usd(tx, since)
    return [
        Account(
            name=row["account"],
            state=row["state"],
            state_reason=row["state_reason"],
            loss_latched=row["loss_latched"],
            positions=row["positions"],
            max_positions=row["limits"]["max_positions"],
            exposure_usd=Decimal(row["exposure_usd"]),
            max_exposure_usd=Decimal(row["limits"]["max_exposure_usd"]),
            realized_usd=realized.get(row["account"], Decimal(0)),
            open_usd=_sum(h.pnl_usd for h in held if h.account == row["account"]),
        )
        for row in documents.accounts(tx, now)["items"]
    ]


def _sum(amounts: Any) -> Decimal | None:
    """Return the sum, None as soon as one of them is not known."""
    total = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total


def _result_pct(row: Row) -> Decimal | None:
    """Return what a closed position brought, in per cent of what it cost when it was largest."""
    if row["realized_pnl_usd"] is None:
        return None
    result: Decimal = row["realized_pnl_usd"] / (row["entry_price"] * row["max_qty"] * row["multiplier"]) * _HUNDRED
    return result
