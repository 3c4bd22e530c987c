"""What a contract must be to be selected (FILTERS, in their order) and what speaks for it (PARTS, each from 0 to 1).

Only a filter refuses; a part that the feed says nothing about is 0. Parts:

* spread          1 at no spread, 0 at the widest that is let through (per cent of the mid)
* strike          1 at the target strike, 0 at the edge of the strikes that are let through
* delta           1 from 0.30 to 0.50 (without its sign), falling to 0 at 0.10 and at 0.70
* volume          of today, 1 at 1,000 contracts or more
* open_interest   1 at 1,000 contracts or more
* days            1 at the middle of the days to expiration that are let through, falling towards both ends

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

#: Contracts of volume or open interest beyond which more is not better.
_PLENTY: Final = 1000
_DELTA_NONE, _DELTA_LOW, _DELTA_HIGH, _DELTA_MOST = (Decimal(d) for d in ("0.10", "0.30", "0.50", "0.70"))
_HUNDRED: Final = Decimal(100)
_ZERO, _ONE = Decimal(0), Decimal(1)


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
Part = Callable[[Candidate, Wanted], Decimal]


def _quote(candidate: Candidate) -> Quote | None:
    return candidate.snapshot.quote if candidate.snapshot else None


def _days(candidate: Candidate, wanted: Wanted) -> int:
    expiration = candidate.contract.expiration
    return -1 if expiration is None else (expiration - wanted.today).days


def _distance(candidate: Candidate, wanted: Wanted) -> Decimal | None:
    strike = candidate.contract.strike
    return None if strike is None else abs(strike - wanted.target_strike)


def _volume(candidate: Candidate, wanted: Wanted) -> int | None:
    """Contracts traded today; the bar of another day says nothing about today."""
    shown = candidate.snapshot
    return shown.volume if shown and shown.volume_on == wanted.today else None


def _delta(candidate: Candidate) -> Decimal | None:
    delta = candidate.snapshot.greeks.delta if candidate.snapshot else None
    return None if delta is None else abs(delta)


def _spread_pct(quote: Quote) -> Decimal:
    bid, ask = quote.bid or _ZERO, quote.ask or _ZERO
    return (ask - bid) / _mid(quote) * _HUNDRED


def _mid(quote: Quote) -> Decimal:
    return ((quote.bid or _ZERO) + (quote.ask or _ZERO)) / 2


def _is_at_least(seen: int | None, floor: int | None) -> bool:
    return floor is None or (seen is not None and seen >= floor)


def _is_what_is_asked(candidate: Candidate, wanted: Wanted) -> bool:
    """Kind and underlying as listed, and as its own symbol says: an adjusted contract has another root."""
    contract = candidate.contract
    try:
        named = parse_symbol(contract.symbol)
    except NotASymbol:
        return False
    said = {(contract.underlying, contract.kind), (named.underlying, named.kind)}
    return said == {(wanted.underlying, wanted.kind)} and contract.multiplier == OPTION_MULTIPLIER


def _is_near(candidate: Candidate, wanted: Wanted) -> bool:
    distance = _distance(candidate, wanted)
    return distance is not None and distance <= wanted.reach


def _is_quoted(candidate: Candidate, wanted: Wanted) -> bool:
    """Two-sided, uncrossed and not older than the limit."""
    quote = _quote(candidate)
    if quote is None or quote.bid is None or quote.ask is None:
        return False
    return 0 < quote.bid <= quote.ask and wanted.now - quote.at <= wanted.rules.max_quote_age


def _is_tight(candidate: Candidate, wanted: Wanted) -> bool:
    quote = _quote(candidate)
    return quote is not None and _spread_pct(quote) <= wanted.rules.max_spread_pct


def _costs_enough(candidate: Candidate, wanted: Wanted) -> bool:
    quote = _quote(candidate)
    return quote is not None and _mid(quote) >= wanted.rules.min_premium


def _has_interest(candidate: Candidate, wanted: Wanted) -> bool:
    return _is_at_least(candidate.contract.open_interest, wanted.rules.min_open_interest)


def _has_delta(candidate: Candidate, wanted: Wanted) -> bool:
    low, high, delta = wanted.rules.min_delta, wanted.rules.max_delta, _delta(candidate)
    if low is None and high is None:
        return True
    return delta is not None and (low is None or delta >= low) and (high is None or delta <= high)


FILTERS: Final[Mapping[str, Filter]] = {
    "another_instrument": _is_what_is_asked,
    "not_tradable": lambda c, w: c.contract.tradable,
    "days_to_expiration": lambda c, w: w.rules.min_days <= _days(c, w) <= w.rules.max_days,
    "strike": _is_near,
    "quote": _is_quoted,
    "spread": _is_tight,
    "premium": _costs_enough,
    "volume": lambda c, w: _is_at_least(_volume(c, w), w.rules.min_volume),
    "open_interest": _has_interest,
    "delta": _has_delta,
}


def _spread_part(candidate: Candidate, wanted: Wanted) -> Decimal:
    quote = _quote(candidate)
    return _ZERO if quote is None else _ONE - _spread_pct(quote) / wanted.rules.max_spread_pct


def _strike_part(candidate: Candidate, wanted: Wanted) -> Decimal:
    distance = _distance(candidate, wanted)
    return _ZERO if distance is None else _ONE - distance / wanted.reach


def _delta_part(candidate: Candidate, wanted: Wanted) -> Decimal:
    delta = _delta(candidate)
    if delta is None:
        return _ZERO
    rising = (delta - _DELTA_NONE) / (_DELTA_LOW - _DELTA_NONE)
    falling = (_DELTA_MOST - delta) / (_DELTA_MOST - _DELTA_HIGH)
    return max(_ZERO, min(_ONE, rising, falling))


def _share(seen: int | None) -> Decimal:
    return _ZERO if seen is None else Decimal(min(max(seen, 0), _PLENTY)) / _PLENTY


def _days_part(candidate: Candidate, wanted: Wanted) -> Decimal:
    first, last = wanted.rules.min_days, wanted.rules.max_days
    middle, half = Decimal(first + last) / 2, Decimal(last - first) / 2 + 1
    return _ONE - abs(_days(candidate, wanted) - middle) / half


PARTS: Final[Mapping[str, Part]] = {
    "spread": _spread_part,
    "strike": _strike_part,
    "delta": _delta_part,
    "volume": lambda c, w: _share(_volume(c, w)),
    "open_interest": lambda c, w: _share(c.contract.open_interest),
    "days": _days_part,
}
