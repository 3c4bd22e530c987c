"""What others know about the positions that are held, gathered for the exit rules.

Each answer is Known with its time and source or Unknown with a reason; an Unknown closes nothing. Theta, the regime and
earnings have no source yet: whoever brings one gives its answer here, and every rule that asks for it works.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection

from db import reversals
from db.positions import PositionRow
from domain.exits import Outlook
from domain.ids import PositionId
from domain.known import Known, Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What people configured. *max_divergence_pct*: per cent by which two sources of prices may differ."""

    max_divergence_pct: Decimal


#: What holds where nothing is configured.
NOTHING_CONFIGURED: Final = Sources(max_divergence_pct=Decimal(10))
_NOBODY: Final = "nobody supplies it yet"
#: What is known about a position before anybody was asked.
NOTHING_KNOWN: Final = Outlook(
    theta=Unknown(_NOBODY, "greeks"),
    regime=Unknown(_NOBODY, "regime"),
    sessions_to_earnings=Unknown(_NOBODY, "earnings"),
    reversal=Unknown("no rule asks for it", "recommendations"),
)


def gather(tx: Connection, rows: Sequence[PositionRow], now: datetime) -> Mapping[PositionId, Outlook]:
    """Return the outlook of each position; what no rule of its policy asks for is not looked up."""
    asking = [row.position_id for row in rows if row.policy.reversal_min_confidence is not None]
    found = reversals.confidences(tx, asking) if asking else {}
    return {
        row.position_id: Outlook(
            theta=NOTHING_KNOWN.theta,
            regime=NOTHING_KNOWN.regime,
            sessions_to_earnings=NOTHING_KNOWN.sessions_to_earnings,
            reversal=Known(found.get(row.position_id), now, "recommendations")
            if row.position_id in asking
            else NOTHING_KNOWN.reversal,
        )
        for row in rows
    }
