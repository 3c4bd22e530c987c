"""Until when each open position is to be evaluated again, and who looked at it last.

Times are the database's own: neither the evaluators' clocks matter nor the clock of a recorded day.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from domain.ids import AccountName, PositionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """*evaluator* is None while nobody has looked since the position opened at *looked_at*. *age*: since then."""

    position_id: PositionId
    account: AccountName
    symbol: str
    evaluator: str | None
    looked_at: datetime
    due_at: datetime
    age: timedelta

    @property
    def is_overdue(self) -> bool:
        return self.age > self.due_at - self.looked_at

    @property
    def is_abandoned(self) -> bool:
        """Has it been left alone for twice the time?"""
        return self.age > 2 * (self.due_at - self.looked_at)


def note(tx: Connection, positions: Collection[PositionId], evaluator: str, within: timedelta) -> None:
    """Say that *evaluator* looked at *positions* now and that somebody must look again *within* that time."""
    if positions:
        tx.execute(
            text(
                "UPDATE evaluations SET evaluator = :evaluator, looked_at = clock_timestamp(),"
                " due_at = clock_timestamp() + :within WHERE position_id = ANY(:positions)"
            ),
            {"evaluator": evaluator, "within": within, "positions": list(positions)},
        )


def of_open(tx: Connection) -> Sequence[Evaluation]:
    """Return how it stands with every open position."""
    rows = tx.execute(
        text(
            "SELECT position_id, account, symbol, evaluator, looked_at, due_at, clock_timestamp() - looked_at AS age"
            " FROM evaluations JOIN positions USING (position_id) WHERE closed_at IS NULL ORDER BY opened_at"
        )
    )
    return [
        Evaluation(
            position_id=PositionId(r.position_id),
            account=AccountName(r.account),
            symbol=r.symbol,
            evaluator=r.evaluator,
            looked_at=r.looked_at,
            due_at=r.due_at,
            age=r.age,
        )
        for r in rows
    ]
