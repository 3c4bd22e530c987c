"""What a market says about option contracts besides their price: interest, volume and Greeks.

Greeks are those of one share, as Alpaca states them: delta in shares, gamma in delta for a dollar, vega in dollars for
one point of implied volatility, theta in dollars a day. What a feed leaves out is None here and Unknown to a gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from domain.events import Quote
from domain.instrument import Contract, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeks:
    """The Greeks of one share of a contract; each may be missing by itself."""

    delta: Decimal | None
    gamma: Decimal | None
    theta: Decimal | None
    vega: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A contract as the feed shows it. *volume* counts the contracts traded on *volume_on* (New York), which may be
    a day long gone: the size of the last trade is no volume (R42)."""

    symbol: str
    quote: Quote | None
    volume: int | None
    volume_on: date | None
    greeks: Greeks


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainRange:
    """A part of an underlying's chain: one kind, expirations and strikes between bounds, both included."""

    underlying: str
    kind: Kind
    first: date
    last: date
    lowest: Decimal
    highest: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A contract that the brokerage lists, with what the feed shows of it; a quiet one has no snapshot."""

    contract: Contract
    snapshot: Snapshot | None
