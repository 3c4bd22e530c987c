"""Orders over plain HTTP: their shape, their refusals, their ends, and the lists of them."""

import pytest

from tests.paper.days import CALL, LAST_DAY_CALL, PUT, STOCK


def test_an_accepted_option_order_has_alpacas_shape(paper):
    """Numbers are strings without trailing zeros, times have nine decimals, absent values are null."""
    status, body = paper.submit(
        symbol=CALL,
        side="buy",
        qty=2,
        type="limit",
        limit_price=1.10,
        client_order_id="one",
        position_intent="buy_to_open",
    )

    assert 200 == status
    nulls = "filled_at expired_at canceled_at failed_at replaced_at replaced_by replaces notional filled_avg_price"
    nulls += " stop_price legs trail_percent trail_price hwm subtag source"
    assert set(nulls.split()) == {key for key, value in body.items() if value is None}
    assert {
        "client_order_id": "one",
        "submitted_at": "2026-02-03T14:31:00.000000000Z",
        "expires_at": "2026-02-03T21:00:00.000000000Z",
        "symbol": CALL,
        "asset_class": "us_option",
        "qty": "2",
        "filled_qty": "0",
        "order_class": "simple",
        "type": "limit",
        "order_type": "limit",
        "side": "buy",
        "position_intent": "buy_to_open",
        "time_in_force": "day",
        "limit_price": "1.1",
        "status": "pending_new",
        "extended_hours": False,
    }.items() <= body.items()


def test_a_marketable_limit_fills_at_the_ask(paper):
    """A buy at 1.50 pays the ask of 1.10, not its limit; cash, position and order agree."""
    order = paper.bought(CALL, 2, type="limit", limit_price="1.50")

    assert ("filled", "2", "1.1") == (order["status"], order["filled_qty"], order["filled_avg_price"])
    position = paper.get(f"/v2/positions/{CALL}")
    assert ("2", "2", "1.1", "220", "long", "", "us_option") == tuple(
        position[key]
        for key in ("qty", "qty_available", "avg_entry_price", "cost_basis", "side", "exchange", "asset_class")
    )
    account = paper.get("/v2/account")
    assert ("99780", "99780", "99990") == (account["cash"], account["buying_power"], account["equity"])


def test_a_market_sell_fills_at_the_bid(paper):
    """And the profit stays in cash."""
    paper.bought(CALL, 2)
    paper.to("14:32:00")
    _, sold = paper.submit(symbol=CALL, side="sell", qty=2)

    assert "1.2" == paper.get(f"/v2/orders/{sold['id']}")["filled_avg_price"]
    assert "100020" == paper.get("/v2/account")["cash"]


def test_a_limit_rests_until_the_quote_reaches_it(paper):
    """Below the ask it waits as new, lowers the buying power, and fills when the ask comes down."""
    _, order = paper.submit(symbol=CALL, side="buy", qty=3, type="limit", limit_price="1.00")
    waiting = paper.get(f"/v2/orders/{order['id']}")
    power = paper.get("/v2/account")["buying_power"]
    paper.to("14:32:59.999")
    filled = paper.get(f"/v2/orders/{order['id']}")

    assert ("new", "99700") == (waiting["status"], power)
    assert ("filled", "1", "2026-02-03T14:32:59.999000000Z") == tuple(
        filled[key] for key in ("status", "filled_avg_price", "filled_at")
    )


def test_nothing_fills_without_a_price_on_its_side(paper):
    """The put has an ask and no bid: it can be bought, and a sale waits for the first bid."""
    paper.bought(PUT, 1)
    _, sale = paper.submit(symbol=PUT, side="sell")
    before = paper.get(f"/v2/orders/{sale['id']}")["status"]
    paper.quote(PUT, "0.05", "0.50")

    assert ["new", "filled"] == [before, paper.get(f"/v2/orders/{sale['id']}")["status"]]


@pytest.mark.parametrize(
    ("wrong", "code", "message"),
    [
        ({"qty": None}, 40010001, "qty or notional is required"),
        ({"notional": 5}, 40010001, "only one of qty or notional is accepted"),
        ({"qty": 0}, 40010001, "qty must be > 0"),
        ({"qty": "-1"}, 40010001, "qty must be > 0"),
        ({"qty": "many"}, 40010001, "invalid qty"),
        ({"qty": True}, 40010001, "invalid qty"),
        ({"qty": "1e999999"}, 40010001, "invalid qty"),
        ({"qty": "1_0"}, 40010001, "invalid qty"),
        ({"type": "magic"}, 40010001, "invalid order type"),
        ({"side": None}, 40010001, "invalid side"),
        ({"side": ["buy"]}, 40010001, "invalid side"),
        ({"time_in_force": "week"}, 40010001, "invalid time_in_force"),
        ({"type": "limit"}, 40010001, "limit orders require a limit price"),
        ({"type": "limit", "limit_price": 0}, 40010001, "limit price must be > 0"),
        ({"type": "stop"}, 40010001, "stop orders require a stop price"),
        (
            {"type": "trailing_stop"},
            40010001,
            "trailing stop orders must specify one of trail_price or trail_percent",
        ),
        ({"limit_price": "1"}, 40010001, "market orders require no stop or limit price"),
        (
            {"client_order_id": "x" * 129},
            40010001,
            "client_order_id must be no more than 128 characters",
        ),
        ({"client_order_id": "\ud800"}, 40010001, "invalid client_order_id"),
        ({"extended_hours": "yes"}, 40010001, "invalid extended_hours"),
        ({"order_class": "pair"}, 40010001, "invalid order_class"),
        ({"symbol": None}, 42210000, "invalid symbol"),
        ({"symbol": "XYZ"}, 42210000, 'asset "XYZ" not found'),
        ({"symbol": "ACME260206C00999000"}, 42210000, 'contract "ACME260206C00999000" not found'),
        ({"order_class": "mleg"}, 42210000, "mleg orders must have at least 2 legs and at most 4 legs"),
        ({"order_class": "bracket"}, 42210000, "complex orders not supported for options trading"),
        ({"qty": None, "notional": 5}, 42210000, "notional orders are not supported for options trading"),
        ({"extended_hours": True}, 42210000, "extended hours is not supported for options trading"),
        (
            {"type": "trailing_stop", "trail_price": 1},
            42210000,
            "invalid order type for options trading",
        ),
        (
            {"time_in_force": "ioc"},
            42210000,
            "order_time_in_force provided not supported for options trading",
        ),
        ({"qty": "1.5"}, 42210000, "qty must be integer for options trading"),
        (
            {"type": "limit", "limit_price": 3.3000000000000003},
            42210000,
            "limit price must be limited to 2 decimal places",
        ),
        (
            {"type": "stop", "stop_price": "1.333"},
            42210000,
            "stop price must be limited to 2 decimal places",
        ),
    ],
)
def test_a_malformed_order_is_refused_in_alpacas_words(paper, wrong, code, message):
    """Each with its code; and nothing is left of it: the same client id may be used again."""
    status, body = paper.submit(**({"symbol": CALL, "side": "buy", "client_order_id": "again"} | wrong))

    assert (422, {"code": code, "message": message}) == (status, body)
    assert 404 == paper.call("GET", "/v2/orders:by_client_order_id", params={"client_order_id": "again"})[0]
    assert 200 == paper.submit(symbol=CALL, side="buy", client_order_id="again")[0]


@pytest.mark.parametrize(
    ("wrong", "answer"),
    [
        (
            {"type": "limit", "limit_price": "290.123"},
            (
                422,
                "invalid limit_price 290.123. sub-penny increment does not fulfill minimum pricing criteria",
            ),
        ),
        ({"extended_hours": True}, (422, "extended hours order must be DAY or GTC limit orders")),
        ({"order_class": "bracket"}, (422, "bracket orders require take_profit.limit_price")),
        ({"time_in_force": "opg"}, (422, "opg orders are not accepted until 7:00pm New York time")),
        (
            {"type": "stop", "stop_price": "290.123"},
            (422, "invalid stop_price 290.123. sub-penny increment does not fulfill minimum pricing criteria"),
        ),
    ],
)
def test_stock_orders_have_rules_of_their_own(paper, wrong, answer):
    """Prices on the grid, complete groups, auctions in their time."""
    status, body = paper.submit(**({"symbol": STOCK, "side": "buy"} | wrong))

    assert answer == (status, body["message"])


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"5", b'{"qty": NaN}', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(paper, raw):
    """With a JSON error, whatever the bytes."""
    answer = paper.call("POST", "/v2/orders", data=raw)

    assert (400, {"code": 40010000, "message": "request body format is invalid"}) == answer


@pytest.mark.parametrize("end", ["filled", "canceled", "open"])
def test_a_client_id_is_used_once_for_ever(paper, end):
    """Whatever became of the first order, a second one with its id is refused as a duplicate."""
    price = "5.00" if end == "filled" else "0.10"
    order = {"symbol": CALL, "side": "buy", "type": "limit", "limit_price": price, "client_order_id": "mine"}
    _, first = paper.submit(**order)
    if end == "canceled":
        paper.call("DELETE", f"/v2/orders/{first['id']}")

    assert (422, {"code": 40010001, "message": "client_order_id must be unique"}) == paper.submit(**order)
    found = paper.get("/v2/orders:by_client_order_id", client_order_id="mine")
    assert (first["id"], end if end != "open" else "new") == (found["id"], found["status"])
    assert 200 == paper.submit("margin", **order)[0], "another account has ids of its own"


def test_insufficient_buying_power_names_both_amounts(paper):
    """For options and for stock, each in its own words."""
    option = paper.submit("tiny", symbol=CALL, side="buy", qty=20)
    stock = paper.submit("tiny", symbol=STOCK, side="buy", qty=20)

    assert [
        (
            403,
            {"code": 40310000, "message": "insufficient options buying power"}
            | {"options_buying_power": "2000", "cost_basis": "2200"},
        ),
        (
            403,
            {"code": 40310000, "message": "insufficient buying power"} | {"buying_power": "2000", "cost_basis": "2002"},
        ),
    ] == [option, stock]


def test_open_buys_count_against_buying_power(paper):
    """Two orders that fit one by one do not fit together; a cancel frees the first one's share."""
    order = {"symbol": CALL, "side": "buy", "qty": 12, "type": "limit", "limit_price": "0.90"}
    _, first = paper.submit("tiny", **order)
    refused = paper.submit("tiny", **order)
    paper.call("DELETE", f"/v2/orders/{first['id']}", "tiny")

    assert ("920", "1080") == (refused[1]["options_buying_power"], refused[1]["cost_basis"])
    assert 200 == paper.submit("tiny", **order)[0]


def test_option_market_orders_wait_for_no_open(paper):
    """After the close they are refused, while limits and stock orders are queued as accepted."""
    paper.to("21:00:00")

    market = paper.submit(symbol=CALL, side="buy")
    limit = paper.submit(symbol=CALL, side="buy", type="limit", limit_price="1.00")
    stock = paper.submit(symbol=STOCK, side="buy")

    message = "options market orders are only allowed during market hours"
    assert (422, {"code": 42210000, "message": message}) == market
    assert [(200, "accepted"), (200, "accepted")] == [(s, b["status"]) for s, b in (limit, stock)]
    assert "2026-02-04T21:00:00.000000000Z" == limit[1]["expires_at"]


def test_an_expired_contract_is_refused(paper):
    """After the close of its last trading day."""
    paper.to("21:00:00")

    answer = paper.submit(symbol=LAST_DAY_CALL, side="buy", type="limit", limit_price="0.10")

    assert (422, f'contract "{LAST_DAY_CALL}" is expired') == (answer[0], answer[1]["message"])


def test_a_day_order_expires_at_the_close_and_gtc_does_not(paper):
    """With an event of its own, at the session's close."""
    for tif in ("day", "gtc"):
        paper.submit(symbol=CALL, side="buy", type="limit", limit_price="0.10", time_in_force=tif, client_order_id=tif)
    paper.to("21:00:00")

    day, gtc = (paper.get("/v2/orders:by_client_order_id", client_order_id=tif) for tif in ("day", "gtc"))

    assert ("expired", "2026-02-03T21:00:00.000000000Z") == (day["status"], day["expired_at"])
    assert ("done_for_day", None) == (gtc["status"], gtc["expired_at"])
    assert {("large", "expired", "0"), ("large", "done_for_day", "0")} == set(paper.events()[-2:])


def test_cancel_is_204_and_final(paper):
    """Canceling twice, or what is filled, is refused with the state it is in; unknown ids are 404."""
    _, order = paper.submit(symbol=CALL, side="buy", type="limit", limit_price="0.10")
    filled = paper.bought(CALL)
    path = f"/v2/orders/{order['id']}"

    assert (204, None) == paper.call("DELETE", path)
    assert (422, {"code": 42210000, "message": 'order is already in "canceled" state'}) == paper.call("DELETE", path)
    message = paper.call("DELETE", f"/v2/orders/{filled['id']}")[1]["message"]
    assert 'order is already in "filled" state' == message
    assert (404, {"code": 40410000, "message": "order not found for nothing"}) == paper.call(
        "DELETE", "/v2/orders/nothing"
    )
    assert "canceled" == paper.get(path)["status"]


def test_cancel_all_answers_for_each_order(paper):
    """207 with the orders it canceled."""
    ids = [paper.submit(symbol=CALL, side="buy", type="limit", limit_price="0.10")[1]["id"] for _ in range(2)]

    status, body = paper.call("DELETE", "/v2/orders")

    assert (207, [(ids[0], 200), (ids[1], 200)]) == (status, [(entry["id"], entry["status"]) for entry in body])
    assert [] == paper.get("/v2/orders")


@pytest.mark.parametrize(
    ("resting", "incoming", "reason"),
    [
        ({"side": "buy", "limit_price": "0.50"}, {"side": "sell"}, "opposite side limit order exists"),
        (
            {"side": "buy", "limit_price": "0.50"},
            {"side": "sell", "type": "limit", "limit_price": "0.40"},
            "opposite side limit order exists",
        ),
        ({"side": "buy", "limit_price": "0.50"}, {"side": "sell", "type": "limit", "limit_price": "0.60"}, None),
    ],
)
def test_a_wash_trade_is_refused(paper, resting, incoming, reason):
    """An open order of the other side that could meet the new one refuses it, and is named."""
    paper.bought(CALL, 2)
    _, first = paper.submit(symbol=CALL, type="limit", **resting)

    status, body = paper.submit(symbol=CALL, **incoming)

    if reason is None:
        assert 200 == status
    else:
        assert (403, first["id"], reason) == (status, body["existing_order_id"], body["reject_reason"])


def test_ioc_and_fok_leave_nothing_behind(a_paper):
    """What does not fill at once is canceled; fill-or-kill never fills in parts."""
    paper = a_paper(partial_ratio=1.0)
    paper.to("14:31:00")

    def ends(**order):
        body = paper.submit(symbol=STOCK, side="buy", qty=10, **order)[1]
        return [paper.get(f"/v2/orders/{body['id']}")[key] for key in ("status", "filled_qty")]

    ioc, fok = ends(time_in_force="ioc"), ends(time_in_force="fok")
    far = ends(time_in_force="ioc", type="limit", limit_price="1.00")

    assert ("canceled", True) == (ioc[0], 0 < int(ioc[1]) < 10)
    assert (["filled", "10"], ["canceled", "0"]) == (fok, far)


def test_the_list_is_filtered_and_paged(paper):
    """By status, side, symbol, class, time, direction and place."""
    paper.bought(CALL, client_order_id="a")
    paper.to("14:31:10")
    paper.submit(symbol=STOCK, side="buy", type="limit", limit_price="1.00", client_order_id="b")
    paper.to("14:31:20")
    paper.submit(symbol=CALL, side="sell", type="limit", limit_price="9.00", client_order_id="c")
    ids = {o["client_order_id"]: o["id"] for o in paper.get("/v2/orders", status="all")}

    def listed(**params):
        return "".join(order["client_order_id"] for order in paper.get("/v2/orders", **params))

    assert {
        "open by default, newest first": "cb",
        "closed": "a",
        "all, oldest first": "abc",
        "limit": "c",
        "after is exclusive": "bc",
        "until is exclusive": "a",
        "side": "c",
        "symbols": "ca",
        "class": "ca",
        "underlying names its contracts": "ca",
        "a stock's own": "b",
        "before an order": "ba",
        "after an order": "c",
    } == {
        "open by default, newest first": listed(nested="True"),
        "closed": listed(status="closed"),
        "all, oldest first": listed(status="all", direction="asc"),
        "limit": listed(limit=1),
        "after is exclusive": listed(status="all", direction="asc", after="2026-02-03T14:31:00Z"),
        "until is exclusive": listed(status="all", until="2026-02-03T14:31:10+00:00"),
        "side": listed(status="all", side="sell"),
        "symbols": listed(status="all", symbols=f"{CALL},XYZ"),
        "class": listed(status="all", asset_class="us_option"),
        "underlying names its contracts": listed(status="all", asset_class="us_option", symbols="ACME"),
        "a stock's own": listed(status="all", symbols="ACME"),
        "before an order": listed(status="all", before_order_id=ids["c"]),
        "after an order": listed(status="all", after_order_id=ids["b"]),
    }


@pytest.mark.parametrize(
    ("name", "value"), [("limit", "x"), ("limit", "501"), ("status", "odd"), ("after", "noon"), ("nested", "perhaps")]
)
def test_a_malformed_query_is_refused(paper, name, value):
    """With the name of the parameter."""
    paper.bought(CALL)
    answer = paper.call("GET", "/v2/orders", params={name: value})

    assert (422, {"code": 40010001, "message": f"invalid {name}"}) == answer


def test_a_list_is_paged_by_order_or_by_time(paper):
    """Both at once are refused."""
    order = paper.bought(CALL)

    answer = paper.call("GET", "/v2/orders", params={"before_order_id": order["id"], "until": "2026-02-03"})

    message = "before_order_id and after_order_id cannot be combined with after and until"
    assert (422, {"code": 40010001, "message": message}) == answer
