"""What exit sees of prices, for those who judge by rows: the last quote of what is held, and marks of the open."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import Connection

from db import marks
from db.marks import OpenMark
from domain.events import Quote
from domain.exits import Watched
from domain.ids import PositionId
from domain.known import Known
from domain.loss import mark_of
from domain.prices import usable_ask, usable_bid
from domain.session import Session


@dataclass(slots=True)
class Marks:
    """Collects what is seen; whoever holds a transaction writes it. One thread at a time.

    Beside the last quote of a symbol, the last ones in which each side was a price: the last may have one side only.
    """

    _last: dict[str, Quote] = field(default_factory=dict, init=False)
    _bids: dict[str, Quote] = field(default_factory=dict, init=False)
    _asks: dict[str, Quote] = field(default_factory=dict, init=False)
    _open: list[OpenMark] = field(default_factory=list, init=False)
    _marked: set[tuple[PositionId, date]] = field(default_factory=set, init=False)

    def see(self, position: Watched, quote: Quote, session: Session | None) -> None:
        """Keep *quote*; the first one of a session also marks a position from before its open."""
        self._last[quote.symbol] = quote
        if usable_bid(quote) is not None:
            self._bids[quote.symbol] = quote
        if usable_ask(quote) is not None:
            self._asks[quote.symbol] = quote
        if session is None or not position.opened_at < session.open <= quote.at:
            return
        key = (position.position_id, session.day)
        mark = mark_of(quote.bid, quote.ask, quote.at, "quotes")
        if key not in self._marked and isinstance(mark, Known):
            self._marked.add(key)
            self._open.append(OpenMark(*key, mark.value, quote.at))

    @property
    def is_empty(self) -> bool:
        return not (self._last or self._open)

    def write(self, tx: Connection) -> None:
        seen = {id(quote): quote for known in (self._bids, self._asks, self._last) for quote in known.values()}
        marks.keep(tx, list(seen.values()))
        marks.keep_open(tx, self._open)

    def taken(self) -> Marks:
        """Return what was seen, for the caller to write, and begin anew."""
        taken = Marks()
        taken._last, taken._bids, taken._asks, taken._open = self._last, self._bids, self._asks, self._open
        self._last, self._bids, self._asks, self._open = {}, {}, {}, []
        return taken

    def take_back(self, marks: Marks) -> None:
        """Keep what could not be written; what was seen since is newer."""
        self._last, self._bids = marks._last | self._last, marks._bids | self._bids
        self._asks = marks._asks | self._asks
        self._open = marks._open + self._open

    def clear(self) -> None:
        """Forget what was seen."""
        for known in (self._last, self._bids, self._asks):
            known.clear()
        self._open.clear()
