"""One thread per worker process that keeps its task queues: heartbeat, timers, orphans.

A thread of its own, so that a long task never looks like a dead worker, and so that a
delayed message is moved when it is due and not when a consumer happens to look.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from threading import Condition, Thread

import redis

from streams.outage import Outage
from streams.taskstore import TaskStore, beat, move_due, withdraw

log = logging.getLogger(__name__)

#: Longest pause between two looks at the delayed messages of other processes, in seconds.
POLL_S = 0.25

#: Heartbeats per timeout: three may be lost before others think this process dead.
_BEATS_PER_TIMEOUT = 4

#: For a process that was out of touch itself, nobody else's silence means death.
_NEVER_MS = 10**12


class Keeper:
    """Runs while a Worker runs.

    Delayed messages of all *stores* are moved; orphans and old dead letters only matter where
    this process reads (*consumed*): what it took over elsewhere, nobody would run.
    *on_claimed* is told the stream of tasks that were taken over.
    """

    def __init__(
        self,
        client: redis.Redis,
        alive: str,
        name: str,
        *,
        dead_after_ms: int,
        letters_ttl_ms: int,
        stores: Callable[[], Sequence[TaskStore]],
        consumed: Callable[[], Sequence[TaskStore]],
        on_claimed: Callable[[str], None],
    ) -> None:
        self.client, self.alive, self.name = client, alive, name
        self.dead_after_ms, self.letters_ttl_ms = dead_after_ms, letters_ttl_ms
        self.stores, self.consumed, self.on_claimed = stores, consumed, on_claimed
        self._outage = Outage("the task queues")
        self._wake = Condition()
        self._is_due_soon = self._is_stopping = False
        self._beat_at = 0.0
        self._is_in_touch = False  # no outage since the last heartbeat
        self._thread: Thread | None = None

    def start(self) -> None:
        if self._thread is not None:
            return
        self._is_stopping = False
        self._thread = Thread(target=self._run, name="task-keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and leave: others may take over what is pending."""
        if self._thread is None:
            return
        with self._wake:
            self._is_stopping = True
            self._wake.notify()
        self._thread.join()
        self._thread = None
        try:
            withdraw(self.client, self.alive, self.name)
        except redis.RedisError as e:
            self._outage.continues(e)

    def look_now(self) -> None:
        """A message was delayed by this process: it may be due before the next look."""
        with self._wake:
            self._is_due_soon = True
            self._wake.notify()

    def _run(self) -> None:
        while not self._is_stopping:
            self._sleep(self._turn_or_pause())

    def _turn_or_pause(self) -> float:
        """Return the seconds until the next turn. Nothing ends this thread: without it others think us dead."""
        try:
            pause_s = self._turn()
        except redis.RedisError as e:
            self._is_in_touch = False
            return self._outage.continues(e)
        except Exception:
            log.exception("the keeper of the task queues stumbled")
            return POLL_S
        self._outage.is_over()
        return pause_s

    def _turn(self) -> float:
        if time.monotonic() >= self._beat_at:
            self._beat_at = time.monotonic() + self.dead_after_ms / 1000 / _BEATS_PER_TIMEOUT
            beat(self.client, self.alive, self.name)
            self._clean_up()
        next_due_s = move_due(self.client, self.stores())
        return POLL_S if next_due_s is None else min(next_due_s, POLL_S)

    def _clean_up(self) -> None:
        """Take over what dead workers left, where this process reads; after an outage first let the living be heard."""
        dead_after_ms = self.dead_after_ms if self._is_in_touch else _NEVER_MS
        self._is_in_touch = True
        for store in self.consumed():
            store.forget_letters(self.letters_ttl_ms)
            if store.claim_orphans(dead_after_ms):
                self.on_claimed(store.stream)

    def _sleep(self, pause_s: float) -> None:
        with self._wake:
            self._wake.wait_for(lambda: self._is_due_soon or self._is_stopping, timeout=max(pause_s, 0.001))
            self._is_due_soon = False
