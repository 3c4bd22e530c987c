"""Sections 1.6, 1.7 and 1.10: how orders live, are replaced, and fill."""

import threading

import pytest
from alpaca.trading.enums import OrderStatus
from alpaca.trading.requests import (
    GetOrdersRequest,
    MarketOrderRequest,
    OptionLegRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    TrailingStopOrderRequest,
)

from tests.conformance.clients import Alpaca, refusal, wait_for
from tests.paper.days import CALL, LAST_DAY_CALL, PUT, STOCK


def status(alpaca, order):
    return alpaca.trading.get_order_by_id(order.id).status.value


def events(heard):
    return [update.event for update in heard]


def test_an_open_market_answers_pending_new_and_the_stream_goes_on(alpaca):
    """pending_new, new, fill."""
    with alpaca.updates() as heard:
        made = alpaca.market(CALL, "buy")
        wait_for(lambda: 3 == len(heard))

    assert ("pending_new", ["pending_new", "new", "fill"]) == (made.status.value, events(heard))


def test_a_closed_market_answers_accepted(paper, alpaca):
    """And the stream says accepted too."""
    paper.to("21:00:00")
    with alpaca.updates() as heard:
        made = alpaca.limit(CALL, "buy", 1.0)
        wait_for(lambda: 1 == len(heard))

    assert ("accepted", ["accepted"]) == (made.status.value, events(heard))


def test_a_part_then_the_rest(a_paper):
    """partial_fill, then fill; the amounts of the event are its own, those of the order are sums."""
    paper = a_paper("--partial-ratio", "1")
    alpaca = Alpaca(paper)
    with alpaca.updates() as heard:
        alpaca.market(CALL, "buy", 10)
        paper.quote(CALL, "1.20", "1.30")
        wait_for(lambda: 4 == len(heard))

    part, whole = heard[2:]
    assert ["partial_fill", "fill"] == events([part, whole])
    assert ["partially_filled", "filled"] == [update.order.status.value for update in (part, whole)]
    assert (10, "10") == (part.qty + whole.qty, whole.order.filled_qty)
    assert (1.1, 1.3) == (part.price, whole.price)
    cost = part.qty * part.price + whole.qty * whole.price
    assert round(cost / 10, 6) == round(float(whole.order.filled_avg_price), 6)
    assert part.qty == part.position_qty


def test_a_canceled_order_may_have_made_a_position(a_paper):
    """What was filled stays."""
    paper = a_paper("--partial-ratio", "1")
    alpaca = Alpaca(paper)
    order = alpaca.market(CALL, "buy", 10)
    alpaca.trading.cancel_order_by_id(order.id)

    ended = alpaca.trading.get_order_by_id(order.id)
    assert ("canceled", True) == (ended.status.value, 0 < int(ended.filled_qty) < 10)
    assert ended.filled_qty == alpaca.trading.get_open_position(CALL).qty


def test_a_cancel_is_told_by_an_event(alpaca):
    """204 is a request; canceled is the end."""
    with alpaca.updates() as heard:
        order = alpaca.limit(CALL, "buy", 0.1)
        alpaca.trading.cancel_order_by_id(order.id)
        wait_for(lambda: 3 == len(heard))

    assert ("canceled", "canceled") == (events(heard)[-1], heard[-1].order.status.value)


def test_a_fill_can_win_against_a_cancel(paper, alpaca):
    """204, and then the fill."""
    order = alpaca.limit(CALL, "buy", 0.5)
    paper.control("POST", "/faults", method="DELETE", path="/v2/orders/.*", do="fill_after_cancel", seconds=1)
    with alpaca.updates() as heard:
        alpaca.trading.cancel_order_by_id(order.id)
        paper.to("14:31:01")
        wait_for(lambda: 1 == len(heard))

    assert (["fill"], "filled") == (events(heard), status(alpaca, order))


def test_an_order_that_ended_cannot_be_canceled(paper, alpaca):
    """filled, canceled, expired, rejected or replaced: the text names the state."""
    filled, canceled = alpaca.market(CALL, "buy"), alpaca.limit(CALL, "buy", 0.1)
    alpaca.trading.cancel_order_by_id(canceled.id)
    replaced = alpaca.limit(CALL, "buy", 0.1)
    alpaca.trading.replace_order_by_id(replaced.id, ReplaceOrderRequest(limit_price=0.2))
    paper.control("POST", "/faults", method="POST", path="/v2/orders", do="late_reject", seconds=0)
    rejected = alpaca.limit(CALL, "buy", 0.1)
    expired = alpaca.limit(CALL, "buy", 0.1)
    paper.to("21:00:00")

    ended = {"filled": filled, "canceled": canceled, "replaced": replaced, "rejected": rejected, "expired": expired}
    assert {state: (422, 42210000, f'order is already in "{state}" state') for state in ended} == {
        state: refusal(alpaca.trading.cancel_order_by_id, order.id) for state, order in ended.items()
    }


def test_a_second_cancel_is_a_switch(a_paper, alpaca):
    """Refused, or a success again: sources disagree."""
    lenient = Alpaca(a_paper("--switch", "cancel_of_canceled_refused=false"))
    order = lenient.limit(CALL, "buy", 0.1)

    assert [None, None] == [lenient.trading.cancel_order_by_id(order.id) for _ in range(2)]


def test_a_rejection_may_come_late(paper, alpaca):
    """Accepted, and rejected afterwards."""
    paper.control("POST", "/faults", method="POST", path="/v2/orders", do="late_reject", seconds=1)
    with alpaca.updates() as heard:
        order = alpaca.market(CALL, "buy")
        paper.to("14:31:01")
        wait_for(lambda: "rejected" in events(heard))

    assert "rejected" == status(alpaca, order)


def test_every_status_is_one_that_alpaca_py_knows(paper, alpaca):
    """The orders of a lively minute; each parses."""
    alpaca.market(CALL, "buy")
    alpaca.trading.cancel_order_by_id(alpaca.limit(CALL, "buy", 0.1).id)
    alpaca.trading.replace_order_by_id(alpaca.limit(CALL, "buy", 0.1).id, ReplaceOrderRequest(limit_price=0.2))
    paper.control("POST", "/fills", replace_delay_s=5)
    alpaca.trading.replace_order_by_id(alpaca.limit(PUT, "buy", 0.1).id, ReplaceOrderRequest(limit_price=0.2))

    seen = {order.status for order in alpaca.trading.get_orders(GetOrdersRequest(status="all"))}
    expected = "filled canceled replaced new pending_replace pending_new"
    assert {OrderStatus(word) for word in expected.split()} == seen


def test_what_outlives_its_day_is_done_for_it(paper, alpaca):
    """done_for_day is not the end: a gtc order, told by an event."""
    with alpaca.updates() as heard:
        order = alpaca.limit(CALL, "buy", 0.1, time_in_force="gtc")
        paper.to("21:00:00")
        wait_for(lambda: "done_for_day" in events(heard))

    assert "done_for_day" == status(alpaca, order)
    assert [order.id] == [found.id for found in alpaca.trading.get_orders()]


@pytest.mark.parametrize("state", ["stopped", "suspended", "calculated", "accepted_for_bidding"])
def test_a_rare_status_is_parsed(paper, alpaca, state):
    """When the server is asked for it; the order goes on afterwards."""
    order = alpaca.limit(CALL, "buy", 0.1, client_order_id="rare")
    with alpaca.updates() as heard:
        paper.control("POST", "/orders", account="large", client_order_id="rare", status=state, seconds=5)
        wait_for(lambda: 1 == len(heard))
    rare = status(alpaca, order)
    paper.to("14:31:05")

    assert ([state], state, "new") == (events(heard), rare, status(alpaca, order))


def test_a_cancel_may_stay_pending(paper, alpaca):
    """pending_cancel refuses another cancel and a change; a fill that is faster rejects the cancel."""
    paper.control("POST", "/fills", cancel_delay_s=5)
    order = alpaca.limit(CALL, "buy", 0.5)
    with alpaca.updates() as heard:
        alpaca.trading.cancel_order_by_id(order.id)
        cancel = refusal(alpaca.trading.cancel_order_by_id, order.id)
        change = refusal(alpaca.trading.replace_order_by_id, order.id, ReplaceOrderRequest(limit_price=0.4))
        paper.quote(CALL, "0.40", "0.45")
        paper.to("14:31:05")
        wait_for(lambda: 3 == len(heard))

    assert (422, 42210000, 'order is already in "pending_cancel" state') == cancel
    assert (422, 42210000, "cannot replace order in pending_cancel status") == change
    assert ["pending_cancel", "fill", "order_cancel_rejected"] == events(heard)


# Replacing


def test_a_replacement_is_a_new_order(alpaca):
    """The two point at each other; the old one is replaced, the new one works."""
    old = alpaca.limit(STOCK, "buy", 50, 4)
    with alpaca.updates() as heard:
        new = alpaca.trading.replace_order_by_id(
            old.id, ReplaceOrderRequest(qty=3, limit_price=51, time_in_force="gtc")
        )
        wait_for(lambda: 3 == len(heard))

    was = alpaca.trading.get_order_by_id(old.id)
    assert (old.id, "3", "51", "gtc") == (new.replaces, new.qty, new.limit_price, new.time_in_force.value)
    assert ("replaced", new.id, True) == (was.status.value, was.replaced_by, was.replaced_at is not None)
    assert ("replaced", "new") == (events(heard)[0], events(heard)[-1])


def test_stops_and_trails_are_replaced(alpaca):
    """Each price of its own type."""
    alpaca.market(STOCK, "buy", 2)
    common = {"symbol": STOCK, "qty": 1, "side": "sell", "time_in_force": "day"}
    stop = alpaca.trading.submit_order(StopLimitOrderRequest(stop_price=90, limit_price=89, **common))
    trail = alpaca.trading.submit_order(TrailingStopOrderRequest(trail_price=5, **common))

    moved = alpaca.trading.replace_order_by_id(stop.id, ReplaceOrderRequest(stop_price=91))
    trailed = alpaca.trading.replace_order_by_id(trail.id, ReplaceOrderRequest(trail=6))

    assert ("91", "89", "6") == (moved.stop_price, moved.limit_price, trailed.trail_price)


def test_a_fill_may_win_against_a_replacement(paper, alpaca):
    """200 is no guarantee: order_replace_rejected, and the replacement is rejected."""
    paper.control("POST", "/fills", replace_delay_s=5)
    old = alpaca.limit(STOCK, "buy", 50)
    with alpaca.updates() as heard:
        new = alpaca.trading.replace_order_by_id(old.id, ReplaceOrderRequest(limit_price=51))
        paper.quote(STOCK, "49.90", "50.00")
        paper.to("14:31:06")
        wait_for(lambda: "order_replace_rejected" in events(heard))

    assert ["filled", "rejected"] == [status(alpaca, order) for order in (old, new)]


def test_an_order_in_between_is_not_replaced(paper, alpaca):
    """pending_replace and accepted refuse a change, pending_replace a cancel, and so does what is not there yet."""
    paper.control("POST", "/fills", replace_delay_s=5)
    old = alpaca.limit(STOCK, "buy", 50)
    new = alpaca.trading.replace_order_by_id(old.id, ReplaceOrderRequest(limit_price=51))

    def changed(order):
        return refusal(alpaca.trading.replace_order_by_id, order.id, ReplaceOrderRequest(limit_price=52))[2]

    assert "cannot replace order in pending_replace status" == changed(old)
    assert "order chain not fully replaced" == changed(new)
    assert 422 == refusal(alpaca.trading.cancel_order_by_id, old.id)[0]
    paper.to("21:30:00")
    assert "cannot replace order in accepted status" == changed(alpaca.limit(STOCK, "buy", 50))


def test_a_senseless_change_is_refused(a_paper):
    """Nothing changed, nothing left, already over."""
    paper = a_paper("--partial-ratio", "1")
    alpaca = Alpaca(paper)
    partly = alpaca.limit(CALL, "buy", 1.1, 10)
    part = int(alpaca.trading.get_order_by_id(partly.id).filled_qty)
    replaced = alpaca.limit(STOCK, "buy", 50)
    alpaca.trading.replace_order_by_id(replaced.id, ReplaceOrderRequest(limit_price=51))

    def changed(order, **change):
        return refusal(alpaca.trading.replace_order_by_id, order.id, ReplaceOrderRequest(**change))

    assert (422, 42210000, "order parameters are not changed") == changed(partly, qty=10)
    assert (422, 42210000, "qty must be > filled_qty") == changed(partly, qty=part)
    assert (422, 42210000, "order already replaced") == changed(replaced, limit_price=52)
    alpaca.trading.cancel_order_by_id(partly.id)
    assert (422, 42210000, "cannot replace order in canceled status") == changed(partly, qty=9)


def test_a_closing_option_order_is_not_replaced(a_paper, alpaca):
    """It holds the quantity itself: 403; with a switch it may be moved."""
    friendly = Alpaca(a_paper("--switch", "replace_frees_option_qty=true"))
    for client in (alpaca, friendly):
        client.market(CALL, "buy", 2)
    orders = [client.limit(CALL, "sell", 9, 2) for client in (alpaca, friendly)]
    change = ReplaceOrderRequest(limit_price=8)

    message = "insufficient qty available for order (requested: 2, available: 0)"
    assert (403, 40310000, message) == refusal(alpaca.trading.replace_order_by_id, orders[0].id, change)
    assert "8" == friendly.trading.replace_order_by_id(orders[1].id, change).limit_price


def test_a_leg_says_in_which_state_it_is(alpaca):
    """In words of its own."""
    legs = [
        OptionLegRequest(symbol=symbol, ratio_qty=1, position_intent=intent)
        for symbol, intent in ((CALL, "buy_to_open"), (LAST_DAY_CALL, "sell_to_open"))
    ]
    order = alpaca.trading.submit_order(MarketOrderRequest(qty=1, time_in_force="day", order_class="mleg", legs=legs))

    message = "leg order is already in filled state"
    assert (422, 42210000, message) == refusal(alpaca.trading.cancel_order_by_id, order.legs[0].id)


# The paper fill model


def test_an_order_fills_when_it_is_marketable(paper, alpaca):
    """A limit below the ask waits; the ask that comes down to it fills it, at the ask."""
    order = alpaca.limit(CALL, "buy", 1.0)
    waiting = status(alpaca, order)
    paper.quote(CALL, "0.90", "0.95")

    filled = alpaca.trading.get_order_by_id(order.id)
    assert ("new", "filled", "0.95") == (waiting, filled.status.value, filled.filled_avg_price)


def test_liquidity_has_no_end(paper, alpaca):
    """Five hundred contracts at an ask of twenty, at one price, without a fee."""
    order = alpaca.market(CALL, "buy", 500)

    filled = alpaca.trading.get_order_by_id(order.id)
    assert ("500", "1.1", "45000") == (filled.filled_qty, filled.filled_avg_price, alpaca.trading.get_account().cash)


def test_about_one_order_in_ten_fills_in_parts(a_paper):
    """Without being told otherwise: a sixth to a twentieth of three hundred."""
    paper = a_paper("--partial-ratio", "0.1", "--rate-limit", "10000", "--account", "rich=100000000")
    for _ in range(300):
        paper.submit("rich", symbol=CALL, side="buy", qty=10)

    parts = [order for order in paper.get("/v2/orders", "rich", status="all", limit=500) if order["filled_qty"] != "10"]
    assert 15 <= len(parts) <= 50


def test_a_paper_account_has_a_hundred_thousand_dollars(alpaca):
    """From the start."""
    assert "100000" == alpaca.trading.get_account().cash


def test_a_fill_may_be_heard_before_the_answer(paper, alpaca):
    """The stream tells of it while the POST still waits."""
    paper.control("POST", "/faults", method="POST", path="/v2/orders", do="slow", when="after", seconds=60)
    with alpaca.updates() as heard:
        posting = threading.Thread(target=alpaca.market, args=(CALL, "buy"))
        posting.start()
        wait_for(lambda: "fill" in events(heard))
        answered = not posting.is_alive()
        paper.control("DELETE", "/faults")
        posting.join(10)

    assert (False, False) == (answered, posting.is_alive())
