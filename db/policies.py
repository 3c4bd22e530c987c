"""Exit policies as JSON in their row: decimals as text, spans in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import timedelta
from decimal import Decimal
from typing import Any

from domain.exits import ExitPolicy


def to_json(policy: ExitPolicy) -> dict[str, Any]:
    return {name: _plain(value) for name, value in asdict(policy).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return int(value.total_seconds())
    return str(value) if isinstance(value, Decimal) else value


def from_json(row: Mapping[str, Any]) -> ExitPolicy:
    """Return the policy in *row*; a missing key is an error, not a default."""
    return ExitPolicy(**{f.name: _typed(f.name, row[f.name]) for f in fields(ExitPolicy)})


def _typed(name: str, value: Any) -> Any:
    if value is None or name == "version":
        return value
    return Decimal(value) if name.endswith("_pct") else timedelta(seconds=value)
