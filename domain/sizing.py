"""How many units a recommendation asks for, cut to what one order may have, step by step.

asked -> by risk -> cap -> volatility. No step ever adds a unit: each is the smaller of what came to it and what it
allows, so a cap wins over "at least one" (L25) and nothing is ever negative (L24). What is at risk is what is paid:
a long option can lose all of it. Exposure and buying power refuse, they never shrink an order; the risk of a trade is
a share of the buying power that our reservations leave, so it stays within it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from domain.events import RecommendationIssued
from domain.instrument import Kind
from domain.known import Known, Unknown
from domain.regime import Band


@dataclass(frozen=True, slots=True)
class Step:
    """After *name* there are *qty* units; *why* tells how, for people."""

    name: str
    qty: int
    why: str


@dataclass(frozen=True, slots=True)
class Sizing:
    """*qty* whole units (0 means that not even one is affordable) of those *asked*; *steps* tell how it came about."""

    qty: int
    asked: int
    steps: tuple[Step, ...]

    @property
    def why(self) -> str:
        return ", ".join(step.why for step in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """Accounts with a buying power up to *up_to_usd* (None: any): per cent of it that one trade of a strategy may cost,
    and contracts an order (None: the account's own cap alone)."""

    name: str
    up_to_usd: Decimal | None
    risk_pct: Mapping[str, Decimal]
    max_contracts: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskRules:
    """Tiers in ascending order of buying power; *pinned* names the one of this account, whatever its buying power."""

    tiers: tuple[Tier, ...]
    pinned: str | None

    def tier(self, buying_power_usd: Decimal) -> Tier | None:
        """Return the tier that governs an account with that much to spend."""
        if self.pinned is not None:
            return next((tier for tier in self.tiers if tier.name == self.pinned), None)
        fits = (tier for tier in self.tiers if tier.up_to_usd is None or buying_power_usd <= tier.up_to_usd)
        return next(fits, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What cuts an order: the account's cap, and where they are configured the risk of a trade and the volatility.

    *volatility* is the band of the market's volatility, None where nothing is configured.
    """

    max_contracts: int
    risk: RiskRules | None
    buying_power_usd: Known[Decimal] | Unknown
    volatility: Known[Band] | Unknown | None


def size(rec: RecommendationIssued, multiplier: int, ask: Known[Decimal] | Unknown, means: Means) -> Sizing | Unknown:
    """Return the quantity to order, or Unknown when a step needs what nobody knows."""
    asked = _asked(rec, multiplier, ask)
    if isinstance(asked, Unknown):
        return asked
    at_risk = _by_risk(rec, asked.qty, multiplier, ask, means)
    if isinstance(at_risk, Unknown):
        return at_risk
    steps = [asked, *at_risk]
    steps += _cut(rec, steps[-1].qty, means.max_contracts, "contracts an order")
    if isinstance(means.volatility, Unknown):
        return means.volatility
    if means.volatility is not None:
        steps.append(_by_volatility(steps[-1].qty, means.volatility.value))
    return Sizing(steps[-1].qty, asked.qty, tuple(steps))


def _asked(rec: RecommendationIssued, multiplier: int, ask: Known[Decimal] | Unknown) -> Step | Unknown:
    if rec.qty is not None:
        return Step("asked", rec.qty, f"qty {rec.qty} asked")
    if rec.notional_usd is None:
        return Unknown("neither qty nor notional_usd is given", "recommendation")
    if isinstance(ask, Unknown):
        return ask
    units = int(rec.notional_usd // (ask.value * multiplier))
    return Step("asked", units, f"floor({rec.notional_usd} / ({ask.value} x {multiplier})) = {units}")


def _by_risk(
    rec: RecommendationIssued, qty: int, multiplier: int, ask: Known[Decimal] | Unknown, means: Means
) -> list[Step] | Unknown:
    """Cut *qty* to what the strategy may risk in the account's tier, and to the tier's contracts."""
    if means.risk is None:
        return []
    power = means.buying_power_usd
    if isinstance(power, Unknown):
        return power
    if isinstance(ask, Unknown):
        return ask
    tier = means.risk.tier(power.value)
    if tier is None:
        return Unknown(f"no tier for a buying power of {power.value}", "config")
    pct = tier.risk_pct.get(rec.strategy)
    if pct is None:
        return Unknown(f"no risk_pct for {rec.strategy} in tier {tier.name}", "config")
    pays_for = max(0, int(power.value * pct / 100 // (ask.value * multiplier)))
    left = min(qty, pays_for)
    how = f"{pct} % of {power.value} in tier {tier.name} pays for {pays_for} at {ask.value} x {multiplier}"
    return [Step("risk", left, how), *_cut(rec, left, tier.max_contracts, f"contracts in tier {tier.name}")]


def _cut(rec: RecommendationIssued, qty: int, cap: int | None, of_what: str) -> list[Step]:
    """Contracts are capped, shares are not."""
    if cap is None or rec.instrument is Kind.STOCK or qty <= cap:
        return []
    return [Step("cap", cap, f"cut to the cap of {cap} {of_what}")]


def _by_volatility(qty: int, band: Band) -> Step:
    left = int(qty * band.size_ratio)
    return Step("volatility", left, f"x {band.size_ratio} in {band.name} volatility = {left}")
