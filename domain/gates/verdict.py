"""How a gate says what it found: passed or not, observed and allowed, with source and age."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from domain.checks import Check
from domain.gates.proposal import Gate, Proposal
from domain.known import Known, Unknown


def check(gate: Gate, passed: bool, observed: object, allowed: object, source: str = "recommendation") -> Check:
    return Check(
        gate=gate.__name__, passed=passed, observed=str(observed), allowed=str(allowed), source=source, age_s=None
    )


def judged(
    gate: Gate, p: Proposal, seen: Known[object] | Unknown, passed: bool, observed: object, allowed: object
) -> Check:
    """Return a check that carries the source and the age of what was seen."""
    if isinstance(seen, Unknown):
        return unknown(gate, seen, allowed)
    age_s = Decimal((p.now - seen.at) // timedelta(milliseconds=1)) / 1000
    return Check(
        gate=gate.__name__,
        passed=passed,
        observed=str(observed),
        allowed=str(allowed),
        source=seen.source,
        age_s=age_s,
    )


def unknown(gate: Gate, missing: Unknown, allowed: object) -> Check:
    return check(gate, False, f"unknown: {missing.reason}", allowed, missing.source)
