"""Day folders: the market of one session as files, read and checked in one pass.

A folder holds session.json, contracts.csv, quotes.csv.gz, trades.csv.gz, underlying.csv.gz and perhaps
broker_events.jsonl. Rows of one timestamp become one `Instant`. Every row is checked by one regular expression, and
only a row that fails it is looked at field by field, to say what is wrong with it; prices stay text until used.
"""

import csv
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from paper import times
from paper.errors import DayFormatError
from paper.instruments import Contract, Instrument, Stock, split_occ
from paper.numbers import is_whole, number
from paper.sessions import Session

#: symbol, bid, ask, bid size, ask size; an empty text is a missing side.
QuoteRow = tuple[str, str, str, str, str]
#: symbol, price, size.
TradeRow = tuple[str, str, str]

_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z"
_SYMBOL = r"[A-Z][A-Z0-9.]*"
_PRICE = r"(?!0+(?:\.0*)?(?:,|$))\d{1,9}(?:\.\d{1,6})?"
_SIZE = r"\d{1,12}"
_STOCK_LOT = "1"  # the recorded underlying has no sizes


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file's columns and the form of each."""

    name: str
    columns: dict[str, str]

    def pattern(self) -> re.Pattern[str]:
        return re.compile(",".join(f"({form})" for form in self.columns.values()))


QUOTES = Table(
    "quotes.csv.gz",
    {
        "ts": _TIME,
        "symbol": _SYMBOL,
        "bid": f"{_PRICE}|",
        "ask": f"{_PRICE}|",
        "bid_size": f"{_SIZE}|",
        "ask_size": f"{_SIZE}|",
        "upd": "b|a|ba|ab",
    },
)
TRADES = Table(
    "trades.csv.gz",
    {"ts": _TIME, "symbol": _SYMBOL, "price": _PRICE, "size": _SIZE, "open": _PRICE, "high": _PRICE, "low": _PRICE},
)
UNDERLYING = Table(
    "underlying.csv.gz",
    {"ts": _TIME, "symbol": _SYMBOL, "bid": f"{_PRICE}|", "ask": f"{_PRICE}|", "pairs": f"{_SIZE}|"},
)
_CONTRACT_COLUMNS = ("symbol", "underlying", "type", "strike", "expiration", "last_trading_day", "style", "multiplier")


@dataclass(slots=True)
class Instant:
    """Everything the market shows at one moment."""

    quotes: list[QuoteRow] = field(default_factory=list)
    trades: list[TradeRow] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class BrokerEvent:
    """At *at* the brokerage closes *qty* of a position behind the client's back."""

    at: datetime
    account: str
    symbol: str
    qty: Decimal


@dataclass(frozen=True, slots=True)
class Day:
    """One recorded session."""

    session: Session
    instruments: list[Instrument]
    instants: dict[datetime, Instant]
    broker_events: list[BrokerEvent]


def read_days(folders: list[Path]) -> list[Day]:
    """Read day folders, which must come in ascending order.

    Raises: DayFormatError naming file, line, field and value.
    """
    days = [read_day(folder) for folder in folders]
    for (folder, day), before in zip(list(zip(folders, days, strict=True))[1:], days, strict=False):
        if day.session.day <= before.session.day:
            raise DayFormatError(f"{folder}: session {day.session.day} does not come after {before.session.day}")
    return days


def read_day(folder: Path) -> Day:
    """Read one day folder."""
    session = _session(folder / "session.json")
    contracts = _contracts(folder / "contracts.csv")
    by_symbol = {contract.symbol: contract for contract in contracts}
    instants: dict[datetime, Instant] = {}
    stocks = {contract.underlying for contract in contracts}
    for at, (symbol, bid, ask, _pairs) in _rows(folder, UNDERLYING, None):
        stocks.add(symbol)
        row = (symbol, bid, ask, _STOCK_LOT if bid else "", _STOCK_LOT if ask else "")
        _instant(instants, at).quotes.append(row)
    known = stocks | by_symbol.keys()
    for at, (symbol, bid, ask, bid_size, ask_size, _upd) in _rows(folder, QUOTES, known):
        _instant(instants, at).quotes.append((symbol, bid, ask, bid_size, ask_size))
    for at, (symbol, price, size, *_range) in _rows(folder, TRADES, known):
        _instant(instants, at).trades.append((symbol, price, size))
    optionable = {contract.underlying for contract in contracts}
    instruments: list[Instrument] = [Stock(symbol, symbol in optionable) for symbol in sorted(stocks)]
    return Day(session, [*instruments, *contracts], instants, _broker_events(folder / "broker_events.jsonl"))


def _instant(instants: dict[datetime, Instant], at: datetime) -> Instant:
    found = instants.get(at)
    if found is None:
        found = instants[at] = Instant()
    return found


def _bad(path: Path, line: int, name: str, value: object, why: str) -> DayFormatError:
    return DayFormatError(f"{path}, line {line}, field {name}: {why} (value {str(value)!r})")


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    except FileNotFoundError:
        raise DayFormatError(f"{path}: the file is missing") from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DayFormatError(f"{path}: cannot be read ({error})") from None


def _rows(folder: Path, table: Table, known: set[str] | None) -> Iterator[tuple[datetime, tuple[str, ...]]]:
    """Yield each row's time and its other fields; rows ascend in time, and *known* holds the allowed symbols."""
    path = folder / table.name
    lines = _read_text(path).splitlines()
    header = ",".join(table.columns)
    if not lines or lines[0] != header:
        raise _bad(path, 1, "header", lines[0] if lines else "", f"must be {header}")
    match = table.pattern().fullmatch
    stamp, at = "", times.EPOCH
    for line_number, line in enumerate(lines[1:], start=2):
        found = match(line)
        if found is None:
            raise _explain(path, line_number, line, table)
        values = found.groups()
        if values[0] != stamp:
            stamp, before = values[0], at
            at = _time(path, line_number, "ts", stamp)
            if at < before:
                raise _bad(path, line_number, "ts", stamp, "is earlier than the row before")
        if known is not None and values[1] not in known:
            raise _bad(path, line_number, "symbol", values[1], "is not in contracts.csv")
        yield at, values[1:]


def _explain(path: Path, line_number: int, line: str, table: Table) -> DayFormatError:
    """Find the field that makes a row wrong."""
    values = line.split(",")
    if len(values) != len(table.columns):
        return _bad(path, line_number, "row", line, f"has {len(values)} fields instead of {len(table.columns)}")
    for (name, form), value in zip(table.columns.items(), values, strict=True):
        if not re.fullmatch(form, value):
            return _bad(path, line_number, name, value, "is not valid")
    return _bad(path, line_number, "row", line, "is not valid")


def _time(path: Path, line: int, name: str, value: object) -> datetime:
    try:
        return times.parse(str(value))
    except ValueError:
        raise _bad(path, line, name, value, "is no time") from None


def _session(path: Path) -> Session:
    try:
        raw = json.loads(_read_text(path))
        day = date.fromisoformat(raw["date"])
    except (ValueError, KeyError, TypeError) as error:
        raise DayFormatError(f"{path}, line 1, field date: {error!r}") from None
    opens, closes = _time(path, 1, "open", raw.get("open")), _time(path, 1, "close", raw.get("close"))
    if not opens < closes:
        raise _bad(path, 1, "close", raw["close"], "is not after open")
    if times.new_york_day(opens) != day:
        raise _bad(path, 1, "open", raw["open"], f"is not on {day} in New York")
    return Session(day, opens, closes, bool(raw.get("early_close", False)))


def _contracts(path: Path) -> list[Contract]:
    reader = csv.DictReader(_read_text(path).splitlines())
    missing = [name for name in _CONTRACT_COLUMNS if name not in (reader.fieldnames or [])]
    if missing:
        raise _bad(path, 1, missing[0], ",".join(reader.fieldnames or []), "the column is missing")
    return [_contract(path, reader.line_num, row) for row in reader]


def _contract(path: Path, line: int, row: dict[str, str]) -> Contract:
    """Read one contract; what its symbol says must agree with its columns."""
    said = split_occ(row["symbol"] or "")
    if said is None:
        raise _bad(path, line, "symbol", row["symbol"], "is no OCC symbol")
    root, expiration, kind, strike = said
    _agree(path, line, "type", row["type"], kind.upper())
    _agree(path, line, "strike", _decimal(path, line, "strike", row["strike"]), strike)
    _agree(path, line, "expiration", row["expiration"], expiration.isoformat())
    if not row["underlying"]:
        raise _bad(path, line, "underlying", row["underlying"], "is empty")
    multiplier = _decimal(path, line, "multiplier", row["multiplier"])
    if multiplier <= 0 or not is_whole(multiplier):
        raise _bad(path, line, "multiplier", row["multiplier"], "is no positive integer")
    try:
        last = date.fromisoformat(row["last_trading_day"])
    except (ValueError, TypeError):
        raise _bad(path, line, "last_trading_day", row["last_trading_day"], "is no date") from None
    return Contract(
        symbol=row["symbol"],
        root=root,
        underlying=row["underlying"],
        kind=kind,
        strike=strike,
        expiration=expiration,
        last_trading_day=last,
        style=row["style"],
        multiplier=int(multiplier),
        open_interest=row.get("open_interest") or None,
    )


def _agree(path: Path, line: int, name: str, written: object, said: object) -> None:
    if written != said:
        raise _bad(path, line, name, written, f"does not agree with the symbol, which says {said}")


def _decimal(path: Path, line: int, name: str, text: object) -> Decimal:
    value = number(text)
    if value is None:
        raise _bad(path, line, name, text, "is no number")
    return value


def _broker_events(path: Path) -> list[BrokerEvent]:
    """Read the optional file of closes behind the client's back."""
    if not path.exists():
        return []
    lines = enumerate(_read_text(path).splitlines(), start=1)
    return [_broker_event(path, line_number, line) for line_number, line in lines if line.strip()]


def _broker_event(path: Path, line: int, text: str) -> BrokerEvent:
    try:
        raw: Any = json.loads(text, parse_float=Decimal)
    except ValueError:
        raise _bad(path, line, "row", text, "is no JSON") from None
    if not isinstance(raw, dict):
        raise _bad(path, line, "row", text, "is no JSON object")
    for name in ("account", "symbol"):
        if not isinstance(raw.get(name), str) or not raw[name]:
            raise _bad(path, line, name, raw.get(name), "is no name")
    if raw.get("event") != "close":
        raise _bad(path, line, "event", raw.get("event"), "must be close")
    qty = _decimal(path, line, "qty", raw.get("qty"))
    if qty <= 0 or not is_whole(qty):
        raise _bad(path, line, "qty", raw.get("qty"), "is no positive integer")
    return BrokerEvent(_time(path, line, "at", raw.get("at")), raw["account"], raw["symbol"], qty)
