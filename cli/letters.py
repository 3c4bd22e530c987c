"""Dead letters: what nobody could handle, and what a person decides about it.

The row is the truth, with reason, actor and body; the dead stream holds the entry itself as long as the streams
live. Requeueing puts the entry at the end of its stream: whoever handled it before recognises it by its effects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import redis
from sqlalchemy import Engine

from cli.plain import plain
from db import dead_letters
from streams import dead, names
from streams.dead import Buried
from streams.publish import publish

Document = dict[str, Any]


class AlreadyDecided(ValueError):
    """Somebody has requeued or dropped this letter."""

    exit_code = 1


class NothingToRequeue(ValueError):
    """Neither the streams nor the row hold an entry that could be put back."""

    exit_code = 1


def waiting(engine: Engine) -> Document:
    """Return the letters that nobody has decided about, oldest first, without their bodies."""
    with engine.connect() as tx:
        found: Document = plain({"items": dead_letters.waiting(tx)})
    return found


def show(engine: Engine, client: redis.Redis, dead_id: int) -> Document:
    """Return one letter whole; ``on_stream`` is its id on the dead stream, null when it is not there (any more).

    Raises:
        db.dead_letters.UnknownDeadLetter: there is none with this number.
    """
    with engine.connect() as tx:
        row = dead_letters.get(tx, dead_id)
    buried = _buried(client, row)
    found: Document = plain({**row, "on_stream": buried.id if buried else None})
    return found


def requeue(engine: Engine, client: redis.Redis, dead_id: int, reason: str, by: str) -> Document:
    """Put the entry back at the end of its stream, from the dead stream or else from the row.

    Published first and recorded then: a crash in between lets a person requeue twice, which readers do not mind.

    Raises:
        db.dead_letters.UnknownDeadLetter: there is none with this number.
        AlreadyDecided: it was requeued or dropped before.
        NothingToRequeue: the streams have forgotten it and the row has no entry.
        redis.RedisError: the server is away; nothing is changed.
    """
    row = _undecided(engine, dead_id)
    buried = _buried(client, row)
    if buried is not None:
        entry_id = dead.requeue(client, buried.dead_stream, buried.id)
    else:
        entry_id = publish(client, row["stream"], _fields(row))
    _decide(engine, dead_id, "requeued", f"{by}: {reason or f'as {entry_id}'}")
    return {"dead_id": dead_id, "state": "requeued", "stream": row["stream"], "entry_id": entry_id, "by": by}


def drop(engine: Engine, client: redis.Redis, dead_id: int, reason: str, by: str) -> Document:
    """Give the entry up for good; the row stays, with who said so and why.

    Raises:
        db.dead_letters.UnknownDeadLetter: there is none with this number.
        AlreadyDecided: it was requeued or dropped before.
        redis.RedisError: the server is away; nothing is changed.
    """
    row = _undecided(engine, dead_id)
    buried = _buried(client, row)
    if buried is not None:
        dead.drop(client, buried.dead_stream, buried.id)
    _decide(engine, dead_id, "dropped", f"{by}: {reason}")
    return {"dead_id": dead_id, "state": "dropped", "stream": row["stream"], "entry_id": row["entry_id"], "by": by}


def _undecided(engine: Engine, dead_id: int) -> dict[str, Any]:
    with engine.connect() as tx:
        row = dead_letters.get(tx, dead_id)
    if row["state"] != "waiting":
        raise AlreadyDecided(f"dead letter {dead_id} was {row['state']} ({row['state_reason']})")
    return row


def _decide(engine: Engine, dead_id: int, state: str, reason: str) -> None:
    with engine.begin() as tx:
        dead_letters.decide(tx, dead_id, state, reason)


def _buried(client: redis.Redis, row: Mapping[str, Any]) -> Buried | None:
    """Return the letter on its dead stream: the one that died as this entry."""
    found = dead.letters(client, names.dead(row["stream"], row["actor"]))
    return next((letter for letter in found if letter.notes["entry_id"] == row["entry_id"]), None)


def _fields(row: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the entry as the row kept it; a frame of a socket never was an entry."""
    if not row["type"] or not row["body"] or ":" in row["stream"]:
        raise NothingToRequeue(f"dead letter {row['dead_id']}: the streams have forgotten it and its row has no entry")
    return {"type": row["type"].encode(), "body": row["body"].encode()}
