"""Option chains: the list of contracts and the snapshots, page by page, from the local Alpaca and from the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from brokerage import alpaca_rest
from brokerage.alpaca_rest import AlpacaBrokerage
from brokerage.budget import RateBudget
from brokerage.port import BrokerageUnavailable
from domain.contracts import ChainRange, Greeks
from domain.instrument import Kind
from tests.brokerage.local_paper import CALL, CALLS, LARGE, PUTS, STOCK, Paper, a_paper

RANGE = ChainRange(
    underlying=STOCK,
    kind=Kind.CALL,
    first=date(2026, 3, 10),
    last=date(2026, 3, 31),
    lowest=Decimal(98),
    highest=Decimal("102.00"),
)
NEAR = [f"ACME260320C{strike:05d}000" for strike in range(98, 103)]


@pytest.fixture
def paper(tmp_path: Path) -> Iterator[Paper]:
    with a_paper(tmp_path) as running:
        yield running


@pytest.fixture
def large(paper: Paper) -> Iterator[AlpacaBrokerage]:
    brokerage = AlpacaBrokerage(LARGE, paper.urls, 5, RateBudget().entries)
    yield brokerage
    brokerage.close()


@pytest.mark.parametrize("per_page", [1, 2, 5, 6])
def test_a_part_of_the_chain_is_read_page_by_page(
    paper: Paper, large: AlpacaBrokerage, per_page: int, monkeypatch: pytest.MonkeyPatch
):
    """Calls with strikes from 98 to 102, both included, however many stand on a page; puts are another question."""
    monkeypatch.setattr(alpaca_rest, "CONTRACTS_PER_PAGE", per_page)
    monkeypatch.setattr(alpaca_rest, "SNAPSHOTS_PER_PAGE", per_page)
    puts = replace(RANGE, kind=Kind.PUT)

    assert NEAR == [contract.symbol for contract in large.contracts(RANGE)]
    assert NEAR == list(large.chain(RANGE))
    assert [s for s in PUTS if s.replace("P", "C", 1) in NEAR] == list(large.chain(puts))


def test_a_listed_contract_says_what_it_is(large: AlpacaBrokerage):
    """Strike, expiration, multiplier and the penny programme; the open interest that nobody states is no zero."""
    [contract] = large.contracts(replace(RANGE, lowest=Decimal(100), highest=Decimal(100)))

    assert large.contract(CALL) == contract
    assert (CALL, STOCK, Kind.CALL, 100, Decimal(100), date(2026, 3, 20), True, None) == (
        contract.symbol,
        contract.underlying,
        contract.kind,
        contract.multiplier,
        contract.strike,
        contract.expiration,
        contract.tradable,
        contract.open_interest,
    )


def test_a_snapshot_of_the_local_alpaca_has_its_quote(large: AlpacaBrokerage):
    """The quote is that of the latest quotes; without Greeks in the feed each of them is unknown."""
    snapshot = large.chain(RANGE)[CALL]

    assert large.quotes([CALL])[CALL] == snapshot.quote
    assert Greeks(delta=None, gamma=None, theta=None, vega=None) == snapshot.greeks


def test_a_snapshot_carries_the_greeks_that_were_told(paper: Paper, large: AlpacaBrokerage):
    """Exact decimals; what nobody told stays unknown."""
    paper.greeks(CALL, theta="-0.1512")

    [snapshot] = large.snapshots([CALL]).values()

    assert Greeks(delta=None, gamma=None, theta=Decimal("-0.1512"), vega=None) == snapshot.greeks


def test_snapshots_are_asked_for_by_name_a_hundred_at_a_time(paper: Paper, large: AlpacaBrokerage):
    """More symbols than one request may name; a stock has no snapshot here, and an unknown contract is missing."""
    wanted = [*CALLS, *PUTS, *CALLS, STOCK, "ACME260320C09999000"]

    assert set(CALLS + PUTS) == set(large.snapshots(wanted))
    assert {} == large.snapshots([STOCK])


def test_an_empty_part_of_the_chain_is_empty(large: AlpacaBrokerage):
    """Nothing is listed there: an answer, no error."""
    nowhere = replace(RANGE, lowest=Decimal(5000), highest=Decimal(6000))

    assert ([], {}) == (list(large.contracts(nowhere)), dict(large.chain(nowhere)))


def test_a_chain_that_cannot_be_read_is_unavailable(paper: Paper, large: AlpacaBrokerage):
    """A page that fails takes the whole chain with it: half a chain would choose as if it were all."""
    paper.fault(do="status", status=503, path="/v1beta1/options/snapshots/ACME")

    with pytest.raises(BrokerageUnavailable):
        large.chain(RANGE)


QUOTE = {
    "ap": 5.10,
    "as": 3,
    "ax": "A",
    "bp": 5.00,
    "bs": 7,
    "bx": "B",
    "c": "A",
    "t": "2026-03-10T15:30:00.123456789Z",
}
TRADE = {"p": 5.05, "s": 1, "t": "2026-03-10T15:29:59Z", "x": "A", "c": "I"}
BAR = {"o": 4, "h": 6, "l": 4, "c": 5, "n": 120, "vw": 5.01, "v": 850, "t": "2026-03-10T04:00:00Z"}
GREEKS = {"delta": 0.48, "gamma": 0.0213, "rho": 0.02, "theta": -0.1512, "vega": 0.31}
SHAPE = {"latestQuote": QUOTE, "latestTrade": TRADE, "dailyBar": BAR, "greeks": GREEKS, "impliedVolatility": 0.33}


def seen(wire: Any, alpaca: AlpacaBrokerage, say: Callable[..., Any], body: Any) -> Any:
    wire.say("GET", "/v1beta1/options/snapshots/ACME", say({"snapshots": {CALL: body}, "next_page_token": None}))
    return alpaca.chain(RANGE).get(CALL)


def test_the_documented_snapshot_is_read_whole(wire, alpaca, say):
    """Quote, the day's volume with its day in New York, and Greeks as exact decimals."""
    snapshot = seen(wire, alpaca, say, SHAPE)

    assert (Decimal("5.00"), Decimal("5.10")) == (snapshot.quote.bid, snapshot.quote.ask)
    assert datetime(2026, 3, 10, 15, 30, 0, 123456, tzinfo=UTC) == snapshot.quote.at
    assert (850, date(2026, 3, 10)) == (snapshot.volume, snapshot.volume_on)
    assert (
        Greeks(delta=Decimal("0.48"), gamma=Decimal("0.0213"), theta=Decimal("-0.1512"), vega=Decimal("0.31"))
        == snapshot.greeks
    )


@pytest.mark.parametrize("missing", SHAPE)
def test_what_a_snapshot_leaves_out_is_unknown(wire, alpaca, say, missing: str):
    """Each part may be missing, or null: None, never zero."""
    for body in ({k: v for k, v in SHAPE.items() if k != missing}, SHAPE | {missing: None}):
        snapshot = seen(wire, alpaca, say, body)
        found = {
            "latestQuote": snapshot.quote,
            "dailyBar": snapshot.volume,
            "greeks": snapshot.greeks.delta,
        }
        assert {k: v is None for k, v in found.items()} == {k: k == missing for k in found}


def test_a_snapshot_of_another_shape_does_not_take_the_chain_with_it(wire, alpaca, say):
    """One unreadable contract is left out; the others are read."""
    other = CALL.replace("00100000", "00101000")
    body = {"snapshots": {CALL: SHAPE | {"dailyBar": BAR | {"v": "many"}}, other: SHAPE}, "next_page_token": None}
    wire.say("GET", "/v1beta1/options/snapshots/ACME", say(body))

    assert [other] == list(alpaca.chain(RANGE))


def test_the_next_page_is_asked_for_by_its_token(wire, alpaca, say):
    """The same question with the token; the feed is named in each."""
    pages = [{"snapshots": {CALL: SHAPE}, "next_page_token": "more"}, {"snapshots": {}, "next_page_token": ""}]
    wire.say("GET", "/v1beta1/options/snapshots/ACME", *map(say, pages))
    alpaca.chain(RANGE)
    first, second = (seen.query for seen in wire.seen)

    assert {"page_token": "more", **first} == second
    assert ("indicative", "call", "98", "102", "2026-03-10", "2026-03-31") == tuple(
        first[key]
        for key in (
            *("feed", "type", "strike_price_gte", "strike_price_lte"),
            *("expiration_date_gte", "expiration_date_lte"),
        )
    )


def test_pages_without_end_are_no_answer(wire, alpaca, say):
    """A token that leads to itself, or a listing that goes on and on, is given up."""
    page = {"option_contracts": [], "next_page_token": "again"}
    wire.say("GET", "/v2/options/contracts", say(page))
    with pytest.raises(BrokerageUnavailable, match="again"):
        alpaca.contracts(RANGE)
    assert 2 == len(wire.seen)


def test_open_interest_comes_with_its_day(wire, alpaca, say):
    """The number of the evening before, with the date that it is of; null is unknown."""
    contract = {
        "symbol": CALL,
        "underlying_symbol": "ACME",
        "type": "call",
        "multiplier": "100",
        "strike_price": "100",
        "expiration_date": "2026-03-20",
        "tradable": True,
        "status": "active",
        "ppind": True,
    }
    stated = contract | {"open_interest": "237", "open_interest_date": "2026-03-09"}
    silent = contract | {"open_interest": None, "open_interest_date": None, "ppind": None}
    wire.say("GET", "/v2/options/contracts", say({"option_contracts": [stated, silent], "next_page_token": None}))
    first, second = alpaca.contracts(RANGE)

    assert (237, date(2026, 3, 9), True) == (first.open_interest, first.open_interest_on, first.penny)
    assert (None, None, None) == (second.open_interest, second.open_interest_on, second.penny)
