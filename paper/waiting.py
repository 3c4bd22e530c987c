"""How orders wait: for the hours of their day, for the end of a cancel, and while the brokerage has set them aside.

Hours longer than the core ones are planned only while an order needs them, so that nothing else of a day changes.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from paper.floor import Floor
from paper.order import ASIDE_STATES, Order
from paper.sessions import Hours
from paper.timeline import Rank


class Waiting(Floor):
    """The floor, where orders may have to wait."""

    #: How long a cancel stays pending; meanwhile a fill wins.
    cancel_delay = timedelta(0)

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._planned: set[tuple[datetime, str]] = set()

    @property
    def rests_overnight(self) -> bool:
        """Whether what outlives its day is shown as done for the day until the next one."""
        return True

    # The hours of the day

    def hours_begin(self, *hours: str) -> None:
        """Orders that waited for these hours reach the market."""
        for order in self._open_orders():
            if order.hours in hours and order.status == "accepted":
                self._activate(order)
            elif order.hours in hours and order.status == "done_for_day":
                self._reinstate(order, "new")

    def hours_end(self, *hours: str) -> None:
        """Orders of these hours whose time is over expire; the others are done for the day."""
        now = self._timeline.now
        for order in self._open_orders():
            if order.hours not in hours or not order.is_open:
                continue
            if order.expires_at <= now:
                self._end(order, "expired")
            elif order.status in {"new", "partially_filled"} and self._is_over(order) and self.rests_overnight:
                order.status = "done_for_day"
                self._mirror(order)
                self._tell(order, "done_for_day")
                self._plan(order)

    def _is_over(self, order: Order) -> bool:
        return self._calendar.session_at(self._timeline.now, order.hours) is None

    def _plan(self, order: Order) -> None:
        """Plan the end, and the beginning, of hours that are longer than the session's own."""
        if order.hours == Hours.CORE or not order.is_open:
            return
        hours, now = order.hours, self._timeline.now
        if self._is_over(order):
            opens = self._calendar.opening_after(now, hours).opens(hours)
            self._plan_once(opens, Rank.OPEN, hours, lambda: self.hours_begin(hours))
        closes = self._calendar.ending_after(now, hours).closes(hours)
        self._plan_once(closes, Rank.CLOSE, hours, lambda: self.hours_end(hours))

    def _plan_once(self, at: datetime, rank: Rank, hours: str, action: Callable[[], None]) -> None:
        if (at, hours) not in self._planned:
            self._planned.add((at, hours))
            self._timeline.schedule(at, rank, action)

    # Cancels

    def ask_to_cancel(self, order: Order) -> None:
        """End an order and its group, at once or after the delay that was asked for; a held exit waits for nothing."""
        if not self.cancel_delay or order.status == "held":
            self._cancel(order)
            return
        order.status, order.cancel_requested_at = "pending_cancel", self._timeline.now
        self._mirror(order)
        self._tell(order, "pending_cancel")
        self._timeline.schedule(self._timeline.now + self.cancel_delay, Rank.ORDER, lambda: self._decide_cancel(order))

    def _decide_cancel(self, order: Order) -> None:
        """A cancel that was pending is carried out, unless a fill has won."""
        if order.status == "pending_cancel":
            self._cancel(order)
        elif order.status == "filled":
            self._tell(order, "order_cancel_rejected")

    # Set aside

    def set_aside(self, order: Order, status: str, span: timedelta) -> None:
        """Let an open order wait in a state in which it does not fill, and then go on."""
        was, order.status = order.status, status
        self._mirror(order)
        self._tell(order, status)
        self._timeline.schedule(self._timeline.now + span, Rank.ORDER, lambda: self._take_back(order, status, was))

    def _take_back(self, order: Order, status: str, was: str) -> None:
        if order.status == status:
            self._reinstate(order, was)

    def _reinstate(self, order: Order, status: str) -> None:
        """An order goes on after it was set aside; the trade_updates socket is not told."""
        order.status = "partially_filled" if order.filled_qty else status
        self._mirror(order)
        self._tell(order, "restated")
        if order.status == "accepted" and not self._is_over(order):
            self._activate(order)
        elif order.is_working:
            self._try(order)

    def decide_pending(self) -> None:
        """After a time away nobody knows how long to wait: cancels are carried out, what was set aside goes on."""
        for order in self._open_orders():
            if order.status == "pending_cancel":
                self._cancel(order)
            elif order.status in ASIDE_STATES:
                self._reinstate(order, "accepted" if self._is_over(order) else "new")
