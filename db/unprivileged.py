"""How PostgreSQL runs when we are root, which it refuses to be.

The ladder: a user namespace in which root looks like nobody (its files stay root's); else the
user ``nobody`` where it can reach program and data; else a plain sentence. No user is created
and no folder is touched here.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

#: The id that the kernel uses for "nobody" when it maps users.
_NOBODY_ID = 65534
_PROBE_SECONDS = 10


class NeedsAnotherUser(Exception):
    """Root has no way here to run PostgreSQL as somebody else."""

    exit_code = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAs:
    """How a command is run: the words before it and, unless None, the user and group id of the process."""

    prefix: tuple[str, ...]
    uid: int | None
    gid: int | None


OURSELVES = RunAs(prefix=(), uid=None, gid=None)
_IN_NAMESPACE = RunAs(
    prefix=("unshare", "--user", f"--map-user={_NOBODY_ID}", f"--map-group={_NOBODY_ID}"), uid=None, gid=None
)


def identity(program: Path, folder: Path) -> RunAs:
    """Return how *program* is run on data under *folder*.

    Raises:
        NeedsAnotherUser: we are root, namespaces are refused, and nobody cannot reach both.
    """
    if os.geteuid() != 0:
        return OURSELVES
    if _namespaces_work():
        return _IN_NAMESPACE
    nobody = _nobody()
    if nobody is not None and _reaches(nobody, program, folder):
        return nobody
    raise NeedsAnotherUser(
        "PostgreSQL does not run as root, and neither a user namespace nor the user nobody can run it here: "
        "start gapless as another user, or set GAPLESS_DATABASE_URL"
    )


def folder_mode() -> int:
    """Return the mode of a new folder around a cluster: others pass through only if one of them must."""
    must_pass = os.geteuid() == 0 and not _namespaces_work()
    return 0o711 if must_pass else 0o700


@cache
def _namespaces_work() -> bool:
    """Ask the kernel by doing it: containers and chroots often refuse."""
    if not sys.platform.startswith("linux") or shutil.which("unshare") is None:
        return False
    return _succeeds([*_IN_NAMESPACE.prefix, "true"], OURSELVES)


def _nobody() -> RunAs | None:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return None
    return RunAs(prefix=(), uid=entry.pw_uid, gid=entry.pw_gid)


def _reaches(who: RunAs, program: Path, folder: Path) -> bool:
    return _succeeds(["/bin/sh", "-c", 'test -x "$1" && cd "$2"', "sh", str(program), str(folder)], who)


def _succeeds(argv: list[str], who: RunAs) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            argv,
            user=who.uid,
            group=who.gid,
            extra_groups=None if who.uid is None else [],
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
