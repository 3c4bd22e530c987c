"""Server-sent events: the past and the present of an account, resumed by time or id."""

import json
import threading
from contextlib import contextmanager

import pytest
import requests

from tests.paper.days import CALL, PUT

TRADES, ACTIVITIES = "/v2/events/trades", "/v2beta1/events/activities"


@contextmanager
def listening(paper, path, account="large", headers=None, **params):
    """Open a stream; yield an iterator over (id, event)."""
    keys = {"APCA-API-KEY-ID": account, "APCA-API-SECRET-KEY": "paper"} | (headers or {})
    with requests.get(paper.said["rest"] + path, params=params, headers=keys, stream=True, timeout=5) as response:
        assert 200 == response.status_code, response.text
        assert "text/event-stream" == response.headers["Content-Type"]
        yield read(response)


def read(response):
    event_id = None
    for line in response.iter_lines():
        name, _, value = line.decode().partition(": ")
        if name == "id":
            event_id = value
        elif name == "data":
            yield event_id, json.loads(value)


def past(paper, path, **params):
    """All events of a range that ends."""
    with listening(paper, path, **params) as events:
        return list(events)


def test_the_past_of_a_day_is_told_and_then_the_stream_ends(paper):
    """until is reached: the same events, in the same order and with the same ids, as the trade stream's."""
    paper.bought(CALL, client_order_id="mine")
    told = past(paper, TRADES, since="2026-02-03", until="2026-02-03T14:31:00Z")

    assert ["pending_new", "new", "fill"] == [event["event"] for _, event in told]
    assert [event_id for event_id, _ in told] == [event["event_id"] for _, event in told]
    assert {"mine"} == {event["order"]["client_order_id"] for _, event in told}
    assert paper.get("/v2/account")["id"] == told[0][1]["account_id"]


def test_executions_are_activities(paper):
    """With the client's order id, which the list of activities lacks, and the execution's id."""
    paper.bought(CALL, 2, client_order_id="mine")
    [(_, event)] = past(paper, ACTIVITIES, since="2026-02-03", until="2026-02-03T14:31:00Z")
    fill = past(paper, TRADES, since="2026-02-03", until="2026-02-03T14:31:00Z")[-1][1]

    assert ("FILL", CALL, "2", "1.1", "-220") == tuple(
        event[key] for key in ("activity_type", "symbol", "qty", "price", "net_amount")
    )
    assert fill["execution_id"] == event["ref_id"]
    assert ("mine", "fill", "2", "0", "filled") == tuple(
        event["details"][key] for key in ("client_order_id", "execution_type", "cum_qty", "leaves_qty", "order_status")
    )


def test_without_a_since_only_the_present_is_told(paper):
    """And it is pushed when it happens."""
    paper.bought(CALL)
    with listening(paper, TRADES) as events:
        later = threading.Timer(0.1, paper.submit, kwargs={"symbol": PUT, "side": "buy"})
        later.start()
        told = [next(events)[1]["order"]["symbol"] for _ in range(3)]
    later.join()

    assert [PUT] * 3 == told


@pytest.mark.parametrize("by", ["since_id", "header"])
def test_a_client_resumes_after_the_last_event_it_saw(paper, by):
    """Nothing twice, nothing missed."""
    paper.bought(CALL)
    first = past(paper, TRADES, since="2026-02-03", until="2026-02-03T14:31:00Z")
    last = first[0][0]
    how = {"since_id": last} if by == "since_id" else {"headers": {"Last-Event-ID": last}}
    with listening(paper, TRADES, **how) as events:
        told = [next(events) for _ in range(2)]
        paper.bought(PUT)
        told += [next(events) for _ in range(3)]

    assert first[1:] == told[:2]
    assert [PUT] * 3 == [event["order"]["symbol"] for _, event in told[2:]]


def test_a_range_of_ids_ends_with_its_last(paper):
    """until_id is the last one told."""
    paper.bought(CALL)
    ids = [event_id for event_id, _ in past(paper, TRADES, since="2026-02-03", until="2026-02-03T14:31:00Z")]
    with listening(paper, TRADES, since_id=ids[0], until_id=ids[-1]) as events:
        told = [event_id for event_id, _ in events]

    assert ids[1:] == told


def test_a_stream_ends_when_the_clock_passes_its_end(paper):
    """until lies ahead: the stream waits for it."""
    with listening(paper, TRADES, since="2026-02-03", until="2026-02-03T14:31:30Z") as events:
        paper.bought(CALL)
        first = next(events)
        paper.to("14:31:30")
        rest = list(events)

    assert ["pending_new", "new", "fill"] == [event["event"] for _, event in [first, *rest]]


def test_an_open_stream_does_not_keep_the_clock_waiting(paper):
    """It counts as answered."""
    with listening(paper, TRADES):
        assert True is paper.control("GET", "/idle")[1]["idle"]


@pytest.mark.parametrize(
    "params",
    [
        {"until": "2026-02-03"},
        {"until_id": "0" * 26},
        {"since": "2026-02-03", "since_id": "0" * 26},
        {"since": "soon"},
        {"since_id": "short"},
    ],
)
@pytest.mark.parametrize("path", [TRADES, ACTIVITIES])
def test_a_range_that_makes_no_sense_is_422(paper, path, params):
    """In the words of the API."""
    status, body = paper.call("GET", path, params=params)

    assert (422, 40010001) == (status, body["code"])


def test_each_account_hears_of_itself_only(paper):
    """Keys decide."""
    paper.bought(CALL)

    assert [] == past(paper, TRADES, account="tiny", since="2026-02-03", until="2026-02-03T14:31:00Z")
    assert 401 == paper.call("GET", TRADES, "nobody")[0]
