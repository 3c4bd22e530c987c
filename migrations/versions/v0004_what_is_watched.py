"""The brokerage's book as it was last read, and indexes for what monitoring asks every few seconds."""

from __future__ import annotations

from migrations.sql import run_beside

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_beside(__file__)
