"""How a contract is chosen and how large an order may be, in the configuration: selection, tiers of risk, volatility.

Every number of a section that is there must be said: a floor that somebody forgot would be a floor of nothing (R43).
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from cli.entry_settings import Exact, Pct, Positive, Section, Share, Ticker, Usd, Whole
from domain.candidates import SelectionRules
from domain.regime import Band, RegimeRules
from domain.sizing import RiskRules, Tier

Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]


class SelectionSettings(Section):
    """``[strategies.NAME.selection]``: which contract a recommendation means that names none."""

    min_days: Whole
    max_days: Whole
    otm_pct: Annotated[Exact, Field(ge=-50, le=50)]
    strike_range_pct: Annotated[Exact, Field(gt=0, le=50)]
    max_spread_pct: Pct
    max_quote_age_s: Positive
    min_premium: Annotated[Exact, Field(gt=0)]
    min_volume: Whole | None = None
    min_open_interest: Whole | None = None
    min_delta: Share | None = None
    max_delta: Share | None = None
    min_score: Annotated[Exact, Field(ge=0, le=100)]

    @model_validator(mode="after")
    def _ranges_hold_something(self) -> SelectionSettings:
        if self.min_days > self.max_days:
            raise ValueError(f"min_days {self.min_days} is above max_days {self.max_days}: no contract can meet both")
        if self.min_delta is not None and self.max_delta is not None and self.min_delta > self.max_delta:
            raise ValueError(f"min_delta {self.min_delta} is above max_delta {self.max_delta}: no contract meets both")
        return self

    def rules(self) -> SelectionRules:
        return SelectionRules(
            min_days=self.min_days,
            max_days=self.max_days,
            otm_pct=self.otm_pct,
            strike_range_pct=self.strike_range_pct,
            max_spread_pct=self.max_spread_pct,
            max_quote_age=timedelta(seconds=self.max_quote_age_s),
            min_premium=self.min_premium,
            min_volume=self.min_volume,
            min_open_interest=self.min_open_interest,
            min_delta=self.min_delta,
            max_delta=self.max_delta,
            min_score=self.min_score,
        )


class TierSettings(Section):
    name: Word
    up_to_usd: Usd | None = None
    risk_pct: dict[Word, Annotated[Exact, Field(gt=0, le=100)]]
    max_contracts: Positive | None = None

    def rules(self) -> Tier:
        return Tier(name=self.name, up_to_usd=self.up_to_usd, risk_pct=self.risk_pct, max_contracts=self.max_contracts)


class RiskSettings(Section):
    """``[[risk.tiers]]``: what one trade may cost, by what the account can spend."""

    tiers: Annotated[tuple[TierSettings, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _tiers_follow_each_other(self) -> RiskSettings:
        _require_ladder("tiers", "up_to_usd", [(tier.name, tier.up_to_usd) for tier in self.tiers])
        return self

    def rules(self, pinned: str | None) -> RiskRules:
        """Return the tiers for an account; *pinned* is the one that its section names."""
        tiers = (
            Tier(name=t.name, up_to_usd=t.up_to_usd, risk_pct=t.risk_pct, max_contracts=t.max_contracts)
            for t in self.tiers
        )
        return RiskRules(tiers=tuple(tiers), pinned=pinned)


class BandSettings(Section):
    name: Word
    below: Annotated[Exact, Field(gt=0)] | None = None
    size_ratio: Share


class VolatilitySettings(Section):
    """``[volatility]``: what is left of a size in an agitated market, by the price of a symbol that follows it."""

    symbol: Ticker
    max_age_s: Positive
    bands: Annotated[tuple[BandSettings, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _bands_follow_each_other(self) -> VolatilitySettings:
        _require_ladder("bands", "below", [(band.name, band.below) for band in self.bands])
        for calmer, wilder in pairwise(self.bands):
            if wilder.size_ratio > calmer.size_ratio:
                raise ValueError(f"bands: {wilder.name} leaves more of a size than {calmer.name}, which is calmer")
        return self

    def rules(self) -> RegimeRules:
        bands = (Band(name=band.name, below=band.below, size_ratio=band.size_ratio) for band in self.bands)
        return RegimeRules(symbol=self.symbol, max_age=timedelta(seconds=self.max_age_s), bands=tuple(bands))


def _require_ladder(section: str, bound: str, steps: list[tuple[str, Decimal | None]]) -> None:
    """Raise ValueError unless *steps* have names of their own and rising bounds, the last one none."""
    names = [name for name, _ in steps]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{section}: {', '.join(sorted(twice))} is there twice")
    if steps[-1][1] is not None:
        raise ValueError(f"{section}: the last one ({names[-1]}) has a {bound}: what lies beyond it is nobody's")
    for (lower, low), (higher, high) in pairwise(steps):
        if low is None or (high is not None and high <= low):
            raise ValueError(f"{section}: {bound} of {lower} ({low}) must be under that of {higher} ({high})")
