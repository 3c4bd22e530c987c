"""Which code and which configuration made a decision: stamped on every fact, decision and heartbeat (R62)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from cli.settings import Settings

VERSION: Final = "0.1.0"
_ROOT: Final = Path(__file__).resolve().parent.parent
_PACKAGES: Final = ("domain", "streams", "db", "migrations", "brokerage", "monitoring", "actors", "cli")

#: Makes the dashboards: nothing that runs imports it, and no image has it.
_NOT_RUN: Final = _ROOT / "monitoring" / "grafana"


@cache
def code_hash() -> str:
    """Return a short hash of the code that runs, with or without a repository around it."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for file in _files(_ROOT / package):
            digest.update(str(file.relative_to(_ROOT)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _files(folder: Path) -> Iterator[Path]:
    """Every file of code under *folder*, in an order that holds everywhere."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path != _NOT_RUN:
            yield from _files(path)
        elif path.suffix in {".py", ".sql"}:
            yield path


def origin(settings: Settings) -> str:
    return f"{VERSION}+{code_hash()}/{settings.hash()}"
