"""Exercise, assignment and expiry: the book changes at once, the activities come a day later, the stream is silent."""

import pytest

from paper.options import account
from paper.switches import Switches
from tests.paper.days import LAST_DAY_CALL, STOCK, a_contract, write_day

LAST_DAY_PUT = "ACME260203P00105000"
LATER_CALL = "ACME260206C00090000"
CONTRACTS = [a_contract(symbol) for symbol in (LAST_DAY_CALL, LAST_DAY_PUT, LATER_CALL)]
QUOTES = (
    ("14:30:59.999", LAST_DAY_CALL, "0.20", "0.25"),
    ("14:30:59.999", LAST_DAY_PUT, "5.10", "5.20"),
    ("14:30:59.999", LATER_CALL, "10.10", "10.20"),
)
SHARE = (("14:30:59.999", STOCK, "99.90", "100.10"),)


@pytest.fixture
def expiring(a_paper, tmp_path):
    """A server on a day on which two contracts end; an account has no money to exercise."""
    folder = write_day(tmp_path / "last", contracts=CONTRACTS, quotes=QUOTES, trades=[], underlying=SHARE)

    def started(**options):
        paper = a_paper(folder, accounts=(account("rich=1000000,shorting"), account("poor=600")), **options)
        paper.to("14:31:00")
        return paper

    return started


def held(paper, name="large"):
    return {position["symbol"]: position["qty"] for position in paper.get("/v2/positions", name)}


def cash(paper, name="large"):
    return paper.get("/v2/account", name)["cash"]


def stock_at(paper, price):
    paper.quote(STOCK, str(price), str(price))


def nontrades(paper, name="large", **params):
    found = paper.get("/v2/account/activities", name, category="non_trade_activity", direction="asc", **params)
    return [(entry["activity_type"], entry["symbol"], entry["qty"], entry["net_amount"]) for entry in found]


def test_a_call_in_the_money_is_exercised_at_the_close(expiring):
    """Two calls of 105 with the share at 110: 200 shares at 105; the list shows it on the next day only."""
    paper = expiring()
    paper.bought(LAST_DAY_CALL, 2)
    events = len(paper.events())
    stock_at(paper, 110)
    paper.to("21:00:00")
    evening = nontrades(paper)
    paper.to("12:00:00", "2026-02-04")

    assert ({STOCK: "200"}, "78950") == (held(paper), cash(paper)), "100,000 - 2 x 25 - 200 x 105"
    assert "105" == paper.get(f"/v2/positions/{STOCK}")["avg_entry_price"]
    assert [] == evening
    assert [("OPEXC", LAST_DAY_CALL, "-2", "0"), ("OPTRD", STOCK, "200", "-21000")] == nontrades(paper)
    assert events == len(paper.events()), "nothing over trade_updates"
    [exercise, trade] = paper.get("/v2/account/activities", category="non_trade_activity", direction="asc")
    assert exercise["group_id"] == trade["group_id"]
    assert ("2026-02-03", "105", "executed") == tuple(trade[key] for key in ("date", "price", "status"))
    assert exercise["id"].startswith("20260204000000000::")
    assert ["OPTRD"] == [e["activity_type"] for e in paper.get("/v2/account/activities/OPTRD")]
    assert ["FILL"] == [e["activity_type"] for e in paper.get("/v2/account/activities", activity_types="FILL")]
    assert 3 == len(paper.get("/v2/account/activities", date="2026-02-03"))


@pytest.mark.parametrize(("price", "left"), [("105", {}), ("105.01", {STOCK: "100"})])
def test_a_cent_decides(expiring, price, left):
    """At the strike it expires worthless, a cent above it is exercised."""
    paper = expiring()
    paper.bought(LAST_DAY_CALL)
    stock_at(paper, price)
    paper.to("12:00:00", "2026-02-04")

    assert left == held(paper)
    assert ("OPEXC" if left else "OPEXP") == nontrades(paper)[0][0]


def test_shorts_are_assigned(expiring):
    """A secured put in the money brings shares at the strike; a covered call takes them away."""
    paper = expiring()
    paper.submit(symbol=LAST_DAY_PUT, side="sell")
    paper.bought(STOCK, 100, "rich")
    paper.submit("rich", symbol=LAST_DAY_CALL, side="sell")
    paper.submit("rich", symbol=LAST_DAY_PUT, side="sell", qty=2)
    paper.to("21:00:00")
    paper.to("12:00:00", "2026-02-04")

    assert ({STOCK: "100"}, "90010") == (held(paper), cash(paper)), "510 in, 10,500 out"
    assert [("OPASN", LAST_DAY_PUT, "1", "0"), ("OPTRD", STOCK, "100", "-10500")] == nontrades(paper)
    assert {STOCK: "300"} == held(paper, "rich")
    assert ("OPEXP", LAST_DAY_CALL, "1", "0") in nontrades(paper, "rich"), "the call ended out of the money"


def test_a_contract_can_be_kept_from_exercise(expiring):
    """Do-not-exercise, on the last day: it expires although it is worth something."""
    paper = expiring()
    paper.bought(LAST_DAY_CALL)
    paper.bought(LATER_CALL)
    early = paper.call("POST", f"/v2/positions/{LATER_CALL}/do-not-exercise")
    told = paper.call("POST", f"/v2/positions/{LAST_DAY_CALL}/do-not-exercise")
    stock_at(paper, 110)
    paper.to("12:00:00", "2026-02-04")

    assert (422, 200, {LATER_CALL: "1"}) == (early[0], told[0], held(paper))
    assert [("OPEXP", LAST_DAY_CALL, "-1", "0")] == nontrades(paper)


def test_a_long_option_is_exercised_by_request(expiring):
    """At once, all that is free; cash pays the strike, and the next day tells."""
    paper = expiring()
    paper.bought(LATER_CALL, 3)
    paper.submit(symbol=LATER_CALL, side="sell", type="limit", limit_price="50")

    status, body = paper.call("POST", f"/v2/positions/{LATER_CALL}/exercise")
    again = paper.call("POST", f"/v2/positions/{LATER_CALL}/exercise")

    assert (200, None, {LATER_CALL: "1", STOCK: "200"}) == (status, body, held(paper))
    assert "78940" == cash(paper), "3 x 1,020 and 200 x 90"
    assert (403, "no qty available to exercise") == (again[0], again[1]["message"])
    assert [] == nontrades(paper)


def test_a_put_is_exercised_against_shares_or_a_short(expiring):
    """Without shares only where shorting is allowed."""
    paper = expiring()
    for name in ("large", "rich"):
        paper.bought(LAST_DAY_PUT, 1, name)
    answers = [paper.call("POST", f"/v2/positions/{LAST_DAY_PUT}/exercise", name)[0] for name in ("large", "rich")]

    assert [403, 200] == answers
    assert {STOCK: "-100"} == held(paper, "rich")


def test_exercise_is_refused_in_words(expiring):
    """Flat, too poor, or in the evening."""
    paper = expiring()
    flat = paper.call("POST", f"/v2/positions/{LATER_CALL}/exercise")
    paper.bought(LAST_DAY_CALL, 1, "poor")
    poor = paper.call("POST", f"/v2/positions/{LAST_DAY_CALL}/exercise", "poor")
    paper.bought(LATER_CALL)
    paper.to("21:00:00")
    late = paper.call("POST", f"/v2/positions/{LATER_CALL}/exercise")

    assert (404, {"code": 40410000, "message": f"long position not found: {LATER_CALL}"}) == flat
    assert (403, "insufficient options buying power (required: 10500, available: 575)") == (poor[0], poor[1]["message"])
    assert (422, "exercise requests are not accepted between market close and midnight") == (
        late[0],
        late[1]["message"],
    )


def test_what_cannot_be_exercised_is_liquidated_at_the_cutoff(expiring):
    """From 15:30 New York, by an order of the brokerage's own; who can pay keeps the position."""
    paper = expiring()
    paper.bought(LAST_DAY_CALL, 1, "poor")
    paper.bought(LAST_DAY_CALL)
    stock_at(paper, 110)
    paper.quote(LAST_DAY_CALL, "4.90", "5.10")
    planned = paper.to("20:29:59")["next_event"]
    paper.to("20:30:00")

    assert "2026-02-03T20:30:00Z" == planned
    assert ({}, "1065") == (held(paper, "poor"), cash(paper, "poor"))
    assert {LAST_DAY_CALL: "1"} == held(paper)
    assert ("poor", "fill", "1") == paper.events()[-1]


def test_a_closed_position_plans_nothing(expiring):
    """The clock has no event for a liquidation that nobody needs; nor with the switch off."""
    paper, other = expiring(), expiring(switches=Switches(expiry_liquidation=False))
    paper.bought(LAST_DAY_CALL)
    planned = paper.server.world.timeline.next_at()
    paper.to("14:32:00")
    between = paper.to("14:32:01")["next_event"]
    paper.call("DELETE", f"/v2/positions/{LAST_DAY_CALL}")
    other.bought(LAST_DAY_CALL)
    other.to("14:32:01")

    assert planned is not None
    assert ["2026-02-03T20:30:00Z"] + ["2026-02-03T21:00:00Z"] * 2 == [
        between,
        *(server.control("GET", "/clock")[1]["next_event"] for server in (paper, other)),
    ]


def test_the_cutoff_is_a_switch(expiring):
    """45 minutes, as one source says."""
    paper = expiring(switches=Switches(expiry_cutoff_minutes=45))
    paper.to("20:14:59")
    before = paper.submit(symbol=LAST_DAY_CALL, side="buy")[0]
    paper.to("20:15:00")

    assert (200, 422) == (before, paper.submit(symbol=LAST_DAY_CALL, side="buy")[0])
