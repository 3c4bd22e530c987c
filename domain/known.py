"""A value that may be missing: unknown is a value of its own, never zero, and names itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Known(Generic[T_co]):
    """*value* was true at *at* according to *source*."""

    value: T_co
    at: datetime
    source: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody could say; *reason* tells why. It can refuse an entry and never pass one."""

    reason: str
    source: str
