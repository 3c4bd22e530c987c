"""What a synthetic day is made from (specs) and what comes out (rows).

Specs are written by people: prices are dollars as Decimal, times are aware UTC
datetimes, ratios and volatilities are plain fractions. Rows hold whole cents as int.
A bar is one step of the tape; its quotes are known one millisecond before it ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from paper.synthetic_pricing import Right

Side = Literal["bid", "ask", "mid"]

_MILLISECOND = timedelta(milliseconds=1)


class Unbuildable(ValueError):
    """Raised when a spec contradicts itself, so that no day can be made from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """Whoever looks between *at* and *until* sees *price* on *side*, exactly.

    ``spread`` fixes the distance of the two sides; None leaves it to the contract.
    """

    at: datetime
    until: datetime
    side: Side
    price: Decimal
    spread: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractSpec:
    """One listed option. The first contract of an underlying leads it: its pins steer the spot."""

    right: Right
    strike: Decimal
    expiration: date
    pins: tuple[Pin, ...] = ()
    spread_ratio: float = 0.015
    trades_per_day: float = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderlyingSpec:
    """One stock: a jump diffusion, and the options listed on it.

    ``spot`` holds at the leading contract's first pin, or at the open when it has none.
    ``implied_vol`` prices the options when nothing is pinned; ``realised_vol`` is how
    much the stock really moves (both per year). Jumps are per session, their size is
    the standard deviation of a log return.
    """

    symbol: str
    spot: float
    implied_vol: float = 0.35
    realised_vol: float = 0.25
    jumps_per_day: float = 3.0
    jump_size: float = 0.002
    contracts: tuple[ContractSpec, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySpec:
    """One session: what trades, what is recommended, what the broker does behind our back."""

    seed: int
    open: datetime
    close: datetime
    note: str
    underlyings: tuple[UnderlyingSpec, ...]
    recommendations: tuple[Mapping[str, object], ...] = ()
    broker_events: tuple[Mapping[str, object], ...] = ()
    bar_seconds: int = 60
    rate: float = 0.0375
    exchange_timezone: str = "America/New_York"

    def __post_init__(self) -> None:
        seconds = (self.close - self.open).total_seconds()
        if self.bar_seconds < 1 or seconds <= 0 or seconds % self.bar_seconds:
            raise Unbuildable(f"{seconds:g} s of session are no whole number of {self.bar_seconds} s bars")
        symbols = [stock.symbol for stock in self.underlyings]
        if not symbols or len(set(symbols)) < len(symbols):
            raise Unbuildable(f"underlyings must be distinct and at least one: {symbols}")
        for stock in self.underlyings:
            listed = {(contract.expiration, contract.right, contract.strike) for contract in stock.contracts}
            if len(listed) < len(stock.contracts):
                raise Unbuildable(f"{stock.symbol} lists a contract twice")

    @property
    def bars(self) -> int:
        """How many bars the session has."""
        return int((self.close - self.open).total_seconds()) // self.bar_seconds

    def known_at(self, bar: int) -> datetime:
        """Return the moment at which the quotes of *bar* are known."""
        return self.open + timedelta(seconds=self.bar_seconds * (bar + 1)) - _MILLISECOND

    def bar_seen_at(self, moment: datetime) -> int:
        """Return the bar whose quotes somebody looking at *moment* sees.

        Raises: Unbuildable, when nothing has been quoted by then or the session is over.
        """
        bar = int((moment + _MILLISECOND - self.open).total_seconds() // self.bar_seconds) - 1
        if not 0 <= bar < self.bars:
            raise Unbuildable(f"{stamp(moment)} sees no bar of {stamp(self.open)} to {stamp(self.close)}")
        return bar

    def years_left(self, bar: int, expiration: date) -> float:
        """Return the calendar years from *bar* to the expiring session's close."""
        local_close = self.close.astimezone(ZoneInfo(self.exchange_timezone))
        expires = local_close.replace(year=expiration.year, month=expiration.month, day=expiration.day)
        return max(0.0, (expires.astimezone(UTC) - self.known_at(bar)).total_seconds()) / (365 * 86400)


@dataclass(frozen=True, slots=True)
class QuoteRow:
    """Best bid and ask of a contract in a bar in which a side moved; prices in cents, None is no price."""

    ts: datetime
    symbol: str
    bid: int | None
    ask: int | None
    bid_size: int | None
    ask_size: int | None
    upd: str


@dataclass(frozen=True, slots=True)
class TradeRow:
    """The prints of a contract in one bar; prices in cents, *price* is the last one."""

    ts: datetime
    symbol: str
    price: int
    size: int
    open: int
    high: int
    low: int


@dataclass(frozen=True, slots=True)
class UnderlyingRow:
    """Bid and ask of a stock at the end of a bar, in cents."""

    ts: datetime
    symbol: str
    bid: int
    ask: int


@dataclass(frozen=True, slots=True)
class ContractRow:
    """One line of contracts.csv."""

    symbol: str
    underlying: str
    spec: ContractSpec
    open_interest: int
    quotes: int
    trades: int


@dataclass(frozen=True, slots=True)
class Day:
    """A made day, ready to be written. Rows ascend by time; ties are in symbol order."""

    spec: DaySpec
    quotes: tuple[QuoteRow, ...]
    trades: tuple[TradeRow, ...]
    underlying: tuple[UnderlyingRow, ...]
    contracts: tuple[ContractRow, ...]


def occ_symbol(root: str, expiration: date, right: Right, strike: Decimal) -> str:
    """Return the OCC symbol without padding, as Alpaca writes it: MSFT260220P00405000."""
    return f"{root}{expiration:%y%m%d}{right[0]}{int(strike * 1000):08d}"


def stamp(moment: datetime) -> str:
    """Return *moment* as the day files write it: UTC, milliseconds, Z."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
