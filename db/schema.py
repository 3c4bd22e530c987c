"""Bring a database to the schema that this code expects, and refuse to work on another."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, text

#: One key for every migrator of one database: two at once take turns.
_MIGRATION_LOCK: Final = 4_702_938_110


#: Of every session; times in milliseconds.
_SESSION: Final = {
    "statement_timeout": 30_000,
    "lock_timeout": 10_000,
    "idle_in_transaction_session_timeout": 10_000,
    "timezone": "UTC",
}


class WrongSchema(RuntimeError):
    """The database is at another version than this code."""


def connect(database_url: str, **options: Any) -> Engine:
    """Return an engine with bounded waits: no statement or lock may hang an actor for ever.

    A transaction in which nothing happens for ten seconds belongs to a process that is stopped: its locks are freed.
    """
    return create_engine(
        database_url,
        pool_pre_ping=False,
        pool_size=5,
        max_overflow=10,
        connect_args={
            "connect_timeout": 5,
            "options": " ".join(f"-c {name}={value}" for name, value in _SESSION.items()),
        },
        **options,
    )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    return config


def head() -> str:
    """Return the version that this code expects."""
    version = ScriptDirectory.from_config(_config()).get_current_head()
    if version is None:
        raise WrongSchema("this installation ships no migrations")
    return version


def current(tx: Connection) -> str | None:
    """Return the version of the database, None when it is empty."""
    return MigrationContext.configure(tx, opts={"version_table": "schema_version"}).get_current_revision()


def upgrade(database_url: str) -> str:
    """Bring the database to head and return its version; safe to run twice and by several at once."""
    engine = create_engine(database_url)
    try:
        with engine.begin() as tx:
            tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            config = _config()
            config.attributes["connection"] = tx
            command.upgrade(config, "head")
        return head()
    finally:
        engine.dispose()


def require_head(engine: Engine) -> None:
    """Raise :exc:`WrongSchema` unless the database is at head: an actor must not consume on another version."""
    with engine.connect() as tx:
        found = current(tx)
    if found != head():
        raise WrongSchema(
            f"schema: this code expects version {head()}, the database has {found}; run `gapless migrate`"
        )
