"""Rules that contradict each other, found before they cost money: what an entry may buy, an exit must not sell at once.

Each finding is a sentence that says where it holds, names the settings, their values and what they would do together.
Source: R37, L15, L37.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from domain.account import Limits
from domain.choice_limits import of_choice
from domain.entry_limits import CHEAPEST_USD, of_limits
from domain.exits import ExitPolicy
from domain.exits.contradictions import of_policy
from domain.gates import EntryRules, RuleBook
from domain.ids import AccountName
from domain.instrument import Kind

Policies = Mapping[tuple[AccountName, str, Kind], ExitPolicy]


def contradictions(
    book: RuleBook, limits: Mapping[AccountName, Limits], policies: Policies, earnings: Collection[str]
) -> tuple[str, ...]:
    """Return every contradiction, each once with all the places where it holds; *earnings*: tickers with dates."""
    places: dict[str, list[str]] = {}
    for place, text in _all(book, limits, policies, earnings):
        places.setdefault(text, []).append(place)
    return tuple("; ".join(where) + f": {text}" for text, where in places.items())


def _all(
    book: RuleBook, limits: Mapping[AccountName, Limits], policies: Policies, earnings: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield each finding behind the place where it holds."""
    if not book.of_strategy:
        yield "strategies", "no strategy has a min_confidence: nothing may open"
    for account, limit in sorted(limits.items()):
        yield from ((account, text) for text in _of_account(limit))
    for (account, strategy), rules in sorted(book.of_strategy.items()):
        place = f"{account}, {strategy}"
        yield from ((place, text) for text in (*of_limits(rules, limits[account]), *of_choice(rules, limits[account])))
        for kind in sorted({kind for _, kind in rules.permitted}):
            policy = policies.get((account, strategy, kind))
            yield from ((f"{place}, {kind}", text) for text in _of_exits(policy, rules, kind, earnings))


def _of_exits(policy: ExitPolicy | None, rules: EntryRules, kind: Kind, earnings: Collection[str]) -> Iterator[str]:
    if policy is None:
        yield "may be bought, and no exit policy says how it is left"
        return
    yield from of_policy(policy, rules, kind, earnings)


def _of_account(limits: Limits) -> Iterator[str]:
    if limits.max_positions == 0:
        yield "max_positions is 0, no order can meet it"
    if limits.max_exposure_usd < CHEAPEST_USD:
        yield f"max_exposure_usd {limits.max_exposure_usd} is less than the cheapest contract"
    if limits.max_daily_loss_usd > limits.max_exposure_usd:
        yield (
            f"max_daily_loss_usd {limits.max_daily_loss_usd} cannot trip before everything is lost"
            f" (max_exposure_usd {limits.max_exposure_usd})"
        )
