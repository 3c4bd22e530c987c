"""The storm with two copies of exit: leases run out, are seized and come back.

A copy may go on with a lease that it has lost, as one that hung does; what it then writes must be refused.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from actors.desk import held_lease
from actors.exit import ExitActor
from actors.keeper import Keeper
from actors.pulse import evaluator_of
from actors.shift import Shift
from db.leases import LeaseLost
from streams.names import Stream
from tests.simulation.exchange import Crash
from tests.simulation.seeds import seeds
from tests.simulation.storm import Storm

LEASE, SIGN, WITHIN = "exit:ticks.{0}", evaluator_of(0), timedelta(seconds=5)


class StormOfShifts(Storm):
    """The exit is two copies; each keeps its lease from no thread but when the storm lets it."""

    def start(self) -> None:
        super().start()
        self.shifts = [self._copy(name) for name in ("first", "second")]

    def _copy(self, name: str) -> Shift:
        desk = self.gate.desk
        keeper = Keeper(self.engine, [LEASE], name)
        return Shift(desk, ExitActor(desk, instance=name, within=WITHIN), keeper, SIGN, WITHIN)

    # ------------------------------------------------------------ what happens

    def _happenings(self) -> Any:
        return [*super()._happenings(), self._keep, self._run_out, self._leave_alone]

    def _keep(self) -> None:
        self.rng.choice(self.shifts).keeper._keep()

    def _run_out(self) -> None:
        """The database forgets who had it; the one that had it does not know yet."""
        with self.engine.begin() as tx:
            tx.execute(text("UPDATE leases SET expires_at = '-infinity'"))

    def _leave_alone(self) -> None:
        """Nobody looked for longer than twice the time."""
        with self.engine.begin() as tx:
            older = {"age": 3 * WITHIN}
            tx.execute(text("UPDATE evaluations SET looked_at = looked_at - :age, due_at = due_at - :age"), older)

    def _timers(self) -> None:
        self.entries.sweep(self.now)
        self.exits.sweep(self.now)
        for shift in self.shifts:
            shift.stand_by(self.now)
            shift.on_wall_timer(self.now)
        self._publish()

    def _handle(self, name: str, fact: Any) -> None:
        stream = name.partition(".")[0]
        if stream not in (Stream.TICKS, Stream.DECISIONS):
            super()._handle(name, fact)
            return
        shift = self.rng.choice(self.shifts)
        handle: Callable[[Any], Any] = shift.handle_ticks if stream == Stream.TICKS else shift.handle_decisions
        lease = shift.keeper.lease
        if lease is None and self.calm:
            return  # the other one reads it
        if lease is None:
            raise Crash  # nobody reads here: the entry comes again
        token = held_lease.set(lease)
        try:
            handle([fact])
        except LeaseLost:
            if not self.calm:
                raise Crash from None
        finally:
            held_lease.reset(token)

    def _settle(self) -> None:
        for shift in self.shifts:
            shift.keeper._keep()
        super()._settle()


@pytest.mark.parametrize("seed", seeds(3))
def test_storm_of_shifts(engine: Engine, seed: int):
    """
    The same with two that could evaluate: whichever has the lease, had it, or thinks so, nothing is
    closed twice, limits hold, and in calm weather one of them leaves nothing past its stop.
    """
    storm = StormOfShifts(engine, seed)
    storm.run()

    with engine.connect() as tx:
        waiting = tx.execute(
            text(
                "SELECT count(*) FROM positions JOIN exit_plans USING (position_id)"
                " WHERE closed_at IS NULL AND triggered_rule IS NOT NULL"
            )
        ).scalar_one()
    assert 0 == waiting
