"""Section 0: the intent of an order follows from the account's own book."""

import pytest
from alpaca.trading.enums import PositionIntent
from alpaca.trading.requests import (
    LimitOrderRequest,
    ReplaceOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
)

from tests.conformance.clients import Alpaca, refusal, wait_for
from tests.paper.days import CALL, LAST_DAY_CALL, PUT, STOCK

MISMATCH = "position intent mismatch, inferred: {}, specified: {}"


def flat_close(inferred="sell_to_open", specified="sell_to_close"):
    """The answer to a close of what is not held."""
    return 422, 42210000, MISMATCH.format(inferred, specified)


@pytest.mark.parametrize(
    ("held", "side", "intent"),
    [
        (0, "buy", "buy_to_open"),
        (2, "buy", "buy_to_open"),
        (-2, "buy", "buy_to_close"),
        (2, "sell", "sell_to_close"),
        (0, "sell", "sell_to_open"),
        (-2, "sell", "sell_to_open"),
    ],
)
@pytest.mark.parametrize("symbol", [STOCK, PUT])
def test_the_intent_is_inferred_from_side_and_position(paper, symbol, held, side, intent):
    """In exactly that symbol, for shares and for options."""
    margin = Alpaca(paper, "margin")
    paper.quote(PUT, "0.40", "0.50")
    if held:
        margin.market(symbol, "buy" if held > 0 else "sell", abs(held))

    assert PositionIntent(intent) == margin.market(symbol, side).position_intent


@pytest.mark.parametrize("symbol", [STOCK, CALL])
@pytest.mark.parametrize(("side", "opens", "closes"), [
    ("sell", "sell_to_open", "sell_to_close"), ("buy", "buy_to_open", "buy_to_close"),
])  # fmt: skip
def test_a_stated_intent_that_differs_is_a_mismatch(alpaca, symbol, side, opens, closes):
    """While flat neither side can close, in shares no more than in options; nothing is booked."""
    assert flat_close(opens, closes) == refusal(alpaca.market, symbol, side, position_intent=closes)
    assert [] == alpaca.trading.get_orders()


def test_a_patch_of_an_option_stop_can_mismatch(paper, alpaca):
    """It was to open a long; the account has become short behind our back, and moving it is refused."""
    stop = alpaca.trading.submit_order(
        StopOrderRequest(symbol=PUT, qty=1, side="buy", time_in_force="day", stop_price=0.9)
    )
    paper.control("POST", "/book", account="large", do="open", symbol=PUT, qty=-1, price="0.50")

    answer = refusal(alpaca.trading.replace_order_by_id, stop.id, ReplaceOrderRequest(stop_price=0.95))

    assert flat_close("buy_to_close", "buy_to_open") == answer


def test_an_explicit_close_is_accepted_while_the_long_exists(alpaca):
    """And is the form that is refused instead of opening a short, once the long is gone."""
    alpaca.market(CALL, "buy", 2)

    closed = alpaca.market(CALL, "sell", 2, position_intent="sell_to_close")

    assert PositionIntent.SELL_TO_CLOSE == closed.position_intent
    assert flat_close() == refusal(alpaca.market, CALL, "sell", 2, position_intent="sell_to_close")


def test_the_effective_intent_is_in_every_order(alpaca):
    """In replies, in events and in the legs of a bracket, whether it was stated or not."""
    with alpaca.updates() as heard:
        option = alpaca.market(CALL, "buy")
        bracket = alpaca.market(
            STOCK,
            "buy",
            order_class="bracket",
            take_profit=TakeProfitRequest(limit_price=110),
            stop_loss=StopLossRequest(stop_price=95),
        )
        wait_for(lambda: len(heard) >= 8)

    opening, closing = PositionIntent.BUY_TO_OPEN, PositionIntent.SELL_TO_CLOSE
    assert [opening, opening] == [order.position_intent for order in (option, bracket)]
    assert [closing, closing] == [leg.position_intent for leg in bracket.legs]
    assert {(CALL, opening), (STOCK, opening), (STOCK, closing)} == {
        (update.order.symbol, update.order.position_intent) for update in heard
    }


def closed(paper, alpaca):
    alpaca.market(CALL, "buy")
    alpaca.trading.close_position(CALL)


def expired(paper, alpaca):
    alpaca.market(CALL, "buy")
    paper.control("POST", "/book", account="large", do="expire", symbol=CALL)


def exercised(paper, alpaca):
    alpaca.market(CALL, "buy")
    alpaca.trading.exercise_options_position(CALL)


def only_accepted(paper, alpaca):
    alpaca.limit(CALL, "buy", 0.5)


def another_account(paper, alpaca):
    Alpaca(paper, "margin").market(CALL, "buy")


def second_closer(paper, alpaca):
    alpaca.market(CALL, "buy")
    paper.control("POST", "/close", account="large", symbol=CALL, qty=1, kind="liquidation")


@pytest.mark.parametrize("before", [closed, expired, exercised, only_accepted, another_account, second_closer])
def test_a_close_mismatches_when_nothing_is_held(paper, alpaca, before):
    """Closed, expired or exercised; not filled yet; another account's; or somebody else was faster."""
    before(paper, alpaca)

    assert flat_close() == refusal(alpaca.market, CALL, "sell", position_intent="sell_to_close")


def test_a_close_of_the_wrong_symbol_mismatches(alpaca):
    """The underlying, or another contract, is not what is held."""
    alpaca.market(CALL, "buy", 2)

    for symbol in (STOCK, LAST_DAY_CALL):
        assert flat_close() == refusal(alpaca.market, symbol, "sell", position_intent="sell_to_close")


def test_closing_by_delete_cannot_open(alpaca):
    """It carries no intent, takes side and quantity from the position, and is a 404 while flat."""
    alpaca.market(CALL, "buy", 2)
    made = alpaca.trading.close_position(CALL)

    assert ("sell", PositionIntent.SELL_TO_CLOSE, "2") == (made.side.value, made.position_intent, made.qty)
    assert (404, 40410000, f"position not found: {CALL}") == refusal(alpaca.trading.close_position, CALL)
    assert [] == alpaca.trading.get_all_positions()


def test_without_an_intent_a_close_while_flat_has_three_outcomes(paper, alpaca):
    """A put that the cash does not secure and a naked call are refused; a secured put becomes an accidental short."""
    tiny = Alpaca(paper, "tiny")
    paper.quote(PUT, "0.40", "0.50")
    put = {"symbol": PUT, "side": "sell", "qty": 1, "time_in_force": "day", "limit_price": 0.3}

    secured = "insufficient options buying power for cash-secured put (required: 10000, available: 2000)"
    assert (403, 40310000, secured) == refusal(tiny.trading.submit_order, LimitOrderRequest(**put))
    uncovered = "account not eligible to trade uncovered option contracts"
    assert (403, 40310000, uncovered) == refusal(alpaca.market, CALL, "sell")
    assert PositionIntent.SELL_TO_OPEN == alpaca.trading.submit_order(LimitOrderRequest(**put)).position_intent
    assert ["-1"] == [position.qty for position in alpaca.trading.get_all_positions()]
