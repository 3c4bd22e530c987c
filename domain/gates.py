"""The gates: pure functions, each a sentence that must hold before an order may open a position.

Every gate takes the same Proposal and returns a Check, passed or not, with what it observed and what it allows.
``review`` runs all of them, so a refusal reports every reason at once. To add a gate, write it and add it
to GATES; the order of GATES is the order of the report. What a gate cannot see, it cannot pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from domain.account import Book, TradingState
from domain.checks import CLOCK_SKEW, Check, clock_text, seconds
from domain.events import Action, Quote, RecommendationIssued
from domain.instrument import Contract, Instrument, Kind, Stock
from domain.known import Known, Unknown
from domain.money import usd
from domain.session import Session
from domain.sizing import Sizing


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRules:
    """What the configuration says about entries; per cent where a name ends in ``_pct``."""

    permitted: frozenset[tuple[Action, Kind]]
    min_confidence: Mapping[str, Decimal]
    max_recommendation_age: timedelta
    max_feed_age: timedelta
    max_quote_age: timedelta
    max_spread_pct: Decimal
    no_entry_before_close: timedelta
    no_entry_before_last_close: timedelta
    refuse_opposite_direction: bool
    max_silence: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Everything a decision looks at, read before it is made. An input that is missing is Unknown."""

    rec: RecommendationIssued
    now: datetime
    rules: EntryRules
    book: Book
    pulse: Known[Mapping[str, timedelta]] | Unknown
    instrument: Instrument | Unknown
    contract: Known[Contract] | Unknown
    session: Known[Session] | Unknown
    last_session: Known[Session | None] | Unknown
    quote: Known[Quote] | Unknown
    feed_at: Known[datetime] | Unknown
    buying_power_usd: Known[Decimal] | Unknown
    sizing: Sizing | Unknown

    @property
    def ask(self) -> Known[Decimal] | Unknown:
        return ask_of(self.quote)

    @property
    def cost_usd(self) -> Known[Decimal] | Unknown:
        """Quantity x ask x multiplier: what the order would commit."""
        if isinstance(self.ask, Unknown):
            return self.ask
        if isinstance(self.sizing, Unknown):
            return self.sizing
        if isinstance(self.instrument, Unknown):
            return self.instrument
        cost = self.sizing.qty * self.ask.value * self.instrument.multiplier
        return Known(usd(cost), self.ask.at, self.ask.source)


Gate = Callable[[Proposal], Check]


def ask_of(quote: Known[Quote] | Unknown) -> Known[Decimal] | Unknown:
    """Return what a unit costs; an offer that is no positive number is none."""
    if isinstance(quote, Unknown):
        return quote
    ask = quote.value.ask
    if ask is None or not ask.is_finite() or ask <= 0:
        return Unknown("nobody offers it", quote.source)
    return Known(ask, quote.at, quote.source)


def _check(gate: Gate, passed: bool, observed: object, allowed: object, source: str = "recommendation") -> Check:
    return Check(
        gate=gate.__name__, passed=passed, observed=str(observed), allowed=str(allowed), source=source, age_s=None
    )


def _judged(
    gate: Gate, p: Proposal, seen: Known[object] | Unknown, passed: bool, observed: object, allowed: object
) -> Check:
    """Return a check that carries the source and the age of what was seen."""
    if isinstance(seen, Unknown):
        return _unknown(gate, seen, allowed)
    age_s = Decimal((p.now - seen.at) // timedelta(milliseconds=1)) / 1000
    return Check(
        gate=gate.__name__,
        passed=passed,
        observed=str(observed),
        allowed=str(allowed),
        source=seen.source,
        age_s=age_s,
    )


def _unknown(gate: Gate, missing: Unknown, allowed: object) -> Check:
    return _check(gate, False, f"unknown: {missing.reason}", allowed, missing.source)


# ---------------------------------------------------------------- may this be traded at all


def account_is_active(p: Proposal) -> Check:
    """Nothing opens while the account is reducing or halted."""
    state = p.book.state
    observed = state if state is TradingState.ACTIVE else f"{state} ({p.book.state_reason})"
    return _check(account_is_active, state is TradingState.ACTIVE, observed, TradingState.ACTIVE, "account")


def stack_is_alive(p: Proposal) -> Check:
    """Whoever tracks, watches and closes a position has shown life lately: what nobody would leave is not entered."""
    allowed = f"each within {seconds(p.rules.max_silence)}"
    if isinstance(p.pulse, Unknown):
        return _unknown(stack_is_alive, p.pulse, allowed)
    silent = {actor: span for actor, span in p.pulse.value.items() if span > p.rules.max_silence}
    answering = ", ".join(sorted(p.pulse.value)) + " answer"
    observed = ", ".join(f"{actor} silent for {seconds(span)}" for actor, span in sorted(silent.items())) or answering
    return _judged(stack_is_alive, p, p.pulse, not silent, observed, allowed)


def action_is_permitted(p: Proposal) -> Check:
    """The pair of action and instrument stands in the permission list; an empty list permits nothing."""
    allowed = ", ".join(sorted(f"{action} {kind}" for action, kind in p.rules.permitted))
    passed = (p.rec.action, p.rec.instrument) in p.rules.permitted
    return _check(action_is_permitted, passed, f"{p.rec.action} {p.rec.instrument}", allowed or "nothing")


def strategy_is_known(p: Proposal) -> Check:
    """The strategy is configured: it has a confidence floor and an exit policy."""
    allowed = ", ".join(sorted(p.rules.min_confidence)) or "nothing"
    return _check(strategy_is_known, p.rec.strategy in p.rules.min_confidence, p.rec.strategy, allowed)


def confidence_is_enough(p: Proposal) -> Check:
    """The engine's confidence reaches the floor of its strategy."""
    floor = p.rules.min_confidence.get(p.rec.strategy)
    if floor is None:
        return _unknown(confidence_is_enough, Unknown(f"no floor for strategy {p.rec.strategy}", "config"), "a floor")
    return _check(confidence_is_enough, p.rec.confidence >= floor, p.rec.confidence, f">= {floor}")


def recommendation_is_fresh(p: Proposal) -> Check:
    """A recommendation older than the limit describes a market that is gone; one from the future is no fact."""
    age = p.now - p.rec.at
    return _check(
        recommendation_is_fresh,
        -CLOCK_SKEW <= age <= p.rules.max_recommendation_age,
        seconds(age),
        f"<= {seconds(p.rules.max_recommendation_age)}",
    )


def market_is_open_for_entries(p: Proposal) -> Check:
    """From the open to some minutes before the session's real close; earlier on an option's last trading day."""
    if isinstance(p.session, Unknown):
        return _unknown(market_is_open_for_entries, p.session, "an open session")
    if isinstance(p.last_session, Unknown):
        return _unknown(market_is_open_for_entries, p.last_session, "a known last trading day")
    session, last = p.session.value, p.last_session.value
    margin = p.rules.no_entry_before_last_close if last == session else p.rules.no_entry_before_close
    passed = session.is_open(p.now) and not session.closes_within(margin, p.now)
    allowed = f"{clock_text(session.open)} to {clock_text(session.close - margin)}"
    return _judged(market_is_open_for_entries, p, p.session, passed, clock_text(p.now), allowed)


# ---------------------------------------------------------------- is it what it says it is


def symbol_is_named(p: Proposal) -> Check:
    """The recommendation names its contract: there is no contract selection yet."""
    return _check(symbol_is_named, p.rec.symbol is not None, p.rec.symbol or "none", "a symbol")


def type_matches_symbol(p: Proposal) -> Check:
    """Instrument and underlying agree with what the symbol itself says: the ticker never stands in for a contract."""
    said = f"{p.rec.instrument} on {p.rec.underlying}"
    if isinstance(p.instrument, Unknown):
        return _unknown(type_matches_symbol, p.instrument, said)
    found = f"{p.instrument.kind} on {p.instrument.underlying}"
    return _check(type_matches_symbol, found == said, found, said)


def contract_is_tradable(p: Proposal) -> Check:
    """The brokerage lists the symbol, lets it trade, and counts its units as we do (an adjusted contract differs)."""
    if isinstance(p.instrument, Unknown):
        return _unknown(contract_is_tradable, p.instrument, "tradable")
    allowed = f"{p.rec.symbol} tradable, x {p.instrument.multiplier}"
    if isinstance(p.contract, Unknown):
        return _unknown(contract_is_tradable, p.contract, allowed)
    contract = p.contract.value
    observed = f"{contract.symbol} {'tradable' if contract.tradable else 'not tradable'}, x {contract.multiplier}"
    return _judged(contract_is_tradable, p, p.contract, observed == allowed, observed, allowed)


def contract_is_unexpired(p: Proposal) -> Check:
    """An option's expiration is today or later; a stock has none."""
    if isinstance(p.instrument, Unknown):
        return _unknown(contract_is_unexpired, p.instrument, "an expiration to come")
    if isinstance(p.instrument, Stock):
        return _check(contract_is_unexpired, True, "no expiration", "an expiration to come")
    if isinstance(p.session, Unknown):
        return _unknown(contract_is_unexpired, p.session, "an expiration to come")
    today = p.session.value.day
    return _check(
        contract_is_unexpired, p.instrument.expiration >= today, p.instrument.expiration, f">= {today}", "symbol"
    )


# ---------------------------------------------------------------- is the price one to trade on


def feed_is_alive(p: Proposal) -> Check:
    """The feed that carries the symbol has delivered something lately."""
    allowed = f"<= {seconds(p.rules.max_feed_age)}"
    if isinstance(p.feed_at, Unknown):
        return _unknown(feed_is_alive, p.feed_at, allowed)
    age = p.now - p.feed_at.value
    passed = -CLOCK_SKEW <= age <= p.rules.max_feed_age
    return _judged(feed_is_alive, p, p.feed_at, passed, seconds(age), allowed)


def quote_is_fresh(p: Proposal) -> Check:
    """The symbol's own quote is not older than the limit."""
    allowed = f"<= {seconds(p.rules.max_quote_age)}"
    if isinstance(p.quote, Unknown):
        return _unknown(quote_is_fresh, p.quote, allowed)
    age = p.now - p.quote.value.at
    passed = -CLOCK_SKEW <= age <= p.rules.max_quote_age
    return _judged(quote_is_fresh, p, p.quote, passed, seconds(age), allowed)


def quote_is_two_sided(p: Proposal) -> Check:
    """Somebody bids and somebody offers, above zero: what cannot be sold again is not bought."""
    if isinstance(p.quote, Unknown):
        return _unknown(quote_is_two_sided, p.quote, "bid and ask")
    quote = p.quote.value
    passed = quote.bid is not None and quote.ask is not None and quote.bid > 0 and quote.ask > 0
    return _judged(quote_is_two_sided, p, p.quote, passed, _sides(quote), "bid and ask")


def quote_is_uncrossed(p: Proposal) -> Check:
    """The bid does not exceed the ask."""
    if isinstance(p.quote, Unknown):
        return _unknown(quote_is_uncrossed, p.quote, "bid <= ask")
    quote = p.quote.value
    passed = quote.bid is not None and quote.ask is not None and quote.bid <= quote.ask
    return _judged(quote_is_uncrossed, p, p.quote, passed, _sides(quote), "bid <= ask")


def spread_is_within_limit(p: Proposal) -> Check:
    """Ask minus bid, in per cent of the mid, stays within the limit."""
    allowed = f"<= {p.rules.max_spread_pct} %"
    if isinstance(p.quote, Unknown):
        return _unknown(spread_is_within_limit, p.quote, allowed)
    quote = p.quote.value
    if quote.bid is None or quote.ask is None:
        return _unknown(spread_is_within_limit, Unknown(_sides(quote), p.quote.source), allowed)
    spread_pct = (quote.ask - quote.bid) / ((quote.ask + quote.bid) / 2) * 100
    passed = spread_pct <= p.rules.max_spread_pct
    return _judged(spread_is_within_limit, p, p.quote, passed, f"{spread_pct:.2f} %", allowed)


def _sides(quote: Quote) -> str:
    return f"bid {quote.bid or 'none'}, ask {quote.ask or 'none'}"


# ---------------------------------------------------------------- does it fit


def quantity_is_at_least_one(p: Proposal) -> Check:
    """Sizing leaves at least one whole unit; a cap wins over "at least one"."""
    if isinstance(p.sizing, Unknown):
        return _unknown(quantity_is_at_least_one, p.sizing, ">= 1")
    return _check(quantity_is_at_least_one, p.sizing.qty >= 1, p.sizing.why, ">= 1", "sizing")


def contracts_are_within_cap(p: Proposal) -> Check:
    """One order holds at most the account's number of contracts (a stock order has no such cap)."""
    cap = p.book.limits.max_contracts_per_order
    if isinstance(p.sizing, Unknown):
        return _unknown(contracts_are_within_cap, p.sizing, f"<= {cap}")
    is_stock = p.rec.instrument is Kind.STOCK
    return _check(
        contracts_are_within_cap,
        is_stock or p.sizing.qty <= cap,
        p.sizing.qty,
        "no cap for stocks" if is_stock else f"<= {cap}",
        "sizing",
    )


def symbol_is_not_held(p: Proposal) -> Check:
    """One position a symbol, held or pending, so that a close can never be ambiguous."""
    same = next((c for c in p.book.commitments if c.symbol == p.rec.symbol), None)
    observed = "not held" if same is None else f"position {same.position_id}"
    return _check(symbol_is_not_held, same is None, observed, "not held", "book")


def direction_is_not_opposed(p: Proposal) -> Check:
    """Where the configuration asks for it: no call beside a put in one underlying, pending orders included."""
    if not p.rules.refuse_opposite_direction:
        return _check(direction_is_not_opposed, True, "not looked at", "switched off", "config")
    bearish = p.rec.instrument is Kind.PUT
    mine = [c for c in p.book.commitments if c.underlying == p.rec.underlying]
    against = next((c for c in mine if (c.kind is Kind.PUT) != bearish), None)
    observed = "none" if against is None else f"{against.kind} {against.symbol}, position {against.position_id}"
    return _check(direction_is_not_opposed, against is None, observed, "no opposite position", "book")


def position_count_is_within_limit(p: Proposal) -> Check:
    """Held and reserved positions, with this one, stay at or under the account's ceiling."""
    after, ceiling = p.book.positions + 1, p.book.limits.max_positions
    return _check(position_count_is_within_limit, after <= ceiling, after, f"<= {ceiling}", "book")


def exposure_is_within_limit(p: Proposal) -> Check:
    """Held and reserved dollars, with this order, stay at or under the account's ceiling."""
    allowed = f"<= {p.book.limits.max_exposure_usd}"
    cost = p.cost_usd
    if isinstance(cost, Unknown):
        return _unknown(exposure_is_within_limit, cost, allowed)
    after_usd = usd(p.book.exposure_usd + cost.value)
    return _check(exposure_is_within_limit, after_usd <= p.book.limits.max_exposure_usd, after_usd, allowed, "book")


def buying_power_is_enough(p: Proposal) -> Check:
    """The brokerage's buying power, less our openings that it had not seen yet, pays for this order."""
    cost = p.cost_usd
    if isinstance(p.buying_power_usd, Unknown):
        return _unknown(buying_power_is_enough, p.buying_power_usd, "a known buying power")
    allowed = f"<= {usd(p.buying_power_usd.value)}"
    if isinstance(cost, Unknown):
        return _unknown(buying_power_is_enough, cost, allowed)
    passed = cost.value <= p.buying_power_usd.value
    return _judged(buying_power_is_enough, p, p.buying_power_usd, passed, cost.value, allowed)


def daily_loss_is_within_limit(p: Proposal) -> Check:
    """Realised and unrealised since the session's open stay above the limit, which latches once it is reached."""
    floor = -p.book.limits.max_daily_loss_usd
    pnl = p.book.daily_pnl_usd
    if p.book.loss_latched:
        return _check(daily_loss_is_within_limit, False, "latched for this session", f"> {floor}", "account")
    if isinstance(pnl, Unknown):
        return _unknown(daily_loss_is_within_limit, pnl, f"> {floor}")
    return _judged(daily_loss_is_within_limit, p, pnl, pnl.value > floor, usd(pnl.value), f"> {floor}")


GATES: Final[tuple[Gate, ...]] = (
    account_is_active,
    stack_is_alive,
    action_is_permitted,
    strategy_is_known,
    confidence_is_enough,
    recommendation_is_fresh,
    market_is_open_for_entries,
    symbol_is_named,
    type_matches_symbol,
    contract_is_tradable,
    contract_is_unexpired,
    feed_is_alive,
    quote_is_fresh,
    quote_is_two_sided,
    quote_is_uncrossed,
    spread_is_within_limit,
    quantity_is_at_least_one,
    contracts_are_within_cap,
    symbol_is_not_held,
    direction_is_not_opposed,
    position_count_is_within_limit,
    exposure_is_within_limit,
    buying_power_is_enough,
    daily_loss_is_within_limit,
)


def review(p: Proposal) -> tuple[Check, ...]:
    """Return the verdict of every gate; the proposal is approved when all passed. A gate that raises refuses."""
    return tuple(_run(gate, p) for gate in GATES)


def _run(gate: Gate, p: Proposal) -> Check:
    try:
        return gate(p)
    except Exception as e:  # noqa: BLE001 - whatever is wrong in a gate must refuse, and say what it was
        return _check(gate, False, f"unknown: the gate raised {type(e).__name__}: {e}", "an answer", "gate")
