"""What a contract must be to be selected: FILTERS, in their order.

Where a floor is configured, what the feed does not say does not pass it: missing is not zero, and not enough either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from domain.contracts import Candidate, ChainRange
from domain.events import Quote
from domain.instrument import OPTION_MULTIPLIER, Kind, NotASymbol, parse_symbol
from domain.money import CENT

_HUNDRED: Final = Decimal(100)
_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionRules:
    """What a strategy's contract may be. Days are calendar days from today to the expiration, both ends included;
    *otm_pct* is how far out of the money the target strike is (negative: in the money); None is no floor."""

    min_days: int
    max_days: int
    otm_pct: Decimal
    strike_range_pct: Decimal
    max_spread_pct: Decimal
    max_quote_age: timedelta
    min_premium: Decimal
    min_volume: int | None
    min_open_interest: int | None
    min_delta: Decimal | None
    max_delta: Decimal | None
    min_score: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is looked for: a CALL or PUT on *underlying*, which costs *price* dollars a share *today* (New York)."""

    underlying: str
    kind: Kind
    price: Decimal
    today: date
    now: datetime
    rules: SelectionRules

    @property
    def target_strike(self) -> Decimal:
        away = self.price * self.rules.otm_pct / _HUNDRED
        return self.price + away if self.kind is Kind.CALL else self.price - away

    @property
    def reach(self) -> Decimal:
        """How far a strike may be from the target, in dollars."""
        return self.price * self.rules.strike_range_pct / _HUNDRED

    def part_of_chain(self) -> ChainRange:
        """What to ask the brokerage for: a little wider than the filters, which decide."""
        target, reach = self.target_strike, self.reach
        return ChainRange(
            underlying=self.underlying,
            kind=self.kind,
            first=self.today + timedelta(days=self.rules.min_days),
            last=self.today + timedelta(days=self.rules.max_days),
            lowest=max(CENT, (target - reach).quantize(CENT) - CENT),
            highest=(target + reach).quantize(CENT) + CENT,
        )


Filter = Callable[[Candidate, Wanted], bool]


def quote_of(candidate: Candidate) -> Quote | None:
    return candidate.snapshot.quote if candidate.snapshot else None


def days_of(candidate: Candidate, wanted: Wanted) -> int:
    expiration = candidate.contract.expiration
    return -1 if expiration is None else (expiration - wanted.today).days


def distance_of(candidate: Candidate, wanted: Wanted) -> Decimal | None:
    strike = candidate.contract.strike
    return None if strike is None else abs(strike - wanted.target_strike)


def volume_of(candidate: Candidate, wanted: Wanted) -> int | None:
    """Return the contracts traded today; the bar of another day says nothing about today."""
    shown = candidate.snapshot
    return shown.volume if shown and shown.volume_on == wanted.today else None


def delta_of(candidate: Candidate) -> Decimal | None:
    """Return the delta without its sign."""
    delta = candidate.snapshot.greeks.delta if candidate.snapshot else None
    return None if delta is None else abs(delta)


def spread_pct(quote: Quote) -> Decimal:
    """Return ask minus bid in per cent of the mid."""
    bid, ask = quote.bid or _ZERO, quote.ask or _ZERO
    return (ask - bid) / _mid(quote) * _HUNDRED


def _mid(quote: Quote) -> Decimal:
    return ((quote.bid or _ZERO) + (quote.ask or _ZERO)) / 2


def _is_at_least(seen: int | None, floor: int | None) -> bool:
    return floor is None or (seen is not None and seen >= floor)


def another_instrument(candidate: Candidate, wanted: Wanted) -> bool:
    """Kind and underlying are those asked for, by the listing and by the symbol: an adjusted contract has another."""
    contract = candidate.contract
    try:
        named = parse_symbol(contract.symbol)
    except NotASymbol:
        return False
    said = {(contract.underlying, contract.kind), (named.underlying, named.kind)}
    return said == {(wanted.underlying, wanted.kind)} and contract.multiplier == OPTION_MULTIPLIER


def not_tradable(candidate: Candidate, wanted: Wanted) -> bool:
    """The brokerage lets it trade."""
    return candidate.contract.tradable


def days_to_expiration(candidate: Candidate, wanted: Wanted) -> bool:
    """Calendar days from today to the expiration, from min_days to max_days."""
    return wanted.rules.min_days <= days_of(candidate, wanted) <= wanted.rules.max_days


def strike(candidate: Candidate, wanted: Wanted) -> bool:
    """The strike is at most strike_range_pct of the underlying's price from the target, which is otm_pct from it."""
    distance = distance_of(candidate, wanted)
    return distance is not None and distance <= wanted.reach


def quote(candidate: Candidate, wanted: Wanted) -> bool:
    """Its quote is two-sided, uncrossed and not older than max_quote_age_s."""
    seen = quote_of(candidate)
    if seen is None or seen.bid is None or seen.ask is None:
        return False
    return 0 < seen.bid <= seen.ask and wanted.now - seen.at <= wanted.rules.max_quote_age


def spread(candidate: Candidate, wanted: Wanted) -> bool:
    """Ask minus bid is at most max_spread_pct of the mid."""
    seen = quote_of(candidate)
    return seen is not None and spread_pct(seen) <= wanted.rules.max_spread_pct


def premium(candidate: Candidate, wanted: Wanted) -> bool:
    """The mid is at least min_premium."""
    seen = quote_of(candidate)
    return seen is not None and _mid(seen) >= wanted.rules.min_premium


def volume(candidate: Candidate, wanted: Wanted) -> bool:
    """Where it is set: at least min_volume contracts were traded today."""
    return _is_at_least(volume_of(candidate, wanted), wanted.rules.min_volume)


def open_interest(candidate: Candidate, wanted: Wanted) -> bool:
    """Where it is set: at least min_open_interest contracts were open at the last count."""
    return _is_at_least(candidate.contract.open_interest, wanted.rules.min_open_interest)


def delta(candidate: Candidate, wanted: Wanted) -> bool:
    """Where they are set: the delta without its sign is from min_delta to max_delta."""
    low, high, seen = wanted.rules.min_delta, wanted.rules.max_delta, delta_of(candidate)
    if low is None and high is None:
        return True
    return seen is not None and (low is None or seen >= low) and (high is None or seen <= high)


#: Named after what is wrong with a contract that does not pass.
FILTERS: Final[Mapping[str, Filter]] = {
    passes.__name__: passes
    for passes in (
        another_instrument,
        not_tradable,
        days_to_expiration,
        strike,
        quote,
        spread,
        premium,
        volume,
        open_interest,
        delta,
    )
}
