"""Has the account traded too much, too soon again, or lost too often in a row: from its rows."""

from __future__ import annotations

from datetime import datetime, timedelta

from domain.checks import Check, Code, seconds
from domain.gates.proposal import Gate, Proposal
from domain.gates.verdict import judged, not_looked_at, unknown
from domain.known import Known, Unknown


def trades_of_the_day_are_within_limit(p: Proposal) -> Check:
    """Openings of the New York day, with this one, stay at or under the account's limit; what never filled is none."""
    ceiling, seen = p.rules.max_trades_per_day, p.history
    if ceiling is None:
        return not_looked_at(trades_of_the_day_are_within_limit)
    if isinstance(seen, Unknown):
        return unknown(trades_of_the_day_are_within_limit, seen, f"<= {ceiling}")
    after = seen.value.trades + 1
    return judged(trades_of_the_day_are_within_limit, p, seen, after <= ceiling, after, f"<= {ceiling}")


def trades_in_symbol_are_within_limit(p: Proposal) -> Check:
    """Openings of the New York day in the same symbol, with this one, stay at or under the limit."""
    ceiling, seen = p.rules.max_trades_per_symbol, p.history
    if ceiling is None:
        return not_looked_at(trades_in_symbol_are_within_limit)
    if isinstance(seen, Unknown):
        return unknown(trades_in_symbol_are_within_limit, seen, f"<= {ceiling}")
    after = seen.value.in_symbol + 1
    return judged(trades_in_symbol_are_within_limit, p, seen, after <= ceiling, after, f"<= {ceiling}")


def trades_in_underlying_are_within_limit(p: Proposal) -> Check:
    """Openings of the New York day in the same underlying, with this one, stay at or under the limit."""
    ceiling, seen = p.rules.max_trades_per_underlying, p.history
    if ceiling is None:
        return not_looked_at(trades_in_underlying_are_within_limit)
    if isinstance(seen, Unknown):
        return unknown(trades_in_underlying_are_within_limit, seen, f"<= {ceiling}")
    after = seen.value.in_underlying + 1
    return judged(trades_in_underlying_are_within_limit, p, seen, after <= ceiling, after, f"<= {ceiling}")


def symbol_has_cooled_down(p: Proposal) -> Check:
    """Since the last opening or close in the same symbol, on whatever day, at least so much time has passed."""
    rest, seen = p.rules.symbol_cooldown, p.history
    if rest is None:
        return not_looked_at(symbol_has_cooled_down)
    if isinstance(seen, Unknown):
        return unknown(symbol_has_cooled_down, seen, f">= {seconds(rest)}")
    return _rested(symbol_has_cooled_down, p, seen, seen.value.symbol_at, rest)


def underlying_has_cooled_down(p: Proposal) -> Check:
    """Since the last opening or close in the same underlying, on whatever day, at least so much time has passed."""
    rest, seen = p.rules.underlying_cooldown, p.history
    if rest is None:
        return not_looked_at(underlying_has_cooled_down)
    if isinstance(seen, Unknown):
        return unknown(underlying_has_cooled_down, seen, f">= {seconds(rest)}")
    return _rested(underlying_has_cooled_down, p, seen, seen.value.underlying_at, rest)


def losses_in_a_row_are_within_limit(p: Proposal) -> Check:
    """The New York day's latest closes in a row that lost are fewer than the limit; the next day begins anew."""
    ceiling, seen = p.rules.max_losses_in_a_row, p.history
    if ceiling is None:
        return not_looked_at(losses_in_a_row_are_within_limit)
    if isinstance(seen, Unknown):
        return unknown(losses_in_a_row_are_within_limit, seen, f"< {ceiling}")
    losses = seen.value.losses_in_a_row
    if isinstance(losses, Unknown):
        return unknown(losses_in_a_row_are_within_limit, losses, f"< {ceiling}")
    return judged(losses_in_a_row_are_within_limit, p, seen, losses < ceiling, losses, f"< {ceiling}")


def _rested(gate: Gate, p: Proposal, seen: Known[object], last: datetime | None, rest: timedelta) -> Check:
    if last is None:
        return judged(gate, p, seen, True, "never traded", f">= {seconds(rest)}")
    return judged(gate, p, seen, p.now - last >= rest, seconds(p.now - last), f">= {seconds(rest)}", Code.EARLY)
