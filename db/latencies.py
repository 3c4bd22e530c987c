"""Latencies as counts in buckets of two significant digits: percentiles of any number of processes add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import ROUND_UP, Decimal, localcontext
from typing import Any, Final

from sqlalchemy import Connection, Row, text

_TWO_DIGITS: Final = 2
#: What the column holds: 11 days. A recording that is played long after its day measures years.
_LONGEST_MS: Final = 9.9e8


def bucket(ms: float) -> Decimal:
    """Return the upper edge of the bucket that *ms* falls in: 12.34 is in the bucket up to 13, a year in the last."""
    with localcontext() as context:
        context.prec, context.rounding = _TWO_DIGITS, ROUND_UP
        return +Decimal(min(max(ms, 0.001), _LONGEST_MS))


def add(tx: Connection, name: str, measured_ms: Iterable[float]) -> None:
    add_counts(tx, name, Counter(measured_ms))


def add_counts(tx: Connection, name: str, counts: Mapping[float, int] | Mapping[int, int]) -> None:
    """Add how often each time in ms was measured."""
    buckets: Counter[Decimal] = Counter()
    for ms, count in counts.items():
        buckets[bucket(ms)] += count
    for le_ms, count in sorted(buckets.items()):
        tx.execute(
            text(
                "INSERT INTO latencies (name, le_ms, count) VALUES (:name, :le_ms, :count)"
                " ON CONFLICT (name, le_ms) DO UPDATE SET count = latencies.count + :count"
            ),
            {"name": name, "le_ms": le_ms, "count": count},
        )


def percentiles(tx: Connection, name: str) -> dict[str, float | None]:
    """Return p50, p99 and max in ms, each None when nothing was measured."""
    rows = tx.execute(
        text("SELECT le_ms, count AS n FROM latencies WHERE name = :name ORDER BY le_ms"), {"name": name}
    ).all()
    total = sum(r.n for r in rows)
    if not total:
        return {"p50": None, "p99": None, "max": None}
    return {"p50": _at(rows, total * 0.50), "p99": _at(rows, total * 0.99), "max": float(rows[-1].le_ms)}


def _at(rows: Iterable[Row[Any]], rank: float) -> float:
    seen = 0
    edge = 0.0
    for row in rows:
        seen += row.n
        edge = float(row.le_ms)
        if seen >= rank:
            break
    return edge


def add_since_read(tx: Connection, name: str, recommendation: str, wall: datetime) -> None:
    """Measure from the moment at which the recommendation entered its stream to *wall*."""
    read_at = tx.execute(
        text("SELECT read_at FROM recommendations WHERE recommendation = :id"), {"id": recommendation}
    ).scalar_one_or_none()
    if read_at is not None:
        add(tx, name, [(wall - read_at).total_seconds() * 1000])
