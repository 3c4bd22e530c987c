"""The storm with closes that come to the market in steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from domain.exits import CloseStep, ExitPolicy
from domain.money import CENT
from tests.factories import LARGE, ticked
from tests.simulation.seeds import seeds
from tests.simulation.storm import SYMBOLS, Storm
from tests.simulation.test_mutations import storms_fail
from tests.simulation.test_storm_of_parts import PARTS

#: Waits of the length of the storm's own: some steps are over before they are sent, some are filled in pieces.
STEPS = replace(
    PARTS,
    close_steps=(
        CloseStep(beyond_pct=Decimal(0), wait=timedelta(seconds=3)),
        CloseStep(beyond_pct=Decimal(5), wait=timedelta(seconds=10)),
        CloseStep(beyond_pct=Decimal(20), wait=timedelta(seconds=30)),
    ),
)
CLOSES = text(
    "SELECT position_id, reason, type, approved_at, ended_at, awaited_until, status FROM orders"
    " WHERE NOT opening AND NOT external ORDER BY approved_at, ended_at NULLS LAST, type"
)
WAITING = text(
    "SELECT count(*) FROM positions JOIN exit_plans USING (position_id)"
    " WHERE closed_at IS NULL AND triggered_rule IS NOT NULL"
)


class Falling(Storm):
    """Prices fall, mostly, and the exit hears of it late: limits are left behind by the market."""

    def __init__(self, engine: Engine, seed: int, policy: ExitPolicy = STEPS) -> None:
        super().__init__(engine, seed, policy)

    def _happenings(self) -> Sequence[Callable[[], None]]:
        more = (self._deliver, self._deliver, self._deliver, self._trade, self._tick, self._timers, self._fall)
        return [*super()._happenings(), *more, self._deliver, self._deliver, self._trade, self._timers]

    def _tick(self) -> None:
        symbol = self.rng.choice(SYMBOLS)
        if self.rng.random() < 0.3:
            self._move(symbol, Decimal(self.rng.randint(100, 140)) / 100)
        self.queues["ticks"].append(ticked(self.exchanges[LARGE].quote(symbol), at=self.now))

    def _fall(self) -> None:
        """Nobody tells the exit."""
        self._move(self.rng.choice(SYMBOLS), Decimal(self.rng.randint(80, 98)) / 100)

    def _move(self, symbol: str, share: Decimal) -> None:
        bid = max((self.prices[symbol][0] * share).quantize(CENT), Decimal("0.10"))
        self.prices[symbol] = (bid, bid + Decimal("0.10"))

    def _settle(self) -> None:
        """When it is calm the exit hears every price, and most are gone when its orders arrive."""
        quotes = [self.exchanges[LARGE].quote(symbol) for symbol in SYMBOLS]
        self.queues["ticks"].append(ticked(*quotes, at=self.now))
        for symbol in SYMBOLS:
            self._move(symbol, Decimal(self.rng.randint(70, 105)) / 100)
        super()._settle()


@pytest.mark.parametrize("seed", seeds(5))
def test_storm_of_steps(engine: Engine, seed: int):
    """
    The process dies between any two of: a step is written, sent, filled in pieces, over, canceled, ended and followed.
    Beside what every storm asks for: nothing that is to be left is left over, and a close of the whole that was at the
    market is never a limit again.
    """
    Falling(engine, seed).run()

    with engine.connect() as tx:
        assert 0 == tx.execute(WAITING).scalar_one()
        assert [] == _steps_back(tx)


def test_the_storms_take_every_way(fresh: Callable[[], Engine]):
    """A few storms together: steps that fill, that are over, and markets that follow them."""
    ends = set()
    for seed in range(5):
        engine = fresh()
        Falling(engine, seed).run()
        with engine.connect() as tx:
            ends |= {(row.type, row.status) for row in tx.execute(CLOSES)}

    assert ends >= {("limit", "filled"), ("limit", "canceled"), ("market", "filled")}


def test_without_the_end_of_a_step_the_storm_fails(fresh: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch):
    """A limit that nobody ends keeps its position for ever, unless a catastrophe ends it: the storm notices."""
    monkeypatch.setattr("actors.executor._is_over", lambda *_: False)

    def stuck(seed: int) -> Storm:
        storm = Falling(fresh(), seed, replace(STEPS, catastrophe_pct=None))
        storm.run()
        with storm.engine.connect() as tx:
            assert 0 == tx.execute(WAITING).scalar_one()
        return Storm(fresh(), seed)

    assert storms_fail(stuck)


def _steps_back(tx: Connection) -> list[Any]:
    """Return the positions of which the whole was closed at a limit after it had been closed at the market."""
    of_position: dict[Any, list[str]] = defaultdict(list)
    for row in tx.execute(CLOSES):
        if row.reason != "ladder":
            of_position[row.position_id].append(row.type)
    return [position for position, types in of_position.items() if types != sorted(types)]
