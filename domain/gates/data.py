"""Is the recommendation new, and is the price one to trade on."""

from __future__ import annotations

from domain.checks import CLOCK_SKEW, Check, seconds
from domain.events import Quote
from domain.gates.proposal import Proposal
from domain.gates.verdict import check, judged, unknown
from domain.known import Unknown


def recommendation_is_fresh(p: Proposal) -> Check:
    """A recommendation older than the limit describes a market that is gone; one from the future is no fact."""
    age = p.now - p.rec.at
    return check(
        recommendation_is_fresh,
        -CLOCK_SKEW <= age <= p.rules.max_recommendation_age,
        seconds(age),
        f"<= {seconds(p.rules.max_recommendation_age)}",
    )


def feed_is_alive(p: Proposal) -> Check:
    """The feed that carries the symbol has delivered something lately."""
    allowed = f"<= {seconds(p.rules.max_feed_age)}"
    if isinstance(p.feed_at, Unknown):
        return unknown(feed_is_alive, p.feed_at, allowed)
    age = p.now - p.feed_at.value
    passed = -CLOCK_SKEW <= age <= p.rules.max_feed_age
    return judged(feed_is_alive, p, p.feed_at, passed, seconds(age), allowed)


def quote_is_fresh(p: Proposal) -> Check:
    """The symbol's own quote is not older than the limit."""
    allowed = f"<= {seconds(p.rules.max_quote_age)}"
    if isinstance(p.quote, Unknown):
        return unknown(quote_is_fresh, p.quote, allowed)
    age = p.now - p.quote.value.at
    passed = -CLOCK_SKEW <= age <= p.rules.max_quote_age
    return judged(quote_is_fresh, p, p.quote, passed, seconds(age), allowed)


def quote_is_two_sided(p: Proposal) -> Check:
    """Somebody bids and somebody offers, above zero: what cannot be sold again is not bought."""
    if isinstance(p.quote, Unknown):
        return unknown(quote_is_two_sided, p.quote, "bid and ask")
    quote = p.quote.value
    passed = quote.bid is not None and quote.ask is not None and quote.bid > 0 and quote.ask > 0
    return judged(quote_is_two_sided, p, p.quote, passed, _sides(quote), "bid and ask")


def quote_is_uncrossed(p: Proposal) -> Check:
    """The bid does not exceed the ask."""
    if isinstance(p.quote, Unknown):
        return unknown(quote_is_uncrossed, p.quote, "bid <= ask")
    quote = p.quote.value
    passed = quote.bid is not None and quote.ask is not None and quote.bid <= quote.ask
    return judged(quote_is_uncrossed, p, p.quote, passed, _sides(quote), "bid <= ask")


def spread_is_within_limit(p: Proposal) -> Check:
    """Ask minus bid, in per cent of the mid, stays within the limit."""
    allowed = f"<= {p.rules.max_spread_pct} %"
    if isinstance(p.quote, Unknown):
        return unknown(spread_is_within_limit, p.quote, allowed)
    quote = p.quote.value
    if quote.bid is None or quote.ask is None:
        return unknown(spread_is_within_limit, Unknown(_sides(quote), p.quote.source), allowed)
    spread_pct = (quote.ask - quote.bid) / ((quote.ask + quote.bid) / 2) * 100
    passed = spread_pct <= p.rules.max_spread_pct
    return judged(spread_is_within_limit, p, p.quote, passed, f"{spread_pct:.2f} %", allowed)


def _sides(quote: Quote) -> str:
    return f"bid {quote.bid or 'none'}, ask {quote.ask or 'none'}"
