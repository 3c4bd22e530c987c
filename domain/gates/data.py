"""Is the recommendation new, and is the price one to trade on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from domain.checks import CLOCK_SKEW, Check, Code, seconds
from domain.events import Quote
from domain.gates.proposal import Proposal
from domain.gates.verdict import check, judged, not_looked_at, unknown
from domain.instrument import Kind
from domain.known import Unknown
from domain.money import CENT


def recommendation_is_fresh(p: Proposal) -> Check:
    """A recommendation older than the limit describes a market that is gone; one from the future is no fact.

    Set by ``max_recommendation_age_s``.
    """
    age, limit = p.now - p.rec.at, p.rules.max_recommendation_age
    return check(
        recommendation_is_fresh, _is_fresh(age, limit), seconds(age), f"<= {seconds(limit)}", code=_stale_or_future(age)
    )


def features_are_fresh(p: Proposal) -> Check:
    """What the signal was computed from: the market time of its oldest input, ``reason.features_at``.

    Set by ``max_feature_age_s``.
    """
    limit = p.rules.max_feature_age
    if limit is None:
        return not_looked_at(features_are_fresh)
    oldest = _features_at(p.rec.reason)
    if isinstance(oldest, Unknown):
        return unknown(features_are_fresh, oldest, f"<= {seconds(limit)}")
    age = p.now - oldest
    passed = _is_fresh(age, limit)
    return check(features_are_fresh, passed, seconds(age), f"<= {seconds(limit)}", code=_stale_or_future(age))


def _features_at(reason: Mapping[str, Any]) -> datetime | Unknown:
    """Return the time in *reason*; the time of the computation would tell nothing, so nothing stands in for it."""
    said = reason.get("features_at")
    if said is None:
        return Unknown("reason.features_at is not given", "recommendation")
    try:
        at = datetime.fromisoformat(said)
    except (TypeError, ValueError):
        return Unknown(f"reason.features_at is no time: {said!r:.40}", "recommendation")
    if at.utcoffset() is None:
        return Unknown(f"reason.features_at has no zone: {said!r:.40}", "recommendation")
    return at


def _is_fresh(age: timedelta, limit: timedelta) -> bool:
    return -CLOCK_SKEW <= age <= limit


def _stale_or_future(age: timedelta) -> Code:
    return Code.FUTURE if age < timedelta(0) else Code.STALE


def feed_is_alive(p: Proposal) -> Check:
    """The feed that carries the symbol has delivered something lately.

    Set by ``max_feed_age_s``.
    """
    allowed = f"<= {seconds(p.rules.max_feed_age)}"
    if isinstance(p.feed_at, Unknown):
        return unknown(feed_is_alive, p.feed_at, allowed)
    age = p.now - p.feed_at.value
    passed = _is_fresh(age, p.rules.max_feed_age)
    return judged(feed_is_alive, p, p.feed_at, passed, seconds(age), allowed, _stale_or_future(age))


def quote_is_fresh(p: Proposal) -> Check:
    """The symbol's own quote is not older than the limit.

    Set by ``max_quote_age_s``.
    """
    allowed = f"<= {seconds(p.rules.max_quote_age)}"
    if isinstance(p.quote, Unknown):
        return unknown(quote_is_fresh, p.quote, allowed)
    age = p.now - p.quote.value.at
    passed = _is_fresh(age, p.rules.max_quote_age)
    return judged(quote_is_fresh, p, p.quote, passed, seconds(age), allowed, _stale_or_future(age))


def quote_is_two_sided(p: Proposal) -> Check:
    """Somebody bids and somebody offers, above zero: what cannot be sold again is not bought."""
    if isinstance(p.quote, Unknown):
        return unknown(quote_is_two_sided, p.quote, "bid and ask")
    quote = p.quote.value
    bids, asks = quote.bid is not None and quote.bid > 0, quote.ask is not None and quote.ask > 0
    code = Code.NO_ASK if bids else Code.NO_BID
    return judged(quote_is_two_sided, p, p.quote, bids and asks, _sides(quote), "bid and ask", code)


def quote_is_uncrossed(p: Proposal) -> Check:
    """The bid does not exceed the ask."""
    if isinstance(p.quote, Unknown):
        return unknown(quote_is_uncrossed, p.quote, "bid <= ask")
    quote = p.quote.value
    passed = quote.bid is not None and quote.ask is not None and quote.bid <= quote.ask
    return judged(quote_is_uncrossed, p, p.quote, passed, _sides(quote), "bid <= ask")


def spread_is_within_limit(p: Proposal) -> Check:
    """Ask minus bid, in per cent of the mid, stays within the limit.

    Set by ``max_spread_pct``.
    """
    allowed = f"<= {p.rules.max_spread_pct} %"
    if isinstance(p.quote, Unknown):
        return unknown(spread_is_within_limit, p.quote, allowed)
    quote = p.quote.value
    if quote.bid is None or quote.ask is None:
        return unknown(spread_is_within_limit, Unknown(_sides(quote), p.quote.source), allowed)
    spread_pct = (quote.ask - quote.bid) / ((quote.ask + quote.bid) / 2) * 100
    passed = spread_pct <= p.rules.max_spread_pct
    return judged(spread_is_within_limit, p, p.quote, passed, f"{spread_pct:.2f} %", allowed)


def prices_are_on_the_tick_grid(p: Proposal) -> Check:
    """Bid and ask are prices that exchanges quote: whole cents; hundredths of a cent for shares under a dollar.

    Set by ``require_tick_grid``.
    """
    if not p.rules.require_tick_grid:
        return not_looked_at(prices_are_on_the_tick_grid)
    if isinstance(p.quote, Unknown):
        return unknown(prices_are_on_the_tick_grid, p.quote, "prices on the grid")
    quote = p.quote.value
    if quote.bid is None or quote.ask is None:
        return unknown(prices_are_on_the_tick_grid, Unknown(_sides(quote), p.quote.source), "prices on the grid")
    tick = CENT / 100 if p.rec.instrument is Kind.STOCK and quote.ask < 1 else CENT
    passed = quote.bid % tick == 0 and quote.ask % tick == 0
    return judged(prices_are_on_the_tick_grid, p, p.quote, passed, _sides(quote), f"multiples of {tick}")


def _sides(quote: Quote) -> str:
    return f"bid {quote.bid or 'none'}, ask {quote.ask or 'none'}"
