"""The rate budget: how many requests a minute we may send, and the part of it that entries can never use.

Alpaca grants each account 200 requests a minute for trading and, separately, a number for market data. A window over
the last 60 seconds is kept for each: it never allows more than the limit in any minute, whether the other side counts
in fixed minutes or with a bucket that fills up (a bucket of our own would allow twice the limit in a minute that
starts full).

One budget is shared by all clients of an account in a process; processes share the account's limit by configuration,
copies of a process by their number.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from brokerage.port import BrokerageUnavailable

WINDOW_S: Final = 60.0
#: Alpaca's limit for trading requests, and for market data without a subscription. Source: its support page, 2026.
ALPACA_PER_MINUTE: Final = 200
#: The share of each limit that only exits may use.
RESERVED_FOR_EXITS: Final = 60
#: How long a call may wait for its turn before it gives up.
MAX_WAIT_S: Final = 5.0
#: A wait that rounding made too small to move the clock would be asked for again and again.
_SHORTEST_WAIT_S: Final = 0.001


class Api(StrEnum):
    """The two counters that Alpaca keeps."""

    TRADING = "trading"
    DATA = "data"


@dataclass(slots=True)
class _Window:
    """The requests of the last minute; *entries* are those that came without a claim to the reserve."""

    limit: int
    reserved: int
    sent: deque[tuple[float, bool]] = field(default_factory=deque)
    entries: int = 0

    def forget(self, now: float) -> None:
        while self.sent and self.sent[0][0] <= now - WINDOW_S:
            _, for_exit = self.sent.popleft()
            self.entries -= not for_exit

    def has_room(self, for_exit: bool, copies: int) -> bool:
        limit = max(self.limit // copies, 1)
        if len(self.sent) >= limit:
            return False
        return for_exit or self.entries < limit - self.reserved

    def add(self, now: float, for_exit: bool) -> None:
        self.sent.append((now, for_exit))
        self.entries += not for_exit

    def frees_at(self, for_exit: bool, copies: int) -> float:
        """When the oldest request that stands in the way is a minute old."""
        full = len(self.sent) >= max(self.limit // copies, 1)
        return next(at for at, exiting in self.sent if full or for_exit or not exiting) + WINDOW_S


def _alone() -> int:
    return 1


class RateBudget:
    """The requests that one account's keys may send: *clock* and *sleep* in seconds, any origin.

    *copies*: how many processes share these numbers; each sends its part of them. Only without a reserve.

    Raises:
        ValueError: the reserve leaves nothing for entries.
    """

    def __init__(
        self,
        *,
        trading_per_minute: int = ALPACA_PER_MINUTE,
        data_per_minute: int = ALPACA_PER_MINUTE,
        reserved_for_exits: int = RESERVED_FOR_EXITS,
        max_wait_s: float = MAX_WAIT_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        copies: Callable[[], int] | None = None,
    ) -> None:
        if not 0 <= reserved_for_exits < min(trading_per_minute, data_per_minute):
            raise ValueError(f"reserved_for_exits: must leave a request for entries, was {reserved_for_exits}")
        if copies is not None and reserved_for_exits:
            raise ValueError("copies: a reserve cannot be divided")
        self._windows = {
            Api.TRADING: _Window(trading_per_minute, reserved_for_exits),
            Api.DATA: _Window(data_per_minute, reserved_for_exits),
        }
        self._max_wait_s, self._clock, self._sleep, self._copies = max_wait_s, clock, sleep, copies or _alone
        self._lock = threading.Lock()

    @property
    def entries(self) -> Lane:
        """The lane of everything but exits: it leaves the reserve alone."""
        return Lane(self, for_exit=False)

    @property
    def exits(self) -> Lane:
        return Lane(self, for_exit=True)

    def take(self, api: Api, for_exit: bool) -> None:
        """Count one request, waiting for room if there is none.

        Raises:
            BrokerageUnavailable: there will be no room within the longest wait; nothing was sent.
        """
        waited_until = self._clock() + self._max_wait_s
        while (wait_s := self._try(api, for_exit)) > 0:
            if self._clock() + wait_s > waited_until:
                raise BrokerageUnavailable(f"rate budget of {api} is used up for {wait_s:.1f} s")
            self._sleep(wait_s)

    def _try(self, api: Api, for_exit: bool) -> float:
        """Count one request and return 0, or return how many seconds to wait."""
        copies = self._copies()
        with self._lock:
            window, now = self._windows[api], self._clock()
            window.forget(now)
            if window.has_room(for_exit, copies):
                window.add(now, for_exit)
                return 0
            return max(window.frees_at(for_exit, copies) - now, _SHORTEST_WAIT_S)


@dataclass(frozen=True, slots=True)
class Lane:
    """One client's claim on the budget."""

    budget: RateBudget
    for_exit: bool

    def take(self, api: Api) -> None:
        """See :meth:`RateBudget.take`."""
        self.budget.take(api, self.for_exit)
