"""Ordinary dramatiq tasks: what this process holds of one queue.

The state lives on the broker: dramatiq acknowledges on whatever Consumer object is current,
from any worker thread. A command that fails to settle a task is kept and sent again by the
consumer thread, so no worker thread waits for a server that is away.

A task that was delivered often without an end is a suspect (see ``delivery``): it is handed
out alone, each such try is counted before it starts, and after *max_deliveries* of them it
is dead-lettered unseen. So a task that kills its process cannot do so for ever, and tasks
that were merely prefetched beside it are not blamed.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from math import isfinite
from threading import Condition
from typing import Any

import redis
from dramatiq import Consumer, Message, MessageProxy
from dramatiq.common import current_millis
from dramatiq.errors import DecodeError

from streams.consumer import GROUP_LOST
from streams.delivery import REASON_LENGTH, TRUSTED_DELIVERIES, died_reason
from streams.hooks import DeadLetter, StreamHooks
from streams.outage import Outage, Pause
from streams.taskstore import GROUP, Task, TaskStore

log = logging.getLogger(__name__)

#: Seconds before a task is run again whose follow-up (retry, next of a pipeline) could not be sent.
UNSETTLED_PAUSE_S = 1.0


class TaskProxy(MessageProxy):
    """A message with its entry, and what has become of it."""

    def __init__(self, message: Message[object], task: Task) -> None:
        super().__init__(message)
        self.task = task
        self.reason = "failed"
        self.is_replaced = False  # a retry took its place in Redis, the entry is gone
        self.is_unsettled = False  # something that must follow it could not be sent

    def stuff_exception(self, exception: BaseException) -> None:
        super().stuff_exception(exception)
        self.reason = f"{type(exception).__name__}: {exception}"[:REASON_LENGTH]

    def encoded(self) -> bytes:
        """Return the message as it is now (with traceback and retries), or as it came if that cannot be encoded."""
        try:
            return bytes(self._message.encode())
        except Exception:
            log.warning("cannot encode %s again", self.task.id, exc_info=True)
            return self.task.data


class Tasks:
    """One task queue in this process."""

    def __init__(self, store: TaskStore, hooks: StreamHooks, max_deliveries: int) -> None:
        self.store, self.hooks, self.max_deliveries = store, hooks, max_deliveries
        self._changed = Condition()
        self._held: set[str] = set()  # handed to dramatiq, or ready to be
        self._ready: deque[TaskProxy] = deque()
        self._unsent: dict[str, Callable[[], None]] = {}  # settlements that did not reach the server
        self._suspect = ""  # the one that is being run alone
        self.is_consumed = False  # a consumer of this process reads it
        self._in_doubt, self._is_prepared = True, False
        self._pause = Pause()
        self._outage = Outage(store.stream)

    def doubt(self) -> None:
        """Entries may be pending that nobody here holds: look before reading anything new."""
        self._in_doubt = True

    def next(self, prefetch: int, timeout_s: float) -> TaskProxy | None:
        """Return the next task, or None within about *timeout_s*."""
        deadline = time.monotonic() + timeout_s
        if not self._ready and self._has_room(prefetch, deadline) and self._pause.is_over_by(deadline):
            self._fetch(prefetch, deadline)
        with self._changed:
            return self._ready.popleft() if self._ready else None

    def finish(self, proxy: TaskProxy) -> None:
        """The task ran: it leaves the stream, unless what follows it could not be sent."""
        if proxy.is_unsettled:
            self._pause.begin(UNSETTLED_PAUSE_S)
            self._leave_pending(proxy)
        elif proxy.is_replaced:
            self._let_go(proxy.task.id)
        else:
            self._settle(proxy.task.id, lambda: self.store.done(proxy.task.id))

    def reject(self, proxy: TaskProxy) -> None:
        """The task failed for good: it becomes a dead letter."""
        if proxy.is_replaced:
            self._let_go(proxy.task.id)
            return
        tries = int(proxy.options.get("retries") or 0) or proxy.task.deliveries
        self._bury(self.store.letter(proxy.task.id, proxy.encoded(), proxy.reason, tries))

    def put_back(self, proxy: TaskProxy) -> None:
        """The task did not begin: it is pending, will be read again, and was not tried."""
        if proxy.task.id == self._suspect:
            self._untry(proxy.task.id)
        self._leave_pending(proxy)

    def open(self) -> None:
        """A consumer begins to read."""
        self.is_consumed = True

    def close(self) -> None:
        """No consumer reads any more: put back what was not handed out, greet the server before the next read."""
        self.is_consumed = self._is_prepared = False
        with self._changed:
            while self._ready:
                self.put_back(self._ready.pop())

    def _leave_pending(self, proxy: TaskProxy) -> None:
        self.doubt()
        self._let_go(proxy.task.id)

    def _untry(self, entry_id: str) -> None:
        try:
            self.store.attempts.take_back(entry_id)
        except redis.RedisError as e:
            log.warning("task %s was counted as tried, but was not: %s", entry_id, e)

    def clear(self) -> None:
        """Drop every task that does not run yet."""
        self.store.clear()
        with self._changed:
            while self._ready:
                self._leave_pending(self._ready.pop())

    def _has_room(self, prefetch: int, deadline: float) -> bool:
        """Wait until fewer than *prefetch* tasks are held, and none that must run alone."""
        with self._changed:
            return self._changed.wait_for(
                lambda: len(self._held) < prefetch and not self._suspect, max(0.0, deadline - time.monotonic())
            )

    def _fetch(self, prefetch: int, deadline: float) -> None:
        try:
            self._send_unsent()
            for task in self._own_pending(prefetch) or self._new(prefetch, deadline):
                self._take(task)
            self._outage.is_over()
        except redis.RedisError as e:
            self.doubt()
            self._answer(e)
        except BaseException:
            self.doubt()
            raise

    def _answer(self, error: redis.RedisError) -> None:
        """Make the group again where it is gone; else leave the server alone for a while."""
        if isinstance(error, redis.ResponseError) and str(error).startswith(GROUP_LOST):
            self._is_prepared = False
            self.hooks.group_lost(self.store.stream, GROUP)
        else:
            self._pause.begin(self._outage.continues(error))

    def _send_unsent(self) -> None:
        with self._changed:
            unsent = list(self._unsent.items())
        for entry_id, command in unsent:
            command()
            with self._changed:
                del self._unsent[entry_id]

    def _own_pending(self, prefetch: int) -> list[Task]:
        if not self._is_prepared:
            self.store.prepare()
            self._is_prepared = True
        if not self._in_doubt:
            return []
        self._in_doubt = False  # before the look: what is put back during it must be looked for again
        with self._changed:
            known = {*self._held, *self._unsent}
        found = self.store.pending(besides=known)
        if not found:
            return []
        self._in_doubt = True
        return self._again(found, prefetch)

    def _again(self, found: list[tuple[str, int]], prefetch: int) -> list[Task]:
        trusted = [(entry_id, n) for entry_id, n in found if n < TRUSTED_DELIVERIES]
        if trusted:
            return self.store.take_again(trusted[: prefetch - len(self._held)])
        return self._alone(found[0]) if not self._held else []

    def _alone(self, entry: tuple[str, int]) -> list[Task]:
        """Hand out one suspect while nothing else of this queue runs."""
        tasks = self.store.take_again([entry])
        for task in tasks:
            tries = self.store.attempts.add(task.id)
            if tries > self.max_deliveries:
                self._bury(self.store.letter(task.id, task.data, died_reason(tries - 1), tries - 1))
                return []
            self._suspect = task.id
        return tasks

    def _new(self, prefetch: int, deadline: float) -> list[Task]:
        if self._in_doubt:  # suspects wait until what is held is done
            with self._changed:
                self._changed.wait_for(lambda: not self._held, max(0.0, deadline - time.monotonic()))
            return []
        return self.store.read(prefetch - len(self._held), int((deadline - time.monotonic()) * 1000))

    def _take(self, task: Task) -> None:
        try:
            proxy = TaskProxy(Message.decode(task.data), task)
        except DecodeError as e:
            self._bury(self.store.letter(task.id, task.data, f"{type(e).__name__}: {e}", task.deliveries))
            return
        if (wait_ms := _ms_to_wait(proxy)) > 0:
            self.store.add_later(without_eta(proxy), wait_ms, instead_of=task.id)
            self._let_go(task.id)
            return
        with self._changed:
            self._held.add(task.id)
            self._ready.append(proxy)

    def _bury(self, letter: DeadLetter) -> None:
        self._settle(letter.entry_id, lambda: self.store.bury(letter))
        self.hooks.dead(letter)

    def _settle(self, entry_id: str, command: Callable[[], None]) -> None:
        try:
            command()
        except redis.RedisError as e:
            log.warning("cannot settle task %s yet: %s", entry_id, e)
            with self._changed:
                self._unsent[entry_id] = command
        self._let_go(entry_id)

    def _let_go(self, entry_id: str) -> None:
        with self._changed:
            self._held.discard(entry_id)
            if self._suspect == entry_id:
                self._suspect = ""
            self._changed.notify_all()


class TaskQueue(Consumer):
    """dramatiq's view of :class:`Tasks`."""

    def __init__(self, tasks: Tasks, prefetch: int, timeout_ms: int) -> None:
        self.tasks, self.prefetch, self.timeout_s = tasks, prefetch, timeout_ms / 1000
        tasks.open()

    def __next__(self) -> MessageProxy | None:
        return self.tasks.next(self.prefetch, self.timeout_s)

    def ack(self, message: MessageProxy) -> None:
        for task in _own([message]):
            self.tasks.finish(task)

    def nack(self, message: MessageProxy) -> None:
        for task in _own([message]):
            self.tasks.reject(task)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        for task in _own(messages):
            self.tasks.put_back(task)

    def close(self) -> None:
        self.tasks.close()


def without_eta(message: Message[Any] | MessageProxy) -> bytes:
    """Return *message* as it is stored: when it is due is the score of the delayed set, by the server's clock."""
    stored: Message[Any] = message.copy()
    stored.options.pop("eta", None)
    return bytes(stored.encode())


def _ms_to_wait(message: MessageProxy) -> int:
    """Take the eta out of a message from elsewhere: dramatiq would hold it in memory until then.

    What is no number is left in: dramatiq warns of it.
    """
    eta = message.options.get("eta")
    if not isinstance(eta, int | float):
        return 0
    del message.options["eta"]
    return int(eta) - current_millis() if isfinite(eta) else 0


def _own(messages: Iterable[MessageProxy]) -> Iterator[TaskProxy]:
    """Leave out what did not come from this queue: there is nothing to settle."""
    for message in messages:
        if isinstance(message, TaskProxy):
            yield message
        else:
            log.warning("%r did not come from this queue", message)
