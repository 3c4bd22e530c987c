"""The pure ladder: whatever comes in whatever order, exactly those gates refuse that must, and no limit is exceeded."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.gates import review
from tests.domain.ladder import SECTORS, Account, Past, ladder, proposal
from tests.domain.ladder_truth import cost, refusing

STEPS = 10
#: Decisions of the fast run, and of each part of the slow one.
FEW, MANY, PARTS = 3_000, 100_000, 10


def climb(seed: int, seen: Counter[str] | None = None) -> None:
    """Decide one ladder; what is approved is bound, and after each approval every limit holds."""
    for account, past, moment in ladder(seed, STEPS):
        refused = {check.gate for check in review(proposal(account, past, moment)) if not check.passed}
        assert refused == refusing(account, past, moment), (seed, moment)
        if seen is not None:
            seen.update(refused or {"approved"})
        if not refused:
            price = cost(account, moment)
            assert price is not None
            past.bound.append((moment.symbol, moment.underlying, moment.kind, price))
            past.moves.append((moment.symbol, moment.underlying, moment.at))
            within(account, past)


def within(account: Account, past: Past) -> None:
    """Every limit of *account* holds for what is bound: counted from scratch."""
    by_underlying, by_sector, positions = Counter[str](), Counter[str | None](), Counter[str]()
    for _, underlying, _, cents in past.bound:
        by_underlying[underlying] += cents
        by_sector[SECTORS.get(underlying)] += cents
        positions[underlying] += 1
    assert len(past.bound) <= account.max_positions
    assert sum(by_underlying.values()) <= account.max_exposure
    assert len({symbol for symbol, *_ in past.bound}) == len(past.bound)
    assert account.underlying is None or max(by_underlying.values()) <= account.underlying
    assert account.sector is None or max(by_sector.values()) <= account.sector
    assert account.per_underlying is None or max(positions.values()) <= account.per_underlying
    assert account.position is None or max(cents for *_, cents in past.bound) <= account.position
    assert account.trades is None or len(past.moves) <= account.trades[2]


@settings(max_examples=FEW // STEPS)
@given(seed=st.integers(0, 2**64 - 1))
def test_exactly_the_right_gates_refuse_and_no_limit_is_exceeded(seed: int):
    """
    Three thousand decisions, ten for each account: whoever must refuse does, nobody else does (no needless
    refusal where there is room), and what was approved stays within every limit of its account.
    """
    climb(seed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_million_decisions(part: int):
    """The same, a million times with fixed seeds."""
    for seed in range(part * MANY, part * MANY + MANY // STEPS):
        climb(seed)


def test_the_ladder_sees_gates_refuse_and_many_approvals():
    """It is not true for want of cases: all but the gates of the symbol itself refuse something."""
    seen: Counter[str] = Counter()
    for seed in range(300):
        climb(seed, seen)

    assert len(seen) > 42
    assert seen["approved"] >= 300
