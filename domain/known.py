"""A value that may be missing: unknown is a value of its own, never zero, and names itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """*value* was true at *at* according to *source*."""

    value: T
    at: datetime
    source: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody could say; *reason* tells why. It can refuse an entry and never pass one."""

    reason: str
    source: str
