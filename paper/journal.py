"""The ground truth: what was asked, what was answered, what happened in the book, in order.

Tests and replays compare their own tables with it. It carries clock time only, so that equal runs write equal lines.
"""

import json
from collections import deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from paper import times

#: Entries kept for GET /journal; the file keeps all.
_KEPT = 50_000


class Journal:
    """An append-only list of facts, each with its number and clock time. It is kept as lines of JSON.

    *go_on*: a file that is there is continued, else it begins anew.
    """

    def __init__(self, now: Callable[[], datetime], path: Path | None, *, go_on: bool) -> None:
        self._now = now
        self._lines: deque[str] = deque(maxlen=_KEPT)
        self._count = _lines(path) if path is not None and go_on else 0
        self._file: TextIO | None = None
        if path is not None:
            self._file = path.open("a", encoding="utf-8", buffering=1)
            if not go_on:
                self._file.truncate(0)

    def record(self, kind: str, **fields: Any) -> None:
        """Append one fact."""
        self._count += 1
        entry = {"n": self._count, "at": times.iso(self._now()), "kind": kind, **fields}
        line = json.dumps(entry, default=str)
        self._lines.append(line)
        if self._file is not None:
            self._file.write(line + "\n")

    def since(self, number: int) -> list[str]:
        """The lines of all kept facts with a number above *number*."""
        first = self._count - len(self._lines)
        return list(self._lines)[max(0, number - first) :]

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _lines(path: Path) -> int:
    """How many lines a file has; none when it is not there."""
    if not path.exists():
        return 0
    with path.open(encoding="utf-8") as file:
        return sum(1 for _ in file)
