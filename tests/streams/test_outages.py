"""Groups that vanish, servers that die, processes that are killed in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from streams.clients import reading_client, writing_client
from tests.streams.kit import Handled, Loop, Noted, Server, fill, pending, subscription, wait_until


def flush(client: redis.Redis) -> None:
    client.flushall()


def destroy(client: redis.Redis) -> None:
    client.xgroup_destroy("s", "g")


def delete(client: redis.Redis) -> None:
    client.delete("s")


@pytest.mark.parametrize("lose", [flush, *(pytest.param(f, marks=pytest.mark.slow) for f in (destroy, delete))])
def test_a_group_lost_between_two_reads_is_made_again(
    client: redis.Redis, noted: Noted, lose: Callable[[redis.Redis], None]
):
    """The alarm rings, and what is published afterwards is read."""
    handled = Handled()
    loop = Loop(client, handled, hooks=noted)
    loop.turn()
    lose(client)
    fill(client, "s", [1])
    loop.turn()
    loop.until_idle()

    assert ([1], [("s", "g")]) == (handled.done, noted.lost_groups)


@pytest.mark.parametrize("lose", [flush, destroy, delete])
def test_a_group_lost_while_a_reader_is_blocked_is_made_again(
    server: Server, client: redis.Redis, noted: Noted, lose: Callable[[redis.Redis], None]
):
    """Servers say it in three ways, or say nothing until the block ends: each leads back to reading."""
    handled = Handled()
    loop = Loop(reading_client(server.url, 80), handled, subscription(block_ms=80), hooks=noted)
    loop.turn()
    blocked = threading.Thread(target=loop.turn)
    blocked.start()
    wait_until(lambda: client.info("clients")["blocked_clients"])
    lose(client)
    blocked.join()
    fill(client, "s", [1])
    loop.turn()
    loop.turn()

    assert ([1], [("s", "g")]) == (handled.done, noted.lost_groups)


def test_a_group_lost_with_a_batch_in_hand_is_made_again(client: redis.Redis, noted: Noted):
    """The acknowledgement meets no group: the entries come again from the beginning, none is missed."""
    handled = Handled()
    loop = Loop(client, handled, hooks=noted)
    fill(client, "s", [1, 2])
    batch = loop.consumer.read()
    destroy(client)
    fill(client, "s", [3])
    loop.delivery.deliver(batch)
    loop.turn()
    loop.until_idle()

    assert [1, 2, 1, 2, 3] == handled.done
    assert [("s", "g")] == noted.lost_groups


def test_a_server_that_dies_and_returns_loses_nothing(own_server: Server):
    """kill -9 with a batch in hand, entries unread and a reader blocked: all are handled after the restart."""
    writer = writing_client(own_server.url)
    handled = Handled()
    loop = Loop(reading_client(own_server.url, 50), handled, subscription(count=3))
    fill(writer, "s", range(10))
    batch = loop.consumer.read()
    own_server.kill()
    loop.delivery.deliver(batch)
    assert 0 == loop.turn()
    own_server.start()
    loop.until_idle()

    assert list(range(10)) == sorted(set(handled.done))
    assert [0, 1, 2, *range(10)] == handled.done
    assert 0 == pending(writing_client(own_server.url))


CRASHING = """
import sys, time
from streams.clients import reading_client
from tests.streams.kit import Loop, numbers, subscription

def handler(batch):
    for n in numbers(batch):
        with open(sys.argv[2], "a") as done:
            print(n, file=done, flush=True)
        if n == int(sys.argv[3]):
            print("in the middle", flush=True)
            time.sleep(60)

Loop(reading_client(sys.argv[1], 50), handler, subscription(count=10)).until_idle()
"""


def test_a_process_killed_in_the_middle_of_a_batch_loses_nothing(server: Server, client: redis.Redis, tmp_path: Path):
    """SIGKILL while entry 14 is handled: the next process of the same name begins with entry 10 and ends with 29."""
    fill(client, "s", range(30))
    done = tmp_path / "done"

    def run(until: int) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", CRASHING, server.url, str(done), str(until)]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."})

    first = run(14)
    assert first.stdout is not None
    assert "in the middle\n" == first.stdout.readline()
    first.send_signal(signal.SIGKILL)
    first.wait()
    first.stdout.close()
    assert 10 == pending(client)
    second = run(-1)
    second.communicate(timeout=20)

    assert [*range(15), *range(10, 30)] == [int(line) for line in done.read_text().split()]
    assert 0 == pending(client)
