"""A dramatiq broker on Redis Streams: subscriptions to facts, and ordinary tasks.

``subscribe`` makes a queue of a (stream, group): the whole batch of one XREADGROUP travels
as one dramatiq message, with one batch in flight, so order holds and dramatiq's cost is
shared by the batch. What becomes of entries is decided in ``streams.delivery``; dramatiq
lends its Worker, its threads and its signals. A batch occupies one worker thread: start at
least as many threads as there are subscriptions that must not wait for each other.
"""

from __future__ import annotations

import threading
import time
from typing import Any
from uuid import uuid4

import dramatiq
import redis
from dramatiq import Broker, Consumer, Message, Middleware
from dramatiq.common import current_millis, q_name
from dramatiq.errors import ConnectionClosed, QueueJoinTimeout, QueueNotFound

from streams.clients import without_retries
from streams.consumer import Entry, StreamConsumer, Subscription
from streams.delivery import Classify, Delivery, Handler, OnDead
from streams.hooks import StreamHooks
from streams.keeper import Keeper
from streams.progress import is_caught_up
from streams.subscribed import Subscribed, SubscriptionQueue, queue_name_of
from streams.tasks import TaskProxy, TaskQueue, Tasks, without_eta
from streams.taskstore import MAX_BLOCK_MS, TaskStore, alive_key

#: Options of the actor behind a subscription: dramatiq's own policies stay out of its way.
_NO_POLICY: dict[str, Any] = {"max_retries": 0, "time_limit": float("inf"), "max_age": None, "notify_shutdown": False}

#: Milliseconds without a heartbeat after which a worker's tasks are taken over.
DEFAULT_HEARTBEAT_TIMEOUT = 60_000

#: Milliseconds for which the dead letters of tasks are kept: seven days, as in RedisBroker.
DEFAULT_DEAD_MESSAGE_TTL = 7 * 86_400_000

#: Tries of a task under suspicion of killing its process (see ``tasks``).
DEFAULT_MAX_DELIVERIES = 5


class StreamsBroker(Broker):
    """Runs subscriptions and tasks of one Redis server; a drop-in for dramatiq's RedisBroker.

    *url*, *client* or the settings of ``redis.Redis`` say where. The client is only asked
    for its address and settings: this broker uses connections that never repeat a command.
    *heartbeat_timeout* and *dead_message_ttl* (of tasks; facts' letters stay) are in
    milliseconds. *maintenance_chance* is accepted for RedisBroker's sake: here a thread does
    that work. Nothing is sent before a worker starts or a task is enqueued.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        client: redis.Redis | None = None,
        middleware: list[Middleware] | None = None,
        namespace: str = "dramatiq",
        maintenance_chance: int = 0,  # noqa: ARG002 - a setting of the broker that this one replaces
        heartbeat_timeout: int = DEFAULT_HEARTBEAT_TIMEOUT,
        dead_message_ttl: int = DEFAULT_DEAD_MESSAGE_TTL,
        max_deliveries: int = DEFAULT_MAX_DELIVERIES,
        hooks: StreamHooks | None = None,
        **redis_options: Any,
    ) -> None:
        super().__init__(middleware=middleware)
        self.queues: set[str] = set()
        self.broker_id = str(uuid4())
        self.namespace, self.max_deliveries, self.hooks = namespace, max_deliveries, hooks or StreamHooks()
        self.heartbeat_timeout, self.dead_message_ttl = heartbeat_timeout, dead_message_ttl
        self.client = client or _client(url, redis_options)
        self._writer = without_retries(self.client)
        self._reader = without_retries(self.client, MAX_BLOCK_MS)
        self._subscribed: dict[str, Subscribed] = {}
        self._tasks: dict[str, Tasks] = {}
        self._thread = threading.local()  # .finishing: the task whose after-hooks run in this thread
        self._keeper = Keeper(
            self._writer,
            alive_key(namespace),
            self.broker_id,
            dead_after_ms=heartbeat_timeout,
            letters_ttl_ms=dead_message_ttl,
            stores=lambda: [tasks.store for tasks in list(self._tasks.values())],
            consumed=lambda: [tasks.store for tasks in list(self._tasks.values()) if tasks.is_consumed],
            on_claimed=self._doubt,
        )

    def subscribe(
        self,
        subscription: Subscription,
        handler: Handler,
        *,
        classify: Classify,
        on_dead: OnDead,
        priority: int = 0,
    ) -> dramatiq.Actor[[list[Entry]], None]:
        """Have *handler* called with each batch of *subscription* while a Worker runs.

        *priority* orders waiting batches of this process, smaller first.

        Raises:
            ValueError: two subscriptions would share a queue.
        """
        name = queue_name_of(subscription)
        if name in self.queues:
            raise ValueError(f"queue {name!r} exists already")
        reader = without_retries(self.client, subscription.block_ms)
        consumer = StreamConsumer(reader, subscription, self.hooks)
        delivery = Delivery(consumer, handler, classify=classify, on_dead=on_dead)
        subscribed = self._subscribed[name] = Subscribed(name, consumer, delivery)
        return dramatiq.Actor(
            subscribed.deliver,
            broker=self,
            actor_name=name,
            queue_name=name,
            priority=priority,
            options=dict(_NO_POLICY),
        )

    def adopt(self, actor: dramatiq.Actor[Any, Any], consumer: str) -> int:
        """Let the subscription behind *actor* take over what is pending under another *consumer* name."""
        ours = self._subscribed[actor.queue_name].consumer
        adopted = ours.adopt(consumer)
        ours.doubt()
        return adopted

    def declare_queue(self, queue_name: str) -> None:
        """Register a queue in memory; actors are declared before a server need be up."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            if queue_name not in self._subscribed:
                self._tasks_of(queue_name)
            self.emit_after("declare_queue", queue_name)

    def get_declared_queues(self) -> set[str]:
        return self.queues.copy()

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """Return a new consumer; *timeout* is the longest block in milliseconds."""
        if queue_name in self._subscribed:
            return SubscriptionQueue(self._subscribed[queue_name], timeout)
        if queue_name in self.queues:
            return TaskQueue(self._tasks_of(queue_name), prefetch, timeout)
        raise QueueNotFound(queue_name)  # type: ignore[no-untyped-call]

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Send a task; *delay* is the least time in milliseconds before it runs.

        A retry takes the place of the try that failed in one step, so an error in between
        can neither lose nor double it. The message that is returned, and that middleware sees,
        has a ``redis_message_id`` of its own and, when delayed, its ``eta`` (Unix ms).

        Raises:
            ConnectionClosed: the server is away; whether the task was added is unknown.
            redis.RedisError: the server refused it.
            ValueError: the queue belongs to a subscription; facts are published, not sent.
        """
        if message.queue_name in self._subscribed:
            raise ValueError(f"{message.queue_name!r} is a subscription: publish to its stream instead")
        original, message = message, message.copy(options={"redis_message_id": str(uuid4())})
        if delay is not None:
            message.options["eta"] = current_millis() + delay
        self.emit_before("enqueue", message, delay)
        try:
            self._send(original, message, delay)
        except (redis.ConnectionError, redis.TimeoutError) as e:
            self._nothing_was_sent()
            raise ConnectionClosed(e) from e  # type: ignore[no-untyped-call]
        except redis.RedisError:
            self._nothing_was_sent()
            raise
        self.emit_after("enqueue", message, delay)
        return message

    def flush(self, queue_name: str) -> None:
        """Drop all tasks of a queue. A subscription has none: its stream belongs to others too."""
        if queue_name not in self._subscribed:
            self._tasks_of(queue_name).clear()

    def flush_all(self) -> None:
        """Drop all tasks of all declared queues."""
        for queue_name in self.get_declared_queues():
            self.flush(queue_name)

    def join(self, queue_name: str, *, interval: int = 100, timeout: int | None = None) -> None:
        """Wait until every task of a queue is done, or a subscription has read everything.

        *interval* and *timeout* are milliseconds; no *timeout*, or 0, waits for ever.

        Raises:
            QueueJoinTimeout: it took longer than *timeout*.
        """
        deadline = time.monotonic() + timeout / 1000 if timeout else None
        while not self._is_idle(q_name(queue_name)):
            if deadline is not None and time.monotonic() >= deadline:
                raise QueueJoinTimeout(queue_name)  # type: ignore[no-untyped-call]
            time.sleep(interval / 1000)

    def close(self) -> None:
        """Stop what runs beside the Worker and close all connections."""
        self._keeper.stop()
        for client in (self._writer, self._reader, *(s.consumer.client for s in self._subscribed.values())):
            client.connection_pool.disconnect()

    def emit_before(self, signal: str, *args: Any, **kwargs: Any) -> None:
        if signal == "worker_boot":
            self._keeper.start()
        super().emit_before(signal, *args, **kwargs)

    def emit_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """Know which task's after-hooks run: their errors are swallowed, and what they had to send with them."""
        self._thread.finishing = args[0] if signal == "process_message" else self._finishing()
        try:
            super().emit_after(signal, *args, **kwargs)
        finally:
            if signal == "process_message":
                self._thread.finishing = None
        if signal == "worker_shutdown":
            self._keeper.stop()

    def _finishing(self) -> TaskProxy | None:
        finishing = getattr(self._thread, "finishing", None)
        return finishing if isinstance(finishing, TaskProxy) else None

    def _nothing_was_sent(self) -> None:
        if finishing := self._finishing():
            finishing.is_unsettled = True

    def _send(self, original: object, message: Message[Any], delay: int | None) -> None:
        store, finishing = self._tasks_of(message.queue_name).store, self._finishing()
        if finishing is not None and finishing is original:
            store.add_later(without_eta(message), delay or 0, instead_of=finishing.task.id)
            finishing.is_replaced = True
        elif delay is not None:
            store.add_later(without_eta(message), delay)
        else:
            store.add(message.encode())
        if delay is not None:
            self._keeper.look_now()

    def _tasks_of(self, queue_name: str) -> Tasks:
        if queue_name not in self._tasks:
            store = TaskStore(self._writer, self._reader, self.namespace, queue_name, self.broker_id)
            self._tasks[queue_name] = Tasks(store, self.hooks, self.max_deliveries)
        return self._tasks[queue_name]

    def _doubt(self, stream: str) -> None:
        for tasks in list(self._tasks.values()):
            if tasks.store.stream == stream:
                tasks.doubt()

    def _is_idle(self, queue_name: str) -> bool:
        if queue_name not in self._subscribed:
            return self._tasks_of(queue_name).store.size() == 0
        consumer = self._subscribed[queue_name].consumer
        return is_caught_up(self._writer, {consumer.stream: [consumer.group]})


def _client(url: str | None, options: dict[str, Any]) -> redis.Redis:
    return redis.Redis.from_url(url, **options) if url else redis.Redis(**options)
