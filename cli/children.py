"""Child processes that never outlive us: started in the foreground, watched, stopped, logged.

Each child is the leader of its own process group, so that the terminal's Ctrl-C reaches us alone
and we choose the order of stopping. On Linux the kernel ends a child when we are killed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

#: Linux, sys/prctl.h: "send me this signal when the thread that started me ends".
_PR_SET_PDEATHSIG = 1
#: How much of a log its ChildDied quotes.
_LAST_LINES = 10
_TAIL_BYTES = 4096
#: A log that is larger than this when its child starts is set aside as ``<name>.log.1``.
_LOG_BYTES = 10 * 1024 * 1024


class ChildDied(Exception):
    """A child ended that should have gone on; *code* is its exit code, negative for a signal."""

    exit_code = 3

    def __init__(self, name: str, code: int, last_lines: str) -> None:
        self.name = name
        self.code = code
        self.last_lines = last_lines
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        super().__init__(f"{name} died ({how})" + (f":\n{last_lines}" if last_lines else ""))


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP arrived; like KeyboardInterrupt it is no error."""

    def __init__(self, signum: int) -> None:
        self.signum = signum
        super().__init__(f"stopped by {signal.Signals(signum).name}")


@dataclass(frozen=True, slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    log: Path
    stop_signal: int


class Children:
    """The processes of one run, by name; their stderr goes to ``<folder>/logs/<name>.log``."""

    def __init__(self, folder: Path) -> None:
        self._logs = folder / "logs"
        self._running: dict[str, _Child] = {}

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdout: int | IO[bytes] | None = None,
        stop_signal: int = signal.SIGTERM,
        death_signal: int = signal.SIGKILL,
        uid: int | None = None,
        gid: int | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start *argv* from the main thread (the kernel ties a child's life to the thread that started it).

        *stdout* is a subprocess redirection; None sends it to the log too.

        Raises:
            RuntimeError: called from another thread, or *name* is running.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("children are started from the main thread only")
        if name in self._running:
            raise RuntimeError(f"{name} is running")
        log = self._open_log(name)
        with log.open("ab") as errors:
            process = subprocess.Popen(  # noqa: S603 - the caller's words, no shell
                argv,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=errors if stdout is None else stdout,
                stderr=errors,
                process_group=0,
                preexec_fn=_die_with_parent(os.getpid(), death_signal),
                user=uid,
                group=gid,
                extra_groups=None if uid is None else [],
            )
        self._running[name] = _Child(process, log, stop_signal)
        return process

    def check(self) -> None:
        """Raise ChildDied for the first child that is no longer running."""
        for death in self.dead():
            raise death

    def dead(self) -> list[ChildDied]:
        """Return every child that is no longer running."""
        codes = [(name, child, child.process.poll()) for name, child in self._running.items()]
        return [ChildDied(name, code, _tail(child.log)) for name, child, code in codes if code is not None]

    def process(self, name: str) -> subprocess.Popen[bytes]:
        return self._running[name].process

    def forget(self, name: str) -> None:
        """Stop watching a child that was meant to end and did."""
        child = self._running[name]
        child.process.wait()
        del self._running[name]

    def stop_all(self, timeout: float = 5.0) -> None:
        """Ask every child to stop, all at once; what still runs after *timeout* seconds is killed."""
        with _undisturbed():
            for child in self._running.values():
                _signal(child.process, child.stop_signal)
            deadline = time.monotonic() + timeout
            for child in self._running.values():
                _wait_or_kill(child.process, deadline)
            self._running.clear()

    def _open_log(self, name: str) -> Path:
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = self._logs / f"{name}.log"
        if log.exists() and log.stat().st_size > _LOG_BYTES:
            log.replace(log.with_name(f"{name}.log.1"))
        log.touch(mode=0o600)
        return log


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into ``Interrupted`` in the main thread, so that every ``finally`` runs."""

    def interrupt(signum: int, _frame: FrameType | None) -> None:
        raise Interrupted(signum)

    with _handling(interrupt):
        yield


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no second Ctrl-C break off the stopping: it is bounded in time already."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _handling(signal.SIG_IGN):
        yield


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> Iterator[None]:
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for signum in before:
        signal.signal(signum, handler)
    try:
        yield
    finally:
        for signum, previous in before.items():
            signal.signal(signum, previous)


def _die_with_parent(parent: int, death_signal: int) -> Callable[[], None] | None:
    """Return what a child runs before its program, so that a kill -9 of ours leaves no orphan."""
    if not sys.platform.startswith("linux"):
        return None
    # Loaded before the fork: the child may not take the loader's locks.
    prctl = ctypes.CDLL(None).prctl

    def ask_the_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:  # we died before the kernel was asked
            os._exit(1)

    return ask_the_kernel


def _signal(process: subprocess.Popen[bytes], signum: int) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signum)


def _wait_or_kill(process: subprocess.Popen[bytes], deadline: float) -> None:
    """Wait until *deadline* (monotonic seconds), then kill the child and whatever it started in its group."""
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-_LAST_LINES:])
