"""Makes the fixtures of the incidents: ``python -m tests.incidents.make_fixtures`` from the root of the repository.

One stream file an incident, in the format of `streams.record`: the market's quotes, the recommendations and the
brokerage's executions, in order of time. Figures and times are those of the incident reports where they are known;
strikes and quotes that nobody wrote down are made up around them.

Our orders are called ``<account>-<n>`` in the order in which they reach the brokerage.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from domain.events import Action, Fact, Side
from domain.ids import (
    AccountName,
    RecommendationId,
    client_order_id,
    closing_order_id,
    entry_order_id,
    position_id,
)
from streams.codec import encode
from streams.names import Stream, partitioned
from tests.factories import LARGE, TINY, a_fill, a_quote, a_recommendation, ticked

FIXTURES = Path(__file__).parent / "fixtures"
MINUTE, SECOND, MS = timedelta(minutes=1), timedelta(seconds=1), timedelta(milliseconds=1)


def on(day: int, clock: str) -> datetime:
    """A UTC time of a day in February 2026."""
    return datetime.fromisoformat(f"2026-02-{day:02d}T{clock}").replace(tzinfo=UTC)


def opening(rec: str, account: str = LARGE) -> str:
    """The client order id of the entry that *rec* leads to."""
    name = AccountName(account)
    return client_order_id(name, entry_order_id(RecommendationId(rec), name))


def closing(rec: str, attempt: int = 1, account: str = LARGE) -> str:
    """The client order id of the *attempt*-th close of the position that *rec* opened."""
    name = AccountName(account)
    position = position_id(entry_order_id(RecommendationId(rec), name))
    return client_order_id(name, closing_order_id(position, attempt))


@dataclass
class Recording:
    lines: list[dict[str, Any]] = field(default_factory=list)

    def add(self, stream: str, fact: Fact) -> None:
        fields = encode(fact)
        stamp = f"{int(fact.at.timestamp() * 1000)}-{len(self.lines)}"
        body = json.loads(fields["body"])
        self.lines.append({"stream": stream, "id": stamp, "type": fields["type"].decode(), "body": body})

    def quote(self, at: datetime, symbol: str, bid: str, ask: str) -> None:
        self.add(partitioned(Stream.TICKS, 0), ticked(a_quote(symbol, bid, ask, at=at), at=at))

    def recommend(self, at: datetime, name: str, symbol: str, qty: int, **over: Any) -> None:
        self.add(Stream.RECOMMENDATIONS, a_recommendation(id=name, at=at, symbol=symbol, qty=qty, **over))

    def buy(self, at: datetime, order: str, client: str | None, symbol: str, qty: int, price: str, **over: Any) -> None:
        self._fill(at, order, client, symbol, qty, price, Side.BUY, **over)

    def sell(
        self, at: datetime, order: str, client: str | None, symbol: str, qty: int, price: str, **over: Any
    ) -> None:
        self._fill(at, order, client, symbol, qty, price, Side.SELL, **over)

    def _fill(
        self,
        at: datetime,
        order: str,
        client: str | None,
        symbol: str,
        qty: int,
        price: str,
        side: Side,
        cum_qty: int | None = None,
        **over: Any,
    ) -> None:
        fact = a_fill(
            order,
            client_order_id=client,
            symbol=symbol,
            qty=qty,
            cum_qty=cum_qty or qty,
            price=price,
            side=side,
            at=at,
            read_at=at,
            **over,
        )
        self.add(partitioned(Stream.FILLS, 0), fact)

    def text(self) -> str:
        return "".join(json.dumps(line) + "\n" for line in self.lines)


# ---------------------------------------------------------------- one function an incident

BMY, WMT = "BMY260220C00057500", "WMT260213C00130000"


def r01() -> Recording:
    """Two positions that lived 4 min 20 s, closed by bracket legs; the poller looked every 5 minutes."""
    r = Recording()
    r.quote(on(4, "16:06:30"), BMY, "1.64", "1.69")
    r.quote(on(4, "16:06:30"), WMT, "1.55", "1.60")
    r.recommend(on(4, "16:06:38"), "bmy", BMY, 10)
    r.buy(on(4, "16:06:39"), "large-1", opening("bmy"), BMY, 10, "1.69")
    r.recommend(on(4, "16:06:39.500"), "wmt", WMT, 10)
    r.buy(on(4, "16:06:40"), "large-2", opening("wmt"), WMT, 10, "1.60")
    r.quote(on(4, "16:10:00"), BMY, "1.61", "1.66")
    r.quote(on(4, "16:10:00"), WMT, "1.51", "1.56")
    r.sell(on(4, "16:10:59"), "leg-1", "bracket-leg-of-bmy", BMY, 10, "1.61")
    r.sell(on(4, "16:11:00"), "leg-2", "bracket-leg-of-wmt", WMT, 10, "1.51")
    return r


def r01_one_ms() -> Recording:
    """The same with one millisecond between entry and exit."""
    r = Recording()
    opened = on(4, "16:06:39")
    r.quote(on(4, "16:06:30"), BMY, "1.64", "1.69")
    r.recommend(on(4, "16:06:38"), "bmy", BMY, 10)
    r.buy(opened, "large-1", opening("bmy"), BMY, 10, "1.69")
    r.sell(opened + MS, "leg-1", None, BMY, 10, "1.61")
    return r


#: Underlying, expiration and strike as a symbol's tail, dollars that ten contracts cost (over_trading_2026-02-03.csv).
BURST = (
    ("MSFT", "260220P00400000", 7200),
    ("CRM", "260220P00200000", 6700),
    ("META", "260220P00700000", 17100),
    ("AVGO", "260220P00330000", 14400),
    ("AMD", "260220P00240000", 12550),
    ("AAPL", "260220P00270000", 3050),
    ("QCOM", "260220P00145000", 8450),
    ("QCOM", "260227P00145000", 8050),
    ("GOOGL", "260220P00340000", 12750),
    ("NVDA", "260220P00180000", 5750),
    ("ORCL", "260220P00155000", 8450),
    ("INTC", "260220P00049500", 1640),
)
#: What passes when the brokerage is slow, by the row's number: it is what fits, in order.
BURST_FITS = {10: (1, 12), 1: (1, 2, 3, 4, 5)}


def r03(contracts: int) -> Recording:
    """Twelve recommendations at once; what was approved fills ten minutes later."""
    r, start = Recording(), on(3, "17:29:00")
    for root, tail, usd in BURST:
        ask = Decimal(usd) / 1000
        r.quote(start - 5 * SECOND, root + tail, f"{ask - Decimal('0.10'):.2f}", f"{ask:.2f}")
    for number, (root, tail, _) in enumerate(BURST, start=1):
        r.recommend(start, f"burst-{number:02d}", root + tail, contracts)
    for place, number in enumerate(BURST_FITS[contracts], start=1):
        root, tail, usd = BURST[number - 1]
        price = f"{Decimal(usd) / 1000:.2f}"
        name = opening(f"burst-{number:02d}")
        r.buy(start + 10 * MINUTE, f"large-{place}", name, root + tail, contracts, price)
    return r


SPY_CALL, MSFT_PUT = "SPY260220C00690000", "MSFT260220P00400000"


def r05() -> Recording:
    """Two vocabularies for one account: recommendations and an execution that say large-100k, one that says large."""
    r, at = Recording(), on(3, "17:00:00")
    r.quote(at, SPY_CALL, "4.90", "5.00")
    r.recommend(at + SECOND, "stranger", SPY_CALL, 1, accounts=(AccountName("large-100k"),))
    r.recommend(at + 2 * SECOND, "half-a-stranger", SPY_CALL, 1, accounts=(TINY, AccountName("large-100k")))
    r.buy(at + 3 * SECOND, "elsewhere-1", None, SPY_CALL, 1, "5.00", account=AccountName("large-100k"))
    r.recommend(at + 4 * SECOND, "known", SPY_CALL, 1)
    r.buy(at + 5 * SECOND, "large-1", opening("known"), SPY_CALL, 1, "5.00")
    return r


AMZN = "AMZN260220C00240000"


def r18() -> Recording:
    """The same symbol in the same second in both accounts; one leaves by a SELL, one at its target."""
    r, at = Recording(), on(3, "15:00:00")
    r.quote(at, AMZN, "4.95", "5.00")
    r.recommend(at + SECOND, "amzn", AMZN, 1, accounts=(LARGE, TINY))
    r.buy(at + 2 * SECOND, "large-1", opening("amzn"), AMZN, 1, "5.00")
    r.buy(at + 2 * SECOND, "tiny-1", opening("amzn", TINY), AMZN, 1, "4.99", account=TINY)
    r.recommend(at + 60 * SECOND, "amzn-sell", AMZN, 1, action=Action.SELL)
    r.sell(at + 61 * SECOND, "large-2", closing("amzn"), AMZN, 1, "4.95")
    r.quote(at + 40 * MINUTE, AMZN, "9.10", "9.20")
    r.sell(at + 40 * MINUTE + SECOND, "tiny-2", closing("amzn", account=TINY), AMZN, 1, "9.10", account=TINY)
    return r


#: The eight positions whose underlying was sold short instead of the contract (unintended_shorts_2026-02-03.csv).
SHORTED = tuple(
    f"{root}{tail}"
    for root, tail in (
        ("CRM", "260227P00200000"),
        ("GOOGL", "260220C00340000"),
        ("META", "260220P00700000"),
        ("NOW", "260220P00110000"),
        ("ORCL", "260213C00155000"),
        ("QCOM", "260220P00145000"),
        ("QCOM", "260227P00150000"),
        ("SPY", "260220C00690000"),
    )
)


def r21() -> Recording:
    """Eight option positions that lose half and are closed."""
    r, at = Recording(), on(3, "15:00:00")
    for symbol in SHORTED:
        r.quote(at, symbol, "1.95", "2.00")
    for number, symbol in enumerate(SHORTED, start=1):
        r.recommend(at + number * SECOND, f"rec-{number}", symbol, 10)
        r.buy(at + number * SECOND, f"large-{number}", opening(f"rec-{number}"), symbol, 10, "2.00")
    for number, symbol in enumerate(SHORTED, start=1):
        order = f"large-{number + len(SHORTED)}"
        r.quote(at + 5 * MINUTE + number * SECOND, symbol, "0.95", "1.00")
        r.sell(at + 5 * MINUTE + number * SECOND, order, closing(f"rec-{number}"), symbol, 10, "0.95")
    return r


def one_position() -> Recording:
    """Ten contracts at 7.20, and nothing else: what R22 and R23 then try to close."""
    r, at = Recording(), on(3, "15:00:00")
    r.quote(at, MSFT_PUT, "7.10", "7.20")
    r.recommend(at + SECOND, "msft", MSFT_PUT, 10)
    r.buy(at + 2 * SECOND, "large-1", opening("msft"), MSFT_PUT, 10, "7.20")
    return r


def r21_stock() -> Recording:
    """A share position beside the option position in the same underlying."""
    r, at = Recording(), on(3, "15:00:00")
    r.quote(at, "ORCL", "160.40", "160.50")
    r.quote(at, "ORCL260213C00155000", "1.95", "2.00")
    r.recommend(at + SECOND, "share", "ORCL", 5)
    r.buy(at + SECOND, "large-1", opening("share"), "ORCL", 5, "160.50")
    r.recommend(at + 2 * SECOND, "contract", "ORCL260213C00155000", 10)
    r.buy(at + 2 * SECOND, "large-2", opening("contract"), "ORCL260213C00155000", 10, "2.00")
    r.quote(at + 5 * MINUTE, "ORCL260213C00155000", "0.95", "1.00")
    r.sell(at + 5 * MINUTE, "large-3", closing("contract"), "ORCL260213C00155000", 10, "0.95")
    return r


def l01() -> Recording:
    """$7,200, then what is $10 too much, then what fits to the dollar; a better fill makes room for $100."""
    r, at = Recording(), on(3, "15:00:00")
    other, third, small = "SPY260220C00690000", "QCOM260220P00145000", "INTC260220P00049500"
    r.quote(at, MSFT_PUT, "7.10", "7.20")
    r.quote(at, other, "2.75", "2.80")
    r.quote(at, third, "2.76", "2.81")
    r.quote(at, small, "0.95", "1.00")
    r.recommend(at + SECOND, "first", MSFT_PUT, 10)
    r.recommend(at + 2 * SECOND, "ten-too-much", third, 10)
    r.recommend(at + 3 * SECOND, "to-the-dollar", other, 10)
    r.buy(at + 4 * SECOND, "large-1", opening("first"), MSFT_PUT, 10, "7.10")
    r.recommend(at + 5 * SECOND, "a-hundred-freed", small, 1)
    return r


def l05() -> Recording:
    """An order of four contracts, accepted at once and filled only minutes later."""
    r, at = Recording(), on(3, "15:00:00")
    r.quote(at, MSFT_PUT, "7.10", "7.20")
    r.recommend(at + SECOND, "slow", MSFT_PUT, 4)
    r.quote(at + MINUTE, MSFT_PUT, "7.00", "7.30")
    r.buy(at + 3 * MINUTE, "large-1", opening("slow"), MSFT_PUT, 4, "7.15")
    return r


def l08() -> Recording:
    """Bought, then sold by our own close: the sale comes twice, from the socket and from a REST catch-up."""
    r, at = Recording(), on(3, "15:00:00")
    r.quote(at, MSFT_PUT, "7.10", "7.20")
    r.recommend(at + SECOND, "msft", MSFT_PUT, 10)
    r.buy(at + 2 * SECOND, "large-1", opening("msft"), MSFT_PUT, 10, "7.20")
    r.quote(at + 5 * MINUTE, MSFT_PUT, "3.50", "3.60")
    r.sell(at + 5 * MINUTE, "large-2", closing("msft"), MSFT_PUT, 4, "3.50")
    r.sell(at + 5 * MINUTE + SECOND, "large-2", closing("msft"), MSFT_PUT, 6, "3.45", cum_qty=10)
    r.sell(at + 5 * MINUTE, "large-2", None, MSFT_PUT, 4, "3.50", id="rest-4", execution_id=None)
    r.sell(at + 5 * MINUTE + SECOND, "large-2", None, MSFT_PUT, 6, "3.45", cum_qty=10, id="rest-10", execution_id=None)
    return r


def l09() -> Recording:
    """Six of ten filled; the rest is canceled by our own time limit (the test lets a minute pass)."""
    r, at = Recording(), on(3, "15:00:00")
    r.quote(at, MSFT_PUT, "7.10", "7.20")
    r.recommend(at + SECOND, "partly", MSFT_PUT, 10)
    r.buy(at + 2 * SECOND, "large-1", opening("partly"), MSFT_PUT, 6, "7.20")
    return r


def l10() -> Recording:
    """Ten at 7.20 of ours, then five at 8.00 that somebody buys by hand in the same contract."""
    r = one_position()
    r.buy(on(3, "15:10:00"), "by-hand-1", "a-person", MSFT_PUT, 5, "8.00")
    return r


MADE = {
    "R01": r01,
    "R01_one_ms": r01_one_ms,
    "R03": lambda: r03(10),
    "R03_tenth": lambda: r03(1),
    "R05": r05,
    "R18": r18,
    "R21": r21,
    "R21_stock": r21_stock,
    "R22": one_position,
    "L01": l01,
    "L05": l05,
    "L08": l08,
    "L09": l09,
    "L10": l10,
}


def main() -> None:
    FIXTURES.mkdir(exist_ok=True)
    for name, made in MADE.items():
        (FIXTURES / f"{name}.jsonl").write_text(made().text())


if __name__ == "__main__":
    main()
