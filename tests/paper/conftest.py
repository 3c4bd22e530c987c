"""Fixtures of the paper tests."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from paper.options import AccountOption, Options
from tests.paper.days import write_day
from tests.paper.kit import Paper, serving


@pytest.fixture
def a_paper(tmp_path: Path) -> Iterator[Callable[..., Paper]]:
    """Start servers: ``a_paper(*folders, **options)``; without a folder on the standard day, its clock standing."""
    with ExitStack() as stack:

        def started(*folders: Path, **options: Any) -> Paper:
            data = folders or (write_day(tmp_path / "day"),)
            chosen = {"speed": 0.0, "partial_ratio": 0.0} | options
            return stack.enter_context(serving(Options(data=data, **chosen)))

        yield started


@pytest.fixture
def paper(a_paper: Callable[..., Paper]) -> Paper:
    """The standard day at 14:31:00, with its first quotes shown, and a third account that may sell short."""
    running = a_paper(accounts=(AccountOption("margin", Decimal(1_000_000), shorting=True),))
    running.to("14:31:00")
    return running
