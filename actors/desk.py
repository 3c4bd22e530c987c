"""What every actor has at hand: the database, the clock, its origin, and the way out through the outbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, Engine

from db import leases, outbox
from db.leases import Lease
from domain.events import Fact
from domain.ids import AccountName
from monitoring.metrics import ActorMetrics
from streams.codec import encode
from streams.names import Stream, partition_of, partitioned

#: The lease under which the running handler reads its partition; set by the runtime around each call.
held_lease: ContextVar[Lease | None] = ContextVar("held_lease", default=None)
#: Whether the running handler has put anything into the outbox: without it there is nothing to publish.
announced: ContextVar[bool] = ContextVar("announced", default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """*clock* is the market's time (a recorded day has its own), *wall* the machine's: only latencies use it."""

    engine: Engine
    clock: Callable[[], datetime]
    wall: Callable[[], datetime]
    origin: str
    partitions: int
    metrics: ActorMetrics = field(default_factory=ActorMetrics)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Open a transaction; under a lease it also proves that the lease is still ours, until it ends.

        Raises:
            LeaseLost: somebody else reads this partition now, nothing is written.
        """
        with self.engine.begin() as tx:
            lease = held_lease.get()
            if lease is not None:
                leases.require(tx, lease)
            yield tx

    def announce(self, tx: Connection, stream: Stream, fact: Fact, account: AccountName | None = None) -> None:
        """Let *fact* leave for *stream* with the transaction; streams of accounts are partitioned by them."""
        key = stream.value if account is None else partitioned(stream, partition_of(account, self.partitions))
        outbox.put(tx, _parcel(key, fact))
        announced.set(True)

    def announce_all(self, tx: Connection, stream: Stream, facts: Sequence[Fact]) -> None:
        """Let *facts* leave together for *stream*, which is not partitioned."""
        outbox.put_many(tx, [_parcel(stream.value, fact) for fact in facts])
        announced.set(True)


def _parcel(stream: str, fact: Fact) -> outbox.Parcel:
    fields = encode(fact)
    return outbox.Parcel(stream=stream, fact_id=fact.id, type=fields["type"].decode(), body=fields["body"].decode())
