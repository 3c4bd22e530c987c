"""What survives a restart: accounts, orders, activities, events and the clock, in one SQLite file.

Everything that a request changed is written in one transaction before the request is answered, so nothing that a
client was told is lost when the process is killed. The market is not kept: the tape shows it again up to
the clock. Only what stocks closed at is, because options are settled by it.
"""

import dataclasses
import sqlite3
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from paper import saving, times
from paper.book import Account
from paper.errors import UsageError
from paper.eventlog import Event, EventLog
from paper.options import AccountOption, Options
from paper.order import ZERO, Order
from paper.saving import Loader
from paper.updates import Update
from paper.world import World

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS account (name TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS orders (account TEXT, id TEXT, turn INTEGER, body TEXT NOT NULL, PRIMARY KEY (account, id));
CREATE TABLE IF NOT EXISTS activity (account TEXT, n INTEGER, body TEXT NOT NULL, PRIMARY KEY (account, n));
CREATE TABLE IF NOT EXISTS event (
    n INTEGER PRIMARY KEY, account TEXT, kind TEXT, id TEXT, at TEXT, body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS close (day TEXT, symbol TEXT, price TEXT NOT NULL, PRIMARY KEY (day, symbol));
"""
#: Fields of an account that have tables of their own, or follow from them.
_ELSEWHERE = frozenset({"orders", "by_client_id", "activities", "_open"})
#: Events that are read back, for each account and kind.
_RECENT = 20_000


class State:
    """One file. `adjusted` options make the world that `restore` fills; from then on `flush` keeps it."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(path, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise UsageError(f"the state {path} cannot be used: {error}") from None
        self._facts = dict(self._db.execute("SELECT name, value FROM fact"))
        if self._facts.get("version", str(_VERSION)) != str(_VERSION):
            raise UsageError(f"the state {path} is of version {self._facts['version']}, not {_VERSION}")
        self._world: World | None = None
        self._orders: dict[str, Order] = {}
        self._accounts: dict[str, Account] = {}
        self._events: list[Event] = []
        self._activities: dict[str, int] = {}
        self._kept_closes = 0

    def adjusted(self, options: Options, opening: datetime) -> Options:
        """The options with the accounts of the file added, and the clock no earlier than it was.

        *opening* is the first day's.
        """
        given = {account.name for account in options.all_accounts()}
        others = [name for (name,) in self._db.execute("SELECT name FROM account") if name not in given]
        accounts = (*options.accounts, *(AccountOption(name, ZERO) for name in others))
        clock = self._clock()
        start = max(clock, options.start or opening) if clock else options.start
        return dataclasses.replace(options, accounts=accounts, start=start)

    def restore(self, world: World, log: EventLog) -> None:
        """Put back what the file holds, and from now on note what changes."""
        loader = Loader(world.registry)
        for name, account in world.accounts.items():
            self._restore_account(account, loader)
            self._activities[name] = len(account.activities)
            log.skip(account)
        for kind in self._db.execute("SELECT DISTINCT account, kind FROM event").fetchall():
            self._restore_events(log, *kind)
        self._world = world
        self._accounts = dict(world.accounts)
        world.witnesses.append(self._note)
        log.keep = self._events.append
        self._resume(world)

    def touch(self, account: Account) -> None:
        """An account changed without an order."""
        self._accounts[account.name] = account

    def flush(self) -> None:
        """Write what has changed, in one transaction."""
        if self._world is None:
            return
        closes = self._world.market.closes
        if not (self._accounts or self._orders or self._events) and self._kept_closes == _count(closes):
            return
        with self._db:
            self._write_orders()
            self._write_closes(closes)
            for name, account in self._accounts.items():
                body = saving.dump(account, skip=_ELSEWHERE, pointed=self._note_order)
                self._db.execute("INSERT OR REPLACE INTO account VALUES (?, ?)", (name, body))
                self._write_activities(account)
            rows = [(e.account, e.kind, e.id, times.iso(e.at), e.text) for e in self._events]
            self._db.executemany("INSERT INTO event (account, kind, id, at, body) VALUES (?, ?, ?, ?, ?)", rows)
            self._tell({"version": _VERSION, "clock": times.iso(self._world.timeline.now)})
        self._accounts.clear()
        self._events.clear()

    def close(self) -> None:
        """Write what has changed and close the file."""
        if self._world is not None:
            self._accounts = dict(self._world.accounts)
        self.flush()
        self._db.close()

    # Writing

    def _note(self, update: Update, _data: Mapping[str, Any]) -> None:
        self._note_order(update.order)
        if self._world is None:
            return
        account = self._world.accounts[update.order.account]
        self.touch(account)
        successor = account.orders.get(update.order.replaced_by or "")
        if successor is not None:
            self._note_order(successor)

    def _note_order(self, order: Order) -> None:
        self._orders[order.id] = order

    def _write_orders(self) -> None:
        """Write the orders that changed and those that they point at."""
        done: set[str] = set()
        while self._orders:
            order_id, order = self._orders.popitem()
            if order_id not in done:
                done.add(order_id)
                row = (order.account, order.id, order.turn, saving.dump(order, pointed=self._point(done)))
                self._db.execute("INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?)", row)

    def _point(self, done: set[str]) -> Any:
        def pointed(order: Order) -> None:
            if order.id not in done:
                self._note_order(order)

        return pointed

    def _write_activities(self, account: Account) -> None:
        first = self._activities.get(account.name, 0)
        new = enumerate(account.activities[first:], first)
        rows = [(account.name, n, saving.written(entry)) for n, entry in new]
        self._db.executemany("INSERT OR REPLACE INTO activity VALUES (?, ?, ?)", rows)
        self._activities[account.name] = len(account.activities)

    def _write_closes(self, closes: Mapping[date, Mapping[str, Decimal]]) -> None:
        if self._kept_closes == _count(closes):
            return
        rows = [(str(day), symbol, str(price)) for day, some in closes.items() for symbol, price in some.items()]
        self._db.executemany("INSERT OR REPLACE INTO close VALUES (?, ?, ?)", rows)
        self._kept_closes = len(rows)

    def _tell(self, facts: Mapping[str, object]) -> None:
        rows = [(name, str(value)) for name, value in facts.items()]
        self._db.executemany("INSERT OR REPLACE INTO fact VALUES (?, ?)", rows)

    # Reading

    def _clock(self) -> datetime | None:
        return times.parse(self._facts["clock"]) if "clock" in self._facts else None

    def _restore_account(self, account: Account, loader: Loader) -> None:
        found = self._db.execute("SELECT body FROM account WHERE name = ?", (account.name,)).fetchone()
        if found is None:
            return
        loader.fill_in(account, found[0])
        query = "SELECT id, body FROM orders WHERE account = ? ORDER BY turn"
        for order_id, body in self._db.execute(query, (account.name,)):
            order = loader.order(account.name, order_id)
            loader.fill_in(order, body)
            account.add(order)
            if not order.is_open:
                account.ended(order)
        query = "SELECT body FROM activity WHERE account = ? ORDER BY n"
        account.activities.extend(loader.value(body) for (body,) in self._db.execute(query, (account.name,)))

    def _restore_events(self, log: EventLog, account: str, kind: str) -> None:
        query = "SELECT id, at, body FROM event WHERE account = ? AND kind = ? ORDER BY n DESC LIMIT ?"
        for event_id, at, body in reversed(self._db.execute(query, (account, kind, _RECENT)).fetchall()):
            log.restore(Event(account, kind, event_id, times.parse(at), body))

    def _resume(self, world: World) -> None:
        """What ended while the server was away ends now; what is open meets the market again."""
        for day, symbol, price in self._db.execute("SELECT day, symbol, price FROM close"):
            world.market.closes[date.fromisoformat(day)].setdefault(symbol, Decimal(price))
        world.exchange.catch_up()
        if self._has_missed_a_close(world):
            world.exchange.note_equity()
        world.settlement.settle()
        world.settlement.watch()

    def _has_missed_a_close(self, world: World) -> bool:
        """Whether a session has ended since the file was written."""
        last, now = self._clock(), world.timeline.now
        if last is None:
            return False
        sessions = world.calendar.between(times.new_york_day(last), times.new_york_day(now))
        return any(last < session.close <= now for session in sessions)


def _count(closes: Mapping[date, Mapping[str, Decimal]]) -> int:
    return sum(map(len, closes.values()))
