"""Rules that contradict each other, found before they cost money: what an entry may buy, an exit must not sell at once.

Each finding is a sentence that says where it holds, names the settings, their values and what they would do together.
Source: R37, L15, L37.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Final

from domain.account import Limits
from domain.choice_limits import of_choice
from domain.entry_limits import CHEAPEST_USD, CLOSES, of_limits
from domain.exits import ExitPolicy
from domain.gates import EntryRules, RuleBook
from domain.ids import AccountName
from domain.instrument import Kind

_DAY: Final = timedelta(days=1)


def contradictions(
    book: RuleBook, limits: Mapping[AccountName, Limits], policies: Mapping[tuple[str, Kind], ExitPolicy]
) -> tuple[str, ...]:
    """Return every contradiction, each once with all the places where it holds."""
    places: dict[str, list[str]] = {}
    for place, text in _all(book, limits, policies):
        places.setdefault(text, []).append(place)
    return tuple("; ".join(where) + f": {text}" for text, where in places.items())


def _all(
    book: RuleBook, limits: Mapping[AccountName, Limits], policies: Mapping[tuple[str, Kind], ExitPolicy]
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
            yield from ((f"{place}, {kind}", text) for text in _of_exits(policies.get((strategy, kind)), rules, kind))


def _of_exits(policy: ExitPolicy | None, rules: EntryRules, kind: Kind) -> Iterator[str]:
    """Yield what an entry that *rules* allow and *policy* would do to each other."""
    if policy is None:
        yield "may be bought, and no exit policy says how it is left"
        return
    flatten, last_entry = policy.flatten_before_close, _before_close(rules)
    if flatten is not None and last_entry <= flatten:
        yield f"an entry is allowed until {last_entry} before the close, and flattened {flatten} before"
    if kind is not Kind.STOCK:
        yield from _of_expiry(policy, rules)
    if policy.max_hold is not None and policy.max_hold <= policy.min_hold:
        yield f"held at most {policy.max_hold}, but stop, target and trailing wait {policy.min_hold}"
    yield from _of_levels(policy, rules)


def _before_close(rules: EntryRules) -> timedelta:
    """Return how long before a session's close the last entry may be. A time of day says nothing about a half day."""
    if rules.entry_until is None or not rules.refuse_half_days:
        return rules.no_entry_before_close
    until = timedelta(hours=rules.entry_until.hour, minutes=rules.entry_until.minute)
    return max(rules.no_entry_before_close, timedelta(hours=CLOSES.hour, minutes=CLOSES.minute) - until)


def _of_expiry(policy: ExitPolicy, rules: EntryRules) -> Iterator[str]:
    expiry, days = policy.close_before_expiry, rules.min_days_to_expiry or 0
    if expiry is None:
        return
    if days == 0 and rules.no_entry_before_last_close <= expiry:
        yield (
            f"on its last day an option may be bought until {rules.no_entry_before_last_close}"
            f" before the close, and is closed {expiry} before"
        )
    if days > 0 and days * _DAY + _before_close(rules) <= expiry:
        yield (
            f"an option may be bought with min_days_to_expiry {days} until {_before_close(rules)} before the close,"
            f" and is closed {expiry} before its last close"
        )


def _of_levels(policy: ExitPolicy, rules: EntryRules) -> Iterator[str]:
    yield from _closing_at_once(policy, rules)
    if policy.stop_pct is not None and policy.catastrophe_pct is not None and policy.catastrophe_pct < policy.stop_pct:
        yield f"catastrophe at {policy.catastrophe_pct} % comes before the stop at {policy.stop_pct} %"
    if policy.stop_pct is None and policy.catastrophe_pct is None:
        yield "no rule ever closes at a loss"
    armed, target = policy.trail_arm_pct, policy.target_pct
    if armed is not None and target is not None and armed >= target:
        yield f"the trailing stop is armed at {armed} %, where the target at {target} % has closed already"
    if (armed is None) != (policy.trail_giveback_pct is None):
        yield "a trailing stop needs both trail_arm_pct and trail_giveback_pct"


def _closing_at_once(policy: ExitPolicy, rules: EntryRules) -> Iterator[str]:
    bounded = "spread_is_within_limit" not in rules.off
    loss_at_entry_pct = _widest_entry_loss_pct(rules.max_spread_pct) if bounded else Decimal(100)
    spread = f"a spread of {rules.max_spread_pct} %" if bounded else "any spread (spread_is_within_limit is off)"
    for rule, level, waits in (
        ("stop", policy.stop_pct, policy.min_hold),
        ("catastrophe", policy.catastrophe_pct, timedelta(0)),
    ):
        if level is not None and level <= loss_at_entry_pct and not waits:
            yield (
                f"{spread} is a loss of up to {loss_at_entry_pct:.1f} % at the bid"
                f" right after the entry, and {rule} closes at {level} %"
            )


def _widest_entry_loss_pct(max_spread_pct: Decimal) -> Decimal:
    """Return the loss at the bid of a purchase at the ask, in per cent, at the widest spread (of the mid) allowed."""
    half = max_spread_pct / 2
    return max_spread_pct / (100 + half) * 100


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
