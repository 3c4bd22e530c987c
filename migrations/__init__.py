"""Alembic: the only definition of the schema. Each version is one SQL file with a plain sentence above each rule."""
