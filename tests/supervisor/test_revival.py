"""What dies while positions are held comes back on its data and at its address."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import redis
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from cli.supervisor import embedded_servers
from tests.supervisor.processes import wait_until


def test_killed_servers_are_started_again_with_their_data(tmp_path: Path):
    """
    Both are killed while a backend is at work: it outlives its postmaster by moments, and nothing starts before it
    is gone. Rows and entries are there again under the same addresses.
    """
    with embedded_servers(tmp_path / "ledger", durable=False) as servers:
        engine = create_engine(servers.database_url)
        with engine.begin() as tx:
            tx.execute(text("CREATE TABLE kept (n integer)"))
            tx.execute(text("INSERT INTO kept VALUES (7)"))
        client = redis.Redis.from_url(servers.redis_url)
        client.xadd("kept", {"n": 7})
        busy = threading.Thread(target=_at_work, args=(servers.database_url,))
        busy.start()
        _until_at_work(servers.database_url)

        for name in ("valkey", "postgres"):
            process = servers._children.process(name)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        deaths = servers.revive()

        busy.join()
        engine.dispose()
        with engine.connect() as tx:
            rows = tx.execute(text("SELECT n FROM kept")).scalars().all()
        assert {"valkey", "postgres"} == {death.name for death in deaths}
        assert ([7], 1) == (rows, client.xlen("kept"))
        assert [] == servers.revive()


def _at_work(url: str) -> None:
    """One long query after the other, which no signal of a dying postmaster ends at once."""
    engine = create_engine(url)
    with suppress(DBAPIError), engine.connect() as tx:  # its connection dies with the server
        while True:
            tx.execute(text("SELECT count(*) FROM generate_series(1, 6000000) AS n, (SELECT 'busy') AS word"))
    engine.dispose()


def _until_at_work(url: str) -> None:
    """Each look is a transaction of its own: within one, the list of sessions does not change."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    asked = text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%busy%' AND pid <> pg_backend_pid()")
    with engine.connect() as tx:
        wait_until(lambda: tx.execute(asked).scalar_one() > 0, seconds=20)
    engine.dispose()
