"""Until when each open position is to be evaluated again, and who looked at it last."""

from __future__ import annotations

from migrations.sql import run_beside

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_beside(__file__)
