"""What Alpaca books without an order: every word is read, none is dropped, and no price is invented."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from brokerage.facts import Told, booked
from brokerage.non_trades import booked as read
from domain.events import ActivityBooked, PositionSettled
from domain.ids import AccountName
from streams.codec import decode, encode

CALL, STOCK = "GOOGL260220C00340000", "GOOGL"
TOLD = Told(account=AccountName("large"), cause="x", origin="test")


def an_activity(**over: Any) -> dict[str, Any]:
    return {
        "id": "20260221000000000::x",
        "activity_type": "OPEXP",
        "date": "2026-02-20",
        "net_amount": "0",
        "description": "Option Expiry",
        "symbol": CALL,
        "qty": "-2",
        "status": "executed",
    } | over


@pytest.mark.parametrize(
    ("over", "kind", "qty", "price"),
    [
        ({}, "expired", -2, "0"),
        ({"qty": "2"}, "expired", 2, "0"),
        ({"status": None, "price": None}, "expired", -2, "0"),
        ({"activity_type": "OPEXC"}, "exercised", -2, "0"),
        ({"activity_type": "OPASN", "qty": "1"}, "assigned", 1, "0"),
        ({"activity_type": "OPCSH", "price": "3.25", "net_amount": "650"}, "cash_settled", -2, "3.25"),
        ({"activity_type": "OPCSH", "net_amount": "650"}, "cash_settled", -2, "3.25"),
        (
            {"activity_type": "OPTRD", "symbol": STOCK, "qty": "200", "price": "340", "net_amount": "-68000"},
            "delivered",
            200,
            "340",
        ),
        ({"activity_type": "OPTRD", "symbol": STOCK, "qty": "-100", "net_amount": "34000"}, "delivered", -100, "340"),
    ],
)
def test_each_kind_has_units_and_a_price(over: dict[str, Any], kind: str, qty: int, price: str):
    """A contract that ends leaves for nothing, shares move at the strike, cash is the contract's worth."""
    found = read(an_activity(**over))

    assert (kind, qty, Decimal(price)) == (found.kind, found.qty, found.price)
    assert date(2026, 2, 20) == found.day


@pytest.mark.parametrize(
    "over",
    [
        {"activity_type": "DIV", "symbol": STOCK},
        {"activity_type": "OPNEW"},
        {"activity_type": "FEE", "symbol": None, "qty": None, "net_amount": "-0.02"},
        {"qty": None},
        {"qty": "0"},
        {"qty": "-0.5"},
        {"symbol": STOCK},
        {"symbol": None},
        {"net_amount": "12"},
        {"net_amount": "lots"},
        {"status": "canceled"},
        {"activity_type": "OPCSH", "net_amount": "0"},
        {"activity_type": "OPTRD", "symbol": STOCK, "qty": "100"},
        {"activity_type": "OPTRD", "symbol": CALL, "qty": "1", "price": "340"},
    ],
    ids=str,
)
def test_what_we_have_no_rule_for_is_told_and_moves_nothing(over: dict[str, Any]):
    """Another word, another shape, a status that takes it back, money where none belongs, or no price anywhere."""
    found = booked(read(an_activity(**over)), TOLD)

    assert isinstance(found, ActivityBooked)
    assert over.get("activity_type", "OPEXP") == found.word
    assert found == decode({k.encode(): v for k, v in encode(found).items()})


def test_a_fact_of_a_day_happens_at_four_in_new_york():
    """In winter 21:00 UTC, in summer 20:00; the same activity is the same fact whoever reads it when."""
    winter, summer = booked(read(an_activity()), TOLD), booked(read(an_activity(date="2026-07-17")), TOLD)

    assert isinstance(winter, PositionSettled)
    assert (datetime(2026, 2, 20, 21, tzinfo=UTC), datetime(2026, 7, 17, 20, tzinfo=UTC)) == (winter.at, summer.at)
    assert winter.id == booked(read(an_activity()), Told(account=TOLD.account, cause="y", origin="other")).id
    assert winter == decode({k.encode(): v for k, v in encode(winter).items()})


def test_bookings_are_read_to_the_last_page(wire, alpaca, say):
    """A full page is followed by the one after its last id; the result begins with the day that was asked for."""
    first = [an_activity(id=f"2026022100000{n:04d}::x") for n in range(100)]
    other = [an_activity(id="20260219::y", date="2026-02-18"), an_activity(id="20260222::z", date="2026-02-21")]
    wire.say("GET", "/v2/account/activities", say(first), say(other))

    found = alpaca.booked(date(2026, 2, 20))

    assert [*(a["id"] for a in first), "20260222::z"] == [a.activity_id for a in found]
    assert [None, first[-1]["id"]] == [r.query.get("page_token") for r in wire.seen]
    query = wire.seen[0].query
    assert ("non_trade_activity", "2026-02-19T05:00:00+00:00") == (query["category"], query["after"])
