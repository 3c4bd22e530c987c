"""Where each open position stands: its price, the way to every exit rule, and who looks at it.

What a rule would do is asked of the rules themselves, with what the rows say: the last price that the exit kept, its
peak, the calendar. A price that is older than the exit believes, or that two sources dispute, is shown, and no rule
sees it. Outside of market hours the session that counts is the next one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from sqlalchemy import Connection

from actors import outlook
from actors.outlook import Sources
from actors.watches import MAX_PRICE_AGE, watched
from db import disputes, evaluations, marks, positions, sessions
from db.evaluations import Evaluation
from db.positions import PositionRow
from domain.events import Quote
from domain.exits import Moment, Outlook, Watched
from domain.exits.distance import Next, Standing, next_of, standings
from domain.ids import PositionId
from domain.money import CENT
from domain.prices import usable_ask, usable_bid
from domain.session import Session, trading_day

#: What a position that is closed says.
NOTHING: Final[dict[str, Any]] = {
    **dict.fromkeys(("price", "price_side", "price_source", "price_at", "price_is_old")),
    "rules": [],
    **dict.fromkeys(("next_rule", "evaluator", "looked_at", "due_at", "looked_age_s", "is_overdue")),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """The price at which a position could be left, and when it was seen; *price* is None while nobody names one.

    *is_disputed*: two sources contradict each other, so that a rule acts only where both of them ask for it.
    """

    price: Decimal | None
    at: datetime | None
    is_old: bool
    is_disputed: bool

    @property
    def believed(self) -> Decimal | None:
        """The price that rules may see."""
        return None if self.is_old or self.is_disputed else self.price


def of_open(tx: Connection, now: datetime, sources: Sources) -> Mapping[PositionId, dict[str, Any]]:
    """Return what is told of each open position beside its row; *sources*: what people configured about prices."""
    rows, calendar = positions.all_open(tx), sessions.around(tx, now)
    quotes, disputed = marks.last_quotes(tx), disputes.going_on(tx)
    outlooks = outlook.gather(tx, rows, now, sources, calendar)
    looks = {e.position_id: e for e in evaluations.of_open(tx)}
    return {
        row.position_id: _told(
            watched(row, calendar),
            _seen(row, quotes.get(row.symbol), now, is_disputed=row.position_id in disputed),
            _moment(calendar, outlooks[row.position_id], now),
        )
        | _looked(looks.get(row.position_id))
        for row in rows
    }


def _moment(calendar: tuple[Session, ...], known: Outlook, now: datetime) -> Moment:
    """Return what is known now but the price."""
    session = next((s for s in calendar if s.close > now), None)
    return Moment(price=None, now=now, today=trading_day(now), session=session, outlook=known)


def _told(pos: Watched, seen: Seen, at: Moment) -> dict[str, Any]:
    if seen.believed is not None:
        at = replace(at, price=seen.believed)
        pos = replace(pos, excursion=pos.excursion.marked(seen.believed, pos.is_long))
    found = standings(pos, at)
    return {
        "price": seen.price,
        "price_side": "bid" if pos.is_long else "ask",
        "price_source": None if seen.at is None else "last quote that exit kept",
        "price_at": seen.at,
        "price_is_old": None if seen.at is None else seen.is_old,
        "rules": [_rule(standing) for standing in found],
        "next_rule": _next(next_of(found)),
    }


def _seen(row: PositionRow, quote: Quote | None, now: datetime, *, is_disputed: bool) -> Seen:
    """A quote from before the position was opened says nothing about it."""
    if quote is None or quote.at < row.opened_at:
        return Seen(None, None, is_old=False, is_disputed=is_disputed)
    price = usable_bid(quote) if row.qty > 0 else usable_ask(quote)
    return Seen(price, quote.at, is_old=now - quote.at > MAX_PRICE_AGE, is_disputed=is_disputed)


def _rule(standing: Standing) -> dict[str, Any]:
    pct, left = standing.distance_pct, standing.left
    return {
        "rule": standing.rule,
        "state": str(standing.state),
        "level": standing.level,
        "distance": standing.distance,
        "distance_pct": None if pct is None else pct.quantize(CENT, rounding=ROUND_HALF_EVEN),
        "arms_at": standing.arms_at,
        "at": standing.at,
        "left_s": None if left is None else left.total_seconds(),
        "detail": standing.detail or None,
    }


def _next(found: Next) -> dict[str, str | None]:
    """The names of the rules that act first if only the price moves, and if only time passes."""
    return {
        "price": found.price.rule if found.price else None,
        "time": found.time.rule if found.time else None,
    }


def _looked(look: Evaluation | None) -> dict[str, Any]:
    if look is None:
        return dict.fromkeys(("evaluator", "looked_at", "due_at", "looked_age_s", "is_overdue"))
    return {
        "evaluator": look.evaluator,
        "looked_at": look.looked_at if look.evaluator else None,
        "due_at": look.due_at,
        "looked_age_s": round(look.age.total_seconds(), 3) if look.evaluator else None,
        "is_overdue": look.is_overdue,
    }


def rules_of(document: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the rules of a position's document that are not off."""
    return [rule for rule in document["rules"] if rule["state"] != "off"]
