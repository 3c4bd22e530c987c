"""What the exit knows of open positions: their rows in memory, read again every few seconds, and when they changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Engine

from actors import outlook
from actors.outlook import Sources
from actors.watches import Watch, watch_of
from db import disputes, orders, positions, sessions
from db.orders import OrderRow
from db.positions import PositionRow
from domain.exits import Outlook
from domain.ids import PositionId
from domain.session import Session

log = logging.getLogger(__name__)

#: How often memory is brought in line with the rows.
RELOAD_EVERY: Final = timedelta(seconds=5)


def cannot_evaluate(position: PositionId, symbol: str, error: Exception) -> None:
    """One position that cannot be read or evaluated keeps no other from it; it is missed at its time."""
    log.error("position %s (%s) cannot be evaluated", position, symbol, exc_info=error)


@dataclass(slots=True)
class Memory:
    """The open positions whose symbols it *covers*. Whoever reads it takes turns.

    *sources* answers with what people configured; *in_force* is what it answered last.
    """

    engine: Engine
    covers: Callable[[str], bool]
    sources: Callable[[], Sources]
    watches: dict[str, list[Watch]] = field(default_factory=dict, init=False)
    calendar: tuple[Session, ...] = field(default=(), init=False)
    in_force: Sources = field(init=False)
    _outlooks: dict[PositionId, Outlook] = field(default_factory=dict, init=False)
    _loaded_at: datetime | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.in_force = self.sources()

    def all(self) -> Iterable[Watch]:
        return (watch for watches in self.watches.values() for watch in watches)

    def outlook_of(self, watch: Watch) -> Outlook:
        return self._outlooks.get(watch.position.position_id, outlook.NOTHING_KNOWN)

    def is_due(self, now: datetime) -> bool:
        return self._loaded_at is None or now - self._loaded_at >= RELOAD_EVERY

    def forget(self) -> None:
        self.watches, self._outlooks, self._loaded_at = {}, {}, None

    def load(self, now: datetime) -> None:
        """Read everything; what was seen beyond the rows must be written before."""
        before = {watch.position.position_id: watch for watch in self.all()}
        known, calendar = self._outlooks, self.calendar
        self.in_force = self.sources()
        with self.engine.connect() as tx:
            self.calendar = sessions.around(tx, now)
            rows = self._covered(positions.all_open(tx, on_unreadable=cannot_evaluate))
            found = outlook.gather(tx, rows, now, self.in_force, self.calendar)
            self.watches, self._outlooks = {}, dict(found)
            same = known if calendar == self.calendar else {}
            self._watch(tx, rows, orders.live(tx), before, same)
        self._loaded_at = now

    def follow(self, changed: Collection[PositionId], now: datetime) -> None:
        """Read the positions that *changed*; the others stay as they are."""
        if self._loaded_at is None:
            self.load(now)
            return
        before = {w.position.position_id: w for w in self.all() if w.position.position_id in changed}
        with self.engine.connect() as tx:
            rows = self._covered(positions.all_open(tx, on_unreadable=cannot_evaluate, only=changed))
            found = outlook.gather(tx, rows, now, self.in_force, self.calendar)
            live = [order for position in sorted(changed) for order in orders.live_of_position(tx, position)]
            self.watches = _without(self.watches, before.values())
            known, self._outlooks = self._outlooks, {**self._outlooks, **found}
            self._watch(tx, rows, live, before, known)

    def _covered(self, rows: Sequence[PositionRow]) -> Sequence[PositionRow]:
        return [row for row in rows if self.covers(row.symbol)]

    def _watch(
        self,
        tx: Connection,
        rows: Sequence[PositionRow],
        live: Sequence[OrderRow],
        before: Mapping[PositionId, Watch],
        known: Mapping[PositionId, Outlook],
    ) -> None:
        """Watch the positions of *rows* and go on with what was known of each *before*, and by others."""
        closes = {r.order.position_id: r for r in live if not r.external and not r.order.intent.opens}
        disputed = {} if all(row.position_id in before for row in rows) else disputes.going_on(tx)
        for row in rows:
            watch, former = self._made(row, closes.get(row.position_id)), before.get(row.position_id)
            if watch is None:
                continue
            if former is not None:
                watch.remember(former)
                if known.get(row.position_id) == self._outlooks[row.position_id]:
                    watch.stay_quiet(former)
            elif (dispute := disputed.get(row.position_id)) is not None:
                watch.resume(dispute)
            self.watches.setdefault(row.symbol, []).append(watch)

    def _made(self, row: PositionRow, close: OrderRow | None) -> Watch | None:
        try:
            return watch_of(row, close, self.calendar)
        except Exception as e:  # noqa: BLE001 - whatever is wrong with one position, the others are watched
            cannot_evaluate(row.position_id, row.symbol, e)
            return None


def _without(watches: Mapping[str, Sequence[Watch]], gone: Iterable[Watch]) -> dict[str, list[Watch]]:
    ids = {id(watch) for watch in gone}
    left = {symbol: [w for w in known if id(w) not in ids] for symbol, known in watches.items()}
    return {symbol: known for symbol, known in left.items() if known}
