"""The bare loop: XREADGROUP in batches through hiredis, msgspec, a dictionary, XACK. A process of its own.

    python -m benchmarks.of_ticks.bare URL STREAM GROUP COUNT ENTRIES SYMBOL...

Prints "ready"; at the first line on stdin it reads and acknowledges ENTRIES entries and prints the seconds that took.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from streams.clients import reading_client


class Quote(msgspec.Struct):
    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    bid_size: int
    ask_size: int
    at: datetime


class QuotesTicked(msgspec.Struct):
    id: str
    at: datetime
    schema: int
    feed: str
    quotes: list[Quote]


def main(url: str, stream: str, group: str, count: str, entries: str, *symbols: str) -> None:
    client = reading_client(url, 1000)
    decode = msgspec.json.Decoder(QuotesTicked).decode
    held, prices, handled = set(symbols), dict[str, Decimal | None](), 0
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.perf_counter()
    while handled < int(entries):
        reply: Any = client.xreadgroup(group, "bare", {stream: ">"}, count=int(count), block=1000)
        for _, fields in reply[0][1]:
            for quote in decode(fields[b"body"]).quotes:
                if quote.symbol in held:
                    prices[quote.symbol] = quote.bid
        ids = [entry_id for entry_id, _ in reply[0][1]]
        client.xack(stream, group, *ids)
        handled += len(ids)
    print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
