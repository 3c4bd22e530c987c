"""Which code and which configuration made a decision: stamped on every fact, decision and heartbeat (R62)."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from cli.settings import Settings

VERSION: Final = "0.1.0"
_ROOT: Final = Path(__file__).resolve().parent.parent
_PACKAGES: Final = ("domain", "streams", "db", "migrations", "brokerage", "monitoring", "actors", "cli")


@cache
def code_hash() -> str:
    """Return a short hash of the code that runs, with or without a repository around it."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for file in sorted((_ROOT / package).rglob("*")):
            if file.suffix in {".py", ".sql"}:
                digest.update(str(file.relative_to(_ROOT)).encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def origin(settings: Settings) -> str:
    return f"{VERSION}+{code_hash()}/{settings.hash()}"
