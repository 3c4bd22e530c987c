"""Requests that no client should send: 4xx in Alpaca's shape, never a trace, and the server goes on."""

import json
import socket

import pytest

from tests.paper.days import CALL

ORDER = {"symbol": CALL, "side": "buy", "qty": 1, "type": "market", "time_in_force": "day"}


def raw(paper, text, path="/v2/orders", method="POST"):
    """Send bytes as a body; return status and JSON."""
    headers = {"APCA-API-KEY-ID": "large", "APCA-API-SECRET-KEY": "paper", "Content-Type": "application/json"}
    response = paper.session.request(method, paper.said["rest"] + path, data=text, headers=headers, timeout=10)
    assert response.headers["Content-Type"].startswith("application/json"), response.text
    return response.status_code, response.json()


def is_refusal(answer):
    """4xx, and Alpaca's body: a message, and a code that begins with the status or its family."""
    status, body = answer
    text = json.dumps(body)
    return 400 <= status < 500 and isinstance(body["message"], str) and "Traceback" not in text and 'File "' not in text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe\x00",
        b'{"symbol": "\xc3\x28"}',
        b'{"symbol": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 10_000,
        b'{"qty": NaN}',
        b'{"qty": Infinity}',
        b" " * (1024 * 1024),
        b'{"symbol": "' + b"A" * (1024 * 1024 - 100) + b'"}',
        b"x" * (1024 * 1024 + 1),
        b'{"qty": 1' + b"0" * 5000 + b"}",
    ],
    ids=range(17),
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/v2/orders"), ("PATCH", "/v2/orders/x")])
def test_a_body_that_is_no_order_is_refused(paper, method, path, body):
    """Broken JSON, other types, bad UTF-8, deep nesting, a megabyte."""
    assert is_refusal(raw(paper, body, path, method))


def test_a_refused_megabyte_is_written_down(paper):
    """Without its body."""
    raw(paper, b"x" * (1024 * 1024 + 1))
    entry = paper.control("GET", "/journal")[1]["entries"][-1]

    assert ("request", 413, "unreadable") == (entry["kind"], entry["status"], entry["body"])


ODD = (None, True, -1, 0, "", "x", [], {}, [1], {"a": 1}, 1e308, "1" * 400, 10**40, "\u0000")
FIELDS = ("symbol", "side", "type", "time_in_force", "qty", "limit_price", "position_intent", "client_order_id")


def test_a_field_of_another_type_never_breaks_the_server(a_paper):
    """A refusal, or an order where the odd value means none; nothing in between."""
    paper = a_paper(rate_limit=100_000)
    answers = {(name, str(value)): raw(paper, json.dumps(ORDER | {name: value})) for name in FIELDS for value in ODD}

    assert [] == [case for case, answer in answers.items() if answer[0] != 200 and not is_refusal(answer)]
    assert {200, 422} <= {status for status, _ in answers.values()}


@pytest.mark.parametrize("order_class", ["", "bracket", "oco", "oto", "mleg"])
def test_odd_groups_never_break_the_server(a_paper, order_class):
    """Parts of brackets and legs of the wrong kind; unknown fields are let pass."""
    paper = a_paper(rate_limit=100_000)
    parts = (1, "x", [], [[]], {}, {"limit_price": {}}, [{"symbol": []}], {"stop_price": "-"})
    names = ("take_profit", "stop_loss", "legs", "advanced_instructions", "extra")
    answers = {
        (name, str(part)): raw(paper, json.dumps(ORDER | {"order_class": order_class, name: part}))
        for name in names
        for part in parts
    }

    assert [] == [case for case, answer in answers.items() if answer[0] != 200 and not is_refusal(answer)]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/v2/orders", 405),
        ("DELETE", "/v2/account", 405),
        ("POST", "/v2/clock", 405),
        ("GET", "/v2/nothing/at/all", 404),
        ("GET", "/v2/orders/../../etc/passwd", 404),
        ("GET", "/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/v2/assets/..%2f..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/v2/orders/%00", 404),
        ("GET", "/v2/positions/%F0%9F%A6%99", 404),
        ("GET", "/v2/orders?limit=99999999999999999999", 422),
        ("GET", "/v2/orders?after=yesterday", 422),
        ("DELETE", "/v2/positions/%FF?qty=1e999", 404),
        ("GET", "/v2/stocks/bars?symbols=ACME&timeframe=0Min", 400),
        ("GET", "/v2/stocks/bars?symbols=ACME&timeframe=1Min&start=x", 400),
    ],
)
def test_wrong_methods_and_paths_are_refused(paper, method, path, status):
    """405 and 404 are JSON too; nothing leads out of the API."""
    answer = raw(paper, None, path, method)

    assert (status, True) == (answer[0], is_refusal(answer))


@pytest.mark.parametrize(
    "text",
    [
        b"GET /v2/clock\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /v2/orders HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/clock HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"b" * 100_000 + b"\r\n\r\n",
    ],
    ids=["old", "tls", "length", "traversal", "header"],
)
def test_bytes_that_are_no_request_do_not_hurt(paper, text):
    """A 4xx or a cut connection, and no trace; the next client is served."""
    host, port = paper.said["rest"].removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 5) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()

    assert b"Traceback" not in answer
    assert answer == b"" or answer.split(b" ")[1].startswith(b"4")
    assert 200 == paper.call("GET", "/v2/clock")[0]
