"""PATCH of an order: the replacement, its refusals, and the race that the old order may win."""

import pytest

from tests.paper.days import CALL, STOCK


def resting(paper, **order):
    """An order that stays open: a buy of shares far below the market unless told otherwise."""
    body = {"symbol": STOCK, "side": "buy", "qty": 4, "type": "limit", "limit_price": "50"} | order
    status, made = paper.submit(**body)
    assert 200 == status, made
    return made


def patch(paper, order, **change):
    return paper.call("PATCH", f"/v2/orders/{order['id']}", json=change)


def test_a_replacement_is_a_new_order(paper):
    """A new id, `replaces` and `replaced_by` point at each other, and the old order is over."""
    old = resting(paper, client_order_id="old")

    status, new = patch(paper, old, limit_price="51", qty="3", client_order_id="new")

    assert (200, "pending_new", old["id"], "new", "3", "51") == (
        status,
        *(new[key] for key in ("status", "replaces", "client_order_id", "qty", "limit_price")),
    )
    before, after = (paper.get(f"/v2/orders/{order['id']}") for order in (old, new))
    assert ("replaced", new["id"], "2026-02-03T14:31:00.000000000Z") == tuple(
        before[key] for key in ("status", "replaced_by", "replaced_at")
    )
    assert ("new", None) == (after["status"], after["replaced_by"])
    assert [new["id"]] == [order["id"] for order in paper.get("/v2/orders")]
    assert ["pending_new", "new", "replaced", "pending_new", "new"] == [event for _, event, _ in paper.events()]
    assert "99847" == paper.get("/v2/account")["buying_power"], "only the new order's 3 x 51 are reserved"


def test_without_a_client_id_the_replacement_gets_one(paper):
    """And a replacement that is marketable fills."""
    old = resting(paper, client_order_id="old")

    _, new = patch(paper, old, limit_price="200")

    assert new["client_order_id"] not in {"old", "", None}
    assert "filled" == paper.get("/v2/orders:by_client_order_id", client_order_id=new["client_order_id"])["status"]


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({}, 42210000, "order parameters are not changed"),
        ({"qty": "4", "limit_price": 50}, 42210000, "order parameters are not changed"),
        ({"qty": "0"}, 40010001, "qty must be > 0"),
        ({"qty": "x"}, 40010001, "invalid qty"),
        ({"limit_price": "-1"}, 40010001, "limit price must be > 0"),
        ({"limit_price": "x"}, 40010001, "invalid limit_price"),
        ({"time_in_force": "week"}, 40010001, "invalid time_in_force"),
        ({"stop_price": "1"}, 40010001, "limit orders have no stop price"),
        ({"client_order_id": "taken"}, 40010001, "client_order_id must be unique"),
        (
            {"limit_price": "50.123"},
            42210000,
            "invalid limit_price 50.123. sub-penny increment does not fulfill minimum pricing criteria",
        ),
    ],
)
def test_an_impossible_change_is_refused(paper, change, code, message):
    """And the old order goes on as it was."""
    resting(paper, client_order_id="taken")
    old = resting(paper)

    assert (422, {"code": code, "message": message}) == patch(paper, old, **change)
    assert "new" == paper.get(f"/v2/orders/{old['id']}")["status"]


def test_orders_that_are_over_or_queued_are_not_replaced(paper):
    """Each with its state; what was replaced already has a text of its own."""
    filled, canceled, replaced = paper.bought(STOCK), resting(paper), resting(paper)
    paper.call("DELETE", f"/v2/orders/{canceled['id']}")
    patch(paper, replaced, limit_price="49")
    paper.to("21:00:00")
    queued = resting(paper)

    messages = [patch(paper, order, limit_price="48")[1]["message"] for order in (filled, canceled, replaced, queued)]

    assert [
        "cannot replace order in filled status",
        "cannot replace order in canceled status",
        "order already replaced",
        "cannot replace order in accepted status",
    ] == messages
    assert 404 == paper.call("PATCH", "/v2/orders/nothing", json={"qty": 1})[0]
    assert 400 == paper.call("PATCH", f"/v2/orders/{queued['id']}", data=b"[]")[0]


def test_a_partly_filled_order_is_replaced_for_what_is_left(a_paper):
    """The quantity of a change counts what was filled; at or below that it is refused."""
    paper = a_paper(partial_ratio=1.0)
    paper.to("14:31:00")
    old = paper.bought(CALL, 10, type="limit", limit_price="1.10")
    part = int(old["filled_qty"])

    refused = patch(paper, old, qty=str(part))
    _, new = patch(paper, old, qty="10", limit_price="1.05")

    assert (422, "qty must be > filled_qty") == (refused[0], refused[1]["message"])
    assert (str(10 - part), "0") == (new["qty"], new["filled_qty"])
    assert ("replaced", str(part)) == tuple(paper.get(f"/v2/orders/{old['id']}")[k] for k in ("status", "filled_qty"))


def test_a_closing_option_order_holds_its_quantity_against_its_replacement(a_paper, paper):
    """As reported of the real one: 403. A stock order, or an option order with the switch, is replaced."""
    from paper.switches import Switches

    friendly = a_paper(*paper.server._options.data, switches=Switches(replace_frees_option_qty=True))
    friendly.to("14:31:00")
    answers = []
    for server, symbol in ((paper, CALL), (paper, STOCK), (friendly, CALL)):
        server.bought(symbol, 4)
        old = resting(server, symbol=symbol, side="sell", limit_price="200")
        answers.append(patch(server, old, limit_price="190"))

    message = "insufficient qty available for order (requested: 4, available: 0)"
    assert [(403, message), (200, None), (200, None)] == [(s, b.get("message")) for s, b in answers]


def delay_replacements(paper, seconds):
    assert 200 == paper.control("POST", "/fills", replace_delay_s=seconds)[0]


def test_a_pending_replacement_may_lose_against_a_fill(paper):
    """200 is no guarantee: the old order fills while the change is pending, and the replacement is rejected."""
    delay_replacements(paper, 5)
    old = resting(paper)
    status, new = patch(paper, old, limit_price="51")
    pending = paper.get(f"/v2/orders/{old['id']}")["status"]
    again = patch(paper, old, limit_price="52")[1]["message"]
    chained = patch(paper, new, limit_price="52")[1]["message"]
    cancel = paper.call("DELETE", f"/v2/orders/{old['id']}")[0]

    paper.quote(STOCK, "49.90", "50.00")
    paper.to("14:31:06")

    assert (200, "pending_replace", 422) == (status, pending, cancel)
    assert ["cannot replace order in pending_replace status", "order chain not fully replaced"] == [again, chained]
    assert ("filled", None) == tuple(paper.get(f"/v2/orders/{old['id']}")[key] for key in ("status", "replaced_by"))
    assert "rejected" == paper.get(f"/v2/orders/{new['id']}")["status"]
    assert ["pending_replace", "fill", "order_replace_rejected"] == [event for _, event, _ in paper.events()[-3:]]


def test_a_pending_replacement_takes_over_when_nothing_fills(paper):
    """After its delay; meanwhile only the old order reserves buying power."""
    delay_replacements(paper, 5)
    old = resting(paper)
    _, new = patch(paper, old, limit_price="51")
    meanwhile = paper.get("/v2/account")["buying_power"]
    paper.to("14:31:05")

    assert "99800" == meanwhile
    assert ["replaced", "new"] == [paper.get(f"/v2/orders/{order['id']}")["status"] for order in (old, new)]


def test_a_pending_replacement_sees_what_others_claim(paper):
    """Four shares, one in the old order, the change asks for four: another close of three meanwhile wins."""
    paper.bought(STOCK, 4)
    delay_replacements(paper, 5)
    old = resting(paper, side="sell", qty=1, limit_price="200")
    _, new = patch(paper, old, qty="4")
    resting(paper, side="sell", qty=3, limit_price="201")
    paper.to("14:31:06")

    assert ["new", "rejected"] == [paper.get(f"/v2/orders/{order['id']}")["status"] for order in (old, new)]
    assert "order_replace_rejected" == paper.events()[-1][1]
    assert "0" == paper.get(f"/v2/positions/{STOCK}")["qty_available"]
