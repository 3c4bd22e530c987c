"""What the brokerage books without an order, and adjustments that say what was held."""

from __future__ import annotations

from migrations.sql import run_beside

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_beside(__file__)
