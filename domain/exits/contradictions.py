"""Exit rules that contradict the entry rules, each other, or themselves; each finding is a sentence with its numbers.

Source: incidents R37, L15, L33, L36, L37.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Final

from domain.entry_limits import CLOSES
from domain.exits import ExitPolicy, Regime
from domain.gates import EntryRules
from domain.instrument import Kind
from domain.regime import regime_of

_DAY: Final = timedelta(days=1)
#: Settings that work only together.
_PAIRS: Final = (
    ("a trailing stop", "trail_arm_pct", "trail_giveback_pct"),
    ("a trailing stop of the price", "trail_price_arm_pct", "trail_price_pct"),
    ("minimum progress", "progress_after", "progress_pct"),
    ("a theta rule", "theta_days", "theta_pct"),
)


def of_policy(policy: ExitPolicy, rules: EntryRules, kind: Kind, earnings: Collection[str]) -> Iterator[str]:
    """Yield what *policy* and an entry in *kind* that *rules* allow would do to each other.

    *earnings*: the tickers whose dates of earnings are configured.
    """
    yield from _halves(policy)
    yield from _of_times(policy, rules)
    yield from _of_losses(policy, rules)
    yield from _of_gains(policy)
    yield from _of_windows(policy, rules)
    if kind is not Kind.STOCK:
        yield from _of_last_day(policy, rules)
        yield from _of_expiry(policy, rules)
    yield from _of_others(policy, rules, earnings)


def _of_others(policy: ExitPolicy, rules: EntryRules, earnings: Collection[str]) -> Iterator[str]:
    """A rule that hangs on what nobody says never fires."""
    if policy.earnings_within_sessions is not None and not earnings:
        yield "earnings_within_sessions is set, but [earnings] lists no ticker: the rule never fires"
    if policy.regime_at_least is None:
        return
    if rules.regime is None:
        yield "regime_at_least is set, but there is no [volatility]: the rule never fires"
        return
    strange = [band.name for band in rules.regime.bands if regime_of(band) is None]
    if strange:
        yield (
            f"regime_at_least is set, but the bands {', '.join(strange)} of [volatility] are called like no regime"
            f" (normal, {', '.join(Regime)}): while the price stands in one of them the rule never fires"
        )


def _halves(policy: ExitPolicy) -> Iterator[str]:
    for what, first, second in _PAIRS:
        if (getattr(policy, first) is None) != (getattr(policy, second) is None):
            yield f"{what} needs both {first} and {second}"


def _of_times(policy: ExitPolicy, rules: EntryRules) -> Iterator[str]:
    flatten, half = policy.flatten_before_close, policy.flatten_before_half_day_close
    if flatten is not None and _before_close(rules) <= flatten:
        yield f"{_until(rules)}, and flattened {flatten} before"
    if half is not None and not rules.refuse_half_days and rules.no_entry_before_close <= half:
        yield (
            f"on a half day an entry is allowed until {rules.no_entry_before_close} before the close,"
            f" and flattened {half} before"
        )
    if policy.max_hold is not None and policy.max_hold <= policy.min_hold:
        yield f"held at most {policy.max_hold}, but stop, target and trailing wait {policy.min_hold}"
    after = policy.progress_after
    if after is not None and policy.max_hold is not None and after >= policy.max_hold:
        yield f"progress is asked for after {after}, where max_hold has closed already after {policy.max_hold}"


def _until(rules: EntryRules) -> str:
    return f"an entry is allowed until {_before_close(rules)} before the close"


def _before_close(rules: EntryRules) -> timedelta:
    """Return how long before a session's close the last entry may be. A time of day says nothing about a half day."""
    if rules.entry_until is None or not rules.refuse_half_days:
        return rules.no_entry_before_close
    until = timedelta(hours=rules.entry_until.hour, minutes=rules.entry_until.minute)
    return max(rules.no_entry_before_close, timedelta(hours=CLOSES.hour, minutes=CLOSES.minute) - until)


def _of_losses(policy: ExitPolicy, rules: EntryRules) -> Iterator[str]:
    loss_pct = _entry_loss_pct(rules)
    for rule, level, waits in (
        ("stop", policy.stop_pct, policy.min_hold),
        ("catastrophe", policy.catastrophe_pct, timedelta(0)),
    ):
        if level is not None and level <= loss_pct and not waits:
            yield f"{_right_after_entry(rules)}, and {rule} closes at {level} %"
    if policy.stop_pct is not None and policy.catastrophe_pct is not None and policy.catastrophe_pct < policy.stop_pct:
        yield f"catastrophe at {policy.catastrophe_pct} % comes before the stop at {policy.stop_pct} %"
    if policy.stop_pct is None and policy.catastrophe_pct is None:
        yield "no rule ever closes at a loss"


def _right_after_entry(rules: EntryRules) -> str:
    bounded = _spread_is_bounded(rules)
    spread = f"a spread of {rules.max_spread_pct} %" if bounded else "any spread (spread_is_within_limit is off)"
    return f"{spread} is a loss of up to {_entry_loss_pct(rules):.1f} % at the bid right after the entry"


def _entry_loss_pct(rules: EntryRules) -> Decimal:
    """Return the loss at the bid of a purchase at the ask, in per cent, at the widest spread (of the mid) allowed."""
    if not _spread_is_bounded(rules):
        return Decimal(100)
    half = rules.max_spread_pct / 2
    return rules.max_spread_pct / (100 + half) * 100


def _spread_is_bounded(rules: EntryRules) -> bool:
    return "spread_is_within_limit" not in rules.off


def _of_gains(policy: ExitPolicy) -> Iterator[str]:
    """A gain that only counts beyond the target is never reached."""
    armed = [
        ("the trailing stop is armed", policy.trail_arm_pct),
        ("the trailing stop of the price is armed", policy.trail_price_arm_pct),
        ("break-even is armed", policy.break_even_arm_pct),
        ("progress is asked for", policy.progress_pct),
        *(("a tier is armed", tier.arm_pct) for tier in policy.trail_tiers),
        *(("a rung stands", rung.at_pct) for rung in policy.ladder),
    ]
    for what, level in armed:
        if level is not None and policy.target_pct is not None and level >= policy.target_pct:
            yield f"{what} at {level} %, where the target at {policy.target_pct} % has closed already"
    for what, levels in (
        ("tiers", [tier.arm_pct for tier in policy.trail_tiers]),
        ("rungs", [rung.at_pct for rung in policy.ladder]),
    ):
        if len(set(levels)) < len(levels):
            yield f"two {what} stand at the same gain: {', '.join(map(str, levels))} %"
    tiers = sorted(policy.trail_tiers, key=lambda tier: tier.arm_pct)
    for lower, higher in pairwise(tiers):
        if higher.lock_pct < lower.lock_pct:
            yield (
                f"the tier at {higher.arm_pct} % locks {higher.lock_pct} %, less than the {lower.lock_pct} %"
                f" of the tier at {lower.arm_pct} %: a stop may only tighten"
            )


def _of_windows(policy: ExitPolicy, rules: EntryRules) -> Iterator[str]:
    criteria = (policy.overnight_min_days, policy.overnight_min_gain_pct, policy.overnight_max_usd)
    asked = len(criteria) - criteria.count(None)
    if asked and not any(window.failed_criteria for window in policy.windows):
        yield "criteria for a night are set, but no window asks for them (failed_criteria)"
    for window in policy.windows:
        too_early = _before_close(rules) <= window.before_close
        if window.failed_criteria is not None and window.failed_criteria > asked:
            yield f"a window closes what fails {window.failed_criteria} criteria, and {asked} are set"
        everything = window.failed_criteria is None and window.gain_below_pct is None
        if everything and too_early:
            yield f"{_until(rules)}, and a window closes everything {window.before_close} before"
        if window.gain_below_pct is not None and too_early and -_entry_loss_pct(rules) < window.gain_below_pct:
            yield (
                f"{_until(rules)}, {_right_after_entry(rules)}, and a window closes what gains less than"
                f" {window.gain_below_pct} % from {window.before_close} before"
            )


def _of_last_day(policy: ExitPolicy, rules: EntryRules) -> Iterator[str]:
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


def _of_expiry(policy: ExitPolicy, rules: EntryRules) -> Iterator[str]:
    least = rules.min_days_to_expiry or 0
    bought = f"with min_days_to_expiry {least}" if least else "on its last day"
    for limit in policy.near_expiry:
        below = limit.gain_below_pct
        if least <= limit.days and (below is None or -_entry_loss_pct(rules) < below):
            what = "whatever it gains" if below is None else f"what gains less than {below} %"
            yield f"an option may be bought {bought}, and near_expiry closes {what} with {limit.days} days left"
