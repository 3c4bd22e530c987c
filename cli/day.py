"""Day folders as the driver of a recorded day sees them: when the session is, and what is recommended when.

The market's files belong to the local Alpaca, which reads and checks them itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from cli.settings import BadConfiguration

#: A recorded day begins and ends this much outside of what happens in it.
MARGIN: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Recommended:
    """One line of ``recommendations.jsonl``: it is delivered at *at*, whatever it says inside."""

    at: datetime
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One recorded session. *start* and *end* are where its clock begins and stops."""

    folder: Path
    underlyings: tuple[str, ...]
    start: datetime
    end: datetime
    recommended: tuple[Recommended, ...]


def read_day(folder: Path) -> Day:
    """Return the day in *folder*.

    Raises:
        BadConfiguration: a file is missing or wrong; the message names file and field.
    """
    session = _session(folder / "session.json")
    opens, closes = (_time(session, name, folder / "session.json") for name in ("open", "close"))
    recommended = tuple(_recommended(folder / "recommendations.jsonl", opens))
    times = [r.at for r in recommended]
    return Day(
        folder=folder,
        underlyings=_underlyings(session, folder / "session.json"),
        start=min([opens, *times]) - MARGIN,
        end=max([closes, *times]) + MARGIN,
        recommended=recommended,
    )


def read_days(folders: Sequence[Path]) -> tuple[Day, ...]:
    """Return the days in the order of time; they may not overlap."""
    days = sorted((read_day(folder) for folder in folders), key=lambda day: day.start)
    for before, after in pairwise(days):
        if after.start < before.end:
            raise BadConfiguration(f"{after.folder}: begins before {before.folder} has ended")
    return tuple(days)


def _session(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise BadConfiguration(f"{file}: cannot be read: {e}") from e
    if not isinstance(found, dict):
        raise BadConfiguration(f"{file}: a JSON object is expected")
    return found


def _time(session: dict[str, Any], name: str, file: Path) -> datetime:
    moment = _parsed(session.get(name))
    if moment is None:
        raise BadConfiguration(f"{file}: {name}: a time in UTC is expected, was {session.get(name)!r}")
    return moment


def _parsed(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo is not None else None


def _underlyings(session: dict[str, Any], file: Path) -> tuple[str, ...]:
    found = session.get("underlyings") or [session.get("underlying")]
    if not isinstance(found, list) or not all(isinstance(name, str) and name for name in found):
        raise BadConfiguration(f"{file}: underlying: a ticker is expected, was {found!r}")
    return tuple(found)


def _recommended(file: Path, opens: datetime) -> Iterator[Recommended]:
    """Yield the lines in order of delivery: one that says an earlier time than the line above comes late.

    A line that cannot be understood is delivered all the same, right after the one above: the gate says what is wrong.
    """
    try:
        lines = file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError as e:
        raise BadConfiguration(f"{file}: cannot be read: {e}") from e
    latest: datetime | None = None
    for line in lines:
        if not line.strip():
            continue
        said = _said(line)
        latest = max(latest or said or opens, said or latest or opens)
        yield Recommended(latest, line)


def _said(line: str) -> datetime | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return _parsed(found.get("at")) if isinstance(found, dict) else None
