"""Draw the live view of ``./run`` as it stood at a moment of a shipped day: ``python docs/images/live_view.py``.

The stack is real, each actor a process; only the terminal is not there. Writes ``live-view.svg`` beside this file.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from cli.day import read_days
from cli.live_data import Marks, look
from cli.live_frame import Look, frame
from cli.run import SHIPPED_DAYS, Stack, run_recorded
from cli.settings import SHIPPED, load

DAY: Final = SHIPPED_DAYS / "2026-02-03-over-trading"
#: Five positions are held, seven were refused for their number, and two were left by their rules.
MOMENT: Final = datetime(2026, 2, 3, 18, 45, tzinfo=UTC)
#: Seconds of the day in one of the wall.
SPEED: Final = 600.0
WIDTH, HEIGHT = 132, 34
PICTURE: Final = Path(__file__).with_name("live-view.svg")


class Drawn(Exception):
    """The picture is there; the rest of the day is not played."""


def draw(stack: Stack, now: datetime) -> None:
    """Draw the frame of the first step at or after the moment."""
    if now < MOMENT:
        return
    console = Console(record=True, width=WIDTH, height=HEIGHT, file=io.StringIO(), force_terminal=True)
    console.print(frame(look(stack, Marks(), now), Look(width=WIDTH, height=HEIGHT, ascii_only=False)))
    svg = console.export_svg(title="./run", unique_id="live")
    # A picture fetches nothing: the font is the reader's own.
    PICTURE.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), encoding="utf-8")
    raise Drawn


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        try:
            run_recorded(
                load(SHIPPED, {}), SHIPPED, read_days([DAY]), Path(folder), SPEED, draw, lambda _: None, lambda _: None
            )
        except Drawn:
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
