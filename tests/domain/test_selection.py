"""Contract selection: each filter at its edge, each part of the score, and that the choice depends on nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.candidates import FILTERS, SelectionRules, Wanted
from domain.contracts import Candidate
from domain.instrument import Kind
from domain.points import PARTS, WEIGHTS
from domain.selection import TOLD, Selection, nothing, select
from tests.factories import NOON, a_contract, a_quote, a_snapshot, some_selection_rules

TODAY = date(2026, 2, 3)


def symbol(strike: str | Decimal = "400", days: int = 7, right: str = "P", root: str = "MSFT") -> str:
    return f"{root}{TODAY + timedelta(days=days):%y%m%d}{right}{int(Decimal(strike) * 1000):08d}"


def a_candidate(strike: str | Decimal = "400", days: int = 7, right: str = "P", **over: Any) -> Candidate:
    """A put of 7 days at the money: 5.00 by 5.10, 1,000 traded today, 1,000 open, delta -0.40."""
    name = symbol(strike, days, right)
    of_contract = {k: over.pop(k) for k in ("tradable", "multiplier", "open_interest", "underlying") if k in over}
    contract = a_contract(name, **{"open_interest": 1000} | of_contract)
    if "snapshot" in over:
        return Candidate(contract=contract, snapshot=over["snapshot"])
    quote = a_quote(name, over.pop("bid", "5.00"), over.pop("ask", "5.10"), at=over.pop("quoted_at", NOON))
    return Candidate(contract=contract, snapshot=a_snapshot(name, quote=quote, **over))


#: A contract of another root that delivers the same underlying.
ADJUSTED = Candidate(contract=a_contract("MSFTA260210P00400000", underlying="MSFT"), snapshot=None)


def wanted(kind: Kind = Kind.PUT, **rules: Any) -> Wanted:
    return Wanted(
        underlying="MSFT", kind=kind, price=Decimal(400), today=TODAY, now=NOON, rules=some_selection_rules(**rules)
    )


def first_failure(candidate: Candidate, **rules: Any) -> str | None:
    return next((name for name, passes in FILTERS.items() if not passes(candidate, wanted(**rules))), None)


@pytest.mark.parametrize(
    ("candidate", "rules", "falls_at"),
    [
        (a_candidate(), {}, None),
        (a_candidate(right="C"), {}, "another_instrument"),
        (a_candidate(underlying="AAPL"), {}, "another_instrument"),
        (ADJUSTED, {}, "another_instrument"),
        (a_candidate(multiplier=10), {}, "another_instrument"),
        (a_candidate(tradable=False), {}, "not_tradable"),
        (a_candidate(days=2), {"min_days": 3}, "days_to_expiration"),
        (a_candidate(days=3), {"min_days": 3}, None),
        (a_candidate(days=7), {"max_days": 7}, None),
        (a_candidate(days=8), {"max_days": 7}, "days_to_expiration"),
        (a_candidate("360"), {"strike_range_pct": Decimal(10)}, None),
        (a_candidate("359.99"), {"strike_range_pct": Decimal(10)}, "strike"),
        (a_candidate("440"), {"strike_range_pct": Decimal(10)}, None),
        (a_candidate("440.01"), {"strike_range_pct": Decimal(10)}, "strike"),
        (a_candidate(snapshot=None), {}, "quote"),
        (a_candidate(snapshot=a_snapshot(symbol(), quote=None)), {}, "quote"),
        (a_candidate(bid=None), {}, "quote"),
        (a_candidate(ask=None), {}, "quote"),
        (a_candidate(bid="5.11"), {}, "quote"),
        (a_candidate(bid="5.10"), {}, None),
        (a_candidate(quoted_at=NOON - timedelta(seconds=900)), {}, None),
        (a_candidate(quoted_at=NOON - timedelta(seconds=901)), {}, "quote"),
        (a_candidate(bid="1.90", ask="2.10"), {"max_spread_pct": Decimal(10)}, None),
        (a_candidate(bid="1.89", ask="2.10"), {"max_spread_pct": Decimal(10)}, "spread"),
        (a_candidate(bid="0.99", ask="1.01"), {"min_premium": Decimal(1)}, None),
        (a_candidate(bid="0.98", ask="1.01"), {"min_premium": Decimal(1)}, "premium"),
        (a_candidate(volume=499), {"min_volume": 500}, "volume"),
        (a_candidate(volume=500), {"min_volume": 500}, None),
        (a_candidate(volume=None), {"min_volume": 0}, "volume"),
        (a_candidate(volume=None), {"min_volume": None}, None),
        (a_candidate(volume_on=TODAY - timedelta(days=1)), {"min_volume": 1}, "volume"),
        (a_candidate(open_interest=99), {"min_open_interest": 100}, "open_interest"),
        (a_candidate(open_interest=100), {"min_open_interest": 100}, None),
        (a_candidate(open_interest=None), {"min_open_interest": 0}, "open_interest"),
        (a_candidate(open_interest=None), {"min_open_interest": None}, None),
        (a_candidate(delta="-0.29"), {"min_delta": Decimal("0.30")}, "delta"),
        (a_candidate(delta="-0.30"), {"min_delta": Decimal("0.30")}, None),
        (a_candidate(delta="0.60"), {"max_delta": Decimal("0.60")}, None),
        (a_candidate(delta="-0.61"), {"max_delta": Decimal("0.60")}, "delta"),
        (a_candidate(delta=None), {"min_delta": Decimal(0)}, "delta"),
        (a_candidate(delta=None), {"max_delta": Decimal(1)}, "delta"),
        (a_candidate(delta=None), {}, None),
    ],
)  # fmt: skip
def test_a_contract_falls_at_the_first_filter_that_it_fails(
    candidate: Candidate, rules: dict[str, Any], falls_at: str | None
):
    """Each filter at its edge; what the feed does not say does not pass a floor, and falls nowhere without one."""
    assert falls_at == first_failure(candidate, **rules)


@pytest.mark.parametrize(
    ("part", "candidate", "rules", "share"),
    [
        ("spread", a_candidate(bid="5.00", ask="5.00"), {}, "1"),
        ("spread", a_candidate(bid="1.95", ask="2.05"), {"max_spread_pct": Decimal(10)}, "0.5"),
        ("spread", a_candidate(bid="1.90", ask="2.10"), {"max_spread_pct": Decimal(10)}, "0"),
        ("strike", a_candidate("400"), {"otm_pct": Decimal(0)}, "1"),
        ("strike", a_candidate("380"), {"strike_range_pct": Decimal(10)}, "0.5"),
        ("strike", a_candidate("394"), {"otm_pct": Decimal("1.5")}, "1"),
        ("delta", a_candidate(delta="-0.10"), {}, "0"),
        ("delta", a_candidate(delta="-0.20"), {}, "0.5"),
        ("delta", a_candidate(delta="-0.30"), {}, "1"),
        ("delta", a_candidate(delta="-0.50"), {}, "1"),
        ("delta", a_candidate(delta="-0.60"), {}, "0.5"),
        ("delta", a_candidate(delta="-0.95"), {}, "0"),
        ("delta", a_candidate(delta=None), {}, "0"),
        ("volume", a_candidate(volume=250), {}, "0.25"),
        ("volume", a_candidate(volume=5000), {}, "1"),
        ("volume", a_candidate(volume=None), {}, "0"),
        ("open_interest", a_candidate(open_interest=250), {}, "0.25"),
        ("open_interest", a_candidate(open_interest=None), {}, "0"),
        ("days", a_candidate(days=5), {"min_days": 0, "max_days": 10}, "1"),
        ("days", a_candidate(days=8), {"min_days": 0, "max_days": 10}, "0.5"),
    ],
)  # fmt: skip
def test_a_part_is_a_share_of_its_weight(part: str, candidate: Candidate, rules: dict[str, Any], share: str):
    """What the documentation of the score says, at its corners; unknown scores nothing."""
    assert Decimal(share) == PARTS[part](candidate, wanted(**rules))


def test_a_hundred_points_are_shared_out():
    """Every part has its weight, and the best contract there can be has them all."""
    perfect = a_candidate(bid="5.00", ask="5.00")
    [scored] = select([perfect], wanted(min_days=7, max_days=7)).best

    assert set(PARTS) == set(WEIGHTS)
    assert 100 == sum(WEIGHTS.values()) == scored.score


def test_the_target_strike_lies_out_of_the_money_on_either_side():
    """1.5 % above the price for a call, below it for a put; in the money where the number is negative."""
    strikes = [
        wanted(kind, otm_pct=Decimal(pct)).target_strike
        for kind, pct in ((Kind.CALL, "1.5"), (Kind.PUT, "1.5"), (Kind.CALL, "-3"), (Kind.PUT, "-3"))
    ]

    assert [Decimal(406), Decimal(394), Decimal(388), Decimal(412)] == strikes


def test_what_is_asked_of_the_brokerage_holds_everything_that_may_pass():
    """Days and strikes at the edges of the filters lie inside of the part of the chain that is read."""
    asked = wanted(min_days=1, max_days=9, strike_range_pct=Decimal("3.333")).part_of_chain()

    assert (TODAY + timedelta(days=1), TODAY + timedelta(days=9)) == (asked.first, asked.last)
    assert asked.lowest <= Decimal(400) - Decimal("13.332")
    assert asked.highest >= Decimal(400) + Decimal("13.332")


def test_the_best_score_wins_and_the_rest_is_told():
    """The winner, the runners-up with their points, and how many fell where, with the nearest of them."""
    chain = [
        a_candidate("400", volume=10),
        a_candidate("395"),
        a_candidate("390", bid=None),
        a_candidate("385", bid=None),
        a_candidate("405", tradable=False),
    ]
    found = select(chain, wanted())

    assert symbol("395") == found.symbol
    assert [symbol("395"), symbol("400")] == [scored.symbol for scored in found.best]
    assert all(sum(scored.points.values()) == scored.score for scored in found.best)
    assert [("not_tradable", 1, symbol("405")), ("quote", 2, symbol("390"))] == [
        (fell.filter, fell.count, fell.nearest) for fell in found.fallen
    ]
    assert 5 == found.considered == len(found.best) + sum(fell.count for fell in found.fallen)
    assert f"{symbol('395')} scores {found.best[0].score} of 100, best of 2 that passed the filters, of 5" == found.why


def test_what_is_told_is_bounded():
    """A chain of a thousand contracts is told in a few lines."""
    found = select([a_candidate(Decimal(360) + n * Decimal("0.08")) for n in range(1000)], wanted())

    assert 1000 == found.considered
    assert TOLD == len(found.best)
    assert len(found.fallen) <= len(FILTERS)


@pytest.mark.parametrize(
    ("chain", "rules", "why"),
    [
        ([], {}, "no PUT on MSFT is listed near 400.00"),
        ([a_candidate(bid=None)], {}, "none of 1 contracts passed the filters"),
        (
            [a_candidate(volume=None)],
            {"min_score": Decimal(100)},
            f"{symbol()} scores 79.06 of 100, under 100, best of 1 that passed the filters, of 1",
        ),
    ],
)
def test_where_nothing_is_good_enough_nothing_is_chosen(chain: list[Candidate], rules: dict[str, Any], why: str):
    """No contract is better than a bad one, and the sentence says how far it got."""
    found = select(chain, wanted(**rules))

    assert (None, why) == (found.symbol, found.why)


def test_a_tie_is_broken_by_expiration_strike_and_name():
    """Equal scores: the earlier expiration, then the strike nearer to the target, then the alphabet."""
    early, late = a_candidate(days=5), a_candidate(days=9)
    above, below = a_candidate("405"), a_candidate("395")

    assert symbol(days=5) == select([late, early], wanted(min_days=5, max_days=9)).symbol
    assert symbol("395") == select([above, below], wanted()).symbol


def test_what_could_not_be_asked_chooses_nothing():
    """A selection without a chain has no winner and its reason."""
    assert Selection(symbol=None, why="closed", target_strike=None, considered=0, best=(), fallen=()) == nothing(
        "closed"
    )


candidates = st.builds(
    a_candidate,
    st.integers(350, 450).map(Decimal),
    st.integers(0, 14),
    right=st.sampled_from("CP"),
    bid=st.sampled_from([None, "4.00", "4.90", "5.00"]),
    volume=st.none() | st.integers(0, 3000),
    open_interest=st.none() | st.integers(0, 3000),
    delta=st.none() | st.integers(-100, 100).map(lambda cents: str(Decimal(cents) / 100)),
    tradable=st.booleans(),
)
chains = st.lists(candidates, max_size=12, unique_by=lambda c: c.contract.symbol)
some_rules = st.builds(
    lambda volume, interest, delta: some_selection_rules(
        min_volume=volume, min_open_interest=interest, min_delta=delta
    ),
    st.none() | st.integers(0, 2000),
    st.none() | st.integers(0, 2000),
    st.none() | st.just(Decimal("0.25")),
)


@settings(max_examples=60, deadline=None)
@given(chain=chains, rules=some_rules, random=st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_of_the_chain(
    chain: list[Candidate], rules: SelectionRules, random: Any
):
    """The same contracts in any order: the same winner, told in the same words."""
    shuffled = list(chain)
    random.shuffle(shuffled)
    asked = replace(wanted(), rules=rules)

    assert select(chain, asked) == select(shuffled, asked)


@settings(max_examples=60, deadline=None)
@given(chain=chains, rules=some_rules)
def test_the_winner_passes_every_filter_and_nothing_that_passes_scores_more(
    chain: list[Candidate], rules: SelectionRules
):
    """Whatever the chain: the winner is let through by every filter, and is the best of those that are."""
    asked = replace(wanted(), rules=rules)
    found = select(chain, asked)
    passing = [c for c in chain if all(passes(c, asked) for passes in FILTERS.values())]
    best = [select([c], asked).best[0].score for c in passing]

    assert (found.symbol is not None) == bool(passing)
    assert found.symbol is None or max(best) == found.best[0].score
    assert found.symbol in {None, *(c.contract.symbol for c in passing)}
    assert all(0 <= score <= 100 for score in best)
