"""AlpacaBrokerage against the local Alpaca: an order's life, a book's truth, and faults after the accept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from time import sleep

import pytest

from brokerage.alpaca_rest import AlpacaBrokerage
from brokerage.budget import RateBudget
from brokerage.endpoints import Keys
from brokerage.port import (
    DuplicateClientOrderId,
    IntentMismatch,
    NotAuthorized,
    NotCancelable,
    OrderRejected,
    OrderRequest,
    OutcomeUnknown,
)
from brokerage.submit import place
from domain.events import Intent, OrderType, Side
from domain.instrument import Kind
from domain.session import Session
from tests.brokerage.local_paper import CALL, LARGE, STOCK, Paper, a_paper


@pytest.fixture
def paper(tmp_path: Path) -> Iterator[Paper]:
    with a_paper(tmp_path) as running:
        yield running


@pytest.fixture
def large(paper: Paper) -> Iterator[AlpacaBrokerage]:
    brokerage = AlpacaBrokerage(LARGE, paper.urls, 0.5, RateBudget().entries)
    yield brokerage
    brokerage.close()


def buy(n: int = 1, qty: int = 2, limit: str = "3.30", symbol: str = CALL) -> OrderRequest:
    return OrderRequest(
        client_order_id=f"large-{n}",
        symbol=symbol,
        side=Side.BUY,
        intent=Intent.BUY_TO_OPEN,
        qty=qty,
        type=OrderType.LIMIT,
        limit_price=Decimal(limit),
    )


def sell(n: int, qty: int) -> OrderRequest:
    return OrderRequest(
        client_order_id=f"large-{n}",
        symbol=CALL,
        side=Side.SELL,
        intent=Intent.SELL_TO_CLOSE,
        qty=qty,
        type=OrderType.MARKET,
        limit_price=None,
    )


def test_an_order_is_filled_and_held(paper, large):
    """Bought at the ask: the order, the position and the execution say the same."""
    sent = large.submit(buy())
    order, position = large.order(sent.broker_order_id), large.position(CALL)
    [execution] = large.executions(datetime(2026, 3, 10, tzinfo=UTC))

    assert ("filled", 2, True) == (order.status, order.filled_qty, order.ended)
    assert (2, 2, Decimal("3.30")) == (position.qty, position.available_qty, position.entry_price)
    assert (order.broker_order_id, CALL, Side.BUY, 2, Decimal("3.30"), 2) == (
        execution.broker_order_id,
        execution.symbol,
        execution.side,
        execution.qty,
        execution.price,
        execution.cum_qty,
    )
    assert [position] == large.positions()


def test_an_open_order_is_found_by_both_names_and_canceled(paper, large):
    """Below the market it rests; its cancel is final; a second cancel says that it ended."""
    sent = large.submit(buy(limit="3.00"))
    assert [sent.broker_order_id] == [o.broker_order_id for o in large.open_orders()]
    assert sent.broker_order_id == large.order_by_client_id("large-1").broker_order_id

    large.cancel(sent.broker_order_id)

    assert "canceled" == large.order(sent.broker_order_id).status
    assert [] == large.open_orders()
    with pytest.raises(NotCancelable):
        large.cancel(sent.broker_order_id)
    with pytest.raises(NotCancelable):
        large.cancel("00000000-0000-0000-0000-000000000000")


def test_a_client_order_id_is_good_for_one_order(paper, large):
    """The second submission with the same id is refused, and adopts the first when placed."""
    first = large.submit(buy(limit="3.00"))

    with pytest.raises(DuplicateClientOrderId):
        large.submit(buy(limit="3.00"))
    assert first.broker_order_id == place(large, buy(limit="3.00"), sleep).broker_order_id


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "hang", "seconds": 2},
        {"do": "reset"},
        {"do": "status", "status": 504},
        {"do": "status", "status": 502},
        {"do": "status", "status": 500},
    ],
)
def test_an_order_that_was_taken_without_an_answer_is_adopted(paper, large, fault):
    """Whatever hides the answer: one order in the book, and its outcome known."""
    paper.fault(method="POST", path="/v2/orders", when="after", **fault)

    order = place(large, buy(), sleep)

    assert "filled" == order.status
    assert 2 == large.position(CALL).qty


def test_an_order_that_never_arrived_is_sent_again(paper, large):
    """The connection was cut before the order was read: absent, sent again, one order."""
    paper.fault(method="POST", path="/v2/orders", when="before", do="reset")

    place(large, buy(), lambda _: None)

    assert 2 == large.position(CALL).qty


def test_a_single_submission_does_not_guess(paper, large):
    """The plain call sends once and says that it does not know."""
    paper.fault(method="POST", path="/v2/orders", when="after", do="status", status=504)

    with pytest.raises(OutcomeUnknown):
        large.submit(buy())


def test_a_close_of_what_is_not_held_is_an_intent_mismatch(paper, large):
    """The broker would have opened a short: the stated intent refuses that."""
    with pytest.raises(IntentMismatch):
        large.submit(sell(2, 1))
    assert [] == large.positions()


def test_a_close_beyond_what_is_held_is_rejected(paper, large):
    """An order may not cross through zero; what is held stays held."""
    large.submit(buy())

    with pytest.raises(OrderRejected) as caught:
        large.submit(sell(2, 3))

    assert (OrderRejected, 403, "40310000") == (caught.type, caught.value.status, caught.value.code)
    assert 2 == large.position(CALL).qty


def test_a_close_takes_the_position_away(paper, large):
    """Sold at the bid: flat is None, and two executions in order of time."""
    large.submit(buy())
    paper.clock("13:31:00")
    large.submit(sell(2, 2))

    assert large.position(CALL) is None
    assert [Side.BUY, Side.SELL] == [e.side for e in large.executions(datetime(2026, 3, 10, tzinfo=UTC))]
    assert [Side.SELL] == [e.side for e in large.executions(datetime(2026, 3, 10, 13, 31, tzinfo=UTC))]


def test_more_executions_than_a_page(paper, large):
    """A hundred and three executions come in two pages, oldest first and each once."""
    for n in range(103):
        large.submit(buy(n, qty=1, limit="100.11", symbol=STOCK))

    executions = large.executions(datetime(2026, 3, 10, tzinfo=UTC))

    assert 103 == len({e.broker_order_id for e in executions}) == len(executions)
    assert executions == sorted(executions, key=lambda e: e.at)


def test_too_dear_an_order_is_rejected(paper, large):
    """Buying power is the broker's word."""
    with pytest.raises(OrderRejected, match="buying power"):
        large.submit(buy(qty=9999))


def test_quotes_of_both_kinds(paper, large):
    """Exact prices; a missing side is None; an unknown symbol is missing."""
    paper.quote(CALL, None, "3.35")

    quotes = large.quotes([CALL, STOCK, "NOPE"])

    assert {CALL, STOCK} == set(quotes)
    assert (None, Decimal("3.35"), 0) == (quotes[CALL].bid, quotes[CALL].ask, quotes[CALL].bid_size)
    assert (Decimal("100.07"), Decimal("100.11")) == (quotes[STOCK].bid, quotes[STOCK].ask)


def test_contracts_known_and_unknown(paper, large):
    """The contract as listed; one that nobody lists is None."""
    contract = large.contract(CALL)

    assert (CALL, STOCK, Kind.CALL, 100, Decimal(100), date(2026, 3, 20), True) == (
        contract.symbol,
        contract.underlying,
        contract.kind,
        contract.multiplier,
        contract.strike,
        contract.expiration,
        contract.tradable,
    )
    assert large.contract("ACME260320C00999000") is None
    assert (Kind.STOCK, 1) == (large.contract(STOCK).kind, large.contract(STOCK).multiplier)
    assert large.contract("NOPE") is None


def test_the_clock_and_the_sessions(paper, large):
    """The broker's clock in UTC; the recorded session with its own hours."""
    [session] = large.sessions(date(2026, 3, 10), date(2026, 3, 10))

    assert datetime(2026, 3, 10, 13, 30, 2, tzinfo=UTC) == large.now()
    assert (
        Session(
            day=date(2026, 3, 10),
            open=datetime(2026, 3, 10, 13, 30, tzinfo=UTC),
            close=datetime(2026, 3, 10, 20, 0, tzinfo=UTC),
        )
        == session
    )


def test_the_account(paper, large):
    """An open order binds buying power; money is Decimal."""
    before = large.account()
    large.submit(buy(limit="3.00"))

    assert (Decimal(100_000), False) == (before.cash_usd, before.trading_blocked)
    assert Decimal(600) == before.options_buying_power_usd - large.account().options_buying_power_usd


def test_wrong_keys_are_named(paper):
    """Trading and market data refuse differently; both mean: a person must act."""
    stranger = AlpacaBrokerage(Keys("large", "guess"), paper.urls, 0.5, RateBudget().entries)

    for question in (stranger.account, lambda: stranger.quotes([CALL]), lambda: stranger.submit(buy())):
        with pytest.raises(NotAuthorized):
            question()
    stranger.close()
