"""The control port: the clock, what it waits for, faults of the HTTP side, the journal."""

import json
import threading
import time

import pytest
import requests

from paper.options import Options
from tests.paper.days import CALL, STOCK, write_day
from tests.paper.kit import serving
from tests.paper.wires import LISTEN, OLD_KEYS, stocks, trade_stream


def test_the_clock_stands_until_told(paper):
    """Speed 0: no wall time moves it; it tells what comes next."""
    before = paper.control("GET", "/clock")[1]
    time.sleep(0.05)

    assert before == paper.control("GET", "/clock")[1]
    assert {"at": "2026-02-03T14:31:00Z", "next_event": "2026-02-03T14:31:59.999000Z", "speed": 0.0} == before


def test_time_never_goes_back(paper):
    """400, and the time it is."""
    status, body = paper.control("POST", "/clock", to="2026-02-03T14:30:59Z")

    assert (400, {"error": "time does not go back: it is 2026-02-03T14:31:00Z"}) == (status, body)
    assert 200 == paper.control("POST", "/clock", to="2026-02-03T14:31:00Z")[0]


def test_after_the_last_event_there_is_none(paper):
    """The recorded market is over, and the clock says so."""
    assert None is paper.to("23:00:00")["next_event"]


def test_every_due_event_happens_at_its_own_time(paper):
    """One step over the whole day: the resting order filled when its price came, not at the end of the step."""
    order = paper.bought(CALL, type="limit", limit_price="1.00")
    paper.to("21:00:00")

    assert "2026-02-03T14:32:59.999000000Z" == paper.get(f"/v2/orders/{order['id']}")["filled_at"]


def test_a_running_clock_moves_and_stops(a_paper):
    """At 600 a second of wall time is ten minutes; at 0 it stands where it is."""
    paper = a_paper(speed=600.0)
    time.sleep(0.2)
    paper.control("POST", "/clock", speed=0)
    stopped = paper.control("GET", "/clock")[1]["at"]

    assert "2026-02-03T14:31:30" < stopped < "2026-02-03T14:45:00"
    assert stopped == paper.control("GET", "/clock")[1]["at"]


def test_a_running_clock_fills_by_itself(a_paper):
    """Without any request: the pacer wakes up for the quote."""
    paper = a_paper(speed=60.0)
    _, order = paper.submit(symbol=CALL, side="buy")
    time.sleep(1.3)

    assert [("large", "fill", "1")] == paper.events()[2:]
    assert "2026-02-03T14:30:59.999000000Z" == paper.get(f"/v2/orders/{order['id']}")["filled_at"]


def test_a_clock_may_start_elsewhere(a_paper, tmp_path):
    """Before the open, as replays do; or later, with the market as it was then."""
    from paper import times

    early = a_paper(write_day(tmp_path / "x"), start=times.parse("2026-02-03T14:24:00Z"))
    late = a_paper(tmp_path / "x", start=times.parse("2026-02-03T14:32:30Z"))

    assert ("2026-02-03T14:24:00Z", "2026-02-03T14:30:00Z") == (
        early.said["clock"],
        early.control("GET", "/clock")[1]["next_event"],
    )
    assert False is early.get("/v2/clock")["is_open"]
    assert "1.3" == late.bought(CALL)["filled_avg_price"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/clock", {}),
        ("/clock", {"to": "soon"}),
        ("/clock", {"speed": -1}),
        ("/clock", {"speed": 1e30}),
        ("/fills", {"hold": "yes"}),
        ("/fills", {"delay_s": 1e12}),
        ("/quotes", {"symbol": "XYZ", "bid": 1, "ask": 2}),
        ("/quotes", {"symbol": CALL, "bid": 0, "ask": 2}),
        ("/greeks", {"symbol": "XYZ", "theta": "-0.1"}),
        ("/greeks", {"symbol": CALL, "theta": "much"}),
        ("/close", {"account": "nobody", "symbol": CALL, "qty": 1}),
        ("/close", {"account": "large", "symbol": CALL, "qty": "1.5"}),
        ("/close", {"account": "large", "symbol": CALL}),
        ("/faults", {"do": "explode"}),
        ("/faults", {"do": "hang", "when": "sometimes"}),
        ("/faults", {"do": "hang", "path": "("}),
        ("/faults", {"do": "status", "status": 99}),
        ("/faults", {"do": "status", "count": 0}),
        ("/streams", {"stream": "news", "do": "mute"}),
        ("/streams", {"stream": "stock", "do": "mute", "account": "nobody"}),
        ("/streams", {"stream": "stock", "do": "close", "code": 7}),
    ],
)
def test_a_senseless_order_is_400_with_a_reason(paper, path, body):
    """And the server goes on."""
    response = paper.session.post(paper.control_url + path, data=json.dumps(body), timeout=5)

    assert 400 == response.status_code
    assert response.json()["error"]
    assert 200 == paper.control("GET", "/clock")[0]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]"])
def test_a_body_that_is_no_object_is_400(paper, raw):
    """On the control port too."""
    assert 400 == paper.session.post(paper.control_url + "/clock", data=raw, timeout=5).status_code


def test_idle_tells_what_is_in_flight(paper):
    """Requests are counted when handled; at rest nothing is in flight and no frame unwritten."""
    before = paper.control("GET", "/idle")[1]["requests"]
    paper.get("/v2/clock")

    assert {
        "idle": True,
        "at": "2026-02-03T14:31:00Z",
        "requests": before + 1,
        "in_flight": 0,
        "sent": {"trade_updates": {"large": 0, "tiny": 0, "margin": 0}, "stock": 0, "option": 0},
        "listening": {"trade_updates": 0, "stock": 0, "option": 0},
    } == paper.control("GET", "/idle")[1]


def test_idle_tells_who_listens(paper):
    """A connection counts from when it has asked for something; nobody needs to guess when a client is ready."""
    silent, _ = trade_stream(paper, OLD_KEYS)
    updates, _ = trade_stream(paper, OLD_KEYS, LISTEN)
    quotes, _ = stocks(paper, quotes=[STOCK])

    assert {"trade_updates": 1, "stock": 1, "option": 0} == paper.control("GET", "/idle")[1]["listening"]
    for socket in (silent, updates, quotes):
        socket.close()


def test_a_status_before_means_not_carried_out(paper):
    """503 from the gateway is HTML; the order does not exist, and the fault is used up."""
    paper.control("POST", "/faults", method="POST", path="/v2/orders", do="status", status=503)
    response = paper.session.post(
        paper.said["rest"] + "/v2/orders",
        json={"symbol": CALL, "side": "buy", "qty": 1, "type": "market", "time_in_force": "day"},
        headers={"APCA-API-KEY-ID": "large", "APCA-API-SECRET-KEY": "paper"},
        timeout=5,
    )

    assert (503, "text/html") == (response.status_code, response.headers["Content-Type"].split(";")[0])
    assert [] == paper.get("/v2/orders", status="all")
    assert 200 == paper.submit(symbol=CALL, side="buy")[0]


def test_a_status_after_means_carried_out(paper):
    """The client sees a 500, the order lives; only the order that the body names is hit."""
    fault = {"path": "/v2/orders", "body": {"client_order_id": "hit", "qty": 1}, "do": "status", "status": 500}
    paper.control("POST", "/faults", when="after", **fault)

    other = paper.submit(symbol=CALL, side="buy", client_order_id="other")
    hit = paper.submit(symbol=CALL, side="buy", client_order_id="hit", qty="1")

    assert (200, (500, {"code": 50010000, "message": "internal server error occurred"})) == (other[0], hit)
    assert "filled" == paper.get("/v2/orders:by_client_order_id", client_order_id="hit")["status"]


@pytest.mark.parametrize(("status", "path"), [(429, "/v2/clock"), (429, "/v2/stocks/quotes/latest?symbols=ACME")])
def test_an_ordered_429_looks_like_a_real_one(paper, status, path):
    """As often as ordered, for one account."""
    paper.control("POST", "/faults", path="/v2/.*", account="large", do="status", status=status, count=2)

    assert [429, 429, 200] == [paper.call("GET", path)[0] for _ in range(3)]


@pytest.mark.parametrize(("when", "orders"), [("before", 0), ("after", 1)])
def test_a_connection_can_be_reset_around_the_acceptance(paper, when, orders):
    """The client sees a lost connection either way; only the book tells the difference."""
    paper.control("POST", "/faults", method="POST", do="reset", when=when)

    with pytest.raises(requests.ConnectionError):
        paper.submit(symbol=CALL, side="buy")
    assert orders == len(paper.get("/v2/orders", status="all"))


def test_a_hanging_request_does_not_keep_the_clock_waiting(paper):
    """It is carried out, its answer never comes; idle stays true, the clock moves, and clearing the faults ends it."""
    paper.control("POST", "/faults", method="POST", do="hang", when="after", seconds=30)
    ended = []

    def submit():
        try:
            requests.post(
                paper.said["rest"] + "/v2/orders",
                json={"symbol": CALL, "side": "buy", "qty": 1, "type": "market", "time_in_force": "day"},
                headers={"APCA-API-KEY-ID": "large", "APCA-API-SECRET-KEY": "paper"},
                timeout=20,
            )
        except requests.ConnectionError as error:
            ended.append(error)

    thread = threading.Thread(target=submit)
    thread.start()
    deadline = time.monotonic() + 5
    while not paper.events() and time.monotonic() < deadline:
        time.sleep(0.01)

    assert True is paper.control("GET", "/idle")[1]["idle"]
    assert "2026-02-03T14:31:30Z" == paper.to("14:31:30")["at"]
    assert (True, []) == (thread.is_alive(), ended)
    paper.control("DELETE", "/faults")
    thread.join(5)
    assert 1 == len(ended)


def test_the_journal_is_the_ground_truth(tmp_path):
    """Requests with their answers and every change of the book, numbered; the file has the same lines."""
    path = tmp_path / "journal.jsonl"
    with serving(Options(data=(write_day(tmp_path / "day"),), speed=0.0, partial_ratio=0.0, journal=path)) as paper:
        paper.to("14:31:00")
        paper.submit(symbol=CALL, side="buy", client_order_id="mine")
        entries = paper.control("GET", "/journal")[1]["entries"]
        later = paper.session.get(f"{paper.control_url}/journal?after={entries[-2]['n']}", timeout=5).json()

    assert ["session_open", "event", "event", "event", "request"] == [entry["kind"] for entry in entries]
    assert [1, 2, 3, 4, 5] == [entry["n"] for entry in entries]
    assert ("fill", "1", "99890.00") == tuple(entries[3][key] for key in ("event", "position_qty", "cash"))
    assert ("POST", "/v2/orders", 200, "mine") == (
        *(entries[4][key] for key in ("method", "path", "status")),
        entries[4]["body"]["client_order_id"],
    )
    assert entries[-1:] == later["entries"]
    assert entries == [json.loads(line) for line in path.read_text().splitlines()]
