"""From a spec to the tape: spots, option mids, and then the quotes and prints around them.

Order of work for each underlying: the leading contract's pins become spots (its
implied volatility stays what it is at its first pin), the noise is led through them,
and the pins of the other contracts become implied volatilities. Every stock and every
contract draws from its own random stream, so adding one leaves the others unchanged.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from paper.synthetic_path import interpolate, intraday_shape, noise, through_points
from paper.synthetic_pricing import black_scholes, implied_spot, implied_volatility
from paper.synthetic_spec import (
    ContractSpec,
    DaySpec,
    Pin,
    QuoteRow,
    TradeRow,
    Unbuildable,
    UnderlyingRow,
    UnderlyingSpec,
)

#: Contracts shown on each side of a pinned quote at least, so that a documented order fills at the documented price.
PINNED_DEPTH = 50
#: Contracts shown on a side on average.
MEAN_SIZE = 45
#: How often a side shows a new size in a bar although its price stood still.
RESIZE_PROBABILITY = 0.2
#: Contracts in one print on average.
MEAN_PRINT = 4


@dataclass(frozen=True, slots=True)
class Quoted:
    """Both sides in cents. A bid of None: nobody bids."""

    bid: int | None
    ask: int

    @property
    def mid_usd(self) -> float:
        """Return the middle in dollars; a missing bid counts as zero here."""
        return ((self.bid or 0) + self.ask) / 200.0


def pinned_quotes(day: DaySpec, contract: ContractSpec) -> dict[int, Quoted]:
    """Return the quote of every pinned bar.

    Raises: Unbuildable, when two pins want different quotes in one bar.
    """
    quotes: dict[int, Quoted] = {}
    for pin in contract.pins:
        quote = _pinned(pin, contract)
        for bar in range(day.bar_seen_at(pin.at), day.bar_seen_at(pin.until) + 1):
            if quotes.setdefault(bar, quote) != quote:
                raise Unbuildable(f"two pins disagree on the bar known at {day.known_at(bar)}: {quotes[bar]}, {quote}")
    return quotes


def spots(day: DaySpec, stock: UnderlyingSpec) -> list[float]:
    """Return the stock's price at the end of each bar, in dollars."""
    path = noise(_stream(day, stock.symbol), stock, day.bars, day.bar_seconds)
    return [math.exp(value) for value in through_points(path, _spot_points(day, stock))]


def volatilities(
    day: DaySpec, stock: UnderlyingSpec, contract: ContractSpec, spot: Sequence[float]
) -> dict[int, float]:
    """Return the contract's implied volatility at the bars where it is known; between them it runs straight."""
    pinned = pinned_quotes(day, contract)
    if not pinned or contract is stock.contracts[0]:
        return {0: leading_volatility(day, stock)}
    return {
        bar: implied_volatility(
            contract.right,
            quote.mid_usd,
            spot=spot[bar],
            strike=float(contract.strike),
            years=day.years_left(bar, contract.expiration),
            rate=day.rate,
        )
        for bar, quote in pinned.items()
    }


def leading_volatility(day: DaySpec, stock: UnderlyingSpec) -> float:
    """Return the volatility at which the stock's ``spot`` and the leading contract's first pin agree."""
    pinned = pinned_quotes(day, stock.contracts[0])
    if not pinned:
        return stock.implied_vol
    lead, first = stock.contracts[0], min(pinned)
    return implied_volatility(
        lead.right,
        pinned[first].mid_usd,
        spot=stock.spot,
        strike=float(lead.strike),
        years=day.years_left(first, lead.expiration),
        rate=day.rate,
    )


def quote_rows(
    day: DaySpec, symbol: str, contract: ContractSpec, spot: Sequence[float], vols: Mapping[int, float]
) -> tuple[list[Quoted], list[QuoteRow]]:
    """Return the quote of every bar, and a row for each bar in which a side moved."""
    rng, pinned = _stream(day, symbol), pinned_quotes(day, contract)
    quotes: list[Quoted] = []
    rows: list[QuoteRow] = []
    sizes: dict[str, int] = {}
    for bar in range(day.bars):
        free = _free_quote(day, contract, bar, spot[bar], interpolate(vols, bar), rng)
        quote = pinned.get(bar, free)
        if bar in pinned:
            moved = "" if pinned.get(bar - 1) == quote else "ba"  # shown anew when a pin begins, then it stands still
        else:
            moved = _moved(quote, quotes[-1] if quotes else None, rng)
        for side in moved:
            sizes[side] = 1 + int(rng.expovariate(1 / MEAN_SIZE)) + (PINNED_DEPTH if bar in pinned else 0)
        if moved:
            rows.append(_row(day, bar, symbol, quote, sizes, moved))
        quotes.append(quote)
    return quotes, rows


def trade_rows(day: DaySpec, symbol: str, contract: ContractSpec, quotes: Sequence[Quoted]) -> list[TradeRow]:
    """Return the bars in which the contract traded; every print lies on or between the two sides."""
    rng, rows = _stream(day, symbol + "/trades"), []
    for bar, quote in enumerate(quotes):
        busy = contract.trades_per_day * intraday_shape(bar, day.bars) / day.bars
        prints = [_print(quote, rng) for _ in range(_poisson(rng, busy))]
        if quote.bid is None or not prints:
            continue
        size = sum(1 + int(rng.expovariate(1 / MEAN_PRINT)) for _ in prints)
        rows.append(TradeRow(day.known_at(bar), symbol, prints[-1], size, prints[0], max(prints), min(prints)))
    return rows


def underlying_rows(day: DaySpec, stock: UnderlyingSpec, spot: Sequence[float]) -> list[UnderlyingRow]:
    """Return one row a bar: the spot, with a spread of a cent or about one basis point around it."""
    rows = []
    for bar, price in enumerate(spot):
        spread = max(1, round(price * 0.01))
        bid = max(1, round(price * 100 - spread / 2))
        rows.append(UnderlyingRow(day.known_at(bar), stock.symbol, bid, bid + spread))
    return rows


def _spot_points(day: DaySpec, stock: UnderlyingSpec) -> dict[int, float]:
    pinned = pinned_quotes(day, stock.contracts[0]) if stock.contracts else {}
    if not pinned:
        return {0: math.log(stock.spot)}
    lead, vol = stock.contracts[0], leading_volatility(day, stock)
    return {
        bar: math.log(
            implied_spot(
                lead.right,
                quote.mid_usd,
                strike=float(lead.strike),
                years=day.years_left(bar, lead.expiration),
                vol=vol,
                rate=day.rate,
            )
        )
        for bar, quote in pinned.items()
    }


def _pinned(pin: Pin, contract: ContractSpec) -> Quoted:
    price = pin.price * 100
    if price != int(price) or price < 1:
        raise Unbuildable(f"a pin is whole cents, not {pin.price}")
    cents = int(price)
    spread = int(pin.spread * 100) if pin.spread is not None else max(1, round(cents * contract.spread_ratio))
    half = max(1, round(spread / 2))
    bid, ask = {
        "ask": (cents - spread, cents),
        "bid": (cents, cents + spread),
        "mid": (cents - half, cents + half),
    }[pin.side]
    if not 0 < bid <= ask:
        raise Unbuildable(f"a pin at {pin.price} with a spread of {spread} cents leaves no bid")
    return Quoted(bid, ask)


def _free_quote(day: DaySpec, contract: ContractSpec, bar: int, spot: float, vol: float, rng: Random) -> Quoted:
    """Return the quote around the model's price: wide when the market is busy, never crossed, never below a cent."""
    years = day.years_left(bar, contract.expiration)
    usd = black_scholes(contract.right, spot=spot, strike=float(contract.strike), years=years, vol=vol, rate=day.rate)
    wide = contract.spread_ratio * intraday_shape(bar, day.bars) * rng.uniform(0.8, 1.2)
    spread = max(1, round(usd * 100 * wide))
    bid = round(usd * 100 - spread / 2)
    return Quoted(bid, bid + spread) if bid > 0 else Quoted(None, max(1, bid + spread))


def _moved(quote: Quoted, before: Quoted | None, rng: Random) -> str:
    """Say which sides are new in this bar: ``b``, ``a``, ``ba`` or none."""
    bid_resized, ask_resized = (rng.random() < RESIZE_PROBABILITY for _ in "ba")
    new_bid = before is None or quote.bid != before.bid or bid_resized
    new_ask = before is None or quote.ask != before.ask or ask_resized
    return ("b" if new_bid and quote.bid is not None else "") + ("a" if new_ask else "")


def _row(day: DaySpec, bar: int, symbol: str, quote: Quoted, sizes: Mapping[str, int], moved: str) -> QuoteRow:
    bid_size = None if quote.bid is None else sizes["b"]
    return QuoteRow(day.known_at(bar), symbol, quote.bid, quote.ask, bid_size, sizes["a"], moved)


def _print(quote: Quoted, rng: Random) -> int:
    bid = quote.ask if quote.bid is None else quote.bid
    return rng.choice((bid, (bid + quote.ask) // 2, quote.ask))


def _poisson(rng: Random, mean: float) -> int:
    """Return a Poisson number by counting exponential gaps; for small means."""
    count, passed = 0, rng.expovariate(1.0)
    while passed < mean:
        count += 1
        passed += rng.expovariate(1.0)
    return count


def _stream(day: DaySpec, name: str) -> Random:
    return Random(f"{day.seed}/{name}")  # noqa: S311 - a reproducible tape, nothing secret
