"""The rule that closed a position, the ladder's state, and which exit policies are in force since when."""

from __future__ import annotations

from migrations.sql import run_beside

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_beside(__file__)
