"""Whether those are alive who must be, before anything opens: an interlock that reads rows, not promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from actors.desk import Desk
from db import heartbeats
from domain.known import Known, Unknown

#: Who tracks, watches and closes a position.
NEEDED: Final = ("executor", "exit", "feeds", "tracker")

Pulse = Callable[[Connection], Known[Mapping[str, timedelta]] | Unknown]


def of_rows(desk: Desk) -> Pulse:
    """Answer from the heartbeats; an actor that was never seen makes the pulse unknown."""

    def read(tx: Connection) -> Known[Mapping[str, timedelta]] | Unknown:
        seen, now = heartbeats.latest(tx), desk.wall()
        if missing := [actor for actor in NEEDED if actor not in seen]:
            return Unknown(f"{', '.join(missing)} never seen", "heartbeats")
        return Known({actor: now - seen[actor] for actor in NEEDED}, desk.clock(), "heartbeats")

    return read


def of_recorded_day(desk: Desk) -> Pulse:
    """On a recorded day the clock itself waits for every actor: silence on the wall says nothing."""
    return lambda _: Known(dict.fromkeys(NEEDED, timedelta(0)), desk.clock(), "the recorded clock")
