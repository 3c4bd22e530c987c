"""Small day folders in the recorded format, written by hand for one test."""

import gzip
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

DAY = "2026-02-03"
CALL, PUT, STOCK = "ACME260206C00100000", "ACME260206P00100000", "ACME"
#: Expires on the test day itself.
LAST_DAY_CALL = "ACME260203C00105000"
#: A monthly option of the old kind: a Saturday in the symbol, the Friday before as its last trading day.
SATURDAY_PUT = "ACME260207P00090000"

Row = tuple[str, str, str | None, str | None]

#: time, symbol, bid, ask; the put never has a bid.
QUOTES: tuple[Row, ...] = (
    ("14:30:59.999", CALL, "1.00", "1.10"),
    ("14:30:59.999", PUT, None, "0.50"),
    ("14:30:59.999", LAST_DAY_CALL, "0.20", "0.25"),
    ("14:31:59.999", CALL, "1.20", "1.30"),
    ("14:32:59.999", CALL, "0.90", "1.00"),
    ("14:32:59.999", PUT, None, "0.45"),
)
UNDERLYING: tuple[Row, ...] = (
    ("14:30:59.999", STOCK, "99.90", "100.10"),
    ("14:31:59.999", STOCK, "100.40", "100.60"),
)
TRADES = (("14:31:59.999", CALL, "1.25", "7"),)


def a_contract(symbol: str, last_trading_day: str | None = None) -> dict[str, str]:
    """The row of contracts.csv that an OCC symbol implies."""
    root, tail = symbol[:-15], symbol[-15:]
    expiration = f"20{tail[:2]}-{tail[2:4]}-{tail[4:6]}"
    return {
        "symbol": symbol,
        "underlying": root,
        "type": "CALL" if tail[6] == "C" else "PUT",
        "strike": f"{int(tail[7:]) / 1000:g}",
        "expiration": expiration,
        "last_trading_day": last_trading_day or expiration,
        "style": "american",
        "multiplier": "100",
        "open_interest": "12",
        "quotes": "0",
        "trades": "0",
    }


CONTRACTS = (
    a_contract(CALL),
    a_contract(PUT),
    a_contract(LAST_DAY_CALL),
    a_contract(SATURDAY_PUT, "2026-02-06"),
)


def write_day(
    folder: Path,
    *,
    day: str = DAY,
    close: str = "21:00:00",
    early_close: bool = False,
    quotes: Sequence[Row] = QUOTES,
    underlying: Sequence[Row] = UNDERLYING,
    trades: Sequence[tuple[str, str, str, str]] = TRADES,
    contracts: Sequence[dict[str, str]] = CONTRACTS,
    broker_events: Sequence[dict[str, object]] = (),
) -> Path:
    """Write a day folder and return it; times are UTC times of *day*."""
    folder.mkdir(parents=True)
    session = {"date": day, "open": f"{day}T14:30:00Z", "close": f"{day}T{close}Z", "early_close": early_close}
    (folder / "session.json").write_text(json.dumps(session))
    lines = [",".join(contracts[0])] + [",".join(contract.values()) for contract in contracts]
    (folder / "contracts.csv").write_text("\n".join(lines) + "\n")
    _table(folder, "quotes", "ts,symbol,bid,ask,bid_size,ask_size,upd", [_quote(day, row) for row in quotes])
    _table(folder, "underlying", "ts,symbol,bid,ask,pairs", [_stock(day, row) for row in underlying])
    _table(
        folder,
        "trades",
        "ts,symbol,price,size,open,high,low",
        [f"{_ts(day, at)},{symbol},{price},{size},{price},{price},{price}" for at, symbol, price, size in trades],
    )
    if broker_events:
        text = "\n".join(json.dumps(event) for event in broker_events)
        (folder / "broker_events.jsonl").write_text(text + "\n")
    return folder


def rewrite(folder: Path, name: str, old: str, new: str) -> Path:
    """Replace a text in a file of the folder, packed or not, to make the day wrong."""
    path = folder / name
    packed = name.endswith(".gz")
    text = gzip.decompress(path.read_bytes()).decode() if packed else path.read_text()
    assert old in text
    data = text.replace(old, new, 1).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    return folder


def _ts(day: str, at: str) -> str:
    return datetime.fromisoformat(f"{day}T{at}").isoformat(timespec="milliseconds") + "Z"


def _quote(day: str, row: Row) -> str:
    at, symbol, bid, ask = row
    return f"{_ts(day, at)},{symbol},{bid or ''},{ask or ''},{10 if bid else ''},{20 if ask else ''},ba"


def _stock(day: str, row: Row) -> str:
    at, symbol, bid, ask = row
    return f"{_ts(day, at)},{symbol},{bid or ''},{ask or ''},3"


def _table(folder: Path, name: str, header: str, rows: list[str]) -> None:
    text = "\n".join([header, *rows]) + "\n"
    (folder / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
