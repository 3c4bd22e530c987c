"""Ledgers: one folder of embedded servers each, so that a replay can never touch a live one.

``.gapless/alpaca-paper`` and ``.gapless/alpaca-live`` hold what was really traded, ``.gapless/paper`` the last run
against the local Alpaca, ``.gapless/replay/<day>`` a replay. ``.gapless/current`` names the one used last.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cli.settings import BadConfiguration, Settings
from cli.supervisor import Servers, embedded_servers

_CURRENT: Final = "current"
_ALPACA: Final = "alpaca-url"


def of_mode(settings: Settings) -> Path:
    return settings.servers.data_dir / settings.brokerage.mode


def of_replay(settings: Settings, day: Path) -> Path:
    return settings.servers.data_dir / "replay" / day.resolve().name


def begin(folder: Path, *, fresh: bool) -> None:
    """Make room for a new ledger in *folder*: the old one is deleted if *fresh*, else kept as ``.previous``.

    Only folders of replays and of the local Alpaca come here.

    Raises:
        BadConfiguration: it is in use.
    """
    if not folder.exists():
        return
    if is_in_use(folder):
        raise BadConfiguration(f"{folder} is in use by another run; stop it first")
    previous = folder.with_name(f"{folder.name}.previous")
    shutil.rmtree(previous, ignore_errors=True)
    if fresh:
        shutil.rmtree(folder)
    else:
        folder.rename(previous)


def is_in_use(folder: Path) -> bool:
    """Does a supervisor hold the folder's lock?"""
    lock = folder / "lock"
    if not lock.exists():
        return False
    with lock.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def remember(settings: Settings, folder: Path) -> None:
    """Let the commands that look at a ledger look at this one."""
    settings.servers.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    (settings.servers.data_dir / _CURRENT).write_text(f"{folder.absolute()}\n", encoding="utf-8")


def current(settings: Settings) -> Path:
    """Return the ledger that was used last, or that of the configured mode."""
    pointer = settings.servers.data_dir / _CURRENT
    if settings.brokerage.mode == "paper" and pointer.is_file():
        return Path(pointer.read_text(encoding="utf-8").strip())
    return of_mode(settings)


@contextmanager
def announcing(folder: Path, rest_url: str) -> Iterator[None]:
    """Say where the local Alpaca of a run on *folder* answers, for as long as it does."""
    note = folder / _ALPACA
    note.write_text(f"{rest_url}\n", encoding="utf-8")
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def beside_a_run(settings: Settings, folder: Path) -> Settings:
    """Return *settings* as the actors of the run on *folder* have them: its local Alpaca and its clock."""
    note = folder / _ALPACA
    if (
        settings.brokerage.mode != "paper"
        or settings.brokerage.paper_url
        or not note.is_file()
        or not is_in_use(folder)
    ):
        return settings
    brokerage = settings.brokerage.model_copy(update={"paper_url": note.read_text(encoding="utf-8").strip()})
    stack = settings.stack.model_copy(update={"clock": "recorded"})
    return settings.model_copy(update={"brokerage": brokerage, "stack": stack})


@contextmanager
def serving(folder: Path) -> Iterator[Servers]:
    """Run the embedded servers of *folder* for the length of the block."""
    with embedded_servers(folder) as servers:
        yield servers
