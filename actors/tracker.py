"""tracker: fills -> positions, written in the transaction that reads the fill and before it is acknowledged.

There is no moment at which a fill is known and its position is not. Facts come twice, in any order and from
socket or REST: each execution is stored once, and the position is the fold over what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from actors.desk import Desk
from actors.executor import end_order
from db import exit_plans, fills, latencies, orders, positions
from db.once import first_time
from db.orders import OrderRow
from db.positions import PositionRow
from domain.events import (
    Fact,
    Intent,
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
    Side,
)
from domain.exits import ExitPolicy, ExitReason, reason_of
from domain.ids import AccountName, external_order_id, fact_id, fill_id, is_flattening, position_id
from domain.instrument import Kind
from domain.orders import Order, OrderStatus
from domain.positions import Fill, Holding, fold
from streams.names import Stream

#: The strategy of a position that somebody else opened: the configuration gives it an exit policy of its own.
ADOPTED: Final = "adopted"

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
        self._fold(tx, fact, row, held)
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
        held = positions.open_in(tx, fact.account, fact.symbol)
        ours = orders.awaited_opening(tx, fact.account, fact.symbol)
        gone = positions.adjusted_away(tx, fact.account, fact.symbol, fact.at)
        order_id = external_order_id(fact.account, fact.broker_order_id)
        if held is not None:
            target, strategy, qty = held.position_id, held.strategy, held.qty
        elif ours is not None:
            target, strategy, qty = ours.order.position_id, ours.strategy, ours.order.side.sign
        elif gone is not None:
            target, strategy, qty = gone.position_id, gone.strategy, -fact.side.sign
        else:
            target, strategy, qty = position_id(order_id), ADOPTED, 0
        order = Order(
            order_id=order_id,
            client_order_id=f"external-{order_id.hex}",
            account=fact.account,
            position_id=target,
            recommendation=None,
            symbol=fact.symbol,
            side=fact.side,
            intent=_intent(fact.side, closes=qty * fact.side.sign < 0),
            qty=fact.cum_qty,
            type=OrderType.MARKET,
            limit_price=None,
            reason=ExitReason.MANUAL if is_flattening(fact.account, fact.client_order_id) else ExitReason.EXTERNAL,
            approved_at=fact.at,
        )
        orders.insert(tx, order, strategy, external=True)
        orders.mark_accepted(tx, order_id, fact.broker_order_id, fact.at)
        return orders.get(tx, order_id)

    # ------------------------------------------------------------ positions

    def _fold(self, tx: Connection, fact: Fact, row: OrderRow, held: PositionRow | None) -> None:
        order = row.order
        holding = fold(fills.of_position(tx, order.position_id), row.multiplier)
        rule = _exit_rule(order, held)
        if held is None:
            self._create(tx, row, holding, rule)
        else:
            positions.save(tx, order.position_id, holding, rule)
        self._tell(tx, fact, order, holding, rule, is_new=held is None)

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

    def _tell(self, tx: Connection, fact: Fact, order: Order, holding: Holding, rule: str, *, is_new: bool) -> None:
        common = {
            "at": fact.at,
            "schema": 1,
            "cause": fact.id,
            "origin": self.desk.origin,
            "position_id": order.position_id,
            "account": order.account,
            "symbol": order.symbol,
        }
        if holding.qty == 0:
            closed = PositionClosed(
                id=fact_id("closed", fact.id),
                exit_price=holding.exit_price,
                realized_pnl_usd=holding.realized_pnl_usd,
                exit_reason=reason_of(rule),
                **common,  # type: ignore[arg-type]  # the fields that all three facts share
            )
            self.desk.announce(tx, Stream.DECISIONS, closed)
            return
        fact_type = PositionOpened if is_new else PositionChanged
        changed = fact_type(
            id=fact_id("position", fact.id),
            qty=holding.qty,
            entry_price=holding.entry_price,
            **common,  # type: ignore[arg-type]
        )
        self.desk.announce(tx, Stream.DECISIONS, changed)

    # ------------------------------------------------------------ adjustments

    def _adjusted(self, tx: Connection, fact: PositionAdjusted) -> None:
        """Bring the position to what the brokerage holds, by one entry that says that it is an adjustment."""
        held = positions.open_in(tx, fact.account, fact.symbol)
        difference = fact.qty - (held.qty if held else 0)
        if difference == 0:
            return
        row = self._adjustment_order(tx, fact, held, difference)
        fill = Fill(
            fill_id=fill_id(fact.account, _adjustment_name(fact), abs(difference)),
            broker_order_id=_adjustment_name(fact),
            cum_qty=abs(difference),
            side=row.order.side,
            opens=row.order.intent.opens,
            qty=abs(difference),
            price=fact.price if row.order.intent.opens else None,
            at=fact.at,
        )
        fills.insert(
            tx,
            fill=fill,
            account=fact.account,
            order_id=row.order.order_id,
            position_id=row.order.position_id,
            symbol=fact.symbol,
            execution_id=None,
            source="adjustment",
            read_at=self.desk.wall(),
        )
        orders.record_filled(tx, row.order.order_id, abs(difference), fact.at)
        self._fold(tx, fact, row, held)

    @staticmethod
    def _adjustment_order(
        tx: Connection, fact: PositionAdjusted, held: PositionRow | None, difference: int
    ) -> OrderRow:
        order_id = external_order_id(fact.account, _adjustment_name(fact))
        side = Side.BUY if difference > 0 else Side.SELL
        order = Order(
            order_id=order_id,
            client_order_id=f"adjustment-{order_id.hex}",
            account=fact.account,
            position_id=held.position_id if held else position_id(order_id),
            recommendation=None,
            symbol=fact.symbol,
            side=side,
            intent=_intent(side, closes=held is not None and held.qty * difference < 0),
            qty=abs(difference),
            type=OrderType.MARKET,
            limit_price=None,
            reason=ExitReason.EXTERNAL,
            approved_at=fact.at,
        )
        orders.insert(tx, order, held.strategy if held else ADOPTED, external=True)
        orders.mark_accepted(tx, order_id, _adjustment_name(fact), fact.at)
        return orders.get(tx, order_id)


def _adjustment_name(fact: PositionAdjusted) -> str:
    return f"adjustment-{fact.id}"


def _intent(side: Side, *, closes: bool) -> Intent:
    if side is Side.BUY:
        return Intent.BUY_TO_CLOSE if closes else Intent.BUY_TO_OPEN
    return Intent.SELL_TO_CLOSE if closes else Intent.SELL_TO_OPEN


def _exit_rule(order: Order, held: PositionRow | None) -> str:
    """A fill of a closing order brings the rule that wrote it; a late entry fill keeps what was there."""
    if not order.intent.opens:
        return order.reason
    return (held.exit_rule if held else None) or ExitReason.EXTERNAL
