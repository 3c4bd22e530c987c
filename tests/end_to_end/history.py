"""What every transaction saw and wrote, kept by triggers of the test's own: a history to fold again in commit order.

Each event carries the transaction that wrote it and the snapshot in which it was written, so that the state which any
transaction acted on can be rebuilt without the product's views and without its log.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import Any

from sqlalchemy import Engine, text

_TRIGGERS = """
CREATE TABLE test_history (
    seq      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid      bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    snapshot text NOT NULL DEFAULT pg_current_snapshot()::text,
    kind     text NOT NULL,
    body     jsonb NOT NULL
);
CREATE FUNCTION test_remember() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO test_history (kind, body) VALUES (TG_TABLE_NAME, to_jsonb(NEW));
    RETURN NULL;
END $$;
CREATE TRIGGER test_remember AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION test_remember();
CREATE TRIGGER test_remember AFTER INSERT OR UPDATE ON positions FOR EACH ROW EXECUTE FUNCTION test_remember();
CREATE TRIGGER test_remember AFTER INSERT ON decisions FOR EACH ROW EXECUTE FUNCTION test_remember();
"""


_BINDING = {"orders", "positions"}


@dataclass(frozen=True)
class Event:
    seq: int
    xid: int
    snapshot: str
    kind: str
    body: dict[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.body["order_id" if self.kind == "orders" else "position_id"]

    @cached_property
    def _bounds(self) -> tuple[int, int, frozenset[int]]:
        low, high, running = self.snapshot.split(":")
        return int(low), int(high), frozenset(int(xid) for xid in running.split(",") if xid)

    def sees(self, other: Event) -> bool:
        """Had the writer of *other* committed when this was written? Its own earlier writes it sees too."""
        if other.xid == self.xid:
            return other.seq <= self.seq
        low, high, running = self._bounds
        return other.xid < low or (other.xid < high and other.xid not in running)


@dataclass(frozen=True)
class State:
    """What an account had bound: dollars by position, and the symbols behind them."""

    usd: dict[str, Decimal]
    symbols: frozenset[str]

    @property
    def positions(self) -> int:
        return len(self.usd)

    @property
    def exposure_usd(self) -> Decimal:
        return sum(self.usd.values(), start=Decimal(0))


def keep(engine: Engine) -> None:
    """Remember every order, position and decision of this database from now on."""
    with engine.begin() as tx:
        tx.execute(text(_TRIGGERS))


@dataclass(frozen=True)
class History:
    events: Sequence[Event]

    @classmethod
    def read(cls, engine: Engine) -> History:
        with engine.connect() as tx:
            rows = tx.execute(text("SELECT seq, xid, snapshot, kind, body FROM test_history ORDER BY seq"))
            return cls([Event(**row._mapping) for row in rows])

    def of(self, account: str) -> History:
        return History([e for e in self.events if e.body["account"] == account])

    def last_of_each(self) -> Iterator[Event]:
        """The last write of each transaction to orders and positions: its outcome is complete then."""
        last = {e.xid: e for e in self.events if e.kind in _BINDING}
        return iter(last.values())

    def decisions(self) -> Iterator[tuple[Event, Event]]:
        """Each decision with the one before it: decisions of one account take turns."""
        return pairwise(e for e in self.events if e.kind == "decisions")

    def seen_by(self, event: Event) -> State:
        """What was bound in the eyes of *event*'s transaction."""
        return _state(e for e in self.events if e.kind in _BINDING and event.sees(e))

    def least_room(self, before: Event, decided: Event) -> State:
        """The fullest state that a decision may have looked at, which was after the decision *before* it.

        Only decisions bind, and they take turns: every opening that *decided* sees was there. All others free what is
        bound, and perhaps it looked earlier than that: of their writes only those surely count that *before* saw.
        """
        rows = [e for e in self.events if e.kind in _BINDING]
        first: dict[tuple[str, str], Event] = {}
        for e in rows:
            if e.kind == "orders" and decided.sees(e):
                first.setdefault(e.key, e)
        return _state([*first.values(), *(e for e in rows if before.sees(e))])


def _state(seen: Any) -> State:
    rows = {e.key: e.body for e in seen}
    usd: dict[str, Decimal] = {}
    symbols = set()
    for (kind, _), row in rows.items():
        bound = _rest(row) if kind == "orders" else _held(row)
        if bound is not None:
            usd[row["position_id"]] = usd.get(row["position_id"], Decimal(0)) + bound
            symbols.add(row["symbol"])
    return State(usd, frozenset(symbols))


def _rest(order: dict[str, Any]) -> Decimal | None:
    """The unfilled rest of an opening, None when there is none."""
    whole = order["qty"] if order["final_filled_qty"] is None else order["final_filled_qty"]
    rest: int = whole - order["filled_qty"]
    if not order["opening"] or order["external"] or rest <= 0:
        return None
    return Decimal(str(order["limit_price"])) * order["multiplier"] * rest


def _held(position: dict[str, Any]) -> Decimal | None:
    if position["closed_at"] is not None:
        return None
    return Decimal(str(position["entry_price"])) * position["multiplier"] * abs(position["qty"])
