"""Every actor as a process of its own, each killed with kill -9 in the middle of the day and started again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from actors.clocks import set_recorded_clock
from cli import run
from cli.settings import SHIPPED
from cli.wiring import ACTORS
from streams.names import Stream, partitioned
from tests.end_to_end.conftest import a_line
from tests.end_to_end.stack import Running, until
from tests.paper.days import CALL, PUT

FILLS = partitioned(Stream.FILLS, 0)
SENT = "SELECT 1 FROM orders WHERE recommendation = 'extra' AND status <> 'approved'"
ACCEPTED = "SELECT 1 FROM orders WHERE (recommendation, status) = ('extra', 'accepted')"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LINES = (
    a_line("one", "14:32:00"),
    a_line("two", "14:45:00", PUT, 2, accounts=["large", "tiny"]),
    a_line("refused", "15:00:00", CALL),
)
QUIET_MOMENTS = ("14:32:00", "14:40:00", "14:45:00", "15:00:00", "15:10:00", "15:20:00")


@pytest.fixture
def running_processes(small_day: Callable[..., Path], a_running: Callable[..., Running]) -> Running:
    """The day with each actor as a process."""
    return a_running(small_day(*LINES), as_processes=True)


def test_an_actor_killed_between_steps_changes_nothing(small_day: Callable[..., Path], digest_of: Callable[..., str]):
    """Six actors, six moments: after each kill the successor takes over, and the day ends as the undisturbed one."""

    def killed(actor: str) -> Callable[[Running], None]:
        def act(running: Running) -> None:
            running.kill(actor)
            running.start(actor)

        return act

    undisturbed = digest_of(small_day(*LINES))
    deaths = {moment: killed(actor) for moment, actor in zip(QUIET_MOMENTS, ACTORS, strict=True)}

    assert undisturbed == digest_of(small_day(*LINES), deaths, as_processes=True)


def test_two_copies_of_exit_share_a_recorded_day(small_day: Callable[..., Path], digest_of: Callable[..., str]):
    """As in containers: the second one waits, takes over when the first is killed, and the day ends as with one."""

    def start_another(running: Running) -> None:
        run.start_actor(running.stack, SHIPPED, "exit", "exit-2")

    undisturbed = digest_of(small_day(*LINES))
    doing = {"14:32:00": start_another, "14:45:00": lambda running: running.kill("exit")}

    assert undisturbed == digest_of(small_day(*LINES), doing, as_processes=True)


@dataclass(frozen=True)
class Death:
    """*fault* holds an actor at its work; *at_work* is true when it has something in its hands."""

    actor: str
    fault: dict[str, Any]
    at_work: str


HANG: dict[str, Any] = {"do": "hang", "seconds": 60}
POST: dict[str, Any] = HANG | {"method": "POST", "path": "/v2/orders"}
DEATHS = {
    "gate asking the brokerage": Death(
        "gate",
        HANG | {"method": "GET", "path": "/v2/account"},
        "SELECT 1 FROM recommendations WHERE recommendation = 'extra'",
    ),
    "executor before the brokerage accepts": Death(
        "executor",
        POST | {"when": "before"},
        "SELECT 1 FROM orders WHERE (recommendation, status) = ('extra', 'submitting')",
    ),
    "executor after the brokerage accepted": Death("executor", POST | {"when": "after"}, SENT),
    "tracker at a fill": Death("tracker", {}, SENT),
    "exit at a new position": Death("exit", {}, "SELECT 1 FROM positions WHERE recommendation = 'extra'"),
    "feeds while fills come": Death("feeds", {}, ACCEPTED),
}


@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS.keys())
def test_an_actor_killed_at_work_loses_nothing(running_processes: Running, death: Death):
    """Killed with something in its hands: its successor finishes what it began, once, and nothing is dead."""
    running = running_processes

    def die() -> None:
        running.control("POST", "/fills", hold=death.actor == "feeds")
        if death.fault:
            running.control("POST", "/faults", **death.fault)
        running.recommend(a_line("extra", "14:40:00", PUT, 1))
        until(lambda: running.rows(death.at_work), f"{death.actor} is at work")
        running.kill(death.actor)
        running.control("DELETE", "/faults")
        running.control("POST", "/fills", hold=False)
        running.start(death.actor)
        running.rest()

    running.play({"14:40:00": die})

    assert [("extra", "approved")] == running.rows(
        "SELECT recommendation, outcome FROM decisions WHERE recommendation = 'extra'"
    )
    closed = running.rows("SELECT symbol, max_qty FROM positions WHERE closed_at IS NOT NULL")
    assert {(CALL, 3), (PUT, 1)} <= set(closed)
    placed = [(o["symbol"], o["side"], o["qty"]) for o in running.broker("/v2/orders", status="all", limit=500)]
    assert 1 == placed.count((PUT, "buy", "1"))
    assert 0 == running.report()["dead_letters"]
    running.assert_rows_equal_the_broker()


def test_fills_that_only_redis_held_are_read_again(running_processes: Running, redis_client: redis.Redis):
    """
    The tracker is dead while an entry fills, and Redis is wiped before anybody read the fill: the
    brokerage is asked, and the position is there.
    """
    running = running_processes

    def wipe() -> None:
        running.control("POST", "/fills", hold=True)
        running.recommend(a_line("extra", "14:40:00", PUT, 1))
        until(lambda: running.rows(ACCEPTED), "the entry waits at the brokerage")
        running.rest()
        running.kill("tracker")
        before = redis_client.xlen(FILLS)
        running.control("POST", "/fills", hold=False)
        until(lambda: redis_client.xlen(FILLS) > before, "the fill is on its stream")
        redis_client.flushall()
        running.forget_frames()
        set_recorded_clock(redis_client, running.driver.paper.clock().at)
        running.start("tracker")

    running.play({"14:40:00": wipe})

    assert (PUT, 1) in running.rows("SELECT symbol, max_qty FROM positions")
    running.assert_rows_equal_the_broker()


def test_the_day_of_processes_is_the_day_of_threads(small_day: Callable[..., Path], digest_of: Callable[..., str]):
    """Hosted in one process or in six, the same day gives the same digest."""
    assert digest_of(small_day(*LINES)) == digest_of(small_day(*LINES), as_processes=True)
