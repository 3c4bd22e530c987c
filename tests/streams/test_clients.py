"""Clients that neither duplicate a write nor orphan a read."""

from __future__ import annotations

import time

import pytest
import redis

from streams.clients import reading_client, without_retries, writing_client
from tests.streams.kit import LossyWire, Server


@pytest.mark.parametrize("make", [writing_client, lambda url: reading_client(url, 100)])
def test_a_lost_reply_is_an_error_and_no_second_entry(wire: LossyWire, client: redis.Redis, make):
    """redis-py would send XADD again by itself; ours tells the caller instead."""
    wire.lose_reply_to(b"XADD")

    with pytest.raises(redis.ConnectionError):
        make(wire.url).xadd("s", {"n": 1})

    assert 1 == client.xlen("s")


@pytest.mark.parametrize("settings", [{}, {"protocol": 3}, {"decode_responses": True}, {"protocol": 2}])
def test_any_client_can_be_made_safe(server: Server, wire: LossyWire, client: redis.Redis, settings):
    """A client of the user's own, whatever its settings, lends its address and keeps its own behaviour."""
    theirs = redis.Redis.from_url(wire.url, **settings)
    ours = without_retries(theirs, block_ms=100)
    wire.lose_reply_to(b"XADD")
    with pytest.raises(redis.ConnectionError):
        ours.xadd("s", {"n": 1})

    assert [b"1"] == [fields[b"n"] for _, fields in ours.xrange("s")]
    assert 1 == len(theirs.xrange("s"))


def test_a_block_longer_than_redis_pys_own_timeout_ends_in_silence(server: Server):
    """The socket waits longer than the server was asked to block: no entries is an answer, not an error."""
    client = reading_client(server.url, 300)
    started = time.monotonic()

    assert [] == client.xread({"s": "$"}, block=300)
    assert 0.3 <= time.monotonic() - started < 1
