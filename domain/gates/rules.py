"""What the configuration says about entries, for one strategy in one account; and which gates it may switch off.

A limit that is None is not set: its gate has nothing to compare with, passes, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from decimal import Decimal
from typing import Final

from domain.candidates import SelectionRules
from domain.events import Action
from domain.ids import AccountName
from domain.instrument import Kind
from domain.regime import RegimeRules
from domain.sizing import RiskRules

#: Gates that a configuration may switch off. Every other gate always looks, whatever a file says.
SWITCHABLE: Final = frozenset(
    {
        "symbol_is_allowed",
        "symbol_is_not_denied",
        "confidence_is_enough",
        "features_are_fresh",
        "opening_minutes_are_over",
        "time_is_within_entry_hours",
        "session_is_long_enough",
        "prices_are_on_the_tick_grid",
        "spread_is_within_limit",
        "expiration_is_far_enough",
        "expiration_is_near_enough",
        "direction_is_not_opposed",
        "positions_in_underlying_are_within_limit",
        "position_cost_is_within_limit",
        "underlying_exposure_is_within_limit",
        "sector_exposure_is_within_limit",
        "trades_of_the_day_are_within_limit",
        "trades_in_symbol_are_within_limit",
        "trades_in_underlying_are_within_limit",
        "symbol_has_cooled_down",
        "underlying_has_cooled_down",
        "losses_in_a_row_are_within_limit",
        "order_price_is_on_the_class_tick",
        "open_interest_is_enough",
        "volume_is_enough",
        "premium_is_enough",
        "delta_is_within_range",
        "volatility_is_bearable",
        "portfolio_delta_is_within_limit",
        "portfolio_vega_is_within_limit",
        "portfolio_theta_is_within_limit",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRules:
    """Per cent where a name ends in ``_pct``, dollars where it ends in ``_usd``, New York time where it is a time.

    *sectors* maps an underlying to its sector. *off* names the gates that do not look.
    """

    permitted: frozenset[tuple[Action, Kind]]
    allow_symbols: frozenset[str] | None
    deny_symbols: frozenset[str]
    min_confidence: Mapping[str, Decimal]
    max_recommendation_age: timedelta
    max_feature_age: timedelta | None
    max_feed_age: timedelta
    max_quote_age: timedelta
    max_spread_pct: Decimal
    require_tick_grid: bool
    no_entry_after_open: timedelta | None
    entry_from: time | None
    entry_until: time | None
    no_entry_before_close: timedelta
    no_entry_before_last_close: timedelta
    refuse_half_days: bool
    min_days_to_expiry: int | None
    max_days_to_expiry: int | None
    refuse_opposite_direction: bool
    max_positions_per_underlying: int | None
    max_position_usd: Decimal | None
    max_underlying_exposure_usd: Decimal | None
    max_sector_exposure_usd: Decimal | None
    sectors: Mapping[str, str]
    max_trades_per_day: int | None
    max_trades_per_symbol: int | None
    max_trades_per_underlying: int | None
    symbol_cooldown: timedelta | None
    underlying_cooldown: timedelta | None
    max_losses_in_a_row: int | None
    require_class_ticks: bool
    min_open_interest: int | None
    min_volume: int | None
    min_premium: Decimal | None
    min_delta: Decimal | None
    max_delta: Decimal | None
    max_portfolio_delta: Decimal | None
    max_portfolio_vega_usd: Decimal | None
    max_portfolio_theta_usd: Decimal | None
    selection: SelectionRules | None
    risk: RiskRules | None
    regime: RegimeRules | None
    off: frozenset[str]

    @property
    def ask_history(self) -> bool:
        """Is any limit set that looks at what was traded before?"""
        return any(
            limit is not None
            for limit in (
                *(self.max_trades_per_day, self.max_trades_per_symbol, self.max_trades_per_underlying),
                *(self.symbol_cooldown, self.underlying_cooldown, self.max_losses_in_a_row),
            )
        )

    @property
    def reads_greeks(self) -> bool:
        """Does a limit look at the Greeks of what is held?"""
        return (self.max_portfolio_delta, self.max_portfolio_vega_usd, self.max_portfolio_theta_usd) != (None,) * 3

    @property
    def reads_snapshots(self) -> bool:
        """Does a limit look at more of a contract than its listing and its quote?"""
        return self.reads_greeks or (self.min_volume, self.min_delta, self.max_delta) != (None,) * 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleBook:
    """The rules of every account and strategy, resolved when the configuration was read.

    A strategy that nobody configured meets the rules of its account, among them that it is not configured.
    """

    of_account: Mapping[AccountName, EntryRules]
    of_strategy: Mapping[tuple[AccountName, str], EntryRules]

    def of(self, account: AccountName, strategy: str) -> EntryRules:
        """Return what governs *strategy* in *account*; a KeyError means that the account is not configured."""
        return self.of_strategy.get((account, strategy)) or self.of_account[account]

    @property
    def max_recommendation_age(self) -> timedelta:
        """Return the age beyond which a recommendation is too old wherever it goes."""
        return max(rules.max_recommendation_age for rules in (*self.of_account.values(), *self.of_strategy.values()))
