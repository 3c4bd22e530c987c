"""One queue of ordinary tasks in Redis: what is where, and the steps that must not be torn apart.

Layout for a namespace ``n`` and a queue ``q``::

    n:q                   stream, one field ``message``; an entry lives until its task is done
    n:q:delayed           sorted set, score = due time (server's clock, ms),
                          member = 36 characters of uuid, then the message
    n:q.workers.dead      dead letters (see ``dead``)
    n:q.workers.attempts  tries of tasks under suspicion (see ``attempts``)
    n:workers:alive       sorted set, member = consumer name, score = last heartbeat (ms)

Every worker process reads under a name of its own in the one group ``workers``. A task is
either in the stream or in the delayed set, never in both and never in neither.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import redis

from streams import names
from streams.attempts import Attempts
from streams.dead import dead_fields
from streams.hooks import DeadLetter

GROUP: Final = "workers"
FIELD: Final = b"message"

#: The longest block of a read in milliseconds; the reader's socket must outlive it.
MAX_BLOCK_MS = 2000

#: How many delayed messages of a queue move, or orphans are claimed, in one step.
_STEP = 500

_NOW = "local t = redis.call('TIME'); local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"

# KEYS: delayed set, stream. ARGV: message with its uuid, delay in ms, group, entry id or "".
# With an entry id the message replaces that entry: both or neither. An entry that is no
# longer pending was settled by somebody else; then nothing is added.
_LATER = (
    _NOW
    + """
if ARGV[4] ~= '' then
    if redis.call('XACK', KEYS[2], ARGV[3], ARGV[4]) == 0 then return 0 end
    redis.call('XDEL', KEYS[2], ARGV[4])
end
return redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
"""
)

# KEYS: delayed set and stream of each queue, in pairs. ARGV: how many to move per queue.
# Returns the ms until the next message is due, -1 if there is none.
_MOVE_DUE = (
    _NOW
    + """
local soonest = -1
for k = 1, #KEYS, 2 do
    local due = redis.call('ZRANGEBYSCORE', KEYS[k], '-inf', now, 'LIMIT', 0, ARGV[1])
    for _, member in ipairs(due) do
        redis.call('XADD', KEYS[k + 1], '*', 'message', string.sub(member, 37))
        redis.call('ZREM', KEYS[k], member)
    end
    local next = redis.call('ZRANGE', KEYS[k], 0, 0, 'WITHSCORES')
    if next[2] then
        local wait = math.max(0, next[2] - now)
        if soonest < 0 or wait < soonest then soonest = wait end
    end
end
return soonest
"""
)

# KEYS: alive set. ARGV: consumer name. Forgets names that have been silent for a day.
_BEAT = (
    _NOW
    + """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 86400000)
return redis.call('ZADD', KEYS[1], now, ARGV[1])
"""
)

# KEYS: stream, alive set. ARGV: group, own name, ms after which a silent consumer is dead, limit.
# Takes over what dead consumers left pending, and removes those that have nothing left:
# checked and done in one step, so that a name never goes with entries under it.
_CLAIM_ORPHANS = (
    _NOW
    + """
local claimed = 0
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers.err then return 0 end
for _, row in ipairs(consumers) do
    local about = {}
    for i = 1, #row, 2 do about[row[i]] = row[i + 1] end
    local seen = redis.call('ZSCORE', KEYS[2], about.name)
    if about.name ~= ARGV[2] and (not seen or now - seen > tonumber(ARGV[3])) then
        local claim = {'XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0}
        local left = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', ARGV[4], about.name)
        for _, entry in ipairs(left) do claim[#claim + 1] = entry[1] end
        if #left > 0 then
            claim[#claim + 1] = 'JUSTID'
            redis.call(unpack(claim))
            claimed = claimed + #left
        end
        if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, about.name) == 0 then
            redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], about.name)
            redis.call('ZREM', KEYS[2], about.name)
        end
    end
end
return claimed
"""
)


# KEYS: dead stream. ARGV: age in ms.
_FORGET_DEAD = _NOW + "return redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f', math.max(0, now - ARGV[1])))"


@dataclass(frozen=True, slots=True)
class Task:
    """One entry of the stream; ``deliveries`` counts how often it was handed out."""

    id: str
    data: bytes
    deliveries: int


class TaskStore:
    """The commands of one queue, for the worker process called *name*.

    All methods raise redis.RedisError when the server is away or refuses.
    """

    def __init__(self, client: redis.Redis, reader: redis.Redis, namespace: str, queue: str, name: str) -> None:
        self.client, self.reader, self.name = client, reader, name
        self.stream, self.delayed = f"{namespace}:{queue}", f"{namespace}:{queue}:delayed"
        self.alive = alive_key(namespace)
        self.attempts = Attempts(client, self.stream, GROUP)

    def prepare(self) -> None:
        """Make the group and be seen alive, before the first read."""
        beat(self.client, self.alive, self.name)
        try:
            self.client.xgroup_create(self.stream, GROUP, id="0", mkstream=True)
        except redis.ResponseError as e:
            if not str(e).startswith("BUSYGROUP"):
                raise

    def add(self, data: bytes) -> None:
        self.client.xadd(self.stream, {FIELD: data})

    def add_later(self, data: bytes, delay_ms: int, instead_of: str = "") -> None:
        """Add a message that is due after *delay_ms*; *instead_of* is the entry it replaces."""
        member = str(uuid4()).encode() + data
        keys = [self.delayed, self.stream]
        self.client.eval(_LATER, len(keys), *keys, member, max(0, delay_ms), GROUP, instead_of)

    def read(self, count: int, block_ms: int) -> list[Task]:
        reply: Any = self.reader.xreadgroup(
            GROUP, self.name, {self.stream: ">"}, count=count, block=min(max(1, block_ms), MAX_BLOCK_MS)
        )
        return [_task(entry_id, fields, 1) for entry_id, fields in (reply[0][1] if reply else [])]

    def pending(self, besides: Collection[str]) -> list[tuple[str, int]]:
        """Return (id, deliveries so far) of own pending entries, oldest first, without *besides*."""
        rows: Any = self.client.xpending_range(
            self.stream, GROUP, min="-", max="+", count=len(besides) + _STEP, consumername=self.name
        )
        found = [(row["message_id"].decode(), row["times_delivered"]) for row in rows]
        return [(entry_id, deliveries) for entry_id, deliveries in found if entry_id not in besides]

    def take_again(self, entries: Sequence[tuple[str, int]]) -> list[Task]:
        """Hand out own pending *entries* once more. One that was deleted meanwhile is left out."""
        ids = [entry_id for entry_id, _ in entries]
        deliveries = dict(entries)
        rows: Any = self.client.xclaim(self.stream, GROUP, self.name, 0, list(ids))
        alive = [(entry_id, fields) for entry_id, fields in rows if entry_id and fields]
        if gone := set(ids) - {entry_id.decode() for entry_id, _ in alive}:
            self.client.xack(self.stream, GROUP, *gone)
        return [_task(entry_id, fields, deliveries[entry_id.decode()] + 1) for entry_id, fields in alive]

    def done(self, entry_id: str) -> None:
        self._remove(entry_id, None)

    def bury(self, letter: DeadLetter) -> None:
        self._remove(letter.entry_id, letter)

    def letter(self, entry_id: str, data: bytes, reason: str, attempts: int) -> DeadLetter:
        return DeadLetter(
            stream=self.stream,
            group=GROUP,
            entry_id=entry_id,
            fields={FIELD: data},
            reason=reason,
            attempts=attempts,
            actor=GROUP,
            version="",
            at=datetime.now(UTC),
        )

    def size(self) -> int:
        """Return how many tasks are not done: waiting, being run, or delayed."""
        with self.client.pipeline(transaction=True) as pipe:
            pipe.xlen(self.stream)
            pipe.zcard(self.delayed)
            return sum(pipe.execute())

    def clear(self) -> None:
        """Drop every task; dead letters stay."""
        with self.client.pipeline(transaction=True) as pipe:
            pipe.delete(self.stream, self.delayed, self.attempts.key)
            pipe.xgroup_create(self.stream, GROUP, id="0", mkstream=True)
            pipe.execute()

    def claim_orphans(self, dead_after_ms: int) -> int:
        """Take over the tasks of workers silent for *dead_after_ms*; return how many."""
        keys = [self.stream, self.alive]
        claimed: Any = self.client.eval(_CLAIM_ORPHANS, len(keys), *keys, GROUP, self.name, dead_after_ms, _STEP)
        return int(claimed)

    def forget_letters(self, older_than_ms: int) -> None:
        """Drop the dead letters that were buried more than *older_than_ms* ago."""
        self.client.eval(_FORGET_DEAD, 1, names.dead(self.stream, GROUP), older_than_ms)

    def _remove(self, entry_id: str, letter: DeadLetter | None) -> None:
        with self.client.pipeline(transaction=True) as pipe:
            if letter is not None:
                pipe.xadd(names.dead(self.stream, GROUP), dead_fields(letter))
            pipe.xack(self.stream, GROUP, entry_id)
            pipe.xdel(self.stream, entry_id)
            pipe.hdel(self.attempts.key, entry_id)
            pipe.execute()


def alive_key(namespace: str) -> str:
    return f"{namespace}:workers:alive"


def beat(client: redis.Redis, alive: str, name: str) -> None:
    """Say that the worker process *name* is alive."""
    client.eval(_BEAT, 1, alive, name)


def withdraw(client: redis.Redis, alive: str, name: str) -> None:
    """Say that *name* is gone: others may take its tasks at once."""
    client.zrem(alive, name)


def move_due(client: redis.Redis, stores: Sequence[TaskStore]) -> float | None:
    """Move what is due into its streams; return the seconds until the next is due, if any."""
    keys = [key for store in stores for key in (store.delayed, store.stream)]
    if not keys:
        return None
    wait_ms: Any = client.eval(_MOVE_DUE, len(keys), *keys, _STEP)
    return None if wait_ms < 0 else wait_ms / 1000


def _task(entry_id: bytes, fields: dict[bytes, bytes], deliveries: int) -> Task:
    return Task(entry_id.decode(), fields.get(FIELD, b""), deliveries)
