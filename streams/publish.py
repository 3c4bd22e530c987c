"""Publishing facts: repeated until the server has answered.

A lost reply leaves a doubt whether the entry was added, so it is added again: the same
fact may stand on the stream twice, with the same id in its body, and readers apply it once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import redis

#: Pauses before each repetition, in seconds: about three seconds in all.
RETRY_PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5)

Fields = Mapping[str, bytes] | Mapping[bytes, bytes] | Mapping[str, str]
_Reply = TypeVar("_Reply")


def publish(client: redis.Redis, stream: str, fields: Fields, *, maxlen: int | None = None) -> str:
    """Add one entry and return its id.

    *maxlen* lets old entries go, read or not: only for streams where a newer entry says
    more than an older one.

    Raises:
        redis.ConnectionError, redis.TimeoutError: the server stayed away; publish again later.
        redis.ResponseError: the server refuses (out of memory, wrong type).
    """
    return publish_many(client, [(stream, fields)], maxlen=maxlen)[0]


def publish_many(client: redis.Redis, entries: Sequence[tuple[str, Fields]], *, maxlen: int | None = None) -> list[str]:
    """Add *entries* in one transaction, together and in this order; return their ids.

    Raises:
        redis.ConnectionError, redis.TimeoutError: the server stayed away; publish again later.
        redis.ResponseError: the server refuses (out of memory, wrong type).
    """
    if not entries:
        return []
    ids = _until_answered(lambda: _add(client, entries, maxlen))
    return [entry_id.decode() if isinstance(entry_id, bytes) else str(entry_id) for entry_id in ids]


def _add(client: redis.Redis, entries: Sequence[tuple[str, Fields]], maxlen: int | None) -> list[Any]:
    if len(entries) == 1:
        [(stream, fields)] = entries
        return [client.xadd(stream, _plain(fields), maxlen=maxlen)]
    with client.pipeline(transaction=True) as pipe:
        for stream, fields in entries:
            pipe.xadd(stream, _plain(fields), maxlen=maxlen)
        return list(pipe.execute())


def _plain(fields: Fields) -> dict[Any, Any]:
    return dict(fields)


def _until_answered(command: Callable[[], _Reply]) -> _Reply:
    for pause_s in RETRY_PAUSES_S:
        try:
            return command()
        except (redis.ConnectionError, redis.TimeoutError):
            time.sleep(pause_s)
    return command()
