"""Streams as a file: one JSON object a line, in the order in which entries were added.

``{"stream": "fills", "id": "1770134400000-0", "type": "OrderFilled", "body": {...}}``.
A body that is not JSON stands as text under ``raw``. An entry that is no fact (other fields
than ``type`` and ``body``) keeps all of them as text under ``fields``.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import redis

from streams import pages
from streams.progress import order_of

FILE_NAME: Final = "streams.jsonl"
_FACT: Final = frozenset({b"type", b"body"})


class NotAFixture(ValueError):
    """A line of the file is not one of ours."""


def record(client: redis.Redis, streams: Sequence[str], folder: Path) -> int:
    """Write what *streams* hold to ``folder/streams.jsonl`` and return the number of lines.

    Entries with equal ids keep the order in which the streams are named.

    Raises:
        redis.RedisError: the server is away.
        OSError: the file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries = heapq.merge(*(_entries(client, stream) for stream in streams), key=lambda entry: order_of(entry[1]))
    lines = 0
    with (folder / FILE_NAME).open("w", encoding="utf-8") as file:
        for stream, entry_id, fields in entries:
            file.write(_line(stream, entry_id, fields) + "\n")
            lines += 1
    return lines


def read_fixture(path: Path) -> Iterator[tuple[str, dict[bytes, bytes]]]:
    """Yield (stream, fields) of each line; *path* is the file or its folder.

    Raises:
        NotAFixture: names the line that cannot be read.
        OSError: there is no such file.
    """
    with (path / FILE_NAME if path.is_dir() else path).open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield _parsed(line)
            except (ValueError, LookupError, TypeError, AttributeError) as e:
                raise NotAFixture(f"line {number} of {path}: {e!r}") from e


def _entries(client: redis.Redis, stream: str) -> Iterator[tuple[str, str, dict[bytes, bytes]]]:
    for entry_id, fields in pages.entries(client, stream):
        yield stream, entry_id, fields


def _line(stream: str, entry_id: str, fields: Mapping[bytes, bytes]) -> str:
    head = {"stream": stream, "id": entry_id}
    if fields.keys() != _FACT:
        return json.dumps(head | {"fields": {_text(k): _text(v) for k, v in fields.items()}})
    return json.dumps(head | {"type": _text(fields[b"type"])} | _body(fields[b"body"]))


def _body(body: bytes) -> dict[str, Any]:
    """Return the body as JSON where reading it back gives the same value, else as text."""
    try:
        value = json.loads(body, parse_float=_refuse, parse_constant=_refuse, object_pairs_hook=_each_once)
        _compact(value)  # half a surrogate pair cannot be written back
    except (ValueError, RecursionError):
        return {"raw": _text(body)}
    return {"body": value}


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _refuse(text: str) -> None:
    raise ValueError(f"{text} would not survive as a float")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name that stands twice would stand once")
    return dict(pairs)


def _parsed(line: str) -> tuple[str, dict[bytes, bytes]]:
    row = json.loads(line)
    if "fields" in row:
        return row["stream"], {_bytes(k): _bytes(v) for k, v in row["fields"].items()}
    body = _bytes(row["raw"]) if "raw" in row else _compact(row["body"])
    return row["stream"], {b"type": _bytes(row["type"]), b"body": body}


def _text(value: bytes) -> str:
    return value.decode(errors="surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
