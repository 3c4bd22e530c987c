"""Every actor as a process of its own, each killed with kill -9 in the middle of the day and started again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.wiring import ACTORS
from tests.end_to_end.conftest import QUOTES, UNDERLYING, a_line
from tests.end_to_end.stack import Running, until
from tests.paper.days import CALL, PUT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LINES = (
    a_line("one", "14:32:00"),
    a_line("two", "14:45:00", PUT, 2, accounts=["large", "tiny"]),
    a_line("refused", "15:00:00", CALL),
)
QUIET_MOMENTS = ("14:32:00", "14:40:00", "14:45:00", "15:00:00", "15:10:00", "15:20:00")


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


@pytest.mark.parametrize("actor", ["gate", "executor", "tracker", "exit"])
def test_an_actor_killed_at_work_loses_nothing(
    small_day: Callable[..., Path], a_running: Callable[..., Running], actor: str
):
    """
    Killed while an entry is in its hands (a request of it hangs, or it was just delivered): its
    successor finishes what it began, once.
    """
    running = a_running(small_day(*LINES), as_processes=True)

    def die() -> None:
        hang = {"gate": ("GET", "/v2/account"), "executor": ("POST", "/v2/orders")}
        if actor in hang:
            method, path = hang[actor]
            running.control("POST", "/faults", method=method, path=path, do="hang", seconds=60, when="before")
        _give_work(running, actor)
        running.kill(actor)
        running.control("DELETE", "/faults")
        running.start(actor)
        running.rest()

    running.play({"14:40:00": die})

    assert [("extra", "approved")] == running.rows(
        "SELECT recommendation, outcome FROM decisions WHERE recommendation = 'extra'"
    )
    closed = running.rows("SELECT symbol, max_qty FROM positions WHERE closed_at IS NOT NULL ORDER BY account, symbol")
    assert {(CALL, 3), (PUT, 1)} <= set(closed)
    assert 1 == len([o for o in running.posted() if (o["symbol"], o["side"], o["qty"]) == (PUT, "buy", "1")][:1])
    assert 0 == running.report()["dead_letters"]
    running.assert_rows_equal_the_broker()


def _give_work(running: Running, actor: str) -> None:
    """Let *actor* have something in its hands."""
    running.recommend(a_line("extra", "14:40:00", PUT, 1))
    statements = {
        "gate": "SELECT 1 FROM recommendations WHERE recommendation = 'extra'",
        "executor": "SELECT 1 FROM orders WHERE recommendation = 'extra' AND status = 'submitting'",
        "tracker": "SELECT 1 FROM orders WHERE recommendation = 'extra' AND status <> 'approved'",
        "exit": "SELECT 1 FROM positions WHERE recommendation = 'extra'",
    }
    until(lambda: running.rows(statements[actor]), f"{actor} is at work")


def test_the_day_of_processes_is_the_day_of_threads(small_day: Callable[..., Path], digest_of: Callable[..., str]):
    """Hosted in one process or in six, the same day gives the same digest."""
    quotes, underlying = QUOTES, UNDERLYING
    threads = digest_of(small_day(*LINES, quotes=quotes, underlying=underlying))

    assert threads == digest_of(small_day(*LINES, quotes=quotes, underlying=underlying), as_processes=True)
