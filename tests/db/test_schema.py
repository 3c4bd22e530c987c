"""The schema is what the migrations make of an empty database, and its walls hold by themselves."""

from __future__ import annotations

from sqlalchemy import Engine, text

from db import schema


def test_the_database_is_at_head_after_upgrade(engine: Engine):
    """An actor that requires head starts on a migrated database."""
    schema.require_head(engine)


def test_every_promised_table_exists(engine: Engine):
    """The catalogue shows the tables, not the exit code of a runner (R65)."""
    with engine.connect() as tx:
        found = set(tx.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars())

    assert {"accounts", "decisions", "orders", "fills", "positions", "exit_plans", "inbox", "outbox"} <= found


def test_scripts_arrive_in_the_database_as_written(engine: Engine):
    """A per cent sign in SQL is one per cent sign in the catalogue."""
    with engine.connect() as tx:
        body = tx.execute(text("SELECT prosrc FROM pg_proc WHERE proname = 'refuse_edit_of_history'")).scalar_one()

    assert "'% is append-only'" in body
