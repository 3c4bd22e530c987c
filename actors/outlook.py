"""What others know about the positions that are held, gathered for the exit rules.

Each answer is Known with its time and source or Unknown with a reason; an Unknown closes nothing. Theta and the level
of volatility are what feeds learned from REST, dates of earnings are what a person configured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection

from db import marks, reversals, thetas
from db.positions import PositionRow
from domain.checks import clock_text
from domain.earnings import sessions_until_report
from domain.exits import Outlook, Regime
from domain.ids import PositionId
from domain.instrument import Kind, parse_symbol
from domain.known import Known, Unknown
from domain.regime import RegimeRules, band_of, regime_of
from domain.session import Session, trading_day

#: A theta that was learned longer ago says nothing about the price any more.
MAX_THETA_AGE: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What people configured. *max_divergence_pct*: per cent by which two sources of prices may differ.

    *regime*: by which price the market counts as agitated; *earnings*: the dates on which a ticker reports.
    """

    max_divergence_pct: Decimal
    regime: RegimeRules | None
    earnings: Mapping[str, Sequence[date]]


#: What holds where nothing is configured.
NOTHING_CONFIGURED: Final = Sources(max_divergence_pct=Decimal(10), regime=None, earnings={})
_UNASKED: Final = "no rule asks for it"
#: What is known about a position before anybody was asked.
NOTHING_KNOWN: Final = Outlook(
    theta=Unknown(_UNASKED, "snapshots"),
    regime=Unknown("no [volatility] is configured", "config"),
    sessions_to_earnings=Unknown(_UNASKED, "config"),
    reversal=Unknown(_UNASKED, "recommendations"),
)


def gather(
    tx: Connection, rows: Sequence[PositionRow], now: datetime, sources: Sources, calendar: Sequence[Session]
) -> Mapping[PositionId, Outlook]:
    """Return the outlook of each position; what no rule of its policy asks for is not looked up."""
    asking = [row.position_id for row in rows if row.policy.reversal_min_confidence is not None]
    found = reversals.confidences(tx, asking) if asking else {}
    decaying = [row.symbol for row in rows if row.policy.theta_pct is not None]
    taken = thetas.of(tx, decaying) if decaying else {}
    regime = _regime(tx, sources.regime, now) if rows else NOTHING_KNOWN.regime
    return {
        row.position_id: Outlook(
            theta=_theta(row, taken.get(row.symbol), now),
            regime=regime,
            sessions_to_earnings=_earnings(row, sources, now, calendar),
            reversal=Known(found.get(row.position_id), now, "recommendations")
            if row.position_id in asking
            else NOTHING_KNOWN.reversal,
        )
        for row in rows
    }


def _theta(row: PositionRow, known: Known[Decimal] | None, now: datetime) -> Known[Decimal] | Unknown:
    if row.policy.theta_pct is None:
        return NOTHING_KNOWN.theta
    if row.kind is Kind.STOCK:
        return Unknown("a stock has no theta", "snapshots")
    if known is None:
        return Unknown(f"the feed told no theta of {row.symbol}", "snapshots")
    if now - known.at > MAX_THETA_AGE:
        return Unknown(f"the theta of {row.symbol} is of {clock_text(known.at)}", known.source)
    return known


def _regime(tx: Connection, rules: RegimeRules | None, now: datetime) -> Known[Regime] | Unknown:
    if rules is None:
        return NOTHING_KNOWN.regime
    band = band_of(rules, marks.level(tx, rules.symbol), now)
    if isinstance(band, Unknown):
        return band
    regime = regime_of(band.value)
    if regime is None:
        return Unknown(f"the band {band.value.name} is called like no regime", "config")
    return Known(regime, band.at, band.source)


def _earnings(
    row: PositionRow, sources: Sources, now: datetime, calendar: Sequence[Session]
) -> Known[int | None] | Unknown:
    if row.policy.earnings_within_sessions is None:
        return NOTHING_KNOWN.sessions_to_earnings
    ticker = parse_symbol(row.symbol).underlying
    if ticker not in sources.earnings:
        return Unknown(f"[earnings] says nothing about {ticker}", "config")
    return Known(sessions_until_report(sources.earnings[ticker], trading_day(now), calendar), now, "config")
