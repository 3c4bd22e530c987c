"""How far a close has come on its way to the market, and until when each of its limits is awaited."""

from __future__ import annotations

from migrations.sql import run_beside

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_beside(__file__)
