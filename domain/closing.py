"""How a close comes to the market: limits near it, one after the other, then a market order; and pauses after refusals.

Prices are dollars a share, of the side that the close trades at: the bid for a long position, the ask for a short one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from domain.events import Side
from domain.exits.policy import CloseStep
from domain.instrument import Kind
from domain.session import Session
from domain.ticks import option_tick, stock_tick

#: A close that has come so far is a market order, whatever steps its policy has: nobody may configure so many.
AT_MARKET: Final = 100
#: Rules that leave at any price: where a limit waits in a crash, on the last day or against a person's word, it loses.
STRAIGHT: Final = frozenset({"catastrophe", "expiry", "manual"})
#: Nothing but a market order is surely filled so shortly before the close.
LAST_MINUTE: Final = timedelta(minutes=1)

FIRST_PAUSE: Final = timedelta(seconds=1)
LONGEST_PAUSE: Final = timedelta(minutes=5)
#: Of what is left of the session a pause takes a quarter at most, so that a late refusal is tried several times again.
PAUSES_LEFT: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The price of one closing order. *limit_price* is None at the market.

    *awaited_until*: when a limit gives way to the next step. *next_step*: which one that is.
    """

    limit_price: Decimal | None
    awaited_until: datetime | None
    next_step: int


MARKET: Final = Terms(limit_price=None, awaited_until=None, next_step=AT_MARKET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """What decides about the price of a close: how it is done (*side*, *kind*, *rule*), and what is known at *now*.

    *price* None: nobody knows it. *session* None: nobody knows when it closes.
    """

    side: Side
    kind: Kind
    rule: str
    price: Decimal | None
    now: datetime
    session: Session | None


def terms_of(steps: Sequence[CloseStep], begun: int, leave: Leave) -> Terms:
    """Return the terms of the next order of a close that has *begun* so many of its *steps*.

    At the market: after the last step, without a price, for a rule that waits for nothing, and in the last minute.
    """
    if begun >= len(steps) or leave.price is None or leave.rule in STRAIGHT:
        return MARKET
    step = steps[begun]
    limit = willing_price(leave.price, step.beyond_pct, leave.side, leave.kind)
    until = leave.now + step.wait
    if leave.session is not None:
        until = min(until, leave.session.close - LAST_MINUTE)
    if limit is None or until <= leave.now:
        return MARKET
    return Terms(limit_price=limit, awaited_until=until, next_step=begun + 1)


def willing_price(price: Decimal, beyond_pct: Decimal, side: Side, kind: Kind) -> Decimal | None:
    """Return *price* made *beyond_pct* per cent worse for us, on the next worse step of its grid; None for zero.

    An option's grid is the coarse one, which every class accepts: five cents below $3, ten from there on.
    """
    share = 1 + side.sign * beyond_pct / 100
    wanted = price * share
    tick = stock_tick(wanted) if kind is Kind.STOCK else option_tick(wanted, underlying="", penny=False)
    ticks = (wanted / tick).to_integral_value(ROUND_CEILING if side is Side.BUY else ROUND_FLOOR)
    return ticks * tick if ticks > 0 else None


def pause_after(failures: int, now: datetime, session: Session | None) -> timedelta:
    """Return how long a close waits that was refused *failures* times, this one included.

    Doubling from a second to five minutes, never more than a quarter of what is left of *session*, a second at least.
    """
    doublings = min(max(failures - 1, 0), 16)
    pause = min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)
    if session is not None and session.is_open(now):
        pause = min(pause, (session.close - now) / PAUSES_LEFT)
    return max(pause, FIRST_PAUSE)
