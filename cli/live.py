"""The live view of ``gapless run``: one calm screen, drawn between the steps of the stack, never in their way.

It is drawn in the terminal's other screen, so the final report finds the terminal as it was. Frames are limited by
the wall, not by steps, and cost a tenth of the time at most. Whatever goes wrong in here is logged and shown in the
last line; the run goes on.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from cli.live_data import Marks, Snapshot, Source, look
from cli.live_frame import Look, frame
from cli.live_words import LIMIT

log = logging.getLogger(__name__)

#: Frames are at least this many seconds of the wall apart: eight a second.
PAUSE_S: Final = 0.125
#: After a frame the view rests for so many times what the frame took.
_REST: Final = 9
_STARTING: Final = "gapless is starting: servers, schema, paper, actors"
#: So many log records are held back while the screen is ours.
_HELD: Final = 1000


@contextmanager
def live_view(console: Console) -> Iterator[LiveView]:
    """Show the view for the length of the block; call what it yields after each step.

    Where *console* is no terminal nothing is shown, and calls cost nothing. Log records that would go to the terminal
    are held back and written when the block ends.
    """
    if not console.is_terminal or console.is_dumb_terminal:
        yield LiveView(console, None)
        return
    with (
        held_back() as records,
        Live(console=console, screen=True, auto_refresh=False, redirect_stderr=False) as live,
    ):
        view = LiveView(console, live, records)
        view.begin()
        yield view


@dataclass(slots=True)
class LiveView:
    """``view(stack, now)`` after a step, ``view.stage(text)`` to say what is being started or stopped."""

    console: Console
    live: Live | None
    records: deque[logging.LogRecord] = field(default_factory=deque)
    wall: Callable[[], float] = time.monotonic
    _marks: Marks = field(default_factory=Marks, init=False)
    _snapshot: Snapshot | None = field(default=None, init=False)
    _stages: list[tuple[str, float]] = field(default_factory=list, init=False)
    _next_at: float = field(default=float("-inf"), init=False)
    _trouble: str = field(default="", init=False)
    _logged: str = field(default="", init=False)

    def __call__(self, stack: Source, now: datetime) -> None:
        """Draw a frame, unless the last one is too young. Never raises because of what it shows."""
        started = self.wall()
        if self.live is None or started < self._next_at:
            return
        self._stages.clear()
        self._safely(lambda: self._read(stack, now))
        self._safely(self._draw)
        ended = self.wall()
        self._next_at = ended + max(PAUSE_S, _REST * (ended - started))

    def begin(self) -> None:
        """Draw the first frame, before there is anything to look at."""
        self._safely(self._draw)

    def stage(self, text: str) -> None:
        """Say at once what the stack is doing now: starting its parts, or stopping them."""
        if self.live is not None:
            self._stages.append((text, self.wall()))
            self._safely(self._draw)

    def _read(self, stack: Source, now: datetime) -> None:
        self._snapshot = look(stack, self._marks, now)
        self._trouble = ""

    def _draw(self) -> None:
        if self.live is not None:
            self.live.update(self._frame(), refresh=True)

    def _frame(self) -> RenderableType:
        if self._snapshot is None:
            return self._starting()
        width, height = self.console.size
        ascii_only = not self.console.encoding.startswith("utf")
        return frame(self._snapshot, Look(width=width, height=height, ascii_only=ascii_only), self._notes())

    def _starting(self) -> Group:
        """What was told so far, each with how long it took; the last one is under way."""
        over = [f"{then - at:.1f} s" for (_, at), (_, then) in pairwise(self._stages)]
        lines = [Text(f"  {text:<30} {took}") for (text, _), took in zip(self._stages, [*over, "..."], strict=False)]
        return Group(Text(_STARTING, style="bold"), Text(), *lines, *self._notes()[:1])

    def _notes(self) -> list[Text]:
        notes = [Text(self._stages[-1][0], style="bold")] if self._snapshot and self._stages else []
        if self._trouble:
            notes.append(Text(f"this view is out of date: {self._trouble}", style=LIMIT))
        warnings = [record for record in self.records if record.levelno >= logging.WARNING]
        if warnings:
            said = warnings[-1].getMessage().partition("\n")[0]
            logged = "1 warning" if len(warnings) == 1 else f"{len(warnings)} warnings"
            notes.append(Text(f"{logged} logged, the last: {said}", style=LIMIT))
        return notes

    def _safely(self, act: Callable[[], None]) -> None:
        """A view may fail, a run may not because of it. The same trouble is logged once, not with every frame."""
        try:
            act()
        except Exception as e:
            self._trouble = f"{type(e).__name__}: {e}".splitlines()[0]
            if self._trouble != self._logged:
                log.warning("the live view cannot be drawn: %s", self._trouble, exc_info=True)
            self._logged = self._trouble


@contextmanager
def held_back() -> Iterator[deque[logging.LogRecord]]:
    """Keep log records off the terminal for the length of the block; then write them where they would have gone.

    Yields the records that are held so far. Handlers that write to files or pipes are left as they are.
    """
    root = logging.getLogger()
    to_terminal = [handler for handler in root.handlers if _writes_to_terminal(handler)]
    holding = _Holding()
    for handler in to_terminal:
        root.removeHandler(handler)
    root.addHandler(holding)
    try:
        yield holding.records
    finally:
        root.removeHandler(holding)
        for handler in to_terminal:
            root.addHandler(handler)
            for record in holding.records:
                handler.handle(record)


class _Holding(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: deque[logging.LogRecord] = deque(maxlen=_HELD)

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def _writes_to_terminal(handler: logging.Handler) -> bool:
    return isinstance(handler, logging.StreamHandler) and handler.stream.isatty()
