"""The way out of an account that needs nothing but the brokerage: no rows, no streams, no other actor.

Round after round it reads the account's open orders and positions, cancels what it did not place, and closes what is
held at the market: symbol, side and quantity from the brokerage's own book, an explicit ``*_to_close``, never more than
is available. What it reads last is what it reports. The client order ids can be computed again, so whoever does all of
this twice, or two people at once, sell once; the tracker knows them when the rows are back.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from actors.at_brokerage import AtBrokerage, first_things_first
from actors.pauses import growing
from brokerage.port import (
    Brokerage,
    BrokerageError,
    BrokerOrder,
    BrokerPosition,
    DuplicateClientOrderId,
    NotAuthorized,
    NotCancelable,
    OrderRejected,
    OrderRequest,
)
from domain.events import Intent, OrderType, Side
from domain.ids import AccountName, flatten_client_order_id
from domain.instrument import is_option
from domain.session import trading_day

#: How long the ends of other orders are awaited before positions are closed all the same, in seconds.
CANCELS_S: Final = 10.0
#: How many closes of one symbol are sent before a person must look, and the pause after the first of them, in
#: seconds: it doubles.
MOST_TRIES: Final = 5
FIRST_RETRY_S: Final = 0.5
#: How many closes of the same quantity in a day are told apart.
_MOST_ATTEMPTS: Final = 50

#: Told of every act: what was done, and with what.
Note = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What is still held (*qty*, signed) or still open, and why."""

    symbol: str
    qty: int
    why: str


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What was done, in order, and what the last reading that succeeded shows as left.

    *is_flat* is None when the last reading failed: what is left is then what was left before.
    """

    canceled: list[dict[str, Any]] = field(default_factory=list)
    closed: list[dict[str, Any]] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    is_flat: bool | None = None
    trouble: str | None = None


@dataclass(slots=True)
class WayOut:
    """Of one account. *within_s*: after this many seconds it stops and says what is left.

    *clock* in seconds of any origin.
    """

    account: AccountName
    brokerage: Brokerage
    within_s: float
    note: Note
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _outcome: Outcome = field(default_factory=Outcome, init=False)
    _book: AtBrokerage = field(init=False)
    _knows_hours: bool = field(default=False, init=False)
    _sent: dict[str, dict[str, Any]] = field(default_factory=dict, init=False)
    _why: dict[str, str] = field(default_factory=dict, init=False)
    _tries: Counter[str] = field(default_factory=Counter, init=False)
    _not_before: dict[str, float] = field(default_factory=dict, init=False)
    _given_up: set[str] = field(default_factory=set, init=False)
    _asked: set[str] = field(default_factory=set, init=False)
    _cancels_until: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._book = AtBrokerage(self.account, self.brokerage)

    def take(self) -> Outcome:
        """Leave everything; return when nothing is left, nothing more can be done, or the time is up.

        Raises:
            NotAuthorized: the keys were refused: a person must act.
        """
        began, pauses = self.clock(), growing()
        self._await_cancels()
        while not self._round():
            pause = next(pauses)
            if self.clock() - began + pause > self.within_s:
                break
            self.sleep(pause)
        return self._told()

    def _round(self) -> bool:
        """Do what can be done now; True when there is nothing more to do. What fails is tried in the next round."""
        if not self._asking("the account", self._read):
            return False
        for order in self._book.others:
            if order.broker_order_id not in self._asked:
                self._asking(order.symbol, partial(self._cancel, order))
        if self._book.others and self.clock() < self._cancels_until:
            return False
        for position in sorted(self._book.held, key=first_things_first):
            self._asking(position.symbol, partial(self._leave, position))
        return self._is_done()

    def _await_cancels(self) -> None:
        self._cancels_until = self.clock() + min(CANCELS_S, self.within_s / 2)

    def _asking(self, what: str, act: Callable[[], None]) -> bool:
        """Let no symbol stand in the way of the others: say that an answer is missing and go on."""
        try:
            act()
        except NotAuthorized:
            raise
        except BrokerageError as e:
            self._outcome.trouble = f"{what}: {e}"
            self._why[what] = f"no answer: {e}"
            self.note("no answer", {"asked about": what, "error": str(e)})
            return False
        return True

    def _read(self) -> None:
        self._outcome.is_flat = None
        self._book.read()
        self._outcome.is_flat, self._outcome.trouble = self._book.is_flat, None
        if not self._knows_hours:  # asked once: a calendar that is silent holds nothing back
            self._knows_hours = True
            self._asking("the calendar", self._book.read_hours)

    def _is_done(self) -> bool:
        if not self._book.held:
            return not self._book.orders
        return not self._book.others and all(self._is_settled(p.symbol) for p in self._book.held)

    def _is_settled(self, symbol: str) -> bool:
        """Can nothing more be done for it now?"""
        waits = self._book.market_is_closed and (is_option(symbol) or self._book.is_under_way(symbol))
        return waits or symbol in self._given_up

    # ------------------------------------------------------------ what is done

    def _cancel(self, order: BrokerOrder) -> None:
        """Ask for the end of *order*, once; one that has ended by itself needs nothing."""
        told = {
            "symbol": order.symbol,
            "side": order.side,
            "unfilled_qty": order.qty - order.filled_qty,
            "client_order_id": order.client_order_id,
            "broker_order_id": order.broker_order_id,
        }
        try:
            self.brokerage.cancel(order.broker_order_id)
        except NotCancelable as e:
            self.note("not cancelable", told | {"error": str(e)})
            return
        if not self._asked:
            self._await_cancels()
        self._asked.add(order.broker_order_id)
        self._outcome.canceled.append(told)
        self.note("cancel asked", told)

    def _leave(self, position: BrokerPosition) -> None:
        """Close what is available of *position*, unless a close is under way or cannot be."""
        symbol, qty = position.symbol, min(abs(position.qty), position.available_qty)
        if self._book.is_under_way(symbol):
            self._why[symbol] = "its close is under way"
        elif is_option(symbol) and self._book.market_is_closed:
            self._why[symbol] = f"options trade only while the market is open{self._book.next_open}"
        elif qty == 0:
            self._why[symbol] = "open orders hold all of it"
        elif self.clock() < self._not_before.get(symbol, 0.0):
            return
        elif self._tries[symbol] >= MOST_TRIES:
            self._given_up.add(symbol)
        elif (name := self._free_name(position)) is not None:
            self._send(position, qty, name)

    def _free_name(self, position: BrokerPosition) -> str | None:
        """Return the id of the next close of this quantity; None when one is under way or the reading was old.

        Where a former close has ended, the position is read once more: it may have ended by being filled.
        """
        day = trading_day(self._book.now)
        for attempt in range(1, _MOST_ATTEMPTS + 1):
            name = flatten_client_order_id(self.account, position.symbol, day, position.qty, attempt)
            former = self.brokerage.order_by_client_id(name)
            if former is None:
                is_fresh = attempt == 1 or self.brokerage.position(position.symbol) == position
                return name if is_fresh else None
            if not former.ended:
                return None
        self._why[position.symbol] = f"{_MOST_ATTEMPTS} closes of it ended today"
        self._given_up.add(position.symbol)
        return None

    def _send(self, position: BrokerPosition, qty: int, name: str) -> None:
        request = OrderRequest(
            client_order_id=name,
            symbol=position.symbol,
            side=Side.SELL if position.qty > 0 else Side.BUY,
            intent=Intent.SELL_TO_CLOSE if position.qty > 0 else Intent.BUY_TO_CLOSE,
            qty=qty,
            type=OrderType.MARKET,
            limit_price=None,
        )
        told = {"symbol": request.symbol, "side": request.side, "qty": qty, "client_order_id": name}
        self.note("sending", told)
        self._not_before[position.symbol] = self.clock() + FIRST_RETRY_S * 2 ** self._tries[position.symbol]
        self._tries[position.symbol] += 1
        self._sent[name] = told | {"status": None, "filled_qty": None}
        self._why[position.symbol] = "its close is under way"
        try:
            order = self.brokerage.submit(request)
        except DuplicateClientOrderId as e:  # somebody sent the same a moment ago, or our own former try arrived
            self.note("sent before", told | {"message": e.message})
        except OrderRejected as e:
            self._why[position.symbol] = f"rejected: {e.message}"
            self._sent[name] |= {"status": "rejected", "filled_qty": 0}
            self.note("rejected", told | {"code": e.code, "message": e.message})
        else:
            self.note("sent", told | {"broker_order_id": order.broker_order_id, "status": order.status})

    # ------------------------------------------------------------ what came of it

    def _told(self) -> Outcome:
        found = self._outcome
        found.left = [Left(symbol=p.symbol, qty=p.qty, why=self._reason(p.symbol)) for p in self._book.held]
        found.left += [
            Left(symbol=o.symbol, qty=o.side.sign * (o.qty - o.filled_qty), why="its order has not ended")
            for o in self._book.others
        ]
        for name, sent in self._sent.items():
            self._asking(sent["symbol"], partial(self._look_up, name, sent))
        found.closed = list(self._sent.values())
        self.note("done", {"flat": found.is_flat, "left": [left.symbol for left in found.left]})
        return found

    def _look_up(self, name: str, sent: dict[str, Any]) -> None:
        """Add how a close of ours stands; one that was rejected is not there."""
        order = self.brokerage.order_by_client_id(name)
        if order is not None:
            sent |= {"status": order.status, "filled_qty": order.filled_qty}

    def _reason(self, symbol: str) -> str:
        if self._book.is_under_way(symbol) and self._book.market_is_closed:
            return f"its close waits for the open{self._book.next_open}"
        return self._why.get(symbol, "the time was up")
