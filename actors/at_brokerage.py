"""What the brokerage says of one account now: the only book that counts while there are no rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from brokerage.port import Brokerage, BrokerOrder, BrokerPosition
from domain.ids import AccountName, is_flattening
from domain.instrument import is_option
from domain.session import Session, trading_day

#: How far ahead the next open is looked for.
_NEXT_OPEN: Final = timedelta(days=10)


@dataclass(slots=True)
class AtBrokerage:
    """*orders* are the open ones and *held* the positions, as of the last :meth:`read` that succeeded.

    *now* is the brokerage's time, or else the wall's; *sessions* those from that day on, none where nobody said.
    """

    account: AccountName
    brokerage: Brokerage
    orders: Sequence[BrokerOrder] = field(default=(), init=False)
    held: Sequence[BrokerPosition] = field(default=(), init=False)
    now: datetime = field(default_factory=lambda: datetime.now(UTC), init=False)
    sessions: tuple[Session, ...] = field(default=(), init=False)

    def read(self) -> None:
        """Read orders before positions: what an order filled until then is in the position.

        Raises:
            BrokerageError: nothing new is known.
        """
        self.orders, self.held = self.brokerage.open_orders(), self.brokerage.positions()

    def read_hours(self) -> None:
        """Read the brokerage's clock and calendar.

        Raises:
            BrokerageError: they are as unknown as before.
        """
        now = self.brokerage.now()
        today = trading_day(now)
        self.now, self.sessions = now, self.brokerage.sessions(today, today + _NEXT_OPEN)

    @property
    def is_flat(self) -> bool:
        return not self.orders and not self.held

    @property
    def others(self) -> Sequence[BrokerOrder]:
        """The open orders that are no close of a flatten; a close of nothing would open, so it is one of them."""
        held = {p.symbol for p in self.held}
        return [o for o in self.orders if o.symbol not in held or not self._is_ours(o)]

    def is_under_way(self, symbol: str) -> bool:
        """Does a close of a flatten live?"""
        return any(o.symbol == symbol and self._is_ours(o) for o in self.orders)

    def _is_ours(self, order: BrokerOrder) -> bool:
        return is_flattening(self.account, order.client_order_id)

    @property
    def market_is_closed(self) -> bool:
        """Is the market surely closed? What is not known holds no close back."""
        return bool(self.sessions) and not any(s.is_open(self.now) for s in self.sessions)

    @property
    def next_open(self) -> str:
        opens = next((s.open for s in self.sessions if s.open > self.now), None)
        return "" if opens is None else f", next {opens:%Y-%m-%d %H:%M}Z"


def first_things_first(position: BrokerPosition) -> tuple[bool, bool, str]:
    """Shorts before longs and options before stocks: what covers another position leaves after it."""
    return not is_option(position.symbol), position.qty > 0, position.symbol
