"""How far each group has come, on any server from Redis 6.2 on.

``lag`` as servers report it is wrong or missing on several versions, so positions are
compared instead: what was added last, what was delivered last, what is still pending.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import redis

#: The id before every other: nothing was added, or nothing was delivered.
NO_ID = "0-0"

_Groups = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupProgress:
    """One group of one stream. A group that does not exist has read nothing.

    ``last_id`` is the newest entry still there; ``oldest_age_ms`` the age of the oldest
    entry that is not yet handled, by the server's clock, or None when there is none.
    """

    stream: str
    group: str
    last_id: str
    delivered_id: str
    pending: int
    oldest_age_ms: int | None = None

    @property
    def is_caught_up(self) -> bool:
        """Everything that was added is handled."""
        return self.pending == 0 and order_of(self.delivered_id) >= order_of(self.last_id)


@dataclass(frozen=True, slots=True)
class Progress:
    """All groups that were asked for, in that order."""

    groups: tuple[GroupProgress, ...]

    @property
    def is_caught_up(self) -> bool:
        """No group has anything left to handle."""
        return all(group.is_caught_up for group in self.groups)


def order_of(entry_id: str) -> tuple[int, int]:
    """Return a key by which entry ids sort as the server sorts them."""
    ms, _, sequence = entry_id.partition("-")
    return int(ms), int(sequence or 0)


def progress(client: redis.Redis, wanted: _Groups) -> Progress:
    """Return how far each group has come; a second question is asked only about those behind.

    Raises:
        redis.RedisError: the server is away.
    """
    groups = list(_groups(client, wanted))
    behind = [group for group in groups if not group.is_caught_up]
    ages = {(g.stream, g.group): age for g, age in zip(behind, _ages_ms(client, behind), strict=True)}
    return Progress(tuple(replace(g, oldest_age_ms=ages.get((g.stream, g.group))) for g in groups))


def is_caught_up(client: redis.Redis, wanted: _Groups) -> bool:
    """Has every group handled everything? One round trip."""
    return all(group.is_caught_up for group in _groups(client, wanted))


def positions(client: redis.Redis, wanted: _Groups) -> tuple[GroupProgress, ...]:
    """Return how far each group has come, without ages: one round trip, for a replay in lockstep."""
    return tuple(_groups(client, wanted))


def _groups(client: redis.Redis, wanted: _Groups) -> Iterator[GroupProgress]:
    with client.pipeline(transaction=False) as pipe:
        for stream in wanted:
            pipe.xrevrange(stream, count=1)
            pipe.xinfo_groups(stream)
        replies: list[Any] = pipe.execute(raise_on_error=False)
    for (stream, groups), newest, infos in zip(wanted.items(), replies[::2], replies[1::2], strict=True):
        yield from _groups_of(stream, groups, _or_raise(newest), [] if _is_missing(infos) else _or_raise(infos))


def _groups_of(stream: str, groups: Sequence[str], newest: Any, infos: Any) -> Iterator[GroupProgress]:
    last_id = newest[0][0].decode() if newest else NO_ID
    known = {_text(info["name"]): info for info in infos}
    for group in groups:
        info = known.get(group, {"last-delivered-id": NO_ID, "pending": 0})
        yield GroupProgress(
            stream=stream,
            group=group,
            last_id=last_id,
            delivered_id=_text(info["last-delivered-id"]),
            pending=int(info["pending"]),
        )


def _ages_ms(client: redis.Redis, behind: Sequence[GroupProgress]) -> list[int | None]:
    """Return the age of the oldest entry each group has not handled: pending, or not yet delivered."""
    if not behind:
        return []
    with client.pipeline(transaction=False) as pipe:
        pipe.time()
        for p in behind:
            pipe.xrange(p.stream, min=f"({p.delivered_id}", count=1)
            if p.pending:
                pipe.xpending(p.stream, p.group)
        (seconds, micros), *replies = pipe.execute()
    now_ms, answers = seconds * 1000 + micros // 1000, iter(replies)
    return [_age_ms(now_ms, next(answers), next(answers) if p.pending else None) for p in behind]


def _age_ms(now_ms: int, undelivered: Any, pending: Any) -> int | None:
    ids = [row[0].decode() for row in undelivered]
    if pending and pending["min"]:
        ids.append(_text(pending["min"]))
    return max((max(0, now_ms - order_of(entry_id)[0]) for entry_id in ids), default=None)


def _is_missing(reply: Any) -> bool:
    return isinstance(reply, redis.ResponseError) and "no such key" in str(reply)


def _or_raise(reply: Any) -> Any:
    if isinstance(reply, Exception):
        raise reply
    return reply


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
