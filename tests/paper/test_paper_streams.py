"""The websockets as plain clients see them: protocols, frames, subscriptions, errors and their faults."""

import json
import time

import msgpack
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.paper.days import CALL, DAY, PUT, STOCK
from tests.paper.wires import (
    LISTEN,
    OLD_KEYS,
    PACKED,
    data_stream,
    error,
    opened,
    options,
    received,
    silent,
    stocks,
    trade_stream,
)


@pytest.mark.parametrize("path", ["/stream", "/stream/"])
def test_both_authentications_are_answered(paper, path):
    """The old form with a warning, the new one without; then the streams are confirmed."""
    old, (first, listening) = trade_stream(paper, OLD_KEYS, LISTEN, path=path)
    new, (second,) = trade_stream(paper, {"action": "auth", "key": "large", "secret": "paper"}, path=path)

    assert ("authorized", True) == (first["data"]["status"], "being deprecated" in first["data"]["message"])
    assert {"stream": "listening", "data": {"streams": ["trade_updates"]}} == listening
    assert {"stream": "authorization", "data": {"action": "authenticate", "status": "authorized"}} == second
    for socket in (old, new):
        socket.close()


def test_wrong_keys_and_listening_without_any_are_unauthorized(paper):
    """With the action that was tried."""
    bad = {"action": "authenticate", "data": {"key_id": "large", "secret_key": "no"}}
    socket, answers = trade_stream(paper, bad, LISTEN, {"action": "dance"}, ["odd"])

    assert [
        {"stream": "authorization", "data": {"status": "unauthorized", "action": action}}
        for action in ("authenticate", "listen")
    ] == answers[:2]
    assert [{"action": "error", "data": {"error_message": "invalid message"}}] * 2 == answers[2:]
    socket.close()


def test_trade_updates_are_json_in_binary_frames(paper):
    """pending_new, new and fill, each with its keys; the fill carries the execution and the position after it."""
    socket, _ = trade_stream(paper, OLD_KEYS, LISTEN)
    order = paper.bought(CALL, 2, client_order_id="mine")
    paper.bought(CALL, 1, "tiny")
    frames = [socket.recv(5) for _ in range(3)]

    assert {bytes} == {type(frame) for frame in frames}
    updates = [json.loads(frame) for frame in frames]
    assert ["pending_new", "new", "fill"] == [update["data"]["event"] for update in updates]
    assert ["pending_new", "new", "filled"] == [update["data"]["order"]["status"] for update in updates]
    pending, new, fill = (update["data"] for update in updates)
    assert ("execution_id" in pending, "execution_id" in new) == (False, True)
    assert ("1.1", "2", "2", f"{DAY}T14:31:00.000000000Z", "2026-02-04") == tuple(
        fill[key] for key in ("price", "qty", "position_qty", "timestamp", "settle_date")
    )
    assert len("01JJ3WE73W5PG672TC4XACXH5R") == len(fill["event_id"])
    assert {k: v for k, v in fill["order"].items() if k != "cancel_requested_at"} == order
    assert silent(socket), "the other account's events are its own"
    socket.close()


def test_a_msgpack_client_of_the_trade_stream_gets_msgpack(paper):
    """When it asked for it with its Content-Type."""
    url = paper.said["trade_stream"]
    with connect(url, compression=None, additional_headers=PACKED) as socket:
        socket.send(json.dumps(OLD_KEYS))
        assert "authorized" == msgpack.unpackb(socket.recv(5))["data"]["status"]


def test_option_quotes_of_one_instant_are_one_packed_frame(paper):
    """Timestamps are msgpack's own, a missing bid is 0, and only what was subscribed comes."""
    socket, answers = options(paper, quotes=[CALL, PUT], trades=[CALL])
    paper.to("14:32:59.999")
    first, second = received(socket), received(socket)

    assert [
        [{"T": "success", "msg": "connected"}],
        [{"T": "success", "msg": "authenticated"}],
        [{"T": "subscription", "trades": [CALL], "quotes": [CALL, PUT]}],
    ] == answers
    assert [("q", CALL), ("t", CALL)] == [(m["T"], m["S"]) for m in first]
    assert [(CALL, 0.9, 1.0), (PUT, 0.0, 0.45)] == [(m["S"], m["bp"], m["ap"]) for m in second]
    assert msgpack.Timestamp.from_unix_nano(1770129119_999_000_000) == first[0]["t"]
    assert {"stock": 0, "option": 4} == {
        k: v for k, v in paper.control("GET", "/idle")[1]["sent"].items() if k != "trade_updates"
    }
    socket.close()


def test_stock_quotes_come_as_json_or_packed(paper):
    """Text frames for a client that did not ask for msgpack; a star takes all symbols."""
    plain, answers = stocks(paper, packed=False, quotes=["*"])
    packed, _ = stocks(paper, key="tiny", quotes=[STOCK])
    paper.to("14:31:59.999")
    text, binary = plain.recv(5), packed.recv(5)

    lists = ["trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds", "corrections", "cancelErrors"]
    assert [{"T": "subscription"} | {name: ["*"] if name == "quotes" else [] for name in lists}] == answers[2]
    [one], [other] = json.loads(text), msgpack.unpackb(binary)
    assert ("q", STOCK, 100.4, 100.6, f"{DAY}T14:31:59.999000000Z") == tuple(
        one[k] for k in ("T", "S", "bp", "ap", "t")
    )
    assert (100.4, 100.6) == (other["bp"], other["ap"])
    plain.close()
    packed.close()


def test_a_fragmented_subscription_is_read_whole(paper):
    """alpaca-py sends its subscriptions in pieces."""
    socket, _ = options(paper)
    message = msgpack.packb({"action": "subscribe", "quotes": [CALL]})
    socket.send([message[:5], message[5:9], message[9:]])

    assert [CALL] == received(socket)[0]["quotes"]
    socket.close()


def test_unsubscribing_takes_away(paper):
    """And confirms what is left."""
    socket, _ = options(paper, quotes=[CALL, PUT])
    socket.send(msgpack.packb({"action": "unsubscribe", "quotes": [CALL]}))

    assert [PUT] == received(socket)[0]["quotes"]
    paper.to("14:31:59.999")
    assert silent(socket)
    socket.close()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"action": "subscribe", "quotes": ["*"]}, error(413, "star subscription is not allowed for option quotes")),
        ({"action": "subscribe", "bars": [CALL]}, error(410, "invalid subscribe action for this feed")),
        ({"action": "subscribe", "quotes": CALL}, error(400, "invalid syntax")),
        ({"action": "dance"}, error(400, "invalid syntax")),
        (["odd"], error(400, "invalid syntax")),
        ({"action": "auth", "key": "large", "secret": "paper"}, error(403, "already authenticated")),
        ({"action": "subscribe", "quotes": [f"S{n}" for n in range(201)]}, error(405, "symbol limit exceeded")),
    ],
)
def test_a_wrong_message_is_an_error_and_the_connection_lives(paper, message, expected):
    """The code tells which; the next right message is answered."""
    socket, _ = options(paper)
    socket.send(msgpack.packb(message))
    first = received(socket)
    socket.send(msgpack.packb({"action": "subscribe", "quotes": [CALL]}))

    assert (expected, [CALL]) == (first, received(socket)[0]["quotes"])
    socket.close()


def test_bytes_that_mean_nothing_are_invalid_syntax(paper):
    """Text that is no JSON, bytes that are no msgpack."""
    socket, _ = options(paper)
    for junk in ("{", b"\xc1", b"\x81"):
        socket.send(junk)
        assert error(400, "invalid syntax") == received(socket)
    socket.close()


def test_subscribing_before_authentication_is_401(paper):
    """And the connection may still authenticate."""
    with connect(paper.said["stock_stream"], compression=None) as socket:
        received(socket)
        socket.send(json.dumps({"action": "subscribe", "quotes": [STOCK]}))
        first = received(socket)
        socket.send(json.dumps({"action": "auth", "key": "large", "secret": "paper"}))

        assert (error(401, "not authenticated"), "authenticated") == (first, received(socket)[0]["msg"])


@pytest.mark.parametrize(
    ("path", "key", "packed", "code"),
    [
        ("/v2/iex", "nobody", True, 402),
        ("/v2/sip", "large", True, 409),
        ("/v1beta1/opra", "large", True, 409),
        ("/v1beta1/indicative", "large", False, 412),
        ("/v2/iex", "taken", True, 406),
    ],
)
def test_a_refused_connection_is_told_why_and_closed(paper, path, key, packed, code):
    """Wrong keys, a feed that is not paid for, options in JSON, a second connection."""
    first = None
    if key == "taken":
        key = "large"
        first, _ = data_stream(paper, path)
    socket, answers = data_stream(paper, path, packed=packed, key=key)

    assert code == answers[1][0]["code"]
    with pytest.raises(ConnectionClosed):
        socket.recv(5)
    if first is not None:
        first.close()


def test_a_connection_that_ended_frees_its_place(paper):
    """After a close the account may connect again."""
    socket, _ = stocks(paper)
    socket.close()
    deadline = time.monotonic() + 5
    answers = [[], []]
    while time.monotonic() < deadline and answers[1] != [{"T": "success", "msg": "authenticated"}]:
        again, answers = stocks(paper)
        again.close()

    assert [{"T": "success", "msg": "authenticated"}] == answers[1]


def test_a_mute_socket_stays_open_and_a_fresh_one_delivers(paper):
    """The worst fault of the real stream: connected, and nothing comes."""
    mute, _ = trade_stream(paper, OLD_KEYS, LISTEN)
    assert {"connections": 1} == paper.control("POST", "/streams", stream="trade_updates", account="large", do="mute")[
        1
    ]
    fresh, _ = trade_stream(paper, OLD_KEYS, LISTEN)
    paper.bought(CALL)

    assert ["pending_new", "new", "fill"] == [received(fresh)["data"]["event"] for _ in range(3)]
    assert silent(mute)
    assert 3 == paper.control("GET", "/idle")[1]["sent"]["trade_updates"]["large"], "the mute one is not counted"
    paper.control("POST", "/streams", stream="trade_updates", do="unmute")
    paper.bought(CALL)
    assert "pending_new" == received(mute)["data"]["event"]
    mute.close()
    fresh.close()


def test_events_can_be_dropped_and_doubled(paper):
    """The next one is lost, or comes twice; the count says what was queued."""
    socket, _ = trade_stream(paper, OLD_KEYS, LISTEN)
    paper.control("POST", "/streams", stream="trade_updates", account="large", do="drop_next", count=2)
    paper.bought(CALL)
    paper.control("POST", "/streams", stream="trade_updates", account="large", do="duplicate_next")
    paper.bought(CALL)

    events = [received(socket)["data"]["event"] for _ in range(5)]

    assert ["fill", "pending_new", "pending_new", "new", "fill"] == events
    assert 5 == paper.control("GET", "/idle")[1]["sent"]["trade_updates"]["large"]
    socket.close()


@pytest.mark.parametrize(("code", "seen"), [(None, 1006), (1001, 1001), (4000, 4000)])
def test_a_stream_can_be_closed_with_any_code(paper, code, seen):
    """1006 is a cut without a closing handshake."""
    socket, _ = options(paper, quotes=[CALL])
    order = {"stream": "option", "do": "close"} | ({"code": code} if code else {})
    paper.control("POST", "/streams", **order)

    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(5)
    assert seen == (closed.value.rcvd.code if closed.value.rcvd else 1006)
    again, answers = options(paper)
    assert "authenticated" == answers[1][0]["msg"]
    again.close()


def test_a_websocket_of_nothing_is_404(paper):
    """An unknown feed does not open."""
    with pytest.raises(InvalidStatus, match="404"):
        opened(paper.said["rest"].replace("http", "ws") + "/v2/gold")


def test_a_stream_without_a_handshake_is_refused_in_json(paper):
    """A plain GET on a stream's path."""
    assert (400, 40010000) == (lambda a: (a[0], a[1]["code"]))(paper.call("GET", "/stream"))
