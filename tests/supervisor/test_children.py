"""Children are started, watched, logged and stopped in the way the supervisor promises."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cli.children import ChildDied, Children
from tests.supervisor.processes import wait_until

PATIENT = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def test_a_death_quotes_the_last_lines_of_the_log(tmp_path: Path) -> None:
    """Whoever reads the error need not look for the log."""
    children = Children(tmp_path)
    lines = "; ".join(f"print('line {n}', file=sys.stderr)" for n in range(20))
    children.start("gate", [sys.executable, "-c", f"import sys; {lines}; sys.exit(4)"]).wait()
    with pytest.raises(ChildDied) as died:
        children.check()
    assert ("gate", 4, "\n".join(f"line {n}" for n in range(10, 20))) == (
        died.value.name,
        died.value.code,
        died.value.last_lines,
    )
    assert str(died.value).startswith("gate died (exit code 4):\nline 10\n")


def test_a_child_that_ignores_us_is_killed_in_time(tmp_path: Path) -> None:
    """The end is bounded, whatever a child thinks of SIGTERM."""
    children = Children(tmp_path)
    process = children.start("deaf", [sys.executable, "-c", PATIENT])
    wait_until(lambda: "up" in (tmp_path / "logs" / "deaf.log").read_text(), seconds=5)
    before = time.monotonic()
    children.stop_all(timeout=0.3)
    assert 2 > time.monotonic() - before
    assert -signal.SIGKILL == process.returncode


def test_all_children_are_asked_at_once(tmp_path: Path) -> None:
    """Three slow goodbyes take as long as one."""
    goodbye = "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(.4), exit(0)))"
    slow = f"import signal, time; {goodbye}; print('up', flush=True); time.sleep(60)"
    children = Children(tmp_path)
    for name in "abc":
        children.start(name, [sys.executable, "-c", slow])
    wait_until(lambda: all("up" in (tmp_path / "logs" / f"{n}.log").read_text() for n in "abc"), seconds=5)
    before = time.monotonic()
    children.stop_all(timeout=5)
    assert 1.1 > time.monotonic() - before


def test_a_second_interrupt_does_not_break_off_the_stopping(tmp_path: Path) -> None:
    """An impatient second Ctrl-C, while the children end, is not needed and not heard."""
    children = Children(tmp_path)
    process = children.start("deaf", [sys.executable, "-c", PATIENT])
    wait_until(lambda: "up" in (tmp_path / "logs" / "deaf.log").read_text(), seconds=5)
    impatience = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
    impatience.start()
    children.stop_all(timeout=0.5)
    impatience.join()
    assert process.returncode is not None


def test_output_may_be_read_instead_of_logged(tmp_path: Path) -> None:
    """A program that says its address on stdout is read by us; its stderr is logged all the same."""
    children = Children(tmp_path)
    talk = [sys.executable, "-c", "import sys; print('address'); print('trouble', file=sys.stderr)"]
    process = children.start("paper", talk, stdout=subprocess.PIPE)
    said, _ = process.communicate()
    children.forget("paper")
    children.check()
    assert (b"address\n", "trouble\n") == (said, (tmp_path / "logs" / "paper.log").read_text())


def test_a_thread_may_not_start_a_child(tmp_path: Path) -> None:
    """The kernel would end the child with the thread that started it."""
    refused: list[str] = []

    def start() -> None:
        try:
            Children(tmp_path).start("gate", ["true"])
        except RuntimeError as error:
            refused.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert ["children are started from the main thread only"] == refused


def test_a_large_log_is_set_aside(tmp_path: Path) -> None:
    """Logs do not grow from run to run without end."""
    logs = tmp_path / "logs"
    logs.mkdir()
    with (logs / "gate.log").open("wb") as log:
        log.truncate(11 * 1024 * 1024)
    children = Children(tmp_path)
    children.start("gate", [sys.executable, "-c", "print('new')"]).wait()
    assert "new\n" == (logs / "gate.log").read_text()
    assert 11 * 1024 * 1024 == (logs / "gate.log.1").stat().st_size
