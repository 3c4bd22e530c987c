"""Where what the brokerage booked without an order belongs: expiry, exercise, assignment, and the shares of one.

It arrives a day late, in any order, after an adjustment has already closed or adopted what it speaks of; or first of
all. What finds no position waits in its row: the fills that it belongs to may be read later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from actors.adjusting import gap
from actors.entries import BOOKED, Entry, Move, write
from db import activities, fills, positions, sessions
from db.activities import Unapplied
from db.positions import PositionRow
from domain.events import Settlement
from domain.ids import AccountName
from domain.instrument import Option, parse_symbol
from domain.session import day_began

_DAY: Final = timedelta(days=1)
#: What an adjustment missed came before it.
_BEFORE: Final = timedelta(microseconds=1)


def settle(tx: Connection, account: AccountName, symbol: str, now: datetime, read_at: datetime) -> Iterator[Entry]:
    """Put into positions what was booked of *symbol* and is in none yet; yield after each entry, to be folded."""
    for activity in activities.unapplied(tx, account, symbol):
        applied, left = activity.applied_qty, activity.qty
        while left and (target := _target(tx, activity, left, now)) is not None:
            entry = write(tx, _move(tx, activity, target, applied), target.held, read_at)
            activities.apply(tx, activity, abs(target.qty))
            applied += abs(target.qty)
            left -= target.qty
            yield entry


@dataclass(frozen=True, slots=True)
class _Target:
    """*qty* units (signed) of an activity belong to *held*, or to a new position; they moved at *at*."""

    held: PositionRow | None
    qty: int
    at: datetime
    closes: bool


def _target(tx: Connection, activity: Unapplied, left: int, now: datetime) -> _Target | None:
    """Return where what is *left* belongs: to what was adjusted away or adopted, to what is held, or to a new one."""
    moved_at = min(_close(tx, activity), now)
    found = gap(tx, activity.account, activity.symbol, left, day_began(activity.at))
    if found is not None:
        return _Target(found.held, _nearer(left, found.qty), min(moved_at, found.at - _BEFORE), found.took)
    held = positions.open_in(tx, activity.account, activity.symbol)
    if held is None:
        return _Target(None, left, moved_at, closes=False) if _may_open(tx, activity) else None
    if held.opened_at >= day_began(activity.at) + _DAY:
        return None
    moved_at = max(moved_at, *(fill.at for fill in fills.of_position(tx, held.position_id)))
    if held.qty * left < 0:
        return _Target(held, _nearer(left, -held.qty), moved_at, closes=True)
    return _Target(held, left, moved_at, closes=False) if _may_open(tx, activity) else None


def _may_open(tx: Connection, activity: Unapplied) -> bool:
    """Shares may, a contract's end opens nothing.

    On the day on which the account became ours nothing does: what was there before is found by comparing.
    """
    return activity.kind is Settlement.DELIVERED and activity.day > activities.ours_since(tx, activity.account)


def _nearer(left: int, limit: int) -> int:
    return min(left, limit, key=abs)


def _close(tx: Connection, activity: Unapplied) -> datetime:
    """Return when the day ended to which the brokerage booked it: the session's close, where it is known."""
    known = sessions.between(tx, activity.day, activity.day)
    return known[0].close if known else activity.at


def _move(tx: Connection, activity: Unapplied, target: _Target, applied: int) -> Move:
    return Move(
        account=activity.account,
        name=f"{BOOKED}{activity.activity_id}" + (f"+{applied}" if applied else ""),
        symbol=activity.symbol,
        qty=target.qty,
        price=activity.price,
        at=target.at,
        closes=target.closes,
        reason=_reason(tx, activity),
        detail=f"{activity.word}, booked for {activity.day}: {activity.description}",
        source="settlement",
        held_after=None,
    )


def _reason(tx: Connection, activity: Unapplied) -> str:
    """Return the name of what ended it; before its last session an exercise or assignment is an early one."""
    option = parse_symbol(activity.symbol)
    if activity.kind not in (Settlement.EXERCISED, Settlement.ASSIGNED) or not isinstance(option, Option):
        return activity.kind
    last = sessions.last_of(tx, option)
    return f"{activity.kind}_early" if activity.day < (last.day if last else option.expiration) else activity.kind
