"""A recorded day played into a stack that somebody else started."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.day import read_day
from cli.play import Played, play
from cli.session import Session
from cli.settings import SHIPPED, BadConfiguration
from tests.end_to_end.conftest import a_line
from tests.end_to_end.stack import Running


def a_session(running: Running, **stack: object) -> Session:
    settings = running.stack.settings
    settings = settings.model_copy(update={"stack": settings.stack.model_copy(update=stack)})
    return Session(settings=settings, config=SHIPPED, json=True, ledger_folder=None)


def played(running: Running, ready: Path | None = None) -> Played:
    return Played([read_day(running.day.folder)], None, running.alpaca.control_url, ready)


def test_a_day_played_into_a_stack_ends_as_its_replay(
    small_day: Callable[..., Path], a_running: Callable[..., Running], digest_of: Callable[..., str], tmp_path: Path
):
    """Whoever starts the parts: the day has one outcome, and the file says when actors may come."""
    day = small_day(a_line("one", "14:32:00"))
    replayed = digest_of(day)
    running = a_running(day)

    document = play(a_session(running), played(running, tmp_path / "ready"))

    assert (replayed, 0, []) == (document["digest"], document["breaches"], document["drift"])
    assert (tmp_path / "ready").exists()


def test_a_ledger_that_holds_a_day_is_not_played_into(running: Running):
    """The brokerage's book of a new day is empty, these rows are not."""
    running.play()

    with pytest.raises(BadConfiguration, match="the ledger holds 1 recommendations already"):
        play(a_session(running), played(running))


@pytest.mark.parametrize(
    ("stack", "complaint"),
    [
        ({"clock": "wall"}, "stack.clock: 'recorded' is expected, was 'wall'"),
        ({"watch": ()}, "stack.watch: the day's"),
    ],
)
def test_a_stack_that_is_not_made_for_it_is_refused(running: Running, stack: dict[str, object], complaint: str):
    """Before anything moves: a wall clock, or an underlying that nobody watches."""
    with pytest.raises(BadConfiguration, match=complaint):
        play(a_session(running, **stack), played(running))
