"""Every event that happened in the accounts, kept so that a client can come back and ask for what it missed."""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from paper import ids, times
from paper.book import Account, NonTrade
from paper.numbers import plain
from paper.updates import Update

TRADES, ACTIVITIES = "trades", "activities"
#: Events of one account and kind that can be asked for again.
_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its ULID, when it happened, and its JSON."""

    account: str
    kind: str
    id: str
    at: datetime
    text: str


class EventLog:
    """The events of all accounts, oldest first, and who waits for more. *keep* is told of each, to store it."""

    def __init__(self, accounts: dict[str, Account]) -> None:
        self._accounts = accounts
        self._events: dict[tuple[str, str], deque[Event]] = defaultdict(lambda: deque(maxlen=_KEPT))
        self._looked: dict[str, int] = defaultdict(int)
        self._news = asyncio.Event()
        self.keep: Callable[[Event], None] = lambda _event: None

    def witness(self, update: Update, data: dict[str, Any]) -> None:
        """Take over a trade update; an execution is an activity too."""
        order = update.order
        account = self._accounts[order.account]
        shown = {"account_id": account.id} | data
        self._add(Event(account.name, TRADES, update.event_id, update.at, json.dumps(shown)))
        if update.event in {"fill", "partial_fill"}:
            event_id = ids.event_id(update.at, "activity", order.id, order.executions)
            self._add(
                Event(account.name, ACTIVITIES, event_id, update.at, json.dumps(_fill(account, update, event_id)))
            )

    def look(self, account: Account, now: datetime) -> None:
        """An account changed without an order: what happened to its options is an activity, told at once."""
        for entry in account.non_trades[self._looked[account.name] :]:
            event_id = ids.event_id(now, "non trade", account.name, entry.id)
            shown = {"event_id": event_id, "at": times.nanos(now), "account_id": account.id, "ref_id": entry.id}
            self._add(Event(account.name, ACTIVITIES, event_id, now, json.dumps(shown | _non_trade(entry))))
        self.skip(account)

    def skip(self, account: Account) -> None:
        """What happened to an account's options so far has been told."""
        self._looked[account.name] = len(account.non_trades)

    def restore(self, event: Event) -> None:
        """Take back an event of an earlier run."""
        self._events[event.account, event.kind].append(event)

    def wake(self) -> None:
        """Let those who wait look again."""
        self._news.set()
        self._news = asyncio.Event()

    async def news(self, seconds: float) -> bool:
        """Wait for something new; False when nothing came in so many seconds of wall time."""
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def all(self, account: str, kind: str) -> list[Event]:
        """The kept events of one account."""
        return list(self._events[account, kind])

    def _add(self, event: Event) -> None:
        self.restore(event)
        self.keep(event)
        self.wake()


def _non_trade(entry: NonTrade) -> dict[str, Any]:
    return {
        "activity_type": entry.activity_type,
        "status": "executed",
        "symbol": entry.symbol,
        "qty": plain(entry.qty),
        "price": plain(entry.price) if entry.price is not None else None,
        "net_amount": plain(entry.net_amount),
        "currency": "USD",
        "details": {"description": entry.description, "group_id": entry.group_id, "date": entry.day.isoformat()},
    }


def _fill(account: Account, update: Update, event_id: str) -> dict[str, Any]:
    """An execution as the activities stream shows it: the common part, then what is a trade's own."""
    order, execution = update.order, update.execution
    if execution is None:
        raise ValueError(f"a fill of {order.id} without an execution")
    cash = -order.sign * execution.qty * execution.price * order.instrument.multiplier
    return {
        "event_id": event_id,
        "at": times.nanos(update.at),
        "account_id": account.id,
        "activity_type": "FILL",
        "ref_id": execution.id,
        "status": "executed",
        "symbol": order.symbol,
        "asset_id": order.instrument.asset_id,
        "side": order.side,
        "qty": plain(execution.qty),
        "price": plain(execution.price),
        "net_amount": plain(cash),
        "currency": "USD",
        "details": {
            "order_id": order.id,
            "client_order_id": order.client_order_id,
            "asset_id": order.instrument.asset_id,
            "execution_type": "fill",
            "order_status": order.status,
            "cum_qty": plain(order.filled_qty),
            "leaves_qty": plain(order.left),
        },
    }
