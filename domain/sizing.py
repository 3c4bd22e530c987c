"""How many units a recommendation asks for, cut to what one order may have.

A quantity may be cut to the contract cap and is never enlarged; exposure and buying power refuse, they never shrink.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from domain.events import RecommendationIssued
from domain.instrument import Kind
from domain.known import Known, Unknown


@dataclass(frozen=True, slots=True)
class Sizing:
    """*qty* whole units (0 means that not even one is affordable); *why* tells how it came about."""

    qty: int
    asked: int
    why: str


def size(
    rec: RecommendationIssued, multiplier: int, ask: Known[Decimal] | Unknown, max_contracts: int
) -> Sizing | Unknown:
    """Return the quantity to order, or Unknown when a dollar amount meets an unknown price."""
    if rec.qty is not None:
        return _cut(rec, rec.qty, f"qty {rec.qty} asked", max_contracts)
    if rec.notional_usd is None:
        return Unknown("neither qty nor notional_usd is given", "recommendation")
    if isinstance(ask, Unknown):
        return ask
    units = int(rec.notional_usd // (ask.value * multiplier))
    return _cut(rec, units, f"floor({rec.notional_usd} / ({ask.value} x {multiplier})) = {units}", max_contracts)


def _cut(rec: RecommendationIssued, asked: int, why: str, max_contracts: int) -> Sizing:
    if rec.instrument is Kind.STOCK or asked <= max_contracts:
        return Sizing(asked, asked, why)
    return Sizing(max_contracts, asked, f"{why}, cut to the cap of {max_contracts} contracts an order")
