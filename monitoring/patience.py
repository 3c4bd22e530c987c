"""Reading with a deadline: a server that hangs must not hang whoever watches it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


class NoAnswer(TimeoutError):
    """A read has not ended within its time; while it hangs no other is begun."""


@dataclass(slots=True)
class _Call(Generic[T]):
    read: Callable[[], T]
    until: float
    done: threading.Event = field(default_factory=threading.Event)
    result: T | None = None
    error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.read()
        except BaseException as e:  # noqa: BLE001 - it belongs to whoever asked
            self.error = e
        finally:
            self.done.set()


class Patient(Generic[T]):
    """Calls *read* in a thread of its own and waits at most *deadline_s* seconds. Safe for several threads."""

    def __init__(self, read: Callable[[], T], deadline_s: float) -> None:
        self._read, self._deadline_s = read, deadline_s
        self._lock = threading.Lock()
        self._running: _Call[T] | None = None

    def __call__(self) -> T:
        """Return what *read* returns, or raise what it raises; who asks while it is under way shares its answer.

        Raises:
            NoAnswer: it takes longer than the deadline, or a former one still does.
        """
        call = self._call()
        if not call.done.wait(max(0.0, call.until - time.monotonic())):
            raise NoAnswer(f"no answer within {self._deadline_s} s")
        if call.error is not None:
            raise call.error
        return call.result  # type: ignore[return-value]  # without an error there is a result

    def _call(self) -> _Call[T]:
        """Return the call that is under way, or begin one."""
        with self._lock:
            call = self._running
            if call is None or call.done.is_set():
                call = self._running = _Call(self._read, time.monotonic() + self._deadline_s)
                threading.Thread(target=call.run, name="scrape", daemon=True).start()
            return call
