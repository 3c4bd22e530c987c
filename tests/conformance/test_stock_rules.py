"""Section 1.4: what is peculiar to orders in shares."""

import pytest
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest, StopLossRequest, TakeProfitRequest

from tests.conformance.clients import Alpaca, refusal, wait_for
from tests.paper.days import STOCK, write_day

EXITS = {"take_profit": TakeProfitRequest(limit_price=110), "stop_loss": StopLossRequest(stop_price=95)}
LIMIT_EXISTS, STOP_EXISTS = "opposite side limit order exists", "opposite side market/stop order exists"
BRACKET = {"order_class": "bracket", **EXITS}


def placed(alpaca, **order):
    """A market order for shares with something added."""
    request = {"symbol": STOCK, "qty": 1, "side": "buy", "time_in_force": "day"} | order
    kind = LimitOrderRequest if "limit_price" in request else MarketOrderRequest
    return alpaca.trading.submit_order(kind(**request))


@pytest.mark.parametrize(("price", "taken"), [("1.01", 200), ("1.001", 422), ("0.1234", 200), ("0.12345", 422)])
@pytest.mark.parametrize(("kind", "name"), [("limit", "limit_price"), ("stop", "stop_price")])
def test_prices_are_on_the_penny_grid(paper, kind, name, price, taken):
    """Two decimals from a dollar up, four below; limits and stops alike."""
    paper.bought(STOCK)
    status, body = paper.submit(symbol=STOCK, side="sell", type=kind, **{name: price})

    message = f"invalid {name} {price}. sub-penny increment does not fulfill minimum pricing criteria"
    assert taken == status
    assert 200 == status or {"code": 42210000, "message": message} == body


def test_a_market_order_outside_hours_is_queued(paper, alpaca):
    """Accepted, and kept for the next session."""
    paper.to("21:30:00")

    assert "accepted" == alpaca.market(STOCK, "buy").status.value


@pytest.mark.parametrize(("order", "taken"), [
    ({"limit_price": 10}, True),
    ({"limit_price": 10, "time_in_force": "gtc"}, True),
    ({}, False),
    ({"limit_price": 10, "time_in_force": "ioc"}, False),
])  # fmt: skip
def test_extended_hours_are_for_limits_of_a_day_or_until_canceled(alpaca, order, taken):
    """Nothing else trades then."""
    if taken:
        assert placed(alpaca, extended_hours=True, **order).extended_hours
    else:
        message = "extended hours order must be DAY or GTC limit orders"
        assert (422, 42210000, message) == refusal(placed, alpaca, extended_hours=True, **order)


@pytest.mark.parametrize(("tif", "at", "day", "taken"), [
    ("opg", "14:27:59", "2026-02-04", True),
    ("opg", "14:28:00", "2026-02-04", False),
    ("opg", "23:59:59", "2026-02-03", False),
    ("opg", "00:00:00", "2026-02-04", True),
    ("cls", "20:49:59", "2026-02-03", True),
    ("cls", "20:50:00", "2026-02-03", False),
    ("cls", "23:59:59", "2026-02-03", False),
    ("cls", "00:00:00", "2026-02-04", True),
])  # fmt: skip
def test_auction_orders_have_their_hours(a_paper, tmp_path, tif, at, day, taken):
    """opg is refused from 9:28 to 19:00 in New York, cls from 15:50 to 19:00."""
    second = write_day(tmp_path / "b", day="2026-02-04", quotes=[], trades=[])
    paper = a_paper(days=(write_day(tmp_path / "a"), second))
    paper.to(at, day)

    assert (200 if taken else 422) == paper.submit(symbol=STOCK, side="buy", time_in_force=tif)[0]


def test_several_orders_of_one_side_may_rest(alpaca):
    """Nothing guards against a duplicate but the client id."""
    for _ in range(3):
        placed(alpaca, limit_price=50)

    assert 3 == len(alpaca.trading.get_orders())


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"take_profit": None}, "bracket orders require take_profit.limit_price"),
        ({"take_profit": TakeProfitRequest(limit_price=94)}, "take_profit.limit_price must be > stop_loss.stop_price"),
        ({"time_in_force": "ioc"}, "bracket orders must be DAY or GTC orders"),
        ({"extended_hours": True, "limit_price": 99}, "extended hours order must be DAY or GTC limit orders"),
    ],
)
def test_a_bracket_needs_both_exits_in_order(paper, order, message):
    """The profit above the loss, for a day or until canceled, in ordinary hours."""
    exits = {"take_profit": {"limit_price": "110"}, "stop_loss": {"stop_price": "95"}}
    profit = order.get("take_profit", exits["take_profit"])
    given = exits | order | {"take_profit": profit and dict(profit)}
    kind = "limit" if "limit_price" in order else "market"

    answer = paper.submit(symbol=STOCK, side="buy", order_class="bracket", type=kind, **given)

    assert (422, message) == (answer[0], answer[1]["message"])


def test_exits_are_held_until_the_entry_is_whole(a_paper):
    """Orders of their own with ids of their own; they become new with the last share of the entry."""
    paper = a_paper("--partial-ratio", "1")
    alpaca = Alpaca(paper)
    entry = placed(alpaca, qty=4, **BRACKET)

    def legs():
        return [alpaca.trading.get_order_by_id(leg.id).status.value for leg in entry.legs]

    partly = legs()
    paper.quote(STOCK, "99.90", "100.10")

    assert (["held", "held"], ["new", "new"]) == (partly, legs())
    assert 3 == len({entry.id, *(leg.id for leg in entry.legs)})
    assert 3 == len({entry.client_order_id, *(leg.client_order_id for leg in entry.legs)})


def test_one_exit_ends_the_other(paper, alpaca):
    """The profit is taken, the stop is canceled, nothing is held any more."""
    entry = placed(alpaca, **BRACKET)
    paper.quote(STOCK, "110.50", "110.70")

    assert ["filled", "canceled"] == [alpaca.trading.get_order_by_id(leg.id).status.value for leg in entry.legs]
    assert [] == alpaca.trading.get_all_positions()


def test_canceling_a_part_cancels_the_group(alpaca):
    """The entry takes its exits with it."""
    exits = {"take_profit": TakeProfitRequest(limit_price=60), "stop_loss": StopLossRequest(stop_price=40)}
    entry = placed(alpaca, limit_price=50, order_class="bracket", **exits)
    alpaca.trading.cancel_order_by_id(entry.id)

    assert ["canceled"] * 2 == [alpaca.trading.get_order_by_id(leg.id).status.value for leg in entry.legs]


def test_a_group_is_named_in_orders_and_events(alpaca):
    """group_id and group_role; in events the legs are not inside the entry."""
    with alpaca.updates(raw_data=True) as heard:
        entry = alpaca.trading.post("/orders", {
            "symbol": STOCK, "qty": "1", "side": "buy", "type": "market", "time_in_force": "day",
            "order_class": "bracket", "take_profit": {"limit_price": "110"}, "stop_loss": {"stop_price": "95"},
        })  # fmt: skip
        roles = {"entry", "take_profit", "stop_loss"}
        wait_for(lambda: roles == {update["data"]["order"]["group_role"] for update in heard})

    orders = [update["data"]["order"] for update in heard]
    assert {entry["group_id"]} == {order["group_id"] for order in (*orders, *entry["legs"])}
    assert ["entry", "take_profit", "stop_loss"] == [part["group_role"] for part in (entry, *entry["legs"])]
    assert {None} == {order["legs"] for order in orders}


@pytest.mark.parametrize(("order", "cost"), [({"limit_price": 99}, "99"), ({"limit_price": 500}, "500"), ({}, "100.1")])
def test_a_buy_is_checked_at_its_limit_or_at_the_ask(a_paper, order, cost):
    """Whatever it would really cost."""
    poor = Alpaca(a_paper("--account", "poor=1"), "poor")
    request = {"symbol": STOCK, "qty": "1", "side": "buy", "time_in_force": "day"} | order
    request |= {"type": "limit" if order else "market"}
    status, body = poor.paper.submit("poor", **request)

    assert (403, cost, "1") == (status, body["cost_basis"], body["buying_power"])


@pytest.mark.parametrize(
    ("order", "cost"), [({}, "103.103"), ({"limit_price": 101}, "103.103"), ({"limit_price": 200}, "200")]
)
def test_a_short_is_checked_at_its_limit_or_above_the_ask(a_paper, order, cost):
    """At whichever is more: the limit, or 1.03 of the ask."""
    paper = a_paper("--account", "poor=1,shorting")
    status, body = paper.submit("poor", symbol=STOCK, side="sell", type="limit" if order else "market", **order)

    assert (403, cost) == (status, body["cost_basis"])


def test_an_open_buy_lowers_the_buying_power(alpaca):
    """By its limit, until it is canceled."""
    before = alpaca.trading.get_account().buying_power
    order = placed(alpaca, limit_price=50, qty=2)
    during = alpaca.trading.get_account().buying_power
    alpaca.trading.cancel_order_by_id(order.id)

    assert ("100000", "99900", "100000") == (before, during, alpaca.trading.get_account().buying_power)


@pytest.mark.parametrize(("resting", "incoming", "reason"), [
    ({"type": "limit", "limit_price": "99"}, {"type": "market"}, LIMIT_EXISTS),
    ({"type": "limit", "limit_price": "99"}, {"type": "limit", "limit_price": "98"}, LIMIT_EXISTS),
    ({"type": "limit", "limit_price": "99"}, {"type": "limit", "limit_price": "99"}, LIMIT_EXISTS),
    ({"type": "limit", "limit_price": "99"}, {"type": "limit", "limit_price": "99.01"}, None),
    ({"type": "stop", "stop_price": "105"}, {"type": "limit", "limit_price": "200"}, STOP_EXISTS),
    ({"type": "trailing_stop", "trail_price": "9"}, {"type": "market"}, None),
    ({"type": "limit", "limit_price": "99"}, {"type": "trailing_stop", "trail_price": "2"}, None),
])  # fmt: skip
def test_the_wash_trade_table(paper, resting, incoming, reason):
    """A buy rests, a sale comes: what could meet it is refused, with the order and the reason."""
    paper.bought(STOCK, 5)
    first = paper.submit(symbol=STOCK, side="buy", **resting)[1]

    status, body = paper.submit(symbol=STOCK, side="sell", **incoming)

    if reason is None:
        assert 200 == status, body
    else:
        expected = {"code": 40310000, "message": "potential wash trade detected. use complex orders"}
        assert (403, expected | {"existing_order_id": first["id"], "reject_reason": reason}) == (status, body)


def test_complex_orders_are_no_wash_trade(alpaca):
    """An oco may wait above while a buy waits below."""
    alpaca.market(STOCK, "buy", 2)
    placed(alpaca, limit_price=99)
    oco = placed(alpaca, side="sell", qty=2, limit_price=110, order_class="oco", **EXITS)

    assert "new" == alpaca.trading.get_order_by_id(oco.id).status.value


def test_a_gtc_order_says_when_it_ends(alpaca):
    """Ninety days on."""
    assert "2026-05-04" == str(placed(alpaca, limit_price=50, time_in_force="gtc").expires_at.date())


def test_shares_are_bought_in_parts_and_by_dollars(alpaca):
    """For a day, alone, long; in nine decimals at most."""
    part = alpaca.market(STOCK, "buy", 1.5)
    request = MarketOrderRequest(symbol=STOCK, notional=50.05, side="buy", time_in_force="day")
    dollars = alpaca.trading.get_order_by_id(alpaca.trading.submit_order(request).id)

    assert ("1.5", None) == (part.qty, part.notional)
    assert (None, "50.05", "0.5") == (dollars.qty, dollars.notional, dollars.filled_qty)
    assert "2" == alpaca.trading.get_open_position(STOCK).qty
    message = "fractional orders must be DAY orders"
    assert (422, 42210000, message) == refusal(alpaca.market, STOCK, "buy", 1.5, time_in_force="gtc")
    alpaca.trading.close_position(STOCK)
    message = "fractional orders cannot be sold short"
    assert (422, 42210000, message) == refusal(alpaca.market, STOCK, "sell", 0.5)


def test_some_shares_trade_whole_only(a_paper):
    """403."""
    alpaca = Alpaca(a_paper("--whole-shares", STOCK))

    assert (403, 40310000, f'asset "{STOCK}" is not fractionable') == refusal(alpaca.market, STOCK, "buy", 0.5)
