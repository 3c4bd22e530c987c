"""What a quote is good for, and when two sources of quotes contradict each other. Dollars a share."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from enum import Enum, auto
from typing import Final, TypeGuard

from domain.events import Quote

#: The feed of the second source: what REST said when it was asked. Every other feed is the live one.
SECOND_FEED: Final = "rest"
#: Quotes of two sources are about the same moment of the market when their times are no further apart.
SAME_MOMENT: Final = timedelta(seconds=5)
#: A source that is further behind the other one than this says nothing any more: it is stale, and contradicts nobody.
SILENT_AFTER: Final = timedelta(seconds=60)


class Source(Enum):
    LIVE = auto()
    SECOND = auto()


def source_of(feed: str) -> Source:
    return Source.SECOND if feed == SECOND_FEED else Source.LIVE


def usable_bid(quote: Quote) -> Decimal | None:
    """Return the bid, None when it is no price: missing, not positive, or above the ask."""
    bid, ask = quote.bid, quote.ask
    return bid if _is_price(bid) and not (_is_price(ask) and bid > ask) else None


def usable_ask(quote: Quote) -> Decimal | None:
    """Return the ask, None when it is no price: missing, not positive, or below the bid.

    In a crossed quote one of the two is wrong, and nobody says which.
    """
    bid, ask = quote.bid, quote.ask
    return ask if _is_price(ask) and not (_is_price(bid) and bid > ask) else None


def _is_price(price: Decimal | None) -> TypeGuard[Decimal]:
    return price is not None and price.is_finite() and price > 0


def contradict(one: Decimal, other: Decimal, quotes: tuple[Quote, Quote], max_pct: Decimal) -> bool:
    """Are two prices of one side further apart than *max_pct* per cent of their middle, and than a spread?

    *quotes* are those that the prices come from; the wider spread of the two counts.
    """
    gap = abs(one - other)
    return gap > (one + other) / 2 * max_pct / 100 and gap > max(map(_spread, quotes))


def _spread(quote: Quote) -> Decimal:
    bid, ask = usable_bid(quote), usable_ask(quote)
    return Decimal(0) if bid is None or ask is None else ask - bid
