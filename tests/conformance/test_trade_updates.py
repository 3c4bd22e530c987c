"""Section 4: the stream of trade updates, over a plain websocket where alpaca-py hides the wire."""

import json
import re
from datetime import UTC, datetime

import msgpack
import pytest
from alpaca.trading.requests import GetOrdersRequest, ReplaceOrderRequest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.conformance.clients import Alpaca, wait_for
from tests.paper.days import CALL, LAST_DAY_CALL, STOCK
from tests.paper.wires import LISTEN, OLD_KEYS, PACKED, opened, received, silent, trade_stream

NEW_KEYS = {"action": "auth", "key": "large", "secret": "paper"}
WARNING = (
    "this authentication format is being deprecated. Please use the format: "
    '{"action": "auth", "key": "x", "secret": "x"}'
)


def authorization(status, action="authenticate", **more):
    return {"stream": "authorization", "data": {"action": action, "status": status, **more}}


@pytest.mark.parametrize("path", ["/stream", "/stream/"])
def test_there_is_no_welcome(paper, path):
    """On both paths the client speaks first."""
    socket, _ = trade_stream(paper, path=path)

    assert silent(socket)
    socket.close()


@pytest.mark.parametrize(("keys", "answer"), [
    (OLD_KEYS, authorization("authorized", message=WARNING)),
    (NEW_KEYS, authorization("authorized")),
    (OLD_KEYS | {"data": {"key_id": "large", "secret_key": "wrong"}}, authorization("unauthorized")),
    (NEW_KEYS | {"secret": "wrong"}, authorization("unauthorized")),
    (LISTEN, authorization("unauthorized", "listen")),
])  # fmt: skip
def test_keys_are_answered(paper, keys, answer):
    """The old form with a warning, the new one without; wrong ones, or none, as unauthorized."""
    socket, answers = trade_stream(paper, keys)

    assert [answer] == answers
    socket.close()


def test_the_warning_is_a_switch(a_paper):
    """Not every server sends it."""
    socket, answers = trade_stream(a_paper("--switch", "deprecation_message=false"), OLD_KEYS)

    assert [authorization("authorized")] == answers
    socket.close()


def test_listening_is_confirmed(paper):
    """With the list of streams."""
    socket, answers = trade_stream(paper, NEW_KEYS, LISTEN)

    assert {"stream": "listening", "data": {"streams": ["trade_updates"]}} == answers[1]
    socket.close()


def test_frames_are_binary_json(paper):
    """Every one, replies included."""
    with connect(paper.said["trade_stream"], compression=None) as socket:
        socket.send(json.dumps(NEW_KEYS))
        frames = [socket.recv(5)]
        socket.send(json.dumps(LISTEN))
        frames.append(socket.recv(5))
        paper.bought(CALL)
        frames += [socket.recv(5) for _ in range(3)]

    assert [bytes] * 5 == [type(frame) for frame in frames]
    assert all(json.loads(frame) for frame in frames)


def test_frames_are_msgpack_for_who_asks(paper):
    """By the Content-Type of the handshake."""
    with connect(paper.said["trade_stream"], compression=None, additional_headers=PACKED) as socket:
        socket.send(json.dumps(NEW_KEYS))

        assert authorization("authorized") == msgpack.unpackb(socket.recv(5))


def test_an_error_inside_is_told_before_the_close(paper):
    """internal server error, then nothing more."""
    socket, _ = trade_stream(paper, NEW_KEYS, LISTEN)
    paper.control("POST", "/streams", stream="trade_updates", do="error")

    assert {"action": "error", "data": {"error_message": "internal server error"}} == received(socket)
    with pytest.raises(ConnectionClosed):
        socket.recv(5)


COMMON = {"at", "event_id", "event", "timestamp", "order"}
FILL = COMMON | {"execution_id", "price", "qty", "position_qty", "swap_rate", "settle_date"}


def test_an_event_has_every_key(paper):
    """pending_new has no execution, new and fill have one; the order has one key more than in replies."""
    socket, _ = trade_stream(paper, NEW_KEYS, LISTEN)
    order = paper.bought(CALL, 2)
    pending, new, fill = (received(socket)["data"] for _ in range(3))
    socket.close()

    assert [COMMON, COMMON | {"execution_id"}, FILL] == [set(data) for data in (pending, new, fill)]
    assert set(order) | {"cancel_requested_at"} == set(fill["order"])
    assert None is fill["order"]["legs"]
    assert ("1.1", "2", "2", "1", "2026-02-04") == tuple(
        fill[key] for key in ("price", "qty", "position_qty", "swap_rate", "settle_date")
    )
    assert all(re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{26}", data["event_id"]) for data in (pending, new, fill))
    assert 3 == len({data["event_id"] for data in (pending, new, fill)})


def test_positions_in_events_are_signed(paper):
    """After a short sale the quantity is below zero."""
    margin = Alpaca(paper, "margin")
    with margin.updates() as heard:
        margin.market(STOCK, "sell", 3)
        margin.market(STOCK, "buy", 1)
        wait_for(lambda: 6 == len(heard))

    assert [-3, -2] == [update.position_qty for update in heard if update.event == "fill"]


def test_an_event_of_legs_tells_each(alpaca):
    """position_qtys, and an execution for every leg."""
    legs = [
        {"symbol": symbol, "ratio_qty": "1", "position_intent": intent}
        for symbol, intent in ((CALL, "buy_to_open"), (LAST_DAY_CALL, "sell_to_open"))
    ]
    order = {"qty": "2", "type": "market", "time_in_force": "day", "order_class": "mleg", "legs": legs}
    with alpaca.updates(raw_data=True) as heard:
        alpaca.trading.post("/orders", order)
        wait_for(lambda: any(update["data"]["event"] == "fill" for update in heard))

    [fill] = [update["data"] for update in heard if update["data"]["event"] == "fill"]
    assert {CALL: "2", LAST_DAY_CALL: "-2"} == fill["position_qtys"]
    assert [{"execution_id", "qty", "price", "order_id", "symbol", "timestamp"}] * 2 == [
        set(leg) for leg in fill["legs"]
    ]


def test_the_events_that_happen_here(paper, alpaca):
    """Each once; alpaca-py parses all of them."""
    with alpaca.updates() as heard:
        alpaca.market(CALL, "buy")
        alpaca.trading.cancel_order_by_id(alpaca.limit(CALL, "buy", 0.1).id)
        alpaca.trading.replace_order_by_id(alpaca.limit(CALL, "buy", 0.1).id, ReplaceOrderRequest(limit_price=0.2))
        paper.control("POST", "/faults", method="POST", path="/v2/orders", do="late_reject", seconds=0)
        alpaca.limit(STOCK, "buy", 1)
        paper.control("POST", "/fills", replace_delay_s=5)
        alpaca.trading.replace_order_by_id(alpaca.limit(STOCK, "buy", 50).id, ReplaceOrderRequest(limit_price=51))
        paper.quote(STOCK, "49.90", "50.00")
        paper.to("21:30:00")
        alpaca.limit(CALL, "buy", 1)
        expected = (
            "pending_new new fill canceled replaced rejected pending_replace order_replace_rejected expired accepted"
        )
        wait_for(lambda: set(expected.split()) <= {update.event for update in heard})


def test_nothing_is_told_again(alpaca):
    """A stream that comes late hears only what is new."""
    alpaca.market(CALL, "buy", client_order_id="before")
    with alpaca.updates() as heard:
        alpaca.market(CALL, "buy", client_order_id="after")
        wait_for(lambda: 3 == len(heard))

    assert {"after"} == {update.order.client_order_id for update in heard}


def test_a_handshake_may_be_429(paper):
    """As long as an old connection is counted."""
    paper.control("POST", "/streams", stream="trade_updates", do="refuse_handshake", status=429)

    with pytest.raises(InvalidStatus, match="429"):
        opened(paper.said["trade_stream"])


def test_a_mute_socket_stays_open(paper, alpaca):
    """No frame and no close; a fresh one hears at once, and REST knows what the mute one missed."""
    mute, _ = trade_stream(paper, NEW_KEYS, LISTEN)
    paper.control("POST", "/streams", stream="trade_updates", do="mute")
    with alpaca.updates() as heard:
        order = alpaca.market(CALL, "buy")
        wait_for(lambda: 3 == len(heard))
        assert silent(mute)

    assert "filled" == alpaca.trading.get_order_by_id(order.id).status.value
    mute.close()


def test_what_a_stream_missed_is_found_by_rest(paper, alpaca):
    """Orders of any status after a time, oldest first; executions after a time; positions."""
    alpaca.market(STOCK, "buy", client_order_id="known")
    paper.to("14:31:10")
    paper.control("POST", "/streams", stream="trade_updates", do="drop_next", count=3)
    with alpaca.updates() as heard:
        alpaca.market(CALL, "buy", 2, client_order_id="missed")
        alpaca.limit(CALL, "buy", 0.1, client_order_id="heard")
        wait_for(lambda: 2 == len(heard))
    after = datetime(2026, 2, 3, 14, 31, 9, tzinfo=UTC)

    request = GetOrdersRequest(status="all", after=after, direction="asc", limit=500)
    assert ["missed", "heard"] == [order.client_order_id for order in alpaca.trading.get_orders(request)]
    [fill] = alpaca.trading.get("/account/activities/FILL", {"after": "2026-02-03T14:31:09Z"})
    assert (CALL, "2", "2") == (fill["symbol"], fill["qty"], fill["cum_qty"])
    assert {CALL: "2", STOCK: "1"} == {p.symbol: p.qty for p in alpaca.trading.get_all_positions()}


def test_executions_have_ids_and_sums_to_apply_them_once(a_paper):
    """Two parts: two execution ids, and filled_qty only ever grows."""
    paper = a_paper("--partial-ratio", "1")
    alpaca = Alpaca(paper)
    with alpaca.updates() as heard:
        alpaca.market(CALL, "buy", 10)
        paper.quote(CALL, "1.20", "1.30")
        wait_for(lambda: 4 == len(heard))

    fills = [update for update in heard if update.event in ("partial_fill", "fill")]
    assert 2 == len({update.execution_id for update in fills})
    assert sorted(int(u.order.filled_qty) for u in heard) == [int(u.order.filled_qty) for u in heard]
