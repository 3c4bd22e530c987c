"""Prometheus, promtool and Alertmanager for tests: those on PATH, or Debian's packages unpacked into a folder.

``python -m tests.monitoring.tools`` fetches them with apt-get (nothing is installed, root is not needed).
``GAPLESS_MONITORING_TOOLS`` names another folder with ``usr/bin`` and ``usr/share`` in it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

import pytest

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("prometheus", "prometheus-alertmanager")
#: Debian calls it otherwise.
_ALIASES: Final = {"alertmanager": ("alertmanager", "prometheus-alertmanager")}


def folder() -> Path:
    return Path(os.environ.get("GAPLESS_MONITORING_TOOLS") or ROOT / ".gapless" / "tools").absolute()


def find(name: str) -> Path | None:
    """Return the program *name*, None when it is not here."""
    for alias in _ALIASES.get(name, (name,)):
        here = folder() / "usr" / "bin" / alias
        if here.is_file():
            return here
        if on_path := shutil.which(alias):
            return Path(on_path)
    return None


def need(name: str) -> Path:
    """Return the program *name*, or skip the test and say how to get it."""
    found = find(name) or _fetched(name)
    return found if found is not None else _not_here(name)


def _fetched(name: str) -> Path | None:
    """In CI nobody is asked to fetch: the first test that needs a program does."""
    if not os.environ.get("CI"):
        return None
    folder().mkdir(parents=True, exist_ok=True)
    with (folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if find(name) is None:
            fetch()
    return find(name)


def _not_here(name: str) -> NoReturn:
    pytest.skip(f"{name} is not here: `python -m tests.monitoring.tools` fetches it on Debian and Ubuntu")


def alertmanager() -> Sequence[str]:
    """Return the words that start Alertmanager; Debian's looks for its templates under /usr/share only."""
    program = need("alertmanager")
    if not program.is_relative_to(folder()):
        return [str(program)]
    share = folder() / "usr" / "share"
    if shutil.which("unshare") is None:
        _not_here("unshare, for Debian's alertmanager,")
    inside = f'mount --bind "{share}" /usr/share && exec "{program}" "$@"'
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", inside, "alertmanager"]


def fetch() -> int:
    """Download and unpack Debian's packages; return an exit code."""
    apt_get, dpkg_deb = shutil.which("apt-get"), shutil.which("dpkg-deb")
    if apt_get is None or dpkg_deb is None:
        print("apt-get and dpkg-deb are needed", file=sys.stderr)
        return 1
    place = folder()
    place.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run([apt_get, "download", *PACKAGES], cwd=place, check=True)
        for package in sorted(place.glob("*.deb")):
            subprocess.run([dpkg_deb, "-x", str(package), str(place)], check=True)
            package.unlink()
    except subprocess.CalledProcessError as e:
        print(f"{e}: the package lists may be old (apt-get update)", file=sys.stderr)
        return 1
    print(f"in {place / 'usr' / 'bin'}")
    return 0


if __name__ == "__main__":
    sys.exit(fetch())
