"""Section 6: limits and times."""

import json

import msgpack
import pytest

from tests.conformance.clients import refusal
from tests.paper.days import CALL, LAST_DAY_CALL, STOCK
from tests.paper.wires import LISTEN, OLD_KEYS, error, options, received, stocks, trade_stream


def test_two_hundred_requests_a_minute(paper):
    """For trading; the data API and other accounts have budgets of their own."""
    statuses = [paper.call("GET", "/v2/clock")[0] for _ in range(201)]
    data = paper.call("GET", "/v2/stocks/quotes/latest?symbols=ACME")[0]
    other = paper.call("GET", "/v2/clock", "tiny")[0]
    paper.to("14:32:00")

    assert [200] * 200 + [429] == statuses
    assert (200, 200, 200) == (data, other, paper.call("GET", "/v2/clock")[0])


def test_two_hundred_requests_a_minute_for_data(paper):
    """The basic plan's, with another body."""
    answers = [paper.call("GET", "/v2/stocks/quotes/latest?symbols=ACME") for _ in range(201)]

    assert (200, (429, {"message": "too many requests."})) == (answers[199][0], answers[200])


def test_a_server_may_be_given_another_limit(a_paper):
    """For load."""
    paper = a_paper("--rate-limit", "3")

    assert [200, 200, 200, 429] == [paper.call("GET", "/v2/clock")[0] for _ in range(4)]


def test_bursts_are_a_switch(a_paper):
    """Third parties speak of about ten a second."""
    paper = a_paper("--switch", "burst_per_second=10")
    statuses = [paper.call("GET", "/v2/clock")[0] for _ in range(11)]
    paper.to("14:31:01")

    assert ([200] * 10 + [429], 200) == (statuses, paper.call("GET", "/v2/clock")[0])


@pytest.mark.parametrize(("connect", "most"), [(stocks, 30), (options, 200)])
def test_so_many_symbols_at_once(paper, connect, most):
    """Thirty stocks, two hundred option quotes; one more is 405."""
    socket, answers = connect(paper, quotes=[f"S{n}" for n in range(most)])
    socket.send(msgpack.packb({"action": "subscribe", "quotes": ["ONE-MORE"]}))

    assert most == len(answers[2][0]["quotes"])
    assert error(405, "symbol limit exceeded") == received(socket)
    socket.close()


def test_options_trade_from_half_past_nine_to_four(a_paper):
    """In New York."""
    paper = a_paper(at=None)
    hours = []
    for at in ("14:30:00", "20:59:59", "21:00:00"):
        paper.to(at)
        hours.append(paper.get("/v2/clock")["is_open"])

    assert [True, True, False] == hours


def test_the_last_half_hour_of_a_contract_is_for_closing(paper, alpaca):
    """15:30 in New York; a switch moves it."""
    alpaca.market(LAST_DAY_CALL, "buy", 2)
    paper.to("20:29:59")
    alpaca.market(LAST_DAY_CALL, "buy")
    paper.to("20:30:00")

    message = f'contract "{LAST_DAY_CALL}" expires soon, unable to open new positions'
    assert (422, 42210000, message) == refusal(alpaca.market, LAST_DAY_CALL, "buy")
    assert "3" == alpaca.trading.close_position(LAST_DAY_CALL).qty


def test_the_cutoff_is_a_switch(a_paper):
    """15:15, as another page says."""
    paper = a_paper("--switch", "expiry_cutoff_minutes=45")
    paper.to("20:15:00")

    assert 422 == paper.submit(symbol=LAST_DAY_CALL, side="buy")[0]


def test_what_cannot_be_paid_for_is_liquidated(a_paper):
    """From the cutoff on, by an order that the stream shows; who can pay keeps the contract."""
    paper = a_paper("--account", "poor=600")
    for name in ("poor", "large"):
        paper.bought(LAST_DAY_CALL, 1, name)
    paper.to("14:33:00")
    paper.quote(STOCK, "110", "110")
    paper.quote(LAST_DAY_CALL, "4.90", "5.10")
    paper.to("20:30:00")

    assert ([], 1) == (paper.get("/v2/positions", "poor"), len(paper.get("/v2/positions")))
    assert "1065" == paper.get("/v2/account", "poor")["cash"]


@pytest.mark.parametrize(("price", "shares"), [("105.00", []), ("105.01", ["100"])])
def test_a_cent_in_the_money_is_exercised(paper, alpaca, price, shares):
    """In the evening, by itself."""
    alpaca.market(LAST_DAY_CALL, "buy")
    paper.to("14:33:00")
    paper.quote(STOCK, price, price)
    paper.to("21:00:00")

    assert shares == [position.qty for position in alpaca.trading.get_all_positions()]


def test_do_not_exercise_is_for_the_last_day(paper, alpaca):
    """Earlier it is refused."""
    alpaca.market(CALL, "buy")
    alpaca.market(LAST_DAY_CALL, "buy")
    statuses = [paper.call("POST", f"/v2/positions/{symbol}/do-not-exercise")[0] for symbol in (CALL, LAST_DAY_CALL)]
    paper.to("14:33:00")
    paper.quote(STOCK, "110", "110")
    paper.to("21:00:00")

    assert ([422, 200], [CALL]) == (statuses, [p.symbol for p in alpaca.trading.get_all_positions()])


def test_nothing_is_exercised_between_close_and_midnight(paper, alpaca):
    """422."""
    alpaca.market(CALL, "buy")
    paper.to("21:00:00")
    evening = refusal(alpaca.trading.exercise_options_position, CALL)
    paper.to("05:00:00", "2026-02-04")
    alpaca.trading.exercise_options_position(CALL)

    assert (422, 42210000) == evening[:2]
    assert "100" == alpaca.trading.get_open_position(STOCK).qty


def test_a_second_trade_stream_is_heard_too(paper):
    """The stream of trade updates has no such limit."""
    sockets = [trade_stream(paper, OLD_KEYS, LISTEN)[0] for _ in range(2)]
    paper.bought(CALL)

    assert ["pending_new"] * 2 == [json.loads(socket.recv(5))["data"]["event"] for socket in sockets]
    for socket in sockets:
        socket.close()
