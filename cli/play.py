"""``play``: recorded days into a stack that somebody else runs, such as the containers of ``docker compose``.

The stack's servers, its actors and the local Alpaca are there already; this process moves the clock, publishes what
is recommended, and answers with the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text

from cli.day import Day
from cli.driver import driver_of
from cli.paper_control import PaperControl
from cli.patience import Patience
from cli.report import report
from cli.run import stand_at
from cli.session import Session
from cli.settings import BadConfiguration, Settings
from db.views import one_moment

#: How long the actors of the stack may take to come up, and its servers to come back, in seconds of the wall.
UP_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Played:
    """What is played, how fast (None: as it goes), and where the local Alpaca's control port answers."""

    days: Sequence[Day]
    speed: float | None
    control_url: str
    #: Written when the clock stands at the first day's beginning: from then on actors can start.
    ready: Path | None


def play(session: Session, played: Played) -> dict[str, Any]:
    """Play the days to their end and return the report.

    Raises:
        BadConfiguration: the stack is not one for recorded days, or its ledger is not a new one.
        NotQuiet: the actors did not come up, or one of them is stuck.
    """
    settings, days = session.settings, played.days
    _require_recorded(settings, days)
    _require_new_ledger(session)
    stand_at(settings, session.engine, session.redis, days[0].start)
    if played.ready is not None:
        played.ready.touch()
    patience = Patience(UP_S, check=_nobody_to_ask)
    paper = PaperControl(played.control_url)
    driver = driver_of(settings, session.engine, session.redis, paper, patience, played.speed, on_step=lambda _: None)
    driver.begin(days[0].start)
    driver.play(days)
    with one_moment(session.engine) as tx:
        return report(tx)


def _nobody_to_ask() -> None:
    """The processes belong to somebody else: whether one is gone shows in what does not come to rest."""


def _require_recorded(settings: Settings, days: Sequence[Day]) -> None:
    if settings.brokerage.mode != "paper":
        raise BadConfiguration(
            f"brokerage.mode: a recorded day needs the local Alpaca, was {settings.brokerage.mode!r}"
        )
    if settings.stack.clock != "recorded":
        raise BadConfiguration(f"stack.clock: 'recorded' is expected, was {settings.stack.clock!r}")
    wanted = {name for day in days for name in day.underlyings}
    if missing := sorted(wanted - set(settings.stack.watch)):
        raise BadConfiguration(f"stack.watch: the day's {', '.join(missing)} must be among the watched symbols")


def _require_new_ledger(session: Session) -> None:
    """The local Alpaca's book begins empty, so the rows must (docs/adr/0005)."""
    with session.engine.connect() as tx:
        known = tx.execute(text("SELECT count(*) FROM recommendations")).scalar_one()
    if known:
        raise BadConfiguration(
            f"the ledger holds {known} recommendations already: a day is played into a new one"
            " (docker compose --profile paper down --volumes)"
        )
