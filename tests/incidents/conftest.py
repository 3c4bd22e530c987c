"""A stage for each test: actors over a database and streams of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Engine

from paper.options import AccountOption, Options
from tests.incidents.at_paper import AtPaper
from tests.incidents.stage import Stage
from tests.paper.days import write_day
from tests.paper.kit import serving


@pytest.fixture
def a_stage(engine: Engine, redis_client: redis.Redis) -> Callable[..., Stage]:
    """Set the stage: ``a_stage(limits=..., without=("exit",))``."""

    def made(**options: Any) -> Stage:
        return Stage(engine, redis_client, **options)

    return made


@pytest.fixture
def stage(a_stage: Callable[..., Stage]) -> Stage:
    """The stage with every actor and the documented limits."""
    return a_stage()


@pytest.fixture
def at_paper(engine: Engine, tmp_path: Path) -> Iterator[AtPaper]:
    """Actors at the local Alpaca on the standard day at 14:31, with a third account that may sell short."""
    margin = AccountOption("margin", Decimal(1_000_000), shorting=True)
    options = Options(
        data=(write_day(tmp_path / "day"),), speed=0.0, partial_ratio=0.0, accounts=(margin,), rate_limit=10_000
    )
    with serving(options) as paper:
        paper.to("14:31:00")
        house = AtPaper(engine, paper)
        yield house
        house.close()
