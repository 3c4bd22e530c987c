"""Catching up by REST: what Alpaca did in one account while its socket was away, or open and mute.

Executions come from the activities, never from order totals. Ends come from the orders that our rows still hold for
alive. Repeating what the socket told is harmless: the facts have the same ids.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from brokerage import facts
from brokerage.facts import Told
from brokerage.port import Brokerage, BrokerOrder, Execution
from domain.events import Fact
from domain.ids import AccountName

#: Every look reaches back this far behind the newest execution seen: an activity may be listed late.
OVERLAP: Final = timedelta(minutes=2)
#: How many names of orders are remembered, so that an execution need not be asked for its client order id.
NAMES: Final = 10_000


class Pending(NamedTuple):
    """An order that our rows hold for alive; *broker_order_id* is empty while its acceptance is not known."""

    client_order_id: str
    broker_order_id: str


class Stored(NamedTuple):
    """What our rows hold of an account's executions: the newest one's time, and which lie within OVERLAP before it.

    Without any, *newest* is when the account became ours. Rows decide what is news: what was published may be lost.
    """

    newest: datetime
    keys: frozenset[tuple[str, int]]


class Names:
    """Which client order id belongs to a broker order id, as far as somebody told us; bounded, for all threads."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, str] = OrderedDict()

    def learn(self, broker_order_id: str, client_order_id: str) -> None:
        self._names[broker_order_id] = client_order_id
        if len(self._names) > NAMES:
            self._names.popitem(last=False)

    def get(self, broker_order_id: str) -> str | None:
        return self._names.get(broker_order_id)


class CatchUp:
    """Catches up on one account, in one thread."""

    def __init__(
        self,
        account: AccountName,
        brokerage: Brokerage,
        pending: Callable[[], Sequence[tuple[str, str]]],
        stored: Callable[[], Stored],
        names: Names,
        origin: str,
        wall: Callable[[], datetime],
    ) -> None:
        self._account, self._brokerage, self._pending, self._stored = account, brokerage, pending, stored
        self._names, self._origin, self._wall = names, origin, wall

    def look(self) -> list[Fact]:
        """Return what our rows may lack, in the order in which it happened.

        Orders are read before executions, so that an end never comes without the executions before it.

        Raises:
            BrokerageError: nothing was learned; look again later.
        """
        stored = self._stored()
        pending = [Pending(*ids) for ids in self._pending()]
        orders = self._orders(pending)
        executions = self._brokerage.executions(_from(stored, orders))
        read_at = self._wall()
        in_doubt = {o.broker_order_id for o in orders}
        news = [e for e in executions if e.broker_order_id in in_doubt or _key(e) not in stored.keys]
        return [
            *self._accepted(orders, {p.broker_order_id for p in pending}),
            *(self._filled(e, read_at) for e in news),
            *self._ended(orders),
        ]

    def _orders(self, pending: Sequence[Pending]) -> list[BrokerOrder]:
        """Return Alpaca's side of our pending orders; one that it does not know is the executor's matter."""
        if not pending:
            return []
        still_open = {o.client_order_id: o for o in self._brokerage.open_orders()}
        found = [still_open.get(p.client_order_id) or self._order(p) for p in pending]
        orders = [o for o in found if o is not None]
        for order in orders:
            self._names.learn(order.broker_order_id, order.client_order_id)
        return orders

    def _order(self, pending: Pending) -> BrokerOrder | None:
        if pending.broker_order_id:
            return self._brokerage.order(pending.broker_order_id)
        return self._brokerage.order_by_client_id(pending.client_order_id)

    def _accepted(self, orders: Sequence[BrokerOrder], known: set[str]) -> list[Fact]:
        """Tell of an order whose acceptance our rows have not seen: its submitter died, or its event was lost."""
        return [
            facts.accepted(o, self._told(o.broker_order_id), o.submitted_at)
            for o in orders
            if o.broker_order_id not in known
        ]

    def _filled(self, execution: Execution, read_at: datetime) -> Fact:
        name = self._name(execution.broker_order_id)
        return facts.filled(execution, name, self._told(execution.activity_id), read_at)

    def _name(self, broker_order_id: str) -> str | None:
        """Return the client order id; null when Alpaca no longer knows the order."""
        if name := self._names.get(broker_order_id):
            return name
        order = self._brokerage.order(broker_order_id)
        if order is None:
            return None
        self._names.learn(broker_order_id, order.client_order_id)
        return order.client_order_id

    def _ended(self, orders: Sequence[BrokerOrder]) -> list[Fact]:
        return [
            facts.ended(o, o.status, self._told(o.broker_order_id), o.updated_at)
            for o in orders
            if o.ended and o.status != "filled"
        ]

    def _told(self, cause: str) -> Told:
        return Told(account=self._account, cause=cause, origin=self._origin)


def _from(stored: Stored, orders: Sequence[BrokerOrder]) -> datetime:
    """Reach back to the first pending order with executions: our rows may lack any of them."""
    return min([stored.newest - OVERLAP, *(o.submitted_at for o in orders if o.filled_qty)])


def _key(execution: Execution) -> tuple[str, int]:
    return execution.broker_order_id, execution.cum_qty
