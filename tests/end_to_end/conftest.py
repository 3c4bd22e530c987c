"""A small day and a stack that plays it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.end_to_end.stack import Running, a_day, a_stack
from tests.paper.days import CALL, DAY, PUT, STOCK, Row
from tests.servers import Cluster

#: The call opens at 1.10, is worth twice as much after the minimum hold, and is quoted every quarter of an hour.
QUOTES: tuple[Row, ...] = (
    ("14:31:00", CALL, "1.00", "1.10"),
    ("14:31:00", PUT, "0.90", "1.00"),
    ("14:45:00", CALL, "1.05", "1.15"),
    ("15:00:00", PUT, "0.95", "1.05"),
    ("15:10:00", CALL, "2.10", "2.20"),
    ("15:20:00", PUT, "1.00", "1.10"),
)
UNDERLYING: tuple[Row, ...] = tuple(
    (f"{at}:00", STOCK, "99.90", "100.10") for at in ("14:31", "14:40", "14:45", "15:00", "15:10", "15:20")
)


def a_line(name: str, clock: str, symbol: str = CALL, qty: int = 3, **over: Any) -> str:
    """A recommendation as a signal engine writes it."""
    values: dict[str, Any] = {
        "id": name,
        "at": f"{DAY}T{clock}Z",
        "source": "test",
        "accounts": ["large"],
        "underlying": STOCK,
        "instrument": "PUT" if symbol == PUT else "CALL",
        "action": "BUY",
        "symbol": symbol,
        "qty": qty,
        "confidence": "0.80",
        "strategy": "day_trade",
    }
    return json.dumps(values | over)


@pytest.fixture
def small_day(tmp_path: Path) -> Callable[..., Path]:
    """Write a day: ``small_day(*lines, quotes=..., broker_events=...)``; with one recommendation unless told."""

    def made(*lines: str, quotes: tuple[Row, ...] = QUOTES, **files: Any) -> Path:
        number = len(list(tmp_path.glob("day-*")))
        chosen = lines or (a_line("rec-1", "14:32:00"),)
        return a_day(tmp_path / f"day-{number}", chosen, quotes, **({"underlying": UNDERLYING} | files))

    return made


@pytest.fixture
def a_running(
    tmp_path: Path, redis_client: redis.Redis, redis_url: str, database_url: str
) -> Iterator[Callable[..., Running]]:
    """Start a stack on a day folder: ``a_running(day, as_processes=..., entries=...)``."""
    with ExitStack() as stacks:

        def started(day: Path, **options: Any) -> Running:
            options = {"redis_url": redis_url, "database_url": database_url} | options
            return stacks.enter_context(a_stack(tmp_path / "ledger", day, **options))

        yield started


@pytest.fixture
def digest_of(
    tmp_path: Path, redis_client: redis.Redis, redis_url: str, migrated_cluster: Cluster
) -> Callable[..., str]:
    """Play a day on an empty ledger of its own and return its digest: ``digest_of(day, as_processes=...)``."""

    def played(day: Path, doing: Mapping[str, Callable[[Running], object]] | None = None, **options: Any) -> str:
        redis_client.flushall()
        with (
            migrated_cluster.a_database() as url,
            a_stack(tmp_path / f"ledger-of-{day.name}", day, redis_url, url, **options) as running,
        ):
            running.play({at: partial(act, running) for at, act in (doing or {}).items()})
            running.assert_rows_equal_the_broker()
            digest: str = running.report()["digest"]
            return digest

    return played


@pytest.fixture
def running(small_day: Callable[..., Path], a_running: Callable[..., Running]) -> Running:
    """A stack on the day with one recommendation."""
    return a_running(small_day())
