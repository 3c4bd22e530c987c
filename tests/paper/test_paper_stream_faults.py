"""The fault catalogue, streams: what a client sees of each fault."""

import json

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.paper.days import CALL, STOCK
from tests.paper.wires import LISTEN, OLD_KEYS, error, options, received, silent, stocks, trade_stream


def trouble(paper, do, stream="trade_updates", **fault):
    """Order trouble on a stream; return how many connections are there for it."""
    status, body = paper.control("POST", "/streams", stream=stream, do=do, **fault)
    assert 200 == status, body
    return body["connections"]


@pytest.fixture
def updates(paper):
    """A listening client of the account large."""
    socket, _ = trade_stream(paper, OLD_KEYS, LISTEN)
    yield socket
    socket.close()


def events(socket, count):
    return [received(socket)["data"]["event"] for _ in range(count)]


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        ("drop_next", ["pending_new", "fill"]),
        ("duplicate_next", ["pending_new", "new", "new", "fill"]),
        ("reorder_next", ["pending_new", "fill", "new"]),
        ("unknown_event_next", ["pending_new", "something_new", "fill"]),
        ("unknown_status_next", ["pending_new", "new", "fill"]),
    ],
)
def test_a_message_is_dropped_doubled_overtaken_or_estranged(paper, updates, do, expected):
    """Only the event that was named is hit, once; and the fault tells that it has struck."""
    assert 1 == trouble(paper, do, event="new")
    paper.bought(CALL)

    assert expected == events(updates, len(expected))
    assert silent(updates)
    [fault] = paper.control("GET", "/faults")[1]["streams"]
    assert (1, 1, do) == (fault["seen"], fault["struck"], fault["do"])


def test_an_unknown_status_is_only_in_the_event(paper, updates):
    """The order itself is well."""
    trouble(paper, "unknown_status_next", event="fill", symbol=CALL)
    order = paper.bought(CALL)
    shown = [received(updates)["data"]["order"]["status"] for _ in range(3)]

    assert (["pending_new", "new", "something_new"], "filled") == (shown, order["status"])


def test_a_message_is_delayed_on_the_clock(paper, updates):
    """Later ones come first."""
    trouble(paper, "delay_next", event="fill", seconds=5)
    paper.bought(CALL)
    early = events(updates, 2)
    assert silent(updates)
    paper.to("14:31:05")

    assert (["pending_new", "new"], ["fill"]) == (early, events(updates, 1))


def test_a_junk_frame_comes_in_between(paper, updates):
    """Bytes that are neither JSON nor msgpack; the message itself follows."""
    trouble(paper, "junk_next", event="fill")
    paper.bought(CALL)
    events(updates, 2)
    junk = updates.recv(5)

    with pytest.raises(ValueError):
        json.loads(junk)
    assert ["fill"] == events(updates, 1)


def test_a_frame_is_cut_in_half(paper, updates):
    """The message is lost with it."""
    trouble(paper, "garble_next", event="fill")
    paper.bought(CALL)
    events(updates, 2)

    with pytest.raises(ValueError):
        json.loads(updates.recv(5))
    assert silent(updates)


@pytest.mark.parametrize(("code", "seen"), [(1006, None), (1001, 1001), (4009, 4009)])
def test_a_stream_is_closed(paper, updates, code, seen):
    """1006 is what a client sees when there is no closing handshake."""
    trouble(paper, "close", code=code)

    with pytest.raises(ConnectionClosed) as closed:
        updates.recv(5)
    assert seen == (closed.value.rcvd.code if closed.value.rcvd else None)


def test_a_stream_is_mute_but_open(paper, updates):
    """No frame, no close; a new connection hears everything, and so does the old one after unmute."""
    trouble(paper, "mute")
    paper.bought(CALL)
    assert silent(updates)
    other, _ = trade_stream(paper, OLD_KEYS, LISTEN)
    paper.bought(CALL)
    assert ["pending_new", "new", "fill"] == events(other, 3)
    trouble(paper, "unmute")
    paper.bought(CALL)

    assert ["pending_new", "new", "fill"] == events(updates, 3)
    other.close()


@pytest.mark.parametrize("stream", ["trade_updates", "stock"])
def test_a_handshake_is_429(paper, stream):
    """As often as ordered, as if an old connection were still counted."""
    trouble(paper, "refuse_handshake", stream, count=2)
    connects = {"trade_updates": trade_stream, "stock": stocks}[stream]

    for _ in range(2):
        with pytest.raises(InvalidStatus) as refused:
            connects(paper)
        assert 429 == refused.value.response.status_code
    connects(paper)[0].close()


def test_good_keys_are_refused(paper):
    """Once; the same keys pass the next time, on the same connection."""
    trouble(paper, "refuse_keys", account="large")
    socket, answers = trade_stream(paper, OLD_KEYS, OLD_KEYS)

    assert ["unauthorized", "authorized"] == [answer["data"]["status"] for answer in answers]
    socket.close()


def test_good_keys_are_refused_on_a_data_stream(paper):
    """402, and the connection is closed."""
    trouble(paper, "refuse_keys", "option")
    socket, answers = options(paper)

    assert error(402, "auth failed") == answers[-1]
    with pytest.raises(ConnectionClosed):
        socket.recv(5)


def test_a_stream_fails_inside(paper, updates):
    """It says so, then closes."""
    trouble(paper, "error")

    assert {"action": "error", "data": {"error_message": "internal server error"}} == received(updates)
    with pytest.raises(ConnectionClosed):
        updates.recv(5)


@pytest.mark.parametrize(("code", "message"), [(500, "internal error"), (407, "slow client")])
def test_a_data_stream_fails_inside(paper, code, message):
    """With its code."""
    socket, _ = options(paper, quotes=[CALL])
    trouble(paper, "error", "option", code=code)

    assert error(code, message) == received(socket)
    with pytest.raises(ConnectionClosed):
        socket.recv(5)


@pytest.mark.parametrize(
    ("do", "expected"),
    [("drop_next", ["1.2"]), ("duplicate_next", ["1.1", "1.1", "1.2"]), ("reorder_next", ["1.2", "1.1"])],
)
def test_quotes_are_hurt_too(paper, do, expected):
    """By symbol."""
    socket, _ = options(paper, quotes=[CALL])
    trouble(paper, do, "option", symbol=CALL)
    paper.quote(CALL, "1.1", "1.15")
    paper.quote(CALL, "1.2", "1.25")

    assert expected == [str(received(socket)[0]["bp"]) for _ in expected]
    assert silent(socket)
    socket.close()


def test_stream_faults_can_be_called_off(paper, updates):
    """What was ordered and has not struck is forgotten."""
    trouble(paper, "drop_next", count=9)
    paper.control("DELETE", "/streams")
    paper.bought(CALL)

    assert ["pending_new", "new", "fill"] == events(updates, 3)
    assert [] == paper.control("GET", "/faults")[1]["streams"]


# Prices


def priced(paper, do, symbol=CALL, **order):
    status, body = paper.control("POST", "/prices", symbol=symbol, do=do, **order)
    assert 200 == status, body


def shown(paper, symbol=CALL):
    """Bid and ask as the REST API shows them; 0 is a missing side."""
    quote = paper.get("/v1beta1/options/quotes/latest", symbols=symbol)["quotes"][symbol]
    return quote["bp"], quote["ap"]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({"do": "set", "bid": "2", "ask": "2.5"}, (2.0, 2.5)),
        ({"do": "gap", "percent": -50}, (0.5, 0.55)),
        ({"do": "one_sided"}, (0.0, 1.1)),
        ({"do": "one_sided", "missing": "ask"}, (1.0, 0.0)),
        ({"do": "crossed"}, (1.11, 1.0)),
    ],
)
def test_a_price_is_made(paper, order, expected):
    """Shown by REST and on the stream at once."""
    socket, _ = options(paper, quotes=[CALL])
    priced(paper, **order)
    quote = received(socket)[0]

    assert expected == shown(paper) == (quote["bp"], quote["ap"])
    socket.close()


def test_prices_follow_a_script(paper):
    """Each move at its own time of the clock; a resting order fills when its price comes."""
    order = paper.bought(CALL, type="limit", limit_price="0.60")
    moves = [{"after_s": 2, "percent": -20}, {"at": "2026-02-03T14:31:04Z", "bid": "0.5", "ask": "0.6"}]
    priced(paper, "script", moves=moves)
    paper.to("14:31:02")
    between = shown(paper)
    paper.to("14:31:10")

    assert ((0.8, 0.88), (0.5, 0.6)) == (between, shown(paper))
    assert "2026-02-03T14:31:04.000000000Z" == paper.get(f"/v2/orders/{order['id']}")["filled_at"]


def test_a_halted_symbol_does_not_trade(paper):
    """Orders are taken and wait, recorded quotes stay away, the statuses channel tells; after it they fill."""
    socket, _ = stocks(paper, statuses=[STOCK])
    priced(paper, "halt", STOCK)
    order = paper.bought(STOCK)
    paper.to("14:32:00")
    waiting = paper.get(f"/v2/orders/{order['id']}")["status"]
    priced(paper, "resume", STOCK)

    assert ("new", "filled") == (waiting, paper.get(f"/v2/orders/{order['id']}")["status"])
    assert ["H", "T"] == [received(socket)[0]["sc"] for _ in range(2)]
    socket.close()


def test_a_price_goes_stale(paper):
    """The last quote stays with its time while the clock goes on, until it is live again."""
    priced(paper, "stale")
    paper.to("14:32:30")
    assert (1.0, 1.1) == shown(paper)
    priced(paper, "live")
    paper.to("14:33:00")

    assert (0.9, 1.0) == shown(paper)
