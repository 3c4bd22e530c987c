"""alpaca-py's own models for everything beyond market and limit orders, against this server unchanged."""

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, PositionIntent, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import (
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    OptionLegRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)

from tests.paper.days import CALL, LAST_DAY_CALL, STOCK

DAY = TimeInForce.DAY
EXITS = {"take_profit": TakeProfitRequest(limit_price=110), "stop_loss": StopLossRequest(stop_price=95)}


@pytest.fixture
def client(paper):
    return TradingClient("large", "paper", paper=True, url_override=paper.said["rest"])


def test_an_order_is_replaced(client):
    """The replacement is parsed, and points back."""
    old = client.submit_order(LimitOrderRequest(symbol=STOCK, qty=2, side="buy", time_in_force=DAY, limit_price=50))

    new = client.replace_order_by_id(old.id, ReplaceOrderRequest(limit_price=51, client_order_id="second"))

    assert (old.id, "51", "second") == (new.replaces, new.limit_price, new.client_order_id)
    assert ("replaced", new.id) == (
        client.get_order_by_id(old.id).status.value,
        client.get_order_by_id(old.id).replaced_by,
    )


def test_stops_and_trails_are_parsed(client):
    """Each type with its prices."""
    client.submit_order(MarketOrderRequest(symbol=STOCK, qty=9, side="buy", time_in_force=DAY))
    common = {"symbol": STOCK, "qty": 2, "side": "sell", "time_in_force": TimeInForce.GTC}
    stop = client.submit_order(StopOrderRequest(stop_price=95, **common))
    limit = client.submit_order(StopLimitOrderRequest(stop_price=95, limit_price=94, **common))
    trail = client.submit_order(TrailingStopOrderRequest(trail_percent=5, **common))

    assert ["stop", "stop_limit", "trailing_stop"] == [order.type.value for order in (stop, limit, trail)]
    assert ("95", "95", "94", "5") == (stop.stop_price, limit.stop_price, limit.limit_price, trail.trail_percent)
    assert 3 == len(client.get_orders())


def test_a_bracket_is_parsed_with_its_legs(client):
    """Nested it is one order, flat three; a cancel of one leg ends the other."""
    order = client.submit_order(
        MarketOrderRequest(symbol=STOCK, qty=2, side="buy", time_in_force=DAY, order_class=OrderClass.BRACKET, **EXITS)
    )
    nested = client.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, nested=True))

    assert (OrderClass.BRACKET, ["held", "held"]) == (order.order_class, [leg.status.value for leg in order.legs])
    assert [["new", "new"]] == [[leg.status.value for leg in found.legs] for found in nested]
    client.cancel_order_by_id(order.legs[0].id)
    assert [] == client.get_orders()


def test_an_oco_closes_a_position(client):
    """The take-profit is the order itself."""
    client.submit_order(MarketOrderRequest(symbol=STOCK, qty=2, side="buy", time_in_force=DAY))
    order = client.submit_order(
        LimitOrderRequest(symbol=STOCK, qty=2, side="sell", time_in_force=DAY, order_class=OrderClass.OCO, **EXITS)
    )

    assert ("110", ["95"]) == (order.limit_price, [leg.stop_price for leg in order.legs])


def test_a_combination_is_parsed(client):
    """No symbol and no side of its own; legs with their intents."""
    legs = [
        OptionLegRequest(symbol=CALL, ratio_qty=1, position_intent=PositionIntent.BUY_TO_OPEN, side=OrderSide.BUY),
        OptionLegRequest(symbol=LAST_DAY_CALL, ratio_qty=1, position_intent=PositionIntent.SELL_TO_OPEN),
    ]

    order = client.submit_order(
        LimitOrderRequest(qty=1, time_in_force=DAY, order_class=OrderClass.MLEG, limit_price=1.0, legs=legs)
    )

    assert (OrderClass.MLEG, None, None) == (order.order_class, order.side, order.position_intent)
    assert [CALL, LAST_DAY_CALL] == [leg.symbol for leg in order.legs]
    assert {CALL: "1", LAST_DAY_CALL: "-1"} == {p.symbol: p.qty for p in client.get_all_positions()}


def test_a_position_is_exercised(client):
    """And refused in words that alpaca-py's error carries."""
    client.submit_order(MarketOrderRequest(symbol=CALL, qty=1, side="buy", time_in_force=DAY))
    client.exercise_options_position(CALL)

    assert "100" == client.get_open_position(STOCK).qty
    with pytest.raises(APIError) as refused:
        client.exercise_options_position(CALL)
    assert (404, 40410000) == (refused.value.status_code, refused.value.code)


def test_the_configuration_is_set(client):
    """As alpaca-py sends it back: whole."""
    configuration = client.get_account_configurations()
    configuration.no_shorting = True

    assert client.set_account_configurations(configuration).no_shorting
