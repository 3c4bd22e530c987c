"""Subscriptions under dramatiq's Worker: one batch is one message.

The consumer thread reads a batch and hands it over; a worker thread delivers it; only then
is the next batch read. The state lives here, on the broker, not in dramatiq's Consumer,
which may be closed and made again while a batch is being handled.

This module and ``tasks`` are parts of ``broker`` and, like it, know dramatiq.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from threading import Event

import redis
from dramatiq import Consumer, Message, MessageProxy

from streams.consumer import Entry, StreamConsumer, Subscription
from streams.delivery import Delivery
from streams.outage import Outage, Pause

_RESERVED_SUFFIXES = (".DQ", ".XQ")


def queue_name_of(subscription: Subscription) -> str:
    """Return the dramatiq queue of a (stream, group): ``fills.{0}`` for ``tracker`` is ``fills.0.tracker``.

    Raises:
        ValueError: dramatiq would read the name as another queue's.
    """
    lane = ".waiting" if subscription.of_waiting is not None else ""
    name = re.sub(r"[^a-zA-Z0-9._-]", "", f"{subscription.stream}.{subscription.group}{lane}")
    if name.endswith(_RESERVED_SUFFIXES):
        raise ValueError(f"{name!r} ends like a queue of dramatiq's own")
    return name if re.match(r"[a-zA-Z_]", name) else f"_{name}"


class Subscribed:
    """One subscription: what is in flight, and when to read on."""

    def __init__(self, queue_name: str, consumer: StreamConsumer, delivery: Delivery) -> None:
        self.queue_name, self.consumer, self.delivery = queue_name, consumer, delivery
        self._free = Event()  # set while no batch is in flight
        self._free.set()
        self._delivered = True  # the batch in flight reached ``deliver``
        self._pause = Pause()
        self._outage = Outage(queue_name)

    def next_batch(self, timeout_s: float) -> list[Entry]:
        """Return the next batch, or none within about *timeout_s*; marks it as in flight."""
        deadline = time.monotonic() + timeout_s
        if not self._free.wait(timeout_s) or not self._pause.is_over_by(deadline):
            return []
        batch = self._read(max(0.0, deadline - time.monotonic()))
        if batch:
            self._delivered = False
            self._free.clear()
        return batch

    def deliver(self, batch: list[Entry]) -> None:
        """Handle *batch* in a worker thread."""
        self._pause.begin(self.delivery.deliver(batch))
        self._delivered = True

    def release(self) -> None:
        """The batch left the worker: handled, partly handled, or never begun."""
        if not self._delivered:
            self._pause.begin(self.consumer.subscription.retry_ms / 1000)
            self.consumer.doubt()
        self._free.set()

    def _read(self, timeout_s: float) -> list[Entry]:
        block_ms = min(self.consumer.subscription.block_ms, int(timeout_s * 1000))
        try:
            batch = self.consumer.read(block_ms)
        except redis.RedisError as e:
            self._pause.begin(self._outage.continues(e))
            return []
        self._outage.is_over()
        return batch


class SubscriptionQueue(Consumer):
    """dramatiq's view of a subscription; entries are settled in ``deliver``, so ack only frees the window."""

    def __init__(self, subscribed: Subscribed, timeout_ms: int) -> None:
        self.subscribed, self.timeout_s = subscribed, timeout_ms / 1000

    def __next__(self) -> MessageProxy | None:
        batch = self.subscribed.next_batch(self.timeout_s)
        return MessageProxy(self._message(batch)) if batch else None

    def ack(self, message: MessageProxy) -> None:  # noqa: ARG002 - dramatiq's signature
        self.subscribed.release()

    def nack(self, message: MessageProxy) -> None:  # noqa: ARG002 - dramatiq's signature
        self.subscribed.release()

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        for _ in messages:
            self.subscribed.release()

    def _message(self, batch: list[Entry]) -> Message[None]:
        name = self.subscribed.queue_name
        return Message(
            queue_name=name,
            actor_name=name,
            args=(batch,),
            kwargs={},
            options={},
            message_id=f"{self.subscribed.consumer.stream}/{batch[0].id}",
            message_timestamp=int(batch[0].id.partition("-")[0]),
        )
