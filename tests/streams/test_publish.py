"""Publishing until the server has answered."""

from __future__ import annotations

import threading
import time

import pytest
import redis

from streams.clients import writing_client
from streams.publish import RETRY_PAUSES_S, publish, publish_many
from tests.streams.kit import LossyWire, Server


def test_an_entry_is_added_and_its_id_returned(client: redis.Redis):
    entry_id = publish(client, "s", {"type": b"OrderFilled", "body": b"{}"})

    assert [(entry_id.encode(), {b"type": b"OrderFilled", b"body": b"{}"})] == client.xrange("s")


def test_a_lost_request_is_made_good(wire: LossyWire, client: redis.Redis):
    """The connection broke before the server saw it: it is added by the repetition."""
    wire.lose_request(b"XADD")
    publish(writing_client(wire.url), "s", {"n": "1"})

    assert (1, 1) == (wire.lost, client.xlen("s"))


def test_a_lost_reply_adds_the_same_fact_again(wire: LossyWire, client: redis.Redis):
    """Nobody knows whether it was added, so it is there twice, with one id in its body."""
    wire.lose_reply_to(b"XADD")
    publish(writing_client(wire.url), "s", {"body": '{"id":"7"}'})

    assert [{b"body": b'{"id":"7"}'}] * 2 == [fields for _, fields in client.xrange("s")]


def test_many_entries_keep_their_order_over_several_streams(client: redis.Redis):
    ids = publish_many(client, [(f"s{n % 2}", {"n": str(n)}) for n in range(10)])

    assert [b"0", b"2", b"4", b"6", b"8"] == [fields[b"n"] for _, fields in client.xrange("s0")]
    assert ids[1::2] == [entry_id.decode() for entry_id, _ in client.xrange("s1")]
    assert [] == publish_many(client, [])


def test_many_entries_are_refused_together_when_memory_is_short(client: redis.Redis):
    """Under noeviction the transaction is refused as a whole: no later entry stands before a repeated earlier one."""
    client.config_set("maxmemory", "1")
    try:
        with pytest.raises(redis.RedisError):
            publish_many(client, [("s", {"n": "1"}), ("s", {"n": "2"})])
    finally:
        client.config_set("maxmemory", "0")

    assert 0 == client.xlen("s")


def test_old_entries_go_where_a_length_is_given(client: redis.Redis):
    """For ticks: about the newest of them stay, the server decides how exactly."""
    for n in range(500):
        publish(client, "ticks", {"n": str(n)}, maxlen=100)

    assert 100 <= client.xlen("ticks") < 300


def test_a_server_that_stays_away_is_an_error_after_a_while(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("streams.publish.RETRY_PAUSES_S", (0.01, 0.01))

    with pytest.raises(redis.ConnectionError):
        publish(writing_client("unix:///nowhere.sock"), "s", {"n": "1"})

    assert 2 < sum(RETRY_PAUSES_S) < 5


def test_a_server_that_comes_back_soon_is_waited_for(own_server: Server):
    """kill -9, a start 0.3 s later, and a publisher in between: its entry is there."""
    own_server.kill()
    threading.Timer(0.3, own_server.start).start()
    publish(writing_client(own_server.url), "s", {"n": "1"})
    time.sleep(0.1)

    assert 1 == writing_client(own_server.url).xlen("s")
