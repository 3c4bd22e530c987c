"""The sections of the configuration beside the rules of entries, exits and choice: what stands in each, and its bounds.

``cli.settings`` puts them together; ``entry_settings``, ``exit_settings`` and ``choice_settings`` hold the rules.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, StringConstraints, model_validator

from cli.choice_settings import SelectionSettings
from cli.entry_settings import (
    AccountEntryParameters,
    EntryParameters,
    Exact,
    Number,
    Positive,
    Section,
    Share,
    Usd,
    Whole,
)
from cli.exit_settings import KindOverrides
from domain.account import Limits
from domain.interlock import Bounds
from domain.loss import LossRules

#: What a person writes who trades with real money.
LIVE_WORDS: Final = "yes, with my own money"
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]


class BrokerageSettings(Section):
    mode: Literal["paper", "alpaca-paper", "alpaca-live"]
    live_confirmed: str
    option_feed: Literal["indicative", "opra"]
    stock_feed: Literal["iex", "sip"]
    timeout_s: Annotated[Number, Field(gt=0, le=120)]
    requests_per_minute: Annotated[Number, Field(gt=0)]
    reserved_for_exits: Annotated[Number, Field(gt=0)]
    #: Where the local Alpaca answers; set by ``run`` and ``replay`` for their actors.
    paper_url: str | None = None

    @model_validator(mode="after")
    def _live_needs_two_settings(self) -> BrokerageSettings:
        if self.mode == "alpaca-live" and self.live_confirmed != LIVE_WORDS:
            raise ValueError(f'mode is "alpaca-live": live_confirmed must say "{LIVE_WORDS}"')
        if self.reserved_for_exits * 2 >= self.requests_per_minute:
            raise ValueError(f"reserved_for_exits must be under half of the requests, was {self.reserved_for_exits}")
        return self


class ServerSettings(Section):
    data_dir: Path
    redis_url: SecretStr | None = None
    database_url: SecretStr | None = None


class StackSettings(Section):
    partitions: Annotated[Number, Field(ge=1, le=64)]
    gate_slots: Annotated[Number, Field(ge=1, le=64)]
    reconcile_every_s: Annotated[Number, Field(gt=0, le=600)]
    watch: tuple[str, ...]
    metrics_host: str
    metrics_port: Annotated[Number, Field(ge=0, le=65535)]
    #: "recorded": the clock of a recorded day, set by ``run`` and ``replay`` for their actors.
    clock: Literal["wall", "recorded"] = "wall"


class AccountStrategySettings(Section):
    entries: AccountEntryParameters


class AccountSettings(Section):
    max_positions: Annotated[Number, Field(ge=0, le=1000)]
    max_exposure_usd: Usd
    max_daily_loss_usd: Usd
    max_contracts_per_order: Annotated[Number, Field(ge=1, le=1000)]
    #: The tier of risk that governs it whatever it can spend; without it the tiers' bounds say which.
    tier: Name | None = None
    max_drawdown_usd: Usd | None = None
    max_drawdown_pct: Annotated[Exact, Field(gt=0, le=100, decimal_places=2)] | None = None
    key_id: str = ""
    secret: SecretStr = SecretStr("")
    #: What differs for this account, and for a strategy within it.
    entries: AccountEntryParameters = AccountEntryParameters()
    strategies: dict[Name, AccountStrategySettings] = Field(default_factory=dict)
    exits: KindOverrides = KindOverrides()

    def limits(self) -> Limits:
        return Limits(
            max_positions=self.max_positions,
            max_exposure_usd=self.max_exposure_usd,
            max_daily_loss_usd=self.max_daily_loss_usd,
            max_contracts_per_order=self.max_contracts_per_order,
            max_drawdown_usd=self.max_drawdown_usd,
            max_drawdown_pct=self.max_drawdown_pct,
        )


class LossSettings(Section):
    max_mark_age_s: Positive
    latch_until: Literal["next_session", "person"]

    def rules(self) -> LossRules:
        return LossRules(max_mark_age=timedelta(seconds=self.max_mark_age_s), until_person=self.latch_until == "person")


class InterlockSettings(Section):
    max_tracker_lag_s: Positive
    max_price_age_s: Annotated[Number, Field(ge=5)]
    max_reconciliation_age_s: Positive
    max_broker_stream_silence_s: Annotated[Number, Field(ge=3)]
    max_streams_silence_s: Annotated[Number, Field(ge=1)]
    max_price_divergence_pct: Annotated[Exact, Field(gt=0, le=100)]
    max_evaluation_age_s: Annotated[Number, Field(ge=2, le=60)]

    def bounds(self, silence: timedelta) -> Bounds:
        """Return the bounds; *silence* is that of the actors."""
        return Bounds(
            silence=silence,
            tracker_lag=timedelta(seconds=self.max_tracker_lag_s),
            price_age=timedelta(seconds=self.max_price_age_s),
            reconciliation_age=timedelta(seconds=self.max_reconciliation_age_s),
            broker_stream=timedelta(seconds=self.max_broker_stream_silence_s),
            streams=timedelta(seconds=self.max_streams_silence_s),
            evaluation=self.evaluation_age,
        )

    @property
    def evaluation_age(self) -> timedelta:
        return timedelta(seconds=self.max_evaluation_age_s)


class StrategySettings(Section):
    min_confidence: Share | None = None
    max_hold_min: Positive | None = None
    flatten_before_close_min: Whole | None = None
    selection: SelectionSettings | None = None
    entries: EntryParameters = EntryParameters()
    exits: KindOverrides = KindOverrides()

    def spans(self) -> dict[str, int]:
        """The two spans that stand with the strategy itself, for both kinds."""
        said = {"max_hold_min": self.max_hold_min, "flatten_before_close_min": self.flatten_before_close_min}
        return {name: value for name, value in said.items() if value is not None}
