"""The market data API's JSON: numbers are numbers here, and a missing side is a price of 0 as Alpaca sends it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from paper import times
from paper.market import DayBar, Quote, Trade

JSON = dict[str, Any]


def _float(text: str) -> float:
    return float(text) if text else 0.0


def _sides(quote: Quote, exchange: str) -> JSON:
    return {
        "bx": exchange if quote.bid_text else " ",
        "bp": _float(quote.bid_text),
        "bs": int(quote.bid_size or 0),
        "ax": exchange if quote.ask_text else " ",
        "ap": _float(quote.ask_text),
        "as": int(quote.ask_size or 0),
    }


def stock_quote(quote: Quote) -> JSON:
    """A stock's quote without its time."""
    return _sides(quote, "V") | {"c": ["R"], "z": "C"}


def option_quote(quote: Quote) -> JSON:
    """A contract's quote without its time."""
    return _sides(quote, "A") | {"c": "A"}


def stock_trade(trade: Trade) -> JSON:
    """A stock's trade without its time."""
    at = times.epoch_ns(trade.at)
    return {"i": at // 1_000_000, "x": "V", "p": _float(trade.price_text), "s": int(trade.size), "c": ["@"], "z": "C"}


def option_trade(trade: Trade) -> JSON:
    """A contract's trade without its time."""
    return {"x": "A", "p": _float(trade.price_text), "s": int(trade.size), "c": "I"}


def day_bar(bar: DayBar) -> JSON:
    """What was traded of a contract in a day; it begins at midnight in New York, as Alpaca's does."""
    return {
        "t": times.nanos(times.at_new_york(bar.day, datetime.min.time())),
        "o": float(bar.open),
        "h": float(bar.high),
        "l": float(bar.low),
        "c": float(bar.close),
        "v": bar.volume,
        "n": bar.count,
        "vw": float(round(bar.paid / bar.volume, 6)) if bar.volume else float(bar.close),
    }


def timed(body: JSON, at: datetime) -> JSON:
    """Add the time in the form of REST replies and JSON sockets."""
    return body | {"t": times.nanos(at)}


@dataclass(frozen=True, slots=True)
class Frame:
    """The length of a bar: *step* a fixed span, or None for a New York day."""

    step: timedelta | None

    def start(self, at: datetime) -> datetime:
        """The start of the bar that an instant belongs to."""
        if self.step is None:
            return times.at_new_york(times.new_york_day(at), datetime.min.time())
        spans = (at - times.EPOCH) // self.step
        return (times.EPOCH + spans * self.step).astimezone(UTC)


def bars(mids: Sequence[tuple[datetime, Decimal]], frame: Frame) -> list[tuple[datetime, JSON]]:
    """Bars made from mid prices, oldest first: recorded stocks have quotes and no trades, so no volume."""
    grouped: dict[datetime, list[Decimal]] = {}
    for at, price in mids:
        grouped.setdefault(frame.start(at), []).append(price)
    return [(start, _bar(start, prices)) for start, prices in grouped.items()]


def _bar(start: datetime, prices: list[Decimal]) -> JSON:
    mean = sum(prices, Decimal(0)) / len(prices)
    return {
        "t": times.nanos(start),
        "o": float(prices[0]),
        "h": float(max(prices)),
        "l": float(min(prices)),
        "c": float(prices[-1]),
        "v": 0,
        "n": 0,
        "vw": float(round(mean, 6)),
    }
