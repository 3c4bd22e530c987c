"""tracker: fills -> positions, written in the transaction that reads the fill and before it is acknowledged.

There is no moment at which a fill is known and its position is not. Facts come twice, in any order and from
socket or REST: each execution is stored once, and the position is the fold over what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from actors import adjusting, settling
from actors.desk import Desk
from actors.entries import ADOPTED, intent
from actors.executor import end_order
from db import activities, exit_plans, fills, latencies, orders, positions
from db.once import first_time
from db.orders import OrderRow
from db.positions import PositionRow
from domain.events import (
    ActivityBooked,
    Fact,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderType,
    PositionAdjusted,
    PositionChanged,
    PositionClosed,
    PositionOpened,
    PositionSettled,
)
from domain.exits import ExitPolicy, ExitReason, reason_of
from domain.ids import AccountName, external_order_id, fact_id, fill_id, is_flattening, position_id
from domain.instrument import Kind
from domain.orders import Order, OrderStatus
from domain.positions import Fill, Holding, fold
from streams.names import Stream

PolicyOf = Callable[[AccountName, str, Kind], ExitPolicy]


@dataclass(frozen=True, slots=True)
class Tracker:
    """*policy_of* answers with the exit policy of an (account, strategy, kind); it is stored with the position."""

    desk: Desk
    policy_of: PolicyOf

    name = "tracker"

    def handle(self, batch: Sequence[Fact]) -> None:
        """Apply a batch of facts in one transaction; what was applied before is passed over."""
        with self.desk.begin() as tx:
            applied = [fact for fact in batch if first_time(tx, self.name, fact.id) and self._apply(tx, fact)]
        self._measure([fact for fact in applied if isinstance(fact, OrderFilled)])

    def _measure(self, applied: Sequence[OrderFilled]) -> None:
        """The gap of promise 1: from the frame that was read to this commit."""
        if not applied:
            return
        now = self.desk.wall()
        gaps_s = [(now - fact.read_at).total_seconds() for fact in applied]
        with self.desk.begin() as tx:
            latencies.add(tx, "fill_to_position_ms", [gap_s * 1000 for gap_s in gaps_s])
        for fact, gap_s in zip(applied, gaps_s, strict=True):
            self.desk.metrics.filled(fact.account, fact.source, gap_s)

    def _apply(self, tx: Connection, fact: Fact) -> bool:
        match fact:
            case OrderFilled():
                return self._filled(tx, fact)
            case OrderAccepted():
                self._accepted(tx, fact)
            case OrderRejected():
                self._ended(tx, fact, OrderStatus.REJECTED, fact.code, fact.message)
            case OrderCanceled():
                self._ended(tx, fact, OrderStatus.CANCELED, None, None)
            case OrderExpired():
                self._ended(tx, fact, OrderStatus.EXPIRED, None, None)
            case PositionAdjusted():
                self._adjusted(tx, fact)
            case PositionSettled():
                return self._settled(tx, fact)
            case ActivityBooked():
                return activities.insert(tx, fact, self.desk.wall())
            case _:
                raise TypeError(f"type: {type(fact).__name__} is no fact of the stream of fills")
        return True

    # ------------------------------------------------------------ what becomes of an order

    def _accepted(self, tx: Connection, fact: OrderAccepted) -> None:
        row = orders.find(tx, fact.account, fact.broker_order_id, fact.client_order_id)
        if row is not None:
            orders.mark_accepted(tx, row.order.order_id, fact.broker_order_id, fact.at)

    def _ended(
        self,
        tx: Connection,
        fact: OrderRejected | OrderCanceled | OrderExpired,
        status: OrderStatus,
        code: str | None,
        message: str | None,
    ) -> None:
        row = orders.find(tx, fact.account, fact.broker_order_id, fact.client_order_id)
        if row is None:
            return
        positions.lock(tx, row.order.position_id)
        row = orders.lock(tx, row.order.order_id)
        end_order(tx, self.desk, row, status, filled_qty=fact.filled_qty, code=code, message=message)

    # ------------------------------------------------------------ fills

    def _filled(self, tx: Connection, fact: OrderFilled) -> bool:
        row = orders.find(tx, fact.account, fact.broker_order_id, fact.client_order_id)
        if row is None:
            row = self._adopt_order(tx, fact)
        held = positions.lock(tx, row.order.position_id)
        row = orders.lock(tx, row.order.order_id)
        if row.broker_order_id is None:
            orders.mark_accepted(tx, row.order.order_id, fact.broker_order_id, fact.at)
        if not self._store(tx, fact, row):
            return False
        orders.widen_external(tx, row.order.order_id, fact.cum_qty)
        orders.record_filled(tx, row.order.order_id, fills.filled_of_order(tx, row.order.order_id), fact.at)
        self._fold(tx, fact.id, fact.at, row, held)
        self._settle(tx, fact.account, fact.symbol)
        return True

    @staticmethod
    def _store(tx: Connection, fact: OrderFilled, row: OrderRow) -> bool:
        fill = Fill(
            fill_id=fill_id(fact.account, fact.broker_order_id, fact.cum_qty),
            broker_order_id=fact.broker_order_id,
            cum_qty=fact.cum_qty,
            side=fact.side,
            opens=row.order.intent.opens,
            qty=fact.qty,
            price=fact.price,
            at=fact.at,
            held_after=None,
            reason=row.order.reason,
        )
        return fills.insert(
            tx,
            fill=fill,
            account=fact.account,
            order_id=row.order.order_id,
            position_id=row.order.position_id,
            symbol=fact.symbol,
            execution_id=fact.execution_id,
            source=fact.source,
            read_at=fact.read_at,
        )

    def _adopt_order(self, tx: Connection, fact: OrderFilled) -> OrderRow:
        """Write the row of an order that somebody else placed: it closes or widens what we hold, or opens anew."""
        missed = adjusting.gap(tx, fact.account, fact.symbol, fact.side.sign, fact.at)
        held = positions.open_in(tx, fact.account, fact.symbol)
        ours = orders.awaited_opening(tx, fact.account, fact.symbol)
        order_id = external_order_id(fact.account, fact.broker_order_id)
        if missed is not None:
            target, strategy, closes = missed.held.position_id, missed.held.strategy, missed.took
        elif held is not None:
            target, strategy, closes = held.position_id, held.strategy, held.qty * fact.side.sign < 0
        elif ours is not None:
            target, strategy = ours.order.position_id, ours.strategy
            closes = ours.order.side is not fact.side
        else:
            target, strategy, closes = position_id(order_id), ADOPTED, False
        order = Order(
            order_id=order_id,
            client_order_id=f"external-{order_id.hex}",
            account=fact.account,
            position_id=target,
            recommendation=None,
            symbol=fact.symbol,
            side=fact.side,
            intent=intent(fact.side, closes=closes),
            qty=fact.cum_qty,
            type=OrderType.MARKET,
            limit_price=None,
            awaited_until=None,
            reason=ExitReason.MANUAL if is_flattening(fact.account, fact.client_order_id) else ExitReason.EXTERNAL,
            approved_at=fact.at,
        )
        orders.insert(tx, order, strategy, external=True, detail=adjusting.whose(tx, fact))
        orders.mark_accepted(tx, order_id, fact.broker_order_id, fact.at)
        return orders.get(tx, order_id)

    # ------------------------------------------------------------ positions

    def _fold(self, tx: Connection, cause: str, at: datetime, row: OrderRow, held: PositionRow | None) -> None:
        """Bring the position to what its fills add up to, because of *cause*, which happened *at*."""
        order = row.order
        holding = fold(fills.of_position(tx, order.position_id), row.multiplier)
        rule = _exit_rule(holding)
        if held is None:
            self._create(tx, row, holding, rule)
        else:
            positions.save(tx, order.position_id, holding, rule)
        news: dict[str, Any] = {
            "at": at,
            "schema": 1,
            "cause": cause,
            "origin": self.desk.origin,
            "position_id": order.position_id,
            "account": order.account,
            "symbol": order.symbol,
        }
        self._tell(tx, news, holding, rule, is_new=held is None)

    def _create(self, tx: Connection, row: OrderRow, holding: Holding, rule: str) -> None:
        """Write the position with its exit plan. It is ours if an order of ours opens it, whichever fill came first."""
        order = row.order
        ours = orders.own_opening(tx, order.position_id)
        strategy = ours.strategy if ours else row.strategy
        exit_plans.plan(tx, order.position_id, self.policy_of(order.account, strategy, row.kind))
        positions.create(
            tx,
            position_id=order.position_id,
            account=order.account,
            symbol=order.symbol,
            strategy=strategy,
            recommendation=ours.order.recommendation if ours else None,
            adopted=ours is None,
            holding=holding,
            exit_rule=rule,
        )

    def _tell(self, tx: Connection, news: Mapping[str, Any], holding: Holding, rule: str, *, is_new: bool) -> None:
        if holding.qty == 0:
            closed = PositionClosed(
                id=fact_id("closed", news["cause"]),
                exit_price=holding.exit_price,
                realized_pnl_usd=holding.realized_pnl_usd,
                exit_reason=reason_of(rule),
                **news,
            )
            self.desk.announce(tx, Stream.DECISIONS, closed)
            return
        fact_type = PositionOpened if is_new else PositionChanged
        changed = fact_type(
            id=fact_id("position", news["cause"]),
            qty=holding.qty,
            entry_price=holding.entry_price,
            **news,
        )
        self.desk.announce(tx, Stream.DECISIONS, changed)

    # ------------------------------------------------------------ what no trade brought

    def _adjusted(self, tx: Connection, fact: PositionAdjusted) -> None:
        entry = adjusting.adjust(tx, fact, self.desk.wall())
        if entry is not None:
            self._fold(tx, fact.id, fact.at, entry.row, entry.held)
            self._settle(tx, fact.account, fact.symbol)

    def _settled(self, tx: Connection, fact: PositionSettled) -> bool:
        if not activities.insert(tx, fact, self.desk.wall()):
            return False
        self._settle(tx, fact.account, fact.symbol)
        return True

    def _settle(self, tx: Connection, account: AccountName, symbol: str) -> None:
        """What was booked and waited for what it belongs to."""
        for entry in settling.settle(tx, account, symbol, self.desk.clock(), self.desk.wall()):
            order = entry.row.order
            self._fold(tx, str(order.order_id), order.approved_at, entry.row, entry.held)


def _exit_rule(holding: Holding) -> str:
    """What took away last; an entry that took something away (a sale was read before it) is nobody's rule."""
    return holding.left_by or ExitReason.EXTERNAL
