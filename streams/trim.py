"""The janitor: frees what every group has finished, and never more.

A stream keeps acknowledged entries until it is trimmed. XTRIM asks no group whether it has
read what goes, so the floor is computed here. No entry is deleted one by one: a stream is
either trimmed or deleted from, and facts are only trimmed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import redis

from streams.progress import order_of

log = logging.getLogger(__name__)


def trim_finished(client: redis.Redis, wanted: Mapping[str, Sequence[str]], *, keep_ms: int = 0) -> dict[str, int]:
    """Remove what all groups of a stream have finished; return how many entries went, per stream.

    *wanted* names the groups that must exist: a stream where one is missing is left alone,
    since that group has everything to read yet. Groups that are not named count as well.
    Entries younger than *keep_ms* (server's clock) stay.

    Raises:
        redis.RedisError: the server is away.
    """
    return {stream: _trim(client, stream, groups, keep_ms) for stream, groups in wanted.items()}


def trim_length(client: redis.Redis, stream: str, maxlen: int) -> int:
    """Keep about the newest *maxlen* entries, read or not: only for ticks, where a newer one says more."""
    removed: Any = client.xtrim(stream, maxlen=maxlen, approximate=True)
    return int(removed)


def _trim(client: redis.Redis, stream: str, groups: Sequence[str], keep_ms: int) -> int:
    floor = _floor(client, stream, groups)
    if floor is None:
        return 0
    if keep_ms:
        floor = min(floor, f"{_now_ms(client) - keep_ms}-0", key=order_of)
    removed: Any = client.xtrim(stream, minid=floor, approximate=False)
    return int(removed)


def _floor(client: redis.Redis, stream: str, groups: Sequence[str]) -> str | None:
    """Return the oldest id that some group may still need, or None when nothing may go."""
    if not client.exists(stream):
        return None
    infos: Any = client.xinfo_groups(stream)
    if missing := set(groups) - {info["name"].decode() for info in infos}:
        log.warning("%s is not trimmed: it has no group %s", stream, ", ".join(sorted(missing)))
        return None
    needed = [_oldest_needed(client, stream, info) for info in infos]
    return min(needed, key=order_of) if needed else None


def _oldest_needed(client: redis.Redis, stream: str, info: Mapping[str, Any]) -> str:
    """The oldest pending entry, else the last one delivered: it stays as the stream's witness."""
    pending: Any = client.xpending(stream, info["name"])
    oldest: bytes = pending["min"] or info["last-delivered-id"]
    return oldest.decode()


def _now_ms(client: redis.Redis) -> int:
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000
