"""``gapless exporter``: one process that reads Postgres and Redis at every scrape. It needs no keys."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import redis
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from actors.clocks import RecordedClock, WallClock
from cli.children import Interrupted
from cli.groups import groups_of
from cli.metrics_door import offer
from cli.origin import origin
from cli.session import Session
from cli.settings import Settings
from cli.wiring import ACTORS
from db import schema
from db.views import one_moment
from monitoring.exporter import Exporter
from monitoring.metrics import a_registry
from monitoring.state import Held, Sample, of_rows, of_streams
from streams.clients import writing_client
from streams.names import Stream

#: Where the exporter listens unless somebody says otherwise.
DEFAULT_PORT: Final = 9464
#: How long a statement of a scrape may take, in ms.
STATEMENT_MS: Final = 3000


@dataclass(frozen=True, slots=True)
class Reading:
    """What a scrape reads, and on which clock."""

    engine: Engine
    client: redis.Redis
    clock: Callable[[], datetime]
    groups: dict[str, Sequence[str]]
    head: str

    @classmethod
    def of(cls, settings: Settings, engine: Engine, client: redis.Redis) -> Reading:
        groups = groups_of(settings.stack.partitions)
        groups.pop(Stream.CLOCK)
        return cls(engine, client, _clock(settings, client), groups, schema.head())

    def rows(self) -> tuple[list[Sample], list[Held]]:
        """Read every row at one moment.

        Raises:
            WrongSchema: the database is at another version: what its columns mean is not ours to guess.
        """
        with one_moment(self.engine) as tx:
            tx.execute(text(f"SET LOCAL statement_timeout = {STATEMENT_MS}"))
            if (found := schema.current(tx)) != self.head:
                raise schema.WrongSchema(f"schema: this code expects version {self.head}, the database has {found}")
            return of_rows(tx, self.clock(), datetime.now(UTC), ACTORS, self.groups)

    def trouble(self) -> str | None:
        """Return which source does not answer, None when both do."""
        try:
            with self.engine.connect() as tx:
                tx.execute(text("SELECT 1"))
            self.client.ping()
        except (SQLAlchemyError, redis.RedisError) as e:
            return f"a source does not answer: {e}".splitlines()[0]
        return None

    def streams(self, held: Sequence[Held]) -> list[Sample]:
        return of_streams(self.client, self.clock(), self.groups, held)


def _clock(settings: Settings, client: redis.Redis) -> Callable[[], datetime]:
    """On a recorded day a time that cannot be read is unknown, never the wall's."""
    if settings.stack.clock == "wall":
        return WallClock()
    recorded = RecordedClock(client)

    def now() -> datetime:
        recorded.refresh()
        return recorded()

    return now


def serve(session: Session, host: str | None, port: int | None) -> None:
    """Serve ``/metrics`` until somebody interrupts us; say on stdout where.

    Raises:
        BadConfiguration: nobody can listen there.
    """
    settings = session.settings
    redis_url, database_url = session.addresses()
    engine, client = schema.connect(database_url), writing_client(redis_url)
    reading = Reading.of(settings, engine, client)
    registry = a_registry(origin(settings))
    registry.register(Exporter(reading.rows, reading.streams))
    address = host or settings.stack.metrics_host
    wanted = DEFAULT_PORT if port is None else port
    door = offer(registry, address, wanted, reading.trouble, said_by="--host, --port")
    print(f"http://{address}:{door.port}/metrics", flush=True)
    try:
        threading.Event().wait()
    except Interrupted:
        print("gapless: the exporter stops", file=sys.stderr)
    finally:
        door.close()
        client.close()
        engine.dispose()
