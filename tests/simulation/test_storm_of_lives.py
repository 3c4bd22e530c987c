"""The storm, in which positions also end without an order and the brokerage says so late: every dollar is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from brokerage.facts import Told, booked
from tests.simulation.exchange import Exchange
from tests.simulation.storm import Storm

CASH = Decimal(100_000)


class StormOfLives(Storm):
    """As the storm, and contracts end by themselves; what is listed is delivered late, twice and out of order."""

    def _happenings(self) -> Sequence[Callable[[], None]]:
        return [*super()._happenings(), self._end_some, self._list, self._compare]

    def _any(self) -> Exchange:
        return self.rng.choice(list(self.exchanges.values()))

    def _end_some(self) -> None:
        if self.rng.random() < 0.4:
            self._any().end_without_an_order()

    def _list(self) -> None:
        exchange = self._any()
        exchange.list_activities()
        self._tell(exchange, self.rng.sample(exchange.activities, min(2, len(exchange.activities))))

    def _compare(self) -> None:
        """Two readings in a row, caught up before: what is not listed yet is adjusted."""
        exchange = self._any()
        self.queues["fills"] += [exchange.filled_fact(execution, from_rest=True) for execution in exchange.filled]
        for fact in list(self.queues["fills"]):  # it comes again: nothing is acknowledged here
            self._handle("fills", fact)
        for _ in range(self.rng.choice((1, 2, 2))):
            self.reconciler.reconcile(exchange.name, self.now)
            self._publish()
            self.now += timedelta(seconds=11)

    def _tell(self, exchange: Exchange, activities: Sequence[object]) -> None:
        told = Told(account=exchange.name, cause="storm", origin="storm")
        self.queues["fills"] += [booked(a, told) for a in activities]  # type: ignore[arg-type]

    def _settle(self) -> None:
        for exchange in self.exchanges.values():
            exchange.list_activities()
            self._tell(exchange, exchange.activities)
        super()._settle()


def assert_every_dollar_is_found(storm: StormOfLives) -> None:
    """Results of all positions, less what those still held cost, are the cash that moved; no result is unknown."""
    with storm.engine.connect() as tx:
        for name, exchange in storm.exchanges.items():
            row = tx.execute(
                text(
                    "SELECT bool_or(realized_pnl_usd IS NULL) AS unknown, coalesce(sum(realized_pnl_usd), 0) AS made,"
                    " coalesce(sum(entry_price * qty * multiplier), 0) AS bound FROM positions WHERE account = :name"
                ),
                {"name": name},
            ).one()
            assert not row.unknown
            assert abs(exchange.cash - CASH - (row.made - row.bound)) < Decimal("0.05"), name
            waiting = tx.execute(text("SELECT count(*) FROM activities WHERE applied_qty < abs(qty)")).scalar_one()
            assert 0 == waiting


@pytest.mark.parametrize("seed", range(6))
def test_storm_of_lives(engine: Engine, seed: int):
    """Crashes, disorder, sales by hand and contracts that end: when it is calm, cash and results are one."""
    storm = StormOfLives(engine, seed)
    storm.run()

    assert_every_dollar_is_found(storm)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6, 120))
def test_storm_of_many_lives(engine: Engine, seed: int):
    """The same, for long."""
    test_storm_of_lives(engine, seed)
