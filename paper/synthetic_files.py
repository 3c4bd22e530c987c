"""Writing a made day as the files of the day format, byte for byte the same each time.

The format is the one of the recorded days (docs of the day folders: ``days/README.md``).
"""

import csv
import gzip
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from paper.synthetic_spec import ContractRow, Day, stamp

#: The hour at which a full session closes in its exchange's time zone.
FULL_SESSION_CLOSES_AT = 16

_QUOTES = ("ts", "symbol", "bid", "ask", "bid_size", "ask_size", "upd")
_TRADES = ("ts", "symbol", "price", "size", "open", "high", "low")
_UNDERLYING = ("ts", "symbol", "bid", "ask", "pairs")
_CONTRACTS = (
    "symbol",
    "underlying",
    "type",
    "strike",
    "expiration",
    "last_trading_day",
    "style",
    "multiplier",
    "open_interest",
    "quotes",
    "trades",
)


def write_day(day: Day, folder: Path) -> None:
    """Write *day* into *folder*, which is made when it is missing; files of the same names are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files(day).items():
        (folder / name).write_bytes(content)


def files(day: Day) -> dict[str, bytes]:
    """Return the day's files by name. ``broker_events.jsonl`` is there only when there are such events."""
    made = {
        "quotes.csv.gz": _packed(_table(_QUOTES, _quote_cells(day))),
        "trades.csv.gz": _packed(_table(_TRADES, _trade_cells(day))),
        "underlying.csv.gz": _packed(_table(_UNDERLYING, _underlying_cells(day))),
        "contracts.csv": _table(_CONTRACTS, map(_contract_cells, day.contracts)),
        "session.json": (json.dumps(session(day), indent=1) + "\n").encode(),
        "recommendations.jsonl": _lines(day.spec.recommendations),
    }
    if day.spec.broker_events:
        made["broker_events.jsonl"] = _lines(day.spec.broker_events)
    return made


def session(day: Day) -> dict[str, object]:
    """Return what session.json says: the recorded days' keys, and that this one is synthetic."""
    spec = day.spec
    local_open, local_close = (
        moment.astimezone(ZoneInfo(spec.exchange_timezone)) for moment in (spec.open, spec.close)
    )
    return {
        "date": f"{local_open:%Y-%m-%d}",
        "underlying": spec.underlyings[0].symbol,
        "underlyings": [stock.symbol for stock in spec.underlyings],
        "exchange_timezone": spec.exchange_timezone,
        "utc_offset": f"{local_open:%z}"[:3] + ":" + f"{local_open:%z}"[3:],
        "open": f"{spec.open:%Y-%m-%dT%H:%M:%SZ}",
        "close": f"{spec.close:%Y-%m-%dT%H:%M:%SZ}",
        "early_close": local_close.hour < FULL_SESSION_CLOSES_AT,
        "bar_seconds": spec.bar_seconds,
        "synthetic": True,
        "seed": spec.seed,
        "note": spec.note,
        "underlying_source": "made: a seeded jump diffusion, quoted directly (pairs is 0: no put-call parity involved)",
        "rows": {
            "quotes": len(day.quotes),
            "trades": len(day.trades),
            "underlying": len(day.underlying),
            "contracts": len(day.contracts),
        },
    }


def _quote_cells(day: Day) -> Iterable[Sequence[object]]:
    for row in day.quotes:
        sizes = ("" if size is None else size for size in (row.bid_size, row.ask_size))
        yield (stamp(row.ts), row.symbol, _dollars(row.bid), _dollars(row.ask), *sizes, row.upd)


def _trade_cells(day: Day) -> Iterable[Sequence[object]]:
    for row in day.trades:
        around = (_dollars(cents) for cents in (row.open, row.high, row.low))
        yield (stamp(row.ts), row.symbol, _dollars(row.price), row.size, *around)


def _underlying_cells(day: Day) -> Iterable[Sequence[object]]:
    for row in day.underlying:
        yield (stamp(row.ts), row.symbol, _dollars(row.bid), _dollars(row.ask), 0)


def _contract_cells(row: ContractRow) -> Sequence[object]:
    spec = row.spec
    strike = f"{spec.strike.normalize():f}"
    dates = (spec.expiration.isoformat(), spec.expiration.isoformat())
    counts = (row.open_interest, row.quotes, row.trades)
    return (row.symbol, row.underlying, spec.right, strike, *dates, "american", 100, *counts)


def _dollars(cents: int | None) -> str:
    return "" if cents is None else f"{Decimal(cents) / 100:.2f}"


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def _packed(content: bytes) -> bytes:
    """Return *content* gzipped without the time and name that would make two runs differ."""
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as file:
        file.write(content)
    return packed.getvalue()


def _lines(facts: Iterable[Mapping[str, object]]) -> bytes:
    return "".join(json.dumps(fact) + "\n" for fact in facts).encode()
