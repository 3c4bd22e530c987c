"""The intent of an order follows from the account's actual position: every row of the rule, and its refusals."""

import pytest

from tests.paper.days import CALL, LAST_DAY_CALL, PUT, STOCK

FLAT, LONG, SHORT = 0, 3, -3


def hold(paper, qty, symbol=STOCK):
    """Bring the margin account to a signed quantity."""
    if qty:
        status, body = paper.submit("margin", symbol=symbol, side="buy" if qty > 0 else "sell", qty=abs(qty))
        assert 200 == status, body


@pytest.mark.parametrize(
    ("held", "side", "intent"),
    [
        (FLAT, "buy", "buy_to_open"),
        (LONG, "buy", "buy_to_open"),
        (SHORT, "buy", "buy_to_close"),
        (FLAT, "sell", "sell_to_open"),
        (LONG, "sell", "sell_to_close"),
        (SHORT, "sell", "sell_to_open"),
    ],
)
def test_intent_is_inferred_from_the_position(paper, held, side, intent):
    """Without an intent, and with the right one, the order is taken and carries the inferred intent."""
    hold(paper, held)

    omitted = paper.submit("margin", symbol=STOCK, side=side)
    stated = paper.submit("margin", symbol=STOCK, side=side, position_intent=intent)

    assert [(200, intent), (200, intent)] == [(status, body["position_intent"]) for status, body in (omitted, stated)]


@pytest.mark.parametrize(
    ("held", "side", "stated", "inferred"),
    [
        (FLAT, "sell", "sell_to_close", "sell_to_open"),
        (FLAT, "buy", "buy_to_close", "buy_to_open"),
        (LONG, "sell", "sell_to_open", "sell_to_close"),
        (SHORT, "buy", "buy_to_open", "buy_to_close"),
        (SHORT, "sell", "sell_to_close", "sell_to_open"),
        (LONG, "buy", "sell_to_close", "buy_to_open"),
    ],
)
def test_a_wrong_intent_is_refused(paper, held, side, stated, inferred):
    """A stated intent that differs from the position's is a 422 that names both; nothing is booked."""
    hold(paper, held)

    answer = paper.submit("margin", symbol=STOCK, side=side, position_intent=stated)

    message = f"position intent mismatch, inferred: {inferred}, specified: {stated}"
    assert (422, {"code": 42210000, "message": message}) == answer


def test_an_option_mismatch_is_refused_alike(paper):
    """sell_to_close of a contract that is not held: the incident of 3 February."""
    answer = paper.submit(symbol=CALL, side="sell", position_intent="sell_to_close")

    message = "position intent mismatch, inferred: sell_to_open, specified: sell_to_close"
    assert (422, {"code": 42210000, "message": message}) == answer


def test_sell_to_close_is_accepted_while_the_long_exists(paper):
    """The safe form of a close."""
    paper.bought(CALL, 2)

    status, body = paper.submit(symbol=CALL, side="sell", qty=2, position_intent="sell_to_close")

    assert (200, "sell_to_close") == (status, body["position_intent"])
    assert [] == paper.get("/v2/positions")


@pytest.mark.parametrize("given", ["", "sell_to_flatten"])
def test_an_unknown_intent_is_refused(paper, given):
    """An empty intent is not an omitted one."""
    answer = paper.submit(symbol=CALL, side="sell", position_intent=given)

    assert (422, {"code": 40010001, "message": "invalid position_intent specified"}) == answer


def test_a_null_intent_is_inferred(paper):
    """null and absent are the same."""
    status, body = paper.submit(symbol=CALL, side="buy", position_intent=None)

    assert (200, "buy_to_open") == (status, body["position_intent"])


def test_selling_a_put_while_flat_is_taken_for_a_cash_secured_put(paper):
    """What an omitted intent did on 3 February: $10,000 a contract are required, and tiny has $2,000."""
    answer = paper.submit("tiny", symbol=PUT, side="sell")

    expected = {
        "code": 40310000,
        "message": "insufficient options buying power for cash-secured put (required: 10000, available: 2000)",
        "buying_power": "2000",
        "required_options_buying_power": "10000",
    }
    assert (403, expected) == answer


def test_selling_a_put_while_flat_with_enough_cash_opens_a_short(paper):
    """HTTP 200 and an accidental short: the outcome that only an explicit intent prevents."""
    paper.quote(PUT, "0.40", "0.50")

    status, body = paper.submit(symbol=PUT, side="sell")

    assert (200, "sell_to_open") == (status, body["position_intent"])
    [position] = paper.get("/v2/positions")
    assert ("-1", "short", "-40") == (position["qty"], position["side"], position["cost_basis"])
    assert "90040" == paper.get("/v2/account")["options_buying_power"]


def test_selling_a_call_while_flat_is_uncovered(paper):
    """No level of a paper account allows a naked call."""
    answer = paper.submit(symbol=CALL, side="sell")

    message = "account not eligible to trade uncovered option contracts"
    assert (403, {"code": 40310000, "message": message}) == answer


def test_a_call_may_be_sold_against_held_shares(paper):
    """100 free shares cover one call, and are then not available for a sale."""
    paper.bought(STOCK, 100)

    status, _ = paper.submit(symbol=CALL, side="sell")
    again = paper.submit(symbol=CALL, side="sell")

    assert 200 == status
    assert "0" == paper.get(f"/v2/positions/{STOCK}")["qty_available"]
    assert "insufficient underlying qty available for covered call (required: 100, available: 0)" == again[1]["message"]
    assert ("0", "100", STOCK) == tuple(again[1][key] for key in ("available_qty", "required_qty", "symbol"))


def test_a_level_one_account_needs_the_shares_and_may_not_buy_options(a_paper):
    """Level 1: covered calls and cash-secured puts only."""
    from paper.options import account

    paper = a_paper(accounts=(account("basic=50000,level=1"), account("none=50000,level=0")))
    paper.to("14:31:00")

    answers = [paper.submit("basic", symbol=CALL, side=side)[1]["message"] for side in ("sell", "buy")]

    assert [
        "insufficient underlying qty available for covered call (required: 100, available: 0)",
        "account not eligible to trade long option contracts",
    ] == answers
    assert "account not authorized to trade options" == paper.submit("none", symbol=CALL, side="buy")[1]["message"]


def test_a_cash_account_cannot_short_shares(paper):
    """Selling the underlying instead of the option, while flat."""
    answer = paper.submit(symbol=STOCK, side="sell")

    assert (403, {"code": 40310000, "message": "account is not allowed to short"}) == answer


def test_no_opening_in_the_last_half_hour_of_a_contract(paper):
    """From 15:30 New York on its last day a contract takes closing orders only."""
    paper.bought(LAST_DAY_CALL, 2)
    paper.to("20:29:59")
    before = paper.submit(symbol=LAST_DAY_CALL, side="buy", type="limit", limit_price="0.01")
    paper.call("DELETE", "/v2/orders")
    paper.to("20:30:00")

    opening = paper.submit(symbol=LAST_DAY_CALL, side="buy")
    closing = paper.submit(symbol=LAST_DAY_CALL, side="sell", qty=2)

    message = f'contract "{LAST_DAY_CALL}" expires soon, unable to open new positions'
    assert [200, (422, {"code": 42210000, "message": message}), 200] == [before[0], opening, closing[0]]


def test_an_order_never_crosses_through_zero(paper):
    """Selling five of three is refused with what is there; nothing is sold."""
    paper.bought(CALL, 3)

    status, body = paper.submit(symbol=CALL, side="sell", qty=5)

    assert 403 == status
    assert {
        "code": 40310000,
        "message": "insufficient qty available for order (requested: 5, available: 3)",
        "available": "3",
        "existing_qty": "3",
        "held_for_orders": "0",
        "related_orders": [],
        "symbol": CALL,
    } == body


def test_an_open_closing_order_holds_its_quantity(paper):
    """A second close while the first rests is refused and names the first."""
    paper.bought(CALL, 3)
    first = paper.submit(symbol=CALL, side="sell", qty=3, type="limit", limit_price="9.00")[1]

    status, body = paper.submit(symbol=CALL, side="sell", qty=1)

    assert 403 == status
    assert ("0", "3", "3", [first["id"]]) == tuple(
        body[key] for key in ("available", "existing_qty", "held_for_orders", "related_orders")
    )
    assert "0" == paper.get(f"/v2/positions/{CALL}")["qty_available"]
