"""The exit rules: small pure functions, each may ask to close a position or a part of it.

The first rule in RULES that fires wins, so RULES is also the order of priority: protection first, then time, then what
others say; a part is closed only when nothing asks for the whole. Prices are those of the side that a close would trade
at (bid for a long, ask for a short); a missing price is None and fires no price rule. A short is the mirror image of a
long. ``_pct`` is per cent: 40 means 40 %. Read policy, watched, levels, then the rules: ``at_a_price`` first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from domain.exits.at_a_price import (
    break_even,
    catastrophe,
    ladder,
    ladder_due,
    stop,
    target,
    trailing,
    trailing_price,
    trailing_tiers,
)
from domain.exits.at_a_time import expiry, max_hold, min_progress, near_expiry, theta_decay
from domain.exits.at_the_close import end_of_day, end_of_day_window, half_day
from domain.exits.by_others import earnings, regime, signal_reversal
from domain.exits.levels import LEVELS, trailing_level
from domain.exits.policy import (
    REASONS,
    CloseStep,
    ExitPolicy,
    ExitReason,
    NearExpiry,
    Regime,
    Rung,
    Tier,
    Window,
    changes,
    reason_of,
)
from domain.exits.watched import Exit, Moment, Outlook, Rule, Slice, Watched

RULES: Final[tuple[Rule, ...]] = (
    catastrophe,
    stop,
    target,
    trailing,
    trailing_price,
    trailing_tiers,
    break_even,
    max_hold,
    min_progress,
    theta_decay,
    near_expiry,
    end_of_day,
    half_day,
    end_of_day_window,
    expiry,
    signal_reversal,
    earnings,
    regime,
    ladder,
)


def first_exit(pos: Watched, at: Moment) -> Exit | None:
    """Return the first exit that fires, or None to hold."""
    return next((found for rule in RULES if (found := rule(pos, at))), None)


def agreed_exit(pos: Watched, moments: Sequence[Moment]) -> tuple[Exit, Moment] | None:
    """Return the first exit that fires in each of *moments*: at every price that one of several sources claims.

    Of parts the smallest is closed; the moment is the one that asks for it.
    """
    for rule in RULES:
        found = [(exit_, at) for at in moments if (exit_ := rule(pos, at))]
        if found and len(found) == len(moments):
            return min(found, key=lambda pair: pair[0].part.qty if pair[0].part else 0)
    return None


__all__ = [
    "LEVELS",
    "REASONS",
    "RULES",
    "CloseStep",
    "Exit",
    "ExitPolicy",
    "ExitReason",
    "Moment",
    "NearExpiry",
    "Outlook",
    "Regime",
    "Rule",
    "Rung",
    "Slice",
    "Tier",
    "Watched",
    "Window",
    "agreed_exit",
    "changes",
    "first_exit",
    "ladder",
    "ladder_due",
    "reason_of",
    "trailing_level",
]
