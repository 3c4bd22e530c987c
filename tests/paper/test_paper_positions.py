"""Positions, activities and the account: what the book shows after fills, and closes without an order of ours."""

from decimal import Decimal

import pytest

from tests.paper.days import CALL, PUT, STOCK


def fills(paper, **params):
    return paper.get("/v2/account/activities/FILL", **params)


def test_no_position_is_a_404_with_two_texts(paper):
    """Reading and closing a position that is not there differ in their words."""
    read, close = (paper.call(method, f"/v2/positions/{CALL}") for method in ("GET", "DELETE"))

    assert (404, {"code": 40410000, "message": "position does not exist"}) == read
    assert (404, {"code": 40410000, "message": f"position not found: {CALL}"}) == close


def test_an_average_entry_is_kept_through_a_partial_close(paper):
    """1 at 1.10 and 2 at 1.30, one sold: the entry stays, the cost falls by its share."""
    paper.bought(CALL)
    paper.to("14:32:00")
    paper.bought(CALL, 2)
    paper.submit(symbol=CALL, side="sell")

    position = paper.get(f"/v2/positions/{CALL}")

    assert "2" == position["qty"]
    assert Decimal("1.233333333") == Decimal(position["avg_entry_price"])
    assert Decimal("246.666666667") == Decimal(position["cost_basis"])
    assert "99750" == paper.get("/v2/account")["cash"], "100,000 - 110 - 260 + 120"


def test_a_short_position_has_negative_amounts(paper):
    """Quantity, cost and value are negative, and a buy closes it."""
    paper.submit("margin", symbol=STOCK, side="sell", qty=10)
    position = paper.get(f"/v2/positions/{STOCK}", "margin")
    status, order = paper.call("DELETE", f"/v2/positions/{STOCK}", "margin")

    assert ("-10", "-10", "short", "-999", "99.9") == tuple(
        position[key] for key in ("qty", "qty_available", "side", "cost_basis", "avg_entry_price")
    )
    assert (200, "buy", "buy_to_close") == (status, order["side"], order["position_intent"])
    assert "999998" == paper.get("/v2/account", "margin")["cash"], "sold at 99.90, bought at 100.10"


@pytest.mark.parametrize(
    ("params", "sold"), [({}, "4"), ({"qty": "3"}, "3"), ({"percentage": "50"}, "2"), ({"percentage": "30"}, "1")]
)
def test_a_position_is_closed_by_quantity_or_percentage(paper, params, sold):
    """By a day market order; a percentage is cut to whole contracts."""
    paper.bought(CALL, 4)

    status, order = paper.call("DELETE", f"/v2/positions/{CALL}", params=params)

    assert (200, "market", "day", "sell_to_close", sold) == (
        status,
        *(order[key] for key in ("type", "time_in_force", "position_intent", "qty")),
    )
    assert sold == fills(paper)[0]["qty"]


@pytest.mark.parametrize(
    ("params", "status", "message"),
    [
        ({"qty": "1", "percentage": "5"}, 422, "only one of qty or percentage is accepted"),
        ({"qty": "0"}, 422, "qty must be > 0"),
        ({"qty": "x"}, 422, "invalid qty"),
        ({"percentage": "101"}, 422, "percentage must be between 0 and 100"),
        ({"percentage": "1"}, 422, "qty must be > 0"),
        ({"qty": "1.5"}, 422, "qty must be integer for options trading"),
        ({"qty": "5"}, 403, "insufficient qty available for order (requested: 5, available: 4)"),
    ],
)
def test_an_impossible_close_is_refused(paper, params, status, message):
    """In Alpaca's words; a refusal for quantity names no related orders here."""
    paper.bought(CALL, 4)

    answer = paper.call("DELETE", f"/v2/positions/{CALL}", params=params)

    assert (status, message) == (answer[0], answer[1]["message"])
    assert "related_orders" not in answer[1]


def test_an_option_position_closes_in_market_hours_only(paper):
    """422 after the close."""
    paper.bought(CALL)
    paper.to("21:00:00")

    answer = paper.call("DELETE", f"/v2/positions/{CALL}")

    assert (422, "options market orders are only allowed during market hours") == (answer[0], answer[1]["message"])


def test_close_all_cancels_when_told_and_reports_each(paper):
    """207: without cancel_orders what is held by an order stays, with it everything goes."""
    paper.bought(CALL, 2)
    paper.bought(STOCK, 5)
    paper.submit(symbol=CALL, side="sell", qty=2, type="limit", limit_price="9.00")

    first = paper.call("DELETE", "/v2/positions")
    second = paper.call("DELETE", "/v2/positions", params={"cancel_orders": "True"})

    assert (207, [(STOCK, 200), (CALL, 403)]) == (first[0], [(e["symbol"], e["status"]) for e in first[1]])
    assert (207, [(CALL, 200)]) == (second[0], [(e["symbol"], e["status"]) for e in second[1]])
    assert [] == paper.get("/v2/positions")


def test_fills_are_activities_with_new_york_ids(paper):
    """09:31 in New York is 14:31 UTC; cumulative and leaving quantities are told."""
    order = paper.bought(CALL, 2)

    [entry] = fills(paper)

    assert entry["id"].startswith("20260203093100000::")
    assert {
        "activity_type": "FILL",
        "cum_qty": "2",
        "leaves_qty": "0",
        "order_id": order["id"],
        "order_status": "filled",
        "price": "1.1",
        "qty": "2",
        "side": "buy",
        "symbol": CALL,
        "transaction_time": "2026-02-03T14:31:00.000000000Z",
        "type": "fill",
    }.items() <= entry.items()


def test_activities_are_filtered_and_paged(paper):
    """Both endpoints; after is exclusive; a page starts behind the token's entry."""
    for at in ("14:31:10", "14:31:20", "14:31:30"):
        paper.to(at)
        paper.bought(CALL)
    newest = [entry["id"] for entry in fills(paper)]

    def listed(path="/v2/account/activities", **params):
        return [newest.index(entry["id"]) for entry in paper.get(path, **params)]

    assert [0, 1, 2] == listed(activity_types="FILL")
    assert [2, 1, 0] == listed(direction="asc")
    assert [1, 0] == listed(direction="asc", after="2026-02-03T14:31:10Z")
    assert [2] == listed(until="2026-02-03T14:31:20Z")
    assert [1] == listed(page_size=1, page_token=newest[0])
    assert [2] == listed("/v2/account/activities/FILL", page_token=newest[1])
    assert [0, 1, 2] == listed(date="2026-02-03")
    assert [] == listed(date="2026-02-02")
    assert [] == listed("/v2/account/activities/OPEXP")
    assert [] == listed(category="non_trade_activity")
    assert 422 == paper.call("GET", "/v2/account/activities", params={"page_token": "none"})[0]


def test_a_one_sided_market_values_a_position_by_its_side(paper):
    """The put has only an ask: that is its price until there is a bid."""
    paper.bought(PUT)

    alone = paper.get(f"/v2/positions/{PUT}")["current_price"]
    paper.quote(PUT, "0.40", "0.50")

    assert ["0.5", "0.45"] == [alone, paper.get(f"/v2/positions/{PUT}")["current_price"]]


def test_an_account_is_shown_whole(paper):
    """Strings for money, integers for levels, no margin."""
    account = paper.get("/v2/account", "tiny")

    assert {
        "status": "ACTIVE",
        "cash": "2000",
        "equity": "2000",
        "last_equity": "2000",
        "options_buying_power": "2000",
        "options_approved_level": 3,
        "multiplier": "1",
        "shorting_enabled": False,
    }.items() <= account.items()
    assert 3 == paper.get("/v2/account/configurations")["max_options_trading_level"]
