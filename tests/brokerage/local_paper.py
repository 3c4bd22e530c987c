"""A local Alpaca for one test, on a small made-up day, with its clock in the test's hand."""

from __future__ import annotations

import asyncio
import csv
import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from brokerage.endpoints import Endpoints, Keys, on_one_port
from paper.options import Options
from paper.server import start

STOCK = "ACME"
#: Seventy-six contracts, so that one frame is full.
CALLS = [f"ACME260320C{strike:05d}000" for strike in range(90, 128)]
PUTS = [symbol.replace("C000", "P000").replace("C001", "P001") for symbol in CALLS]
CALL = "ACME260320C00100000"
OPEN = "2026-03-10T13:30:00Z"
LARGE = Keys("large", "paper")


def _write(path: Path, rows: list[list[str]]) -> None:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def write_day(folder: Path) -> Path:
    """A Tuesday on which every contract is quoted at 3.20 by 3.30 once, a second after the open."""
    at = "2026-03-10T13:30:01.000Z"
    folder.mkdir(parents=True)
    day = {"date": "2026-03-10", "open": OPEN, "close": "2026-03-10T20:00:00Z", "early_close": False}
    (folder / "session.json").write_text(json.dumps(day))
    columns = "symbol,underlying,type,strike,expiration,last_trading_day,style,multiplier,open_interest,quotes,trades"
    contracts = [
        [
            symbol,
            STOCK,
            kind,
            str(int(symbol[-8:]) // 1000),
            "2026-03-20",
            "2026-03-20",
            "american",
            "100",
            "",
            "1",
            "0",
        ]
        for kind, symbols in (("CALL", CALLS), ("PUT", PUTS))
        for symbol in symbols
    ]
    _write(folder / "contracts.csv", [columns.split(","), *contracts])
    quotes = [[at, symbol, "3.20", "3.30", "10", "10", "ba"] for symbol in sorted(CALLS + PUTS)]
    _write(folder / "quotes.csv.gz", [["ts", "symbol", "bid", "ask", "bid_size", "ask_size", "upd"], *quotes])
    _write(folder / "trades.csv.gz", [["ts", "symbol", "price", "size", "open", "high", "low"]])
    _write(
        folder / "underlying.csv.gz",
        [["ts", "symbol", "bid", "ask", "pairs"], [at, STOCK, "100.07", "100.11", "38"]],
    )
    return folder


@dataclass(frozen=True)
class Paper:
    """A running server: *urls* for the brokerage, and the control port's orders."""

    urls: Endpoints
    control: str

    def tell(self, where: str, **order: Any) -> Any:
        answer = requests.post(f"{self.control}{where}", json=order, timeout=5)
        answer.raise_for_status()
        return answer.json()

    def clock(self, time: str) -> None:
        self.tell("/clock", to=f"2026-03-10T{time}Z")

    def quote(self, symbol: str, bid: str | None, ask: str | None) -> None:
        self.tell("/quotes", symbol=symbol, bid=bid, ask=ask)

    def greeks(self, symbol: str, **greeks: str) -> None:
        self.tell("/greeks", symbol=symbol, **greeks)

    def fault(self, **fault: Any) -> None:
        self.tell("/faults", **fault)

    def sent(self) -> Any:
        return requests.get(f"{self.control}/idle", timeout=5).json()["sent"]


@contextmanager
def a_paper(folder: Path, start_at: str = "13:30:02") -> Iterator[Paper]:
    """Serve a day that stands at *start_at*; the clock moves only when told."""
    loop = asyncio.new_event_loop()
    options = Options(data=(write_day(folder / "day"),), speed=0, partial_ratio=0, rate_limit=100_000)
    server, told = loop.run_until_complete(start(options))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    paper = Paper(on_one_port(told["rest"]), told["control"])
    try:
        paper.clock(start_at)
        yield paper
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()
