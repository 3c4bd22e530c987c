"""How agitated the market is: bands of a volatility level, each with the share of a size that it leaves.

The level is whatever the configured symbol costs: Alpaca gives the VIX itself only to those it has granted index data,
so the bands belong to the symbol (a fund that follows volatility) and are configured with it. A level that is missing
or old is unknown, and unknown refuses: calm is never assumed (L22, L27).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from domain.checks import CLOCK_SKEW, seconds
from domain.exits.policy import Regime
from domain.known import Known, Unknown

_CALLED: Final[Mapping[str, Regime]] = MappingProxyType(
    {"normal": Regime.CALM, **{regime.value: regime for regime in Regime}}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Levels under *below* (None: any) that no earlier band has; an order keeps *size_ratio* of its size, 0 to 1."""

    name: str
    below: Decimal | None
    size_ratio: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RegimeRules:
    """Bands in ascending order, the last without a bound; *symbol* is the stock whose price is the level."""

    symbol: str
    max_age: timedelta
    bands: tuple[Band, ...]


def regime_of(band: Band) -> Regime | None:
    """Return what the exit rules call *band*: its name is the word, and ``normal`` is calm; other names say nothing."""
    return _CALLED.get(band.name)


def band_of(rules: RegimeRules, level: Known[Decimal] | Unknown, now: datetime) -> Known[Band] | Unknown:
    """Return the band that *level* stands in."""
    if isinstance(level, Unknown):
        return level
    age = now - level.at
    if not -CLOCK_SKEW <= age <= rules.max_age:
        return Unknown(f"the price of {rules.symbol} is {seconds(age)} old", level.source)
    found = next((band for band in rules.bands if band.below is None or level.value < band.below), None)
    if found is None:
        return Unknown(f"no band for a level of {level.value}", "config")
    return Known(found, level.at, level.source)
