"""What a rule asks for becomes a closing order: in a transaction that looks at the row again.

Whatever memory says, a close comes from the position's own row; what it asked for is remembered in memory and in rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from actors.closing import write_close
from actors.desk import Desk
from actors.watches import Closing, Watch, watched
from db import exit_plans, positions
from db.positions import PositionRow
from domain.events import ExitTriggered
from domain.exits import Exit, Moment, ladder
from domain.ids import PositionId, fact_id
from domain.orders import Order
from domain.session import Session
from streams.names import Stream


@dataclass(frozen=True, slots=True)
class Leaving:
    desk: Desk

    def all(self, watch: Watch, found: Exit, now: datetime) -> None:
        """Write a close of all that the row holds; it is pursued until nothing is left.

        A limit that is live already and keeps *found* waiting is asked to end instead.
        """
        order, price = None, watch.willing_price_at(now)
        with self.desk.begin() as tx:
            row = positions.lock(tx, watch.position.position_id)
            if row is not None and row.qty != 0:
                self._keep_excursion(tx, watch)
                order = self._write(tx, row, found, abs(row.qty), price, now)
        if watch.triggered is None:
            self._count(order, found)
        watch.triggered = watch.triggered or found.rule
        watch.at_limit = order is not None and order.limit_price is not None
        watch.closing = Closing.A_PART if watch.closing is Closing.A_PART else Closing.ALL

    def a_part(self, watch: Watch, moment: Moment, calendar: tuple[Session, ...]) -> None:
        """Write a close of what the row, asked again, says is due; the rung is remembered with it."""
        with self.desk.begin() as tx:
            row = positions.lock(tx, watch.position.position_id)
            if row is None or row.qty == 0:
                return
            self._keep_excursion(tx, watch)
            fresh = watched(row, calendar)
            found = ladder(replace(fresh, excursion=watch.position.excursion), moment)
            order = None
            if found is not None and found.part is not None:
                exit_plans.mark_rung(tx, row.position_id, found.part.at_pct)
                order = self._write(tx, row, found, found.part.qty, moment.price, moment.now)
        if found is not None:
            self._count(order, found)
        watch.closing = Closing.A_PART

    def _keep_excursion(self, tx: Connection, watch: Watch) -> None:
        """The row says what the decision used, also what no flush has written yet."""
        if watch.dirty:
            pos = watch.position
            exit_plans.widen_excursion(tx, pos.position_id, pos.excursion, pos.is_long)

    def _write(
        self, tx: Connection, row: PositionRow, found: Exit, qty: int, price: Decimal | None, now: datetime
    ) -> Order | None:
        order = write_close(tx, self.desk, row, qty=qty, rule=found.rule, cause=str(row.position_id), price=price)
        if order is not None:
            self._tell(tx, row.position_id, order, found, now)
        return order

    def _count(self, order: Order | None, found: Exit) -> None:
        """A metric counts what is committed."""
        if order is not None:
            self.desk.metrics.exit_triggered(order.account, found.reason)

    def _tell(self, tx: Connection, position: PositionId, order: Order, found: Exit, now: datetime) -> None:
        fact = ExitTriggered(
            id=fact_id("triggered", order.order_id),
            at=now,
            schema=1,
            cause=str(position),
            origin=self.desk.origin,
            position_id=position,
            account=order.account,
            symbol=order.symbol,
            rule=found.rule,
            detail=found.detail,
            order_id=order.order_id,
        )
        self.desk.announce(tx, Stream.DECISIONS, fact)
