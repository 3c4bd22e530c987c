"""Somebody evaluates every open position: a copy of exit that stands by takes over what was left alone, and only that.

The copies are two objects in this process and their rows are real. What is old is made old in the rows, by the
database's own clock: nobody waits here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
from sqlalchemy import Engine, text

from actors.exit import ExitActor
from actors.keeper import Keeper
from actors.pulse import evaluator_of
from actors.shift import Shift
from actors.tracker import Tracker
from db import evaluations, leases, vital_signs
from db.evaluations import Evaluation
from db.leases import LeaseLost
from domain.events import PositionOpened
from tests.cli.house import AAA, House
from tests.domain.exit_kit import only

LEASE, SIGN = "exit:ticks.{0}", evaluator_of(0)
WITHIN = timedelta(seconds=5)
CLOSE = text("UPDATE positions SET qty = 0, closed_at = opened_at, exit_rule = 'stop', exit_reason = 'stop'")
BBB = AAA.replace("AAA", "BBB")


class Copies:
    """Copies of exit over one house."""

    def __init__(self, house: House) -> None:
        self.house, self.engine = house, house.engine
        self._keepers: list[Keeper] = []

    def copy(self, name: str) -> Shift:
        """Return a copy of exit; the first one finds the lease free."""
        keeper = Keeper(self.engine, [LEASE], name)
        keeper.start()
        self._keepers.append(keeper)
        evaluator = ExitActor(self.house.desk, instance=name, within=WITHIN)
        return Shift(self.house.desk, evaluator, keeper, SIGN, WITHIN)

    def stop(self) -> None:
        for keeper in self._keepers:
            keeper.stop()

    def grow_old(self, seconds: float) -> None:
        """Everything was looked at so many seconds earlier."""
        older = {"age": timedelta(seconds=seconds)}
        with self.engine.begin() as tx:
            tx.execute(text("UPDATE evaluations SET looked_at = looked_at - :age, due_at = due_at - :age"), older)
            tx.execute(text("UPDATE vital_signs SET at = at - :age"), older)

    def evaluation(self, symbol: str = AAA) -> Evaluation:
        with self.engine.connect() as tx:
            return next(e for e in evaluations.of_open(tx) if e.symbol == symbol)

    def closes(self) -> list[str]:
        with self.engine.connect() as tx:
            statement = text("SELECT symbol FROM orders WHERE NOT opening ORDER BY approved_at, order_id")
            return list(tx.execute(statement).scalars())


@pytest.fixture
def copies(engine: Engine) -> Iterator[Copies]:
    """A house that holds ten of AAA, bought at 5.00, to be left at a loss of 40 %."""
    house = House(engine)
    policy = only(min_hold=timedelta(0), stop_pct=Decimal(40))
    house.tracker = Tracker(house.desk, lambda account, strategy, kind: policy)
    for symbol in (AAA, BBB):
        house.prices.setdefault(symbol, (Decimal("4.90"), Decimal("5.00")))
    house.recommend(symbol=AAA, qty=10)
    house.trade()
    made = Copies(house)
    yield made
    made.stop()


# ---------------------------------------------------------------- when the next look is due


def test_a_position_is_due_from_the_moment_it_is_one(copies: Copies):
    """Nobody has looked yet, and somebody must within five seconds; then who looked stands there."""
    assert (None, False) == (copies.evaluation().evaluator, copies.evaluation().is_overdue)

    copies.copy("first").on_wall_timer(copies.house.now)

    found = copies.evaluation()
    assert ("first", WITHIN) == (found.evaluator, found.due_at - found.looked_at)


@pytest.mark.parametrize(("age_s", "overdue", "abandoned"), [(4, False, False), (6, True, False), (11, True, True)])
def test_what_is_overdue_and_what_is_abandoned(copies: Copies, age_s: float, overdue: bool, abandoned: bool):
    """After its time it is overdue, after twice the time it is abandoned."""
    copies.copy("first").on_wall_timer(copies.house.now)
    copies.grow_old(age_s)

    assert (overdue, abandoned) == (copies.evaluation().is_overdue, copies.evaluation().is_abandoned)


def test_a_position_that_opens_again_is_due_again(copies: Copies):
    """A late fill opens what was closed: its time begins anew, whoever looked before."""
    copies.copy("first").on_wall_timer(copies.house.now)
    copies.grow_old(3600)
    with copies.engine.begin() as tx:
        tx.execute(CLOSE)
        tx.execute(text("UPDATE positions SET qty = 10, closed_at = NULL, exit_rule = NULL, exit_reason = NULL"))

    assert (None, False) == (copies.evaluation().evaluator, copies.evaluation().is_overdue)


# ---------------------------------------------------------------- standing by


@pytest.mark.parametrize("age_s", [0, 4, 9])
def test_who_stands_by_leaves_it_alone_until_twice_the_time(copies: Copies, age_s: float):
    """It evaluates nothing and writes nothing."""
    first, second = copies.copy("first"), copies.copy("second")
    first.on_wall_timer(copies.house.now)
    copies.grow_old(age_s)

    second.stand_by(copies.house.now)
    second.on_wall_timer(copies.house.now)

    assert ("first", None) == (copies.evaluation().evaluator, second.keeper.lease)


def test_after_twice_the_time_the_one_that_stands_by_evaluates(copies: Copies):
    """
    The price fell through the stop while the first one hung: the second takes the lease and closes in
    the same step, with the price that it finds in the ticks.
    """
    first, second = copies.copy("first"), copies.copy("second")
    first.on_wall_timer(copies.house.now)
    copies.grow_old(11)

    second.stand_by(copies.house.now)
    copies.house.exit = second.exit
    copies.house.tick(AAA, "2.90")

    assert "second" == copies.evaluation().evaluator
    assert [AAA] == copies.closes()


def test_a_rule_of_time_needs_no_tick_to_be_caught_up(copies: Copies):
    """Its longest hold passed while nobody looked: it leaves in the step in which it is taken over."""
    with copies.engine.begin() as tx:
        tx.execute(text("UPDATE exit_plans SET policy = jsonb_set(policy, '{max_hold}', '1')"))
    _, second = copies.copy("first"), copies.copy("second")
    copies.house.now += timedelta(minutes=1)
    copies.grow_old(11)

    second.stand_by(copies.house.now)

    assert [AAA] == copies.closes()


def test_the_one_that_lost_it_can_write_nothing_more(copies: Copies):
    """It wakes up and goes on where it was: nothing is closed twice, and it begins anew when it has the lease again."""
    first, second = copies.copy("first"), copies.copy("second")
    first.on_wall_timer(copies.house.now)
    stale = first.keeper.lease
    copies.grow_old(11)
    second.stand_by(copies.house.now)
    assert stale is not None

    with mock.patch.object(Keeper, "lease", stale), pytest.raises(LeaseLost):
        first.on_timer(copies.house.now)

    assert "second" == copies.evaluation().evaluator


def test_one_of_two_that_stand_by_takes_over(copies: Copies):
    """Both saw that it is abandoned: the lease goes to the first that asks, the other one sees that it came late."""
    first, second, third = copies.copy("first"), copies.copy("second"), copies.copy("third")
    first.on_wall_timer(copies.house.now)
    copies.grow_old(11)
    with copies.engine.connect() as tx:
        seen = leases.holder(tx, LEASE)
    assert seen is not None

    assert (True, False) == (second.keeper.seize(seen), third.keeper.seize(seen))


def test_an_evaluator_that_is_silent_is_replaced_though_nothing_is_held(copies: Copies):
    """What opens next must not wait for somebody who is gone."""
    first, second = copies.copy("first"), copies.copy("second")
    first.on_wall_timer(copies.house.now)
    with copies.engine.begin() as tx:
        tx.execute(CLOSE)
    copies.house.wall += timedelta(seconds=9)
    second.stand_by(copies.house.now)
    assert second.keeper.lease is None

    copies.house.wall += timedelta(seconds=2)
    second.stand_by(copies.house.now)

    assert second.keeper.lease is not None
    with copies.engine.connect() as tx:
        assert copies.house.desk.wall() == vital_signs.noted_at(tx, SIGN)


# ---------------------------------------------------------------- one that cannot be evaluated


def _two(copies: Copies) -> None:
    copies.house.recommend("rec-2", symbol=BBB, qty=1)
    copies.house.trade()


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda: mock.patch("actors.exit.first_exit", _fails_for(AAA)), id="a rule of it fails"),
        pytest.param(lambda: mock.patch("actors.memory.watch_of", _fails_for(AAA)), id="it cannot be watched"),
        pytest.param(lambda: mock.patch("db.positions._row", _fails_for(AAA)), id="its row cannot be read"),
    ],
)
def test_one_position_that_cannot_be_evaluated_blinds_no_other(copies: Copies, broken: Callable[[], Any]):
    """The other one is closed at its stop; the broken one is not said to be looked at, and is missed."""
    _two(copies)
    shift = copies.copy("first")
    with broken():
        shift.on_wall_timer(copies.house.now)
        copies.house.exit = shift.exit
        copies.house.tick(AAA, "2.90")
        copies.house.tick(BBB, "2.90")
        copies.house.wall += timedelta(seconds=2)
        shift.on_wall_timer(copies.house.now)

    assert [BBB] == copies.closes()
    assert (None, "first") == (copies.evaluation(AAA).evaluator, copies.evaluation(BBB).evaluator)

    copies.house.now += timedelta(seconds=6)
    shift.on_wall_timer(copies.house.now)
    copies.house.tick(AAA, "2.90")

    assert [AAA, BBB] == sorted(copies.closes())


def _fails_for(symbol: str) -> Callable[..., Any]:
    """Return what stands for the real one and fails for *symbol*."""
    from actors.watches import watch_of
    from db.positions import _row
    from domain.exits import first_exit

    def failing(what: Any, *rest: Any) -> Any:
        if what.symbol == symbol:
            raise ZeroDivisionError("a bug")
        if not rest:
            return _row(what)
        return first_exit(what, *rest) if len(rest) == 1 else watch_of(what, *rest)

    return failing


def test_a_fact_is_followed_under_the_lease_of_its_own_partition(copies: Copies):
    """Facts are read under one partition's lease and told to all: a copy that lost another one closes nothing in it."""
    with copies.engine.begin() as tx:
        tx.execute(text("UPDATE exit_plans SET policy = jsonb_set(policy, '{max_hold}', '1')"))
    first, second = copies.copy("first"), copies.copy("second")
    stale = first.keeper.lease
    with copies.engine.connect() as tx:
        seen = leases.holder(tx, LEASE)
    assert seen is not None
    assert second.keeper.seize(seen)
    copies.house.now += timedelta(minutes=1)
    changed = [f for f in copies.house.published["decisions"] if isinstance(f, PositionOpened)]

    with mock.patch.object(Keeper, "lease", stale), pytest.raises(LeaseLost):
        first.handle_decisions(changed)

    assert [] == copies.closes()
