"""A dramatiq broker on Redis Streams: subscriptions to facts, and ordinary tasks.

``subscribe`` makes a queue of a (stream, group): the whole batch of one XREADGROUP travels
as one dramatiq message, with one batch in flight, so order holds and dramatiq's cost is
shared by the batch. What becomes of entries is decided in ``streams.delivery``; dramatiq
lends its Worker, its threads and its signals. A batch occupies one worker thread: start at
least as many threads as there are subscriptions that must not wait for each other.
"""

from __future__ import annotations

from typing import Any

import dramatiq
import redis
from dramatiq import Broker, Consumer, Message, Middleware
from dramatiq.errors import QueueNotFound

from streams.clients import without_retries
from streams.consumer import Entry, StreamConsumer, Subscription
from streams.delivery import Classify, Delivery, Handler, OnDead
from streams.hooks import StreamHooks
from streams.subscribed import Subscribed, SubscriptionQueue, queue_name_of

#: Options of the actor behind a subscription: dramatiq's own policies stay out of its way.
_NO_POLICY: dict[str, Any] = {"max_retries": 0, "time_limit": float("inf"), "max_age": None, "notify_shutdown": False}


class StreamsBroker(Broker):
    """Runs subscriptions and tasks of one Redis server.

    Parameters are those of dramatiq's RedisBroker: *url* or *client* or the settings of
    ``redis.Redis``. Nothing is sent to the server before a worker starts or a task is sent.
    """

    def __init__(
        self,
        *,
        url: str = "",
        client: redis.Redis | None = None,
        middleware: list[Middleware] | None = None,
        namespace: str = "dramatiq",
        hooks: StreamHooks | None = None,
        **redis_options: Any,
    ) -> None:
        super().__init__(middleware=middleware)
        self.queues: set[str] = set()
        self.namespace, self.hooks = namespace, hooks or StreamHooks()
        self.client = client or (redis.Redis.from_url(url) if url else redis.Redis(**redis_options))
        self._subscribed: dict[str, Subscribed] = {}

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
        self._subscribed[name] = Subscribed(name, consumer, delivery)
        return dramatiq.Actor(
            self._subscribed[name].deliver,
            broker=self,
            actor_name=name,
            queue_name=name,
            priority=priority,
            options=dict(_NO_POLICY),
        )

    def declare_queue(self, queue_name: str) -> None:
        """Register a queue in memory; actors are declared before a server need be up."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def get_declared_queues(self) -> set[str]:
        return self.queues.copy()

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """Return a new consumer; *timeout* is the longest block in milliseconds."""
        if queue_name in self._subscribed:
            return SubscriptionQueue(self._subscribed[queue_name], timeout)
        raise QueueNotFound(queue_name)  # type: ignore[no-untyped-call]
