"""Parts of shares and orders by dollars: day orders that stand alone; positions and activities carry the fraction."""

import pytest

from tests.paper.days import CALL, STOCK, write_day


def position(paper, *names):
    shown = paper.get(f"/v2/positions/{STOCK}")
    return tuple(shown[name] for name in names)


def test_a_part_of_a_share_is_bought_and_closed(paper):
    """Order, position, cash and activities carry the decimals; closing all leaves nothing."""
    order = paper.bought(STOCK, "1.234567891")
    shown = position(paper, "qty", "qty_available", "avg_entry_price", "cost_basis")
    cash = paper.get("/v2/account")["cash"]
    [fill] = paper.get("/v2/account/activities/FILL")
    status, closing = paper.call("DELETE", f"/v2/positions/{STOCK}")

    assert ("filled", "1.234567891", "1.234567891", None) == tuple(
        order[key] for key in ("status", "qty", "filled_qty", "notional")
    )
    assert ("1.234567891", "1.234567891", "100.1", "123.580245889") == shown
    assert ("99876.42", "1.234567891", "0") == (cash, fill["qty"], fill["leaves_qty"])
    assert (200, "1.234567891") == (status, closing["qty"])
    assert [] == paper.get("/v2/positions")


def test_more_than_nine_decimals_are_cut_off(paper):
    """Silently, as the real one does."""
    assert "0.123456789" == paper.bought(STOCK, "0.1234567899")["qty"]


def test_dollars_buy_what_they_buy(paper):
    """The order has no quantity of its own; it is filled with so many shares, and reserves its dollars."""
    resting = paper.bought(STOCK, None, notional="50", type="limit", limit_price="90")
    power = paper.get("/v2/account")["buying_power"]
    order = paper.bought(STOCK, None, notional="50.05")

    assert (None, "50", "new", "99950") == (resting["qty"], resting["notional"], resting["status"], power)
    assert (None, "50.05", "filled", "0.5") == tuple(order[key] for key in ("qty", "notional", "status", "filled_qty"))
    assert ("0.5",) == position(paper, "qty")
    paper.quote(STOCK, "79", "80")
    assert "0.625" == paper.get(f"/v2/orders/{resting['id']}")["filled_qty"], "50 dollars at 80, not at 90"


def test_dollars_sell_no_more_than_there_is(paper):
    """The price falls before the sale fills: the whole position goes, and no share more."""
    paper.bought(STOCK, "0.5")
    paper.control("POST", "/fills", hold=True)
    _, order = paper.submit(symbol=STOCK, side="sell", qty=None, notional="49")
    available = position(paper, "qty_available")
    paper.quote(STOCK, "80", "81")
    paper.control("POST", "/fills", hold=False)

    assert available[0].startswith("0.0095")
    assert ("filled", "0.5") == tuple(paper.get(f"/v2/orders/{order['id']}")[k] for k in ("status", "filled_qty"))
    assert [] == paper.get("/v2/positions")


@pytest.mark.parametrize(
    ("wrong", "status", "message"),
    [
        ({"time_in_force": "gtc"}, 422, "fractional orders must be DAY orders"),
        ({"order_class": "bracket"}, 422, "fractional orders must be simple orders"),
        ({"order_class": "bracket", "qty": None, "notional": 10}, 422, "fractional orders must be simple orders"),
        ({"side": "sell"}, 422, "fractional orders cannot be sold short"),
        ({"qty": "0.005"}, 403, "cost basis must be >= minimal amount of order 1"),
        ({"qty": None, "notional": "0.99"}, 403, "cost basis must be >= minimal amount of order 1"),
        ({"qty": None, "notional": "10.123"}, 422, "notional value must be limited to 2 decimal places"),
        ({"type": "trailing_stop", "trail_percent": 1}, 422, "invalid order type"),
        ({"qty": None, "notional": "200000"}, 403, "insufficient buying power"),
    ],
)
def test_an_impossible_part_is_refused(paper, wrong, status, message):
    """In the words that were recorded."""
    exits = {"take_profit": {"limit_price": "110"}, "stop_loss": {"stop_price": "95"}}
    answer = paper.submit(**{"symbol": STOCK, "side": "buy", "qty": "0.5"} | exits | wrong)

    assert (status, message) == (answer[0], answer[1]["message"])
    assert [] == paper.get("/v2/orders", status="all")


def test_what_is_not_fractionable_is_named_at_start(a_paper):
    """The asset says so, orders are refused, and a percentage closes whole shares."""
    paper = a_paper(whole_shares=(STOCK,))
    paper.to("14:31:00")
    answers = [
        paper.submit(symbol=STOCK, side="buy", **size) for size in ({"qty": "0.5"}, {"qty": None, "notional": 50})
    ]
    paper.bought(STOCK, 5)
    _, closing = paper.call("DELETE", f"/v2/positions/{STOCK}", params={"percentage": "50"})

    assert [(403, 'asset "ACME" is not fractionable')] * 2 == [(code, body["message"]) for code, body in answers]
    assert (False, "2") == (paper.get(f"/v2/assets/{STOCK}")["fractionable"], closing["qty"])


def test_a_percentage_closes_a_part(paper):
    """With nine decimals."""
    paper.bought(STOCK, 1)
    _, closing = paper.call("DELETE", f"/v2/positions/{STOCK}", params={"percentage": "33.333333333"})

    assert ("0.333333333", "0.666666667") == (closing["qty"], *position(paper, "qty"))


def test_an_owner_can_do_without_parts(paper):
    """fractional_trading of the configuration."""
    paper.call("PATCH", "/v2/account/configurations", json={"fractional_trading": False})

    assert [403, 200] == [paper.submit(symbol=STOCK, side="buy", qty=qty)[0] for qty in ("0.5", "1")]


def test_a_price_that_nobody_knows_buys_nothing(a_paper, tmp_path):
    """Dollars cannot be turned into shares before the market has shown one."""
    paper = a_paper(write_day(tmp_path / "dark", underlying=()))
    paper.to("14:31:00")
    status, body = paper.submit(symbol=STOCK, side="buy", qty=None, notional=50)

    assert (422, 'asset "ACME" has no price yet') == (status, body["message"])


def test_parts_are_not_replaced(paper):
    """An order by dollars not at all, the quantity of one in parts not, its price yes."""
    dollars = paper.bought(STOCK, None, notional="50", type="limit", limit_price="90")
    parts = paper.bought(STOCK, "0.5", type="limit", limit_price="90")
    changes = [(dollars, {"limit_price": "91"}), (parts, {"qty": "1.5"}), (parts, {"limit_price": "91"})]
    answers = [paper.call("PATCH", f"/v2/orders/{order['id']}", json=change) for order, change in changes]

    assert [422, 422, 200] == [code for code, _ in answers]
    assert ["unable to replace order in current state"] * 2 == [body["message"] for _, body in answers[:2]]


def test_a_part_fills_in_parts(a_paper):
    """The first of two executions is of whole shares."""
    paper = a_paper(partial_ratio=1.0)
    paper.to("14:31:00")
    order = paper.bought(STOCK, "3.5")
    paper.quote(STOCK, "99.90", "100.10")

    assert order["filled_qty"] in {"1", "2"}
    assert ("filled", "3.5") == tuple(paper.get(f"/v2/orders/{order['id']}")[key] for key in ("status", "filled_qty"))


def test_a_book_can_hold_parts_by_order_of_the_control_port(paper):
    """Of shares; contracts stay whole."""
    opened = paper.control("POST", "/book", account="large", do="open", symbol=STOCK, qty="0.25", price=100)
    refused = paper.control("POST", "/book", account="large", do="open", symbol=CALL, qty="0.25", price=1)
    closed = paper.control("POST", "/close", account="large", symbol=STOCK, qty="0.25")

    assert ((200, "0.25"), 400, 200) == ((opened[0], opened[1]["position"]["qty"]), refused[0], closed[0])


def test_an_asset_can_stop_trading(paper):
    """By order of the control port: it takes no orders, and asset and contract say so."""
    resting = paper.bought(CALL, type="limit", limit_price="0.5")
    for symbol in (STOCK, CALL):
        assert (200, {"symbol": symbol, "tradable": False}) == paper.control(
            "POST", "/assets", symbol=symbol, tradable=False
        )
    answers = [paper.submit(symbol=symbol, side="buy")[1]["message"] for symbol in (STOCK, CALL)]
    shown = [paper.get(path)["tradable"] for path in (f"/v2/assets/{STOCK}", f"/v2/options/contracts/{CALL}")]
    paper.control("POST", "/assets", symbol=STOCK, tradable=True)

    assert [f'asset "{STOCK}" is not tradable', f'contract "{CALL}" is not tradable'] == answers
    assert [False, False] == shown
    assert 204 == paper.call("DELETE", f"/v2/orders/{resting['id']}")[0]
    assert 200 == paper.submit(symbol=STOCK, side="buy")[0]
    assert 400 == paper.control("POST", "/assets", symbol=STOCK, tradable="yes")[0]
