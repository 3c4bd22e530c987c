"""When each side of a mark was last usable, disputes between two sources of prices, and the theta of what is held."""

from __future__ import annotations

from migrations.sql import run_beside

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_beside(__file__)
