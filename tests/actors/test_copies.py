"""Copies of an actor count each other by their leases."""

from __future__ import annotations

from sqlalchemy import Engine

from actors.copies import LOOK_EVERY_S, Copies
from db import leases


def take(engine: Engine, name: str, ttl_ms: int = 60_000) -> None:
    with engine.begin() as tx:
        leases.acquire(tx, name, f"holder of {name}", ttl_ms)


def test_live_leases_of_the_prefix_are_counted_once_in_a_while(engine: Engine):
    """Two slots of three are held, another actor's lease is none of ours; a third is noticed at the next look."""
    now = [0.0]
    for name in ("gate:recommendations:0", "gate:recommendations:1", "gate:recommendations.waiting", "exit:ticks.{0}"):
        take(engine, name)
    take(engine, "gate:recommendations:2", ttl_ms=0)
    copies = Copies(engine, "gate:recommendations:", lambda: now[0])

    assert 2 == copies()
    take(engine, "gate:recommendations:3")
    assert 2 == copies()
    now[0] += LOOK_EVERY_S
    assert 3 == copies()


def test_who_asks_is_there(engine: Engine):
    """Before the first lease, and when the database is away: never nobody, and never a wrong hope."""
    now = [0.0]
    copies = Copies(engine, "gate:recommendations:", lambda: now[0])
    assert 1 == copies()
    for slot in range(4):
        take(engine, f"gate:recommendations:{slot}")
    now[0] += LOOK_EVERY_S
    assert 4 == copies()

    with engine.begin() as tx:
        tx.exec_driver_sql("ALTER TABLE leases RENAME TO gone")
    now[0] += LOOK_EVERY_S
    assert 4 == copies()
