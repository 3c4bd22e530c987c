"""Putting a recorded file back on streams, in its order."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import redis

from streams.publish import publish_many
from streams.record import read_fixture

_CHUNK = 500


def replay(client: redis.Redis, path: Path) -> int:
    """Add every entry of the file (or of the folder's file) anew, under new ids; return how many.

    Raises:
        NotAFixture: names the line that cannot be read; lines before it may be added.
        redis.RedisError: the server is away or refuses.
    """
    entries, added = read_fixture(path), 0
    while chunk := list(islice(entries, _CHUNK)):
        added += len(publish_many(client, chunk))
    return added
