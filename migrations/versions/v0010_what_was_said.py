"""What was decided about a position and stands in no row of its own is kept beside it."""

from __future__ import annotations

from migrations.sql import run_beside

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_beside(__file__)
