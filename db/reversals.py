"""Recommendations that speak against what is held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from sqlalchemy import Connection, text

from domain.ids import PositionId


def confidences(tx: Connection, positions: Sequence[PositionId]) -> Mapping[PositionId, Decimal]:
    """Return, for each of *positions*, the highest confidence with which its opposite was recommended since it opened.

    Only what was read counts, and only for the accounts that it names; whether a gate approved it does not matter.
    A CALL or STOCK bets on a rise, a PUT on a fall; a short position on the opposite of what it is.
    """
    rows = tx.execute(
        text(
            "SELECT p.position_id, max((r.body ->> 'confidence')::numeric) AS confidence"
            "  FROM positions p JOIN recommendations r ON r.body ->> 'underlying' = p.underlying"
            " WHERE p.position_id = ANY(:positions) AND r.at > p.opened_at AND r.body ->> 'action' = 'BUY'"
            "   AND jsonb_exists(r.body -> 'accounts', p.account)"
            "   AND (r.body ->> 'instrument' = 'PUT') <> ((p.kind = 'PUT') <> (p.qty < 0))"
            " GROUP BY p.position_id"
        ),
        {"positions": list(positions)},
    )
    return {PositionId(r.position_id): r.confidence for r in rows}
