"""The calm house on the test's own database, and the command on the same rows and streams."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from sqlalchemy import Engine
from typer.testing import CliRunner

from actors.clocks import set_recorded_clock
from cli.main import app
from tests.cli.house import House


@pytest.fixture
def house(engine: Engine) -> House:
    return House(engine)


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


@pytest.fixture
def gapless(
    house: House, database_url: str, redis_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Answer]:
    """Run ``gapless ARGS`` on the house's rows, on its clock."""
    monkeypatch.setenv("GAPLESS_DATABASE_URL", database_url)
    monkeypatch.setenv("GAPLESS_REDIS_URL", redis_url)

    def run(*args: str, typed: str = "") -> Answer:
        set_recorded_clock(redis_client, house.now)
        result = CliRunner().invoke(app, list(args), input=typed)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)

    return run
