"""How a size came about, and which contract was chosen where none was named."""

from __future__ import annotations

from migrations.sql import run_beside

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_beside(__file__)
