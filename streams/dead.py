"""Dead letters: what a group gave up, kept until a person decides.

A dead letter is the entry's own fields plus what is known about its end::

    stream entry_id          where it stood
    actor version            who gave it up
    reason attempts at       why, after how many tries, when (UTC ISO)

A field of the entry that bears one of these names is kept as ``entry.<name>``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import redis

from streams import pages
from streams.hooks import DeadLetter

_NOTES = frozenset({b"stream", b"entry_id", b"actor", b"version", b"reason", b"attempts", b"at"})
_KEPT = b"entry."


class NoSuchLetter(LookupError):
    """The dead stream holds no letter with this id (it was requeued or dropped before)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Buried:
    """A dead letter as it lies on its stream; ``fields`` are those of the original entry."""

    id: str
    dead_stream: str
    fields: dict[bytes, bytes]
    notes: dict[str, str]

    @property
    def origin(self) -> str:
        """The stream the entry came from."""
        return self.notes["stream"]


def dead_fields(letter: DeadLetter) -> dict[Any, Any]:
    """Return the fields under which *letter* is kept."""
    notes = {
        "stream": letter.stream,
        "entry_id": letter.entry_id,
        "actor": letter.actor,
        "version": letter.version,
        "reason": letter.reason,
        "attempts": str(letter.attempts),
        "at": letter.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }
    return _set_aside(letter.fields) | {k.encode(): v.encode(errors="replace") for k, v in notes.items()}


def dead_streams(client: redis.Redis) -> list[str]:
    """Return the names of all dead streams, sorted."""
    keys: Iterator[Any] = client.scan_iter(match="*.dead", count=1000, _type="stream")
    return sorted(key.decode() for key in keys)


def letters(client: redis.Redis, dead_stream: str) -> Iterator[Buried]:
    """Walk the letters of one dead stream, oldest first."""
    for entry_id, fields in pages.entries(client, dead_stream):
        yield _buried(dead_stream, entry_id, fields)


def letter(client: redis.Redis, dead_stream: str, letter_id: str) -> Buried:
    """Return one letter.

    Raises:
        NoSuchLetter: it is not there.
    """
    rows: Any = client.xrange(dead_stream, min=letter_id, max=letter_id)
    if not rows:
        raise NoSuchLetter(f"{dead_stream} holds no letter {letter_id}")
    return _buried(dead_stream, rows[0][0].decode(), rows[0][1])


def requeue(client: redis.Redis, dead_stream: str, letter_id: str) -> str:
    """Put the entry back at the end of its stream and return its new id.

    A stream has no address for one group: every group of the stream sees the entry again,
    and those that handled it recognise it by its effects. It comes after entries that were
    once behind it.

    Raises:
        NoSuchLetter: it is not there.
    """
    found = letter(client, dead_stream, letter_id)
    with client.pipeline(transaction=True) as pipe:
        pipe.xadd(found.origin, dict[Any, Any](found.fields))
        pipe.xdel(dead_stream, letter_id)
        new_id, _ = pipe.execute()
    return str(new_id.decode())


def drop(client: redis.Redis, dead_stream: str, letter_id: str) -> None:
    """Forget one letter for good.

    Raises:
        NoSuchLetter: it is not there.
    """
    if not client.xdel(dead_stream, letter_id):
        raise NoSuchLetter(f"{dead_stream} holds no letter {letter_id}")


def _set_aside(fields: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    return {(_KEPT + k if k in _NOTES or k.startswith(_KEPT) else k): v for k, v in fields.items()}


def _buried(dead_stream: str, entry_id: str, fields: Mapping[bytes, bytes]) -> Buried:
    return Buried(
        id=entry_id,
        dead_stream=dead_stream,
        fields={k.removeprefix(_KEPT): v for k, v in fields.items() if k not in _NOTES},
        notes={k.decode(): v.decode(errors="replace") for k, v in fields.items() if k in _NOTES},
    )
