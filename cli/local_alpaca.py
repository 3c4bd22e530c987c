"""Starting the local Alpaca as a child: its own program, on free ports, gone when we are."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cli.children import ChildDied, Children
from cli.settings import BadConfiguration, Settings

#: How long it may take to read its days, in seconds.
START_S: Final = 30.0
#: What an account of ours starts with at the local Alpaca, in dollars, unless it is one of its own two.
_ITS_OWN: Final = frozenset({"large", "tiny"})
_CASH: Final = 100_000
#: Exit code of a program that was given wrong options or data.
_WRONG_USAGE: Final = 2


@dataclass(frozen=True, slots=True)
class LocalAlpaca:
    rest_url: str
    control_url: str
    clock: datetime


def start(children: Children, days: Sequence[Path], settings: Settings, options: Sequence[str] = ()) -> LocalAlpaca:
    """Start it with its clock standing at the first session's open; *options* are more of its own.

    Raises:
        BadConfiguration: a day cannot be played; the message is the server's own line.
        ChildDied: it ended for another reason.
    """
    argv = [sys.executable, "-P", "-m", "paper", "--speed", "0", "--die-with-parent"]
    for day in days:
        argv += ["--data", str(day)]
    for name in settings.account_names():
        if name not in _ITS_OWN:
            argv += ["--account", f"{name}={_CASH}"]
    argv += ["--rate-limit", str(settings.brokerage.requests_per_minute), *options]
    process = children.start("paper", argv, env=environment(), stdout=subprocess.PIPE)
    said = _first_line(children, process)
    return LocalAlpaca(said["rest"], said["control"], datetime.fromisoformat(said["clock"]))


def environment() -> dict[str, str]:
    """Return our environment with the project on the path of a child."""
    root = str(Path(__file__).resolve().parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _first_line(children: Children, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    pipe = process.stdout
    if pipe is None:
        raise RuntimeError("the local Alpaca was started without a pipe")
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        ready, _, _ = select.select([pipe], [], [], 0.2)
        line = pipe.readline() if ready else b""
        if line:
            found: dict[str, Any] = json.loads(line)
            return found
        _say_why(children, process)
    raise ChildDied("paper", 0, f"it did not answer within {START_S:.0f} s")


def _say_why(children: Children, process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        return
    try:
        children.check()
    except ChildDied as e:
        if e.code == _WRONG_USAGE:
            raise BadConfiguration(e.last_lines.splitlines()[-1] if e.last_lines else "the day cannot be played") from e
        raise
