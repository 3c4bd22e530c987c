"""When and how orders fill: partial fills that can be repeated, holds, delays, and closes behind our back."""

import pytest

from paper.lottery import Lottery
from tests.paper.days import CALL, PUT, STOCK, write_day


def test_a_partial_fill_is_completed_at_the_next_quote(a_paper):
    """Two executions with their own prices, one order, an exact average."""
    paper = a_paper(partial_ratio=1.0)
    paper.to("14:31:00")
    _, body = paper.submit(symbol=CALL, side="buy", qty=10, client_order_id="parts")
    first = paper.get(f"/v2/orders/{body['id']}")
    paper.to("14:31:59.999")
    second = paper.get(f"/v2/orders/{body['id']}")

    part = int(first["filled_qty"])
    assert ("partially_filled", True, None) == (first["status"], 0 < part < 10, first["filled_at"])
    assert ("filled", "10") == (second["status"], second["filled_qty"])
    assert f"{(part * 110 + (10 - part) * 130) / 1000:g}" == second["filled_avg_price"]
    entries = paper.get("/v2/account/activities/FILL", direction="asc")
    assert [
        (str(part), str(part), str(10 - part), "partially_filled", "partial_fill"),
        (str(10 - part), "10", "0", "filled", "fill"),
    ] == [tuple(e[key] for key in ("qty", "cum_qty", "leaves_qty", "order_status", "type")) for e in entries]


def test_a_partial_fill_is_completed_after_a_minute_without_quotes(a_paper):
    """If it is still marketable; the control port tells when that will be."""
    paper = a_paper(partial_ratio=1.0)
    paper.to("14:40:00")
    _, body = paper.submit(symbol=CALL, side="buy", qty=10)

    before = paper.to("14:40:59.999")
    status = paper.get(f"/v2/orders/{body['id']}")["status"]
    paper.to("14:41:00")

    assert ("2026-02-03T14:41:00Z", "partially_filled") == (before["next_event"], status)
    assert "filled" == paper.get(f"/v2/orders/{body['id']}")["status"]


def test_a_remainder_that_is_not_marketable_waits(a_paper):
    """Its limit is passed by the quote, so neither the quote nor the minute fills it; the day's end expires it."""
    paper = a_paper(partial_ratio=1.0)
    paper.to("14:31:00")
    _, body = paper.submit(symbol=CALL, side="buy", qty=10, type="limit", limit_price="1.10")
    paper.quote(CALL, "1.90", "2.00")
    paper.to("14:31:50")

    assert "partially_filled" == paper.get(f"/v2/orders/{body['id']}")["status"]
    paper.to("14:32:59.999")
    assert "filled" == paper.get(f"/v2/orders/{body['id']}")["status"]


def test_partial_fills_depend_on_the_order_alone(a_paper, tmp_path):
    """The same orders in another sequence, at other times, after other orders: the same parts, the same ids."""
    folder = write_day(tmp_path / "shared")

    def run(keys, warm_up):
        paper = a_paper(folder, partial_ratio=0.5)
        paper.to(f"14:31:{10 + warm_up}")
        for number in range(warm_up):
            paper.submit(symbol=STOCK, side="buy", qty=3, client_order_id=f"other-{number}")
        for key in keys:
            paper.submit(symbol=CALL, side="buy", qty=9, client_order_id=key)
        found = {}
        for key in keys:
            order = paper.get("/v2/orders:by_client_order_id", client_order_id=key)
            found[key] = (order["id"], order["filled_qty"])
        return found

    keys = [f"key-{number}" for number in range(12)]
    one, other = run(keys, 0), run(keys[::-1], 4)

    assert one == other
    assert 1 < len({qty for _, qty in one.values()}), "some fill in parts and some do not"


def test_about_a_tenth_of_orders_is_drawn():
    """The ratio is met over many orders, another seed draws other ones, and one contract has no parts."""

    def drawn(seed, qty=5):
        lottery = Lottery(seed, 0.1)
        return {n for n in range(2000) if lottery.first_part("large", f"key-{n}", CALL, "buy", qty) is not None}

    assert 150 < len(drawn(0)) < 250
    assert drawn(0) != drawn(1)
    assert set() == drawn(0, qty=1)


def test_two_runs_make_the_same_journal(a_paper, tmp_path):
    """Ids, times, prices: equal requests write equal lines."""
    folder = write_day(tmp_path / "shared")

    def run():
        paper = a_paper(folder, partial_ratio=0.5)
        paper.to("14:31:00")
        for key in ("a", "b", "c"):
            paper.bought(CALL, 4, client_order_id=key)
        paper.to("14:32:00")
        paper.call("DELETE", f"/v2/positions/{CALL}", params={"qty": 5})
        paper.to("21:00:00")
        return paper.control("GET", "/journal")[1]["entries"]

    assert run() == run()


def test_held_fills_come_on_release(paper):
    """While held orders are accepted and nothing fills; on release it does, at the price of that moment."""
    paper.control("POST", "/fills", hold=True)
    order = paper.bought(CALL)
    paper.to("14:32:00")
    still = paper.get(f"/v2/orders/{order['id']}")["status"]
    paper.control("POST", "/fills", hold=False)
    filled = paper.get(f"/v2/orders/{order['id']}")

    assert ("new", "new") == (order["status"], still)
    assert ("filled", "1.3") == (filled["status"], filled["filled_avg_price"])


def test_a_delayed_fill_comes_that_much_later(paper):
    """Two seconds after it became possible, on the server's clock; meanwhile it can be canceled."""
    paper.control("POST", "/fills", delay_s=2)
    first, second = paper.bought(CALL), paper.bought(CALL)
    due = paper.control("GET", "/clock")[1]["next_event"]
    assert 204 == paper.call("DELETE", f"/v2/orders/{second['id']}")[0]
    paper.to("14:31:01.999")
    before = paper.get(f"/v2/orders/{first['id']}")["status"]
    paper.to("14:31:02")

    after = paper.get(f"/v2/orders/{first['id']}")
    assert ("2026-02-03T14:31:02Z", "new", "filled", "2026-02-03T14:31:02.000000000Z") == (
        due,
        before,
        after["status"],
        after["filled_at"],
    )
    assert "canceled" == paper.get(f"/v2/orders/{second['id']}")["status"]


def test_a_canceled_order_leaves_no_event_behind(paper):
    """Its delayed fill is called off, so that nobody steps the clock for nothing."""
    paper.control("POST", "/fills", delay_s=2)
    order = paper.bought(CALL)
    before = paper.control("GET", "/clock")[1]["next_event"]
    paper.call("DELETE", f"/v2/orders/{order['id']}")

    assert ["2026-02-03T14:31:02Z", "2026-02-03T14:31:59.999000Z"] == [
        before,
        paper.control("GET", "/clock")[1]["next_event"],
    ]


def test_a_delayed_fill_needs_its_price_still(paper):
    """When the ask has left the limit by then, the order rests."""
    paper.control("POST", "/fills", delay_s=2)
    order = paper.bought(CALL, type="limit", limit_price="1.10")
    paper.quote(CALL, "1.50", "1.60")
    paper.to("14:31:03")

    assert "new" == paper.get(f"/v2/orders/{order['id']}")["status"]


def test_the_brokerage_closes_behind_our_back(paper):
    """By an order of its own: the quantity is gone, the events are like those of a manual close."""
    paper.bought(CALL, 3, client_order_id="ours")

    status, body = paper.control("POST", "/close", account="large", symbol=CALL, qty=2)

    assert (200, "2", "sell_to_close", "filled") == (
        status,
        *(body["order"][key] for key in ("qty", "position_intent", "status")),
    )
    assert "ours" != body["order"]["client_order_id"]
    assert "1" == paper.get(f"/v2/positions/{CALL}")["qty"]
    assert [("large", "pending_new", "0"), ("large", "new", "0"), ("large", "fill", "2")] == paper.events()[-3:]


def test_a_close_behind_our_back_takes_what_our_order_holds(paper):
    """Our closing order is canceled first, so that the position cannot be crossed through zero."""
    paper.bought(CALL, 3)
    _, ours = paper.submit(symbol=CALL, side="sell", qty=3, type="limit", limit_price="9.00")

    paper.control("POST", "/close", account="large", symbol=CALL, qty=5)

    assert "canceled" == paper.get(f"/v2/orders/{ours['id']}")["status"]
    assert [] == paper.get("/v2/positions")
    assert "3" == paper.get("/v2/account/activities/FILL")[0]["qty"], "no more than was held"


def test_there_is_nothing_to_close_while_flat(paper):
    """404, and no order."""
    assert 404 == paper.control("POST", "/close", account="large", symbol=CALL, qty=1)[0]
    assert [] == paper.get("/v2/orders", status="all")


def test_recorded_brokerage_events_happen_at_their_time(a_paper, tmp_path):
    """The file of the day closes a part of the position at its minute."""
    event = {"at": "2026-02-03T14:32:30Z", "account": "large", "symbol": CALL, "event": "close", "qty": 2}
    paper = a_paper(write_day(tmp_path / "acting", broker_events=[event]))
    paper.to("14:31:00")
    paper.bought(CALL, 3)
    paper.to("14:32:29.999")
    before = paper.get(f"/v2/positions/{CALL}")["qty"]
    following = paper.control("GET", "/clock")[1]["next_event"]
    paper.to("14:32:30")

    assert ("3", "2026-02-03T14:32:30Z", "1") == (before, following, paper.get(f"/v2/positions/{CALL}")["qty"])


def test_queued_orders_reach_the_market_of_the_next_session(a_paper, tmp_path):
    """Two sessions, one book: what was queued overnight fills at the first quote of the new day."""
    second = write_day(tmp_path / "b", day="2026-02-04", quotes=[("14:30:59.999", CALL, "2.00", "2.10")], trades=[])
    paper = a_paper(write_day(tmp_path / "a"), second)
    paper.to("14:31:00")
    paper.bought(CALL)
    paper.to("22:00:00")
    _, queued = paper.submit(symbol=CALL, side="sell", type="limit", limit_price="1.50")
    paper.to("14:30:00", "2026-02-04")
    opened = paper.get(f"/v2/orders/{queued['id']}")["status"]
    following = paper.to("14:30:59.999", "2026-02-04")["next_event"]

    filled = paper.get(f"/v2/orders/{queued['id']}")
    assert ("accepted", "new", "filled", "2") == (
        queued["status"],
        opened,
        filled["status"],
        filled["filled_avg_price"],
    )
    account = paper.get("/v2/account")
    assert ("100090", "99985") == (account["cash"], account["last_equity"]), "last_equity: the first day's last mid"
    assert "2026-02-04T14:31:59.999000Z" == following
    assert 2 == len(paper.said["sessions"])


def test_yesterdays_quote_fills_nothing(a_paper, tmp_path):
    """A market order at the second day's open waits for that day's first quote."""
    second = write_day(tmp_path / "b", day="2026-02-04", quotes=[], trades=[], underlying=[])
    paper = a_paper(write_day(tmp_path / "a"), second)
    paper.to("14:30:00", "2026-02-04")

    assert "new" == paper.bought(CALL)["status"]


@pytest.mark.parametrize("symbol", [CALL, STOCK])
def test_a_missing_side_can_be_set_by_hand(paper, symbol):
    """POST /quotes with null takes a side away."""
    paper.bought(symbol)
    paper.quote(symbol, None, "9.00")

    order = paper.call("DELETE", f"/v2/positions/{symbol}")[1]

    assert "new" == paper.get(f"/v2/orders/{order['id']}")["status"]
    assert PUT not in paper.get("/v1beta1/options/quotes/latest", symbols=symbol)["quotes"]
