"""The control port of the local Alpaca, as the driver of a recorded day uses it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit


class PaperGone(RuntimeError):
    """The local Alpaca does not answer on its control port."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class PaperClock:
    """*sent*: messages put on sockets so far, by socket."""

    at: datetime
    next_event: datetime | None
    sent: Mapping[str, Any] | None


class PaperControl:
    """One connection, kept open. One thread."""

    def __init__(self, url: str, timeout_s: float = 60.0) -> None:
        self._host = urlsplit(url).netloc
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def clock(self) -> PaperClock:
        return _clock(self._ask("GET", "/clock"))

    def move_to(self, at: datetime) -> PaperClock:
        """Let everything happen up to *at*, each thing at its own time."""
        return _clock(self._ask("POST", "/clock", {"to": at.isoformat().replace("+00:00", "Z")}))

    def idle(self) -> dict[str, Any]:
        """Return what is under way: ``idle``, ``requests``, ``sent`` (messages by socket)."""
        return self._ask("GET", "/idle")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            return self._once(method, path, body)
        except (OSError, http.client.HTTPException) as e:
            self._connection = None
            if method != "GET":
                raise PaperGone(f"the local Alpaca does not answer: {e!r}") from e
        try:
            return self._once(method, path, body)
        except (OSError, http.client.HTTPException) as e:
            raise PaperGone(f"the local Alpaca does not answer: {e!r}") from e

    def _once(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._host, timeout=self._timeout_s)
        text = None if body is None else json.dumps(body)
        self._connection.request(method, path, text, {"Content-Type": "application/json"})
        reply = self._connection.getresponse()
        found: dict[str, Any] = json.loads(reply.read())
        if reply.status != http.client.OK:
            raise PaperGone(f"{method} {path}: HTTP {reply.status} {found}")
        return found


def _clock(raw: dict[str, Any]) -> PaperClock:
    after = raw["next_event"]
    next_event = None if after is None else datetime.fromisoformat(after)
    return PaperClock(datetime.fromisoformat(raw["at"]), next_event, raw.get("sent"))
