"""What a gate looks at: everything a decision needs, read before it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from domain.account import Book
from domain.checks import Check
from domain.contracts import Snapshot
from domain.events import Quote, RecommendationIssued
from domain.gates.rules import EntryRules
from domain.history import History
from domain.instrument import Contract, Instrument
from domain.interlock import Sign
from domain.known import Known, Unknown
from domain.money import usd
from domain.regime import Band
from domain.selection import Selection
from domain.session import Session
from domain.sizing import Sizing


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Everything a decision looks at, read before it is made. An input that is missing is Unknown."""

    rec: RecommendationIssued
    selection: Selection | None
    now: datetime
    rules: EntryRules
    book: Book
    pulse: Known[tuple[Sign, ...]] | Unknown
    instrument: Instrument | Unknown
    contract: Known[Contract] | Unknown
    session: Known[Session] | Unknown
    last_session: Known[Session | None] | Unknown
    quote: Known[Quote] | Unknown
    feed_at: Known[datetime] | Unknown
    buying_power_usd: Known[Decimal] | Unknown
    equity_usd: Known[Decimal] | Unknown
    trading_blocked: Known[bool] | Unknown
    history: Known[History] | Unknown
    sizing: Sizing | Unknown
    snapshots: Known[Mapping[str, Snapshot]] | Unknown
    volatility: Known[Band] | Unknown

    @property
    def symbol(self) -> str | None:
        """The contract that is named, or else the one that was chosen."""
        return self.rec.symbol or (self.selection.symbol if self.selection else None)

    @property
    def ask(self) -> Known[Decimal] | Unknown:
        return ask_of(self.quote)

    @property
    def cost_usd(self) -> Known[Decimal] | Unknown:
        """Quantity x ask x multiplier: what the order would commit."""
        if isinstance(self.ask, Unknown):
            return self.ask
        if isinstance(self.sizing, Unknown):
            return self.sizing
        if isinstance(self.instrument, Unknown):
            return self.instrument
        cost = self.sizing.qty * self.ask.value * self.instrument.multiplier
        return Known(usd(cost), self.ask.at, self.ask.source)


Gate = Callable[[Proposal], Check]


def ask_of(quote: Known[Quote] | Unknown) -> Known[Decimal] | Unknown:
    """Return what a unit costs; an offer that is no positive number is none."""
    if isinstance(quote, Unknown):
        return quote
    ask = quote.value.ask
    if ask is None or not ask.is_finite() or ask <= 0:
        return Unknown("nobody offers it", quote.source)
    return Known(ask, quote.at, quote.source)
