"""What feeds needs of streams and rows: publishing a frame in one step, and what is wanted, pending and stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

import redis
from sqlalchemy import Engine

from actors.bookings import Booked
from actors.catch_up import OVERLAP, Stored
from actors.desk import Desk
from actors.feeds import Doors
from actors.second_look import BLIND_AFTER, SecondDoors
from cli.burial import bury_frame
from db import activities, fills, marks, orders, positions, thetas
from domain.events import Fact, Quote, QuotesTicked
from domain.ids import AccountName, FactId
from streams.codec import encode
from streams.names import FED_KEY, QUOTED_KEY, TICKS_MAXLEN, Stream, partition_of, partitioned


@dataclass(frozen=True, slots=True)
class Feeding:
    """*watch*: symbols whose quotes are wanted even when nothing is held."""

    engine: Engine
    client: redis.Redis
    desk: Desk
    watch: tuple[str, ...]
    #: The stock whose price says how agitated the market is, as it is configured now.
    volatility: Callable[[], str | None]

    def second_doors(self) -> SecondDoors:
        return SecondDoors(held=self.held, volatility=self.volatility, publish=self.publish, keep=self.keep)

    def doors(self) -> Doors:
        return Doors(
            publish=self.publish,
            bury=partial(bury_frame, self.desk),
            wanted=self.wanted,
            pending=self.pending,
            stored=self.stored,
            booked=self.booked,
            wall=self.desk.wall,
        )

    def publish(self, stream: str, facts: Sequence[Fact], counter: str, counted: int) -> None:
        """Append the facts of one frame and count its messages in one step."""
        with self.client.pipeline(transaction=True) as pipe:
            for key, fact in self._routed(stream, facts):
                maxlen = TICKS_MAXLEN if stream == Stream.TICKS else None
                fields: dict[Any, Any] = dict(encode(fact))
                pipe.xadd(key, fields, maxlen=maxlen)
            if quoted := _quoted(facts):
                pipe.hset(QUOTED_KEY, mapping=quoted)
            if counted:
                pipe.hincrby(FED_KEY, counter, counted)
            pipe.execute()

    def _routed(self, stream: str, facts: Sequence[Fact]) -> list[tuple[str, Fact]]:
        count = self.desk.partitions
        return [
            (partitioned(Stream(stream), partition), part) for fact in facts for partition, part in _parts(fact, count)
        ]

    def wanted(self) -> tuple[str, ...]:
        """Return whose quotes are wanted, in the order of importance: a feed may not carry all of them."""
        with self.engine.connect() as tx:
            held = {p.symbol for p in positions.all_open(tx)}
            pending = {row.order.symbol for row in orders.live(tx)}
        level = self.volatility()
        watched = (*self.watch, *([] if level is None else [level]))
        return tuple(dict.fromkeys((*sorted(held), *sorted(pending), *watched)))

    def held(self, now: datetime) -> Mapping[str, bool]:
        """Return what is held while its market is open, and whether it has had no usable price for a while."""
        with self.engine.connect() as tx:
            return marks.held(tx, now, now - BLIND_AFTER)

    def keep(self, levels: Sequence[Quote], learned: Mapping[str, Decimal], at: datetime) -> None:
        with self.engine.begin() as tx:
            marks.keep(tx, levels)
            thetas.keep(tx, learned, at)

    def pending(self, account: AccountName) -> list[tuple[str, str]]:
        with self.engine.connect() as tx:
            live = orders.live(tx, account)
        return [(r.order.client_order_id, r.broker_order_id or "") for r in live if not r.external]

    def stored(self, account: AccountName) -> Stored:
        with self.engine.connect() as tx:
            return Stored(*fills.stored(tx, account, OVERLAP))

    def booked(self, account: AccountName) -> Booked:
        with self.engine.connect() as tx:
            return Booked(*activities.known(tx, account))


def _quoted(facts: Sequence[Fact]) -> dict[Any, Any]:
    """Return when each symbol was last quoted, in seconds since 1970."""
    return {q.symbol: q.at.timestamp() for f in facts if isinstance(f, QuotesTicked) for q in f.quotes}


def _parts(fact: Fact, partitions: int) -> list[tuple[int, Fact]]:
    """Return *fact* for its partition; the quotes of a frame are split by symbol."""
    if not isinstance(fact, QuotesTicked):
        return [(partition_of(getattr(fact, "account", ""), partitions), fact)]
    if partitions == 1:
        return [(0, fact)]
    found: dict[int, list[Any]] = {}
    for quote in fact.quotes:
        found.setdefault(partition_of(quote.symbol, partitions), []).append(quote)
    return [
        (p, QuotesTicked(id=FactId(f"{fact.id}/{p}"), at=fact.at, schema=1, feed=fact.feed, quotes=tuple(quotes)))
        for p, quotes in sorted(found.items())
    ]
