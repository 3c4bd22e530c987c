"""Hours beyond the core session: options until 16:15, shares from 04:00 to 20:00 for those who ask."""

import pytest

from tests.paper.days import CALL, DAY, LAST_DAY_CALL, STOCK, write_day

NEXT = "2026-02-04"


@pytest.fixture
def late(a_paper, tmp_path):
    """A server on whose day the options of the only stock trade until 16:15."""
    paper = a_paper(write_day(tmp_path / "late"), late_close=(STOCK,))
    paper.to("14:31:00")
    return paper


def order_of(paper, order, *names):
    shown = paper.get(f"/v2/orders/{order['id']}")
    return tuple(shown[name] for name in names) if len(names) > 1 else shown[names[0]]


def test_a_late_option_trades_a_quarter_of_an_hour_more(late):
    """Its day orders end at 16:15 New York, market orders are taken until then; the market's clock says closed."""
    resting = late.bought(CALL, type="limit", limit_price="0.10")
    late.to("21:14:59")
    open_still = order_of(late, resting, "status")
    bought = late.bought(CALL)
    is_open = late.get("/v2/clock")["is_open"]
    late.to("21:15:00")
    refused = late.submit(symbol=CALL, side="buy")

    assert f"{DAY}T21:15:00.000000000Z" == resting["expires_at"]
    assert ("new", "filled", False) == (open_still, bought["status"], is_open)
    assert "expired" == order_of(late, resting, "status")
    assert (422, "options market orders are only allowed during market hours") == (refused[0], refused[1]["message"])


def test_other_options_end_with_the_session(paper):
    """At 16:00; and shares too."""
    paper.to("21:00:00")

    assert 422 == paper.submit(symbol=CALL, side="buy")[0]
    assert ["accepted"] == [paper.submit(symbol=STOCK, side="buy")[1]["status"]]


def test_a_late_contract_is_settled_by_the_close_of_its_share(late):
    """At 16:15, by what the share cost at 16:00; until then it can be sold."""
    late.bought(LAST_DAY_CALL, 2)
    late.to("14:33:00")
    late.quote(STOCK, "110", "110")
    late.to("21:00:00")
    late.quote(STOCK, "90", "90")
    late.submit(symbol=LAST_DAY_CALL, side="sell")
    before = {p["symbol"]: p["qty"] for p in late.get("/v2/positions")}
    late.to("21:15:00")

    assert {LAST_DAY_CALL: "1"} == before
    assert {STOCK: "100"} == {p["symbol"]: p["qty"] for p in late.get("/v2/positions")}


def test_the_asset_tells_of_the_late_close(late, paper):
    """An attribute of the stock; no other has it."""
    attributes = [server.get(f"/v2/assets/{STOCK}")["attributes"] for server in (late, paper)]

    assert [["has_options", "options_late_close"], ["has_options"]] == attributes
    assert [STOCK] == [a["symbol"] for a in late.get("/v2/assets", attributes="options_late_close")]


def test_spy_and_qqq_close_late_by_themselves(a_paper):
    """Alpaca names them; others are named at start."""
    assert {"SPY", "QQQ"} <= a_paper().server.world.registry.late_close


def extended(paper, **order):
    shape = {"symbol": STOCK, "side": "buy", "type": "limit", "limit_price": "101", "extended_hours": True}
    status, body = paper.submit(**shape | order)
    assert 200 == status, body
    return body


def test_an_extended_order_fills_after_the_close(paper):
    """By what is quoted then, not by the last quote of the day; it ends at 20:00 New York."""
    paper.to("21:00:00")
    order = extended(paper)
    waits = order_of(paper, order, "status")
    paper.quote(STOCK, "100.40", "100.60")

    assert ("pending_new", f"{NEXT}T01:00:00.000000000Z", True) == tuple(
        order[key] for key in ("status", "expires_at", "extended_hours")
    )
    assert ("new", ("filled", "100.6")) == (waits, order_of(paper, order, "status", "filled_avg_price"))


def test_an_extended_order_expires_in_the_evening(paper):
    """At 20:00, by itself; other orders ended at 16:00."""
    order, other = extended(paper, limit_price="50"), extended(paper, limit_price="50", extended_hours=False)
    evening = paper.to("21:00:00")
    paper.to("00:59:59", NEXT)
    before = [order_of(paper, one, "status") for one in (order, other)]
    paper.to("01:00:00", NEXT)

    assert f"{NEXT}T01:00:00Z" == evening["next_event"]
    assert ["new", "expired"] == before
    assert ("expired", f"{NEXT}T01:00:00.000000000Z") == order_of(paper, order, "status", "expired_at")


def test_an_extended_order_is_awake_from_four(a_paper, tmp_path):
    """Accepted at night, new at 04:00, filled before the bell; an ordinary one waits for the bell."""
    from paper.times import parse

    paper = a_paper(write_day(tmp_path / "early"), start=parse(f"{DAY}T08:00:00Z"))
    order, other = extended(paper), extended(paper, extended_hours=False)
    night = order_of(paper, order, "status")
    paper.to("09:00:00")
    awake = [order_of(paper, one, "status") for one in (order, other)]
    paper.quote(STOCK, "99", "99.5")

    assert ("accepted", ["new", "accepted"]) == (night, awake)
    assert ("filled", "99.5") == order_of(paper, order, "status", "filled_avg_price")
    assert "accepted" == order_of(paper, other, "status")
    paper.to("14:31:00")
    assert ("filled", "100.1") == order_of(paper, other, "status", "filled_avg_price")


def test_a_gtc_extended_order_is_done_for_the_night(paper):
    """And new again at 04:00 of the next session, which this server does not have: it rests."""
    order = extended(paper, limit_price="50", time_in_force="gtc")
    paper.to("21:00:00")
    evening = order_of(paper, order, "status")
    paper.to("01:00:00", NEXT)

    assert ("new", "done_for_day") == (evening, order_of(paper, order, "status"))
    assert 204 == paper.call("DELETE", f"/v2/orders/{order['id']}")[0]


def test_a_market_order_of_the_evening_is_checked_at_the_middle(paper):
    """By night at the ask, where shares have no trades; the order waits for the next session either way."""
    paper.to("21:00:00")
    paper.quote(STOCK, "90", "110")
    power = []
    for hour, day in (("22:00:00", DAY), ("02:00:00", NEXT)):
        paper.to(hour, day)
        paper.submit(symbol=STOCK, side="buy", qty=10)
        power.append(paper.get("/v2/account")["buying_power"])

    assert ["99000", "97900"] == power


@pytest.mark.parametrize(
    "wrong", [{"type": "market", "limit_price": None}, {"time_in_force": "ioc"}, {"type": "stop", "stop_price": "110"}]
)
def test_only_day_and_gtc_limits_are_extended(paper, wrong):
    """422 in Alpaca's words."""
    shape = {"symbol": STOCK, "side": "buy", "type": "limit", "limit_price": "101", "extended_hours": True}
    status, body = paper.submit(**shape | wrong)

    assert (422, "extended hours order must be DAY or GTC limit orders") == (status, body["message"])


def test_an_early_close_ends_the_evening_early(a_paper, tmp_path):
    """13:00, 13:15 for late options, 17:00 for shares."""
    folder = write_day(tmp_path / "half", close="18:00:00", early_close=True)
    paper = a_paper(folder, late_close=(STOCK,))
    paper.to("14:31:00")
    orders = [paper.bought(CALL, type="limit", limit_price="0.10"), extended(paper, limit_price="50")]

    assert [f"{DAY}T18:15:00.000000000Z", f"{DAY}T22:00:00.000000000Z"] == [order["expires_at"] for order in orders]
