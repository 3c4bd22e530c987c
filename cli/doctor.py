"""``gapless doctor``: is this installation fit to trade? Each check says what it looked at."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any, Final

import redis
from sqlalchemy import text

from brokerage.sdk import DISTRIBUTION, installed
from cli.groups import groups_of
from cli.origin import VERSION, code_hash, origin
from cli.session import Session
from cli.settings import BadConfiguration
from cli.supervisor import CANNOT_SERVE
from cli.wiring import Wiring
from db import configurations, heartbeats, limits, schema
from domain.ids import AccountName
from streams.progress import progress

#: Clocks that differ by more than this make ages meaningless, in seconds.
MAX_SKEW_S: Final = 1.0
#: An actor whose last heartbeat is older is not running.
ALIVE: Final = timedelta(seconds=30)
#: An entry that waits longer than this while actors run says that its reader is stuck, in ms.
STUCK_MS: Final = 60_000
_PACKAGES: Final = ("redis", "dramatiq", "alpaca-py", "sqlalchemy", "psycopg2-binary", "prometheus-client")


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    ok: bool
    detail: str


def examine(session: Session) -> dict[str, Any]:
    """Return ``{checks: [{name, ok, detail}]}``; a check that cannot be made has failed."""
    checks = [check for look in _LOOKS for check in _safely(look, session)]
    return {"checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in checks]}


def _safely(look: Callable[[Session], Iterator[Check]], session: Session) -> list[Check]:
    try:
        return list(look(session))
    except (*CANNOT_SERVE, BadConfiguration, schema.WrongSchema, redis.RedisError, OSError) as e:
        return [Check(look.__name__.strip("_"), False, str(e).splitlines()[0])]
    except Exception as e:  # noqa: BLE001 - whatever is wrong is what a doctor is asked for
        return [Check(look.__name__.strip("_"), False, f"{type(e).__name__}: {e}".splitlines()[0])]


def _versions(session: Session) -> Iterator[Check]:  # noqa: ARG001 - one signature for all looks
    yield Check("python", sys.version_info >= (3, 11), platform.python_version())
    yield Check("gapless", True, f"{VERSION}+{code_hash()}")
    yield Check("packages", True, ", ".join(f"{name} {version(name)}" for name in _PACKAGES))


def _sdk(session: Session) -> Iterator[Check]:  # noqa: ARG001
    yield Check("brokerage sdk", True, f"{DISTRIBUTION} {installed()}, and nothing hides it")


def _configuration(session: Session) -> Iterator[Check]:
    settings = session.settings
    yield Check("configuration", True, f"{session.config}, hash {settings.hash()}, mode {settings.brokerage.mode}")


def _rules(session: Session) -> Iterator[Check]:
    """What decides is what this file says; limits that a person set are no illness, but they are said."""
    settings = session.settings
    with session.engine.connect() as tx:
        in_force = configurations.hash_in_force(tx)
        differing = [
            name for name, own in settings.accounts.items() if limits.configured(tx, AccountName(name)) != own.limits()
        ]
    yield Check("rules in force", in_force in (None, settings.hash()), in_force or "none yet")
    said = f"{', '.join(differing)}: the row is not what the file says" if differing else "as the file says"
    yield Check("limits in force", True, said)


def _database(session: Session) -> Iterator[Check]:
    with session.engine.connect() as tx:
        yield Check("schema", schema.current(tx) == schema.head(), f"version {schema.current(tx)}")
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            value = tx.execute(text("SELECT current_setting(:name)"), {"name": name}).scalar_one()
            yield Check(f"postgres {name}", value == "on", value)
        said = tx.execute(text("SELECT clock_timestamp()")).scalar_one()
    skew_s = abs((datetime.now(UTC) - said).total_seconds())
    yield Check("postgres clock", skew_s <= MAX_SKEW_S, f"{skew_s:.3f} s from ours")


def _streams(session: Session) -> Iterator[Check]:
    client: Any = session.redis
    info = client.info()
    name = info.get("server_name", "redis")
    yield Check("streams server", True, f"{name} {info.get(f'{name}_version', info['redis_version'])}")
    wanted = {"appendonly": "yes", "maxmemory-policy": "noeviction"}
    for name, value in wanted.items():
        found = client.config_get(name).get(name)
        yield Check(f"streams {name}", found == value, str(found))
    fsync = client.config_get("appendfsync").get("appendfsync")
    yield Check("streams appendfsync", fsync in ("always", "everysec"), str(fsync))
    seconds, micros = client.time()
    skew_s = abs(datetime.now(UTC).timestamp() - seconds - micros / 1e6)
    yield Check("streams clock", skew_s <= MAX_SKEW_S, f"{skew_s:.3f} s from ours")


def _actors(session: Session) -> Iterator[Check]:
    """Every actor that is alive runs this code and this configuration, and none of its readers is stuck."""
    with session.engine.connect() as tx:
        beats = heartbeats.all_of(tx)
    alive = [beat for beat in beats if datetime.now(UTC) - beat["at"] < ALIVE]
    running = {beat["origin"] for beat in alive}
    yield Check("versions", running <= {origin(session.settings)}, ", ".join(sorted(running)) or "no actor is running")
    found = progress(session.redis, groups_of(session.settings.stack.partitions)).groups
    stuck = [f"{g.stream} for {g.group}" for g in found if (g.oldest_age_ms or 0) > STUCK_MS]
    detail = ", ".join(stuck) or f"{len(found)} groups, none behind"
    yield Check("subscriptions", not (alive and stuck), detail)


def _credentials(session: Session) -> Iterator[Check]:
    """The keys open the accounts that the rows belong to."""
    settings = session.settings
    if settings.brokerage.mode == "paper" and settings.brokerage.paper_url is None:
        yield Check("credentials", True, "the local Alpaca needs none")
        return
    wiring = Wiring.of(settings, session.engine, session.redis)
    with session.engine.connect() as tx:
        rows = tx.execute(text("SELECT account, broker_account_number FROM accounts")).all()
    known = {row.account: row.broker_account_number for row in rows}
    for name, port in wiring.brokerages(wiring.budgets("reconciler")).items():
        number = port.account().account_number
        yield Check(f"account {name}", known.get(name) in (None, number), f"{number} at the brokerage")
        skew_s = abs((session.clock() - port.now()).total_seconds())
        yield Check(f"clock of {name}", skew_s <= MAX_SKEW_S * 5, f"{skew_s:.3f} s from ours")


_LOOKS: Final = (_versions, _sdk, _configuration, _database, _rules, _streams, _actors, _credentials)


def render(document: dict[str, Any]) -> str:
    return "\n".join(f"{'ok ' if c['ok'] else 'NO '} {c['name']}: {c['detail']}" for c in document["checks"])
