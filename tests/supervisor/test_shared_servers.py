"""The fixtures that everybody leans on do what they say."""

from __future__ import annotations

import redis
from sqlalchemy import Engine, create_engine, text

from tests.servers import Killable


def test_every_server_that_we_promise_answers(every_redis_url: str) -> None:
    """Valkey and Redis 6.2 both speak to a plain client, and are empty."""
    with redis.Redis.from_url(every_redis_url) as client:
        assert 0 == client.dbsize()


def test_the_client_finds_nothing_of_the_test_before(redis_client: redis.Redis) -> None:
    """The server is emptied before a test asks for its client."""
    assert 0 == redis_client.dbsize()
    redis_client.set("left", "behind")


def test_a_database_is_migrated_and_empty(engine: Engine) -> None:
    """Every test starts at the head of the migrations and with no order of another test."""
    with engine.begin() as tx:
        assert 0 == tx.execute(text("SELECT count(*) FROM orders")).scalar_one()


def test_an_empty_database_has_no_tables(empty_database_url: str) -> None:
    """For tests of the migrations themselves."""
    engine = create_engine(empty_database_url)
    with engine.begin() as tx:
        tables = tx.execute(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")).scalar_one()
    engine.dispose()
    assert 0 == tables


def test_a_killed_stream_server_comes_back_with_its_entries(killable_redis: Killable) -> None:
    """After a kill -9 the same address answers with what was acknowledged."""
    with redis.Redis.from_url(killable_redis.url) as client:
        entry = client.xadd("fills", {"type": "OrderFilled"})
    killable_redis.kill()
    killable_redis.start()
    with redis.Redis.from_url(killable_redis.url) as client:
        assert [(entry, {b"type": b"OrderFilled"})] == client.xrange("fills")


def test_a_killed_database_comes_back_with_its_rows(killable_database: Killable) -> None:
    """After a kill -9 of the postmaster the same address answers with what was committed."""
    engine = create_engine(killable_database.url, pool_pre_ping=True)
    with engine.begin() as tx:
        tx.execute(text("CREATE TABLE kept AS SELECT 7 AS value"))
    killable_database.kill()
    killable_database.start()
    with engine.begin() as tx:
        assert 7 == tx.execute(text("SELECT value FROM kept")).scalar_one()
    engine.dispose()
