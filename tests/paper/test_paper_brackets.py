"""Equity brackets, oco and oto: held exits that wake with the entry and end with each other."""

import pytest

from tests.paper.days import CALL, STOCK

EXITS = {"take_profit": {"limit_price": "110"}, "stop_loss": {"stop_price": "95"}}


def bracket(paper, **order):
    body = {"symbol": STOCK, "side": "buy", "qty": 4, "order_class": "bracket"} | EXITS | order
    status, made = paper.submit(**body)
    assert 200 == status, made
    return made


def states(paper, order):
    """The entry's state, then its exits'."""
    shown = paper.get(f"/v2/orders/{order['id']}", nested="true")
    return [part["status"] for part in (shown, *shown["legs"])]


def test_a_bracket_shows_its_held_exits(paper):
    """Orders of their own, tied by a group id; the exits close what the entry opens."""
    made = bracket(paper, type="limit", limit_price="99", client_order_id="entry")
    profit, loss = made["legs"]

    assert ("bracket", "entry", None) == (made["order_class"], made["group_role"], profit["legs"])
    assert [
        ("held", "limit", "110", None, "sell", "sell_to_close", "take_profit", "4"),
        ("held", "stop", None, "95", "sell", "sell_to_close", "stop_loss", "4"),
    ] == [
        tuple(
            leg[k]
            for k in ("status", "type", "limit_price", "stop_price", "side", "position_intent", "group_role", "qty")
        )
        for leg in (profit, loss)
    ]
    assert 1 == len({part["group_id"] for part in (made, profit, loss)})
    assert 3 == len({part["client_order_id"] for part in (made, profit, loss)})
    assert "held" == paper.get(f"/v2/orders/{loss['id']}")["status"]
    assert "99604" == paper.get("/v2/account")["buying_power"], "only the entry reserves"


def test_the_list_rolls_exits_up_when_nested(paper):
    """Flat, every part is an order without legs; nested, the exits are inside the entry."""
    bracket(paper, type="limit", limit_price="99")

    flat, nested = paper.get("/v2/orders"), paper.get("/v2/orders", nested="True")

    assert [3, 1] == [len(flat), len(nested)]
    assert [None, None, None] == [order["legs"] for order in flat]
    assert ["take_profit", "stop_loss"] == [leg["group_role"] for leg in nested[0]["legs"]]


def test_exits_wake_with_the_entry_and_the_filled_one_ends_the_other(paper):
    """The position is held once, not twice; the profit is taken and the stop is canceled."""
    made = bracket(paper)
    awake = states(paper, made)
    position = paper.get(f"/v2/positions/{STOCK}")
    paper.quote(STOCK, "110.50", "110.70")

    assert ["filled", "new", "new"] == awake
    assert ("4", "0") == (position["qty"], position["qty_available"])
    assert ["filled", "filled", "canceled"] == states(paper, made)
    assert [] == paper.get("/v2/positions")
    assert ["fill", "new", "new", "fill", "canceled"] == [event for _, event, _ in paper.events()[2:]]


def test_a_stop_loss_ends_the_profit(paper):
    """The other way round."""
    made = bracket(paper, stop_loss={"stop_price": "95", "limit_price": "90"})
    paper.quote(STOCK, "94", "94.20")

    assert ["filled", "canceled", "filled"] == states(paper, made)


def test_exits_wait_for_the_whole_entry(a_paper):
    """After a partial fill they are held still."""
    paper = a_paper(partial_ratio=1.0)
    paper.to("14:31:00")
    made = bracket(paper)
    part = states(paper, made)
    paper.quote(STOCK, "99.90", "100.10")

    assert ["partially_filled", "held", "held"] == part
    assert ["filled", "new", "new"] == states(paper, made)


def test_a_partly_taken_profit_shrinks_the_stop(a_paper):
    """So that the stop can never sell what is not there any more."""
    paper = a_paper(partial_ratio=1.0)
    paper.to("14:31:00")
    made = bracket(paper)
    paper.quote(STOCK, "99.90", "100.10")
    paper.quote(STOCK, "110.50", "110.70")

    profit, loss = paper.get(f"/v2/orders/{made['id']}", nested="true")["legs"]

    taken = int(profit["filled_qty"])
    assert ("partially_filled", str(4 - taken)) == (profit["status"], loss["qty"])
    paper.quote(STOCK, "94.50", "94.70")
    paper.quote(STOCK, "94.50", "94.70")
    assert [] == paper.get("/v2/positions")
    assert ["filled", "canceled", "filled"] == states(paper, made)


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("entry", [{"type": "limit", "limit_price": "99"}, {}])
def test_canceling_any_part_cancels_the_group(paper, part, entry):
    """Before the entry is filled and after; a filled entry itself is not cancelable."""
    made = bracket(paper, **entry)
    ids = [made["id"], *(leg["id"] for leg in made["legs"])]

    status, _ = paper.call("DELETE", f"/v2/orders/{ids[part]}")

    filled = not entry
    assert (422 if filled and part == 0 else 204) == status
    expected = ["filled" if filled else "canceled"] + ["new" if status == 422 else "canceled"] * 2
    assert expected == states(paper, made)


def test_a_group_ends_with_its_day(paper):
    """An entry that was never filled takes its exits with it."""
    made = bracket(paper, type="limit", limit_price="50", stop_loss={"stop_price": "40"})
    paper.to("21:00:00")

    assert ["expired"] * 3 == states(paper, made)


def test_cancel_all_reports_every_part(paper):
    """What went with another part of its group counts as canceled."""
    bracket(paper, type="limit", limit_price="99")

    status, body = paper.call("DELETE", "/v2/orders")

    assert (207, [200] * 3) == (status, [entry["status"] for entry in body])
    assert [] == paper.get("/v2/orders")


def test_an_oco_closes_what_is_held(paper):
    """Its own order is the profit, its leg the stop; both work, and they claim the position once."""
    paper.bought(STOCK, 4)
    made = bracket(paper, order_class="oco", side="sell", type="limit")
    awake = states(paper, made)
    paper.quote(STOCK, "94.50", "94.70")

    assert ("take_profit", "110", "stop_loss") == (
        made["group_role"],
        made["limit_price"],
        made["legs"][0]["group_role"],
    )
    assert (["new", "new"], ["canceled", "filled"]) == (awake, states(paper, made))


def test_an_oto_has_one_exit(paper):
    """An entry with a stop alone."""
    made = bracket(paper, order_class="oto", take_profit=None)
    awake = states(paper, made)
    paper.quote(STOCK, "94.50", "94.70")

    assert (["filled", "new"], ["filled", "filled"]) == (awake, states(paper, made))


def test_a_bracket_for_a_short(paper):
    """The exits buy back, the profit below and the loss above."""
    status, made = paper.submit(
        "margin",
        symbol=STOCK,
        side="sell",
        qty=4,
        order_class="bracket",
        take_profit={"limit_price": "90"},
        stop_loss={"stop_price": "105"},
    )
    paper.quote(STOCK, "89", "89.50")

    assert (200, ["buy_to_close"] * 2) == (status, [leg["position_intent"] for leg in made["legs"]])
    assert [] == paper.get("/v2/positions", "margin")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"take_profit": None}, "bracket orders require take_profit.limit_price"),
        ({"stop_loss": {}}, "bracket orders require stop_loss.stop_price"),
        ({"take_profit": 5}, "invalid take_profit"),
        ({"take_profit": {"limit_price": "0"}}, "take_profit.limit_price must be > 0"),
        ({"order_class": "oto"}, "oto orders require one of take_profit.limit_price or stop_loss.stop_price"),
        ({"take_profit": {"limit_price": "95"}}, "take_profit.limit_price must be > stop_loss.stop_price"),
        ({"take_profit": {"limit_price": "100"}}, "take_profit.limit_price must be >= base_price + 0.01"),
        ({"stop_loss": {"stop_price": "100"}}, "stop_loss.stop_price must be <= base_price - 0.01"),
        (
            {"take_profit": {"limit_price": "110.123"}},
            "invalid take_profit.limit_price 110.123. sub-penny increment does not fulfill minimum pricing criteria",
        ),
        ({"time_in_force": "ioc"}, "bracket orders must be DAY or GTC orders"),
        (
            {"extended_hours": True, "type": "limit", "limit_price": "99"},
            "extended hours order must be DAY or GTC limit orders",
        ),
        ({"order_class": "oco", "type": "limit"}, "oco orders must be exit orders"),
        ({"symbol": CALL}, "complex orders not supported for options trading"),
    ],
)
def test_an_impossible_group_is_refused(paper, wrong, message):
    """Options know no such groups at all."""
    order = {"symbol": STOCK, "side": "buy", "qty": 4, "order_class": "bracket"} | EXITS | wrong

    answer = paper.submit(**order)

    assert (422, message) == (answer[0], answer[1]["message"])
    assert [] == paper.get("/v2/orders", status="all")


def test_a_closing_bracket_is_refused(paper):
    """A bracket enters; what leaves is an oco."""
    paper.bought(STOCK, 4)

    answer = paper.submit(
        symbol=STOCK,
        side="sell",
        qty=4,
        order_class="bracket",
        take_profit={"limit_price": "90"},
        stop_loss={"stop_price": "105"},
    )

    assert (422, "bracket orders must be entry orders") == (answer[0], answer[1]["message"])


def test_an_exit_can_be_moved(paper):
    """Its price, held or working, and it stays in its group; its quantity is the group's."""
    made = bracket(paper, type="limit", limit_price="99")
    profit, loss = made["legs"]
    status, moved = paper.call("PATCH", f"/v2/orders/{loss['id']}", json={"stop_price": "93"})
    sized = paper.call("PATCH", f"/v2/orders/{profit['id']}", json={"qty": "2"})
    paper.quote(STOCK, "98", "98.50")
    awake = states(paper, made)
    paper.quote(STOCK, "94", "94.20")
    above = states(paper, made)
    paper.quote(STOCK, "92.90", "93.10")

    assert (200, "93", "stop_loss") == (status, moved["stop_price"], moved["group_role"])
    assert (422, "unable to replace order in current state") == (sized[0], sized[1]["message"])
    assert [["filled", "new", "new"]] * 2 == [awake, above]
    assert ["filled", "canceled", "filled"] == states(paper, made)


def test_exits_never_sell_more_than_is_left(a_paper):
    """A part of the entry is promised to another order before the rest comes: the exits wake for what is free."""
    paper = a_paper(partial_ratio=1.0)
    paper.to("14:31:00")
    made = bracket(paper, qty=10)
    part = int(paper.get(f"/v2/orders/{made['id']}")["filled_qty"])
    paper.submit(symbol=STOCK, side="sell", qty=part, order_class="oco", type="limit", **EXITS)
    paper.quote(STOCK, "99.90", "100.10")

    position = paper.get(f"/v2/positions/{STOCK}")
    assert "10" == position["qty"]
    assert "0" == position["qty_available"]
    exits = paper.get(f"/v2/orders/{made['id']}", nested="true")["legs"]
    assert [str(10 - part)] * 2 == [leg["qty"] for leg in exits]
