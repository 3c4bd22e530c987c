"""What a command has at hand: settings, the ledger's servers when it needs them, and one way to answer."""

from __future__ import annotations

import getpass
import json
import logging
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import redis
from rich.console import Console
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from actors.clocks import RecordedClock, WallClock
from actors.desk import Desk
from cli import ledger
from cli.acts import publish
from cli.settings import Settings
from cli.supervisor import socket_folder
from cli.wiring import make_desk
from db import schema
from db.embedded import Postgres, find_postgres
from db.unprivileged import identity
from streams.clients import writing_client
from streams.embedded import Valkey, find_valkey

log = logging.getLogger(__name__)

#: How wide tables are where no terminal says it.
PIPE_COLUMNS: Final = 100


class Unreachable(Exception):
    """A server that the command needs does not answer."""

    exit_code = 3


@dataclass(slots=True)
class Session:
    """One command's surroundings. Servers are opened at the first use and closed with ``close``.

    *settings_trouble*: why the configuration could not be read; the settings then hold keys and endpoint alone.
    """

    settings: Settings
    config: Path
    json: bool
    ledger_folder: Path | None
    settings_trouble: str | None = None
    _stack: ExitStack = field(default_factory=ExitStack, init=False)
    _addresses: tuple[str, str] | None = field(default=None, init=False)
    _engine: Engine | None = field(default=None, init=False)
    _redis: redis.Redis | None = field(default=None, init=False)

    @property
    def engine(self) -> Engine:
        """The ledger's database, at the version of this code.

        Raises:
            Unreachable: it does not answer.
            WrongSchema: it is at another version.
        """
        if self._engine is None:
            engine = schema.connect(self.addresses()[1])
            try:
                schema.require_head(engine)
            except OperationalError as e:
                raise Unreachable(f"the database does not answer: {str(e.orig).splitlines()[0]}") from e
            self._engine = engine
        return self._engine

    @property
    def redis(self) -> redis.Redis:
        """A client of the ledger's streams.

        Raises:
            Unreachable: they do not answer.
        """
        if self._redis is None:
            client = writing_client(self.addresses()[0])
            try:
                client.ping()
            except redis.RedisError as e:
                raise Unreachable(f"the streams do not answer: {e}") from e
            self._redis = client
        return self._redis

    @property
    def desk(self) -> Desk:
        return make_desk(self.settings, self.engine, self.clock)

    def clock(self) -> datetime:
        """Return the time of the recorded day that the ledger holds, else the wall's (also without streams)."""
        try:
            return RecordedClock(self.redis)()
        except (RuntimeError, Unreachable, redis.RedisError):
            return WallClock()()

    @property
    def person(self) -> str:
        """Who is asking, for the audit; a user without a name is a number."""
        try:
            return getpass.getuser()
        except (KeyError, OSError):
            return f"uid {os.getuid()}"

    def show(self, document: dict[str, Any], render: Callable[[dict[str, Any]], Any]) -> None:
        """Answer: one JSON document on stdout, or what *render* makes of it for people."""
        if self.json:
            sys.stdout.write(json.dumps(document, default=_plain, ensure_ascii=False, indent=1) + "\n")
        else:
            Console(width=_columns()).print(render(document))

    def announce(self) -> bool:
        """Send what was decided; False when streams are away: it is written, and an actor sends it later."""
        try:
            return publish(self.desk, self.redis)
        except Unreachable as e:
            log.warning("decided and written, but not announced yet: %s", e)
            return False

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
        if self._redis is not None:
            self._redis.close()
        self._stack.close()

    def addresses(self) -> tuple[str, str]:
        """Return where streams and database are; a ledger that nobody serves is served from now on."""
        if self._addresses is None:
            self._addresses = self._configured() or self._of_ledger()
        return self._addresses

    def _configured(self) -> tuple[str, str] | None:
        servers = self.settings.servers
        if self.ledger_folder is not None or servers.redis_url is None or servers.database_url is None:
            return None
        return servers.redis_url.get_secret_value(), servers.database_url.get_secret_value()

    def _of_ledger(self) -> tuple[str, str]:
        """Return the servers of the ledger: those of a run that is under way, else started for this command."""
        folder = self.ledger_folder or ledger.current(self.settings)
        if not folder.is_dir():
            raise Unreachable(f"there is no ledger in {folder}: nothing has run yet (gapless run)")
        if ledger.is_in_use(folder):
            return _running_servers(folder)
        servers = self._stack.enter_context(ledger.serving(folder))
        return servers.redis_url, servers.database_url


def _columns() -> int | None:
    """Return the width of a pipe, unless a terminal or the environment says it."""
    return None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPE_COLUMNS


def _running_servers(folder: Path) -> tuple[str, str]:
    """Return where the servers of a run on *folder* listen: the sockets' place follows from the folder."""
    binaries = find_postgres()
    run_as = identity(binaries / "postgres", folder)
    sockets = socket_folder(folder.absolute(), run_as)
    streams = Valkey(binary=find_valkey(), data=folder / "valkey", socket=sockets / "valkey.sock", fsync="always")
    rows = Postgres(bin=binaries, data=folder / "postgres", sockets=sockets, run_as=run_as)
    return streams.url, rows.url


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)
