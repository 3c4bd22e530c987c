"""The fault catalogue, requests and orders: what a client sees of each fault, and what is true in the book."""

import time

import pytest
import requests

from tests.paper.days import CALL, PUT, STOCK
from tests.paper.test_paper_events import ACTIVITIES, past
from tests.paper.wires import LISTEN, OLD_KEYS, received, silent, trade_stream

KEYS = {"APCA-API-KEY-ID": "large", "APCA-API-SECRET-KEY": "paper"}
ORDER = {"symbol": CALL, "side": "buy", "qty": 1, "type": "market", "time_in_force": "day"}


def ordered(paper, **fault):
    """Order a fault."""
    status, body = paper.control("POST", "/faults", **fault)
    assert 200 == status, body


def posted(paper, timeout=5.0):
    """POST an order on a connection of its own, as a client without retries does."""
    return requests.post(paper.said["rest"] + "/v2/orders", json=ORDER, headers=KEYS, timeout=timeout)


def all_orders(paper):
    return paper.get("/v2/orders", status="all")


def struck(paper):
    """How often each fault has struck."""
    body = paper.control("GET", "/faults")[1]
    return [fault["struck"] for fault in body["faults"] + body["streams"]]


@pytest.mark.parametrize(
    ("status", "content", "start"),
    [
        (429, "application/json", '{"code": 42910000, "message": "rate limit exceeded"}'),
        (500, "application/json", '{"code": 50010000, "message": "internal server error occurred"}'),
        (502, "text/html", "<html>"),
        (503, "text/html", "<html>"),
        (504, "text/html", "<html>"),
    ],
)
@pytest.mark.parametrize(("when", "orders"), [("before", 0), ("after", 1)])
def test_a_status_before_or_after_acceptance(paper, status, content, start, when, orders):
    """The same answer both times, JSON or the gateway's HTML; only the book tells whether the order lives."""
    ordered(paper, method="POST", path="/v2/orders", do="status", status=status, when=when)
    response = posted(paper)

    assert (status, content) == (response.status_code, response.headers["Content-Type"].partition(";")[0])
    assert response.text.startswith(start)
    assert (orders, [1]) == (len(all_orders(paper)), struck(paper))


@pytest.mark.parametrize(("when", "orders"), [("before", 0), ("after", 1)])
def test_a_request_times_out(paper, when, orders):
    """No answer within the client's patience."""
    ordered(paper, method="POST", path="/v2/orders", do="hang", when=when, seconds=30)

    with pytest.raises(requests.Timeout):
        posted(paper, 0.3)
    assert orders == len(all_orders(paper))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_slow_answer_is_the_true_one(paper, when):
    """It comes so many seconds of wall time later; the order is there in the end."""
    ordered(paper, method="POST", path="/v2/orders", do="slow", when=when, seconds=0.3)
    began = time.monotonic()
    response = posted(paper)

    assert 0.3 <= time.monotonic() - began < 3
    assert (200, 1) == (response.status_code, len(all_orders(paper)))


def test_a_fill_can_come_before_the_reply_to_its_order(paper):
    """A slow answer after acceptance: the stream tells of the fill while the POST is still under way."""
    socket, _ = trade_stream(paper, OLD_KEYS, LISTEN)
    ordered(paper, method="POST", path="/v2/orders", do="slow", when="after", seconds=30)

    with pytest.raises(requests.Timeout):
        posted(paper, 0.3)
    assert ["pending_new", "new", "fill"] == [received(socket)["data"]["event"] for _ in range(3)]
    paper.control("DELETE", "/faults")
    socket.close()


def test_the_reply_can_come_before_the_fill(paper):
    """The market is there at once, the order fills two seconds of the clock later."""
    ordered(paper, method="POST", path="/v2/orders", do="reply_first", seconds=2)
    order = paper.bought(CALL)
    paper.to("14:31:01")
    early = paper.get(f"/v2/orders/{order['id']}")["status"]
    paper.to("14:31:02")

    assert ("new", "new", "filled") == (
        order["status"],
        early,
        paper.get(f"/v2/orders/{order['id']}")["status"],
    )


def test_a_server_can_refuse_connections(paper):
    """As if it were down; the control port goes on, and the book is untouched afterwards."""
    order = paper.bought(CALL)
    ordered(paper, do="refuse", seconds=30)
    with pytest.raises(requests.ConnectionError) as refused:
        posted(paper)
    paper.control("DELETE", "/faults")

    assert "refused" in str(refused.value).lower()
    assert [order] == all_orders(paper)


def test_a_refusing_server_comes_back_by_itself(paper):
    """After so many seconds of wall time, on the same port."""
    ordered(paper, do="refuse", seconds=0.2)
    with pytest.raises(requests.ConnectionError):
        posted(paper)
    time.sleep(0.4)

    assert 200 == posted(paper).status_code


def test_an_accepted_order_can_be_rejected_late(paper):
    """200, new, then a rejection that only the stream and a look at the order tell; nothing was bought."""
    socket, _ = trade_stream(paper, OLD_KEYS, LISTEN)
    ordered(paper, method="POST", path="/v2/orders", do="late_reject", seconds=1)
    order = paper.bought(CALL)
    paper.to("14:31:01")
    events = [received(socket)["data"] for _ in range(3)]

    assert ["pending_new", "new", "rejected"] == [event["event"] for event in events]
    assert ("rejected", True) == (events[2]["order"]["status"], events[2]["order"]["failed_at"] is not None)
    assert ("new", "rejected") == (order["status"], paper.get(f"/v2/orders/{order['id']}")["status"])
    assert [] == paper.get("/v2/positions")
    socket.close()


def test_a_fill_can_win_against_a_cancel_that_was_confirmed(paper):
    """204, and then the fill at the order's limit."""
    order = paper.bought(CALL, type="limit", limit_price="0.50")
    ordered(paper, method="DELETE", path="/v2/orders/.*", do="fill_after_cancel", seconds=1)
    status, _ = paper.call("DELETE", f"/v2/orders/{order['id']}")
    meanwhile = paper.get(f"/v2/orders/{order['id']}")["status"]
    paper.to("14:31:01")
    after = paper.get(f"/v2/orders/{order['id']}")

    assert (204, "new", "filled", "0.5") == (status, meanwhile, after["status"], after["filled_avg_price"])
    assert "1" == paper.get(f"/v2/positions/{CALL}")["qty"]


@pytest.mark.parametrize(
    ("aim", "expected"),
    [
        ({"count": 2}, [429, 429, 200, 200, 200, 200]),
        ({"count": 2, "skip": 1}, [200, 429, 429, 200, 200, 200]),
        ({"count": 9, "probability": 0.5, "seed": 3}, None),
    ],
)
def test_a_fault_is_aimed(paper, aim, expected):
    """So many matches pass, so many are hit; with a seed the same ones in every run."""
    runs = []
    for _ in range(2):
        paper.control("DELETE", "/faults")
        ordered(paper, path="/v2/clock", do="status", status=429, **aim)
        runs.append([paper.call("GET", "/v2/clock")[0] for _ in range(6)])

    assert runs[0] == runs[1]
    assert expected in (None, runs[0])
    assert {200, 429} == set(runs[0])
    assert [runs[0].count(429)] == struck(paper)


@pytest.mark.parametrize(("given", "told"), [({}, None), ({"retry_after": 2}, "2"), ({"retry_after": 0}, "0")])
def test_a_refusal_may_tell_when_to_come_again(paper, given, told):
    """Retry-After is sent only when it was ordered: the real one sends it only sometimes."""
    ordered(paper, path="/v2/clock", do="status", status=429, **given)
    response = paper.session.get(paper.said["rest"] + "/v2/clock", timeout=5)

    assert (429, told) == (response.status_code, response.headers.get("Retry-After"))


def test_a_fault_hits_only_what_it_names(paper):
    """Method, path, account and body must all match."""
    ordered(paper, method="POST", path="/v2/orders", account="tiny", body={"symbol": PUT}, do="status", status=500)

    assert 200 == paper.submit(symbol=CALL, side="buy")[0]
    assert 200 == paper.submit("tiny", symbol=CALL, side="buy")[0]
    assert 500 == paper.submit("tiny", symbol=PUT, side="buy")[0]


# The book


def test_a_position_is_closed_behind_our_back_in_several_ways(paper):
    """An order with an id that we never chose; the journal tells the reason."""
    for kind in ("manual", "liquidation"):
        paper.bought(CALL, 2)
        body = paper.control("POST", "/close", account="large", symbol=CALL, qty=2, kind=kind)[1]
        assert ("filled", "sell_to_close") == (
            paper.get(f"/v2/orders/{body['order']['id']}")["status"],
            body["order"]["position_intent"],
        )
    journal = paper.control("GET", "/journal")[1]["entries"]

    assert ["manual", "liquidation"] == [e["reason"] for e in journal if e["kind"] == "brokerage_closes"]
    assert [] == paper.get("/v2/positions")


@pytest.mark.parametrize(("leg", "price"), [("stop_loss", "94.5"), ("take_profit", "111")])
def test_an_exit_of_a_bracket_closes_a_position_behind_our_back(paper, leg, price):
    """The exit that the client attached fills, whatever the market shows, and the other one is canceled."""
    exits = {"take_profit": {"limit_price": "110"}, "stop_loss": {"stop_price": "95"}}
    _, entry = paper.submit(symbol=STOCK, side="buy", qty=4, order_class="bracket", **exits)
    orders = len(all_orders(paper))
    status, body = paper.control(
        "POST", "/close", account="large", symbol=STOCK, qty=4, kind="bracket", leg=leg, price=price
    )
    legs = paper.get(f"/v2/orders/{entry['id']}", nested="true")["legs"]

    assert (200, leg, "bracket", price) == (
        status,
        *(body["order"][key] for key in ("group_role", "order_class", "filled_avg_price")),
    )
    assert {leg: "filled"} == {o["group_role"]: o["status"] for o in legs if o["status"] != "canceled"}
    assert (orders, []) == (len(all_orders(paper)), paper.get("/v2/positions"))
    assert ["fill", "canceled"] == [event for _, event, _ in paper.events()[-2:]]


def test_a_bracket_that_nobody_attached_closes_too(paper):
    """As one attached by hand: a pair of exits appears, the client's own closing order goes, one exit fills."""
    paper.bought(STOCK, 4)
    _, mine = paper.submit(symbol=STOCK, side="sell", qty=4, type="limit", limit_price="150")
    _, body = paper.control("POST", "/close", account="large", symbol=STOCK, qty=3, kind="bracket")
    mine = paper.get(f"/v2/orders/{mine['id']}")

    assert ("oco", "stop_loss", "filled", "sell_to_close", "100") == tuple(
        body["order"][key] for key in ("order_class", "group_role", "status", "position_intent", "filled_avg_price")
    )
    assert ("canceled", "1") == (mine["status"], paper.get(f"/v2/positions/{STOCK}")["qty"])
    assert [] == paper.get("/v2/orders"), "the profit went with the stop"


def test_options_have_no_brackets_to_close_them(paper):
    """Nor has a flat account anything to close."""
    paper.bought(CALL)
    answers = [
        paper.control("POST", "/close", account="large", symbol=symbol, qty=1, kind="bracket")[0]
        for symbol in (CALL, STOCK)
    ]

    assert [400, 404] == answers


def changed(paper, **order):
    status, body = paper.control("POST", "/book", account="large", **order)
    assert 200 == status, body
    return body["position"]


def test_a_position_we_never_opened_appears(paper):
    """No order, no event, no cash; only the positions show it."""
    socket, _ = trade_stream(paper, OLD_KEYS, LISTEN)
    position = changed(paper, do="open", symbol=CALL, qty=3, price="2.00")

    assert ("3", "2", "long") == (position["qty"], position["avg_entry_price"], position["side"])
    assert ([position], [], "100000") == (
        paper.get("/v2/positions"),
        all_orders(paper),
        paper.get("/v2/account")["cash"],
    )
    assert silent(socket)
    socket.close()


@pytest.mark.parametrize(("qty", "expected"), [(1, "1"), (7, "7"), (0, None)])
def test_a_quantity_changes_behind_our_back(paper, qty, expected):
    """Closing orders that the position can no longer serve are canceled."""
    paper.bought(CALL, 4)
    closing = paper.submit(symbol=CALL, side="sell", qty=4, type="limit", limit_price=9)[1]
    position = changed(paper, do="change", symbol=CALL, qty=qty)

    assert expected == (position["qty"] if position else None)
    assert ("new" if qty >= 4 else "canceled") == paper.get(f"/v2/orders/{closing['id']}")["status"]


def test_a_short_put_is_assigned(paper):
    """The contract goes, the shares come at the strike, and no trade update says so."""
    changed(paper, do="open", symbol=PUT, qty=-2, price="0.50")
    assert None is changed(paper, do="assign", symbol=PUT, qty=2)

    [shares] = paper.get("/v2/positions")
    assert (STOCK, "200", "100") == (shares["symbol"], shares["qty"], shares["avg_entry_price"])
    assert "80000" == paper.get("/v2/account")["cash"]
    told = past(paper, ACTIVITIES, since="2026-02-03", until="2026-02-03T14:31:00Z")
    assert [("OPASN", "2"), ("OPTRD", "200")] == [(event["activity_type"], event["qty"]) for _, event in told]
    assert [] == paper.get("/v2/account/activities")
    paper.to("12:00:00", "2026-02-04")
    assert {"OPASN", "OPTRD"} == {entry["activity_type"] for entry in paper.get("/v2/account/activities")}


def test_a_long_call_is_exercised_and_another_expires(paper):
    """Shares at the strike for the one, nothing for the other."""
    changed(paper, do="open", symbol=CALL, qty=2, price="1.00")
    assert "1" == changed(paper, do="exercise", symbol=CALL, qty=1)["qty"]
    assert None is changed(paper, do="expire", symbol=CALL)

    [shares] = paper.get("/v2/positions")
    assert (STOCK, "100", "90000") == (shares["symbol"], shares["qty"], paper.get("/v2/account")["cash"])


@pytest.mark.parametrize(
    ("restriction", "message"),
    [
        ("account_blocked", "account is blocked"),
        ("trading_blocked", "account is not allowed to trade"),
        ("suspended_by_user", "new orders are rejected by user request"),
    ],
)
def test_an_account_is_stopped(paper, restriction, message):
    """Every order is 403, the account says why, and looking is still allowed."""
    paper.bought(CALL)
    paper.control("POST", "/accounts", account="large", **{restriction: True})
    name = "trade_suspended_by_user" if restriction == "suspended_by_user" else restriction

    assert (403, {"code": 40310000, "message": message}) == paper.submit(symbol=CALL, side="sell")
    assert 403 == paper.call("DELETE", f"/v2/positions/{CALL}")[0]
    assert (True, 200) == (paper.get("/v2/account")[name], paper.submit("tiny", symbol=CALL, side="buy")[0])


def test_cash_and_option_level_can_be_set(paper):
    """The next order is checked against them."""
    body = paper.control("POST", "/accounts", account="large", cash="50", option_level=1)[1]
    account = paper.get("/v2/account")

    assert ("50", 1) == (account["cash"], account["options_trading_level"])
    assert body == paper.control("GET", "/accounts")[1]["large"]
    assert 403 == paper.submit(symbol=CALL, side="buy")[0]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/accounts", {"account": "large"}),
        ("/accounts", {"account": "large", "cash": "much"}),
        ("/accounts", {"account": "large", "option_level": 7}),
        ("/accounts", {"account": "large", "trading_blocked": 1}),
        ("/accounts", {"account": "large", "charm": 1}),
        ("/book", {"account": "large", "do": "steal", "symbol": CALL, "qty": 1}),
        ("/book", {"account": "large", "do": "open", "symbol": CALL, "qty": "0.5", "price": 1}),
        ("/book", {"account": "large", "do": "change", "symbol": CALL, "qty": 1}),
        ("/book", {"account": "large", "do": "assign", "symbol": CALL, "qty": 1}),
        ("/book", {"account": "large", "do": "expire", "symbol": STOCK}),
        ("/close", {"account": "large", "symbol": CALL, "qty": 1, "kind": "theft"}),
        ("/prices", {"symbol": CALL, "do": "explode"}),
        ("/prices", {"symbol": CALL, "do": "gap", "percent": -100}),
        ("/prices", {"symbol": CALL, "do": "script", "moves": [1]}),
        ("/faults", {"do": "refuse", "seconds": -1}),
        ("/faults", {"do": "status", "probability": 2}),
        ("/streams", {"stream": "stock", "do": "unknown_event_next"}),
    ],
)
def test_senseless_trouble_is_400(paper, path, body):
    """With a reason, and nothing changes."""
    status, answer = paper.control("POST", path, **body)

    assert (400, True) == (status, bool(answer["error"]))
