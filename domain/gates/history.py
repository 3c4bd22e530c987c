"""Has the account traded too much, too soon again, or lost too often in a row: from its rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from domain.checks import Check, Code, seconds
from domain.gates.proposal import Gate, Proposal
from domain.gates.verdict import judged, not_looked_at, unknown
from domain.history import History
from domain.known import Unknown


def trades_of_the_day_are_within_limit(p: Proposal) -> Check:
    """Openings of the New York day, with this one, stay at or under the account's limit; what never filled is none.

    Set by ``max_trades_per_day``.
    """
    return _counted(trades_of_the_day_are_within_limit, p, p.rules.max_trades_per_day, lambda past: past.trades)


def trades_in_symbol_are_within_limit(p: Proposal) -> Check:
    """Openings of the New York day in the same symbol, with this one, stay at or under the limit.

    Set by ``max_trades_per_symbol``.
    """
    return _counted(trades_in_symbol_are_within_limit, p, p.rules.max_trades_per_symbol, lambda past: past.in_symbol)


def trades_in_underlying_are_within_limit(p: Proposal) -> Check:
    """Openings of the New York day in the same underlying, with this one, stay at or under the limit.

    Set by ``max_trades_per_underlying``.
    """
    ceiling = p.rules.max_trades_per_underlying
    return _counted(trades_in_underlying_are_within_limit, p, ceiling, lambda past: past.in_underlying)


def symbol_has_cooled_down(p: Proposal) -> Check:
    """Since the last opening or close in the same symbol, on whatever day, at least so much time has passed.

    Set by ``symbol_cooldown_min``.
    """
    return _rested(symbol_has_cooled_down, p, p.rules.symbol_cooldown, lambda past: past.symbol_at)


def underlying_has_cooled_down(p: Proposal) -> Check:
    """Since the last opening or close in the same underlying, on whatever day, at least so much time has passed.

    Set by ``underlying_cooldown_min``.
    """
    return _rested(underlying_has_cooled_down, p, p.rules.underlying_cooldown, lambda past: past.underlying_at)


def losses_in_a_row_are_within_limit(p: Proposal) -> Check:
    """The New York day's latest closes in a row that lost are fewer than the limit; the next day begins anew.

    Set by ``max_losses_in_a_row``.
    """
    ceiling, seen = p.rules.max_losses_in_a_row, p.history
    if ceiling is None:
        return not_looked_at(losses_in_a_row_are_within_limit)
    if isinstance(seen, Unknown):
        return unknown(losses_in_a_row_are_within_limit, seen, f"< {ceiling}")
    losses = seen.value.losses_in_a_row
    if isinstance(losses, Unknown):
        return unknown(losses_in_a_row_are_within_limit, losses, f"< {ceiling}")
    return judged(losses_in_a_row_are_within_limit, p, seen, losses < ceiling, losses, f"< {ceiling}")


def _counted(gate: Gate, p: Proposal, ceiling: int | None, count: Callable[[History], int]) -> Check:
    """Return whether the trades that *count* finds, with this one, stay at or under *ceiling*."""
    if ceiling is None:
        return not_looked_at(gate)
    if isinstance(p.history, Unknown):
        return unknown(gate, p.history, f"<= {ceiling}")
    after = count(p.history.value) + 1
    return judged(gate, p, p.history, after <= ceiling, after, f"<= {ceiling}")


def _rested(gate: Gate, p: Proposal, rest: timedelta | None, latest: Callable[[History], datetime | None]) -> Check:
    """Return whether *rest* has passed since the move that *latest* finds; None is a move that never was."""
    if rest is None:
        return not_looked_at(gate)
    allowed = f">= {seconds(rest)}"
    if isinstance(p.history, Unknown):
        return unknown(gate, p.history, allowed)
    last = latest(p.history.value)
    if last is None:
        return judged(gate, p, p.history, True, "never traded", allowed)
    return judged(gate, p, p.history, p.now - last >= rest, seconds(p.now - last), allowed, Code.EARLY)
