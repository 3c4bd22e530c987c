"""Indexes for what the gate asks of an account's history: its day, its last trades in an underlying, its closes."""

from __future__ import annotations

from migrations.sql import run_beside

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_beside(__file__)
