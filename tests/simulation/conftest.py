"""Storms that need more than one database."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, create_engine

from tests.servers import Cluster


@pytest.fixture
def fresh(migrated_cluster: Cluster, request: pytest.FixtureRequest) -> Callable[[], Engine]:
    """Makes engines on databases of their own."""

    def make() -> Engine:
        context = migrated_cluster.a_database()
        engine = create_engine(context.__enter__())
        request.addfinalizer(lambda: context.__exit__(None, None, None))
        request.addfinalizer(engine.dispose)
        return engine

    return make
