"""Run the SQL file that lies beside a version: SQL is written as SQL."""

from __future__ import annotations

from pathlib import Path

from alembic import op


def run_beside(version_file: str) -> None:
    """Execute ``<version>.sql`` as one script, without parameter parsing."""
    script = Path(version_file).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(script.replace("%", "%%"))
