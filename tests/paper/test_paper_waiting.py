"""Orders that wait: overnight, for the end of a cancel, in rare states; and events that only the event streams tell."""

import pytest

from paper.options import Options
from paper.switches import Switches
from tests.paper.days import CALL, STOCK, a_contract, write_day
from tests.paper.kit import serving
from tests.paper.test_paper_brackets import bracket, states
from tests.paper.test_paper_events import TRADES, past

EVERYTHING = {"since": "2026-02-03", "until": "2026-02-03T14:31:00Z"}


def status(paper, order):
    return paper.get(f"/v2/orders/{order['id']}")["status"]


def resting(paper, **order):
    return paper.bought(CALL, **{"type": "limit", "limit_price": "0.50"} | order)


def two_days(tmp_path):
    return (
        write_day(tmp_path / "one"),
        write_day(
            tmp_path / "two",
            day="2026-02-04",
            contracts=[a_contract(CALL)],
            quotes=[("14:31:00", CALL, "0.30", "0.40")],
            trades=[],
            underlying=(),
        ),
    )


def test_a_gtc_order_is_done_for_the_day_and_goes_on_the_next(a_paper, tmp_path):
    """Listed as open all the time; the next session restates it, which only the event stream tells."""
    paper = a_paper(*two_days(tmp_path))
    paper.to("14:31:00")
    order = resting(paper, time_in_force="gtc")
    paper.to("21:00:00")
    night = status(paper, order)
    listed = [o["id"] for o in paper.get("/v2/orders")]
    paper.to("14:30:00", "2026-02-04")
    morning = status(paper, order)
    paper.to("14:31:00", "2026-02-04")

    assert ("done_for_day", [order["id"]], "new", "filled") == (night, listed, morning, status(paper, order))
    assert ["pending_new", "new", "done_for_day", "fill"] == [event for _, event, _ in paper.events()]
    told = past(paper, TRADES, since="2026-02-03", until="2026-02-04T14:31:00Z")
    assert ["pending_new", "new", "done_for_day", "restated", "fill"] == [event["event"] for _, event in told]


def test_a_partly_filled_gtc_order_stays_partly_filled(a_paper, tmp_path):
    """Overnight it is done for the day; in the morning it is what it was."""
    paper = a_paper(*two_days(tmp_path), partial_ratio=1.0)
    paper.to("20:59:30")
    order = paper.bought(CALL, 5, time_in_force="gtc")
    paper.to("21:00:00")
    night = status(paper, order)
    paper.to("14:30:00", "2026-02-04")

    assert ("partially_filled", "done_for_day", "partially_filled") == (order["status"], night, status(paper, order))


def test_what_is_done_for_the_day_can_be_canceled_and_replaced(paper):
    """It is open; the replacement waits for the next session."""
    one, other = resting(paper, time_in_force="gtc"), resting(paper, time_in_force="gtc")
    paper.to("21:00:00")
    code, made = paper.call("PATCH", f"/v2/orders/{one['id']}", json={"limit_price": "0.60"})

    assert (200, "replaced", "accepted") == (code, status(paper, one), status(paper, made))
    assert 204 == paper.call("DELETE", f"/v2/orders/{other['id']}")[0]


def test_done_for_the_day_is_a_switch(a_paper):
    """Off, a gtc order stays new."""
    paper = a_paper(switches=Switches(gtc_done_for_day=False))
    paper.to("14:31:00")
    order = resting(paper, time_in_force="gtc")
    paper.to("21:00:00")

    assert "new" == status(paper, order)


def test_a_cancel_can_stay_pending(paper):
    """204 is only a request: pending_cancel first, and the end when the delay is over."""
    paper.control("POST", "/fills", cancel_delay_s=5)
    order = resting(paper)
    first = paper.call("DELETE", f"/v2/orders/{order['id']}")[0]
    again = paper.call("DELETE", f"/v2/orders/{order['id']}")
    moved = paper.call("PATCH", f"/v2/orders/{order['id']}", json={"limit_price": "0.40"})
    pending = status(paper, order)
    paper.to("14:31:05")

    assert (204, "pending_cancel", "canceled") == (first, pending, status(paper, order))
    assert (422, 'order is already in "pending_cancel" state') == (again[0], again[1]["message"])
    assert (422, "cannot replace order in pending_cancel status") == (moved[0], moved[1]["message"])
    assert ["pending_new", "new", "pending_cancel", "canceled"] == [event for _, event, _ in paper.events()]


def test_a_fill_wins_against_a_pending_cancel(paper):
    """The cancel is rejected, and the order is filled."""
    paper.control("POST", "/fills", cancel_delay_s=5)
    order = resting(paper)
    paper.call("DELETE", f"/v2/orders/{order['id']}")
    paper.quote(CALL, "0.40", "0.45")
    filled = status(paper, order)
    paper.to("14:31:05")

    assert ("filled", "filled") == (filled, status(paper, order))
    assert ["pending_cancel", "fill", "order_cancel_rejected"] == [event for _, event, _ in paper.events()[2:]]


def test_a_part_that_fills_does_not_stop_a_cancel(a_paper):
    """Canceled, with what was filled: a canceled order can have made a position."""
    paper = a_paper(partial_ratio=1.0)
    paper.to("14:31:00")
    paper.control("POST", "/fills", cancel_delay_s=5)
    order = resting(paper, qty=9)
    paper.call("DELETE", f"/v2/orders/{order['id']}")
    paper.quote(CALL, "0.40", "0.45")
    pending = status(paper, order)
    paper.to("14:31:05")
    shown = paper.get(f"/v2/orders/{order['id']}")

    assert ("pending_cancel", "canceled", True) == (pending, shown["status"], 0 < int(shown["filled_qty"]) < 9)
    assert shown["filled_qty"] == paper.get(f"/v2/positions/{CALL}")["qty"]


def test_a_bracket_goes_with_its_pending_cancel(paper):
    """When it is decided, the whole group ends."""
    paper.control("POST", "/fills", cancel_delay_s=5)
    made = bracket(paper, type="limit", limit_price="99")
    paper.call("DELETE", f"/v2/orders/{made['id']}")
    before = states(paper, made)
    paper.to("14:31:05")

    assert (["pending_cancel", "held", "held"], ["canceled"] * 3) == (before, states(paper, made))


@pytest.mark.parametrize("state", ["stopped", "suspended", "calculated", "accepted_for_bidding", "done_for_day"])
def test_an_order_can_be_set_aside_in_a_rare_state(paper, state):
    """It is told, does not fill, holds what it held, and goes on after its seconds."""
    order = resting(paper, client_order_id="rare")
    code, _ = paper.control("POST", "/orders", account="large", client_order_id="rare", status=state, seconds=5)
    paper.quote(CALL, "0.40", "0.45")
    waiting, power = status(paper, order), paper.get("/v2/account")["buying_power"]
    paper.to("14:31:05")

    assert (200, state, "99950", "filled") == (code, waiting, power, status(paper, order))
    assert [state, "fill"] == [event for _, event, _ in paper.events()[2:]]


@pytest.mark.parametrize(
    "wrong", [{"client_order_id": "none"}, {"status": "filled"}, {"seconds": -1}, {"account": "nobody"}]
)
def test_a_senseless_state_is_refused(paper, wrong):
    """400 with a reason."""
    resting(paper, client_order_id="rare")
    body = {"account": "large", "client_order_id": "rare", "status": "stopped"} | wrong

    assert 400 == paper.control("POST", "/orders", **body)[0]


def test_a_held_exit_is_canceled_at_once(paper):
    """It waits for its entry already: it must not fill while a cancel of it is pending."""
    paper.control("POST", "/fills", cancel_delay_s=5)
    made = bracket(paper, type="limit", limit_price="99")
    code, _ = paper.call("DELETE", f"/v2/orders/{made['legs'][0]['id']}")

    assert (204, ["canceled"] * 3) == (code, states(paper, made))


def test_what_was_set_aside_at_night_is_awake_in_the_morning(a_paper, tmp_path):
    """An accepted order that waits through the open goes to the market when it goes on."""
    from paper.times import parse

    paper = a_paper(write_day(tmp_path / "night"), start=parse("2026-02-03T14:00:00Z"))
    order = resting(paper, client_order_id="rare")
    paper.control("POST", "/orders", account="large", client_order_id="rare", status="suspended", seconds=3600)
    paper.to("14:59:59")
    waiting = status(paper, order)
    paper.to("15:00:00")

    assert ("accepted", "suspended", "new") == (order["status"], waiting, status(paper, order))


def test_held_exits_are_told_by_the_event_stream_only(paper):
    """As the specification has it: held is no event of the socket."""
    bracket(paper, type="limit", limit_price="99")

    assert ["pending_new", "new"] == [event for _, event, _ in paper.events()]
    told = [event["event"] for _, event in past(paper, TRADES, **EVERYTHING)]
    assert ["pending_new", "held", "held", "new"] == told


def test_a_shrunk_exit_is_restated(a_paper):
    """A partly taken profit makes the stop smaller: the event stream tells the new quantity."""
    paper = a_paper(partial_ratio=1.0)
    paper.to("14:31:00")
    bracket(paper, qty=4)
    paper.quote(STOCK, "99.90", "100.10")
    paper.quote(STOCK, "110.50", "110.70")

    told = [event for _, event in past(paper, TRADES, **EVERYTHING) if event["event"] == "restated"]
    assert ["stop_loss"] == [event["order"]["group_role"] for event in told]
    assert 0 < int(told[0]["order"]["qty"]) < 4


def test_after_a_restart_nothing_waits_for_ever(tmp_path):
    """A pending cancel is carried out, an order set aside goes on, and what was queued meets the open market."""
    first, second = two_days(tmp_path)
    chosen = {"speed": 0.0, "partial_ratio": 0.0, "state": tmp_path / "state.db"}
    with serving(Options(data=(first,), **chosen)) as paper:
        paper.to("14:31:00")
        paper.control("POST", "/fills", cancel_delay_s=60)
        aside = resting(paper, client_order_id="aside", time_in_force="gtc")
        paper.control("POST", "/orders", account="large", client_order_id="aside", status="stopped", seconds=60)
        canceled = resting(paper, time_in_force="gtc")
        paper.call("DELETE", f"/v2/orders/{canceled['id']}")
        paper.to("21:00:01")
        queued = resting(paper, limit_price="0.20")
    with serving(Options(data=(second,), **chosen)) as paper:
        found = [status(paper, order) for order in (aside, canceled, queued)]
        paper.to("14:31:00", "2026-02-04")

        assert ["new", "canceled", "new"] == found
        assert ["filled", "new"] == [status(paper, order) for order in (aside, queued)]
