"""What is, read from rows and streams at this moment, as samples of the families. Nothing is remembered here.

What nobody knows has no sample; what is known to be none is 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import redis
from sqlalchemy import Connection

from db import activities, gauges, heartbeats, sessions, views
from domain.account import TradingState
from domain.checks import blind
from domain.reconcile import KINDS
from monitoring import families as of
from monitoring.codes import code_of
from monitoring.families import Family
from monitoring.metrics import parts
from streams.names import QUOTED_KEY
from streams.progress import progress

#: An actor whose last heartbeat is older is not running.
ALIVE: Final = timedelta(seconds=30)
#: What happened longer ago is not recent.
RECENT: Final = timedelta(minutes=5)
#: How far ahead a session is looked for: no market stays closed for longer.
_NEXT_SESSION: Final = timedelta(days=10)
_NEW_YORK: Final = ZoneInfo("America/New_York")

Groups = Mapping[str, Sequence[str]]


class Sample(NamedTuple):
    family: Family
    labels: tuple[str, ...]
    value: float


class Held(NamedTuple):
    """An open position of our rows."""

    account: str
    symbol: str


# ---------------------------------------------------------------- rows


def of_rows(
    tx: Connection, now: datetime, wall: datetime, actors: Sequence[str], groups: Groups
) -> tuple[list[Sample], list[Held]]:
    """Return what the rows say at *now* (the stack's clock) and *wall* (that of heartbeats), and what is held."""
    since = now - RECENT
    accounts, positions = gauges.accounts(tx), gauges.open_positions(tx)
    samples = [
        *(s for row in accounts for s in _account(row, now)),
        *_mismatches(tx, [row.account for row in accounts if row.reconciled_at is not None]),
        *(Sample(of.UNHANDLED, (account, word), number) for account, word, number in activities.unhandled(tx)),
        *_recent(tx, since),
        *_undecided(tx, [row.account for row in accounts], wall),
        *(s for row in positions for s in _position(row, now)),
        *(Sample(of.QUANTITY, (r.account, r.symbol, "broker"), r.qty) for r in gauges.at_the_brokerage(tx)),
        *_market(tx, [row.account for row in accounts], now),
        *_actors(tx, wall, actors),
        *_dead_letters(tx, groups),
        Sample(of.OUTBOX, (), views.outbox_waiting(tx)),
    ]
    return samples, [Held(row.account, row.symbol) for row in positions]


def _account(row: Any, now: datetime) -> Iterator[Sample]:
    who = (row.account,)
    for state in TradingState:
        yield Sample(of.STATE, (*who, state), int(row.state == state))
    yield Sample(of.LOSS_LATCHED, who, int(row.loss_latched))
    numbers = {
        of.OPEN_POSITIONS: row.open_positions,
        of.COMMITTED: row.committed,
        of.EXPOSURE: row.exposure_usd,
        of.RESERVATIONS: row.reservations,
        of.RESERVED: row.reserved_usd,
        of.MAX_POSITIONS: row.max_positions,
        of.MAX_EXPOSURE: row.max_exposure_usd,
        of.MAX_LOSS: row.max_daily_loss_usd,
        of.MAX_CONTRACTS: row.max_contracts_per_order,
        of.BREACHES: row.breaches,
        of.UNAPPLIED: row.unapplied,
        of.UNAPPLIED_AGE: _age_s(row.unapplied_since or now, now),
    }
    for family, number in numbers.items():
        yield Sample(family, who, float(number))
    if row.realized_usd is not None:
        yield Sample(of.REALIZED, who, float(row.realized_usd))
    if row.reconciled_at is not None:
        yield Sample(of.RECONCILE_AGE, who, _age_s(row.reconciled_at, now))


def _mismatches(tx: Connection, compared: Sequence[str]) -> Iterator[Sample]:
    """Every kind of every account that was ever compared: 0 is known there."""
    found = {(row.account, row.kind): row.n for row in gauges.mismatches(tx)}
    for key in [(account, kind) for account in compared for kind in KINDS]:
        yield Sample(of.MISMATCHES, key, found.get(key, 0))


def _recent(tx: Connection, since: datetime) -> Iterator[Sample]:
    rejected: Counter[tuple[str, str, str]] = Counter()
    for row in gauges.rejected(tx, since):
        action = "open" if row.opening else "close"
        rejected[row.account, action, code_of(row.reject_code, row.reject_message)] += row.n
    yield from (Sample(of.REJECTED, key, number) for key, number in rejected.items())
    unseen = Counter((account, check.gate) for account, checks in gauges.refused(tx, since) for check in blind(checks))
    yield from (Sample(of.RECENT_BLIND, key, number) for key, number in unseen.items())


def _undecided(tx: Connection, accounts: Sequence[str], wall: datetime) -> Iterator[Sample]:
    found = {row.account: row for row in gauges.undecided(tx)}
    for account in accounts:
        row = found.get(account)
        yield Sample(of.UNDECIDED, (account,), row.n if row else 0)
        yield Sample(of.UNDECIDED_AGE, (account,), _age_s(row.since, wall) if row else 0)


def _position(row: Any, now: datetime) -> Iterator[Sample]:
    who = (row.account, row.symbol)
    yield Sample(of.QUANTITY, (*who, "rows"), row.qty)
    yield Sample(of.POSITION_AGE, who, _age_s(row.opened_at, now))
    yield Sample(of.OVERDUE, who, max(0.0, float(row.overdue_s)))
    yield Sample(of.FAILED_CLOSES, who, row.close_tries)
    yield Sample(of.DISPUTED, who, int(row.disputed))
    if row.priced_at is not None:
        yield Sample(of.PRICE_AGE, who, _age_s(max(row.priced_at, row.opened_at), now))


def _market(tx: Connection, accounts: Sequence[str], now: datetime) -> Iterator[Sample]:
    """Say whether the market is open, and how many closes wait for that; neither without a calendar."""
    today = now.astimezone(_NEW_YORK).date()
    known = sessions.between(tx, today, today + _NEXT_SESSION)
    if not known:
        return
    is_open = any(session.is_open(now) for session in known)
    waiting = {} if is_open else {row.account: row.n for row in gauges.to_be_left(tx)}
    yield Sample(of.MARKET_OPEN, (), int(is_open))
    yield from (Sample(of.CLOSES_WAITING, (account,), waiting.get(account, 0)) for account in accounts)


def _actors(tx: Connection, wall: datetime, actors: Sequence[str]) -> Iterator[Sample]:
    beats = heartbeats.all_of(tx)
    alive = [beat for beat in beats if wall - beat["at"] <= ALIVE]
    copies = Counter(beat["actor"] for beat in alive)
    for actor in actors:
        yield Sample(of.INSTANCES, (actor,), copies[actor])
        if seen := [beat["at"] for beat in beats if beat["actor"] == actor]:
            yield Sample(of.HEARTBEAT_AGE, (actor,), _age_s(max(seen), wall))
    for beat in alive:
        yield Sample(of.ACTOR_INFO, (beat["actor"], beat["instance"], *parts(beat["origin"])), 1)


def _dead_letters(tx: Connection, groups: Groups) -> Iterator[Sample]:
    none = {(stream, group): 0 for stream, names in groups.items() for group in names}
    found = {(row.stream, row.actor): row.n for row in gauges.dead_letters(tx)}
    for key, number in {**none, **found}.items():
        yield Sample(of.DEAD_LETTERS, key, number)


# ---------------------------------------------------------------- streams


def of_streams(client: redis.Redis, now: datetime, groups: Groups, held: Sequence[Held]) -> list[Sample]:
    """Return what the streams say: how far each group has come, and how old the last quote of what is held is."""
    return [*_lengths(client, groups), *_progress(client, groups), *_ticks(client, now, held)]


def _lengths(client: redis.Redis, groups: Groups) -> Iterator[Sample]:
    with client.pipeline(transaction=False) as pipe:
        for stream in groups:
            pipe.xlen(stream)
        lengths = pipe.execute()
    for stream, length in zip(groups, lengths, strict=True):
        yield Sample(of.STREAM_LENGTH, (stream,), length)


def _progress(client: redis.Redis, groups: Groups) -> Iterator[Sample]:
    for group in progress(client, groups).groups:
        reader = (group.stream, group.group)
        yield Sample(of.STREAM_PENDING, reader, group.pending)
        if group.is_caught_up:
            yield Sample(of.STREAM_AGE, reader, 0)
        elif group.oldest_age_ms is not None:
            yield Sample(of.STREAM_AGE, reader, group.oldest_age_ms / 1000)


def _ticks(client: redis.Redis, now: datetime, held: Sequence[Held]) -> Iterator[Sample]:
    symbols = sorted({position.symbol for position in held})
    if not symbols:
        return
    quoted: Any = client.hmget(QUOTED_KEY, symbols)
    at = {symbol: float(raw) for symbol, raw in zip(symbols, quoted, strict=True) if raw is not None}
    for position in held:
        if position.symbol in at:
            yield Sample(of.TICK_AGE, position, now.timestamp() - at[position.symbol])


def _age_s(at: datetime, now: datetime) -> float:
    return (now - at).total_seconds()
