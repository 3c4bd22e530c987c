"""executor: approved orders -> Alpaca.

The row says ``submitting`` before the call and the client order id is derived from the order, so whatever dies
in between, the order is found again and never sent twice. Entries and exits are two executors with their
own subscription, thread, HTTP client and share of the rate budget: an entry that hangs delays no close.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from actors.closing import write_close
from actors.desk import Desk
from brokerage.port import (
    Brokerage,
    BrokerageError,
    BrokerageUnavailable,
    BrokerOrder,
    NotCancelable,
    OrderRejected,
    OrderRequest,
)
from brokerage.submit import find, place
from db import accounts, exit_plans, latencies, orders, positions, sessions
from db.orders import OrderRow
from domain.account import TradingState
from domain.closing import Terms, pause_after
from domain.events import OrderApproved, OrderEnded
from domain.ids import AccountName, OrderId, fact_id
from domain.orders import Order, OrderStatus
from domain.session import Session, market_is_closed, session_of, trading_day
from streams.names import Stream

#: How long the end of a canceled entry is awaited before its position is closed; then the close is tried again.
CANCEL_WAIT_S: Final = 5.0
CANCEL_POLL_S: Final = 0.05

#: An order that is not with the brokerage after this long was left behind (its entry is gone, or its sender died).
LEFT_BEHIND: Final = timedelta(seconds=5)

#: Alpaca's words for the end of an order, as ours.
ENDS: Final[Mapping[str, OrderStatus]] = {
    "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
    "replaced": OrderStatus.CANCELED,
}


class EntryStillLive(BrokerageUnavailable):
    """The opening order of a position that is to be closed has not ended yet: wait, then close."""


@dataclass(frozen=True, slots=True)
class Executor:
    """One of the two: *opens* tells which kind of order it sweeps.

    *entry_ttl*: what is unfilled of an opening after this is canceled, and an older one is never sent.
    *brokerages* are its own: their HTTP sessions are used by one thread at a time.
    """

    desk: Desk
    brokerages: Mapping[AccountName, Brokerage]
    entry_ttl: timedelta
    opens: bool
    sleep: Callable[[float], None] = time.sleep
    _turn: threading.Lock = field(default_factory=threading.Lock, init=False)

    name = "executor"

    def handle(self, fact: OrderApproved) -> None:
        """Place the order of *fact*; safe to repeat after any crash, because the row says how far it came.

        Raises:
            BrokerageUnavailable: nothing is certain yet; the entry is delivered again.
        """
        with self._turn:
            self._pursue(fact.order_id)

    def _pursue(self, order_id: OrderId) -> None:
        """Bring the order one step on: send it, look it up, adopt it or end it."""
        with self.desk.engine.connect() as tx:
            row = orders.get(tx, order_id)
        if not row.live or row.status is OrderStatus.ACCEPTED:
            return
        if row.status is OrderStatus.SUBMITTING and self._adopted(row):
            return
        if row.order.intent.opens:
            self._open(row)
        else:
            self._close(row)

    def _adopted(self, row: OrderRow) -> bool:
        """A former try may have arrived: only an order that is surely absent is sent again."""
        found = find(self._brokerage(row), row.order.client_order_id, self.sleep)
        if found is not None:
            self._accept(row, found)
        return found is not None

    # ------------------------------------------------------------ opening

    def _open(self, row: OrderRow) -> None:
        if reason := self._too_late(row):
            self._end(row, OrderStatus.EXPIRED_UNSENT, code=reason, message="not sent")
            return
        self._send(row)

    def _too_late(self, row: OrderRow) -> str | None:
        """Say why an opening may not be sent (any more), or None."""
        now = self.desk.clock()
        if now - row.order.approved_at > self.entry_ttl:
            return "too_old"
        with self.desk.engine.connect() as tx:
            state, _ = accounts.state_of(tx, row.order.account)
        if state is not TradingState.ACTIVE:
            return f"account_{state}"
        session = self._session(row)
        return None if session is not None and session.is_open(now) else "out_of_session"

    def _session(self, row: OrderRow) -> Session | None:
        today = trading_day(self.desk.clock())
        return next(iter(self._brokerage(row).sessions(today, today)), None)

    # ------------------------------------------------------------ closing

    def _close(self, row: OrderRow) -> None:
        """Cancel what is left of the opening, clamp to what the brokerage holds, send; unless it is wanted no more."""
        if unsent := self._not_to_be_sent(row):  # it is surely not at the brokerage, and is not to get there
            code, message = unsent
            self._end(row, OrderStatus.EXPIRED_UNSENT, code=code, message=message)
            return
        self._end_openings(row)
        held = self._brokerage(row).position(row.order.symbol)
        ours = held is not None and held.qty * _direction(row) < 0
        available = held.available_qty if held is not None and ours else 0
        if available >= row.order.qty:
            self._send(row)
        elif available > 0:
            self._shrink(row, available)
        else:
            code = "held_by_other_orders" if ours else "not_held"
            self._end(row, OrderStatus.REJECTED, code=code, message=f"the brokerage has {held} to close")

    def _not_to_be_sent(self, row: OrderRow) -> tuple[str, str] | None:
        """Say why a close that was not sent yet is not sent any more, as code and sentence, or None."""
        now = self.desk.clock()
        if row.cancel_asked_at is not None or _is_over(row, now):
            return "canceled_unsent", "canceled before it was sent"
        with self.desk.engine.connect() as tx:
            closed = market_is_closed(sessions.around(tx, now), now)
        return ("out_of_session", "it waits for the next open") if closed else None

    def _end_openings(self, row: OrderRow) -> None:
        with self.desk.engine.connect() as tx:
            live = orders.live_of_position(tx, row.order.position_id)
        for opening in (r for r in live if r.order.intent.opens and not r.external):
            self._cancel(opening)
            self._await_end(opening)

    def _await_end(self, opening: OrderRow) -> None:
        """Wait until the brokerage says that the order has ended; fills and rows follow over the stream."""
        if opening.status is OrderStatus.APPROVED:
            return
        polls = int(CANCEL_WAIT_S / CANCEL_POLL_S)
        for _ in range(polls):
            found = self._brokerage(opening).order_by_client_id(opening.order.client_order_id)
            if found is None or found.ended:
                return
            self.sleep(CANCEL_POLL_S)
        raise EntryStillLive(f"opening order {opening.order.client_order_id} has not ended")

    def _shrink(self, row: OrderRow, available: int) -> None:
        """End this close unsent and write one over what can be sold, in one transaction."""
        with self.desk.begin() as tx:
            held = positions.lock(tx, row.order.position_id)
            self._end_in(tx, row, OrderStatus.EXPIRED_UNSENT, code="clamped", message=f"{available} available")
            if held is not None and held.qty != 0:
                qty, order = min(available, abs(held.qty)), row.order
                same = Terms(limit_price=order.limit_price, awaited_until=order.awaited_until, next_step=0)
                write_close(tx, self.desk, held, qty=qty, rule=order.reason, cause=str(order.order_id), terms=same)

    # ------------------------------------------------------------ the call

    def _send(self, row: OrderRow) -> None:
        with self.desk.begin() as tx:
            current = orders.lock(tx, row.order.order_id)
            if not current.live or current.status is OrderStatus.ACCEPTED:
                return
            orders.mark_submitting(tx, row.order.order_id, self.desk.clock())
        try:
            found = place(self._brokerage(row), _request(row.order), self.sleep)
        except OrderRejected as e:
            self._end(row, OrderStatus.REJECTED, code=e.code, message=e.message)
            return
        self._accept(row, found)

    def _accept(self, row: OrderRow, found: BrokerOrder) -> None:
        """Record the brokerage's id; an order found already ended is ended here, its fills follow as fills."""
        with self.desk.begin() as tx:
            positions.lock(tx, row.order.position_id)
            orders.lock(tx, row.order.order_id)
            orders.mark_accepted(tx, row.order.order_id, found.broker_order_id, self.desk.clock())
            if found.ended and found.status != "filled":
                self._end_in(tx, row, ENDS[found.status], code=None, message=None, filled_qty=found.filled_qty)
        self._measure(row)

    def _measure(self, row: OrderRow) -> None:
        order = row.order
        if row.status is not OrderStatus.ACCEPTED:
            after_s = (self.desk.clock() - order.approved_at).total_seconds()
            self.desk.metrics.accepted(order.account, opens=order.intent.opens, after_s=after_s)
        if row.order.recommendation is None or not row.order.intent.opens:
            return
        with self.desk.begin() as tx:
            latencies.add_since_read(tx, "recommendation_to_order_ms", row.order.recommendation, self.desk.wall())

    def _end(self, row: OrderRow, status: OrderStatus, *, code: str | None, message: str | None) -> None:
        with self.desk.begin() as tx:
            positions.lock(tx, row.order.position_id)
            self._end_in(tx, row, status, code=code, message=message)

    def _end_in(
        self,
        tx: Connection,
        row: OrderRow,
        status: OrderStatus,
        *,
        code: str | None,
        message: str | None,
        filled_qty: int = 0,
    ) -> None:
        end_order(tx, self.desk, row, status, filled_qty=filled_qty, code=code, message=message)

    # ------------------------------------------------------------ cancels and leftovers

    def _cancel(self, row: OrderRow) -> None:
        """Ask the brokerage to end a live order. Its end comes over the stream; a fill may win."""
        now = self.desk.clock()
        if row.status is OrderStatus.APPROVED:
            self._end(row, OrderStatus.EXPIRED_UNSENT, code="canceled_unsent", message="canceled before it was sent")
            return
        broker_order_id = row.broker_order_id or self._broker_id(row)
        if broker_order_id is None:
            return
        with self.desk.begin() as tx:
            orders.ask_cancel(tx, row.order.order_id, now)
        try:
            self._brokerage(row).cancel(broker_order_id)
        except NotCancelable:
            self._settle(row, broker_order_id)

    def _broker_id(self, row: OrderRow) -> str | None:
        found = self._brokerage(row).order_by_client_id(row.order.client_order_id)
        return found.broker_order_id if found else None

    def _settle(self, row: OrderRow, broker_order_id: str) -> None:
        """The order had ended before the cancel: let the row say how."""
        found = self._brokerage(row).order(broker_order_id)
        if found is not None and found.ended:
            self._accept(row, found)

    def sweep(self, now: datetime, account: AccountName | None = None, left_behind: timedelta = LEFT_BEHIND) -> None:
        """On a timer: pursue orders that were left behind so long; cancel what is not wanted (any more).

        *account*: only its orders.

        Raises:
            BrokerageError: of one order, when all the others have had their turn.
        """
        with self.desk.engine.connect() as tx:
            live = [r for r in orders.live(tx, account) if not r.external and r.order.intent.opens is self.opens]
            named = {row.order.account for row in live}
            halted = {name for name in named if accounts.state_of(tx, name)[0] is TradingState.HALTED}
        failed: BrokerageError | None = None
        for row in live:
            try:
                with self._turn:
                    self._sweep_one(row, now, row.order.account in halted, left_behind)
            except BrokerageError as e:
                failed = e
        if failed is not None:
            raise failed

    def _sweep_one(self, row: OrderRow, now: datetime, halted: bool, left_behind: timedelta) -> None:
        age = now - row.order.approved_at
        expired = (age >= self.entry_ttl or halted) if self.opens else _is_over(row, now)
        unwanted = row.cancel_asked_at is not None or expired
        if row.status is not OrderStatus.ACCEPTED:
            if age >= left_behind or unwanted:
                self._pursue(row.order.order_id)
        elif unwanted:
            self._cancel(row)

    def _brokerage(self, row: OrderRow) -> Brokerage:
        return self.brokerages[row.order.account]


def end_order(
    tx: Connection,
    desk: Desk,
    row: OrderRow,
    status: OrderStatus,
    *,
    filled_qty: int,
    code: str | None,
    message: str | None,
) -> None:
    """Record an order's end and announce it; a close that others ended with quantity left is tried after a pause.

    The caller holds the position.
    """
    now = desk.clock()
    order = row.order
    asked = orders.lock(tx, order.order_id).cancel_asked_at is not None or _is_over(row, now)
    if not orders.end(tx, order.order_id, status, filled_qty=filled_qty, now=now, code=code, message=message):
        return
    desk.metrics.ended(order.account, opens=order.intent.opens, result=status, code=code, message=message)
    if not order.intent.opens and filled_qty < order.qty and _in_vain(status, asked=asked):
        tries = exit_plans.count_failed_close(tx, order.position_id)
        pause = pause_after(tries, now, session_of(sessions.around(tx, now), now))
        exit_plans.retry_from(tx, order.position_id, now + pause)
    ended = OrderEnded(
        id=fact_id("ended", order.order_id),
        at=now,
        schema=1,
        cause=str(order.order_id),
        origin=desk.origin,
        order_id=order.order_id,
        position_id=order.position_id,
        account=order.account,
        symbol=order.symbol,
        status=status,
    )
    desk.announce(tx, Stream.DECISIONS, ended)


def _in_vain(status: OrderStatus, *, asked: bool) -> bool:
    """Did others end a close? What we canceled or never sent is no failure: what follows it need not wait."""
    return status is not OrderStatus.EXPIRED_UNSENT and not (status is OrderStatus.CANCELED and asked)


def _is_over(row: OrderRow, now: datetime) -> bool:
    """Has the time of a limit that closes passed?"""
    return row.order.awaited_until is not None and now >= row.order.awaited_until


def _direction(row: OrderRow) -> int:
    return row.order.side.sign


def _request(order: Order) -> OrderRequest:
    return OrderRequest(
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        intent=order.intent,
        qty=order.qty,
        type=order.type,
        limit_price=order.limit_price,
    )
