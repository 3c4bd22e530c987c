"""Stops and their trails, orders for the auctions, and wash trades against them."""

import pytest

from paper.switches import Switches
from tests.paper.days import CALL, STOCK


def state(paper, order, *keys):
    shown = paper.get(f"/v2/orders/{order['id']}")
    return tuple(shown[key] for key in keys or ("status", "filled_avg_price"))


def placed(paper, **order):
    status, body = paper.submit(**({"symbol": STOCK, "side": "sell", "qty": 2} | order))
    assert 200 == status, body
    return body


def test_a_stop_sells_at_the_market_once_the_bid_is_there(paper):
    """Above its level it waits, whatever the market; at it, it fills at the bid."""
    paper.bought(STOCK, 2)
    stop = placed(paper, type="stop", stop_price="95")
    waiting = state(paper, stop, "status", "stop_price", "limit_price")
    paper.quote(STOCK, "95.01", "95.20")
    still = state(paper, stop, "status")
    paper.quote(STOCK, "94.50", "94.70")

    assert (("new", "95", None), ("new",)) == (waiting, still)
    assert ("filled", "94.5") == state(paper, stop)


def test_a_stop_limit_stays_triggered_and_waits_for_its_limit(paper):
    """A gap through both prices fills nothing; coming back up to the limit does."""
    paper.bought(STOCK, 2)
    stop = placed(paper, type="stop_limit", stop_price="95", limit_price="94")
    paper.quote(STOCK, "93.00", "93.20")
    below = state(paper, stop, "status")
    paper.quote(STOCK, "96.00", "96.20")

    assert ("new",) == below
    assert ("filled", "96") == state(paper, stop)


def test_a_buy_stop_waits_for_the_ask(paper):
    """A breakout order: it pays the ask that triggers it."""
    stop = placed(paper, side="buy", type="stop", stop_price="105")
    paper.quote(STOCK, "104.90", "105.10")

    assert ("filled", "105.1") == state(paper, stop)


@pytest.mark.parametrize(("trail", "level"), [({"trail_price": "2"}, "108"), ({"trail_percent": "5"}, "104.5")])
def test_a_trailing_stop_follows_the_best_bid(paper, trail, level):
    """Its level rises with the bid and never falls; what it has seen is in hwm."""
    paper.bought(STOCK, 2)
    stop = placed(paper, type="trailing_stop", **trail)
    paper.quote(STOCK, "110", "110.20")
    paper.quote(STOCK, "109", "109.20")
    seen = state(paper, stop, "status", "hwm", "stop_price")
    paper.quote(STOCK, level, "112")

    assert ("new", "110", level) == seen
    assert ("filled", level) == state(paper, stop)


def test_a_stop_on_the_wrong_side_of_the_market_is_refused(paper):
    """With the market's price and its own."""
    paper.bought(STOCK, 2)

    sell = paper.submit(symbol=STOCK, side="sell", type="stop", stop_price="101")
    buy = paper.submit("margin", symbol=STOCK, side="buy", type="stop", stop_price="99")

    expected = {"code": 42210000, "market_price": "100"}
    assert (
        422,
        expected | {"message": "stop price must be less than current price", "stop_price": "101"},
    ) == sell
    assert (422, expected | {"message": "stop price must be greater than current price", "stop_price": "99"}) == buy


def test_options_take_stops_unless_the_switch_is_off(a_paper, paper):
    """Single-leg stop and stop_limit are accepted; older documents refuse them; trailing is refused always."""
    old = a_paper(*paper.server._options.data, switches=Switches(option_stop_orders=False, option_gtc=False))
    old.to("14:31:00")
    order = {"symbol": CALL, "side": "sell", "type": "stop", "stop_price": "0.80"}
    paper.bought(CALL)
    old.bought(CALL)
    _, stop = paper.submit(**order)
    paper.quote(CALL, "0.75", "0.85")

    assert ("filled", "0.75") == state(paper, stop)
    assert "invalid order type for options trading" == old.submit(**order)[1]["message"]
    gtc = old.submit(symbol=CALL, side="buy", type="limit", limit_price="0.5", time_in_force="gtc")
    assert "order_time_in_force provided not supported for options trading" == gtc[1]["message"]


@pytest.mark.parametrize("kind", [{"type": "stop", "stop_price": "95"}, {"type": "stop_limit", "stop_price": "95"}])
def test_a_resting_stop_refuses_every_order_of_the_other_side(paper, kind):
    """The wash-trade table: against a stop even a far limit is refused; a trailing stop refuses nothing."""
    limits = {"limit_price": "94"} if kind["type"] == "stop_limit" else {}
    paper.bought(STOCK, 4)
    stop = placed(paper, **kind, **limits)

    status, body = paper.submit(symbol=STOCK, side="buy", type="limit", limit_price="10")
    paper.call("DELETE", f"/v2/orders/{stop['id']}")
    placed(paper, type="trailing_stop", trail_price="3")
    beside = paper.submit(symbol=STOCK, side="buy", type="limit", limit_price="10")

    assert (403, stop["id"], "opposite side market/stop order exists") == (
        status,
        body["existing_order_id"],
        body["reject_reason"],
    )
    assert 200 == beside[0]


def test_an_order_for_the_close_fills_at_the_last_quote(paper):
    """Not before, and what the last quote does not reach is canceled."""
    near = placed(paper, side="buy", time_in_force="cls")
    far = placed(paper, side="buy", time_in_force="cls", type="limit", limit_price="10")
    paper.to("14:32:00")
    before = state(paper, near, "status")
    paper.to("21:00:00")

    assert ("new",) == before
    assert [("filled", "100.6"), ("canceled", None)] == [state(paper, near), state(paper, far)]


def test_an_order_for_the_open_waits_for_the_first_quote(a_paper, tmp_path):
    """Queued in the evening; the first quote fills it or it is canceled."""
    from tests.paper.days import write_day

    second = write_day(tmp_path / "b", day="2026-02-04", quotes=[], trades=[])
    paper = a_paper(write_day(tmp_path / "a"), second)
    paper.to("21:30:00")
    early = paper.submit(symbol=STOCK, side="buy", time_in_force="opg")
    paper.to("00:00:00", "2026-02-04")
    near = placed(paper, side="buy", time_in_force="opg")
    far = placed(paper, side="buy", time_in_force="opg", type="limit", limit_price="10")
    paper.to("14:30:59.999", "2026-02-04")

    assert (422, "opg orders are not accepted until 7:00pm New York time") == (early[0], early[1]["message"])
    assert [("filled", "100.1"), ("canceled", None)] == [state(paper, near), state(paper, far)]


@pytest.mark.parametrize(("at", "status"), [("20:49:59", 200), ("20:50:00", 422)])
def test_orders_for_the_close_end_ten_minutes_before_it(paper, at, status):
    """15:50 in New York."""
    paper.to(at)

    assert status == paper.submit(symbol=STOCK, side="buy", time_in_force="cls")[0]


def test_a_gtc_order_lives_ninety_days(a_paper, tmp_path):
    """Then it is canceled by itself."""
    from tests.paper.days import write_day

    later = write_day(tmp_path / "b", day="2026-05-05", quotes=[], trades=[], underlying=[])
    paper = a_paper(write_day(tmp_path / "a"), later)
    paper.to("14:31:00")
    order = placed(paper, side="buy", time_in_force="gtc", type="limit", limit_price="10")
    paper.to("14:30:00", "2026-05-05")

    assert "2026-05-04T21:00:00.000000000Z" == order["expires_at"]
    assert ("canceled",) == state(paper, order, "status")


def test_cancel_of_canceled_is_a_matter_of_a_switch(a_paper, paper):
    """Sources disagree: refused by default, 204 with the switch."""
    lenient = a_paper(*paper.server._options.data, switches=Switches(cancel_of_canceled_refused=False))
    lenient.to("14:31:00")
    answers = []
    for server in (paper, lenient):
        order = placed(server, side="buy", type="limit", limit_price="10")
        answers.append([server.call("DELETE", f"/v2/orders/{order['id']}")[0] for _ in range(2)])

    assert [[204, 422], [204, 204]] == answers
