"""Rules that contradict each other, found before they cost money: what an entry may buy, an exit must not sell at once.

Each finding is a sentence that names the settings, their values and what they would do together. Source: R37, L15, L37.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal

from domain.account import Limits
from domain.exits import ExitPolicy
from domain.gates import EntryRules
from domain.instrument import OPTION_MULTIPLIER, Kind

#: The longest regular session; a limit beyond it can never trip on the day of the entry.
_SESSION = timedelta(hours=6, minutes=30)
#: The cheapest contract costs a cent a share.
_CHEAPEST_USD = Decimal("0.01") * OPTION_MULTIPLIER


def contradictions(
    rules: EntryRules, limits: Mapping[str, Limits], policies: Mapping[tuple[str, Kind], ExitPolicy]
) -> tuple[str, ...]:
    """Return every contradiction; *policies* are those of each strategy that may open, by kind."""
    found = [
        text
        for (strategy, kind), policy in sorted(policies.items())
        for text in _of_policy(f"{strategy}, {kind}", policy, rules, kind)
    ]
    found += [text for account, limit in sorted(limits.items()) for text in _of_account(account, limit)]
    return (*found, *_of_rules(rules))


def _of_policy(name: str, policy: ExitPolicy, rules: EntryRules, kind: Kind) -> Iterator[str]:
    flatten, expiry = policy.flatten_before_close, policy.close_before_expiry
    if flatten is not None and rules.no_entry_before_close <= flatten:
        yield (
            f"{name}: an entry is allowed until {rules.no_entry_before_close} before the close,"
            f" and flattened {flatten} before"
        )
    if kind is not Kind.STOCK and expiry is not None and rules.no_entry_before_last_close <= expiry:
        yield (
            f"{name}: on its last day an option may be bought until {rules.no_entry_before_last_close}"
            f" before the close, and is closed {expiry} before"
        )
    if policy.max_hold is not None and policy.max_hold <= policy.min_hold:
        yield f"{name}: held at most {policy.max_hold}, but stop, target and trailing wait {policy.min_hold}"
    yield from _of_levels(name, policy, rules)


def _of_levels(name: str, policy: ExitPolicy, rules: EntryRules) -> Iterator[str]:
    loss_at_entry_pct = _widest_entry_loss_pct(rules.max_spread_pct)
    for rule, level, waits in (
        ("stop", policy.stop_pct, policy.min_hold),
        ("catastrophe", policy.catastrophe_pct, timedelta(0)),
    ):
        if level is not None and level <= loss_at_entry_pct and not waits:
            yield (
                f"{name}: a spread of {rules.max_spread_pct} % is a loss of {loss_at_entry_pct:.1f} % at the bid"
                f" right after the entry, and {rule} closes at {level} %"
            )
    if policy.stop_pct is not None and policy.catastrophe_pct is not None and policy.catastrophe_pct < policy.stop_pct:
        yield f"{name}: catastrophe at {policy.catastrophe_pct} % comes before the stop at {policy.stop_pct} %"
    if policy.stop_pct is None and policy.catastrophe_pct is None:
        yield f"{name}: no rule ever closes at a loss"
    armed, target = policy.trail_arm_pct, policy.target_pct
    if armed is not None and target is not None and armed >= target:
        yield f"{name}: the trailing stop is armed at {armed} %, where the target at {target} % has closed already"
    if (armed is None) != (policy.trail_giveback_pct is None):
        yield f"{name}: a trailing stop needs both trail_arm_pct and trail_giveback_pct"


def _widest_entry_loss_pct(max_spread_pct: Decimal) -> Decimal:
    """Return the loss at the bid of a purchase at the ask, in per cent, at the widest spread (of the mid) allowed."""
    half = max_spread_pct / 2
    return max_spread_pct / (100 + half) * 100


def _of_account(account: str, limits: Limits) -> Iterator[str]:
    if limits.max_positions == 0:
        yield f"{account}: max_positions is 0, no order can meet it"
    if limits.max_exposure_usd < _CHEAPEST_USD:
        yield f"{account}: max_exposure_usd {limits.max_exposure_usd} is less than the cheapest contract"
    if limits.max_daily_loss_usd > limits.max_exposure_usd:
        yield (
            f"{account}: max_daily_loss_usd {limits.max_daily_loss_usd} cannot trip before everything is lost"
            f" (max_exposure_usd {limits.max_exposure_usd})"
        )


def _of_rules(rules: EntryRules) -> Iterator[str]:
    if not rules.permitted:
        yield "entries.permitted is empty: nothing may open"
    if not rules.min_confidence:
        yield "no strategy has a min_confidence: nothing may open"
    for name, floor in sorted(rules.min_confidence.items()):
        if floor > 1:
            yield f"{name}: min_confidence {floor} is above 1, no recommendation can reach it"
    if rules.no_entry_before_close >= _SESSION:
        yield f"entries stop {rules.no_entry_before_close} before the close: the session is not longer"
    if rules.max_quote_age < rules.max_feed_age:
        yield f"max_quote_age {rules.max_quote_age} is under max_feed_age {rules.max_feed_age}, which can never trip"
