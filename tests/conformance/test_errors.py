"""Sections 1.9 and 2: refusals word for word, and the headers of every answer."""

import re

import pytest
import requests

from tests.conformance.clients import Alpaca, refusal
from tests.paper.days import CALL, LAST_DAY_CALL, PUT, STOCK

LONG, SHORT = "buy_to_open", "sell_to_open"


def leg(symbol, intent):
    return {"symbol": symbol, "ratio_qty": "1", "position_intent": intent}


# Validation: 422 with code 40010001


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"qty": None}, "qty or notional is required"),
        ({"notional": "5"}, "only one of qty or notional is accepted"),
        ({"qty": "0"}, "qty must be > 0"),
        ({"qty": "-3"}, "qty must be > 0"),
        ({"type": "iceberg"}, "invalid order type"),
        ({"side": "long"}, "invalid side"),
        ({"time_in_force": "fortnight"}, "invalid time_in_force"),
        ({"type": "limit"}, "limit orders require a limit price"),
        ({"type": "stop_limit", "stop_price": "1"}, "limit orders require a limit price"),
        ({"type": "stop"}, "stop orders require a stop price"),
        ({"type": "trailing_stop"}, "trailing stop orders must specify one of trail_price or trail_percent"),
        (
            {"type": "trailing_stop", "trail_price": "1", "trail_percent": "1"},
            "trailing stop orders must specify one of trail_price or trail_percent",
        ),
        ({"type": "limit", "limit_price": "0"}, "limit price must be > 0"),
        ({"limit_price": "1"}, "market orders require no stop or limit price"),
        ({"stop_price": "1"}, "market orders require no stop or limit price"),
        ({"position_intent": "hedge"}, "invalid position_intent specified"),
        ({"position_intent": ""}, "invalid position_intent specified"),
    ],
)
@pytest.mark.parametrize("symbol", [CALL, STOCK])
def test_a_malformed_order_is_40010001(paper, symbol, order, message):
    """Of shares and of options alike."""
    request = {"symbol": symbol, "side": "buy"} | order

    assert (422, {"code": 40010001, "message": message}) == paper.submit(**request)


def test_a_null_intent_is_an_omitted_one(paper):
    """Unlike an empty one."""
    assert (200, LONG) == (lambda a: (a[0], a[1]["position_intent"]))(
        paper.submit(symbol=CALL, side="buy", position_intent=None)
    )


# Refused by a rule: 422 with code 42210000


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"symbol": "XYZ"}, 'asset "XYZ" not found'),
        ({"symbol": ""}, "invalid symbol"),
        ({"symbol": None}, "invalid symbol"),
        ({"symbol": "ACME260206C00999000"}, 'contract "ACME260206C00999000" not found'),
        ({"order_class": "mleg", "legs": []}, "mleg orders must have at least 2 legs and at most 4 legs"),
        (
            {"order_class": "mleg", "legs": [leg(CALL, LONG)] * 5},
            "mleg orders must have at least 2 legs and at most 4 legs",
        ),
        (
            {"order_class": "mleg", "legs": [leg(CALL, LONG), {"symbol": PUT, "ratio_qty": "1"}]},
            "leg.1 position intent is required",
        ),
        ({"order_class": "mleg", "legs": [leg(CALL, LONG), leg("XYZ", SHORT)]}, "asset not found for XYZ"),
    ],
)
def test_what_does_not_exist_is_42210000(paper, order, message):
    """Symbols, contracts, legs."""
    request = {"symbol": CALL, "side": "buy"} | order

    assert (422, {"code": 42210000, "message": message}) == paper.submit(**request)


def test_a_stop_is_on_its_side_of_the_market(paper):
    """The refusal shows both prices."""
    paper.bought(STOCK)
    sell = paper.submit(symbol=STOCK, side="sell", type="stop", stop_price="101")
    buy = paper.submit("margin", symbol=STOCK, side="buy", type="stop", stop_price="99")

    less = {"code": 42210000, "message": "stop price must be less than current price"}
    more = {"code": 42210000, "message": "stop price must be greater than current price"}
    assert [(422, less | {"market_price": "100", "stop_price": "101"})] == [sell]
    assert [(422, more | {"market_price": "100", "stop_price": "99"})] == [buy]


def test_a_contract_that_has_ended_or_ends_soon(paper, alpaca):
    """Openings end half an hour before the close of the last day, everything with it."""
    paper.to("20:30:00")
    soon = refusal(alpaca.market, LAST_DAY_CALL, "buy")
    paper.to("21:00:00")
    ended = refusal(alpaca.limit, LAST_DAY_CALL, "buy", 0.1)

    assert (422, 42210000, f'contract "{LAST_DAY_CALL}" expires soon, unable to open new positions') == soon
    assert (422, 42210000, f'contract "{LAST_DAY_CALL}" is expired') == ended


def test_what_cannot_be_borrowed_cannot_be_sold_short(a_paper):
    """In an account that may."""
    margin = Alpaca(a_paper("--account", "margin=50000,shorting", "--hard-to-borrow", STOCK), "margin")

    assert (422, 42210000, f'asset "{STOCK}" cannot be sold short') == refusal(margin.market, STOCK, "sell")


@pytest.mark.parametrize(("symbol", "kind"), [(STOCK, "asset"), (CALL, "contract")])
def test_what_is_not_tradable_takes_no_orders(paper, alpaca, symbol, kind):
    """Shares and contracts, in their words."""
    assert 200 == paper.control("POST", "/assets", symbol=symbol, tradable=False)[0]

    assert (422, 42210000, f'{kind} "{symbol}" is not tradable') == refusal(alpaca.market, symbol, "buy")


# The account may not: 403


def test_buying_power_is_refused_with_both_amounts(paper):
    """For shares and for options."""
    stock, option = (paper.submit("tiny", symbol=symbol, side="buy", qty=50) for symbol in (STOCK, CALL))

    shares = {"code": 40310000, "message": "insufficient buying power", "buying_power": "2000", "cost_basis": "5005"}
    contracts = {"code": 40310000, "message": "insufficient options buying power", "options_buying_power": "2000"}
    assert [(403, shares), (403, contracts | {"cost_basis": "5500"})] == [stock, option]


def test_a_put_without_its_cash_is_refused_with_what_it_takes(paper):
    """Twice in the text and in fields."""
    message = "insufficient options buying power for cash-secured put (required: 10000, available: 2000)"
    amounts = {"buying_power": "2000", "required_options_buying_power": "10000"}

    assert (403, {"code": 40310000, "message": message} | amounts) == paper.submit("tiny", symbol=PUT, side="sell")


def test_a_call_without_its_shares_is_refused_with_what_it_takes(a_paper):
    """At level 1; the underlying is named by symbol and id."""
    paper = a_paper("--account", "basic=50000,level=1")
    message = "insufficient underlying qty available for covered call (required: 100, available: 0)"
    asset = paper.get(f"/v2/assets/{STOCK}")["id"]
    shares = {"available_qty": "0", "required_qty": "100", "symbol": STOCK, "underlying_asset_id": asset}

    answer = paper.submit("basic", symbol=CALL, side="sell")

    assert (403, {"code": 40310000, "message": message} | shares) == answer


def test_what_orders_hold_is_refused_with_them(paper):
    """The orders are named, but not when the position is closed by DELETE; a switch names none."""
    paper.bought(CALL, 3)
    holding = paper.submit(symbol=CALL, side="sell", qty=3, type="limit", limit_price="9")[1]["id"]
    posted = paper.submit(symbol=CALL, side="sell")
    deleted = paper.call("DELETE", f"/v2/positions/{CALL}")

    amounts = {"available": "0", "existing_qty": "3", "held_for_orders": "3", "symbol": CALL, "code": 40310000}
    text = "insufficient qty available for order (requested: {}, available: 0)"
    assert (403, amounts | {"message": text.format(1), "related_orders": [holding]}) == posted
    assert (403, amounts | {"message": text.format(3)}) == deleted


def test_a_quantity_beyond_the_position_is_refused(alpaca):
    """An order never crosses through zero."""
    alpaca.market(CALL, "buy", 3)

    message = "insufficient qty available for order (requested: 5, available: 3)"
    assert (403, 40310000, message) == refusal(alpaca.market, CALL, "sell", 5)


def test_one_side_opens_at_a_time(paper):
    """A resting opening refuses an opening of the other side."""
    margin = Alpaca(paper, "margin")
    low, high = margin.limit(STOCK, "buy", 50), "cannot open a short sell while a long buy order is open"
    assert (403, 40310000, high) == refusal(margin.limit, STOCK, "sell", 200)
    margin.trading.cancel_order_by_id(low.id)
    margin.limit(STOCK, "sell", 200)

    other = "cannot open a long buy while a short sell order is open"
    assert (403, 40310000, other) == refusal(margin.limit, STOCK, "buy", 50)


def test_a_cash_account_is_not_allowed_to_short(alpaca):
    """Shares, that is."""
    assert (403, 40310000, "account is not allowed to short") == refusal(alpaca.market, STOCK, "sell")


@pytest.mark.parametrize(("level", "order", "message"), [
    (0, {"symbol": CALL}, "account not authorized to trade options"),
    (1, {"symbol": CALL}, "account not eligible to trade long option contracts"),
    (2, {"order_class": "mleg", "legs": [leg(CALL, LONG), leg(LAST_DAY_CALL, SHORT)]},
     "account not eligible to trade spreads or uncovered contracts"),
])  # fmt: skip
def test_a_level_is_refused_in_its_words(a_paper, level, order, message):
    """What the account was not approved for."""
    paper = a_paper("--account", f"some=50000,level={level}")

    assert (403, {"code": 40310000, "message": message}) == paper.submit("some", side="buy", **order)


# Not found, not known, too much


@pytest.mark.parametrize(("method", "path", "message"), [
    ("GET", f"/v2/positions/{CALL}", "position does not exist"),
    ("DELETE", f"/v2/positions/{CALL}", f"position not found: {CALL}"),
    ("GET", "/v2/orders/00000000-0000-4000-8000-000000000000",
     "order not found for 00000000-0000-4000-8000-000000000000"),
    ("GET", "/v2/orders:by_client_order_id?client_order_id=mine", "order not found for mine"),
    ("GET", "/v2/assets/XYZ", "asset not found for XYZ"),
    ("GET", "/v2/options/contracts/ACME260206C00999000", "option contract ACME260206C00999000 not found"),
    ("POST", f"/v2/positions/{CALL}/exercise", f"long position not found: {CALL}"),
    ("GET", "/v2/oders", "endpoint not found"),
])  # fmt: skip
def test_what_is_not_there_is_40410000(paper, method, path, message):
    """Each in its words."""
    assert (404, {"code": 40410000, "message": message}) == paper.call(method, path)


def test_wrong_keys_are_401_for_trading_and_403_for_data(paper):
    """The data API's body has no code."""
    stranger = {"APCA-API-KEY-ID": "stranger"}

    assert (401, {"code": 40110000, "message": "request is not authorized"}) == paper.call(
        "GET", "/v2/account", headers=stranger
    )
    assert (403, {"message": "forbidden."}) == paper.call(
        "GET", "/v2/stocks/quotes/latest?symbols=ACME", headers=stranger
    )


def test_the_401_has_another_form(a_paper):
    """Without a code; a switch chooses."""
    paper = a_paper("--switch", "unauthorized_with_code=false")

    answer = paper.call("GET", "/v2/account", headers={"APCA-API-KEY-ID": "stranger"})

    assert (401, {"message": "unauthorized."}) == answer


def test_a_subscription_that_is_too_small_is_403(paper):
    """With a code of its own."""
    body = {"code": 42210000, "message": "subscription does not permit querying recent SIP data"}

    assert (403, body) == paper.call("GET", "/v2/stocks/quotes/latest?symbols=ACME&feed=sip")


@pytest.mark.parametrize(("status", "body"), [
    (429, {"code": 42910000, "message": "rate limit exceeded"}),
    (500, {"code": 50010000, "message": "internal server error occurred"}),
    (502, None),
    (503, None),
    (504, None),
])  # fmt: skip
def test_a_server_in_trouble_answers_json_or_the_gateways_page(paper, status, body):
    """502, 503 and 504 are no JSON."""
    paper.control("POST", "/faults", path="/v2/account", do="status", status=status)
    answer = plain(paper, "/v2/account")

    assert status == answer.status_code
    if body is None:
        assert answer.headers["Content-Type"].startswith("text/html")
    else:
        assert body == answer.json()


def plain(paper, path, method="GET", **kwargs):
    """A request and its whole answer, headers included."""
    keys = {"APCA-API-KEY-ID": "large", "APCA-API-SECRET-KEY": "paper"}
    return requests.request(method, paper.said["rest"] + path, headers=keys, timeout=10, **kwargs)


@pytest.mark.parametrize(
    "path", ["/v2/account", "/v2/positions/NONE", "/v2/stocks/quotes/latest?symbols=ACME", "/v2/nothing"]
)
def test_every_answer_carries_the_headers(paper, path):
    """What is left of the minute, when it is full again, and an id."""
    first, second = plain(paper, path), plain(paper, path)

    left = [int(answer.headers["X-RateLimit-Remaining"]) for answer in (first, second)]
    assert ("200", left[0] - 1) == (first.headers["X-RateLimit-Limit"], left[1])
    assert re.fullmatch(r"\d{10}", first.headers["X-RateLimit-Reset"])
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]
