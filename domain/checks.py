"""What a gate says: passed or not, with what it saw, what it allows, who said so and how old that was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from domain.money import plain

#: What we look at may be this much ahead of our clock before it counts as from the future.
CLOCK_SKEW: Final = timedelta(seconds=5)
#: How an observation begins that could not be made.
UNKNOWN: Final = "unknown: "
#: Where the fault of an unknown lies with whoever recommended, not with what we see of the world.
ASKED_FOR: Final = frozenset({"config", "recommendation", "symbol"})


class Code(StrEnum):
    """Why a gate refused, where its name alone does not tell; with the gate's name a closed pair for counting."""

    FAILED = "failed"  # the gate's sentence does not hold
    UNKNOWN = "unknown"  # an input is missing or cannot be read
    BROKEN = "broken"  # the gate raised
    EARLY = "early"
    LATE = "late"
    STALE = "stale"
    FUTURE = "future"
    REDUCING = "reducing"
    HALTED = "halted"
    LATCHED = "latched"
    NO_BID = "no_bid"
    NO_ASK = "no_ask"
    UNTRADABLE = "untradable"
    MISMATCH = "mismatch"  # two sources say different things of one contract
    UNCLASSIFIED = "unclassified"  # no sector is configured for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One gate's verdict: what it saw, what it allows, who said so and how old that was; *code* when not passed."""

    gate: str
    passed: bool
    code: Code | None
    observed: str
    allowed: str
    source: str
    age_s: Decimal | None

    @property
    def unknown(self) -> bool:
        """Did it refuse because what it looks at was unknown?"""
        return not self.passed and self.observed.startswith(UNKNOWN)

    def __str__(self) -> str:
        return f"{self.gate}: observed={self.observed} allowed={self.allowed}"


def named(gate: str, passed: bool, observed: str, allowed: str, source: str) -> Check:
    code = None if passed else Code.FAILED
    return Check(gate=gate, passed=passed, code=code, observed=observed, allowed=allowed, source=source, age_s=None)


def wall_refused(said: str) -> Check:
    """The verdict of the database's own wall, when it refused what every gate had let through."""
    return named("database_wall", False, said, "within the limits", "database")


def blind(checks: Sequence[Check]) -> tuple[Check, ...]:
    """Return the checks that could not see the world; none when what was asked for is what made them blind."""
    unknown = tuple(check for check in checks if check.unknown)
    return () if any(check.source in ASKED_FOR for check in unknown) else unknown


def seconds(span: timedelta) -> str:
    return f"{plain(Decimal(span // timedelta(milliseconds=1)) / 1000)} s"


def clock_text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
