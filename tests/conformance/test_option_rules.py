"""Section 1.3: what is peculiar to orders in options."""

import pytest
from alpaca.trading.requests import (
    LimitOrderRequest,
    MarketOrderRequest,
    OptionLegRequest,
    StopLimitOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)

from tests.conformance.clients import Alpaca, refusal
from tests.paper.days import CALL, LAST_DAY_CALL, PUT, STOCK

EXITS = {"take_profit": TakeProfitRequest(limit_price=9), "stop_loss": StopLossRequest(stop_price=0.1)}
ONE = {"symbol": CALL, "qty": 1, "time_in_force": "day"}


def test_single_legs_are_market_limit_stop_or_stop_limit(alpaca):
    """And never trailing stops."""
    alpaca.market(CALL, "buy", 9)
    alpaca.limit(CALL, "sell", 9)
    alpaca.trading.submit_order(StopOrderRequest(**ONE, side="sell", stop_price=0.5))
    alpaca.trading.submit_order(StopLimitOrderRequest(**ONE, side="sell", stop_price=0.5, limit_price=0.4))

    trail = TrailingStopOrderRequest(**ONE, side="sell", trail_price=0.1)
    message = "invalid order type for options trading"
    assert (422, 42210000, message) == refusal(alpaca.trading.submit_order, trail)
    assert ["stop_limit", "stop", "limit"] == [order.type.value for order in alpaca.trading.get_orders()]


def test_stop_orders_are_a_switch(a_paper):
    """Older documents know market and limit only."""
    alpaca = Alpaca(a_paper("--switch", "option_stop_orders=false"))
    stop = StopOrderRequest(**ONE, side="buy", stop_price=2)

    message = "invalid order type for options trading"
    assert (422, 42210000, message) == refusal(alpaca.trading.submit_order, stop)


@pytest.mark.parametrize("tif", ["ioc", "fok", "opg", "cls"])
def test_options_live_for_a_day_or_until_canceled(a_paper, alpaca, tif):
    """Nothing else; gtc is a switch."""
    message = "order_time_in_force provided not supported for options trading"
    older = Alpaca(a_paper("--switch", "option_gtc=false"))

    assert (422, 42210000, message) == refusal(alpaca.market, CALL, "buy", time_in_force=tif)
    assert "gtc" == alpaca.limit(CALL, "buy", 0.1, time_in_force="gtc").time_in_force.value
    assert (422, 42210000, message) == refusal(older.limit, CALL, "buy", 0.1, time_in_force="gtc")


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"qty": 1.5}, "qty must be integer for options trading"),
        ({"qty": None, "notional": 100}, "notional orders are not supported for options trading"),
        ({"extended_hours": True}, "extended hours is not supported for options trading"),
        ({"order_class": "bracket", **EXITS}, "complex orders not supported for options trading"),
        ({"order_class": "oto", **EXITS}, "complex orders not supported for options trading"),
    ],
)
def test_options_are_whole_plain_and_in_hours(alpaca, order, message):
    """The words of each refusal."""
    request = MarketOrderRequest(**ONE | {"side": "buy"} | order)

    assert (422, 42210000, message) == refusal(alpaca.trading.submit_order, request)


def test_an_oco_of_options_is_refused(alpaca):
    """Even while the position is held."""
    alpaca.market(CALL, "buy")
    oco = LimitOrderRequest(**ONE, side="sell", order_class="oco", **EXITS)

    message = "complex orders not supported for options trading"
    assert (422, 42210000, message) == refusal(alpaca.trading.submit_order, oco)


@pytest.mark.parametrize("price", [1.2300000000000002, 1.234, 3.3000000000000003])
def test_option_prices_have_two_decimals(alpaca, price):
    """A float that is a hair off is refused."""
    message = "limit price must be limited to 2 decimal places"

    assert (422, 42210000, message) == refusal(alpaca.limit, CALL, "buy", price)


def test_while_closed_only_limits_are_taken(paper, alpaca):
    """They wait as accepted."""
    paper.to("21:00:00")

    message = "options market orders are only allowed during market hours"
    assert (422, 42210000, message) == refusal(alpaca.market, CALL, "buy")
    assert "accepted" == alpaca.limit(CALL, "buy", 1.0).status.value


def test_a_day_order_ends_at_four_in_new_york(alpaca):
    """21:00 UTC in winter."""
    assert "2026-02-03T21:00:00+00:00" == alpaca.limit(CALL, "buy", 0.1).expires_at.isoformat()


def test_options_on_late_closing_shares_trade_until_a_quarter_past_four(a_paper):
    """Market orders too; their day orders end then, and the share says so among its attributes."""
    paper = a_paper("--late-close", STOCK)
    alpaca = Alpaca(paper)
    resting = alpaca.limit(CALL, "buy", 0.1)
    paper.to("21:14:59")
    late = alpaca.trading.get_order_by_id(alpaca.market(CALL, "buy").id)
    paper.to("21:15:00")

    assert ("2026-02-03T21:15:00+00:00", "filled") == (resting.expires_at.isoformat(), late.status.value)
    assert "expired" == alpaca.trading.get_order_by_id(resting.id).status.value
    assert 422 == refusal(alpaca.market, CALL, "buy")[0]
    assert ["has_options", "options_late_close"] == alpaca.trading.get(f"/assets/{STOCK}")["attributes"]


def test_a_stop_that_sells_to_open_fails_when_the_switch_says_so(a_paper, alpaca):
    """One recording shows 500; without the switch it is an order like others."""
    stop = StopOrderRequest(symbol=PUT, qty=1, side="sell", time_in_force="day", stop_price=0.3)
    failing = Alpaca(a_paper("--switch", "sell_to_open_stop_fails=true"))

    message = "internal server error occurred"
    assert (500, 50010000, message) == refusal(failing.trading.submit_order, stop)
    assert "sell_to_open" == alpaca.trading.submit_order(stop).position_intent


@pytest.mark.parametrize(
    ("level", "refused"),
    [
        (0, {"covered call": "account not authorized to trade options",
             "secured put": "account not authorized to trade options",
             "long": "account not authorized to trade options",
             "spread": "account not authorized to trade options"}),
        (1, {"long": "account not eligible to trade long option contracts",
             "spread": "account not eligible to trade spreads or uncovered contracts"}),
        (2, {"spread": "account not eligible to trade spreads or uncovered contracts"}),
        (3, {}),
    ],
)  # fmt: skip
def test_each_level_adds_a_kind_of_order(a_paper, level, refused):
    """1: covered calls and secured puts; 2: long options; 3: spreads. None sells naked."""
    paper = a_paper("--account", f"level=100000,level={level}")
    paper.quote(PUT, "0.40", "0.50")
    alpaca = Alpaca(paper, "level")
    alpaca.market(STOCK, "buy", 100)
    legs = [
        OptionLegRequest(symbol=symbol, ratio_qty=1, position_intent=intent)
        for symbol, intent in ((CALL, "buy_to_open"), (LAST_DAY_CALL, "sell_to_open"))
    ]
    spread = MarketOrderRequest(qty=1, time_in_force="day", order_class="mleg", legs=legs)

    def outcome(call, *args):
        try:
            call(*args)
        except Exception as error:  # noqa: BLE001 - only a refusal has a message
            return error.message
        return None

    orders = {
        "spread": outcome(alpaca.trading.submit_order, spread),
        "covered call": outcome(alpaca.market, CALL, "sell") if level < 3 else None,
        "secured put": outcome(alpaca.market, PUT, "sell"),
        "long": outcome(alpaca.market, LAST_DAY_CALL, "buy"),
    }
    assert refused == {kind: message for kind, message in orders.items() if message}


def test_no_level_sells_naked(alpaca):
    """Not even three."""
    message = "account not eligible to trade uncovered option contracts"

    assert (403, 40310000, message) == refusal(alpaca.market, CALL, "sell")


def test_an_option_costs_a_hundred_times_its_price(alpaca):
    """A resting sale adds no buying power before it is filled."""

    def power():
        return alpaca.trading.get_account().options_buying_power

    alpaca.market(CALL, "buy", 2)
    bought = power()
    sale = alpaca.limit(CALL, "sell", 1.01, 2)
    resting = power()
    alpaca.trading.cancel_order_by_id(sale.id)
    alpaca.market(CALL, "sell", 2)

    assert ["99780", "99780", "99980"] == [bought, resting, power()]


def test_legs_are_market_or_limit(alpaca):
    """A combination knows no stops."""
    legs = [
        {"symbol": symbol, "ratio_qty": "1", "position_intent": intent}
        for symbol, intent in ((CALL, "buy_to_open"), (LAST_DAY_CALL, "sell_to_open"))
    ]
    order = {"qty": "1", "type": "stop", "stop_price": "1", "time_in_force": "day", "order_class": "mleg", "legs": legs}

    message = "invalid order type for options trading"
    assert (422, 42210000, message) == refusal(alpaca.trading.post, "/orders", order)
