"""``run`` and ``replay``: the whole stack, on a recorded day or at Alpaca.

A replay hosts every actor in one process; a run starts each as a process of its own, as compose does. Both play a
recorded day through the same driver, so both end with the same outcome.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import redis
from sqlalchemy import Engine

from actors.clocks import CLOCK_KEY, set_recorded_clock
from cli import ledger, local_alpaca
from cli.children import ChildDied, Children, Interrupted
from cli.day import Day
from cli.driver import driver_of
from cli.local_alpaca import LocalAlpaca
from cli.metrics_door import offer
from cli.origin import origin
from cli.paper_control import PaperControl
from cli.patience import PATIENCE_S, Patience
from cli.settings import BadConfiguration, Settings
from cli.starting import bring_into_force, require_accounts, require_own_accounts, require_sane_limits
from cli.wiring import ACTORS, Wiring, address
from db import schema
from monitoring.metrics import ActorMetrics, StreamMetrics, a_registry
from streams.clients import writing_client
from streams.names import FED_KEY, QUOTED_KEY

log = logging.getLogger(__name__)

#: The days that ship with the code, and how long both take together when no speed is asked for, in seconds.
SHIPPED_DAYS: Final = Path(__file__).resolve().parent.parent / "days"
SHIPPED_SECONDS: Final = 50.0
#: The copy of exit that stands by, and all that run at Alpaca: each offers its metrics one port after the other.
STANDBY: Final = "exit-standby"
PROCESSES: Final = (*ACTORS, STANDBY)
#: How long actors may take to stop, in seconds.
STOP_S: Final = 1.5

#: How often a run at Alpaca looks at its processes, in seconds.
LOOK_S: Final = 0.5

T = TypeVar("T")
OnStep = Callable[["Stack", datetime], None]
Finish = Callable[["Stack"], T]
Stage = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack: what a live view or a report reads."""

    settings: Settings
    folder: Path
    engine: Engine
    client: redis.Redis
    children: Children


def shipped_days() -> list[Path]:
    return sorted(path.parent for path in SHIPPED_DAYS.glob("*/session.json"))


# ---------------------------------------------------------------- recorded days


def replay(
    settings: Settings, days: Sequence[Day], folder: Path, speed: float | None, on_step: OnStep, finish: Finish[T]
) -> T:
    """Play *days* through every actor in this process; return what *finish* makes of the stack when they are over."""
    with _servers(settings, folder) as served, _recorded(served.settings, days, folder) as (stack, alpaca):
        wiring = Wiring.of(stack.settings, stack.engine, stack.client)
        for actor in ACTORS:
            wiring.host(actor)
        wiring.runtime.start()
        try:
            _drive(stack, alpaca, days, speed, on_step)
        finally:
            wiring.runtime.stop()
        return finish(stack)


def run_recorded(
    settings: Settings,
    config: Path,
    days: Sequence[Day],
    folder: Path,
    speed: float | None,
    on_step: OnStep,
    finish: Finish[T],
    stage: Stage,
) -> T:
    """Play *days* with each actor as a process; return what *finish* makes of the stack when they are over.

    *stage* is told what is being started or stopped.
    """
    stage("starting Valkey and PostgreSQL")
    with _servers(settings, folder) as served:
        stage("starting the local Alpaca")
        with _recorded(served.settings, days, folder) as (stack, alpaca):
            try:
                stage("starting the actors")
                start_actors(stack, config)
                _drive(stack, alpaca, days, speed, on_step)
            finally:
                stage("stopping the actors")
                stack.children.stop_all(STOP_S)
            return finish(stack)


def speed_of_shipped(days: Sequence[Day]) -> float:
    """Return the speed at which the shipped days take about a minute."""
    spans = sum(((day.end - day.start) for day in days), start=timedelta())
    return spans.total_seconds() / SHIPPED_SECONDS


@contextmanager
def _recorded(
    settings: Settings, days: Sequence[Day], folder: Path, options: Sequence[str] = ()
) -> Iterator[tuple[Stack, LocalAlpaca]]:
    """Start the local Alpaca, with *options*, on *days* and set the clock to their beginning."""
    with _connected(settings, folder) as stack:
        alpaca = local_alpaca.start(stack.children, [day.folder for day in days], settings, options)
        watch = sorted({*settings.stack.watch, *(name for day in days for name in day.underlyings)})
        brokerage = settings.brokerage.model_copy(update={"paper_url": alpaca.rest_url, "mode": "paper"})
        stacked = settings.stack.model_copy(update={"clock": "recorded", "watch": tuple(watch)})
        ours = settings.model_copy(update={"brokerage": brokerage, "stack": stacked})
        stand_at(ours, stack.engine, stack.client, days[0].start)
        with ledger.announcing(folder, alpaca.rest_url):
            yield Stack(ours, stack.folder, stack.engine, stack.client, stack.children), alpaca


def stand_at(settings: Settings, engine: Engine, client: redis.Redis, start: datetime) -> None:
    """Set the clock of a recorded day to its beginning, with the accounts as they are configured."""
    client.delete(FED_KEY, QUOTED_KEY, CLOCK_KEY)
    set_recorded_clock(client, start)
    bring_into_force(settings, engine, start)


def _drive(stack: Stack, alpaca: LocalAlpaca, days: Sequence[Day], speed: float | None, on_step: OnStep) -> None:
    def step(now: datetime) -> None:
        stack.children.check()
        on_step(stack, now)

    patience = Patience(PATIENCE_S, stack.children.check)
    driver = driver_of(
        stack.settings, stack.engine, stack.client, PaperControl(alpaca.control_url), patience, speed, step
    )
    driver.begin(days[0].start)
    driver.play(days)


# ---------------------------------------------------------------- at Alpaca


def run_at_alpaca(
    settings: Settings, config: Path, folder: Path, on_step: OnStep, finish: Finish[T], stage: Stage
) -> T:
    """Trade at Alpaca with each actor as a process, until somebody stops us; then return what *finish* makes of it."""
    stage("starting Valkey and PostgreSQL")
    with _servers(settings, folder) as served, _connected(served.settings, folder) as stack:
        bring_into_force(served.settings, stack.engine, datetime.now(UTC))
        _require_sound_accounts(stack)
        try:
            stage("starting the actors")
            start_actors(stack, config)
            while True:
                time.sleep(LOOK_S)
                _revive(served, stack, config)
                on_step(stack, datetime.now(UTC))
        except Interrupted:
            stage("stopping the actors")
            stack.children.stop_all(STOP_S)
            return finish(stack)


def _require_sound_accounts(stack: Stack) -> None:
    """Refuse the start with a word to the person at the terminal, before actors refuse it one by one."""
    wiring = Wiring.of(stack.settings, stack.engine, stack.client)
    ports = wiring.brokerages(wiring.budgets("reconciler"))
    require_own_accounts(stack.engine, ports)
    require_sane_limits(stack.engine, ports, datetime.now(UTC))


def _revive(served: Served, stack: Stack, config: Path) -> None:
    """Start again whatever died: positions are not left alone because a process fell."""
    for death in served.revive():
        log.error("%s and was started again", death)
    for death in stack.children.dead():
        log.error("%s; it is started again", death)
        stack.children.forget(death.name)
        start_actor(stack, config, "exit" if death.name == STANDBY else death.name, death.name)


# ---------------------------------------------------------------- the parts


@dataclass(frozen=True, slots=True)
class Served:
    """Settings that point at two running servers; *revive* starts again those of ours that died."""

    settings: Settings
    revive: Callable[[], list[ChildDied]]


@contextmanager
def _servers(settings: Settings, folder: Path) -> Iterator[Served]:
    """Yield settings with the addresses of two running servers: the configured ones, or embedded in *folder*."""
    if settings.servers.redis_url is not None and settings.servers.database_url is not None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        schema.upgrade(address(settings, "database_url"))
        yield Served(settings, list)
        return
    with ledger.serving(folder) as servers:
        schema.upgrade(servers.database_url)
        ledger.remember(settings, folder)
        found = settings.servers.model_validate(
            {**settings.servers.model_dump(), "redis_url": servers.redis_url, "database_url": servers.database_url}
        )
        yield Served(settings.model_copy(update={"servers": found}), servers.revive)


@contextmanager
def connected_servers(settings: Settings, folder: Path) -> Iterator[Stack]:
    """Yield a stack without actors: two servers, the schema at head, a connection to each."""
    with _servers(settings, folder) as served, _connected(served.settings, folder) as stack:
        yield stack


@contextmanager
def _connected(settings: Settings, folder: Path) -> Iterator[Stack]:
    engine = schema.connect(address(settings, "database_url"))
    client = writing_client(address(settings, "redis_url"))
    children = Children(folder)
    try:
        yield Stack(settings, folder, engine, client, children)
    finally:
        children.stop_all(STOP_S)
        client.close()
        engine.dispose()


def start_actors(stack: Stack, config: Path) -> None:
    """Start every actor as a process of its own, and a second exit that takes over when the first one does nothing."""
    for actor in ACTORS:
        start_actor(stack, config, actor)
    if stack.settings.stack.clock == "wall":
        start_actor(stack, config, "exit", STANDBY)


def start_actor(stack: Stack, config: Path, actor: str, name: str | None = None) -> None:
    """Start one actor; it reads the same configuration, and our addresses from its environment.

    *name* is what the process is called among our children: copies of an actor need different ones.
    """
    settings = stack.settings
    env = local_alpaca.environment() | {
        "GAPLESS_CONFIG": str(config.absolute()),
        "GAPLESS_REDIS_URL": address(settings, "redis_url"),
        "GAPLESS_DATABASE_URL": address(settings, "database_url"),
        "GAPLESS_STACK__CLOCK": settings.stack.clock,
        "GAPLESS_STACK__WATCH": json.dumps(list(settings.stack.watch)),
    }
    if settings.stack.metrics_port:
        env["GAPLESS_STACK__METRICS_PORT"] = str(
            settings.stack.metrics_port + PROCESSES.index(name if name in PROCESSES else actor)
        )
    if settings.brokerage.paper_url is not None:
        env["GAPLESS_BROKERAGE__PAPER_URL"] = settings.brokerage.paper_url
    stack.children.start(name or actor, [sys.executable, "-P", "-m", "cli", "actor", actor], env=env)


def without_servers(settings: Settings) -> Settings:
    """Return *settings* with embedded servers: a replay never touches what the two URLs point at."""
    servers = settings.servers.model_copy(update={"redis_url": None, "database_url": None})
    return settings.model_copy(update={"servers": servers})


def host_actor(settings: Settings, actor: str) -> Wiring:
    """Return the runtime of one actor, ready to start.

    Raises:
        BadConfiguration: it is no actor, or something it needs is missing.
    """
    if actor not in ACTORS:
        raise BadConfiguration(f"actor: one of {', '.join(ACTORS)} is expected, was {actor!r}")
    registry = a_registry(origin(settings))
    wiring = Wiring.connect(settings, hooks=StreamMetrics(registry), metrics=ActorMetrics(registry))
    require_accounts(settings, wiring.engine)
    wiring.host(actor)
    if settings.stack.metrics_port:
        offer(
            registry,
            settings.stack.metrics_host,
            settings.stack.metrics_port,
            wiring.runtime.trouble,
            said_by="stack.metrics_port",
        )
    return wiring
