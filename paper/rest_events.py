"""Server-sent events: what happened since a time or an id, and then what happens, as text/event-stream.

since and until include their instant; since_id is the last event that the client has seen and does not come again.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from paper import eventlog
from paper.errors import invalid
from paper.eventlog import Event, EventLog
from paper.gate import account_of
from paper.query import Query
from paper.timeline import Rank
from paper.world import World

#: A comment is sent after so much silence (wall time), which also finds out that a client has gone.
_HEARTBEAT_S = 15.0
#: Letters of a ULID, and how many of them tell the time.
_ULID_LENGTH, _ULID_TIME = 26, 10


@dataclass(frozen=True, slots=True)
class Range:
    """Which events are asked for; without a since only those to come."""

    since: datetime | None
    since_id: str | None
    until: datetime | None
    until_id: str | None

    def past(self, events: list[Event]) -> list[Event]:
        """The events of the past that are asked for."""
        if self.since is not None:
            return [event for event in events if event.at >= self.since]
        if self.since_id is None:
            return []
        places = [index for index, event in enumerate(events) if event.id == self.since_id]
        return events[places[0] + 1 :] if places else [event for event in events if event.id > self.since_id]

    def is_over(self, event: Event) -> bool:
        """Whether an event lies behind the end. Ids of one millisecond are in no order, so their time decides."""
        late = self.until is not None and event.at > self.until
        return late or (self.until_id is not None and event.id[:_ULID_TIME] > self.until_id[:_ULID_TIME])

    def ends_with(self, event: Event) -> bool:
        """Whether no event after this one is asked for."""
        return event.id == self.until_id


class EventApi:
    """The endpoints that stream events."""

    def __init__(self, world: World, log: EventLog) -> None:
        self._world = world
        self._log = log

    def routes(self) -> list[web.RouteDef]:
        """All endpoints."""
        return [
            web.get("/v2/events/trades", self.trades, allow_head=False),
            web.get("/v2beta1/events/activities", self.activities, allow_head=False),
        ]

    async def trades(self, request: web.Request) -> web.Response:
        return self._answer(request, eventlog.TRADES)

    async def activities(self, request: web.Request) -> web.Response:
        return self._answer(request, eventlog.ACTIVITIES)

    def _answer(self, request: web.Request, kind: str) -> web.Response:
        """Stream from here on; the answer's body is written while its client listens."""
        asked = _range(Query(request.query), request.headers.get("Last-Event-ID"))
        if asked.until is not None and asked.until > self._world.timeline.now:
            self._world.timeline.schedule(asked.until, Rank.CLOSE, self._log.wake)
        seen = self._log.all(account_of(request).name, kind)
        body = self._stream(account_of(request).name, kind, asked, seen)
        return web.Response(body=body, content_type="text/event-stream", headers={"Cache-Control": "no-cache"})

    async def _stream(self, account: str, kind: str, asked: Range, seen: list[Event]) -> AsyncIterator[bytes]:
        """The past, then the present, until the end that was asked for."""
        yield b": connected\n\n"
        due, last = asked.past(seen), seen[-1] if seen else None
        while True:
            for event in due:
                if asked.is_over(event):
                    return
                yield f"id: {event.id}\ndata: {event.text}\n\n".encode()
                if asked.ends_with(event):
                    return
            if asked.until is not None and self._world.timeline.now >= asked.until:
                return
            if not await self._log.news(_HEARTBEAT_S):
                yield b": heartbeat\n\n"
            events = self._log.all(account, kind)
            due = events[events.index(last) + 1 :] if last in events else events
            last = events[-1] if events else last


def _range(query: Query, resumed: str | None) -> Range:
    """What is asked for; a client that reconnects by itself names its last event in a header. Raises: ApiError."""
    since, until, since_id, until_id = (
        query.time("since"),
        query.time("until"),
        query.text("since_id"),
        query.text("until_id"),
    )
    if since is not None and since_id is not None:
        raise invalid("since and since_id can't be used at the same time")
    if until is not None and until_id is not None:
        raise invalid("until and until_id can't be used at the same time")
    if until is not None and since is None:
        raise invalid("since is required if until is specified")
    if until_id is not None and since_id is None:
        raise invalid("since_id is required if until_id is specified")
    for name, given in (("since_id", since_id), ("until_id", until_id)):
        if given is not None and len(given) != _ULID_LENGTH:
            raise query.refuse(name)
    return Range(None, resumed, until, until_id) if resumed else Range(since, since_id, until, until_id)
