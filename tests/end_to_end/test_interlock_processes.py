"""The interlock in the stack as it trades for real: each process is killed, entries stop, and the account says why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from cli import run
from cli.children import Children
from cli.local_alpaca import LocalAlpaca
from cli.run import STANDBY, Stack, start_actor, start_actors
from cli.settings import SHIPPED, Settings, load
from cli.starting import bring_into_force
from domain.interlock import NEEDED
from tests.end_to_end.stack import until
from tests.end_to_end.test_wall_clock import CONTRACT, alpaca, alpaca_children, kill, recommend
from tests.end_to_end.test_wall_clock import one as scalar
from tests.end_to_end.today import quote

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

__all__ = ["alpaca", "alpaca_children"]

#: Short bounds, in seconds; a start may take most of a minute on a machine that does much else.
BOUNDS = {"max_silence_s = 15": "max_silence_s = 8", "stream_silence_s = 60": "stream_silence_s = 6"}
PATIENCE_S = 90.0


@pytest.fixture
def config(tmp_path: Path, alpaca: LocalAlpaca) -> Path:
    """The shipped configuration with short bounds, at the local Alpaca."""
    said = SHIPPED.read_text()
    for shipped, short in BOUNDS.items():
        assert shipped in said
        said = said.replace(shipped, short)
    said = said.replace("[servers]", f'paper_url = "{alpaca.rest_url}"\n\n[servers]', 1)
    said = said.replace("reconcile_every_s = 30", "reconcile_every_s = 2").replace("watch = []", 'watch = ["SPY"]')
    file = tmp_path / "gapless.toml"
    file.write_text(said)
    return file


@pytest.fixture
def stack(tmp_path: Path, config: Path) -> Iterator[Stack]:
    """Every actor as a process on the wall clock; nobody revives the dead."""
    settings: Settings = load(config, {})
    with ExitStack() as opened:
        served = opened.enter_context(run._servers(settings, tmp_path / "ledger"))
        made = opened.enter_context(run._connected(served.settings, tmp_path / "ledger"))
        bring_into_force(served.settings, made.engine, datetime.now(UTC))
        start_actors(made, config)
        until(lambda: is_active(made), "entries pass", PATIENCE_S)
        yield made


def is_active(stack: Stack) -> bool:
    return bool(scalar(stack, "SELECT state FROM accounts WHERE account = 'large'") == "active")


def causes(stack: Stack) -> list[str]:
    with stack.engine.connect() as tx:
        return list(tx.execute(text("SELECT cause FROM interlocks WHERE account = 'large' ORDER BY cause")).scalars())


def decided(stack: Stack) -> Any:
    return scalar(stack, "SELECT checks FROM decisions WHERE (recommendation, account) = ('wall-1', 'large')")


def test_each_process_that_dies_stops_entries_and_is_named(stack: Stack, config: Path):
    """
    Executor, exit with the copy that stands by, feeds and tracker, one after the other: reducing while it
    is dead, active when it is back.
    """
    for actor in NEEDED:
        for name in (actor, STANDBY) if actor == "exit" else (actor,):
            kill(stack, name)
            stack.children.forget(name)
        until(lambda actor=actor: actor in causes(stack), f"{actor} is missed", PATIENCE_S)  # type: ignore[misc]
        assert not is_active(stack)

        start_actor(stack, config, actor)
        until(lambda: is_active(stack), f"{actor} is back and entries pass", PATIENCE_S)


def test_the_watcher_that_dies_is_replaced_and_the_dead_brokerage_is_named(
    stack: Stack, alpaca: LocalAlpaca, alpaca_children: Children
):
    """
    The reconciler dies, and with it perhaps the watch; then the brokerage dies. The gate goes on
    watching: order updates are missed, and what is recommended meanwhile is refused for it.
    """
    quote(alpaca, CONTRACT, "2.00", "2.10")
    kill(stack, "reconciler")
    stack.children.forget("reconciler")
    alpaca_children.process("paper").kill()

    until(lambda: "broker stream" in causes(stack), "order updates are missed", PATIENCE_S)
    recommend(stack)
    until(lambda: decided(stack), "it is decided", PATIENCE_S)
    failed = {check["gate"]: check["observed"] for check in decided(stack) if not check["passed"]}

    assert "broker stream" in failed["stack_is_alive"]
    assert "interlock: " in failed["account_is_active"]
    assert 0 == scalar(stack, "SELECT count(*) FROM orders")
