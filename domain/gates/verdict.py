"""How a gate says what it found: passed or not, observed and allowed, with source and age."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from domain.checks import Check, Code
from domain.gates.proposal import Gate, Proposal
from domain.known import Known, Unknown


def check(
    gate: Gate,
    passed: bool,
    observed: object,
    allowed: object,
    source: str = "recommendation",
    code: Code = Code.FAILED,
) -> Check:
    """Return the verdict of *gate*; *code* says why where it did not pass."""
    return Check(
        gate=gate.__name__,
        passed=passed,
        code=None if passed else code,
        observed=str(observed),
        allowed=str(allowed),
        source=source,
        age_s=None,
    )


def judged(
    gate: Gate,
    p: Proposal,
    seen: Known[object] | Unknown,
    passed: bool,
    observed: object,
    allowed: object,
    code: Code = Code.FAILED,
) -> Check:
    """Return a check that carries the source and the age of what was seen."""
    if isinstance(seen, Unknown):
        return unknown(gate, seen, allowed)
    return Check(
        gate=gate.__name__,
        passed=passed,
        code=None if passed else code,
        observed=str(observed),
        allowed=str(allowed),
        source=seen.source,
        age_s=Decimal((p.now - seen.at) // timedelta(milliseconds=1)) / 1000,
    )


def unknown(gate: Gate, missing: Unknown, allowed: object) -> Check:
    """An input that *gate* needs is missing: it refuses."""
    return check(gate, False, f"unknown: {missing.reason}", allowed, missing.source, Code.UNKNOWN)


def broken(gate: Gate, error: Exception) -> Check:
    """*gate* raised: it refuses."""
    said = f"unknown: the gate raised {type(error).__name__}: {error}"
    return check(gate, False, said, "an answer", "gate", Code.BROKEN)


def not_looked_at(gate: Gate, why: str = "no limit") -> Check:
    """The configuration sets no limit, or switched the gate off: it passes, and the decision says so."""
    return check(gate, True, "not looked at", why, "config")
