"""Sections 1.1 and 1.2: the endpoints for orders, and what a request may say."""

import uuid
from datetime import UTC, datetime

import pytest
from alpaca.common.enums import Sort
from alpaca.trading.enums import OrderSide, QueryOrderStatus
from alpaca.trading.requests import GetOrdersRequest

from tests.conformance.clients import refusal
from tests.paper.days import CALL, PUT, STOCK

LIMIT = {"type": "limit", "limit_price": "0.10"}
ANY = QueryOrderStatus.ALL


def test_a_new_order_is_answered_with_200(paper):
    """Or with 422 when it is malformed, or with 403 when the account may not."""
    accepted = paper.submit(symbol=CALL, side="buy")
    malformed = paper.submit(symbol=CALL, side="up")
    forbidden = paper.submit("tiny", symbol=CALL, side="buy", qty=100)

    assert [200, 422, 403] == [status for status, _ in (accepted, malformed, forbidden)]


def test_the_list_holds_open_orders_unless_asked_otherwise(alpaca):
    """open is the default; closed and all."""
    done, resting = alpaca.market(CALL, "buy"), alpaca.limit(CALL, "buy", 0.1)

    def listed(status=None):
        return [order.id for order in alpaca.trading.get_orders(GetOrdersRequest(status=status) if status else None)]

    closed, everything = listed(QueryOrderStatus.CLOSED), listed(ANY)
    assert ([resting.id], [done.id], [resting.id, done.id]) == (listed(), closed, everything)


def test_the_list_is_fifty_long_unless_asked_otherwise(a_paper):
    """And 500 at most."""
    paper = a_paper("--rate-limit", "10000")
    for _ in range(51):
        paper.submit(symbol=CALL, side="buy", **LIMIT)

    assert [50, 51] == [len(paper.get("/v2/orders", **params)) for params in ({}, {"limit": 500})]
    assert 422 == paper.call("GET", "/v2/orders", params={"limit": 501})[0]


def test_the_list_is_cut_by_time_side_symbol_and_class(paper, alpaca):
    """after and until are exclusive; alpaca-py writes times with an offset, symbols with commas, booleans as True."""
    bought = alpaca.market(CALL, "buy")
    paper.to("14:31:10")
    stock = alpaca.limit(STOCK, "buy", 1)
    paper.to("14:31:20")
    sold = alpaca.limit(CALL, "sell", 9)

    def listed(**params):
        found = alpaca.trading.get_orders(GetOrdersRequest(status=ANY, **params))
        names = {bought.id: "bought", stock.id: "stock", sold.id: "sold"}
        return [names[order.id] for order in found]

    at = datetime(2026, 2, 3, 14, 31, 10, tzinfo=UTC)
    assert ["sold"] == listed(after=at)
    assert ["bought"] == listed(until=at)
    assert ["sold"] == listed(side=OrderSide.SELL)
    assert ["sold", "bought"] == listed(symbols=[CALL, PUT])
    assert ["bought", "stock", "sold"] == listed(direction=Sort.ASC, nested=True)
    assert ["sold"] == listed(limit=1)


def test_underlyings_name_their_contracts_in_the_list(alpaca):
    """When the class is us_option; otherwise a symbol is that symbol alone."""
    alpaca.market(CALL, "buy")
    request = {"status": "all", "symbols": STOCK}

    assert [] == alpaca.trading.get("/orders", request)
    assert [CALL] == [o["symbol"] for o in alpaca.trading.get("/orders", request | {"asset_class": "us_option"})]


def test_an_unknown_order_is_404_by_either_id(paper, alpaca):
    """The text ends with what was asked for; the path by client id has a colon in it."""
    nobody = str(uuid.uuid4())

    for call, wanted in (
        (alpaca.trading.get_order_by_id, nobody),
        (alpaca.trading.get_order_by_client_id, "never used"),
        (alpaca.trading.cancel_order_by_id, nobody),
        (alpaca.trading.replace_order_by_id, nobody),
    ):
        assert (404, 40410000, f"order not found for {wanted}") == refusal(call, wanted)
    assert 404 == paper.call("GET", "/v2/orders/by_client_order_id", params={"client_order_id": "x"})[0]


def test_an_order_is_found_by_either_id(alpaca):
    """And is the same order."""
    made = alpaca.limit(CALL, "buy", 0.1, client_order_id="mine")

    assert made.id == alpaca.trading.get_order_by_id(made.id).id == alpaca.trading.get_order_by_client_id("mine").id


def test_cancels_are_204_and_207(paper, alpaca):
    """One is answered without a body, all with an entry for each."""
    ids = [alpaca.limit(CALL, "buy", 0.1).id for _ in range(3)]

    assert (204, None) == paper.call("DELETE", f"/v2/orders/{ids[0]}")
    status, entries = paper.call("DELETE", "/v2/orders")
    assert (207, [(str(ids[1]), 200), (str(ids[2]), 200)]) == (status, [(e["id"], e["status"]) for e in entries])


@pytest.mark.parametrize("symbol", [STOCK, CALL])
def test_an_asset_may_be_named_by_its_uuid(alpaca, symbol):
    """Shares and contracts alike."""
    asset_id = str(
        alpaca.trading.get_asset(STOCK).id if symbol == STOCK else alpaca.trading.get_option_contract(CALL).id
    )

    assert symbol == alpaca.market(asset_id, "buy").symbol


@pytest.mark.parametrize("order_class", ["", "simple", None])
def test_a_plain_order_may_name_its_class(paper, order_class):
    """Or leave it empty."""
    assert 200 == paper.submit(symbol=CALL, side="buy", order_class=order_class)[0]


@pytest.mark.parametrize(
    ("qty", "price"), [(2, 1.1), (2.0, 1.10), ("2", "1.10"), ("2.0", "1.1"), (2, "1.1000000"), ("2e0", 1.1)]
)
def test_numbers_may_be_numbers_or_strings(paper, qty, price):
    """alpaca-py sends floats, other clients strings."""
    status, body = paper.submit(symbol=CALL, side="buy", qty=qty, type="limit", limit_price=price)

    assert (200, "2", "1.1") == (status, body["qty"], body["limit_price"])


@pytest.mark.parametrize(
    ("missing", "message"), [("type", "invalid order type"), ("time_in_force", "invalid time_in_force")]
)
def test_type_and_time_in_force_are_required(paper, missing, message):
    """All else depends on them."""
    answer = paper.submit(symbol=CALL, side="buy", **{missing: None})

    assert (422, {"code": 40010001, "message": message}) == answer


def test_advanced_instructions_are_taken(paper):
    """As the request's description lists them; on paper they change nothing."""
    instructions = {"algorithm": "DMA", "destination": "NYSE", "display_qty": "100"}

    assert 200 == paper.submit(symbol=STOCK, side="buy", advanced_instructions=instructions)[0]


def test_a_client_id_has_128_characters_at_most(alpaca):
    """One more is refused."""
    message = "client_order_id must be no more than 128 characters"

    assert "x" * 128 == alpaca.market(CALL, "buy", client_order_id="x" * 128).client_order_id
    assert (422, 40010001, message) == refusal(alpaca.market, CALL, "buy", client_order_id="x" * 129)
