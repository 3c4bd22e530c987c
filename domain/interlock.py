"""The interlock: an entry may pass only while everything that a position will need is known to be well.

A part of the stack says until when it was well; what is silent for longer than its bound holds entries, and the loss
of any one is enough. Exits ask nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from domain.checks import seconds

#: Who tracks, watches and closes a position.
NEEDED: Final = ("executor", "exit", "feeds", "tracker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long each part may be silent before entries stop."""

    silence: timedelta
    tracker_lag: timedelta
    price_age: timedelta
    reconciliation_age: timedelta
    broker_stream: timedelta
    streams: timedelta
    evaluation: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """*part* was well *age* ago, None when it was never seen; it may be silent for *bound*."""

    part: str
    age: timedelta | None
    bound: timedelta

    @property
    def is_well(self) -> bool:
        return self.age is not None and self.age <= self.bound

    @property
    def allowed(self) -> str:
        """What is wrong, in words that do not change while it lasts."""
        return f"{self.part} not known to be well for more than {seconds(self.bound)}"

    def __str__(self) -> str:
        return f"{self.part} {'never seen' if self.age is None else seconds(self.age)}"


def sign(part: str, well_at: datetime | None, bound: timedelta, now: datetime) -> Sign:
    """Return the sign of *part*, which was last known to be well at *well_at*."""
    return Sign(part=part, age=None if well_at is None else now - well_at, bound=bound)


def unwell(signs: Sequence[Sign]) -> tuple[Sign, ...]:
    """Return the signs that hold entries."""
    return tuple(each for each in signs if not each.is_well)
