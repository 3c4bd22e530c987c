"""Positions, moments and policies for the tests of exit rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain.exits import Exit, ExitPolicy, ExitReason, Moment, Outlook, Watched, first_exit
from domain.ids import PositionId
from domain.known import Known, Unknown
from domain.positions import Excursion
from domain.session import Session, trading_day
from tests.factories import LARGE, NOON, OTHER_RULES_OFF, PUT, SESSION, a_policy

MINUTE = timedelta(minutes=1)
INSTANT = timedelta(microseconds=1)
#: Old enough for every price rule, too young for any rule of time.
HELD = timedelta(minutes=31)
ENTRY = Decimal("10.00")


def a_position(entry: str | Decimal = ENTRY, qty: int = 1, peak: str | Decimal | None = None, **over: Any) -> Watched:
    excursion = Excursion(peak=None if peak is None else Decimal(peak), trough=None)
    values: dict[str, Any] = {
        "position_id": PositionId(UUID(int=1)),
        "account": LARGE,
        "symbol": PUT,
        "multiplier": 100,
        "qty": qty,
        "max_qty": abs(qty),
        "entry_price": Decimal(entry),
        "opened_at": NOON - HELD,
        "policy": a_policy(),
        "excursion": excursion,
        "ladder_qty": 0,
        "ladder_pct": None,
        "expiration": None,
        "last_session": None,
    }
    return Watched(**values | over)


def an_outlook(**known: Any) -> Outlook:
    """What others know; what the test does not name is unknown."""
    names = ("theta", "regime", "sessions_to_earnings", "reversal")
    return Outlook(**{n: Known(known[n], NOON, "test") if n in known else Unknown("not told", "test") for n in names})


def seen(price: str | Decimal | None, now: datetime = NOON, session: Session | None = SESSION, **known: Any) -> Moment:
    return Moment(
        price=None if price is None else Decimal(price),
        now=now,
        today=trading_day(now),
        session=session,
        outlook=an_outlook(**known),
    )


def reason(found: Exit | None) -> ExitReason | None:
    return found and found.reason


def only(**rules: Any) -> ExitPolicy:
    """A policy in which every rule is off that is not named; the minimum hold stays."""
    off = dict.fromkeys(
        (
            "stop_pct",
            "catastrophe_pct",
            "target_pct",
            "trail_arm_pct",
            "trail_giveback_pct",
            "max_hold",
            "flatten_before_close",
            "close_before_expiry",
        )
    )
    return a_policy(**off | OTHER_RULES_OFF | rules)


def walk(pos: Watched, path: Sequence[Decimal], opened: timedelta = HELD) -> tuple[int, str] | None:
    """Show *path* to the position tick by tick, as the exit does: first the peak moves, then the rules are asked.

    Return the number of the tick at which all of it is closed, and the rule; a part that is closed leaves the rest.
    """
    for number, price in enumerate(path):
        now = pos.opened_at + opened + number * timedelta(seconds=1)
        pos = replace(pos, excursion=pos.excursion.marked(price, pos.is_long))
        found = first_exit(pos, seen(price, now=now, session=None))
        if found is None:
            continue
        if found.part is None or found.part.qty == abs(pos.qty):
            return number, found.rule
        pos = sold(pos, found.part.qty, found.part.at_pct)
    return None


def sold(pos: Watched, qty: int, at_pct: Decimal) -> Watched:
    """What is left after the ladder has closed *qty*."""
    left = pos.qty - qty if pos.is_long else pos.qty + qty
    return replace(pos, qty=left, ladder_qty=pos.ladder_qty + qty, ladder_pct=at_pct)
