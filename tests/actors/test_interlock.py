"""The interlock: the loss of any part stops entries and says which, its return lets them pass, and nobody is loosened.

The clock is the test's, rows and streams are real: what happens between two looks is what the test does.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text

from actors import trading_state
from actors.desk import Desk
from actors.interlock import TICK, Interlock
from actors.losses import Losses
from actors.pulse import COMPARED, evaluator_of, of_rows
from db import accounts, heartbeats, interlocks, latches, leases, marks, schema, sessions, vital_signs
from db.interlocks import RECONCILIATION
from db.leases import Lease
from db.vital_signs import BROKER_STREAM, STREAMS, TRACKER_LAG
from domain.account import LossKind, TradingState
from domain.interlock import NEEDED
from domain.loss import LossRules
from streams.clients import writing_client
from streams.progress import progress
from tests.actors.test_losses import hold_five
from tests.db.wall_kit import configure, hold
from tests.factories import LARGE, NOON, PUT, SESSION, TINY, a_quote, some_bounds
from tests.servers import Killable

SECOND = timedelta(seconds=1)
EVALUATOR = evaluator_of(0)


class Watch:
    """An interlock on a clock of the test's. ``alive`` are the parts that show life before each look."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.now, self.lag_s = engine, NOON, 0.0
        self.lease: Lease | None = None
        self.desk = Desk(engine=engine, clock=lambda: self.now, wall=lambda: self.now, origin="test", partitions=1)
        rules = LossRules(max_mark_age=timedelta(minutes=15), until_person=False)
        self.interlock = Interlock(
            desk=self.desk,
            pulse=of_rows(self.desk, some_bounds()),
            losses=lambda: Losses(self.desk, rules, "interlock"),
            lag=lambda: timedelta(seconds=self.lag_s),
            lease=lambda: self.lease,
        )
        self.alive = {*NEEDED, STREAMS, EVALUATOR, BROKER_STREAM, COMPARED}
        with engine.begin() as tx:
            configure(tx)
            for account in (LARGE, TINY):
                interlocks.release(tx, account, RECONCILIATION)
            sessions.keep(tx, [SESSION])
            self.lease = leases.acquire(tx, "interlock", "the test", 600_000)

    def live(self, seconds: float) -> None:
        """Let time pass; whatever is alive shows it, and the interlock looks."""
        self.now += seconds * SECOND
        self.show_life()
        self.look()

    def show_life(self) -> None:
        with self.engine.begin() as tx:
            for actor in self.alive & {*NEEDED}:
                heartbeats.beat(tx, actor, "host-1", "test", self.now)
            if EVALUATOR in self.alive:
                vital_signs.note(tx, EVALUATOR, self.now)
            for account in (LARGE, TINY):
                if BROKER_STREAM in self.alive:
                    vital_signs.note(tx, BROKER_STREAM, self.now, account)
                if COMPARED in self.alive:
                    accounts.mark_reconciled(tx, account, f"PA-{account}", self.now)

    def look(self) -> None:
        if STREAMS in self.alive:
            self.interlock.look_at_streams(self.now)
        self.interlock.look_at_rows(self.now)

    def state(self, account: Any = LARGE) -> tuple[str, str]:
        with self.engine.connect() as tx:
            return accounts.state_of(tx, account)

    def causes(self, account: Any = LARGE) -> list[str]:
        with self.engine.connect() as tx:
            return list(interlocks.causes(tx, account))


@pytest.fixture
def watch(engine: Engine) -> Watch:
    """Everything is well, and entries pass."""
    made = Watch(engine)
    made.live(1)
    assert "active" == made.state()[0]
    return made


BOUNDS = {**dict.fromkeys(NEEDED, 15), STREAMS: 5, EVALUATOR: 5, BROKER_STREAM: 60, COMPARED: 120}


@pytest.mark.parametrize(("part", "bound_s"), BOUNDS.items())
def test_the_loss_of_any_part_stops_entries_and_says_which(watch: Watch, part: str, bound_s: int):
    """
    Up to its bound nothing happens; at the first look after it (a quarter of a second) the account is
    reducing and the part is named. When it is back, entries pass at the next look.
    """
    watch.alive.discard(part)
    watch.live(bound_s)
    assert ("active", []) == (watch.state()[0], watch.causes())

    watch.now += TICK
    watch.show_life()
    watch.look()
    state, reason = watch.state()
    assert ("reducing", [part]) == (state, watch.causes())
    assert part in reason

    watch.alive.add(part)
    watch.live(1)
    assert ("active", []) == (watch.state()[0], watch.causes())


def test_a_quarter_of_a_second_is_within_a_second():
    """What the bound allows and what one look adds: entries stop within a second of the bound."""
    assert TICK <= timedelta(milliseconds=250)


def test_fills_that_wait_for_the_tracker_stop_entries(watch: Watch):
    """Ten seconds may pass between a fill and its position; at eleven entries wait, applied they go on."""
    watch.lag_s = 10
    watch.live(10)
    assert "active" == watch.state()[0]

    watch.lag_s = 11
    watch.live(1)
    assert ("reducing", [TRACKER_LAG]) == (watch.state()[0], watch.causes())

    watch.lag_s = 0
    watch.live(1)
    assert "active" == watch.state()[0]


def test_a_position_without_prices_stops_the_entries_of_its_account(watch: Watch):
    """Only `large` holds it, so only `large` waits; the next quote lets it go on (R33)."""
    with watch.engine.begin() as tx:
        hold(tx, 5, PUT)
    watch.live(899)
    assert "active" == watch.state()[0]

    watch.live(1)
    assert ("reducing", [f"price of {PUT}"]) == (watch.state()[0], watch.causes())
    assert "active" == watch.state(TINY)[0]

    with watch.engine.begin() as tx:
        marks.keep(tx, [a_quote(at=watch.now)])
    watch.live(1)
    assert "active" == watch.state()[0]


def test_every_missing_part_is_named_and_all_must_be_back(watch: Watch):
    """Exit and tracker are gone: the reason has both, and one of them alone lifts nothing."""
    watch.alive -= {"exit", "tracker"}
    watch.live(16)
    assert ["exit", "tracker"] == watch.causes()
    assert all(part in watch.state()[1] for part in ("exit", "tracker"))

    watch.alive.add("exit")
    watch.live(1)
    assert ("reducing", ["tracker"]) == (watch.state()[0], watch.causes())

    watch.alive.add("tracker")
    watch.live(1)
    assert "active" == watch.state()[0]


@pytest.mark.parametrize(
    ("state", "reason"),
    [(TradingState.HALTED, "fire drill"), (TradingState.REDUCING, "dead letter 1-0 on fills: unreadable")],
    ids=["halted by a person", "reduced for a dead letter"],
)
def test_what_others_set_is_not_loosened(watch: Watch, state: TradingState, reason: str):
    """The exit dies and comes back: state and reason stay theirs; the cause alone came and went."""
    with watch.engine.begin() as tx:
        accounts.set_state(tx, LARGE, state, reason, "somebody", watch.now)
    watch.alive.discard("exit")
    watch.live(16)
    assert ((state, reason), ["exit"]) == (watch.state(), watch.causes())

    watch.alive.add("exit")
    watch.live(1)
    assert ((state, reason), []) == (watch.state(), watch.causes())


def test_a_person_does_not_talk_a_missing_part_back(watch: Watch):
    """Resumed while exit is dead: at the next look the account is reducing again."""
    watch.alive.discard("exit")
    watch.live(16)
    with watch.engine.begin() as tx:
        trading_state.change(watch.desk, tx, LARGE, TradingState.ACTIVE, "it will be fine", "somebody")
    watch.live(1)

    assert "reducing" == watch.state()[0]


def test_what_the_reconciler_holds_is_the_reconciler_s_to_lift(watch: Watch):
    """All is well, and yet the rows were never compared: the interlock leaves that alone."""
    with watch.engine.begin() as tx:
        trading_state.engage(watch.desk, tx, LARGE, RECONCILIATION, "not reconciled yet", "reconciler")
    watch.live(2)

    assert ("reducing", [RECONCILIATION]) == (watch.state()[0], watch.causes())


def test_nothing_is_told_twice_while_it_lasts(watch: Watch):
    """Two changes of state for one absence, however often one looks."""
    watch.alive.discard("exit")
    watch.live(16)
    for _ in range(4):
        watch.live(1)
    watch.alive.add("exit")
    for _ in range(4):
        watch.live(1)
    with watch.engine.connect() as tx:
        told = tx.execute(text("SELECT what FROM account_changes WHERE by = 'interlock' AND account = 'large'"))

        assert ["state reducing", "state active"] == list(told.scalars())


def test_only_the_holder_of_the_lease_watches(watch: Watch):
    """A copy without the lease changes nothing, whatever it sees."""
    watch.lease = None
    watch.alive.clear()
    watch.live(20)

    assert ("active", []) == (watch.state()[0], watch.causes())


def test_a_loss_between_two_recommendations_latches(watch: Watch):
    """The price falls and comes back while nobody recommends anything: it was a loss, seen twice."""
    with watch.engine.begin() as tx:
        hold_five(tx)
    for bid in ("5.90", "5.80"):
        with watch.engine.begin() as tx:
            marks.keep(tx, [a_quote(bid=bid, ask=bid, at=watch.now)])
        watch.live(1)
    with watch.engine.connect() as tx:
        assert [LossKind.DAILY_LOSS] == [k for k, latch in latches.live(tx, LARGE).items() if latch.latched_at]


# ---------------------------------------------------------------- servers that die


def test_streams_that_die_stop_entries_and_let_them_pass_when_they_are_back(watch: Watch, killable_redis: Killable):
    """A real Valkey, killed and started again: no sign of life while it is dead, and none is invented."""
    client = writing_client(killable_redis.url)
    watch.interlock.lag = lambda: timedelta(
        milliseconds=max(g.oldest_age_ms or 0 for g in progress(client, {"fills.{0}": ["tracker"]}).groups)
    )
    watch.live(1)
    killable_redis.kill()
    watch.alive.discard(STREAMS)  # what the runtime does with a timer that raises: it comes again
    with pytest.raises(redis.RedisError):
        watch.interlock.look_at_streams(watch.now)
    watch.live(6)
    assert ("reducing", [STREAMS]) == (watch.state()[0], watch.causes())

    killable_redis.start()
    watch.alive.add(STREAMS)
    watch.live(1)
    assert "active" == watch.state()[0]
    client.close()


@pytest.fixture
def watch_on(killable_database: Killable) -> Callable[[], Watch]:
    schema.upgrade(killable_database.url)
    return lambda: Watch(schema.connect(killable_database.url))


def test_without_the_database_nothing_opens_and_afterwards_everything_is_looked_at_anew(
    watch_on: Callable[[], Watch], killable_database: Killable
):
    """
    PostgreSQL dies: no look succeeds and nothing can be written, so nothing can open. When it is back
    after longer than the bounds, the first look finds the silence, the next one the life.
    """
    watch = watch_on()
    watch.live(1)
    killable_database.kill()
    with pytest.raises(Exception, match=r"connection|closed|server"):
        watch.look()

    killable_database.start()
    watch.engine.dispose()
    watch.now += timedelta(seconds=20)
    watch.interlock.look_at_rows(watch.now)
    assert ("reducing", sorted([*NEEDED, STREAMS, TRACKER_LAG, EVALUATOR])) == (watch.state()[0], watch.causes())

    watch.live(1)
    assert "active" == watch.state()[0]
    watch.engine.dispose()
