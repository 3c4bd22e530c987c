"""Section 3: closing positions, clock, calendar, contracts, activities and their stream."""

import json
import re
from datetime import date

import pytest
import requests
from alpaca.trading.requests import ClosePositionRequest, GetCalendarRequest, GetOptionContractsRequest

from tests.conformance.clients import Alpaca, refusal, wait_for
from tests.paper.days import CALL, LAST_DAY_CALL, PUT, SATURDAY_PUT, STOCK, write_day

# Closing positions


@pytest.mark.parametrize(
    ("request_", "sold"),
    [(None, "4"), ({"qty": "3"}, "3"), ({"percentage": "50"}, "2"), ({"percentage": "25.123456789"}, "1")],
)
def test_a_position_is_closed_by_a_market_order_for_the_day(alpaca, request_, sold):
    """Whole, by quantity or by percentage."""
    alpaca.market(CALL, "buy", 4)

    order = alpaca.trading.close_position(CALL, ClosePositionRequest(**request_) if request_ else None)

    assert ("market", "day", "sell", sold) == (order.type.value, order.time_in_force.value, order.side.value, order.qty)


def test_a_position_is_closed_by_its_asset_id(alpaca):
    """As by its symbol."""
    alpaca.market(CALL, "buy")

    assert CALL == alpaca.trading.close_position(str(alpaca.trading.get_open_position(CALL).asset_id)).symbol


def test_quantity_and_percentage_exclude_each_other(paper):
    """Both are refused."""
    paper.bought(CALL, 4)

    assert 422 == paper.call("DELETE", f"/v2/positions/{CALL}", params={"qty": 1, "percentage": 50})[0]


def test_what_an_order_holds_is_closed_after_its_cancel(alpaca):
    """403 while it rests; the close itself cancels nothing."""
    alpaca.market(CALL, "buy", 2)
    resting = alpaca.limit(CALL, "sell", 9, 2)
    held = refusal(alpaca.trading.close_position, CALL)
    alpaca.trading.cancel_order_by_id(resting.id)

    assert (403, 40310000, "insufficient qty available for order (requested: 2, available: 0)") == held
    assert "2" == alpaca.trading.close_position(CALL).qty


def test_an_option_position_is_not_closed_while_the_market_is(paper, alpaca):
    """It would be a market order."""
    alpaca.market(CALL, "buy")
    paper.to("21:00:00")

    message = "options market orders are only allowed during market hours"
    assert (422, 42210000, message) == refusal(alpaca.trading.close_position, CALL)


def test_all_positions_are_closed_with_an_answer_for_each(alpaca):
    """207; with cancel_orders what holds them goes first."""
    alpaca.market(CALL, "buy", 2)
    alpaca.market(STOCK, "buy", 5)
    alpaca.limit(CALL, "sell", 9, 2)
    first = alpaca.trading.close_all_positions(cancel_orders=False)
    second = alpaca.trading.close_all_positions(cancel_orders=True)

    assert {STOCK: 200, CALL: 403} == {closed.symbol: closed.status for closed in first}
    assert {CALL: 200} == {closed.symbol: closed.status for closed in second}
    assert [] == alpaca.trading.get_all_positions()


def test_options_are_exercised_or_kept_from_it(paper, alpaca):
    """Both are 200 without a body."""
    alpaca.market(CALL, "buy")
    alpaca.market(LAST_DAY_CALL, "buy")
    alpaca.trading.exercise_options_position(CALL)

    assert (200, None) == paper.call("POST", f"/v2/positions/{LAST_DAY_CALL}/do-not-exercise")
    assert "100" == alpaca.trading.get_open_position(STOCK).qty


# Clock and calendar


def test_the_clock_is_new_yorks(alpaca):
    """With its offset."""
    assert {
        "timestamp": "2026-02-03T09:31:00-05:00",
        "is_open": True,
        "next_open": "2026-02-04T09:30:00-05:00",
        "next_close": "2026-02-03T16:00:00-05:00",
    } == alpaca.trading.get("/clock")
    assert alpaca.trading.get_clock().is_open


def test_the_newer_clock_is_there(paper):
    """For several markets."""
    clocks = paper.call("GET", "/v3/clock", params={"markets": "NYSE"})

    assert (200, 1) == (clocks[0], len(clocks[1]["clocks"]))


def test_the_calendar_has_hours_and_settlement(a_paper, tmp_path):
    """A half day ends at one."""
    alpaca = Alpaca(a_paper(days=(write_day(tmp_path / "half", close="18:00:00", early_close=True),)))
    [day] = alpaca.trading.get("/calendar", {"start": "2026-02-03", "end": "2026-02-03"})

    expected = {"date": "2026-02-03", "open": "09:30", "close": "13:00", "session_open": "0400"}
    assert expected.items() <= day.items()
    assert {*expected, "session_close", "settlement_date"} == set(day)
    request = GetCalendarRequest(start=date(2026, 2, 6), end=date(2026, 2, 10))
    assert [6, 9, 10] == [found.date.day for found in alpaca.trading.get_calendar(request)]


# Contracts


@pytest.mark.parametrize(("given", "expected"), [
    ({}, {LAST_DAY_CALL, CALL, PUT, SATURDAY_PUT}),
    ({"underlying_symbols": ["XYZ"]}, set()),
    ({"expiration_date": "2026-02-06"}, {CALL, PUT}),
    ({"expiration_date_gte": "2026-02-07"}, {SATURDAY_PUT}),
    ({"expiration_date_lte": "2026-02-03"}, {LAST_DAY_CALL}),
    ({"root_symbol": "ACME"}, {LAST_DAY_CALL, CALL, PUT, SATURDAY_PUT}),
    ({"root_symbol": "ACM"}, set()),
    ({"type": "put"}, {PUT, SATURDAY_PUT}),
    ({"style": "european"}, set()),
    ({"strike_price_gte": "101"}, {LAST_DAY_CALL}),
    ({"strike_price_lte": "95"}, {SATURDAY_PUT}),
    ({"status": "inactive"}, set()),
])  # fmt: skip
def test_contracts_are_listed_by(alpaca, given, expected):
    """Every filter; active ones up to the coming weekend without any."""
    found = alpaca.trading.get_option_contracts(GetOptionContractsRequest(**given)).option_contracts

    assert expected == {contract.symbol for contract in found}


@pytest.mark.parametrize(
    ("given", "count"), [({"show_deliverables": "true"}, 4), ({"ppind": "true"}, 4), ({"ppind": "false"}, 0)]
)
def test_contracts_have_two_more_parameters(paper, given, count):
    """Which alpaca-py does not send; every contract here is in the penny programme."""
    assert count == len(paper.get("/v2/options/contracts", **given)["option_contracts"])


def test_the_list_of_contracts_has_pages(alpaca):
    """A token leads to the next, null ends."""
    pages, token = [], None
    while len(pages) < 9 and (not pages or token):
        request = {"limit": 3} | ({"page_token": token} if token else {})
        page = alpaca.trading.get_option_contracts(GetOptionContractsRequest(**request))
        pages.append(len(page.option_contracts))
        token = page.next_page_token

    assert ([3, 1], None) == (pages, token)
    assert {"option_contracts", "next_page_token"} == set(alpaca.trading.get("/options/contracts"))


@pytest.mark.parametrize(("limit", "status"), [(10_000, 200), (10_001, 422)])
def test_a_page_of_contracts_has_ten_thousand_at_most(paper, limit, status):
    """A hundred unless asked otherwise."""
    assert status == paper.call("GET", "/v2/options/contracts", params={"limit": limit})[0]


def test_contracts_beyond_the_weekend_must_be_asked_for(a_paper, tmp_path):
    """By any date."""
    from tests.paper.days import a_contract

    later = "ACME260220C00100000"
    day = write_day(tmp_path / "two", contracts=[a_contract(CALL), a_contract(later)], quotes=[], trades=[])
    alpaca = Alpaca(a_paper(days=(day,)))

    def listed(**given):
        return [
            c.symbol for c in alpaca.trading.get_option_contracts(GetOptionContractsRequest(**given)).option_contracts
        ]

    assert ([CALL], [CALL, later]) == (listed(), listed(expiration_date_gte="2026-02-03"))


# Activities

FILL = {
    "activity_type",
    "cum_qty",
    "id",
    "leaves_qty",
    "order_id",
    "order_status",
    "price",
    "qty",
    "side",
    "symbol",
    "transaction_time",
    "type",
}


def test_a_fill_is_an_activity(a_paper):
    """With its own and the cumulative quantity, joined by the order's id; parts are partial_fill."""
    paper = a_paper("--partial-ratio", "1")
    alpaca = Alpaca(paper)
    order = alpaca.market(CALL, "buy", 10)
    paper.to("14:31:01")
    paper.quote(CALL, "1.20", "1.30")
    part, rest = alpaca.trading.get("/account/activities/FILL", {"direction": "asc"})

    assert [FILL, FILL] == [set(part), set(rest)]
    assert ["partial_fill", "fill"] == [part["type"], rest["type"]]
    assert {str(order.id)} == {part["order_id"], rest["order_id"]}
    assert (part["qty"], part["leaves_qty"]) == (part["cum_qty"], rest["qty"])
    assert ("10", "0", "filled") == tuple(rest[key] for key in ("cum_qty", "leaves_qty", "order_status"))
    assert re.fullmatch(r"20260203093100000::[0-9a-f-]{36}", part["id"]), "New York time"


def test_activities_are_cut_and_paged(paper, alpaca):
    """By type, category, day, time, order and page; the newest first; a bare list."""
    orders = []
    for at in ("14:31:10", "14:31:20", "14:31:30"):
        paper.to(at)
        orders.append(str(alpaca.market(CALL, "buy").id))

    def listed(path="/account/activities", **params):
        return [orders.index(entry["order_id"]) for entry in alpaca.trading.get(path, params)]

    last = alpaca.trading.get("/account/activities", {"page_size": 1})[0]["id"]
    assert [2, 1, 0] == listed()
    assert [0, 1, 2] == listed(direction="asc", activity_types="FILL,OPEXP")
    assert [2, 1, 0] == listed(category="trade_activity")
    assert [] == listed(category="non_trade_activity")
    assert [2, 1, 0] == listed(date="2026-02-03")
    assert [2] == listed(after="2026-02-03T14:31:20Z")
    assert [0] == listed(until="2026-02-03T14:31:20Z")
    assert [1] == listed(page_size=1, page_token=last)
    assert [1] == listed("/account/activities/FILL", order_id=orders[1])
    assert 422 == paper.call("GET", "/v2/account/activities", params={"page_size": 101})[0]


NON_TRADE = {"activity_type", "date", "description", "group_id", "id", "net_amount", "qty", "status", "symbol"}


def test_what_happens_without_orders_is_an_activity_of_the_next_day(paper, alpaca):
    """Position and cash change at once; trade_updates is silent."""
    alpaca.market(CALL, "buy", 2)
    with alpaca.updates() as heard:
        alpaca.trading.exercise_options_position(CALL)
        at_once = alpaca.trading.get_open_position(STOCK).qty
        alpaca.limit(STOCK, "buy", 1)
        wait_for(lambda: 2 == len(heard))
    same_day = alpaca.trading.get("/account/activities", {"category": "non_trade_activity"})
    paper.to("12:00:00", "2026-02-04")
    told = alpaca.trading.get("/account/activities", {"category": "non_trade_activity", "direction": "asc"})

    assert ("200", []) == (at_once, same_day)
    assert [("OPEXC", CALL, "-2", "0"), ("OPTRD", STOCK, "200", "-20000")] == [
        tuple(entry[key] for key in ("activity_type", "symbol", "qty", "net_amount")) for entry in told
    ]
    assert all(NON_TRADE <= set(entry) and "executed" == entry["status"] for entry in told)
    assert {"pending_new", "new"} == {update.event for update in heard}, "of the order after it alone"


def heard_by(paper, **params):
    """The server-sent events of a range that ends, with their ids."""
    url = paper.said["rest"] + "/v2beta1/events/activities"
    keys = {"APCA-API-KEY-ID": "large", "APCA-API-SECRET-KEY": "paper"}
    with requests.get(url, params=params, headers=keys, stream=True, timeout=10) as response:
        assert "text/event-stream" == response.headers["Content-Type"]
        lines = [line.decode().partition(": ") for line in response.iter_lines()]
    ids = [value for name, _, value in lines if name == "id"]
    return list(zip(ids, [json.loads(value) for name, _, value in lines if name == "data"], strict=True))


def test_the_stream_of_activities_can_be_resumed(paper, alpaca):
    """By time or by id; it has what the list lacks: the client's id and the execution's."""
    with alpaca.updates(raw_data=True) as heard:
        for name in ("first", "second"):
            alpaca.market(CALL, "buy", client_order_id=name)
        wait_for(lambda: 6 == len(heard))
    until = "2026-02-03T14:31:00Z"
    told = heard_by(paper, since="2026-02-03", until=until)
    after_first = heard_by(paper, since_id=told[0][0], until_id=told[1][0])

    assert ["first", "second"] == [event["details"]["client_order_id"] for _, event in told]
    assert told[1:] == after_first
    fills = [update["data"]["execution_id"] for update in heard if update["data"]["event"] == "fill"]
    assert fills == [event["ref_id"] for _, event in told]
    detail = {"client_order_id", "order_id", "asset_id", "leaves_qty", "cum_qty", "order_status", "execution_type"}
    assert detail <= set(told[0][1]["details"])
    assert all(re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{26}", event_id) for event_id, _ in told), "ULIDs"


def test_a_refused_exercise_is_refused_in_words(paper, alpaca):
    """Flat; held by an order; in the evening."""
    flat = refusal(alpaca.trading.exercise_options_position, CALL)
    alpaca.market(CALL, "buy")
    alpaca.limit(CALL, "sell", 9)
    held = refusal(alpaca.trading.exercise_options_position, CALL)

    assert (404, 40410000, f"long position not found: {CALL}") == flat
    assert (403, 40310000, "no qty available to exercise") == held
