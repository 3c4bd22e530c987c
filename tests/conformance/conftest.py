"""Servers for the conformance tests: started from the words of a command line, as a user starts one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from paper.options import parse
from tests.conformance.clients import Alpaca
from tests.paper.days import write_day
from tests.paper.kit import Paper, serving


@pytest.fixture
def a_paper(tmp_path: Path) -> Iterator[Callable[..., Paper]]:
    """Start servers: ``a_paper(*words, days=(folder,))``; on the standard day, its clock standing at 14:31."""
    with ExitStack() as stack:

        def started(*words: str, days: tuple[Path, ...] = (), at: str | None = "14:31:00") -> Paper:
            folders = days or (write_day(tmp_path / f"day{len(list(tmp_path.iterdir()))}"),)
            data = [word for folder in folders for word in ("--data", str(folder))]
            line = [*data, "--speed", "0", "--partial-ratio", "0", *words]
            paper = stack.enter_context(serving(parse(line)))
            if at is not None:
                paper.to(at)
            return paper

        yield started


@pytest.fixture
def paper(a_paper: Callable[..., Paper]) -> Paper:
    """The standard day at 14:31:00, with a third account that may sell short."""
    return a_paper("--account", "margin=1000000,shorting")


@pytest.fixture
def alpaca(paper: Paper) -> Alpaca:
    """alpaca-py's clients with the keys of the account ``large``."""
    return Alpaca(paper)
