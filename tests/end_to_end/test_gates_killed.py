"""N accounts and M recommendations are N x M decisions, whatever is killed on the way, and when (R08)."""

# ruff: noqa: N802 - a test is named after its row

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from cli import run
from tests.end_to_end.gates import ACCOUNTS, configuration, decided, gates_at_start, lines, play_on, recommendations
from tests.end_to_end.stack import Running, kill_and_start, migrated, until
from tests.servers import Killable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

SEEDS = int(os.environ.get("GAPLESS_STORM_SEEDS", "3"))
GATES, BATCHES, IN_A_BATCH = 3, 12, 20
#: What is killed while the batches come: each of the three kinds, gates more often than servers.
VICTIMS = ("redis", "postgres", *(f"gate-{n}" for n in range(GATES)), *(f"gate-{n}" for n in range(GATES)))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_R08_every_recommendation_is_decided_once_in_each_account(
    tmp_path: Path,
    small_day: Callable[..., Path],
    a_running: Callable[..., Running],
    killable_redis: Killable,
    killable_database: Killable,
    seed: int,
):
    """
    Gates, Redis and PostgreSQL are killed with kill -9 at moments that the seed chooses, and started again:
    two accounts and 240 recommendations are 480 decisions, none is dead, and rows equal the brokerage's truth.
    """
    addresses = {"redis_url": killable_redis.url, "database_url": migrated(killable_database.url)}
    running = gates_at_start(tmp_path, small_day, a_running, GATES, **addresses)
    random = Random(seed)
    asked = recommendations(random, BATCHES * IN_A_BATCH)
    told = lines(asked)
    victims = random.sample(VICTIMS, len(VICTIMS))

    for batch in range(BATCHES):
        running.recommend(*told[batch * IN_A_BATCH : (batch + 1) * IN_A_BATCH])
        time.sleep(random.uniform(0, 0.4))  # when the next one dies is the seed's choice, not a condition
        if batch < len(victims):
            _kill(victims[batch], running, {"redis": killable_redis, "postgres": killable_database}, tmp_path)
    due = len(asked) * len(ACCOUNTS) + 1
    until(lambda: decided(running) >= due, f"{due} decisions", 120)
    play_on(running)

    pairs = running.rows("SELECT recommendation, account FROM decisions WHERE recommendation <> 'before'")
    assert sorted(pairs) == sorted((name, account) for name in asked for account in ACCOUNTS)
    assert [] == running.rows("SELECT reason FROM dead_letters")
    approved = running.rows("SELECT order_id FROM decisions WHERE outcome = 'approved'")
    assert sorted(approved) == sorted(running.rows("SELECT order_id FROM orders WHERE opening"))
    running.assert_rows_equal_the_broker()


def _kill(victim: str, running: Running, servers: dict[str, Killable], folder: Path) -> None:
    """Kill and start again."""
    if victim in servers:
        kill_and_start(servers[victim])
        return
    running.kill(victim)
    run.start_actor(running.stack, configuration(folder), "gate", victim)
