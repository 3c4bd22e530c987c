"""A server that a killed run left alive is stopped before a new one starts on its data.

On Linux the kernel has usually done it (see ``cli.children``); elsewhere this is the way. The
caller holds the folder's lock, so a server found here has no living owner.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.02
#: Then it is killed; both servers recover from that.
_PATIENCE_SECONDS = 5.0


def stop_leftover(pid_file: Path, data: Path, program: str, answers: Callable[[], bool]) -> None:
    """Stop the *program* that still runs on *data*, if its pid file names a living one."""
    pid = read_pid(pid_file)
    if pid is None or not _lives(pid, data, program, answers):
        return
    log.warning("stopping %s (process %d), left behind by a run that was killed", program, pid)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    _send(pid, signal.SIGTERM if program != "postgres" else signal.SIGINT)
    while _lives(pid, data, program, answers):
        if time.monotonic() > deadline:
            _send(pid, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)


def read_pid(pid_file: Path) -> int | None:
    """Return the process id on the first line of *pid_file*; None if there is none."""
    with suppress(FileNotFoundError, IndexError, ValueError):
        return int(pid_file.read_text().splitlines()[0])
    return None


def _lives(pid: int, data: Path, program: str, answers: Callable[[], bool]) -> bool:
    """Tell whether *pid* is the server on *data*: ids are reused, so the number alone proves nothing."""
    if sys.platform.startswith("linux"):
        return _works_in(pid, data, program)
    return _is_called(pid, program) and answers()


def _works_in(pid: int, data: Path, program: str) -> bool:
    """Both servers make their data folder the current one. A zombie has none and counts as gone."""
    process = Path("/proc") / str(pid)
    try:
        return process.joinpath("cwd").readlink() == data.resolve() and process.joinpath("comm").read_text() == (
            f"{program}\n"
        )
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def _is_called(pid: int, program: str) -> bool:
    told = subprocess.run(  # noqa: S603 - our own words
        ["ps", "-o", "comm=", "-p", str(pid)],  # noqa: S607 - a system tool
        capture_output=True,
        text=True,
        check=False,
    )
    return Path(told.stdout.strip()).name == program


def _send(pid: int, signum: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signum)
