"""Does it fit into the account: positions, exposure by what it hangs on, and buying power.

Dollars are those of the book: average entry price of what is held, limit price of what is pending.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from domain.account import Commitment
from domain.checks import Check, Code
from domain.gates.proposal import Gate, Proposal
from domain.gates.verdict import check, judged, not_looked_at, unknown
from domain.known import Unknown
from domain.money import usd


def position_count_is_within_limit(p: Proposal) -> Check:
    """Held and reserved positions, with this one, stay at or under the account's ceiling.

    Set by ``max_positions``.
    """
    after, ceiling = p.book.positions + 1, p.book.limits.max_positions
    return check(position_count_is_within_limit, after <= ceiling, after, f"<= {ceiling}", "book")


def positions_in_underlying_are_within_limit(p: Proposal) -> Check:
    """Held and reserved positions in the same underlying, with this one, stay at or under the limit.

    Set by ``max_positions_per_underlying``.
    """
    ceiling = p.rules.max_positions_per_underlying
    if ceiling is None:
        return not_looked_at(positions_in_underlying_are_within_limit)
    after = len(_in_underlying(p)) + 1
    return check(positions_in_underlying_are_within_limit, after <= ceiling, after, f"<= {ceiling}", "book")


def position_cost_is_within_limit(p: Proposal) -> Check:
    """What this one order commits stays at or under the limit for a position.

    Set by ``max_position_usd``.
    """
    ceiling_usd, cost = p.rules.max_position_usd, p.cost_usd
    if ceiling_usd is None:
        return not_looked_at(position_cost_is_within_limit)
    if isinstance(cost, Unknown):
        return unknown(position_cost_is_within_limit, cost, f"<= {ceiling_usd}")
    passed = cost.value <= ceiling_usd
    return judged(position_cost_is_within_limit, p, cost, passed, cost.value, f"<= {ceiling_usd}")


def underlying_exposure_is_within_limit(p: Proposal) -> Check:
    """Held and reserved dollars in the same underlying, with this order, stay at or under the limit.

    Set by ``max_underlying_exposure_usd``.
    """
    ceiling_usd = p.rules.max_underlying_exposure_usd
    if ceiling_usd is None:
        return not_looked_at(underlying_exposure_is_within_limit)
    return _with_cost(underlying_exposure_is_within_limit, p, _in_underlying(p), ceiling_usd)


def sector_exposure_is_within_limit(p: Proposal) -> Check:
    """Held and reserved dollars in the same sector, with this order, stay at or under the limit; each has a sector.

    Set by ``max_sector_exposure_usd`` and ``sectors``.
    """
    ceiling_usd = p.rules.max_sector_exposure_usd
    if ceiling_usd is None:
        return not_looked_at(sector_exposure_is_within_limit)
    strangers = {p.rec.underlying, *(c.underlying for c in p.book.commitments)} - set(p.rules.sectors)
    if strangers:
        said = f"no sector for {', '.join(sorted(strangers))}"
        return check(sector_exposure_is_within_limit, False, said, f"<= {ceiling_usd}", "config", Code.UNCLASSIFIED)
    sector = p.rules.sectors[p.rec.underlying]
    same = [c for c in p.book.commitments if p.rules.sectors[c.underlying] == sector]
    return _with_cost(sector_exposure_is_within_limit, p, same, ceiling_usd)


def _in_underlying(p: Proposal) -> list[Commitment]:
    return [c for c in p.book.commitments if c.underlying == p.rec.underlying]


def _with_cost(gate: Gate, p: Proposal, bound: Sequence[Commitment], ceiling_usd: Decimal) -> Check:
    """Return whether what is *bound*, with this order, stays at or under *ceiling_usd*."""
    cost = p.cost_usd
    if isinstance(cost, Unknown):
        return unknown(gate, cost, f"<= {ceiling_usd}")
    after_usd = usd(sum((c.usd for c in bound), start=cost.value))
    return check(gate, after_usd <= ceiling_usd, after_usd, f"<= {ceiling_usd}", "book")


def exposure_is_within_limit(p: Proposal) -> Check:
    """Held and reserved dollars, with this order, stay at or under the account's ceiling.

    Set by ``max_exposure_usd``.
    """
    return _with_cost(exposure_is_within_limit, p, p.book.commitments, p.book.limits.max_exposure_usd)


def brokerage_lets_trade(p: Proposal) -> Check:
    """The brokerage has not blocked the account from trading."""
    if isinstance(p.trading_blocked, Unknown):
        return unknown(brokerage_lets_trade, p.trading_blocked, "not blocked")
    blocked = p.trading_blocked.value
    said = "blocked" if blocked else "not blocked"
    return judged(brokerage_lets_trade, p, p.trading_blocked, blocked is False, said, "not blocked")


def buying_power_is_enough(p: Proposal) -> Check:
    """The brokerage's buying power, less our openings that it had not seen yet, pays for this order."""
    cost = p.cost_usd
    if isinstance(p.buying_power_usd, Unknown):
        return unknown(buying_power_is_enough, p.buying_power_usd, "a known buying power")
    allowed = f"<= {usd(p.buying_power_usd.value)}"
    if isinstance(cost, Unknown):
        return unknown(buying_power_is_enough, cost, allowed)
    passed = cost.value <= p.buying_power_usd.value
    return judged(buying_power_is_enough, p, p.buying_power_usd, passed, cost.value, allowed)
