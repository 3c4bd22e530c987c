"""Redis clients that neither duplicate a write nor orphan a read.

redis-py repeats a command by itself when its reply is lost. A repeated XADD is a second
entry, and a repeated ``XREADGROUP >`` skips what the lost reply carried. So these clients
never repeat: whoever called knows what a doubt means and answers it.
"""

from __future__ import annotations

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

#: Seconds a reply may take beyond the time the server was asked to block for.
REPLY_MARGIN_S = 2.0


def writing_client(url: str) -> redis.Redis:
    """Return a client for commands that answer at once (``redis://``, ``rediss://`` or ``unix://``)."""
    return _client(url, block_ms=0)


def reading_client(url: str, block_ms: int) -> redis.Redis:
    """Return a client whose socket outlives an ``XREADGROUP BLOCK`` of *block_ms* milliseconds.

    A socket timeout shorter than the block would cut the connection while the server
    hands over entries; they would then be pending and unseen.
    """
    return _client(url, block_ms)


def without_retries(client: redis.Redis, block_ms: int = 0) -> redis.Redis:
    """Return a client to the same server as *client*, with its own pool and the promises above."""
    pool = client.connection_pool
    ours = {"decode_responses": False, "maint_notifications_config": None}  # the latter needs protocol 3
    settings = {**pool.connection_kwargs, **_promises(block_ms), **ours}
    return redis.Redis(connection_pool=redis.ConnectionPool(pool.connection_class, **settings))


def _client(url: str, block_ms: int) -> redis.Redis:
    return redis.Redis.from_url(url, **_promises(block_ms))


def _promises(block_ms: int) -> dict[str, Any]:
    return {
        "socket_timeout": block_ms / 1000 + REPLY_MARGIN_S,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,  # one shape of reply on every server
    }
