"""Which contract a recommendation means that names none: filters, then a score, both told with the decision.

The first filter that a contract fails names why it fell. What passes is scored from 0 to 100: the sum over its parts,
each a share of its weight (domain.candidates, domain.points). The highest score wins; a tie goes
to the earlier expiration, then to the strike nearer to the target, then to the symbol first in the alphabet: the same
candidates have the same winner in whatever order they came. The winner meets the gates like any named symbol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from domain.candidates import FILTERS, Wanted
from domain.contracts import Candidate
from domain.money import CENT
from domain.points import PARTS, WEIGHTS

#: How many of the scored are told with the decision, the winner among them.
TOLD: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A contract that passed the filters: its score of 100 and the points that each part gave."""

    symbol: str
    score: Decimal
    points: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallen:
    """How many contracts failed at *filter*, and the one among them that was nearest to the target strike."""

    filter: str
    count: int
    nearest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """*symbol* won, or is None; *why* says so in a sentence. *best* are the first few by score."""

    symbol: str | None
    why: str
    target_strike: Decimal | None
    considered: int
    best: tuple[Scored, ...]
    fallen: tuple[Fallen, ...]


def nothing(why: str) -> Selection:
    """The selection that could not be made."""
    return Selection(symbol=None, why=why, target_strike=None, considered=0, best=(), fallen=())


def select(candidates: Sequence[Candidate], wanted: Wanted) -> Selection:
    """Return the winner among *candidates*, or none, and why."""
    nearest_first = sorted(candidates, key=lambda c: _nearness(c, wanted))
    fell: dict[str, list[str]] = {name: [] for name in FILTERS}
    passed: list[tuple[Candidate, Scored]] = []
    for candidate in nearest_first:
        reason = next((name for name, passes in FILTERS.items() if not passes(candidate, wanted)), None)
        if reason is None:
            passed.append((candidate, _score(candidate, wanted)))
        else:
            fell[reason].append(candidate.contract.symbol)
    ranked = [scored for _, scored in sorted(passed, key=lambda pair: _rank(pair[0], pair[1], wanted))]
    enough = bool(ranked) and ranked[0].score >= wanted.rules.min_score
    return Selection(
        symbol=ranked[0].symbol if enough else None,
        why=_why(ranked, enough, len(candidates), wanted),
        target_strike=wanted.target_strike.quantize(CENT),
        considered=len(candidates),
        best=tuple(ranked[:TOLD]),
        fallen=tuple(Fallen(filter=name, count=len(s), nearest=s[0]) for name, s in fell.items() if s),
    )


def _nearness(candidate: Candidate, wanted: Wanted) -> tuple[bool, Decimal, str]:
    strike = candidate.contract.strike
    away = Decimal(0) if strike is None else abs(strike - wanted.target_strike)
    return strike is None, away, candidate.contract.symbol


def _rank(candidate: Candidate, scored: Scored, wanted: Wanted) -> tuple[Decimal, date, tuple[bool, Decimal, str]]:
    return -scored.score, candidate.contract.expiration or date.max, _nearness(candidate, wanted)


def _why(ranked: Sequence[Scored], enough: bool, considered: int, wanted: Wanted) -> str:
    if not considered:
        return f"no {wanted.kind} on {wanted.underlying} is listed near {wanted.target_strike.quantize(CENT)}"
    if not ranked:
        return f"none of {considered} contracts passed the filters"
    best = f"{ranked[0].symbol} scores {ranked[0].score} of 100"
    among = f"best of {len(ranked)} that passed the filters, of {considered}"
    return f"{best}, {among}" if enough else f"{best}, under {wanted.rules.min_score}, {among}"


def _score(candidate: Candidate, wanted: Wanted) -> Scored:
    points = {name: (PARTS[name](candidate, wanted) * weight).quantize(CENT) for name, weight in WEIGHTS.items()}
    return Scored(symbol=candidate.contract.symbol, score=sum(points.values(), Decimal(0)), points=points)
