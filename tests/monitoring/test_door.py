"""The door of a process: what Prometheus reads, and what decides over its life."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from prometheus_client import CollectorRegistry, Counter

from monitoring.door import open_door

ASK = Path(__file__).parents[2] / "docker" / "ask_health.py"


class Process:
    """A process behind a door; *trouble* is what it says of itself."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        self.registry = CollectorRegistry()
        self.door = open_door("127.0.0.1", 0, self.registry, lambda: self.trouble)
        self.port = self.door.port

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=5)

    def asked(self) -> subprocess.CompletedProcess[str]:
        """What the container's health check makes of it."""
        return subprocess.run(
            [sys.executable, "-S", str(ASK), str(self.port)], capture_output=True, text=True, check=False
        )


@pytest.fixture
def process() -> Iterator[Process]:
    opened = Process()
    yield opened
    opened.door.close()


def test_a_process_that_works_says_so(process: Process) -> None:
    asked = process.asked()
    assert (200, "works\n") == (process.get("/health").status_code, process.get("/health").text)
    assert (0, "works\n\n") == (asked.returncode, asked.stdout)


def test_a_process_in_trouble_says_which(process: Process) -> None:
    """Its supervisor sees it fail, and a person reads why."""
    process.trouble = "no heartbeat for 30 s"
    asked = process.asked()
    assert (503, "no heartbeat for 30 s\n") == (process.get("/health").status_code, process.get("/health").text)
    assert (1, "no heartbeat for 30 s\n\n") == (asked.returncode, asked.stdout)


def test_a_process_that_is_gone_is_in_trouble(process: Process) -> None:
    """Nobody listens any more."""
    process.port = 1
    assert (1, True) == (process.asked().returncode, "no answer" in process.asked().stderr)


def test_metrics_are_beside_it(process: Process) -> None:
    Counter("seen", "Things seen", registry=process.registry).inc(3)
    assert "seen_total 3.0" in process.get("/metrics").text
