"""The exit rules as the configuration writes them, and how the tables for one position are laid over each other.

``[exits.KIND]`` holds for everybody; over it lies the strategy, over that the account: the later names a key, the later
counts. A table replaces a table whole. ``"off"`` switches off what a table beneath has switched on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import Discriminator, Field, Tag, model_validator

from cli.entry_settings import Exact, Number, Pct, Section, Share, Usd, minutes
from domain.exits import CloseStep, ExitPolicy, NearExpiry, Regime, Rung, Tier, Window

T = TypeVar("T")
OFF: Final = "off"
#: Names the branch of a setting that is not off, in the place that an error tells.
ON: Final = "<on>"


def _branch(value: Any) -> str:
    return OFF if value == OFF else ON


#: A setting that a table above may switch off.
Switch = Annotated[Annotated[T, Tag(ON)] | Annotated[Literal["off"], Tag(OFF)], Discriminator(_branch)]
#: A gain may be a loss.
GainPct = Annotated[Exact, Field(ge=-100, le=1000)]
#: A part of a quantity, a gain or a price, in per cent.
PartPct = Annotated[Exact, Field(gt=0, le=100)]
Minutes = Annotated[Number, Field(ge=0, le=525_600)]
Span = Annotated[Number, Field(gt=0, le=525_600)]
Days = Annotated[Number, Field(ge=0, le=3650)]
#: More would keep a close away from the market for minutes.
MOST_STEPS: Final = 5
LONGEST_WAIT_S: Final = 60


class TierSettings(Section):
    arm_pct: Pct
    lock_pct: PartPct


class RungSettings(Section):
    at_pct: Pct
    close_pct: PartPct


class NearExpirySettings(Section):
    days: Days
    gain_below_pct: GainPct | None = None


class WindowSettings(Section):
    """Exactly one of the three says what the window closes."""

    before_close_min: Minutes
    gain_below_pct: GainPct | None = None
    failed_criteria: Annotated[Number, Field(ge=1, le=3)] | None = None
    everything: Literal[True] | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> WindowSettings:
        said = (self.gain_below_pct, self.failed_criteria, self.everything)
        if said.count(None) != len(said) - 1:
            raise ValueError("a window has exactly one of gain_below_pct, failed_criteria and everything")
        return self


class CloseStepSettings(Section):
    beyond_pct: Annotated[Exact, Field(ge=0, lt=100)]
    wait_s: Annotated[Number, Field(ge=1, le=LONGEST_WAIT_S)]


class ExitOverrides(Section):
    """Any of the keys; what is not named is as the table beneath says."""

    stop_pct: Switch[Pct] | None = None
    catastrophe_pct: Switch[Pct] | None = None
    target_pct: Switch[Pct] | None = None
    trail_arm_pct: Switch[Pct] | None = None
    trail_giveback_pct: Switch[PartPct] | None = None
    trail_price_arm_pct: Switch[Pct] | None = None
    trail_price_pct: Switch[PartPct] | None = None
    trail_tiers: Switch[tuple[TierSettings, ...]] | None = None
    break_even_arm_pct: Switch[Pct] | None = None
    ladder: Switch[tuple[RungSettings, ...]] | None = None
    min_hold_min: Minutes | None = None
    max_hold_min: Switch[Span] | None = None
    progress_after_min: Switch[Span] | None = None
    progress_pct: Switch[Pct] | None = None
    theta_days: Switch[Days] | None = None
    theta_pct: Switch[Pct] | None = None
    near_expiry: Switch[tuple[NearExpirySettings, ...]] | None = None
    close_before_expiry_min: Switch[Minutes] | None = None
    flatten_before_close_min: Switch[Minutes] | None = None
    flatten_before_half_day_close_min: Switch[Minutes] | None = None
    windows: Switch[tuple[WindowSettings, ...]] | None = None
    overnight_min_days: Switch[Days] | None = None
    overnight_min_gain_pct: Switch[GainPct] | None = None
    overnight_max_usd: Switch[Usd] | None = None
    reversal_min_confidence: Switch[Share] | None = None
    earnings_within_sessions: Switch[Annotated[Number, Field(ge=0, le=60)]] | None = None
    regime_at_least: Switch[Regime] | None = None
    close_steps: Switch[Annotated[tuple[CloseStepSettings, ...], Field(max_length=MOST_STEPS)]] | None = None

    @model_validator(mode="after")
    def _ladder_sells_what_is_there(self) -> ExitOverrides:
        if isinstance(self.ladder, tuple) and sum(rung.close_pct for rung in self.ladder) > 100:
            raise ValueError("ladder: the rungs close more than 100 % together")
        return self

    @model_validator(mode="after")
    def _steps_lead_to_the_market(self) -> ExitOverrides:
        if isinstance(self.close_steps, tuple):
            beyond = [step.beyond_pct for step in self.close_steps]
            if any(later <= earlier for earlier, later in pairwise(beyond)):
                raise ValueError("close_steps: each step goes further beyond the price than the one before")
        return self

    def named(self) -> dict[str, Any]:
        """Return the keys that are named here, with their values."""
        return {name: getattr(self, name) for name in type(self).model_fields if getattr(self, name) is not None}


class ExitSettings(ExitOverrides):
    """The table beneath: a minimum hold is always said."""

    min_hold_min: Minutes


class KindOverrides(Section):
    """Overrides of a strategy or an account, by kind of instrument."""

    option: ExitOverrides = ExitOverrides()
    stock: ExitOverrides = ExitOverrides()


class ExitsSettings(Section):
    option: ExitSettings
    stock: ExitSettings


#: Keys that hold minutes, and what the policy calls them.
_SPANS: Final = {
    "min_hold_min": "min_hold",
    "max_hold_min": "max_hold",
    "progress_after_min": "progress_after",
    "close_before_expiry_min": "close_before_expiry",
    "flatten_before_close_min": "flatten_before_close",
    "flatten_before_half_day_close_min": "flatten_before_half_day_close",
}
_TABLES: Final = ("trail_tiers", "ladder", "near_expiry", "windows", "close_steps")


def policy(tables: Iterable[dict[str, Any]]) -> ExitPolicy:
    """Return the policy that *tables* say together, the first one beneath; its version is a hash of its numbers."""
    said: dict[str, Any] = {}
    for table in tables:
        said |= table
    values: dict[str, Any] = dict.fromkeys(ExitOverrides.model_fields)
    values |= {name: value for name, value in said.items() if value != OFF}
    for key, name in _SPANS.items():
        values[name] = minutes(values.pop(key))
    for name in _TABLES:
        values[name] = tuple(_row(row) for row in values[name] or ())
    return ExitPolicy(version=_version(said), **values)


def _version(said: dict[str, Any]) -> str:
    """Rules that are off do not count, so a rule that a later release knows does not change what was stored."""
    numbers = ExitOverrides.model_construct(**{name: value for name, value in said.items() if value != OFF})
    plain = numbers.model_dump(mode="json", exclude_none=True)
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:12]


_TableRow = TierSettings | RungSettings | NearExpirySettings | WindowSettings | CloseStepSettings


def _row(row: _TableRow) -> Tier | Rung | NearExpiry | Window | CloseStep:
    match row:
        case CloseStepSettings():
            return CloseStep(beyond_pct=row.beyond_pct, wait=timedelta(seconds=row.wait_s))
        case TierSettings():
            return Tier(arm_pct=row.arm_pct, lock_pct=row.lock_pct)
        case RungSettings():
            return Rung(at_pct=row.at_pct, close_pct=row.close_pct)
        case NearExpirySettings():
            return NearExpiry(days=row.days, gain_below_pct=row.gain_below_pct)
        case WindowSettings():
            return Window(
                before_close=timedelta(minutes=row.before_close_min),
                gain_below_pct=row.gain_below_pct,
                failed_criteria=row.failed_criteria,
            )
