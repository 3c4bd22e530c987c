"""Alembic's entry: runs the versions on the connection that ``db.schema`` passes in."""

from __future__ import annotations

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=None, version_table="schema_version")
with context.begin_transaction():
    context.run_migrations()
