"""Multi-leg option orders: their form, their fills, and the buying power of spreads."""

import pytest

from paper.options import account
from tests.paper.days import CALL, DAY, PUT, STOCK, a_contract, write_day

HIGH_CALL, LOW_PUT = "ACME260206C00105000", "ACME260206P00095000"
OTHER = "OTHR260206C00100000"
CONTRACTS = [a_contract(symbol) for symbol in (CALL, HIGH_CALL, PUT, LOW_PUT, OTHER)]
QUOTES = (
    ("14:30:59.999", CALL, "3.00", "3.10"),
    ("14:30:59.999", HIGH_CALL, "1.00", "1.10"),
    ("14:30:59.999", PUT, "2.00", "2.10"),
    ("14:30:59.999", LOW_PUT, "0.80", "0.90"),
)


@pytest.fixture
def spreads(a_paper, tmp_path):
    """A chain with two calls and two puts, and an account of level 2."""
    folder = write_day(tmp_path / "chain", contracts=CONTRACTS, quotes=QUOTES, trades=[])
    paper = a_paper(folder, accounts=(account("basic=50000,level=2"),))
    paper.to("14:31:00")
    return paper


def leg(symbol, intent, ratio=1):
    return {"symbol": symbol, "ratio_qty": str(ratio), "side": intent.split("_")[0], "position_intent": intent}


DEBIT = [leg(CALL, "buy_to_open"), leg(HIGH_CALL, "sell_to_open")]
CREDIT = [leg(PUT, "sell_to_open"), leg(LOW_PUT, "buy_to_open")]
UNWIND = [leg(PUT, "buy_to_close"), leg(LOW_PUT, "sell_to_close")]


def combine(paper, legs, account="large", **order):
    body = {"qty": "2", "type": "market", "time_in_force": "day", "order_class": "mleg", "legs": legs} | order
    return paper.call("POST", "/v2/orders", account, json=body)


def held(paper):
    return {position["symbol"]: position["qty"] for position in paper.get("/v2/positions")}


def test_a_debit_spread_fills_leg_by_leg(spreads):
    """The parent has no symbol; each leg fills at its own far side, the parent at the net price."""
    status, made = combine(spreads, DEBIT, type="limit", limit_price="2.10")
    filled = spreads.get(f"/v2/orders/{made['id']}")

    assert (200, "", "", "", None, "mleg", "pending_new") == (
        status,
        *(made[k] for k in ("symbol", "asset_id", "side", "position_intent", "order_class", "status")),
    )
    assert [
        (CALL, "mleg", "", "1", "2", "buy_to_open"),
        (HIGH_CALL, "mleg", "", "1", "2", "sell_to_open"),
    ] == [
        tuple(part[k] for k in ("symbol", "order_class", "type", "ratio_qty", "qty", "position_intent"))
        for part in made["legs"]
    ]
    assert ("filled", "2", "2.1") == tuple(filled[key] for key in ("status", "filled_qty", "filled_avg_price"))
    assert [("filled", "3.1"), ("filled", "1")] == [(p["status"], p["filled_avg_price"]) for p in filled["legs"]]
    assert {CALL: "2", HIGH_CALL: "-2"} == held(spreads)
    money = spreads.get("/v2/account")
    assert ("99580", "99580") == (money["cash"], money["buying_power"]), "a debit spread needs its debit only"


def test_a_credit_spread_is_secured_by_its_width(spreads):
    """Five dollars wide for a credit of 1.10: each needs 500, of which 110 came in."""
    combine(spreads, CREDIT, type="limit", limit_price="-1.00")

    money = spreads.get("/v2/account")
    assert ("100220", "99220") == (money["cash"], money["buying_power"])
    assert 200 == combine(spreads, UNWIND)[0]
    assert ({}, "99960") == (held(spreads), spreads.get("/v2/account")["buying_power"])


def test_a_limit_waits_for_the_net_price(spreads):
    """Neither leg decides alone; while it rests it reserves what it needs, and a cancel frees it."""
    _, made = combine(spreads, DEBIT, type="limit", limit_price="1.50")
    resting = spreads.get("/v2/account")["buying_power"]
    spreads.quote(CALL, "2.40", "2.50")
    filled = spreads.get(f"/v2/orders/{made['id']}")["filled_avg_price"]
    _, other = combine(spreads, DEBIT, type="limit", limit_price="0.10")

    assert ("99700", "1.5") == (resting, filled)
    assert 204 == spreads.call("DELETE", f"/v2/orders/{other['legs'][0]['id']}")[0], "a leg takes all with it"
    gone = spreads.get(f"/v2/orders/{other['id']}")
    assert ["canceled"] * 3 == [part["status"] for part in (gone, *gone["legs"])]
    again = spreads.call("DELETE", f"/v2/orders/{other['legs'][0]['id']}")
    assert (422, "leg order is already in canceled state") == (again[0], again[1]["message"])


def test_the_event_and_the_activities_tell_each_leg(spreads):
    """One event with position_qtys and legs; an activity for every leg."""
    _, made = combine(spreads, DEBIT)
    [event] = [e for e in spreads.control("GET", "/journal")[1]["entries"] if e.get("event") == "fill"]
    activities = spreads.get("/v2/account/activities/FILL")

    assert {CALL: "2", HIGH_CALL: "-2"} == event["position_qtys"]
    assert [(part["id"], "2") for part in made["legs"]] == [(part["order_id"], part["qty"]) for part in event["legs"]]
    assert {"execution_id", "qty", "price", "order_id", "symbol", "timestamp"} == set(event["legs"][0])
    assert {part["id"] for part in made["legs"]} == {entry["order_id"] for entry in activities}


def test_parts_keep_the_ratio(a_paper, tmp_path):
    """A partial fill moves all legs alike, and is completed later."""
    folder = write_day(tmp_path / "chain", contracts=CONTRACTS, quotes=QUOTES, trades=[])
    paper = a_paper(folder, partial_ratio=1.0)
    paper.to("14:31:00")
    legs = [leg(CALL, "buy_to_open", 2), leg(HIGH_CALL, "sell_to_open", 1)]
    _, made = combine(paper, legs, qty="6")

    part = int(paper.get(f"/v2/orders/{made['id']}")["filled_qty"])
    assert {CALL: str(2 * part), HIGH_CALL: str(-part)} == held(paper)
    assert 0 < part < 6
    paper.quote(CALL, "3.00", "3.10")
    assert {CALL: "12", HIGH_CALL: "-6"} == held(paper)


@pytest.mark.parametrize(
    ("legs", "order", "status", "message"),
    [
        (DEBIT[:1], {}, 422, "mleg orders must have at least 2 legs and at most 4 legs"),
        (DEBIT * 3, {}, 422, "mleg orders must have at least 2 legs and at most 4 legs"),
        ([DEBIT[0], 5], {}, 422, "invalid symbol"),
        ([DEBIT[0], leg("XYZ", "sell_to_open")], {}, 422, "asset not found for XYZ"),
        ([DEBIT[0], leg(STOCK, "sell_to_open")], {}, 422, f"asset not found for {STOCK}"),
        (
            [DEBIT[0], {"symbol": HIGH_CALL, "ratio_qty": 1, "side": "sell"}],
            {},
            422,
            "leg.1 position intent is required",
        ),
        ([DEBIT[0], leg(OTHER, "sell_to_open")], {}, 422, "underlying asset mismatch: ACME != OTHR"),
        ([DEBIT[0], leg(HIGH_CALL, "sell_to_open", "0.5")], {}, 422, "invalid ratio_qty"),
        (
            [leg(CALL, "buy_to_open", 2), leg(HIGH_CALL, "sell_to_open", 2)],
            {},
            422,
            "leg ratio quantities must have no common divisor",
        ),
        ([DEBIT[0], DEBIT[0]], {}, 422, "mleg orders must have a different contract in each leg"),
        (DEBIT, {"type": "stop", "stop_price": "1"}, 422, "invalid order type for options trading"),
        (DEBIT, {"type": "limit"}, 422, "limit orders require a limit price"),
        (DEBIT, {"type": "limit", "limit_price": "x"}, 422, "invalid limit_price"),
        (DEBIT, {"type": "limit", "limit_price": "1.234"}, 422, "limit price must be limited to 2 decimal places"),
        (
            DEBIT,
            {"time_in_force": "fok"},
            422,
            "order_time_in_force provided not supported for options trading",
        ),
        (DEBIT, {"qty": "1.5"}, 422, "qty must be integer for options trading"),
        (
            UNWIND,
            {},
            422,
            "position intent mismatch, inferred: buy_to_open, specified: buy_to_close",
        ),
        (
            [leg(CALL, "sell_to_open", 2), leg(HIGH_CALL, "buy_to_open", 1)],
            {},
            403,
            "account not eligible to trade uncovered option contracts",
        ),
        (
            CREDIT,
            {"qty": "300"},
            403,
            "insufficient options buying power (required: 117000, available: 100000)",
        ),
    ],
)
def test_an_impossible_combination_is_refused(spreads, legs, order, status, message):
    """And books nothing."""
    answer = combine(spreads, legs, **order)

    assert (status, message) == (answer[0], answer[1]["message"])
    assert [] == spreads.get("/v2/orders", status="all")


def test_spreads_need_level_three(spreads):
    """Level 2 may buy options, not combine them."""
    answer = combine(spreads, DEBIT, "basic")

    assert (403, "account not eligible to trade spreads or uncovered contracts") == (answer[0], answer[1]["message"])


def test_the_long_leg_of_a_spread_stays(spreads):
    """Selling it alone would leave a naked call, or a put that the cash does not secure."""
    combine(spreads, [leg(CALL, "sell_to_open"), leg(HIGH_CALL, "buy_to_open")])
    combine(spreads, CREDIT, qty="20")

    call = spreads.submit(symbol=HIGH_CALL, side="sell", qty=2)
    put = spreads.submit(symbol=LOW_PUT, side="sell", qty=20)

    assert (403, "account not eligible to trade uncovered option contracts") == (call[0], call[1]["message"])
    assert (403, "insufficient options buying power") == (put[0], put[1]["message"][:33])


def test_a_combination_waits_for_the_open(spreads):
    """A market one is refused outside hours, a limit is queued, and it can be replaced for another net price."""
    _, old = combine(spreads, DEBIT, type="limit", limit_price="0.50")
    status, new = spreads.call("PATCH", f"/v2/orders/{old['id']}", json={"limit_price": "0.60"})
    shown = [part["status"] for part in spreads.get(f"/v2/orders/{old['id']}")["legs"]]
    spreads.to("21:00:00", DAY)

    assert (200, "0.6", ["replaced"] * 2) == (status, new["limit_price"], shown)
    market, limit = combine(spreads, DEBIT), combine(spreads, DEBIT, type="limit", limit_price="1")
    assert "options market orders are only allowed during market hours" == market[1]["message"]
    assert (200, "accepted") == (limit[0], limit[1]["status"])
    expired = spreads.get(f"/v2/orders/{new['id']}")
    assert ["expired"] * 3 == [part["status"] for part in (expired, *expired["legs"])]
    assert 2 == len([o for o in spreads.get("/v2/orders", status="all") if o["status"] in {"expired", "replaced"}])


def test_a_combination_is_listed_by_its_legs(spreads):
    """By class, by a leg's symbol, or by the underlying; its legs are no rows of their own."""
    _, made = combine(spreads, DEBIT, type="limit", limit_price="0.10")

    filters = ({}, {"asset_class": "us_option"}, {"symbols": HIGH_CALL}, {"asset_class": "us_option", "symbols": STOCK})
    assert [[made["id"]]] * 4 == [[order["id"] for order in spreads.get("/v2/orders", **f)] for f in filters]
    assert [] == spreads.get("/v2/orders", asset_class="us_equity")
    assert [] == spreads.get("/v2/orders", symbols=PUT)


def test_a_leg_of_the_other_side_is_refused(spreads):
    """While an order could open a long in a contract, no combination opens a short in it, nor the other way round."""
    spreads.submit(symbol=HIGH_CALL, side="buy", type="limit", limit_price="0.50")

    answer = combine(spreads, DEBIT)

    assert (403, "cannot open a short sell while a long buy order is open") == (answer[0], answer[1]["message"])
