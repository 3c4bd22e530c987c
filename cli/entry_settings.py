"""The rules for entries in the configuration: said once for all, and again where a strategy or an account differs.

Four layers, each on top of the one before it: ``[entries]``, ``[strategies.S.entries]``, ``[accounts.A.entries]``,
``[accounts.A.strategies.S.entries]``. What a layer says replaces what was said before; what it leaves out stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator

from domain.candidates import SelectionRules
from domain.events import Action
from domain.gates import GATES, SWITCHABLE, EntryRules
from domain.instrument import Kind
from domain.regime import RegimeRules
from domain.sizing import RiskRules


def _exact(value: Any) -> Any:
    if isinstance(value, float):
        raise ValueError('write a decimal as text, such as "0.55"')  # noqa: TRY004 - pydantic wants ValueError
    return value


def _clock(value: Any) -> Any:
    if not isinstance(value, time) and not (isinstance(value, str) and len(value) == len("09:30")):
        raise ValueError('write a time of day in New York as text, such as "14:00"')
    return value


def _counted(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a whole number is expected")  # noqa: TRY004 - pydantic wants ValueError
    return value


Exact = Annotated[Decimal, BeforeValidator(_exact)]
Usd = Annotated[Exact, Field(gt=0, max_digits=14, decimal_places=2)]
Pct = Annotated[Exact, Field(gt=0, le=1000)]
Share = Annotated[Exact, Field(ge=0, le=1)]
#: True is 1 to Python, and no number to a person.
Number = Annotated[int, BeforeValidator(_counted)]
Whole = Annotated[Number, Field(ge=0)]
Positive = Annotated[Number, Field(gt=0)]
Clock = Annotated[time, BeforeValidator(_clock)]
Ticker = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9./]{1,21}$")]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EntryParameters(Section):
    """What any layer may say about entries. None: this layer does not say, or nobody sets that limit."""

    permitted: tuple[str, ...] | None = None
    allow_symbols: tuple[Ticker, ...] | None = None
    deny_symbols: tuple[Ticker, ...] | None = None
    max_recommendation_age_s: Positive | None = None
    max_feature_age_s: Positive | None = None
    max_feed_age_s: Positive | None = None
    max_quote_age_s: Positive | None = None
    max_spread_pct: Pct | None = None
    require_tick_grid: bool | None = None
    no_entry_after_open_min: Whole | None = None
    entry_from: Clock | None = None
    entry_until: Clock | None = None
    no_entry_before_close_min: Whole | None = None
    no_entry_before_last_close_min: Whole | None = None
    refuse_half_days: bool | None = None
    min_days_to_expiry: Whole | None = None
    max_days_to_expiry: Whole | None = None
    refuse_opposite_direction: bool | None = None
    max_positions_per_underlying: Positive | None = None
    max_position_usd: Usd | None = None
    max_underlying_exposure_usd: Usd | None = None
    max_sector_exposure_usd: Usd | None = None
    max_trades_per_day: Positive | None = None
    max_trades_per_symbol: Positive | None = None
    max_trades_per_underlying: Positive | None = None
    symbol_cooldown_min: Positive | None = None
    underlying_cooldown_min: Positive | None = None
    max_losses_in_a_row: Positive | None = None
    require_class_ticks: bool | None = None
    min_open_interest: Whole | None = None
    min_volume: Whole | None = None
    min_premium: Annotated[Exact, Field(gt=0)] | None = None
    min_delta: Share | None = None
    max_delta: Share | None = None
    max_portfolio_delta: Annotated[Exact, Field(gt=0)] | None = None
    max_portfolio_vega_usd: Usd | None = None
    max_portfolio_theta_usd: Usd | None = None
    off: tuple[str, ...] | None = None

    @field_validator("permitted")
    @classmethod
    def _pairs_are_known(cls, permitted: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for text in permitted or ():
            pair(text)
        return permitted

    @field_validator("off")
    @classmethod
    def _gates_may_be_off(cls, off: tuple[str, ...] | None) -> tuple[str, ...] | None:
        known = {gate.__name__ for gate in GATES}
        for name in off or ():
            if name not in known:
                raise ValueError(f"no gate is called {name!r}")
            if name not in SWITCHABLE:
                raise ValueError(f"{name} keeps an account safe and cannot be switched off")
        return off

    def said(self) -> dict[str, Any]:
        """Return what this layer says."""
        return self.model_dump(exclude_unset=True)


class AccountEntryParameters(EntryParameters):
    """In an account a layer may also ask for more confidence than the strategy does."""

    min_confidence: Share | None = None


class EntrySettings(EntryParameters):
    """The first layer: these must be said, so that a default is a line that can be read."""

    permitted: tuple[str, ...]
    max_recommendation_age_s: Positive
    max_feed_age_s: Positive
    max_quote_age_s: Positive
    max_spread_pct: Pct
    no_entry_before_close_min: Whole
    no_entry_before_last_close_min: Whole
    refuse_opposite_direction: bool
    max_silence_s: Annotated[Number, Field(ge=5)]
    entry_ttl_s: Positive

    def pairs(self) -> frozenset[tuple[Action, Kind]]:
        """Return the permitted pairs; SELL only ever closes and is not among them."""
        return frozenset(pair(text) for text in self.permitted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the sections beside the layers say: which contract is chosen, and what cuts a size. None is not set."""

    selection: SelectionRules | None
    risk: RiskRules | None
    regime: RegimeRules | None


def pair(text: str) -> tuple[Action, Kind]:
    """Return the action and the instrument of ``BUY CALL``; a ValueError names what is no pair that opens."""
    action, _, kind = text.partition(" ")
    if action != Action.BUY or kind not in set(Kind):
        raise ValueError(f'pairs such as "BUY CALL" are expected, was {text!r}')
    return Action(action), Kind(kind)


def resolve(
    base: EntrySettings,
    layers: tuple[EntryParameters, ...],
    floors: Mapping[str, Decimal],
    sectors: Mapping[str, str],
    choice: Choice,
) -> EntryRules:
    """Return the rules that hold where *layers*, the strongest last, stand on top of *base*.

    *floors* are the strategies' floors of confidence; a layer's own replaces all of them.
    """
    values = base.said()
    for layer in layers:
        values |= layer.said()
    floor = values.pop("min_confidence", None)
    found = EntrySettings(**values)
    return EntryRules(
        permitted=found.pairs(),
        allow_symbols=None if found.allow_symbols is None else frozenset(found.allow_symbols),
        deny_symbols=frozenset(found.deny_symbols or ()),
        min_confidence=dict(floors) if floor is None else dict.fromkeys(floors, floor),
        max_recommendation_age=timedelta(seconds=found.max_recommendation_age_s),
        max_feature_age=seconds(found.max_feature_age_s),
        max_feed_age=timedelta(seconds=found.max_feed_age_s),
        max_quote_age=timedelta(seconds=found.max_quote_age_s),
        max_spread_pct=found.max_spread_pct,
        require_tick_grid=bool(found.require_tick_grid),
        no_entry_after_open=minutes(found.no_entry_after_open_min),
        entry_from=found.entry_from,
        entry_until=found.entry_until,
        no_entry_before_close=timedelta(minutes=found.no_entry_before_close_min),
        no_entry_before_last_close=timedelta(minutes=found.no_entry_before_last_close_min),
        refuse_half_days=bool(found.refuse_half_days),
        min_days_to_expiry=found.min_days_to_expiry,
        max_days_to_expiry=found.max_days_to_expiry,
        refuse_opposite_direction=found.refuse_opposite_direction,
        max_positions_per_underlying=found.max_positions_per_underlying,
        max_position_usd=found.max_position_usd,
        max_underlying_exposure_usd=found.max_underlying_exposure_usd,
        max_sector_exposure_usd=found.max_sector_exposure_usd,
        sectors=sectors,
        max_trades_per_day=found.max_trades_per_day,
        max_trades_per_symbol=found.max_trades_per_symbol,
        max_trades_per_underlying=found.max_trades_per_underlying,
        symbol_cooldown=minutes(found.symbol_cooldown_min),
        underlying_cooldown=minutes(found.underlying_cooldown_min),
        max_losses_in_a_row=found.max_losses_in_a_row,
        require_class_ticks=bool(found.require_class_ticks),
        min_open_interest=found.min_open_interest,
        min_volume=found.min_volume,
        min_premium=found.min_premium,
        min_delta=found.min_delta,
        max_delta=found.max_delta,
        max_portfolio_delta=found.max_portfolio_delta,
        max_portfolio_vega_usd=found.max_portfolio_vega_usd,
        max_portfolio_theta_usd=found.max_portfolio_theta_usd,
        selection=choice.selection,
        risk=choice.risk,
        regime=choice.regime,
        off=frozenset(found.off or ()),
    )


def sector_of_each(sectors: Mapping[str, tuple[str, ...]]) -> Mapping[str, str]:
    """Return the sector of each ticker; a ValueError names a ticker that stands in two."""
    found: dict[str, str] = {}
    for ticker, sector in _members(sectors):
        if ticker in found:
            raise ValueError(f"{ticker} stands in {found[ticker]} and in {sector}")
        found[ticker] = sector
    return found


def _members(sectors: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    for sector, tickers in sectors.items():
        for ticker in tickers:
            yield ticker, sector


def minutes(number: int | None) -> timedelta | None:
    return None if number is None else timedelta(minutes=number)


def seconds(number: int | None) -> timedelta | None:
    return None if number is None else timedelta(seconds=number)
