"""A SELL closes what is held and has fewer questions: session, freshness, held and not closing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from domain.checks import CLOCK_SKEW, Check, clock_text, named, seconds
from domain.events import RecommendationIssued
from domain.gates import EntryRules
from domain.known import Known, Unknown
from domain.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class SellProposal:
    """What a SELL looks at: it is approved in every trading state and ignores the minimum hold."""

    rec: RecommendationIssued
    now: datetime
    rules: EntryRules
    session: Known[Session] | Unknown
    held_qty: int
    closing: bool


def market_is_open(p: SellProposal) -> Check:
    """The session of the day is open: a close outside of it would not fill."""
    allowed = "an open session"
    if isinstance(p.session, Unknown):
        observed, passed, source = f"unknown: {p.session.reason}", False, p.session.source
    else:
        observed, passed, source = clock_text(p.now), p.session.value.is_open(p.now), p.session.source
        allowed = f"{clock_text(p.session.value.open)} to {clock_text(p.session.value.close)}"
    return named("market_is_open", passed, observed, allowed, source)


def recommendation_is_fresh(p: SellProposal) -> Check:
    """A SELL older than the limit describes a market that is gone; one from the future is no fact."""
    age, limit = p.now - p.rec.at, p.rules.max_recommendation_age
    passed = -CLOCK_SKEW <= age <= limit
    return named("recommendation_is_fresh", passed, seconds(age), f"<= {seconds(limit)}", "recommendation")


def quantity_is_in_units(p: SellProposal) -> Check:
    """A SELL counts units: dollars would need a price that may move before it is closed."""
    observed = "dollars" if p.rec.qty is None else str(p.rec.qty)
    return named("quantity_is_in_units", p.rec.qty is not None, observed, "a qty", "recommendation")


def position_is_held(p: SellProposal) -> Check:
    """A SELL of what is not held would be a short."""
    return named("position_is_held", p.held_qty > 0, str(p.held_qty), "> 0", "book")


def position_is_not_closing(p: SellProposal) -> Check:
    """No other close of the position is live: two could sell twice."""
    return named("position_is_not_closing", not p.closing, "closing" if p.closing else "open", "open", "book")


SELL_GATES: Final[tuple[Callable[[SellProposal], Check], ...]] = (
    market_is_open,
    recommendation_is_fresh,
    quantity_is_in_units,
    position_is_held,
    position_is_not_closing,
)


def review_sell(p: SellProposal) -> tuple[Check, ...]:
    """Return the verdict of every check; the SELL is approved when all passed."""
    return tuple(check(p) for check in SELL_GATES)
