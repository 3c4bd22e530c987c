"""A stream read from its beginning, without holding all of it at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import redis

_PAGE: Final = 1000


def entries(client: redis.Redis, stream: str) -> Iterator[tuple[str, dict[bytes, bytes]]]:
    """Yield (id, fields) of each entry of *stream*, oldest first; what is added meanwhile comes too."""
    start = "-"
    while rows := _page(client, stream, start):
        for entry_id, fields in rows:
            yield entry_id.decode(), fields
        start = f"({rows[-1][0].decode()}"


def _page(client: redis.Redis, stream: str, start: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
    rows: Any = client.xrange(stream, min=start, max="+", count=_PAGE)
    return list(rows)
