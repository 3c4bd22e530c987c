"""What code written for dramatiq's RedisBroker may rely on (docs/adr/0008)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq import Message, MessageProxy, Middleware, Worker
from dramatiq.common import current_millis, dq_name

from streams.broker import DEFAULT_DEAD_MESSAGE_TTL, StreamsBroker
from tests.streams.kit import Server, buried, wait_until

Run = Callable[..., Worker]

pytestmark = pytest.mark.usefixtures("brief_pauses")


def a_message(**changes: Any) -> Message[Any]:
    return Message(**{"queue_name": "default", "actor_name": "a", "args": (), "kwargs": {}, "options": {}} | changes)


def stored(client: redis.Redis) -> list[Message[Any]]:
    return [Message.decode(fields[b"message"]) for _, fields in client.xrange("dramatiq:default")]


def test_the_settings_of_redis_broker_are_accepted(server: Server):
    """Every keyword, url=None included, and any setting of redis.Redis, beside a url too."""
    options = {"middleware": [], "namespace": "n", "maintenance_chance": 1000, "heartbeat_timeout": 5}
    broker = StreamsBroker(url=None, dead_message_ttl=7, unix_socket_path=str(server.socket), **options)
    beside_url = StreamsBroker(url=server.url, client_name="ours")

    assert ("n", 5, 7, []) == (broker.namespace, broker.heartbeat_timeout, broker.dead_message_ttl, broker.middleware)
    assert (True, "ours") == (broker.client.ping(), beside_url.client.client_getname())


def test_a_given_client_stays_the_brokers_client(client: redis.Redis):
    """It can be asked for, as it was given."""
    assert client is StreamsBroker(client=client).client


def test_every_sending_has_an_id_of_its_own(broker: StreamsBroker, client: redis.Redis):
    """The same message sent twice is stored twice, each time as the caller got it back."""
    message = a_message()
    sent = [broker.enqueue(message) for _ in range(2)]

    assert sent == stored(client)
    assert 2 == len({m.options["redis_message_id"] for m in sent})
    assert {} == message.options


def test_a_delayed_message_shows_its_eta_and_is_stored_without(broker: StreamsBroker, client: redis.Redis):
    """Middleware and caller see when it is due; in Redis the server's clock decides."""
    seen = []

    class Watch(Middleware):
        def before_enqueue(self, broker, message, delay) -> None:
            seen.append((message.options["eta"], delay))

    broker.add_middleware(Watch())
    before = current_millis()
    sent = broker.enqueue(a_message(), delay=60_000)
    [member] = client.zrange("dramatiq:default:delayed", 0, -1)

    assert [(sent.options["eta"], 60_000)] == seen
    assert before + 60_000 <= sent.options["eta"] <= current_millis() + 60_000
    assert "eta" not in Message.decode(member[36:]).options


def test_messages_with_an_eta_wait_in_redis_not_in_a_worker(
    broker: StreamsBroker, client: redis.Redis, run_worker: Run
):
    """dramatiq would hold them in memory: here a hundred of them take no place from a task that is due."""
    ran = threading.Event()
    dramatiq.actor(ran.set, actor_name="a", broker=broker)
    for _ in range(100):
        broker.enqueue(a_message(options={"eta": current_millis() + 3_600_000}))
    broker.enqueue(a_message(options={"eta": current_millis() + 150}))
    run_worker(broker)

    assert ran.wait(10)
    wait_until(lambda: client.xlen("dramatiq:default") == 0)
    assert 100 == client.zcard("dramatiq:default:delayed")


@pytest.mark.parametrize("eta", ["soon", None, 0, float("inf"), float("nan")])
def test_an_eta_that_is_no_time_to_come_is_no_reason_to_wait(broker: StreamsBroker, run_worker: Run, eta: object):
    """The task runs at once and stalls nothing."""
    ran = []
    dramatiq.actor(lambda: ran.append(1), actor_name="a", broker=broker)
    broker.enqueue(a_message(options={"eta": eta}))
    run_worker(broker)
    broker.join("default", timeout=2000)

    assert [1] == ran


def test_dead_letters_of_tasks_are_forgotten_after_their_time(server: Server, client: redis.Redis, run_worker: Run):
    """dead_message_ttl: the default keeps a fresh letter, a shorter one drops it at the next look."""
    for ttl in (DEFAULT_DEAD_MESSAGE_TTL, 1):
        broker = StreamsBroker(url=server.url, dead_message_ttl=ttl, heartbeat_timeout=200)
        dramatiq.actor(lambda: 1 // 0, actor_name="a", broker=broker, max_retries=0)
        if ttl != 1:
            broker.enqueue(a_message())
        worker = run_worker(broker)
        broker.join("default", timeout=2000)
        wait_until(lambda ttl=ttl: len(buried(client)) == (ttl != 1))
        time.sleep(0.1)
        assert (ttl != 1) == len(buried(client))
        worker.stop()


def test_orphans_of_a_queue_that_is_not_worked_here_are_left_to_others(
    server: Server, client: redis.Redis, run_worker: Run
):
    """A Worker started with a choice of queues takes over nothing of the rest: it would never run it."""
    gone = StreamsBroker(url=server.url)
    gone.declare_queue("other")
    gone.enqueue(a_message(queue_name="other"))
    assert next(gone.consume("other", timeout=100)) is not None
    client.delete("dramatiq:workers:alive")

    ours, ran = StreamsBroker(url=server.url, heartbeat_timeout=100), []
    dramatiq.actor(lambda: ran.append(1), actor_name="a", queue_name="other", broker=ours)
    dramatiq.actor(lambda: None, actor_name="b", queue_name="chosen", broker=ours)
    chosen = Worker(ours, queues={"chosen"}, worker_threads=1, worker_timeout=25)
    chosen.start()
    time.sleep(0.25)
    left = client.xpending("dramatiq:other", "workers")["consumers"]
    chosen.stop()
    assert [gone.broker_id] == [holder["name"].decode() for holder in left]

    run_worker(ours)
    ours.join("other", timeout=5000)
    assert [1] == ran


def test_a_worker_started_again_is_alive_before_it_reads(broker: StreamsBroker, client: redis.Redis, run_worker: Run):
    """The first one took its name away when it stopped; without it others would take the second one's tasks."""
    started, go_on = threading.Event(), threading.Event()
    actor = dramatiq.actor(lambda: (started.set(), go_on.wait(5))[0], actor_name="a", broker=broker)
    run_worker(broker).stop()
    assert client.zscore("dramatiq:workers:alive", broker.broker_id) is None
    actor.send()
    run_worker(broker)
    assert started.wait(5)
    is_alive = client.zscore("dramatiq:workers:alive", broker.broker_id) is not None
    go_on.set()

    assert is_alive


@pytest.mark.parametrize("settle", ["ack", "nack"])
def test_settling_a_message_from_elsewhere_does_nothing(
    broker: StreamsBroker, client: redis.Redis, caplog: pytest.LogCaptureFixture, settle: str
):
    """Nothing is raised and nothing is lost; the log says so."""
    broker.declare_queue("default")
    broker.enqueue(a_message())
    consumer = broker.consume("default", timeout=100)
    with caplog.at_level(logging.WARNING):
        getattr(consumer, settle)(MessageProxy(a_message()))
        consumer.requeue([MessageProxy(a_message())])

    assert 2 == len([r for r in caplog.records if "did not come from this queue" in r.message])
    assert next(consumer) is not None


def test_a_task_that_was_put_back_unbegun_was_not_tried(broker: StreamsBroker, client: redis.Redis):
    """However often a suspect waits in a worker that is stopped, it is never given up unseen."""
    broker.declare_queue("default")
    broker.enqueue(a_message())
    for _ in range(20):
        consumer = broker.consume("default", timeout=100)
        message = next(consumer)
        assert message is not None
        consumer.requeue([message])

    assert [] == buried(client)
    assert b"0" in client.hvals("dramatiq:default.workers.attempts")


def test_a_server_that_refuses_is_heard(broker: StreamsBroker, client: redis.Redis):
    """A server that is there and says no is not "away": the caller gets its words."""
    client.set("dramatiq:default", "not a stream")

    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        broker.enqueue(a_message())


def test_join_with_timeout_zero_waits(broker: StreamsBroker, run_worker: Run):
    """Zero is no timeout, and the name of the delay queue means the same tasks."""
    ran = []
    dramatiq.actor(lambda: ran.append(1), actor_name="a", broker=broker).send_with_options(delay=100)
    run_worker(broker)
    broker.join(dq_name("default"), timeout=0, interval=10)

    assert [1] == ran


def test_a_paused_worker_runs_nothing_until_it_is_resumed(broker: StreamsBroker, run_worker: Run):
    """What is sent meanwhile waits, and runs in the order it came."""
    ran = []
    actor = dramatiq.actor(ran.append, actor_name="a", broker=broker)
    worker = run_worker(broker, threads=1)
    worker.pause()
    for n in range(3):
        actor.send(n)
    time.sleep(0.1)
    assert [] == ran

    worker.resume()
    broker.join("default", timeout=5000)
    assert [0, 1, 2] == ran
