"""What a rule looks at: a position, a moment, and what others know; and what it may answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from domain.events import Quote
from domain.exits.policy import ExitPolicy, ExitReason, Regime, reason_of
from domain.ids import AccountName, PositionId
from domain.known import Known, Unknown
from domain.money import change_pct
from domain.positions import Excursion
from domain.prices import usable_ask, usable_bid
from domain.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """An open position as the exit sees it. A stock has neither *expiration* nor *last_session*.

    *last_session*: the last on or before expiration, None while it is further away than the calendar is known.
    *max_qty*: the largest quantity ever held. *ladder_qty*: units that the ladder has closed, and *ladder_pct* the gain
    of the highest rung that it acted on (None: no rung yet).
    """

    position_id: PositionId
    account: AccountName
    symbol: str
    multiplier: int
    qty: int
    max_qty: int
    entry_price: Decimal
    opened_at: datetime
    policy: ExitPolicy
    excursion: Excursion
    ladder_qty: int
    ladder_pct: Decimal | None
    expiration: date | None
    last_session: Session | None

    @property
    def is_long(self) -> bool:
        return self.qty > 0

    def price_of(self, quote: Quote) -> Decimal | None:
        """Return the price at which this position could be left, None when nobody names a usable one."""
        return usable_bid(quote) if self.is_long else usable_ask(quote)

    def gain_pct(self, price: Decimal) -> Decimal:
        """Return the holder's gain in per cent; a short gains when the price falls."""
        change = change_pct(self.entry_price, price)
        return change if self.is_long else -change

    def price_at_gain(self, gain_pct: Decimal) -> Decimal:
        """Return the price at which the holder's gain is *gain_pct*: the inverse of :meth:`gain_pct`."""
        move = self.entry_price * gain_pct / 100
        return self.entry_price + move if self.is_long else self.entry_price - move

    def is_at_or_beyond(self, price: Decimal, level: Decimal) -> bool:
        """Has the price come down to *level* (a short: up to it)?"""
        return price <= level if self.is_long else price >= level

    @property
    def cost_usd(self) -> Decimal:
        """Dollars that the units still held have cost."""
        return self.entry_price * abs(self.qty) * self.multiplier


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What others know about a position. What nobody supplies is Unknown, and an Unknown closes nothing.

    *theta*: dollars a share and day that time takes, negative for a holder. *sessions_to_earnings*: how many sessions
    until the company reports, today is 0; None: no report is announced. *reversal*: the highest confidence of a
    recommendation in the opposite direction since the opening, None when there was none.
    """

    theta: Known[Decimal] | Unknown
    regime: Known[Regime] | Unknown
    sessions_to_earnings: Known[int | None] | Unknown
    reversal: Known[Decimal | None] | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a rule looks at besides the position. *price*: at which it could be left, None: unknown.

    *today* is New York's date, *session* that of today (None: none, or nobody says).
    """

    price: Decimal | None
    now: datetime
    today: date
    session: Session | None
    outlook: Outlook


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A part to close: *qty* units, because the gain reached *at_pct*."""

    qty: int
    at_pct: Decimal


@dataclass(frozen=True, slots=True)
class Exit:
    """Close now. *rule* is the rule's own name, *detail* shows what it saw, *part* is None for all that is held."""

    rule: str
    detail: str
    part: Slice | None

    @property
    def reason(self) -> ExitReason:
        """What the report calls it."""
        return reason_of(self.rule)


Rule = Callable[[Watched, Moment], Exit | None]


def close_all(rule: str, detail: str) -> Exit:
    return Exit(rule, detail, None)


def held_long_enough(pos: Watched, at: Moment) -> bool:
    """The minimum hold delays stop, target, trailing and their kin: noise of the first minutes closes nothing."""
    return at.now - pos.opened_at >= pos.policy.min_hold


def days_to_expiry(pos: Watched, at: Moment) -> int | None:
    """Return the calendar days until expiration, 0 on the day itself; None for a stock."""
    return None if pos.expiration is None else (pos.expiration - at.today).days
