"""Ordinary dramatiq actors on the streams broker: a drop-in for dramatiq's RedisBroker."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import dramatiq
import fakeredis
import pytest
import redis
from dramatiq import Message, Worker, group, pipeline
from dramatiq.errors import ConnectionClosed, QueueJoinTimeout, QueueNotFound
from dramatiq.middleware import (
    CurrentMessage,
    GroupCallbacks,
    Retries,
    TimeLimit,
    TimeLimitExceeded,
    default_middleware,
)
from dramatiq.rate_limits.backends import RedisBackend as RateLimits
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from streams.broker import StreamsBroker
from streams.dead import letters, requeue
from tests.streams.kit import Noted, Server, buried, classify, fill, subscription, wait_until

Run = Callable[..., Worker]

pytestmark = pytest.mark.usefixtures("brief_pauses")


def test_a_sent_task_runs_once(broker: StreamsBroker, client: redis.Redis, run_worker: Run):
    """Arguments arrive, the queue is empty afterwards, and nothing is left behind in Redis."""
    ran = []
    actor = dramatiq.actor(lambda *args, **kwargs: ran.append((args, kwargs)), actor_name="a", broker=broker)
    actor.send(1, key="two")
    run_worker(broker)
    broker.join("default", timeout=5000)

    assert [((1,), {"key": "two"})] == ran
    assert (0, 0) == (client.xlen("dramatiq:default"), client.zcard("dramatiq:default:delayed"))


def test_two_thousand_tasks_over_four_workers_run_once_each(server: Server, run_worker: Run):
    """Four brokers compete for one queue: every task runs exactly once, and all four take part."""
    ran: Counter[int] = Counter()
    takers: Counter[str] = Counter()
    brokers = [StreamsBroker(url=server.url) for _ in range(4)]

    def note(broker: StreamsBroker, n: int) -> None:
        ran[n] += 1
        takers[broker.broker_id] += 1

    for broker in brokers:
        dramatiq.actor(lambda n, broker=broker: note(broker, n), actor_name="a", broker=broker)
    actor = brokers[0].get_actor("a")
    for n in range(2000):
        actor.send(n)
    for broker in brokers:
        run_worker(broker, threads=2)
    brokers[0].join("default", timeout=20_000)

    assert dict.fromkeys(range(2000), 1) == dict(ran)
    assert 4 == len(takers)


def test_a_delayed_task_runs_when_it_is_due(broker: StreamsBroker, run_worker: Run):
    """Not before its delay, and soon after it; a nearer one overtakes a farther one."""
    ran = []
    started = time.monotonic()
    actor = dramatiq.actor(lambda n: ran.append((n, time.monotonic() - started)), actor_name="a", broker=broker)
    run_worker(broker)
    actor.send_with_options(args=(2,), delay=400)
    actor.send_with_options(args=(1,), delay=150)
    broker.join("default", timeout=5000)

    assert [1, 2] == [n for n, _ in ran]
    assert 0.15 <= ran[0][1] < 0.35
    assert 0.4 <= ran[1][1] < 0.6


def test_a_thousand_far_timers_do_not_hold_up_a_near_one(broker: StreamsBroker, run_worker: Run):
    """Timers wait in Redis, not in a worker's prefetch."""
    ran = threading.Event()
    far = dramatiq.actor(lambda: None, actor_name="far", broker=broker)
    near = dramatiq.actor(ran.set, actor_name="near", broker=broker)
    for _ in range(1000):
        far.send_with_options(delay=3_600_000)
    run_worker(broker)
    near.send_with_options(delay=50)

    assert ran.wait(2)
    with pytest.raises(QueueJoinTimeout):
        broker.join("default", timeout=50)
    broker.flush("default")
    broker.join("default", timeout=1000)


def test_a_failing_task_is_retried_until_it_succeeds(broker: StreamsBroker, run_worker: Run):
    """dramatiq's Retries decides when; the message keeps its id."""
    tries = []

    @dramatiq.actor(broker=broker, min_backoff=10, max_backoff=20)
    def sometimes() -> None:
        tries.append(CurrentMessage.get_current_message().message_id)
        if len(tries) < 4:
            raise RuntimeError("not yet")

    broker.add_middleware(CurrentMessage())
    message = sometimes.send()
    run_worker(broker)
    broker.join("default", timeout=5000)

    assert [message.message_id] * 4 == tries


def test_a_task_that_fails_for_good_is_a_dead_letter(
    broker: StreamsBroker, client: redis.Redis, run_worker: Run, noted: Noted
):
    """It keeps its arguments, its traceback and its reason, and can be put back."""
    dramatiq.actor(lambda n: 1 // n, actor_name="a", broker=broker, max_retries=1, min_backoff=1).send(0)
    run_worker(broker)
    broker.join("default", timeout=5000)
    [letter] = letters(client, "dramatiq:default.workers.dead")

    [message] = buried(client)
    assert ((0,), 1) == (message.args, message.options["retries"] - 1)
    assert "ZeroDivisionError" in message.options["traceback"]
    assert letter.notes["reason"].startswith("ZeroDivisionError")
    assert ["dramatiq:default"] == [letter.stream for letter in noted.letters]
    requeue(client, letter.dead_stream, letter.id)
    wait_until(lambda: len(noted.letters) == 2)


def test_a_task_of_an_unknown_actor_is_a_dead_letter(broker: StreamsBroker, client: redis.Redis, run_worker: Run):
    """The sender is newer than the worker: the message waits for a person, the queue goes on."""
    ran = []
    actor = dramatiq.actor(lambda: ran.append(1), actor_name="known", broker=broker)
    broker.enqueue(Message(queue_name="default", actor_name="unknown", args=(), kwargs={}, options={}))
    actor.send()
    run_worker(broker)
    broker.join("default", timeout=5000)

    assert ([1], ["unknown"]) == (ran, [message.actor_name for message in buried(client)])


@pytest.mark.parametrize(
    "fields", [{"message": "{broken"}, {"message": b"\xff\xfe"}, {"other": "1"}, {"message": "[]"}]
)
def test_an_unreadable_task_is_a_dead_letter_and_stalls_nothing(
    broker: StreamsBroker, client: redis.Redis, run_worker: Run, fields: dict
):
    """Garbage between two good tasks: both run at once, the garbage is kept with its reason."""
    ran = []
    actor = dramatiq.actor(ran.append, actor_name="a", broker=broker)
    actor.send(1)
    client.xadd("dramatiq:default", fields)
    actor.send(2)
    started = time.monotonic()
    run_worker(broker)
    broker.join("default", timeout=5000)

    assert [1, 2] == ran
    assert time.monotonic() - started < 1
    assert 1 == client.xlen("dramatiq:default.workers.dead")


def test_pipelines_groups_callbacks_and_results(server: Server, client: redis.Redis, run_worker: Run):
    """dramatiq's compositions need only enqueue, and get it."""
    results = RedisBackend(client=redis.Redis.from_url(server.url))
    middleware = [m() for m in default_middleware]
    middleware += [Results(backend=results), GroupCallbacks(RateLimits(client=redis.Redis.from_url(server.url)))]
    broker, called_back = StreamsBroker(url=server.url, middleware=middleware), threading.Event()
    add = dramatiq.actor(lambda a, b: a + b, actor_name="add", broker=broker, store_results=True)
    finished = dramatiq.actor(called_back.set, actor_name="finished", broker=broker)
    run_worker(broker)

    chain = pipeline([add.message(1, 2), add.message(3), add.message(4)], broker=broker).run()
    assert 10 == chain.get_result(block=True, timeout=5000)
    together = group([add.message(n, n) for n in range(5)], broker=broker)
    together.add_completion_callback(finished.message())
    assert [0, 2, 4, 6, 8] == list(together.run().get_results(block=True, timeout=5000))
    assert called_back.wait(5)
    broker.close()


def test_a_time_limit_ends_a_task(broker: StreamsBroker, run_worker: Run):
    """The limit raises in the task; the worker goes on."""
    ended = []
    broker.middleware = [TimeLimit(interval=50), Retries(max_retries=0)]
    broker.actor_options |= {"time_limit"}
    broker.emit_after("process_boot")

    @dramatiq.actor(broker=broker, time_limit=100)
    def endless() -> None:
        try:
            while True:
                time.sleep(0.005)
        except TimeLimitExceeded:
            ended.append(1)
            raise

    endless.send()
    run_worker(broker)
    broker.join("default", timeout=5000)

    assert [1] == ended


def test_a_smaller_priority_number_runs_first(broker: StreamsBroker, run_worker: Run, monkeypatch: pytest.MonkeyPatch):
    """Among the tasks a process holds, the priority of the actor decides."""
    monkeypatch.setattr("dramatiq.worker.QUEUE_PREFETCH", 10)
    ran, gate = [], threading.Event()
    dramatiq.actor(lambda: gate.wait(5) and None, actor_name="gate", broker=broker).send()
    low = dramatiq.actor(lambda: ran.append("low"), actor_name="low", broker=broker, priority=100)
    high = dramatiq.actor(lambda: ran.append("high"), actor_name="high", broker=broker, priority=1)
    worker = run_worker(broker, threads=1)
    for actor in (low, low, high, high):
        actor.send()
    wait_until(lambda: worker.work_queue.unfinished_tasks == 5)
    gate.set()
    broker.join("default", timeout=5000)

    assert ["high", "high", "low", "low"] == ran


def test_many_queues_are_worked_side_by_side(broker: StreamsBroker, run_worker: Run):
    """Twenty queues, one worker: every task of every queue runs."""
    ran: Counter[str] = Counter()
    actors = [
        dramatiq.actor(lambda name=f"q{n}": ran.update([name]), actor_name=f"a{n}", queue_name=f"q{n}", broker=broker)
        for n in range(20)
    ]
    for actor in actors * 5:
        actor.send()
    run_worker(broker)
    for n in range(20):
        broker.join(f"q{n}", timeout=5000)

    assert {f"q{n}": 5 for n in range(20)} == dict(ran)


def test_flush_drops_waiting_and_delayed_tasks_of_one_queue(broker: StreamsBroker, run_worker: Run):
    """flush is for one queue, flush_all for all; a running worker goes on afterwards."""
    ran = []
    one = dramatiq.actor(lambda: ran.append("one"), actor_name="one", queue_name="one", broker=broker)
    two = dramatiq.actor(lambda: ran.append("two"), actor_name="two", queue_name="two", broker=broker)
    one.send(), one.send_with_options(delay=100), two.send()
    broker.flush("one")
    run_worker(broker)
    for queue in ("one", "two"):
        broker.join(queue, timeout=2000)
    assert ["two"] == ran

    broker.flush_all()
    one.send()
    broker.join("one", timeout=5000)
    assert ["two", "one"] == ran


def test_flush_all_never_touches_a_subscribed_stream(broker: StreamsBroker, client: redis.Redis):
    """Facts belong to all their readers."""
    broker.subscribe(subscription(), lambda batch: None, classify=classify, on_dead=lambda letter: None)
    fill(client, "s", [1])
    broker.flush_all()

    assert 1 == client.xlen("s")


def test_join_waits_for_a_subscription(broker: StreamsBroker, client: redis.Redis, run_worker: Run):
    """A subscription is idle when its group has handled everything."""
    done = []

    def slowly(batch) -> None:
        time.sleep(0.1)
        done.extend(batch)

    broker.subscribe(subscription(), slowly, classify=classify, on_dead=lambda letter: None)
    fill(client, "s", [1, 2])
    with pytest.raises(QueueJoinTimeout):
        broker.join("s.g", timeout=50)
    run_worker(broker)
    broker.join("s.g", timeout=5000)

    assert 2 == len(done)


def test_facts_are_not_sent_as_tasks(broker: StreamsBroker):
    """The actor behind a subscription cannot be sent to."""
    actor = broker.subscribe(subscription(), lambda batch: None, classify=classify, on_dead=lambda letter: None)

    with pytest.raises(ValueError, match="publish"):
        actor.send([])


def test_an_undeclared_queue_is_refused():
    """A worker asks only for what was declared."""
    with pytest.raises(QueueNotFound):
        StreamsBroker(url="unix:///nowhere.sock").consume("nowhere")


def test_enqueueing_without_a_server_says_so():
    """The caller learns that nothing was sent."""
    broker = StreamsBroker(url="unix:///nowhere.sock")
    with pytest.raises(ConnectionClosed):
        dramatiq.actor(lambda: None, actor_name="a", broker=broker).send()


def test_tasks_run_on_fakeredis(run_worker: Run):
    """Actors can be tested without a server, timers included."""
    broker, ran = StreamsBroker(client=fakeredis.FakeRedis()), []
    actor = dramatiq.actor(ran.append, actor_name="a", broker=broker)
    actor.send(1)
    actor.send_with_options(args=(2,), delay=50)
    run_worker(broker)
    broker.join("default", timeout=5000)

    assert [1, 2] == ran
