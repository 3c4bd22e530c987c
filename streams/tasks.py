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
from collections.abc import Callable, Iterable
from threading import Condition

import redis
from dramatiq import Consumer, Message, MessageProxy
from dramatiq.errors import DecodeError

from streams.consumer import GROUP_LOST
from streams.delivery import REASON_LENGTH, TRUSTED_DELIVERIES, died_reason
from streams.hooks import DeadLetter, StreamHooks
from streams.outage import Outage
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
        self._in_doubt, self._is_prepared = True, False
        self._read_on_at = 0.0
        self._outage = Outage(store.stream)

    def doubt(self) -> None:
        """Entries may be pending that nobody here holds: look before reading anything new."""
        self._in_doubt = True

    def next(self, prefetch: int, timeout_s: float) -> TaskProxy | None:
        """Return the next task, or None within about *timeout_s*."""
        deadline = time.monotonic() + timeout_s
        if not self._ready and self._has_room(prefetch, deadline) and self._pause_is_over(deadline):
            self._fetch(prefetch, deadline)
        with self._changed:
            return self._ready.popleft() if self._ready else None

    def finish(self, proxy: TaskProxy) -> None:
        """The task ran: it leaves the stream, unless what follows it could not be sent."""
        if proxy.is_unsettled:
            self._read_on_at = time.monotonic() + UNSETTLED_PAUSE_S
            self.put_back(proxy)
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
        """The task was not run to its end here: it is pending and will be read again."""
        self.doubt()
        self._let_go(proxy.task.id)

    def drop_ready(self) -> None:
        """Put back what was prefetched and not handed out."""
        with self._changed:
            while self._ready:
                self.put_back(self._ready.pop())

    def clear(self) -> None:
        """Drop every task that does not run yet."""
        self.store.clear()
        self.drop_ready()

    def _has_room(self, prefetch: int, deadline: float) -> bool:
        """Wait until fewer than *prefetch* tasks are held, and none that must run alone."""
        with self._changed:
            return self._changed.wait_for(
                lambda: len(self._held) < prefetch and not self._suspect, max(0.0, deadline - time.monotonic())
            )

    def _pause_is_over(self, deadline: float) -> bool:
        time.sleep(max(0.0, min(self._read_on_at, deadline) - time.monotonic()))
        return time.monotonic() >= self._read_on_at

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
            self._read_on_at = time.monotonic() + self._outage.continues(error)

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

    def __next__(self) -> MessageProxy | None:
        return self.tasks.next(self.prefetch, self.timeout_s)

    def ack(self, message: MessageProxy) -> None:
        self.tasks.finish(_own(message))

    def nack(self, message: MessageProxy) -> None:
        self.tasks.reject(_own(message))

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        for message in messages:
            self.tasks.put_back(_own(message))

    def close(self) -> None:
        self.tasks.drop_ready()


def _own(message: MessageProxy) -> TaskProxy:
    if not isinstance(message, TaskProxy):
        raise TypeError(f"{message!r} did not come from this queue")
    return message
