"""Copies share a stream by slots: whoever holds a slot's lease reads under its name, whichever it gets, and when."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text

from actors.clocks import WallClock
from actors.desk import Desk
from actors.runtime import Delivered, Runtime
from db import leases
from db.leases import Lease
from streams.codec import encode
from streams.hooks import StreamHooks
from streams.names import Stream
from tests.factories import a_recommendation

SLOTS = 3
STREAM, GROUP = str(Stream.RECOMMENDATIONS), "gate"


def until(holds: Callable[[], Any], what: str) -> None:
    given_up = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < given_up, f"never: {what}"
        time.sleep(0.02)


class House:
    """Copies of an actor that remember what they handled, and strangers that hold slots."""

    def __init__(self, engine: Engine, client: redis.Redis) -> None:
        self.engine, self.client = engine, client
        self.handled: list[str] = []
        self.runtimes: list[Runtime] = []

    def start(self, name: str) -> Runtime:
        clock = WallClock()
        desk = Desk(engine=self.engine, clock=clock, wall=lambda: datetime.now(UTC), origin="test", partitions=1)
        runtime = Runtime(
            desk=desk,
            client=self.client,
            clock=clock,
            instance=name,
            on_dead=lambda _: None,
            hooks=StreamHooks(),
            slots=SLOTS,
            block_ms=50,
        )
        runtime.read_slot(STREAM, GROUP, self._handle)
        runtime.start()
        self.runtimes.append(runtime)
        return runtime

    def _handle(self, batch: Any) -> None:
        self.handled += [item.fact.id for item in batch if isinstance(item, Delivered)]

    def hold(self, slot: int) -> Lease:
        with self.engine.begin() as tx:
            held = leases.acquire(tx, f"{GROUP}:{STREAM}:{slot}", f"stranger {slot}", 600_000)
        assert held is not None
        return held

    def steal(self, slot: int) -> None:
        """Another copy was quicker when the lease had run out."""
        with self.engine.begin() as tx:
            tx.execute(
                text(
                    "UPDATE leases SET holder = 'the quicker one', epoch = epoch + 1,"
                    " expires_at = clock_timestamp() + interval '1 hour' WHERE lease = :lease"
                ),
                {"lease": f"{GROUP}:{STREAM}:{slot}"},
            )

    def let_go(self, lease: Lease) -> None:
        with self.engine.begin() as tx:
            leases.release(tx, lease)

    def recommend(self, name: str) -> None:
        self.client.xadd(STREAM, encode(a_recommendation(id=name)))

    def leave_pending(self, consumer: str, name: str) -> None:
        """A copy read it and died."""
        self.recommend(name)
        self.client.xreadgroup(GROUP, consumer, {STREAM: ">"})

    def consumers(self) -> set[str]:
        return {info["name"].decode() for info in self.client.xinfo_consumers(STREAM, GROUP)}

    def slot_of(self, runtime: Runtime) -> str | None:
        with self.engine.connect() as tx:
            found = tx.execute(
                text("SELECT lease FROM leases WHERE holder = :holder AND expires_at > clock_timestamp()"),
                {"holder": runtime.instance},
            )
            return found.scalar_one_or_none()


@pytest.fixture
def house(engine: Engine, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr("actors.runtime.ADOPT_EVERY_S", 0.05)
    monkeypatch.setattr("actors.keeper.RENEW_EVERY_S", 0.05)
    redis_client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    made = House(engine, redis_client)
    yield made
    for runtime in made.runtimes:
        runtime.stop()


def test_a_copy_without_a_slot_reads_under_the_name_of_the_one_that_it_gets(house: House):
    """Every slot is taken at its start; later the last one is free: it reads as that one, not as the first."""
    strangers = [house.hold(slot) for slot in range(SLOTS)]
    house.start("late-comer")
    house.recommend("rec-1")

    house.let_go(strangers[2])

    until(lambda: house.handled, "it reads")
    assert ["rec-1"] == house.handled
    assert {"gate-2"} == house.consumers()


def test_a_copy_whose_slot_was_taken_reads_under_the_name_of_its_next_one(house: House):
    """The database was away for longer than a lease lives, and another copy was quicker."""
    copy = house.start("copy")
    until(lambda: house.slot_of(copy) == "gate:recommendations:0", "it has the first slot")
    house.steal(0)
    until(lambda: house.slot_of(copy) not in {None, "gate:recommendations:0"}, "it has another slot")
    house.recommend("rec-1")

    until(lambda: house.handled, "it reads")

    assert f"gate-{(house.slot_of(copy) or '')[-1]}" in house.consumers()
    assert ["rec-1"] == house.handled


def test_what_lies_under_the_name_of_a_slot_that_changed_hands_is_taken_over(house: House):
    """
    The first slot's entries are left behind by the dead, its lease is held; the copy has the second. When the
    lease of the first runs out, its entries are handled: no name is anybody's for ever.
    """
    house.leave_pending("gate-0", "left-behind")
    stranger = house.hold(0)
    copy = house.start("copy")
    until(lambda: house.slot_of(copy) is not None, "it has another slot")
    house.recommend("rec-1")
    until(lambda: house.handled, "it reads")
    assert ["rec-1"] == house.handled

    house.let_go(stranger)

    until(lambda: len(house.handled) == 2, "what was left is handled")
    assert ["rec-1", "left-behind"] == house.handled


def test_what_lies_under_the_name_of_a_slot_that_one_came_to_hold_is_handled(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    """It had the first slot, lost it, and holds the second one now: whoever read there before has died."""
    monkeypatch.setattr("actors.runtime.ADOPT_EVERY_S", 600)  # what the name brings, not what is taken over
    copy = house.start("copy")
    until(lambda: house.slot_of(copy) == "gate:recommendations:0", "it has the first slot")
    house.leave_pending("gate-1", "left-behind")
    house.steal(0)

    until(lambda: "left-behind" in house.handled, "what was left is handled")
