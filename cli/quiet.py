"""When nothing is under way: the moment at which a recorded day may move its clock.

What moves is always visible somewhere: on a stream (not yet delivered, or delivered and not acknowledged), in the
outbox, inside the local Alpaca, or on a socket (sent by it, not yet put on a stream by feeds). Two looks in a row that
find all of them empty, with no counter moved in between, mean that nothing is under way.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import redis
from sqlalchemy import Engine

from cli.groups import groups_of
from cli.patience import Patience
from db import outbox
from streams.names import FED_KEY
from streams.progress import GroupProgress, positions

#: Pauses between looks while something is under way, in seconds: short at first, then out of the actors' way.
_FIRST_POLL_S: Final = 0.001
_LAST_POLL_S: Final = 0.008
#: How long sockets are waited for before a frame counts as lost with its connection.
_FRAMES_S: Final = 5.0


class NotQuiet(RuntimeError):
    """Something has been under way for too long; the message says what."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class _Look:
    busy: str
    counters: tuple[Any, ...]


class Market(Protocol):
    """What the local Alpaca says of itself: see ``cli.paper_control.PaperControl.idle``."""

    def idle(self) -> dict[str, Any]: ...


class Quiet:
    """Waits until nothing is under way."""

    def __init__(
        self,
        client: redis.Redis,
        engine: Engine,
        paper: Market,
        partitions: int,
        patience: Patience,
        hosted: Collection[str] | None = None,
    ) -> None:
        """*patience*: how long something may be under way before it counts as stuck, and a server be away.

        *hosted*: the groups that are there at all; None means every one.
        """
        self._client, self._engine, self._paper, self._patience = client, engine, paper, patience
        known = groups_of(partitions)
        self._groups = {s: [g for g in groups if hosted is None or g in hosted] for s, groups in known.items()}
        self._forgiven: Mapping[str, int] = {}

    def wait(self, patience_s: float | None = None) -> None:
        """Return when two looks in a row find everything at rest.

        Raises:
            NotQuiet: it takes longer than *patience_s*, or than the usual patience.
        """
        allowed_s = self._patience.seconds if patience_s is None else patience_s
        until = time.monotonic() + allowed_s
        frames_until = time.monotonic() + _FRAMES_S
        before: _Look | None = None
        pause_s = _FIRST_POLL_S
        while True:
            look = self._patience(partial(self._look, forgive=time.monotonic() > frames_until))
            if not look.busy and before is not None and before.counters == look.counters:
                return
            before = None if look.busy else look
            if look.busy:
                self._patience.check()
                if time.monotonic() > until:
                    raise NotQuiet(f"after {allowed_s:.0f} s still under way: {look.busy}")
                time.sleep(pause_s)
                pause_s = min(pause_s * 1.5, _LAST_POLL_S)

    def _look(self, *, forgive: bool) -> _Look:
        groups = positions(self._client, self._groups)
        if behind := [g for g in groups if not g.is_caught_up]:
            return _Look(_say(behind[0]), ())
        with self._engine.connect() as tx:
            if not outbox.is_empty(tx):
                return _Look("facts in the outbox", ())
        paper = self._paper.idle()
        if not paper["idle"]:
            return _Look("the local Alpaca is at work", ())
        if missing := self._missing(paper["sent"], forgive=forgive):
            return _Look(f"frames on sockets: {missing}", ())
        return _Look("", (paper["requests"], *(g.last_id for g in groups)))

    def _missing(self, sent: Mapping[str, Any], *, forgive: bool) -> dict[str, int]:
        """Return how many messages each socket has sent and feeds has not put on a stream."""
        raw: Any = self._client.hgetall(FED_KEY)
        fed = {key.decode(): int(value) for key, value in raw.items()}
        totals = {"stock": sent["stock"], "option": sent["option"]}
        totals |= {f"trade_updates:{account}": number for account, number in sent["trade_updates"].items()}
        gaps = {name: number - fed.get(name, 0) for name, number in totals.items()}
        if forgive:  # a connection that was dropped took its frames with it; REST brings what they said
            self._forgiven = gaps
        return {name: gap for name, gap in gaps.items() if gap > self._forgiven.get(name, 0)}


def _say(group: GroupProgress) -> str:
    return f"{group.stream} for {group.group} ({group.pending} pending)"
