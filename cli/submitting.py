"""``gapless submit``: recommendations from a file onto their stream, each line as it is.

What is wrong with a line is the gate's to say: it becomes a dead letter that names field and value.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from cli.driver import recommendation_fields
from cli.session import Session
from cli.settings import BadConfiguration
from streams.names import Stream
from streams.publish import publish_many


def submit_lines(session: Session, file: str) -> dict[str, Any]:
    """Publish every line that is not empty; return how many, and their entry ids."""
    lines = [line for line in _text(file).splitlines() if line.strip()]
    ids = publish_many(session.redis, [(str(Stream.RECOMMENDATIONS), recommendation_fields(line)) for line in lines])
    return {"published": len(ids), "entries": ids}


def _text(file: str) -> str:
    if file == "-":
        return sys.stdin.buffer.read().decode(errors="surrogateescape")
    try:
        return Path(file).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as e:
        raise BadConfiguration(f"{file}: cannot be read: {e}") from e
