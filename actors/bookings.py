"""What the brokerage booked in one account without an order, as facts: expiry, exercise, assignment, and the rest.

It never comes over the socket, and on a paper account a day late, so it is asked for again and again; rows decide what
is news. A word that we have no rule for becomes a fact too, and is counted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date
from typing import NamedTuple

from brokerage import facts
from brokerage.facts import Told
from brokerage.port import Brokerage
from domain.events import ActivityBooked, Fact
from domain.ids import AccountName

log = logging.getLogger(__name__)


class Booked(NamedTuple):
    """What our rows hold: the first day of which something may be missing, and the ids of all from there on."""

    since: date
    ids: frozenset[str]


class Bookings:
    """Reads the bookings of one account, in one thread."""

    def __init__(self, account: AccountName, brokerage: Brokerage, stored: Callable[[], Booked], origin: str) -> None:
        self._account, self._brokerage, self._stored, self._origin = account, brokerage, stored, origin

    def look(self) -> list[Fact]:
        """Return what our rows lack, the earliest first.

        Raises:
            BrokerageError: nothing was learned; look again later.
        """
        stored = self._stored()
        news = [a for a in self._brokerage.booked(stored.since) if a.activity_id not in stored.ids]
        found = [facts.booked(a, Told(account=self._account, cause=a.activity_id, origin=self._origin)) for a in news]
        for fact in found:
            if isinstance(fact, ActivityBooked):
                log.warning("account %s: %s moves no position by a rule of ours: %s", fact.account, fact.word, fact)
        return list(found)
