"""A transaction on configured accounts, for tests that leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, create_engine

from tests.db.wall_kit import (
    configure,
)
from tests.servers import Cluster


@pytest.fixture(scope="module")
def walls(migrated_cluster: Cluster) -> Iterator[Engine]:
    """One database for all that is rolled back; what commits asks for ``engine``, a database of its own."""
    with migrated_cluster.a_database() as url:
        made = create_engine(url)
        yield made
        made.dispose()


@pytest.fixture
def tx(walls: Engine) -> Iterator[Connection]:
    """A transaction with the active accounts `large` and `tiny` (5 positions, 10,000 USD each); it is rolled back."""
    with walls.connect() as connection, connection.begin() as transaction:
        configure(connection)
        yield connection
        transaction.rollback()
