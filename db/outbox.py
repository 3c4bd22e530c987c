"""Facts decided in a transaction, published after it commits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, text

#: How many facts are published in one transaction.
PAGE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One encoded fact on its way to *stream*."""

    stream: str
    fact_id: str
    type: str
    body: str


def put(tx: Connection, parcel: Parcel) -> None:
    """Add one fact to the transaction."""
    tx.execute(
        text("INSERT INTO outbox (stream, fact_id, type, body) VALUES (:stream, :fact_id, :type, :body)"),
        {"stream": parcel.stream, "fact_id": parcel.fact_id, "type": parcel.type, "body": parcel.body},
    )


def put_many(tx: Connection, parcels: Sequence[Parcel]) -> None:
    """Add facts to the transaction, to leave in this order."""
    tx.execute(
        text(
            "INSERT INTO outbox (stream, fact_id, type, body)"
            " SELECT stream, fact_id, type, body FROM unnest(CAST(:streams AS text[]), CAST(:fact_ids AS text[]),"
            " CAST(:types AS text[]), CAST(:bodies AS text[]))"
            " WITH ORDINALITY AS parcel (stream, fact_id, type, body, number) ORDER BY number"
        ),
        {
            "streams": [p.stream for p in parcels],
            "fact_ids": [p.fact_id for p in parcels],
            "types": [p.type for p in parcels],
            "bodies": [p.body for p in parcels],
        },
    )


def drain(engine: Engine, send: Callable[[Sequence[Parcel]], object], limit: int = PAGE) -> int:
    """Send the oldest unpublished facts and return how many; as many as *limit* means that there may be more.

    A crash between *send* and commit sends again: readers deduplicate by fact id. Several drains at once take
    turns, so that what one actor decided first is also published first.
    """
    with engine.begin() as tx:
        rows = tx.execute(
            text(
                "SELECT seq, stream, fact_id, type, body FROM outbox WHERE published_at IS NULL"
                " ORDER BY seq LIMIT :limit FOR UPDATE"
            ),
            {"limit": limit},
        ).all()
        if not rows:
            return 0
        send([Parcel(stream=r.stream, fact_id=r.fact_id, type=r.type, body=r.body) for r in rows])
        tx.execute(
            text("UPDATE outbox SET published_at = clock_timestamp() WHERE seq = ANY(:seqs)"),
            {"seqs": [r.seq for r in rows]},
        )
    return len(rows)


def is_empty(tx: Connection) -> bool:
    """Has everything that was decided been published?"""
    return tx.execute(text("SELECT NOT EXISTS (SELECT 1 FROM outbox WHERE published_at IS NULL)")).scalar_one() is True
