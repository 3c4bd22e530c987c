"""Makes the passwords of the stack's own two servers, once, into the volume that only their users mount.

    python make_secrets.py FOLDER

Written are ``database_password`` and ``database_url``, ``redis_password``, ``redis_url`` and ``redis.acl``, and
``grafana_password``, readable by the owner and its group. What is there stays: a database keeps the password that it
was made with.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from pathlib import Path
from typing import Final

_MODE: Final = 0o440
_BYTES: Final = 32


def make(folder: Path) -> None:
    """Write what is missing in *folder*."""
    database = _kept(folder / "database_password")
    streams = _kept(folder / "redis_password")
    _kept(folder / "grafana_password")
    _write(folder / "database_url", f"postgresql+psycopg2://gapless:{database}@postgres:5432/gapless")
    _write(folder / "redis_url", f"redis://gapless:{streams}@redis:6379/0")
    _write(folder / "redis.acl", _acl(streams))


def _kept(file: Path) -> str:
    """Return the password in *file*, made if there is none."""
    if not file.exists():
        _write(file, secrets.token_hex(_BYTES))
    return file.read_text(encoding="ascii").strip()


def _acl(password: str) -> str:
    """One user, known by a hash; nobody may empty the streams, stop the server or change how it keeps them."""
    digest = hashlib.sha256(password.encode()).hexdigest()
    refused = "-flushall -flushdb -shutdown -debug -replicaof -acl -config +config|get"
    return f"user default off\nuser gapless on #{digest} ~* &* +@all {refused}\n"


def _write(file: Path, content: str) -> None:
    """A crash leaves the old file or the new one."""
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "w", encoding="ascii") as handle:
        handle.write(f"{content}\n")
    new.replace(file)


if __name__ == "__main__":
    os.umask(0)
    make(Path(sys.argv[1]))
