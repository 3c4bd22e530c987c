"""Reading one stream for one group, in order, without losing sight of an entry.

A consumer reads what is pending under its own name before anything new: at start, and
after every doubt (a lost reply, a failed acknowledgement, a failure of the handler, a
lease that came back). Until an entry is acknowledged or buried it keeps its place.

Layout for a stream ``s`` and a group ``g``::

    s               the facts
    s.g.dead        what g gave up, with the reason
    s.g.attempts    tries of entries under suspicion (see ``attempts``)

Only commands of Redis 6.2 are used. An entry may be delivered more than once: after a
crash, after a lost reply, from the stream's beginning when the group itself was lost.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import Any, NamedTuple

import redis

from streams import names
from streams.attempts import Attempts
from streams.dead import dead_fields
from streams.hooks import DeadLetter, StreamHooks
from streams.progress import order_of

log = logging.getLogger(__name__)

#: Pause between two looks at a closed gate, in milliseconds.
GATE_POLL_MS = 100

#: How servers say that a group is gone: the key or group is missing, or vanished while a
#: reader was blocked (Redis 7.0 has its own word for a deleted key).
GROUP_LOST = ("NOGROUP", "UNBLOCKED")

_ADOPT_PAGE = 500

#: Pause between two looks at what was set aside, in milliseconds.
WAITING_POLL_MS = 100

#: How many entries one look behind those that wait brings, and how many looks one read takes.
_PAGE_AHEAD, _PAGES_AHEAD = 250, 20


class Entry(NamedTuple):
    """One entry as this group sees it.

    ``deliveries`` counts how often the server handed it out, this time included;
    ``attempts`` how often it was tried alone without an end (see ``attempts``).
    """

    id: str
    fields: dict[bytes, bytes]
    deliveries: int
    attempts: int = 0


def always() -> bool:
    """No lease is needed."""
    return True


@dataclass(frozen=True, slots=True)
class Waiting:
    """In a backlog, those of a page that ``chosen`` returns wait under another consumer's name.

    They stay pending in the same group, so nothing is lost or delivered twice by it; whoever
    reads as ``consumer`` handles them. No backlog (a page that is not full) needs no waiting.
    While ``looked_past`` is set, somebody looks behind them, and their reader keeps out of the way.
    """

    consumer: str
    chosen: Callable[[Sequence[Entry]], Sequence[Entry]]
    looked_past: Event = field(default_factory=Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Who reads what, and how patiently. Times are milliseconds.

    ``consumer`` is stable over restarts, so that a successor finds what is pending. Where the
    lease may be another one after a while, it is a function, asked while the lease is held.
    ``allowed`` answers "do we hold the lease now"; while it says no, nothing is read.
    ``retry_ms`` is the first pause after a failure; it doubles up to ``retry_max_ms``.
    ``waiting`` says what steps aside for what comes behind it; ``of_waiting`` is the other
    side of that: it reads what was set aside under its name, and nothing new.
    """

    stream: str
    group: str
    consumer: str | Callable[[], str]
    count: int = 100
    block_ms: int = 1000
    max_deliveries: int = 5
    retry_ms: int = 200
    retry_max_ms: int = 5000
    allowed: Callable[[], bool] = always
    version: str = ""
    waiting: Waiting | None = None
    of_waiting: Waiting | None = None


class StreamConsumer:
    """The reading end of a :class:`Subscription`. One thread at a time, one batch at a time.

    *client* comes from ``streams.clients`` (a client that retries by itself orphans
    entries). Redis errors go up to the caller; the consumer is then in doubt and the next
    ``read`` starts with what is pending.
    """

    def __init__(self, client: redis.Redis, subscription: Subscription, hooks: StreamHooks | None = None) -> None:
        self.client, self.subscription = client, subscription
        self.hooks = hooks or StreamHooks()
        self.stream, self.group, self.name = subscription.stream, subscription.group, _named(subscription)
        self.attempts = Attempts(client, self.stream, self.group)
        self._in_doubt, self._has_group = True, False

    def doubt(self) -> None:
        """Something is uncertain: look at the own pending entries before anything new."""
        self._in_doubt = True

    def read(self, block_ms: int | None = None) -> list[Entry]:
        """Return the next entries in order, or none after blocking for a while.

        Raises:
            redis.RedisError: the server is away or refuses; ask again later.
        """
        if not self.is_allowed():
            self._look_no_further()
            self.doubt()
            time.sleep(GATE_POLL_MS / 1000)
            return []
        if self.subscription.of_waiting and self.subscription.of_waiting.looked_past.is_set():
            time.sleep(WAITING_POLL_MS / 1000)
            return []
        self._take_name()
        entries = self._read_or_recreate(self.subscription.block_ms if block_ms is None else block_ms)
        return entries if entries and self.is_allowed() else self._put_back(entries)

    def _take_name(self) -> None:
        """Read under the name that goes with the lease we hold now."""
        name = _named(self.subscription)
        if name != self.name:
            self.name = name
            self.doubt()

    def is_allowed(self) -> bool:
        """True while the lease is held; a lease that cannot be checked is not held."""
        try:
            return self.subscription.allowed()
        except Exception:
            log.exception("cannot tell whether %s may be read by %s", self.stream, self.name)
            return False

    def ack(self, entry_ids: Sequence[str]) -> None:
        """Acknowledge entries that were handled at their first delivery.

        Raises:
            redis.RedisError: the acknowledgement may be lost; the entries may come again.
        """
        self._settling(lambda: self.client.xack(self.stream, self.group, *entry_ids))

    def settle(self, *entry_ids: str) -> None:
        """Acknowledge entries that may have been tried before, and forget their tries, in one step.

        Raises:
            redis.RedisError: as for ``ack``.
        """
        self._settling(lambda: self._settle(entry_ids))

    def letter(self, entry: Entry, reason: str, attempts: int) -> DeadLetter:
        """Return what would be said about *entry* if it were given up now."""
        return DeadLetter(
            stream=self.stream,
            group=self.group,
            entry_id=entry.id,
            fields=entry.fields,
            reason=reason,
            attempts=attempts,
            actor=self.group,
            version=self.subscription.version,
            at=datetime.now(UTC),
        )

    def bury(self, entry: Entry, reason: str, attempts: int) -> DeadLetter:
        """Move *entry* to the dead letters: one transaction, so it is in exactly one place."""
        letter = self.letter(entry, reason, attempts)
        self._settling(lambda: self._settle([entry.id], letter))
        self.hooks.dead(letter)
        return letter

    def adopt(self, consumer: str) -> int:
        """Take over what is pending under another *consumer* name; return how many entries.

        They keep their order and their delivery counts, and are read next.
        """
        self._ensure_group()
        self.doubt()
        adopted, start = 0, "-"
        while ids := self._pending_ids(consumer, start):
            claimed: Any = self.client.xclaim(self.stream, self.group, self.name, 0, list(ids), justid=True)
            for gone in set(ids) - {entry_id.decode() for entry_id in claimed}:
                self._trimmed(gone)
            adopted, start = adopted + len(claimed), f"({ids[-1]}"
        return adopted

    def _read_or_recreate(self, block_ms: int) -> list[Entry]:
        try:
            self._ensure_group()
            return self._past_waiting(self._own_pending() or self._new(block_ms))
        except redis.ResponseError as e:
            self.doubt()
            if not str(e).startswith(GROUP_LOST):
                raise
            return self._recreate_group()
        except BaseException:
            self._look_no_further()
            self.doubt()
            raise

    def _look_no_further(self) -> None:
        if self.subscription.waiting is not None:
            self.subscription.waiting.looked_past.clear()

    def _past_waiting(self, entries: list[Entry]) -> list[Entry]:
        """Set aside what may wait; while all of a full page does, look behind it."""
        waiting = self.subscription.waiting
        if waiting is None:
            return entries
        if len(entries) < self.subscription.count:
            waiting.looked_past.clear()
            return entries
        for page in range(_PAGES_AHEAD):
            if page:
                entries = self._own_pending() or self._read_new(_PAGE_AHEAD, None)
            aside = {entry.id for entry in waiting.chosen(entries)}
            if aside:
                self._set_aside(waiting.consumer, aside)
            if len(aside) < len(entries) or not entries:
                waiting.looked_past.clear()
                return [entry for entry in entries if entry.id not in aside]
            waiting.looked_past.set()
        return []

    def _set_aside(self, consumer: str, entry_ids: Iterable[str]) -> None:
        """Give entries to *consumer* of the same group as if they had not been delivered yet."""
        ids: Any = sorted(entry_ids, key=order_of)
        self.client.xclaim(self.stream, self.group, consumer, 0, ids, retrycount=0, justid=True)

    def _put_back(self, entries: list[Entry]) -> list[Entry]:
        """The lease went while we were reading: leave the entries to whoever holds it."""
        if entries:
            self.doubt()
        return []

    def _ensure_group(self) -> None:
        if self._has_group:
            return
        try:
            self.client.xgroup_create(self.stream, self.group, id="0", mkstream=True)
        except redis.ResponseError as e:
            if not str(e).startswith("BUSYGROUP"):
                raise
        self._has_group = True

    def _recreate_group(self) -> list[Entry]:
        """Start over at the stream's beginning: what was handled before is recognised by its effects."""
        log.error("group %s of stream %s is gone; reading from the beginning", self.group, self.stream)
        self._has_group = False
        self.hooks.group_lost(self.stream, self.group)
        self._ensure_group()
        return []

    def _own_pending(self) -> list[Entry]:
        while self._in_doubt:
            rows, deliveries = self._reread()
            self._in_doubt = bool(rows)
            if alive := self._without_trimmed(rows):
                ids = [entry_id.decode() for entry_id, _ in alive]
                tries = self.attempts.of(ids)
                return [
                    Entry(i, fields, deliveries.get(i, 1), n)
                    for i, (_, fields), n in zip(ids, alive, tries, strict=True)
                ]
        return []

    def _reread(self) -> tuple[list[tuple[bytes, dict[bytes, bytes]]], dict[str, int]]:
        """Return the oldest own pending entries and how often each was handed out."""
        count = self.subscription.count
        with self.client.pipeline(transaction=True) as pipe:
            pipe.xreadgroup(self.group, self.name, {self.stream: "0"}, count=count)
            pipe.xpending_range(self.stream, self.group, min="-", max="+", count=count, consumername=self.name)
            reply, pending = pipe.execute()
        return _rows(reply), {p["message_id"].decode(): p["times_delivered"] for p in pending}

    def _without_trimmed(self, rows: list[tuple[bytes, dict[bytes, bytes]]]) -> list[tuple[bytes, dict[bytes, bytes]]]:
        for entry_id, fields in rows:
            if not fields:
                self._trimmed(entry_id.decode())
        return [row for row in rows if row[1]]

    def _trimmed(self, entry_id: str) -> None:
        """Acknowledge an entry whose content is gone, so that it does not come back for ever."""
        log.error("entry %s of %s was trimmed before %s handled it", entry_id, self.stream, self.group)
        self.hooks.lost_by_trim(self.stream, self.group, entry_id)
        self.settle(entry_id)

    def _new(self, block_ms: int) -> list[Entry]:
        if self.subscription.of_waiting:
            self.doubt()
            time.sleep(min(block_ms, WAITING_POLL_MS) / 1000)
            return []
        return self._read_new(self.subscription.count, max(block_ms, 1))

    def _read_new(self, count: int, block_ms: int | None) -> list[Entry]:
        reply = self.client.xreadgroup(self.group, self.name, {self.stream: ">"}, count=count, block=block_ms)
        return [Entry(entry_id.decode(), fields, 1) for entry_id, fields in _rows(reply)]

    def _pending_ids(self, consumer: str, start: str) -> list[str]:
        rows: Any = self.client.xpending_range(
            self.stream, self.group, min=start, max="+", count=_ADOPT_PAGE, consumername=consumer
        )
        return [row["message_id"].decode() for row in rows]

    def _settle(self, entry_ids: Sequence[str], letter: DeadLetter | None = None) -> None:
        with self.client.pipeline(transaction=True) as pipe:
            if letter is not None:
                pipe.xadd(names.dead(self.stream, self.group), dead_fields(letter))
            pipe.xack(self.stream, self.group, *entry_ids)
            pipe.hdel(self.attempts.key, *entry_ids)
            pipe.execute()

    def _settling(self, command: Callable[[], object]) -> None:
        try:
            command()
        except BaseException:
            self.doubt()
            raise


def _named(subscription: Subscription) -> str:
    return subscription.consumer if isinstance(subscription.consumer, str) else subscription.consumer()


def _rows(reply: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Unpack the reply for one stream; an entry that was trimmed away has no fields."""
    return reply[0][1] if reply else []
