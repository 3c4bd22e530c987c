"""What ``run`` and ``replay`` do around the stack: which ledger, which speed, what is shown, which exit code."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from cli import ledger
from cli.day import read_days
from cli.live import LiveView, live_view
from cli.play import Played, play
from cli.refeed import is_recording, replay_streams
from cli.render import render_report
from cli.report import report
from cli.run import Stack, replay, run_at_alpaca, run_recorded, shipped_days, speed_of_shipped, without_servers
from cli.session import Session
from cli.settings import BadConfiguration, Settings
from db.views import one_moment

DONE, NO = 0, 1


def replay_day(session: Session, folder: Path, speed: str, *, fresh: bool, external: bool) -> int:
    """Play one recorded day, or recorded streams; 1 when a limit was passed or rows and broker differ."""
    settings = _servers_of(session.settings, external=external)
    place = ledger.of_replay(settings, folder)
    if is_recording(folder):
        ledger.begin(place, fresh=fresh)
        return _answer(session, replay_streams(settings, folder, place, _report))
    days = read_days([folder])
    ledger.begin(place, fresh=fresh)
    document = replay(settings, days, place, _speed(speed), _watch_nothing, _report)
    return _answer(session, document)


def run_stack(session: Session, data: Sequence[Path], speed: str | None, *, external: bool) -> int:
    """Run the stack against the local Alpaca, or at Alpaca if the configuration says so; show the final report."""
    settings = session.settings
    if settings.brokerage.mode != "paper":
        if data or speed:
            raise BadConfiguration(f"--data, --speed: the brokerage is {settings.brokerage.mode}, it has its own time")
        place = ledger.of_mode(settings)
        with _view(session) as view:
            document = run_at_alpaca(settings, session.config, place, view, _report, view.stage)
        return _answer(session, document)
    settings = _servers_of(settings, external=external)
    days = read_days(data or shipped_days())
    pace = _speed(speed) if speed else (1.0 if data else speed_of_shipped(days))
    place = ledger.of_mode(settings)
    ledger.begin(place, fresh=False)
    with _view(session) as view:
        document = run_recorded(settings, session.config, days, place, pace, view, _report, view.stage)
    return _answer(session, document)


def play_into(session: Session, folders: Sequence[Path], control: str, speed: str, ready: Path | None) -> int:
    """Play recorded days into a stack of somebody else's; 1 when a limit was passed or rows and broker differ."""
    return _answer(session, play(session, Played(read_days(folders), _speed(speed), control, ready)))


def _servers_of(settings: Settings, *, external: bool) -> Settings:
    """A recorded day never touches the servers that the two URLs point at, unless somebody says so."""
    if not external:
        return without_servers(settings)
    if settings.servers.redis_url is None or settings.servers.database_url is None:
        raise BadConfiguration("--external: GAPLESS_REDIS_URL and GAPLESS_DATABASE_URL are both needed")
    return settings


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise BadConfiguration(f"--speed: a positive number or max is expected, was {text!r}")
    return found


def _report(stack: Stack) -> dict[str, Any]:
    with one_moment(stack.engine) as tx:
        return report(tx)


def _answer(session: Session, document: dict[str, Any]) -> int:
    session.show(document, render_report)
    return NO if document["breaches"] or document["drift"] else DONE


def _watch_nothing(stack: Stack, now: datetime) -> None:
    """A replay shows nothing while it plays."""


def _view(session: Session) -> AbstractContextManager[LiveView]:
    """Return the live view; it shows nothing where stdout is no terminal or belongs to a JSON document."""
    return live_view(Console(file=io.StringIO()) if session.json else Console())
