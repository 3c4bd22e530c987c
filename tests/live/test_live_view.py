"""The live view in a run: there at once, seldom drawn, never in the way, and gone without a trace."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import redis
from rich.console import Console
from sqlalchemy import Engine

from cli import live
from cli.live import LiveView, live_view
from tests.cli.house import AAA, House
from tests.factories import NOON, a_quote, ticked
from tests.live.scenes import Stack, a_snapshot, a_stack, a_terminal, tick

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


def written(console: Console) -> str:
    file: Any = console.file
    return str(file.getvalue())


class Wall:
    """A clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Counts how often the stack was looked at; what is seen is a snapshot without servers."""
    seen: list[Any] = []

    def look(stack: Any, marks: Any, now: Any) -> Any:
        seen.append(now)
        return a_snapshot(now=now)

    monkeypatch.setattr(live, "look", look)
    return seen


def test_something_is_shown_before_anything_runs():
    """The first frame says what is being started; the other screen is entered once and left at the end."""
    console = a_terminal()
    with live_view(console):
        assert "gapless is starting: servers, schema, paper, actors" in written(console)

    assert (1, 1) == (written(console).count(ENTER), written(console).count(LEAVE))
    assert written(console).rindex(LEAVE) > written(console).rindex("gapless is starting")


def test_stages_are_told_with_their_times():
    """What is over shows how long it took, what is under way shows that it is."""
    console, wall = a_terminal(), Wall()
    with live_view(console) as view:
        view.wall = wall
        view.stage("servers")
        wall.now = 1.5
        view.stage("schema")
        last = written(console).rpartition("\x1b[H")[2]

    assert ["servers 1.5 s", "schema ..."] == [
        " ".join(line.split()) for line in last.splitlines() if "servers " in line or "schema " in line
    ][-2:]


def test_a_stopping_stage_stands_below_the_last_frame(looks: list[Any]):
    """Once a frame was drawn, a stage is a note in it."""
    console = a_terminal()
    with live_view(console) as view:
        view(None, NOON)  # type: ignore[arg-type]  # nobody looks at it
        view.stage("stopping the actors")

    assert "stopping the actors" in written(console)


def test_frames_are_limited_by_the_wall(looks: list[Any]):
    """A thousand steps in a second of the wall draw eight frames at most."""
    wall = Wall()
    with live_view(a_terminal()) as view:
        view.wall = wall
        for _ in range(1000):
            wall.now += 0.001
            view(None, NOON)  # type: ignore[arg-type]  # nobody looks at it

    assert 8 == len(looks)


def test_a_slow_look_is_followed_by_a_long_rest(monkeypatch: pytest.MonkeyPatch):
    """A look that takes half a second costs a tenth of the time, not all of it."""
    wall, looked = Wall(), []

    def slow(*_: Any) -> Any:
        looked.append(wall.now)
        wall.now += 0.5
        return a_snapshot()

    monkeypatch.setattr(live, "look", slow)
    with live_view(a_terminal()) as view:
        view.wall = wall
        while wall.now < 20:
            view(None, NOON)  # type: ignore[arg-type]  # nobody looks at it
            wall.now += 0.01

    assert 4 == len(looked)
    assert all(later - earlier >= 5 for earlier, later in pairwise(looked))


def test_what_goes_wrong_in_the_view_stays_there(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    """The step goes on; the trouble is logged once, shown, and forgotten when the next look succeeds."""
    console, wall = a_terminal(), Wall()
    troubles: list[Any] = [OSError("no such table"), OSError("no such table"), None]

    def look(*_: Any) -> Any:
        if trouble := troubles.pop(0):
            raise trouble
        return a_snapshot()

    monkeypatch.setattr(live, "look", look)
    with live_view(console) as view:
        view.wall = wall
        for _ in range(3):
            view(None, NOON)  # type: ignore[arg-type]  # nobody looks at it
            wall.now += 1
        last = written(console).rpartition("\x1b[H")[2]

    assert 1 == sum("no such table" in record.getMessage() for record in caplog.records)
    assert "this view is out of date: OSError: no such table" in written(console)
    assert "out of date" not in last


def test_a_stop_goes_through(monkeypatch: pytest.MonkeyPatch):
    """Ctrl-C while the view looks is no error of the view: it stops the run, and the terminal is given back."""
    console = a_terminal()

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(live, "look", interrupted)
    with pytest.raises(KeyboardInterrupt), live_view(console) as view:
        view(None, NOON)  # type: ignore[arg-type]  # nobody looks at it

    assert written(console).endswith(LEAVE)


def test_no_terminal_no_view(looks: list[Any]):
    """Into a pipe nothing is written and nothing is read."""
    console = Console(file=io.StringIO(), force_terminal=False)
    with live_view(console) as view:
        view.stage("servers")
        view(None, NOON)  # type: ignore[arg-type]  # nobody looks at it

    assert ("", []) == (written(console), looks)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_logs_wait_until_the_screen_is_given_back(looks: list[Any]):
    """A warning does not tear the frame: it is a note in it, and stands on the terminal afterwards."""
    terminal, root = Terminal(), logging.getLogger()
    handler = logging.StreamHandler(terminal)
    root.addHandler(handler)
    console = a_terminal()
    try:
        with live_view(console) as view:
            logging.getLogger("gapless.test").warning("the market is late")
            during = terminal.getvalue()
            view(None, NOON)  # type: ignore[arg-type]  # nobody looks at it
        assert handler in root.handlers
    finally:
        root.removeHandler(handler)

    assert ("", "the market is late\n") == (during, terminal.getvalue())
    assert "1 warning logged, the last: the market is late" in written(console)


def test_logs_to_a_file_are_written_at_once(tmp_path: Path):
    """Only what would go to the terminal is held back."""
    root, handler = logging.getLogger(), logging.FileHandler(tmp_path / "log")
    root.addHandler(handler)
    try:
        with live_view(a_terminal()):
            logging.getLogger("gapless.test").warning("the market is late")
            during = (tmp_path / "log").read_text()
    finally:
        root.removeHandler(handler)
        handler.close()

    assert ("the market is late\n", during) == (during, (tmp_path / "log").read_text())


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30)])
def test_a_step_of_a_real_stack_is_drawn(engine: Engine, redis_client: redis.Redis, width: int, height: int):
    """Rows of the real repository and a tick of the real stream, on a terminal of the usual sizes."""
    house = House(engine)
    house.recommend(symbol=AAA, qty=2)
    house.trade()
    tick(redis_client, ticked(a_quote(AAA, "5.50", "5.60")))
    console = a_terminal(width, height)
    stack: Stack = a_stack(engine, redis_client)
    with live_view(console) as view:
        view(stack, NOON)

    for word in ("New York 2026-02-03 12:00:00", "AAA 20Feb26 100C", "+100.00", "1,000 of 10,000"):
        assert word in written(console), word


def test_a_view_does_not_touch_the_standard_streams():
    """What the run prints goes where it went before."""
    before = sys.stderr
    with live_view(a_terminal()):
        assert before is sys.stderr
    assert isinstance(LiveView(a_terminal(), None), LiveView)
