"""What the exit keeps in memory of each open position: made from its row, moved by ticks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, auto
from typing import Final

from actors.closing import is_of_a_part
from db.disputes import Dispute
from db.orders import OrderRow
from db.positions import PositionRow
from domain.events import Quote
from domain.exits import Watched
from domain.exits.quiet import Quiet
from domain.instrument import Option, parse_symbol
from domain.prices import SAME_MOMENT, SILENT_AFTER, Source, contradict
from domain.session import Session, last_session_until

#: A price older than this says nothing about the market any more: it fires no rule.
MAX_PRICE_AGE: Final = timedelta(minutes=15)
#: A quote of a moment that is further ahead than this is an error: it would stand in the way of every later one.
MAX_AHEAD: Final = timedelta(minutes=1)
#: Beyond the calendar by this much, an expiration's last session is still known: no market stays closed for longer.
_UNLISTED: Final = timedelta(days=3)


class Closing(Enum):
    """What the live close of a position would take."""

    NOTHING = auto()
    A_PART = auto()
    ALL = auto()


@dataclass(slots=True)
class Watch:
    """One open position in memory. *price* is the last one at which it could have been left, seen at *priced_at*.

    *live* and *second* are the last quotes of the two sources; while they contradict each other there is a *dispute*,
    and *dispute_moved* until the rows say the same. *triggered* is the rule whose close is pursued until nothing is
    left; no close is tried again before *retry_at*. *at_limit*: the live close is a limit, which a rule that waits for
    nothing brings to the market. *is_beyond_us*: its last evaluation failed, so it does not count as looked at.
    *quiet*: where no rule fires and no peak moves, None: not known.
    """

    position: Watched
    closing: Closing
    retry_at: datetime | None
    triggered: str | None
    at_limit: bool = False
    price: Decimal | None = None
    priced_at: datetime | None = None
    live: Quote | None = None
    second: Quote | None = None
    dispute: Dispute | None = None
    dispute_moved: bool = False
    dirty: bool = False
    is_beyond_us: bool = False
    quiet: Quiet | None = None

    def seen(self, quote: Quote, source: Source, now: datetime, max_divergence_pct: Decimal) -> bool:
        """Take in what *source* says; return whether that is the newest word about the price.

        A quote that is older than what its source said before is late and says nothing. The second source repeats
        itself until the market moves: a quote with the time of its last one is no news.
        """
        if quote.at > now + MAX_AHEAD:
            return False
        if source is Source.LIVE:
            if self.live is not None and quote.at < self.live.at:
                return False
            self.live = quote
            if self.dispute is not None:
                self._reconsider(max_divergence_pct)
            is_newest = self.priced_at is None or quote.at >= self.priced_at
        else:
            if self.second is not None and quote.at <= self.second.at:
                return False
            self.second = quote
            self._compare(now, max_divergence_pct)
            is_newest = self.priced_at is None or quote.at > self.priced_at
        if is_newest:
            self.price, self.priced_at = self.position.price_of(quote), quote.at
        return is_newest

    def _compare(self, now: datetime, max_pct: Decimal) -> None:
        """The second source spoke: is it about the moment of the live one's last quote, and does it contradict?"""
        live, second = self.live, self.second
        if live is None or second is None or second.at < live.at - SAME_MOMENT:
            return
        if self.is_mute:
            self._settle()
        elif (prices := self._both()) is not None:
            if not contradict(*prices, (live, second), max_pct):
                self._settle()
            elif self.dispute is None:
                self.dispute, self.dispute_moved = Dispute(now, prices[0], prices[1], live.at, second.at), True

    def _reconsider(self, max_pct: Decimal) -> None:
        """The live source spoke in a dispute: does it agree now, or has the second one fallen silent?"""
        live, second, prices = self.live, self.second, self._both()
        if live is None or second is None:
            return
        agree = prices is not None and not contradict(*prices, (live, second), max_pct)
        if agree or live.at - second.at > SILENT_AFTER:
            self._settle()

    def _settle(self) -> None:
        if self.dispute is not None:
            self.dispute, self.dispute_moved = None, True

    def _both(self) -> tuple[Decimal, Decimal] | None:
        """Return the prices of the two sources, None while one of them names none."""
        live = None if self.live is None else self.position.price_of(self.live)
        second = None if self.second is None else self.position.price_of(self.second)
        return None if live is None or second is None else (live, second)

    @property
    def is_mute(self) -> bool:
        """Has the second source seen quotes that the live one did not bring?"""
        live, second = self.live, self.second
        return live is not None and second is not None and second.at > live.at + SAME_MOMENT

    def price_at(self, now: datetime) -> Decimal | None:
        return None if _is_stale(self.priced_at, now) else self.price

    def prices_at(self, now: datetime) -> tuple[Decimal | None, ...]:
        """Return each price that a source claims: one, or two in a dispute; None where nobody knows."""
        price = self.price_at(now)
        if price is None or self.dispute is None:
            return (price,)
        heard = [quote.at for quote in (self.live, self.second) if quote is not None]
        return (None,) if any(_is_stale(at, now) for at in heard) else self._both() or (None,)

    def willing_price_at(self, now: datetime) -> Decimal | None:
        """Return the price at which a close can count on a taker: of two that are claimed, the one worse for us."""
        claimed = [price for price in self.prices_at(now) if price is not None]
        if not claimed:
            return None
        return min(claimed) if self.position.is_long else max(claimed)

    def remember(self, before: Watch) -> None:
        """Keep what the watch of the same position saw before its row was read again."""
        self.price, self.priced_at = before.price, before.priced_at
        self.live, self.second = before.live, before.second
        self.dispute, self.dispute_moved = before.dispute, before.dispute_moved

    def resume(self, dispute: Dispute) -> None:
        """Take over a *dispute* that rows tell of: the live price comes with the next tick."""
        self.dispute = dispute
        self.second = Quote(
            symbol=self.position.symbol,
            bid=dispute.second_price,
            ask=dispute.second_price,
            bid_size=0,
            ask_size=0,
            at=dispute.second_at,
        )

    def is_quiet(self, now: datetime) -> bool:
        """Would an evaluation find nothing? A price that has grown old meanwhile closes no more than a fresh one."""
        return self.quiet is not None and self.dispute is None and self.quiet.covers(self.price, now)

    def stay_quiet(self, before: Watch) -> None:
        """Go on looking away if the row says what memory said: *before* is the watch that this one replaces."""
        is_free = self.closing is Closing.NOTHING and self.triggered is None
        if is_free and self.position == before.position:
            self.quiet = before.quiet

    def may_try(self, now: datetime) -> bool:
        """Has the pause after a close in vain passed?"""
        return self.retry_at is None or now >= self.retry_at


def _is_stale(at: datetime | None, now: datetime) -> bool:
    return at is None or now - at > MAX_PRICE_AGE


def watch_of(row: PositionRow, close: OrderRow | None, calendar: tuple[Session, ...]) -> Watch:
    """Return the watch of *row*; *close*: its live close, *calendar*: the sessions that are known, ascending."""
    closing = Closing.NOTHING if close is None else Closing.ALL
    if close is not None and is_of_a_part(close, row.qty):
        closing = Closing.A_PART
    return Watch(
        position=watched(row, calendar),
        closing=closing,
        retry_at=row.retry_at,
        triggered=row.triggered_rule,
        at_limit=close is not None and close.order.limit_price is not None and close.cancel_asked_at is None,
    )


def watched(row: PositionRow, calendar: tuple[Session, ...]) -> Watched:
    expiration = _expiration(row.symbol)
    return Watched(
        position_id=row.position_id,
        account=row.account,
        symbol=row.symbol,
        multiplier=row.multiplier,
        qty=row.qty,
        max_qty=row.max_qty,
        entry_price=row.entry_price,
        opened_at=row.opened_at,
        policy=row.policy,
        excursion=row.excursion,
        ladder_qty=row.ladder_qty,
        ladder_pct=row.ladder_pct,
        expiration=expiration,
        last_session=_last_session(expiration, calendar),
    )


def _expiration(symbol: str) -> date | None:
    instrument = parse_symbol(symbol)
    return instrument.expiration if isinstance(instrument, Option) else None


def _last_session(expiration: date | None, calendar: tuple[Session, ...]) -> Session | None:
    """Return the last session on or before *expiration*, None while it is further away than the calendar is known."""
    if expiration is None or not calendar or expiration > calendar[-1].day + _UNLISTED:
        return None
    return last_session_until(expiration, calendar)
