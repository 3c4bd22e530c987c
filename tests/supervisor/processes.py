"""Looking at processes from outside, for the supervisor's tests (Linux)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def holder(folder: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Yield another process that supervises servers on *folder*, and the addresses of these."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "supervisor" / "supervised.py"), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    with process.stdout:
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.terminate()
            process.wait()


def servers_on(folder: Path) -> list[int]:
    """Return the living processes that work in the data under *folder*: zombies work nowhere."""
    homes = {(folder / name).resolve() for name in ("postgres", "valkey")}
    return [int(process.name) for process in Path("/proc").glob("[0-9]*") if working_folder(process) in homes]


def working_folder(process: Path) -> Path | None:
    with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        return (process / "cwd").readlink()
    return None


def wait_until(holds: Callable[[], object], *, seconds: float) -> None:
    """Ask until the answer is true; fail when *seconds* have passed."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
