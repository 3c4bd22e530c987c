"""A seeded synthetic market: makes whole trading days in the format of the recorded ones.

    day = generate(spec)            # a DaySpec says what trades and which prices are pinned
    write_day(day, Path("out"))     # the same spec gives the same bytes

Stocks are jump diffusions, options cost what a closed form says, quotes and prints lie
around that with an intraday shape. A spec may pin what a contract costs at a moment, so
that documented premiums come out exactly. Nothing here claims to be a real market.

Command line: ``python -m paper.synthetic shipped OUT`` writes the two days the repository
ships; ``python -m paper.synthetic market OUT --help`` makes one of any size and rate.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

from paper.synthetic_files import write_day
from paper.synthetic_four_minutes import FOUR_MINUTES
from paper.synthetic_over_trading import OVER_TRADING
from paper.synthetic_spec import (
    ContractRow,
    ContractSpec,
    Day,
    DaySpec,
    QuoteRow,
    TradeRow,
    Unbuildable,
    UnderlyingRow,
    UnderlyingSpec,
    occ_symbol,
)
from paper.synthetic_tape import quote_rows, spots, trade_rows, underlying_rows, volatilities

__all__ = ["SHIPPED_DAYS", "Day", "DaySpec", "Unbuildable", "generate", "market", "write_day"]

#: The days in the repository by folder name, in the order in which they are played.
SHIPPED_DAYS = {
    "2026-02-03-over-trading": OVER_TRADING,
    "2026-02-04-four-minutes": FOUR_MINUTES,
}

#: Made tickers are Z and two letters; strikes reach half the spot to either side.
MOST_STOCKS, MOST_CONTRACTS = 26 * 26, 200


def generate(spec: DaySpec) -> Day:
    """Make the day that *spec* describes, wholly in memory.

    Raises: Unbuildable, when pins contradict each other or lie outside the session;
    Unpriceable, when no spot or volatility gives a pinned price.
    """
    quotes: list[QuoteRow] = []
    trades: list[TradeRow] = []
    underlying: list[UnderlyingRow] = []
    contracts: list[ContractRow] = []
    for stock in spec.underlyings:
        path = spots(spec, stock)
        underlying += underlying_rows(spec, stock, path)
        for contract, quoted, traded in _contract_tapes(spec, stock, path):
            quotes += quoted
            trades += traded
            contracts.append(contract)
    return Day(
        spec=spec,
        quotes=tuple(sorted(quotes, key=_by_time)),
        trades=tuple(sorted(trades, key=_by_time)),
        underlying=tuple(sorted(underlying, key=_by_time)),
        contracts=tuple(sorted(contracts, key=lambda row: row.symbol)),
    )


def market(
    *, seed: int, underlyings: int, contracts: int, bar_seconds: int = 60, minutes: int = 390, start: datetime
) -> DaySpec:
    """Describe an unpinned market of any size: *contracts* options on each of *underlyings* stocks.

    Strikes alternate around the spot, calls and puts, about a month from expiry. The rate is
    one bar every *bar_seconds* for *minutes* of session from *start* (aware).

    Raises: Unbuildable, beyond 676 stocks or 200 contracts on one (strikes are 1 % apart).
    """
    if underlyings > MOST_STOCKS or contracts > MOST_CONTRACTS:
        raise Unbuildable(f"at most {MOST_STOCKS} stocks with {MOST_CONTRACTS} contracts each")
    return DaySpec(
        seed=seed,
        open=start,
        close=start + timedelta(minutes=minutes),
        note="A synthetic market for load and experiments: every price is made.",
        bar_seconds=bar_seconds,
        underlyings=tuple(_made_stock(seed, number, contracts, start.date()) for number in range(underlyings)),
    )


def _contract_tapes(
    spec: DaySpec, stock: UnderlyingSpec, path: Sequence[float]
) -> Iterator[tuple[ContractRow, list[QuoteRow], list[TradeRow]]]:
    for contract in stock.contracts:
        symbol = occ_symbol(stock.symbol, contract.expiration, contract.right, contract.strike)
        quotes, quoted = quote_rows(spec, symbol, contract, path, volatilities(spec, stock, contract, path))
        traded = trade_rows(spec, symbol, contract, quotes)
        interest = Random(f"{spec.seed}/{symbol}/interest").randrange(100, 20_000)  # noqa: S311 - not a secret
        yield ContractRow(symbol, stock.symbol, contract, interest, len(quoted), len(traded)), quoted, traded


def _made_stock(seed: int, number: int, contracts: int, today: date) -> UnderlyingSpec:
    rng = Random(f"{seed}/stock/{number}")  # noqa: S311 - a reproducible market
    spot = round(rng.uniform(100, 500), 2)
    step = round(spot * 0.01)
    expiration = today + timedelta(days=28 + (4 - today.weekday()) % 7)
    listed = []
    for rank in range(contracts):
        away = (rank // 2 + 1) // 2 * (1 if rank // 2 % 2 else -1)
        strike = Decimal(round(spot) + away * step)
        listed.append(ContractSpec(right="PUT" if rank % 2 else "CALL", strike=strike, expiration=expiration))
    return UnderlyingSpec(symbol=_ticker(number), spot=spot, implied_vol=rng.uniform(0.2, 0.7), contracts=tuple(listed))


def _ticker(number: int) -> str:
    """Return a made ticker for *number*: ZAA, ZAB and so on."""
    return "Z" + chr(ord("A") + number // 26) + chr(ord("A") + number % 26)


def _by_time(row: QuoteRow | TradeRow | UnderlyingRow) -> tuple[datetime, str]:
    return row.ts, row.symbol


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m paper.synthetic", description="Make synthetic trading days.")
    kinds = parser.add_subparsers(dest="kind", required=True)
    shipped = kinds.add_parser("shipped", help="the days the repository ships, one folder each")
    shipped.add_argument("out", type=Path)
    load = kinds.add_parser("market", help="an unpinned market of any size and rate, as one day folder")
    load.add_argument("out", type=Path)
    for name, default in (("seed", 1), ("underlyings", 4), ("contracts", 10), ("bar-seconds", 60), ("minutes", 390)):
        load.add_argument(f"--{name}", type=int, default=default)
    return parser


def main(arguments: Sequence[str]) -> None:
    """Write the days that the command line asks for."""
    args = _parser().parse_args(arguments)
    if args.kind == "shipped":
        for name, spec in SHIPPED_DAYS.items():
            write_day(generate(spec), args.out / name)
        return
    spec = market(
        seed=args.seed,
        underlyings=args.underlyings,
        contracts=args.contracts,
        bar_seconds=args.bar_seconds,
        minutes=args.minutes,
        start=datetime(2026, 2, 2, 14, 30, tzinfo=UTC),
    )
    write_day(generate(spec), args.out)


if __name__ == "__main__":
    main(sys.argv[1:])
