"""What moves when an option position ends: contracts go; shares come or go at the strike, or cash is paid.

Positions and cash change at once; nothing is told over trade_updates, and the activities (OPEXC, OPASN, OPEXP, OPCSH,
and OPTRD for the shares) are listed from the next day on.
"""

from collections.abc import Callable
from datetime import time, timedelta
from decimal import Decimal

from paper import ids
from paper.book import Account, NonTrade
from paper.exchange import Exchange
from paper.instruments import Contract, Instrument, Registry
from paper.order import ZERO
from paper.timeline import Timeline
from paper.times import at_new_york, new_york_day, new_york_stamp

#: Told of an account, a symbol and the reason of a change.
Changed = Callable[[Account, str, str], None]


class Deliveries:
    """The moves of one exchange's books; whether an account can afford them is not asked here."""

    def __init__(self, exchange: Exchange, timeline: Timeline, registry: Registry, changed: Changed) -> None:
        self._exchange = exchange
        self._timeline = timeline
        self._registry = registry
        self._changed = changed

    def exercise(self, account: Account, contract: Contract, qty: Decimal) -> None:
        """So many of a long position go."""
        sign = 1 if contract.kind == "call" else -1
        self._deliver(account, contract, -qty, sign * qty, ("OPEXC", "Option Exercise"))

    def assign(self, account: Account, contract: Contract, qty: Decimal) -> None:
        """So many of a short position go."""
        sign = -1 if contract.kind == "call" else 1
        self._deliver(account, contract, qty, sign * qty, ("OPASN", "Option Assignment"))

    def settle_in_cash(self, account: Account, contract: Contract, qty: Decimal, worth: Decimal) -> None:
        """A whole signed position goes for its worth, dollars per share."""
        group = ids.make("cash settlement", account.name, contract.symbol)
        self._move(account, contract, -qty, worth, ("OPCSH", "Option Cash Settlement"), group)

    def expire(self, account: Account, contract: Contract) -> None:
        """What is left of a position goes for nothing."""
        left = account.held(contract.symbol)
        if left:
            group = ids.make("expiry", account.name, contract.symbol)
            self._move(account, contract, -left, ZERO, ("OPEXP", "Option Expiry"), group)

    def _deliver(
        self, account: Account, contract: Contract, contracts: Decimal, lots: Decimal, named: tuple[str, str]
    ) -> None:
        """Contracts go, and shares come or go at the strike."""
        group = ids.make(named[0], account.name, contract.symbol, self._timeline.now, len(account.non_trades))
        stock = self._registry.known(contract.underlying)
        self._move(account, contract, contracts, ZERO, named, group)
        self._move(account, stock, lots * contract.multiplier, contract.strike, ("OPTRD", "Option Trade"), group)

    def _move(
        self, account: Account, instrument: Instrument, qty: Decimal, price: Decimal, named: tuple[str, str], group: str
    ) -> None:
        """Change a position and cash, write the activity of it, and drop orders that close what is gone."""
        before, (kind, said) = account.cash, named
        account.book(instrument, qty, price)
        self._drop_claims(account, instrument.symbol)
        day = new_york_day(self._timeline.now)
        at = at_new_york(day + timedelta(days=1), time(0, 0))
        entry = NonTrade(
            id=f"{new_york_stamp(at)}::{ids.make('non trade', account.name, len(account.non_trades))}",
            at=at,
            day=day,
            activity_type=kind,
            symbol=instrument.symbol,
            qty=qty,
            price=price or None,
            net_amount=account.cash - before,
            description=said,
            group_id=group,
        )
        account.non_trades.append(entry)
        self._changed(account, instrument.symbol, kind)

    def _drop_claims(self, account: Account, symbol: str) -> None:
        held = account.held(symbol)
        for order in account.closing_orders(symbol):
            wrong_way = held * order.sign >= 0
            if order.is_open and (wrong_way or account.held_for_orders(symbol) > abs(held)):
                self._exchange.cancel_for(order)
