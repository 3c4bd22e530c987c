"""The embedded servers live exactly as long as their supervisor, and what they acknowledged longer."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis
from sqlalchemy import create_engine, text

from cli.leftovers import stop_leftover
from cli.supervisor import CANNOT_SERVE, ChildDied, FolderInUse, SocketFolderIsNotOurs, embedded_servers, socket_folder
from db import unprivileged
from db.embedded import NoDatabaseServer, Postgres, find_postgres
from db.unprivileged import NeedsAnotherUser
from streams.embedded import NoStreamServer, Valkey, find_valkey
from tests.servers import a_folder, a_postgres, a_valkey
from tests.supervisor.processes import holder, servers_on, wait_until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture(scope="module")
def initialised() -> Iterator[Path]:
    """A folder in which the servers ran once and were stopped."""
    with a_folder() as folder:
        with embedded_servers(folder / "data", durable=False):
            pass
        yield folder / "data"


@pytest.fixture
def folder(initialised: Path) -> Iterator[Path]:
    """A copy of it for one test."""
    with a_folder() as base:
        shutil.copytree(initialised, base / "data", copy_function=copy_with_owner)
        for copied in [base / "data", *base.glob("data/**/")]:
            keep_owner(initialised / copied.relative_to(base / "data"), copied)
        yield base / "data"


def copy_with_owner(source: str, copied: str) -> None:
    shutil.copy2(source, copied)
    keep_owner(Path(source), Path(copied))


def keep_owner(source: Path, copied: Path) -> None:
    """PostgreSQL may run as nobody here, and must find its files its own."""
    if os.geteuid() == 0:
        os.chown(copied, source.stat().st_uid, source.stat().st_gid)


@pytest.fixture
def empty() -> Iterator[Path]:
    """An empty folder for one test."""
    with a_folder() as base:
        yield base


def write_one_of_each(redis_url: str, database_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.xadd("fills", {"type": "OrderFilled"}, id="7-1")
    rows = create_engine(database_url)
    with rows.begin() as tx:
        tx.execute(text("CREATE TABLE kept AS SELECT 7 AS value"))
    rows.dispose()


def read_one_of_each(redis_url: str, database_url: str) -> tuple[list[Any], int]:
    with redis.Redis.from_url(redis_url) as client:
        entries = [entry for entry, _ in client.xrange("fills")]
    rows = create_engine(database_url)
    with rows.begin() as tx:
        value: int = tx.execute(text("SELECT value FROM kept")).scalar_one()
    rows.dispose()
    return entries, value


def test_a_killed_supervisor_leaves_no_orphan_and_loses_nothing(folder: Path) -> None:
    """kill -9 of the supervisor ends both servers within 3 s; the next start has every row and entry."""
    with holder(folder) as (process, urls):
        write_one_of_each(**urls)
        process.kill()
        process.wait()
        wait_until(lambda: not servers_on(folder), seconds=3)
    with embedded_servers(folder, durable=False) as servers:
        assert ([b"7-1"], 7) == read_one_of_each(servers.redis_url, servers.database_url)


def test_everything_killed_at_once_loses_nothing(folder: Path) -> None:
    """kill -9 of the supervisor and of every server process at the same moment: all is there afterwards."""
    with holder(folder) as (process, urls):
        write_one_of_each(**urls)
        for pid in [process.pid, *servers_on(folder)]:
            with suppress(ProcessLookupError):  # the kernel was faster
                os.kill(pid, signal.SIGKILL)
        process.wait()
    with embedded_servers(folder, durable=False) as servers:
        assert ([b"7-1"], 7) == read_one_of_each(servers.redis_url, servers.database_url)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_everything_within_five_seconds(folder: Path, signum: signal.Signals) -> None:
    """A busy statement, an open transaction and a blocked reader do not hold up the end."""
    with holder(folder) as (process, urls):
        busy = a_session(urls["database_url"])
        threading.Thread(target=swallow(lambda: busy.cursor().execute("SELECT pg_sleep(60)")), daemon=True).start()
        waiting = a_session(urls["database_url"])
        waiting.cursor().execute("SELECT 1")
        client = redis.Redis.from_url(urls["redis_url"], socket_timeout=None)
        threading.Thread(target=swallow(lambda: client.xread({"s": "$"}, block=0)), daemon=True).start()
        started = time.monotonic()
        process.send_signal(signum)
        process.wait(5)
        assert 5 > time.monotonic() - started
        assert [] == servers_on(folder)
        assert 0 == process.returncode


def a_session(database_url: str) -> Any:
    host = create_engine(database_url).url.query["host"]
    return psycopg2.connect(host=host, user="gapless", dbname="gapless")


def swallow(blocking: Callable[[], object]) -> Callable[[], None]:
    """Wrap a call that the end of its server breaks off."""

    def call() -> None:
        with pytest.raises((psycopg2.Error, redis.RedisError)):
            blocking()

    return call


def test_the_terminal_interrupts_the_supervisor_alone(folder: Path) -> None:
    """Ctrl-C goes to a process group; the servers are in none that the terminal knows."""
    with embedded_servers(folder, durable=False):
        groups = {os.getpgid(pid) for pid in servers_on(folder)}
        assert os.getpgid(0) not in groups
        assert groups


def test_a_folder_in_use_is_refused_in_one_line(folder: Path) -> None:
    """Two runs on one folder would be two postmasters on one cluster: the second is told who has it."""
    with holder(folder) as (process, _):
        with pytest.raises(FolderInUse) as refused, embedded_servers(folder):
            pass
        assert f"{folder} is in use by another run (process {process.pid})" == str(refused.value)
        assert 2 == refused.value.exit_code


@pytest.mark.parametrize(("name", "pid_file"), [("postgres", "postmaster.pid"), ("valkey", "valkey.pid")])
def test_a_server_that_dies_is_noticed(folder: Path, name: str, pid_file: str) -> None:
    """The check after its death names the server and the signal."""
    with embedded_servers(folder, durable=False) as servers:
        servers.check()
        os.kill(int((folder / name / pid_file).read_text().split()[0]), signal.SIGKILL)
        with pytest.raises(ChildDied) as died:
            wait_until(servers.check, seconds=3)
        assert (name, -signal.SIGKILL) == (died.value.name, died.value.code)


def test_nobody_else_may_enter(empty: Path) -> None:
    """What we create is closed to other users; a folder that was there keeps its mode."""
    given = empty / "given"
    given.mkdir(mode=0o755)
    with embedded_servers(given, durable=False) as servers:
        sockets = Path(servers.redis_url.removeprefix("unix://")).parent
        modes = {path.name: mode_of(path) for path in (given, *given.iterdir(), *sockets.iterdir(), sockets)}
    expected = {"postgres": 0o700, "valkey": 0o700, "logs": 0o700, sockets.name: 0o700, "given": 0o755}
    expected |= {".s.PGSQL.5432": 0o700, "valkey.sock": 0o700}
    assert expected == {name: modes[name] for name in expected}
    assert unprivileged.folder_mode() == mode_of_new(empty / "new")


def mode_of_new(folder: Path) -> int:
    with embedded_servers(folder, durable=False):
        return mode_of(folder)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_sockets_are_gone_after_a_clean_stop(folder: Path) -> None:
    """A clean stop leaves nothing outside the data folder."""
    with embedded_servers(folder, durable=False) as servers:
        sockets = Path(servers.redis_url.removeprefix("unix://")).parent
        assert sockets.is_dir()
    assert not sockets.exists()


def test_a_foreign_socket_folder_is_not_entered(tmp_path: Path) -> None:
    """Under a shared /tmp anybody may make a folder of our name first: its mode gives it away."""
    sockets = socket_folder(tmp_path)
    sockets.chmod(0o755)
    with pytest.raises(SocketFolderIsNotOurs, match=str(sockets)):
        socket_folder(tmp_path)
    sockets.rmdir()


def test_a_relative_folder_under_a_path_with_spaces_works(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is taken relative to where the user stands, and is passed on without a shell."""
    here = empty / "my trading 'desk'"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("TMPDIR", str(here))
    with embedded_servers(Path("data"), durable=False) as servers:
        write_one_of_each(servers.redis_url, servers.database_url)
    assert (here / "data" / "postgres" / "PG_VERSION").exists()


def test_a_path_longer_than_any_socket_name_works(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket's path may have some hundred bytes; the data's, and TMPDIR's, may have more."""
    deep = empty / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(deep))
    with embedded_servers(deep, durable=False) as servers:
        write_one_of_each(servers.redis_url, servers.database_url)


def test_somebodys_postgres_settings_change_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PGPORT, PGHOST and PGDATA in a shell are about another server."""
    for key, value in {"PGPORT": "6543", "PGHOST": "elsewhere", "PGDATA": "/nowhere", "PGUSER": "x"}.items():
        monkeypatch.setenv(key, value)
    with embedded_servers(folder, durable=False) as servers:
        write_one_of_each(servers.redis_url, servers.database_url)


def test_servers_keep_what_they_acknowledge_and_listen_on_no_network(empty: Path) -> None:
    """The product's settings, read back from the running servers."""
    wanted = ["fsync", "synchronous_commit", "full_page_writes", "data_checksums", "listen_addresses", "TimeZone"]
    with embedded_servers(empty / "data") as servers:
        rows = create_engine(servers.database_url)
        with rows.begin() as tx:
            found = [tx.execute(text("SELECT current_setting(:name)"), {"name": name}).scalar_one() for name in wanted]
        rows.dispose()
        with redis.Redis.from_url(servers.redis_url, decode_responses=True) as client:
            names = ("appendonly", "appendfsync", "maxmemory-policy", "port")
            kept = [client.config_get(name)[name] for name in names]
    assert ["on", "on", "on", "on", "", "UTC"] == found
    assert ["yes", "always", "noeviction", "0"] == kept


def test_a_warm_start_makes_nothing_anew(folder: Path) -> None:
    """Both servers answer on the data that the first start made, which is what makes it quick."""
    made = folder / "postgres" / "PG_VERSION"
    before = made.stat().st_mtime_ns
    with embedded_servers(folder, durable=False) as servers:
        write_one_of_each(servers.redis_url, servers.database_url)
    assert before == made.stat().st_mtime_ns


def test_a_server_left_alive_is_replaced(folder: Path) -> None:
    """Where the kernel does not end orphans, the next start stops them first."""
    with orphans(folder):
        before = set(servers_on(folder))
        assert 2 <= len(before)
        with embedded_servers(folder, durable=False) as servers:
            assert set() == before & set(servers_on(folder))
            write_one_of_each(servers.redis_url, servers.database_url)


@pytest.mark.skipif(shutil.which("ps") is None, reason="needs ps")
def test_a_server_left_alive_is_recognised_without_proc(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS has no /proc: there the name of the process and an answering socket prove whose it is."""
    with orphans(folder) as servers:
        monkeypatch.setattr(sys, "platform", "darwin")
        for server in servers:
            stop_leftover(server.pid_file, server.data, server.program, server.is_ready)
        monkeypatch.undo()
        wait_until(lambda: not servers_on(folder), seconds=1)


@contextmanager
def orphans(folder: Path) -> Iterator[tuple[Postgres | Valkey, ...]]:
    """Start both servers as the supervisor would, but without their tie to it."""
    servers = (a_valkey(folder), a_postgres(folder))
    processes = [started_alone(server) for server in servers]
    try:
        wait_until(lambda: all(server.is_ready() for server in servers), seconds=5)
        yield servers
    finally:
        for process in processes:
            process.kill()
            process.wait()
        shutil.rmtree(servers[0].socket.parent, ignore_errors=True)


def started_alone(server: Postgres | Valkey) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        server.argv(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=server.uid,
        group=server.gid,
        extra_groups=None if server.uid is None else [],
    )


def test_a_process_id_given_to_somebody_else_does_not_stop_the_start(folder: Path) -> None:
    """After a reboot the old postmaster's number may be anybody's: neither obeyed nor killed."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as somebody:
        try:
            folder.joinpath("postgres", "postmaster.pid").write_text(f"{somebody.pid}\n{folder}/postgres\n1\n5432\n")
            folder.joinpath("valkey", "valkey.pid").write_text(f"{somebody.pid}\n")
            with embedded_servers(folder, durable=False) as servers:
                write_one_of_each(servers.redis_url, servers.database_url)
            assert somebody.poll() is None
        finally:
            somebody.kill()


def test_an_interrupted_initdb_is_done_again(empty: Path) -> None:
    """A half cluster is not mistaken for one."""
    half = empty / "data" / "postgres.unfinished"
    half.mkdir(parents=True)
    half.joinpath("PG_VERSION").write_text("18\n")
    with embedded_servers(empty / "data", durable=False) as servers:
        write_one_of_each(servers.redis_url, servers.database_url)
    assert not half.exists()


def test_a_cluster_of_another_major_version_is_refused(folder: Path) -> None:
    """PostgreSQL 18 does not read the files of 15: say so instead of failing in a log."""
    folder.joinpath("postgres", "PG_VERSION").write_text("15\n")
    with (
        pytest.raises(NoDatabaseServer, match=r"made by PostgreSQL 15, the binaries are 18\."),
        embedded_servers(folder),
    ):
        pass


def test_every_reason_not_to_run_has_an_exit_code() -> None:
    """2: somebody asked for what cannot be; 3: a server that is needed is not there."""
    codes = {reason.__name__: reason.exit_code for reason in CANNOT_SERVE}
    assert {"FolderInUse", "SocketFolderIsNotOurs"} == {name for name, code in codes.items() if code == 2}
    assert {2, 3} == set(codes.values())


def test_a_missing_binary_is_named(tmp_path: Path) -> None:
    """A given path is used or refused, never replaced by another server."""
    with pytest.raises(NoStreamServer, match="no such binary"):
        find_valkey(tmp_path / "valkey-server")
    with pytest.raises(NoDatabaseServer, match=str(tmp_path)):
        find_postgres(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has the problem")
def test_root_without_namespaces_runs_postgres_as_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the kernel refuses namespaces; nobody does it where it can reach program and data."""
    monkeypatch.setattr(unprivileged, "_namespaces_work", lambda: False)
    with a_folder() as base:
        base.chmod(0o711)
        try:
            with embedded_servers(base / "data", durable=False) as servers:
                write_one_of_each(servers.redis_url, servers.database_url)
                owner = (base / "data" / "postgres").stat().st_uid
                runner = Path(f"/proc/{postmaster(base / 'data')}").stat().st_uid
        except NeedsAnotherUser as cannot:
            pytest.skip(f"the binaries stand where nobody cannot go: {cannot}")
    assert owner == runner != 0


def postmaster(folder: Path) -> int:
    return int((folder / "postgres" / "postmaster.pid").read_text().split()[0])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has the problem")
def test_root_without_any_way_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a namespace nor nobody: one sentence with two ways out, and no user is created."""
    monkeypatch.setattr(unprivileged, "_namespaces_work", lambda: False)
    told = pytest.raises(NeedsAnotherUser, match="start gapless as another user")
    with a_folder() as closed:
        closed.chmod(0o700)
        with told, embedded_servers(closed / "data"):
            pass
