"""Day folders: when a recorded day begins and ends, and in which order its recommendations are delivered."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli.day import read_day, read_days
from cli.settings import BadConfiguration

SESSION = {"underlying": "SPY", "open": "2026-02-03T14:30:00Z", "close": "2026-02-03T21:00:00Z"}


def a_folder(tmp_path: Path, *lines: str, name: str = "day", **session: Any) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "session.json").write_text(json.dumps(SESSION | session))
    (folder / "recommendations.jsonl").write_text("\n".join(lines))
    return folder


def rec(name: str, at: str) -> str:
    return json.dumps({"id": name, "at": f"2026-02-03T{at}Z"})


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-02-03T{clock}").replace(tzinfo=UTC)


def test_a_day_begins_and_ends_a_minute_outside_of_what_happens(tmp_path: Path):
    """Recommendations before the open and after the close are part of it."""
    early = read_day(a_folder(tmp_path, rec("a", "14:25:00"), rec("b", "21:05:00")))
    plain = read_day(a_folder(tmp_path, name="plain"))

    assert (at("14:24:00"), at("21:06:00")) == (early.start, early.end)
    assert (at("14:29:00"), at("21:01:00")) == (plain.start, plain.end)


def test_a_line_that_says_an_earlier_time_than_the_one_above_comes_late(tmp_path: Path):
    """The file is in order of delivery: a second delivery and a stale one are not sorted away."""
    day = read_day(a_folder(tmp_path, rec("a", "15:00:00"), rec("b", "15:06:00"), rec("a", "15:00:00")))

    assert [at("15:00:00"), at("15:06:00"), at("15:06:00")] == [r.at for r in day.recommended]


@pytest.mark.parametrize("line", ["no json", "[1]", '{"id": "x"}', '{"at": "noon"}', '{"at": "2026-02-03T15:30:00"}'])
def test_a_line_that_cannot_be_understood_is_delivered_all_the_same(tmp_path: Path, line: str):
    """Right after the one above: the gate says what is wrong with it."""
    day = read_day(a_folder(tmp_path, rec("a", "15:00:00"), line, rec("b", "16:00:00")))

    assert [at("15:00:00"), at("15:00:00"), at("16:00:00")] == [r.at for r in day.recommended]
    assert line == day.recommended[1].body


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no open": ({"open": None}, "session.json: open: a time in UTC is expected, was None"),
    "a naive close": ({"close": "2026-02-03T21:00:00"}, "session.json: close: a time in UTC is expected"),
    "no underlying": ({"underlying": None}, "session.json: underlying: a ticker is expected"),
}


@pytest.mark.parametrize(("session", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_session_is_named(tmp_path: Path, session: dict[str, Any], said: str):
    """File, field and value."""
    with pytest.raises(BadConfiguration, match=said):
        read_day(a_folder(tmp_path, **session))


@pytest.mark.parametrize("missing", ["session.json", "recommendations.jsonl"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str):
    """The command ends with one line."""
    folder = a_folder(tmp_path)
    (folder / missing).unlink()

    with pytest.raises(BadConfiguration, match=f"{missing}: cannot be read"):
        read_day(folder)


def test_days_that_overlap_are_refused(tmp_path: Path):
    """One clock cannot play both."""
    first, second = a_folder(tmp_path, name="one"), a_folder(tmp_path, name="two")

    with pytest.raises(BadConfiguration, match="begins before"):
        read_days([first, second])
