"""Does it fit into the account: positions, exposure and buying power."""

from __future__ import annotations

from domain.checks import Check
from domain.gates.proposal import Proposal
from domain.gates.verdict import check, judged, unknown
from domain.known import Unknown
from domain.money import usd


def position_count_is_within_limit(p: Proposal) -> Check:
    """Held and reserved positions, with this one, stay at or under the account's ceiling."""
    after, ceiling = p.book.positions + 1, p.book.limits.max_positions
    return check(position_count_is_within_limit, after <= ceiling, after, f"<= {ceiling}", "book")


def exposure_is_within_limit(p: Proposal) -> Check:
    """Held and reserved dollars, with this order, stay at or under the account's ceiling."""
    allowed = f"<= {p.book.limits.max_exposure_usd}"
    cost = p.cost_usd
    if isinstance(cost, Unknown):
        return unknown(exposure_is_within_limit, cost, allowed)
    after_usd = usd(p.book.exposure_usd + cost.value)
    return check(exposure_is_within_limit, after_usd <= p.book.limits.max_exposure_usd, after_usd, allowed, "book")


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
