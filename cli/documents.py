"""What a person may ask to see: one function a document, rows in, JSON types out.

Lists are ``{as_of, items}`` with the objects of the report and, beside its keys, the age of each fact. Ages are in
seconds of the desk's clock, which on a recorded day is the day's; heartbeats are aged by the wall that they were
written by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import redis
from sqlalchemy import Connection

from actors.desk import Desk
from actors.outlook import Sources
from cli import standing
from cli.groups import groups_of
from cli.plain import age_s, plain
from cli.report import DECISION, FILL, ORDER, POSITION, only, with_limits
from cli.standing import NOTHING
from db import accounts as account_rows
from db import dead_letters, drift, heartbeats, integrity, interlocks, limits, reasons, sessions, timeline, views
from db.views import Rows
from domain.account import TradingState
from domain.session import NEW_YORK, Session, market_is_closed, trading_day
from streams.progress import GroupProgress, progress

Document = dict[str, Any]

#: How far ahead the next session is looked for: no market stays closed for longer.
_NEXT_SESSION: Final = timedelta(days=10)


def _listed(now: datetime, items: Sequence[Mapping[str, Any]]) -> Document:
    found: Document = plain({"as_of": now, "items": items})
    return found


def _with(rows: Rows, keys: Sequence[str], more: Sequence[dict[str, Any]]) -> Rows:
    """Return the report's objects of *rows*, each with what is told beside them."""
    return [row | beside for row, beside in zip(only(rows, keys), more, strict=True)]


# ---------------------------------------------------------------- lists


def accounts(tx: Connection, now: datetime) -> Document:
    """The accounts: what the report says, slots in use, latches, interlocks and when they were last reconciled."""
    return _listed(now, _accounts(tx, now))


def _accounts(tx: Connection, now: datetime) -> Rows:
    rows = [row | _in_force(tx, row, now) for row in with_limits(views.accounts(tx))]
    keys = ("account", "limits", "peak_positions", "peak_exposure_usd", "realized_pnl_usd", "state", "state_reason")
    return _with(rows, keys, [_account(row, now) for row in rows])


def _in_force(tx: Connection, row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """What counts at *now*: limits with their overrides, the stricter of two states, and what the interlock holds."""
    own, every = TradingState(row["state"]), account_rows.every_state(tx)
    counts = limits.in_force(tx, row["account"], now)
    stricter = (
        {} if own.stricter(every[0]) is own else {"state": every[0], "state_reason": f"every account: {every[1]}"}
    )
    return {
        "limits": asdict(counts) if counts else row["limits"],
        "interlocks": dict(interlocks.causes(tx, row["account"])),
        **stricter,
    }


def _account(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return {
        "state_since": row["state_since"],
        "state_age_s": age_s(row["state_since"], now),
        "positions": row["positions"],
        "exposure_usd": row["exposure_usd"],
        "loss_latched": bool(row["latched"]),
        "latched": row["latched"],
        "interlocks": row["interlocks"],
        "equity_usd": row["equity_usd"],
        "equity_peak_usd": row["equity_peak_usd"],
        "equity_age_s": age_s(row["equity_at"], now),
        "reconciled_at": row["reconciled_at"],
        "reconciled_age_s": age_s(row["reconciled_at"], now),
    }


def positions(
    tx: Connection,
    now: datetime,
    sources: Sources,
    *,
    account: str | None = None,
    position: UUID | None = None,
    everything: bool = False,
) -> Document:
    """The open positions, or *everything* that was ever held; one *position*, open or not."""
    rows = views.positions(tx, account=account, position=position, only_open=not everything and position is None)
    stand, rests = standing.of_open(tx, now, sources), market_is_closed(sessions.around(tx, now), now)
    more = [_position(row, now, rests=rests) | stand.get(row["position_id"], NOTHING) for row in rows]
    return _listed(now, _with(rows, POSITION, more))


def _position(row: Mapping[str, Any], now: datetime, *, rests: bool) -> dict[str, Any]:
    """*rests*: the market is closed, and nothing can be left before it opens."""
    return {
        "state": _state_of_position(row, rests=rests),
        "age_s": age_s(row["opened_at"], row["closed_at"] or now),
        "peak": row["peak"],
        "trough": row["trough"],
        "exit_rule": row["exit_rule"],
        "ladder_pct": row["ladder_pct"],
        "price_age_s": None if row["closed_at"] else age_s(row["priced_at"], now),
        "price_disputed_since": row["disputed_since"],
        "triggered_rule": row["triggered_rule"],
        "triggered_at": row["triggered_at"],
        "triggered_age_s": age_s(row["triggered_at"], now),
        "retry_at": row["retry_at"],
        "adopted": row["adopted"],
        "recommendation": row["recommendation"],
        "policy_version": row["policy_version"],
    }


def _state_of_position(row: Mapping[str, Any], *, rests: bool) -> str:
    if row["closed_at"] is not None:
        return "closed"
    if row["live_closes"]:
        return "closing"
    if row["triggered_rule"] is None:
        return "open"
    return "waiting for the open" if rests else "waiting to close"


def orders(tx: Connection, now: datetime, *, account: str | None = None, live: bool = False) -> Document:
    """Every order, or those that have not ended."""
    rows = views.orders(tx, account=account, live=live)
    return _listed(now, _with(rows, ORDER, [_order(row, now) for row in rows]))


def _order(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return {
        "age_s": age_s(row["approved_at"], row["ended_at"] or now),
        "approved_at": row["approved_at"],
        "accepted_at": row["accepted_at"],
        "cancel_asked_at": row["cancel_asked_at"],
        "external": row["external"],
        "reason": row["reason"],
        "reject_message": row["reject_message"],
    }


def fills(tx: Connection, now: datetime, *, account: str | None = None) -> Document:
    rows = views.fills(tx, account=account)
    more = [{"age_s": age_s(r["at"], now), "position_id": r["position_id"], "source": r["source"]} for r in rows]
    return _listed(now, _with(rows, FILL, more))


# ---------------------------------------------------------------- one thing


def explain(tx: Connection, recommendation_id: str) -> Document:
    """Why: the recommendation as it was read, and its outcome in each account with every check.

    ``items`` is empty and ``recommendation`` null when nobody read such a recommendation; ``undecided`` are accounts
    that it names and that have no outcome yet.
    """
    rows = views.decisions(tx, recommendation_id)
    more = [
        {key: row[key] for key in ("sizing", "sizing_steps", "selection", "order_id", "limits", "at", "origin")}
        | _ran(row["origin"])
        for row in rows
    ]
    issued = views.recommendation(tx, recommendation_id)
    waiting = [row["account"] for row in reasons.undecided(tx) if row["recommendation"] == recommendation_id]
    found: Document = plain({"recommendation": issued, "items": _with(rows, DECISION, more), "undecided": waiting})
    return found


def _ran(origin: str) -> dict[str, Any]:
    """Which code and which configuration decided; null where the origin does not say."""
    code, _, config = origin.partition("/")
    return {"code_version": code or None, "config_hash": config or None}


def life(tx: Connection, position_id: UUID | None, now: datetime) -> Document:
    """What happened to one position, and where it stands; ``position`` is null while nothing of it has filled."""
    rows = views.positions(tx, position=position_id) if position_id else []
    rests = market_is_closed(sessions.around(tx, now), now)
    document = {
        "as_of": now,
        "position_id": position_id,
        "position": next(iter(_with(rows, POSITION, [_position(row, now, rests=rests) for row in rows])), None),
        "items": timeline.of_position(tx, position_id) if position_id else [],
    }
    found: Document = plain(document)
    return found


def verify(tx: Connection) -> Document:
    """Rows against the fold over fills: ``{mismatches}``, each with table, id, field and the two values."""
    found: Document = plain({"mismatches": [asdict(mismatch) for mismatch in integrity.mismatches(tx)]})
    return found


# ---------------------------------------------------------------- the whole


def status(tx: Connection, client: redis.Redis, desk: Desk) -> Document:
    """What is: session, accounts, positions, streams, outbox, dead letters, heartbeats, each with its age."""
    now, wall = desk.clock(), desk.wall()
    return {
        **plain(_status_of_rows(tx, now, wall)),
        "streams": streams(client, desk)["items"],
    }


def _status_of_rows(tx: Connection, now: datetime, wall: datetime) -> Document:
    held = views.positions(tx, only_open=True)
    return {
        "as_of": now,
        "session": session(tx, now),
        "accounts": _accounts(tx, now),
        "open_positions": len(held),
        "closes_blocked": sum(1 for row in held if row["close_blocked"] is not None),
        "live_orders": len(views.orders(tx, live=True)),
        "outbox": views.outbox_waiting(tx),
        "undecided": len(reasons.undecided(tx)),
        "dead_letters": {"waiting": len(dead_letters.waiting(tx)), "ever": dead_letters.count(tx)},
        "drift": [row | {"age_s": age_s(row["last_at"], now)} for row in drift.all_of(tx)],
        "breaches": views.breaches(tx),
        "heartbeats": [row | {"age_s": age_s(row["at"], wall)} for row in heartbeats.all_of(tx)],
    }


def session(tx: Connection, now: datetime) -> Document:
    """Where the trading day stands, in New York; ``state`` is unknown when nobody has read the calendar that far."""
    today = trading_day(now)
    known = sessions.between(tx, today, today + _NEXT_SESSION)
    current = next((s for s in known if s.day == today), None)
    following = next((s for s in known if s.open > now), None)
    return {
        "state": _session_state(current, bool(known), now),
        "new_york": f"{now.astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S}",
        "day": today,
        "open": current.open if current else None,
        "close": current.close if current else None,
        "closes_in_s": (current.close - now).total_seconds() if current and current.is_open(now) else None,
        "next_open": following.open if following else None,
    }


def _session_state(current: Session | None, calendar_is_known: bool, now: datetime) -> str:
    if current is None:
        return "no session today" if calendar_is_known else "unknown"
    if current.is_open(now):
        return "open"
    return "before the open" if now < current.open else "after the close"


def streams(client: redis.Redis, desk: Desk) -> Document:
    """How far every group of every stream has come.

    Raises:
        redis.RedisError: the server is away.
    """
    wanted = groups_of(desk.partitions)
    lengths = {stream: int(client.xlen(stream)) for stream in wanted}
    groups = progress(client, wanted).groups
    return _listed(desk.clock(), [_group(group, lengths[group.stream]) for group in groups])


def _group(group: GroupProgress, length: int) -> dict[str, Any]:
    return {
        "stream": group.stream,
        "group": group.group,
        "length": length,
        "last_id": group.last_id,
        "delivered_id": group.delivered_id,
        "pending": group.pending,
        "oldest_age_ms": group.oldest_age_ms,
        "caught_up": group.is_caught_up,
    }
