"""One position a symbol from its first order on, not only from its first fill."""

from __future__ import annotations

from migrations.sql import run_beside

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_beside(__file__)
