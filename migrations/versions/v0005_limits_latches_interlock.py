"""Limits with their history and overrides, latches, marks, the interlock and the configuration that is in force."""

from __future__ import annotations

from migrations.sql import run_beside

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_beside(__file__)
