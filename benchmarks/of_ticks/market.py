"""A thousand contracts, hundreds of them held: opened at a local Alpaca by the real executor, written by the tracker.

Everything runs on the wall clock. The session is made for the benchmark: it began an hour ago and lasts ten more.
"""

from __future__ import annotations

import gzip
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import text

from actors.closing import approved
from cli import local_alpaca, run
from cli.run import Stack
from cli.settings import SHIPPED, load
from cli.starting import bring_into_force
from cli.wiring import publish_facts
from db import accounts, orders, sessions
from domain.account import TradingState
from domain.ids import AccountName, RecommendationId
from domain.orders import opening_order
from domain.session import NEW_YORK, Session, trading_day
from streams.names import Stream, partitioned

LARGE: Final = AccountName("large")
#: What each contract costs at the local Alpaca, dollars a share: a position is worth 200 dollars.
BID, ASK = Decimal("1.99"), Decimal("2.00")
#: What the shipped configuration would forbid: hundreds of positions, and a stop in the first half hour.
_LOOSENED: Final = {
    "requests_per_minute": "10000000",
    "max_positions": "1000",
    "max_exposure_usd": '"100000000"',
    "max_contracts_per_order": "100",
    "min_hold_min": "0",
}
OPENED_AT_ONCE: Final = 50
#: How long something may take that happens outside the measurement, in seconds.
PATIENCE_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Market:
    """*contracts* are all that tick, the *held* ones come first."""

    stack: Stack
    config: Path
    contracts: tuple[str, ...]
    held: tuple[str, ...]

    def start(self, actor: str) -> None:
        run.start_actor(self.stack, self.config, actor)

    def stop(self, actor: str) -> None:
        self.stack.children.process(actor).terminate()
        self.stack.children.forget(actor)

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for something that is not measured."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            self.stack.children.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {PATIENCE_S:.0f} s")
            time.sleep(0.05)

    def has_open(self, number: int) -> bool:
        return self.count("SELECT count(*) FROM positions WHERE closed_at IS NULL") == number

    def count(self, statement: str) -> int:
        with self.stack.engine.connect() as tx:
            return int(tx.execute(text(statement)).scalar_one())


@contextmanager
def a_market(contracts: int, held: int) -> Iterator[Market]:
    """Servers, a local Alpaca whose clock runs, executor, tracker and feeds as processes, and *held* open positions."""
    names = tuple(f"ACME{_expiration():%y%m%d}C{number:05d}000" for number in range(1000, 1000 + contracts))
    now = datetime.now(UTC)
    session = _session_around(now)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "benchmark.toml"
        config.write_text(_loosened(SHIPPED.read_text()))
        settings = load(config, {})
        with run.connected_servers(settings, folder / "ledger") as stack:
            day = _a_day(folder / "day", session, names, now)
            options = ["--speed", "1", "--start", f"{now:%Y-%m-%dT%H:%M:%SZ}", "--partial-ratio", "0"]
            alpaca = local_alpaca.start(stack.children, [day], settings, options)
            brokerage = settings.brokerage.model_copy(update={"paper_url": alpaca.rest_url})
            ours = settings.model_copy(update={"brokerage": brokerage, "servers": stack.settings.servers})
            bring_into_force(ours, stack.engine, now)
            with stack.engine.begin() as tx:
                sessions.keep(tx, [session])
                for account in ours.account_names():
                    accounts.set_state(tx, account, TradingState.ACTIVE, "benchmark", "benchmark", now)
            full = Stack(ours, folder, stack.engine, stack.client, stack.children)
            market = Market(full, config, names, names[:held])
            for actor in ("executor", "tracker", "feeds"):
                market.start(actor)
            _open(market)
            yield market


def _open(market: Market) -> None:
    """A few at a time: what the executor does not send within a minute would be too old."""
    for n in range(0, len(market.held), OPENED_AT_ONCE):
        now = datetime.now(UTC)
        chosen = market.held[n : n + OPENED_AT_ONCE]
        ours = [opening_order(LARGE, RecommendationId(f"open-{s}"), s, 1, ASK, now) for s in chosen]
        with market.stack.engine.begin() as tx:
            for order in ours:
                orders.insert(tx, order, "day_trade")
        told = [approved(order, str(order.recommendation), "benchmark") for order in ours]
        publish_facts(market.stack.client, partitioned(Stream.ENTRIES, 0), told)
        opened = partial(market.has_open, n + len(chosen))
        market.until(opened, "opening the positions")


def _loosened(shipped: str) -> str:
    for key, value in _LOOSENED.items():
        shipped, found = re.subn(rf"(?m)^{key} = [^#\n]*", f"{key} = {value} ", shipped, count=1)
        if not found:
            raise LookupError(f"{key}: not in the shipped configuration")
    return shipped


def _session_around(now: datetime) -> Session:
    """A session that is open now: it begins and ends on one day of New York, as every session does."""
    day = trading_day(now)
    midnight = datetime.combine(day + timedelta(days=1), time_of_day(), NEW_YORK).astimezone(UTC)
    opened = max(now - timedelta(hours=1), midnight - timedelta(hours=24))
    return Session(day=day, open=opened, close=min(now + timedelta(hours=10), midnight - timedelta(minutes=1)))


def _expiration() -> datetime:
    return datetime.now(UTC) + timedelta(days=60)


def _a_day(folder: Path, session: Session, contracts: Sequence[str], now: datetime) -> Path:
    folder.mkdir()
    told = {
        "date": f"{session.day}",
        "open": f"{session.open:%Y-%m-%dT%H:%M:%SZ}",
        "close": f"{session.close:%Y-%m-%dT%H:%M:%SZ}",
        "early_close": False,
    }
    (folder / "session.json").write_text(json.dumps(told))
    last = f"{_expiration():%Y-%m-%d}"
    head = "symbol,underlying,type,strike,expiration,last_trading_day,style,multiplier,open_interest,quotes,trades"
    rows = [f"{s},ACME,CALL,{int(s[-8:]) // 1000},{last},{last},american,100,1,0,0" for s in contracts]
    (folder / "contracts.csv").write_text("\n".join([head, *rows]) + "\n")
    at = f"{now - timedelta(seconds=60):%Y-%m-%dT%H:%M:%S.000Z}"
    quotes = [f"{at},{s},{BID},{ASK},10000,10000,ba" for s in contracts]
    _write(folder / "quotes.csv.gz", "ts,symbol,bid,ask,bid_size,ask_size,upd", quotes)
    _write(folder / "underlying.csv.gz", "ts,symbol,bid,ask,pairs", [f"{at},ACME,99.9,100.1,1"])
    _write(folder / "trades.csv.gz", "ts,symbol,price,size,open,high,low", [])
    return folder


def _write(path: Path, head: str, rows: Sequence[str]) -> None:
    path.write_bytes(gzip.compress("\n".join([head, *rows, ""]).encode()))
