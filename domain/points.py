"""What speaks for a contract that passed the filters: PARTS, each from 0 to 1, and the points that each is worth.

What the feed does not say scores nothing.

Source: the weights follow the score of an earlier system (spread 40, volume 30, delta 20, strike 10), to which open
interest and days were added; a feed without volume or Greeks still tells spread and strike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from domain.candidates import Wanted, days_of, delta_of, distance_of, quote_of, spread_pct, volume_of
from domain.contracts import Candidate

Part = Callable[[Candidate, Wanted], Decimal]

#: Points of 100.
WEIGHTS: Final[Mapping[str, int]] = {
    "spread": 30,
    "strike": 20,
    "delta": 20,
    "volume": 15,
    "open_interest": 10,
    "days": 5,
}
#: Contracts of volume or open interest beyond which more is not better.
_PLENTY: Final = 1000
_DELTA_NONE, _DELTA_LOW, _DELTA_HIGH, _DELTA_MOST = (Decimal(d) for d in ("0.10", "0.30", "0.50", "0.70"))
_ZERO, _ONE = Decimal(0), Decimal(1)


def spread(candidate: Candidate, wanted: Wanted) -> Decimal:
    """All of it without a spread, nothing at max_spread_pct."""
    seen = quote_of(candidate)
    return _ZERO if seen is None else _ONE - spread_pct(seen) / wanted.rules.max_spread_pct


def strike(candidate: Candidate, wanted: Wanted) -> Decimal:
    """All of it at the target strike, nothing at the edge of strike_range_pct."""
    distance = distance_of(candidate, wanted)
    return _ZERO if distance is None else _ONE - distance / wanted.reach


def delta(candidate: Candidate, wanted: Wanted) -> Decimal:
    """All of it from 0.30 to 0.50 without the sign, falling to nothing at 0.10 and at 0.70."""
    seen = delta_of(candidate)
    if seen is None:
        return _ZERO
    rising = (seen - _DELTA_NONE) / (_DELTA_LOW - _DELTA_NONE)
    falling = (_DELTA_MOST - seen) / (_DELTA_MOST - _DELTA_HIGH)
    return max(_ZERO, min(_ONE, rising, falling))


def volume(candidate: Candidate, wanted: Wanted) -> Decimal:
    """All of it for 1,000 contracts traded today, or more."""
    return _share(volume_of(candidate, wanted))


def open_interest(candidate: Candidate, wanted: Wanted) -> Decimal:
    """All of it for 1,000 open contracts, or more."""
    return _share(candidate.contract.open_interest)


def days(candidate: Candidate, wanted: Wanted) -> Decimal:
    """All of it in the middle between min_days and max_days, falling towards both."""
    first, last = wanted.rules.min_days, wanted.rules.max_days
    middle, half = Decimal(first + last) / 2, Decimal(last - first) / 2 + 1
    return _ONE - abs(days_of(candidate, wanted) - middle) / half


def _share(seen: int | None) -> Decimal:
    return _ZERO if seen is None else Decimal(min(max(seen, 0), _PLENTY)) / _PLENTY


PARTS: Final[Mapping[str, Part]] = {
    part.__name__: part for part in (spread, strike, delta, volume, open_interest, days)
}
