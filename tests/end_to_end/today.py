"""A day that is now, for a local Alpaca whose clock runs as the wall's."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import requests

from cli import local_alpaca
from cli.children import Children
from cli.local_alpaca import LocalAlpaca
from cli.settings import Settings

EXPIRATION: Final = (datetime.now(UTC) + timedelta(days=60)).date()
_COLUMNS: Final = (
    "symbol,underlying,type,strike,expiration,last_trading_day,style,multiplier,open_interest,quotes,trades"
)


def a_call(strike: int, expiration: date = EXPIRATION) -> str:
    """A call on SPY."""
    return f"SPY{expiration:%y%m%d}C{strike * 1000:08d}"


def a_day_that_is_now(folder: Path, asks: Mapping[str, str]) -> Path:
    """A session that began two hours ago and ends in four; each call of *asks* is quoted half a minute ago."""
    now = datetime.now(UTC).replace(microsecond=0)
    folder.mkdir()
    stamp = f"{now - timedelta(seconds=30):%Y-%m-%dT%H:%M:%S}.000Z"
    session = {
        "date": f"{now.astimezone(ZoneInfo('America/New_York')):%Y-%m-%d}",
        "underlying": "SPY",
        "open": f"{now - timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}",
        "close": f"{now + timedelta(hours=4):%Y-%m-%dT%H:%M:%SZ}",
        "early_close": False,
    }
    (folder / "session.json").write_text(json.dumps(session))
    rows = [f"{s},SPY,CALL,{int(s[-8:]) // 1000},{EXPIRATION},{EXPIRATION},american,100,,1,0\n" for s in asks]
    (folder / "contracts.csv").write_text(f"{_COLUMNS}\n{''.join(rows)}")
    quotes = [f"{stamp},{s},{float(ask) - 0.10:.2f},{ask},50,50,ba\n" for s, ask in sorted(asks.items())]
    tables = {
        "quotes": "ts,symbol,bid,ask,bid_size,ask_size,upd\n" + "".join(quotes),
        "trades": "ts,symbol,price,size,open,high,low\n",
        "underlying": f"ts,symbol,bid,ask,pairs\n{stamp},SPY,450.00,450.10,1\n",
    }
    for name, body in tables.items():
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress(body.encode()))
    (folder / "recommendations.jsonl").write_text("")
    return folder


def start_now(children: Children, day: Path, settings: Settings) -> LocalAlpaca:
    """Start a local Alpaca on *day*; its clock runs as ours."""
    started = local_alpaca.start(children, [day], settings)
    control(started, "/clock", to=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}")
    control(started, "/clock", speed=1)
    return started


def control(alpaca: LocalAlpaca, where: str, /, **body: Any) -> Any:
    answer = requests.post(alpaca.control_url + where, json=body, timeout=10)
    assert answer.ok, answer.text
    return answer.json()


def quote(alpaca: LocalAlpaca, symbol: str, bid: str, ask: str) -> None:
    """Quote *symbol* now, and its stock."""
    control(alpaca, "/quotes", symbol=symbol, bid=bid, ask=ask, bid_size=50, ask_size=50)
    control(alpaca, "/quotes", symbol="SPY", bid="450.00", ask="450.10", bid_size=50, ask_size=50)
