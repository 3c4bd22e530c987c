"""A stage for each test: actors over a database and streams of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from sqlalchemy import Engine

from tests.incidents.stage import Stage


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
