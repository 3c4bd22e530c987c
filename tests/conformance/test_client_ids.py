"""Section 1.5: the client's order id is the idempotency key."""

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.requests import ReplaceOrderRequest

from tests.conformance.clients import Alpaca, refusal
from tests.paper.days import CALL, PUT, STOCK

DUPLICATE = (422, 40010001, "client_order_id must be unique")


@pytest.mark.parametrize("end", ["new", "filled", "canceled", "expired", "replaced"])
def test_a_client_id_is_used_once(paper, alpaca, end):
    """Whatever became of the first order, for ever."""
    first = alpaca.limit(STOCK, "buy", 200 if end == "filled" else 1, client_order_id="mine")
    if end == "canceled":
        alpaca.trading.cancel_order_by_id(first.id)
    elif end == "replaced":
        alpaca.trading.replace_order_by_id(first.id, ReplaceOrderRequest(limit_price=2))
    elif end == "expired":
        paper.to("21:00:00")

    assert end == alpaca.trading.get_order_by_client_id("mine").status.value
    assert DUPLICATE == refusal(alpaca.limit, CALL, "buy", 0.1, client_order_id="mine")


def test_a_refused_order_leaves_nothing(paper):
    """Its id is free, and by that id there is nothing."""
    tiny = Alpaca(paper, "tiny")
    assert 403 == refusal(tiny.market, CALL, "buy", 99, client_order_id="mine")[0]

    assert 404 == refusal(tiny.trading.get_order_by_client_id, "mine")[0]
    assert "mine" == tiny.market(CALL, "buy", client_order_id="mine").client_order_id


def test_there_is_no_other_key(paper):
    """A header that other services know changes nothing: two requests are two orders."""
    order = {"symbol": CALL, "side": "buy", "qty": 1, "type": "market", "time_in_force": "day"}
    twice = [paper.call("POST", "/v2/orders", json=order, headers={"Idempotency-Key": "k"})[1]["id"] for _ in range(2)]

    assert 2 == len(set(twice))


@pytest.mark.parametrize("fault", [{"do": "status", "status": 500}, {"do": "status", "status": 503}])
def test_after_doubt_the_id_tells(paper, alpaca, fault):
    """An answer was lost: by the id the order is found when it lives; sent again it is a duplicate, or the first."""
    order = {"method": "POST", "path": "/v2/orders", **fault}
    for when, lives in (("before", False), ("after", True)):
        paper.control("POST", "/faults", **order, when=when)
        with pytest.raises(APIError) as lost:
            alpaca.market(CALL, "buy", client_order_id=when)
        assert fault["status"] == lost.value.status_code

        if lives:
            assert "filled" == alpaca.trading.get_order_by_client_id(when).status.value
            assert DUPLICATE == refusal(alpaca.market, CALL, "buy", client_order_id=when)
        else:
            assert 404 == refusal(alpaca.trading.get_order_by_client_id, when)[0]
            assert when == alpaca.market(CALL, "buy", client_order_id=when).client_order_id
    assert ["2"] == [position.qty for position in alpaca.trading.get_all_positions()]


def test_a_replacement_has_an_id_of_its_own(alpaca):
    """The one that was asked for, or a new one; it is tracked by what it replaces."""
    first = alpaca.limit(CALL, "buy", 0.1, client_order_id="first")
    named = alpaca.trading.replace_order_by_id(first.id, ReplaceOrderRequest(limit_price=0.2, client_order_id="second"))
    unnamed = alpaca.trading.replace_order_by_id(named.id, ReplaceOrderRequest(limit_price=0.3))

    assert ("second", first.id, named.id) == (named.client_order_id, named.replaces, unnamed.replaces)
    assert unnamed.client_order_id not in {"first", "second", "", None}


def test_orders_that_the_brokerage_makes_have_ids_that_nobody_chose(paper, alpaca):
    """A close, a liquidation."""
    paper.quote(PUT, "0.40", "0.50")
    alpaca.market(CALL, "buy", 2, client_order_id="entry")
    alpaca.trading.close_position(CALL)
    alpaca.market(PUT, "buy", 1, client_order_id="other")
    paper.control("POST", "/close", account="large", symbol=PUT, qty=1, kind="liquidation")

    sales = [order for order in alpaca.trading.get("/orders", {"status": "all"}) if order["side"] == "sell"]
    assert {PUT, CALL} == {order["symbol"] for order in sales}
    assert all(order["client_order_id"] not in {"entry", "other", "", None} for order in sales)
