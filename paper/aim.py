"""Which of the things that match a fault it hits: how many, from which on, and how often.

A draw depends on the seed and on how many have matched so far, never on time; so the same run is hurt alike.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from paper.numbers import number

_DRAWS = 2**64
_MOST = 1_000_000


class BadFault(Exception):
    """Raised when a fault that was ordered makes no sense."""


@dataclass(slots=True)
class Aim:
    """The first *skip* matches pass; of the others each is hit with *probability*, until *count* were hit.

    *seen* and *struck* count what matched and what was hit.
    """

    count: int = 1
    skip: int = 0
    probability: float = 1.0
    seed: int = 0
    seen: int = 0
    struck: int = 0

    @property
    def is_spent(self) -> bool:
        """Whether it has hit as often as was ordered."""
        return self.struck >= self.count

    def strikes(self) -> bool:
        """Count one match; tell whether it is hit."""
        if self.is_spent:
            return False
        self.seen += 1
        if self.seen <= self.skip or self._draw() >= self.probability:
            return False
        self.struck += 1
        return True

    def _draw(self) -> float:
        digest = hashlib.sha256(f"{self.seed}\x1f{self.seen}".encode()).digest()
        return int.from_bytes(digest[:8]) / _DRAWS

    def shown(self) -> dict[str, Any]:
        """What the control port tells of it."""
        return {
            "count": self.count,
            "skip": self.skip,
            "probability": self.probability,
            "seed": self.seed,
            "seen": self.seen,
            "struck": self.struck,
        }


def read(raw: dict[str, Any]) -> Aim:
    """Read the aim of a fault that was ordered. Raises: BadFault."""
    return Aim(
        count=whole(raw, "count", 1, 1, _MOST),
        skip=whole(raw, "skip", 0, 0, _MOST),
        probability=amount(raw, "probability", 1, 0, 1),
        seed=whole(raw, "seed", 0, 0, 2**63),
    )


def amount(raw: dict[str, Any], name: str, default: float, low: float, high: float) -> float:
    """A number between two bounds. Raises: BadFault."""
    given = raw.get(name)
    value = number(given) if given is not None else None
    if given is None:
        return float(default)
    if value is None or not low <= value <= high:
        raise BadFault(f"{name} must be a number from {low} to {high}")
    return float(value)


def whole(raw: dict[str, Any], name: str, default: int, low: int, high: int) -> int:
    """A whole number between two bounds. Raises: BadFault."""
    value = amount(raw, name, default, low, high)
    if value != int(value):
        raise BadFault(f"{name} must be a whole number")
    return int(value)
