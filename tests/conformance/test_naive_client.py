"""What the old system sent on 3 February, sent again by a client that knows no better: R21 to R24 happen by themselves.

No fault is armed and no answer is told to the server: it keeps its book, and the book refuses or obliges.
"""

# ruff: noqa: N802 - a test is named after its row

from pathlib import Path

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.requests import MarketOrderRequest

from tests.conformance.clients import Alpaca, refusal
from tests.paper.days import a_contract, write_day

#: The eight contracts of R21 and how many of each; the report counts the shares of five tickers only.
HELD = {
    "CRM260227P00200000": 11,
    "GOOGL260220C00340000": 10,
    "META260220P00700000": 1,
    "NOW260220P00110000": 10,
    "ORCL260213C00155000": 12,
    "QCOM260220P00145000": 5,
    "QCOM260227P00150000": 1,
    "SPY260220C00690000": 1,
}
#: R23: ten of it at 110 are the $110,000 of the report.
PUT = "NOW260220P00110000"


class OldSystem:
    """The old dispatcher and position manager, as far as the brokerage saw them."""

    def __init__(self, url: str, account: str) -> None:
        self.client = TradingClient(account, "paper", paper=True, url_override=url)

    def enter(self, contract: str, qty: int):
        """R24: an option order without an intent."""
        return self._send(contract, qty, "buy")

    def close_ticker(self, contract: str, qty: int):
        """R21: sell the ticker of the position instead of its contract."""
        return self._send(contract[:-15], qty, "sell")

    def close_stating_intent(self, contract: str, qty: int):
        """R22: the right contract, and an explicit intent."""
        return self._send(contract, qty, "sell", position_intent="sell_to_close")

    def close_without_intent(self, contract: str, qty: int):
        """R23: the same with the intent left out, as a cure for R22."""
        return self._send(contract, qty, "sell")

    def _send(self, symbol: str, qty: int, side: str, **more):
        order = MarketOrderRequest(symbol=symbol, qty=qty, side=side, time_in_force="day", **more)
        return self.client.submit_order(order)


@pytest.fixture
def paper(a_paper, tmp_path: Path):
    """The contracts of the day, an account that may sell short, and one with the cash of R23."""
    symbols = list(HELD)
    day = write_day(
        tmp_path / "third_of_february",
        contracts=[a_contract(symbol) for symbol in symbols],
        quotes=[("14:30:59.999", symbol, "5.00", "5.10") for symbol in symbols],
        underlying=[("14:30:59.999", root, "149.90", "150.10") for root in sorted({s[:-15] for s in symbols})],
        trades=[],
    )
    return a_paper("--account", "margin=1000000,shorting", "--account", "large=46296", days=(day,))


@pytest.fixture
def old(paper):
    """The old system with its keys, by account."""
    return lambda account: OldSystem(paper.said["rest"], account)


def held(paper, account):
    return {position["symbol"]: int(position["qty"]) for position in paper.get("/v2/positions", account)}


def test_R21_selling_the_ticker_leaves_the_options_and_makes_shorts(paper, old):
    """Eight closes of tickers: every option is still there, and every ticker is short."""
    system = old("margin")
    for contract, qty in HELD.items():
        system.enter(contract, qty)

    closes = [system.close_ticker(contract, qty) for contract, qty in HELD.items()]

    assert ["sell_to_open"] * 8 == [order.position_intent for order in closes]
    shorts = {"CRM": -11, "GOOGL": -10, "META": -1, "NOW": -10, "ORCL": -12, "QCOM": -6, "SPY": -1}
    assert HELD | shorts == held(paper, "margin")


def test_R21_an_account_that_may_not_short_is_refused(paper, old):
    """The same mistake without the damage, and without the close."""
    system = old("large")
    system.enter("META260220P00700000", 1)

    answer = refusal(system.close_ticker, "META260220P00700000", 1)

    assert (403, 40310000, "account is not allowed to short") == answer
    assert {"META260220P00700000": 1} == held(paper, "large")


@pytest.mark.parametrize("holder", ["margin", None])
def test_R22_an_explicit_close_of_what_this_account_does_not_hold_mismatches(paper, old, holder):
    """Another account holds it, or nobody: the brokerage infers an opening."""
    if holder is not None:
        old(holder).enter(PUT, 10)

    answer = refusal(old("large").close_stating_intent, PUT, 10)

    assert (422, 42210000, "position intent mismatch, inferred: sell_to_open, specified: sell_to_close") == answer


def test_R22_the_same_order_closes_what_is_held(paper, old):
    """The explicit intent was never forbidden."""
    old("margin").enter(PUT, 10)

    old("margin").close_stating_intent(PUT, 10)

    assert {} == held(paper, "margin")


def test_R23_the_cure_is_refused_for_collateral(paper, old):
    """Without its intent the close of a put that is not held is an opening, and costs what the report says."""
    answer = refusal(old("large").close_without_intent, PUT, 10)

    required = "(required: 110000, available: 46296)"
    assert (403, 40310000, f"insufficient options buying power for cash-secured put {required}") == answer


def test_R23_with_enough_cash_the_cure_opens_a_short(paper, old):
    """Nobody refuses, and the position that was to be closed is now a short one."""
    order = old("margin").close_without_intent(PUT, 9)

    assert "sell_to_open" == order.position_intent
    assert {PUT: -9} == held(paper, "margin")


def test_R24_an_entry_without_intent_is_what_the_book_makes_of_it(paper, old):
    """The same order opens a long while flat and closes while short; only a stated intent tells the difference."""
    margin, trader = old("margin"), Alpaca(paper, "margin")
    opened = margin.enter("META260220P00700000", 1)
    margin.close_without_intent(PUT, 2)

    closed = margin.enter(PUT, 1)

    assert ("buy_to_open", "buy_to_close") == (opened.position_intent, closed.position_intent)
    assert {"META260220P00700000": 1, PUT: -1} == held(paper, "margin")
    mismatch = "position intent mismatch, inferred: buy_to_close, specified: buy_to_open"
    assert (422, 42210000, mismatch) == refusal(trader.market, PUT, "buy", position_intent="buy_to_open")
