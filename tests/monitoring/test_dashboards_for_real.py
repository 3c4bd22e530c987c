"""A shipped day is played by the whole stack while a real Prometheus watches; then every panel has something to show.

Each actor is a process, as in compose. It takes about three minutes:

    python -m pytest -s tests/monitoring/test_dashboards_for_real.py
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from cli.children import Children
from cli.wiring import ACTORS
from tests.end_to_end.stack import until
from tests.monitoring.alerts import ROOT
from tests.monitoring.dashboards import exprs
from tests.monitoring.tools import alertmanager, need
from tests.monitoring.watchtower import Watchtower, free_port, watching

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DAY: Final = ROOT / "days" / "2026-02-03-over-trading"
#: Seconds of the day in one of the wall.
SPEED: Final = "150"
#: Ten scrapes.
RATE_INTERVAL: Final = "10s"
GAPLESS: Final = [sys.executable, "-P", "-m", "cli"]


@dataclass(frozen=True)
class Played:
    """A day that is over: what was scraped, between two moments of the wall."""

    tower: Watchtower
    started: float
    ended: float

    def ask(self, expr: str) -> list[dict[str, Any]]:
        """Return the series of *expr* that have a finite value at some moment of the day."""
        span = {"start": str(self.started), "end": str(self.ended), "step": "1"}
        found = self.tower.ask("query_range", query=expr, **span)["result"]
        return [series for series in found if any(math.isfinite(float(value)) for _, value in series["values"])]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    need("prometheus")
    alertmanager()
    folder = tmp_path_factory.mktemp("played")
    children = Children(folder)
    port = free_port(len(ACTORS))
    try:
        run = _run(children, folder / "data", port)
        jobs = {
            "exporter": [_exporter(children, folder / "data")],
            "actors": [f"127.0.0.1:{port + n}" for n in range(len(ACTORS))],
        }
        with watching(folder / "tower", children, jobs) as tower:
            started = time.time()
            assert 0 == run.wait(timeout=800), (folder / "logs" / "run.log").read_text()[-2000:]
            yield Played(tower, started, time.time())
    finally:
        children.stop_all()


def _environment(data: Path) -> dict[str, str]:
    kept = {word: value for word, value in os.environ.items() if not word.startswith("GAPLESS_")}
    return kept | {"GAPLESS_SERVERS__DATA_DIR": str(data), "PYTHONPATH": str(ROOT)}


def _run(children: Children, data: Path, port: int) -> subprocess.Popen[bytes]:
    """Play the day; return once its stack is announced."""
    words = [*GAPLESS, "run", "--data", str(DAY), "--speed", SPEED]
    env = _environment(data) | {"GAPLESS_STACK__METRICS_PORT": str(port)}
    run = children.start("run", words, env=env)
    until(lambda: (data / "paper" / "alpaca-url").exists() or run.poll() is not None, "the stack is up", 90)
    return run


def _exporter(children: Children, data: Path) -> str:
    words = [*GAPLESS, "exporter", "--port", "0"]
    process = children.start("exporter", words, env=_environment(data), stdout=subprocess.PIPE)
    assert process.stdout is not None
    address = process.stdout.readline().decode().strip()
    return address.removeprefix("http://").removesuffix("/metrics")


def test_every_panel_has_data_after_a_day(played: Played):
    """Each expression of each panel has a value at some moment of the day: none asks for what never comes."""
    silent = [(panel, expr) for panel, expr in exprs(RATE_INTERVAL) if not played.ask(expr)]

    assert [] == silent


def test_nothing_is_shown_of_what_is_gone(played: Played):
    """The day is over and its servers are stopped: what only they know has no value now, not even 0."""
    until(
        lambda: played.tower.ask("query", query="max(gapless_source_up)")["result"][0]["value"][1] == "0", "it is seen"
    )
    now = {panel: played.tower.ask("query", query=expr)["result"] for panel, expr in exprs() if "safety" in panel}
    unknown = ("Short positions", "Books differ", "Limit in use", "Fill not", "Nobody watches", "Oldest price")

    for title in unknown:
        assert [] == next(found for panel, found in now.items() if title in panel), title
