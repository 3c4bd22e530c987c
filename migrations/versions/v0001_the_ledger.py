"""Accounts, recommendations, decisions, orders, fills, positions; inbox, outbox, leases, dead letters."""

from __future__ import annotations

from migrations.sql import run_beside

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_beside(__file__)
