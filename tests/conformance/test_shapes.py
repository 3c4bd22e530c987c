"""Sections 1.8 and 3: the JSON of orders, positions, accounts and reference data, key by key."""

import re
import uuid

import pytest
from alpaca.trading.requests import LimitOrderRequest, OptionLegRequest, StopLossRequest, TakeProfitRequest

from tests.paper.days import CALL, LAST_DAY_CALL, PUT, STOCK

ORDER = """asset_class asset_id canceled_at client_order_id created_at expired_at expires_at extended_hours failed_at
    filled_at filled_avg_price filled_qty hwm id legs limit_price notional order_class order_type position_intent qty
    replaced_at replaced_by replaces side source status stop_price submitted_at subtag symbol time_in_force
    trail_percent trail_price type updated_at"""
POSITION = """asset_id symbol exchange asset_class asset_marginable avg_entry_price qty qty_available side market_value
    cost_basis unrealized_pl unrealized_plpc unrealized_intraday_pl unrealized_intraday_plpc current_price
    lastday_price change_today"""
ACCOUNT = """id account_number status currency cash equity last_equity portfolio_value position_market_value
    buying_power regt_buying_power effective_buying_power non_marginable_buying_power options_buying_power
    options_approved_level options_trading_level initial_margin maintenance_margin last_maintenance_margin
    long_market_value short_market_value multiplier sma accrued_fees pending_reg_taf_fees pending_transfer_in
    pending_transfer_out intraday_adjustments balance_asof created_at crypto_status shorting_enabled trading_blocked
    account_blocked transfers_blocked trade_suspended_by_user admin_configurations user_configurations"""
CONFIGURATION = """disable_overnight_trading fractional_trading max_margin_multiplier max_options_trading_level
    no_shorting ptp_no_exception_entry suspend_trade trade_confirm_email"""
ASSET = """id class exchange symbol name status tradable marginable shortable fractionable borrow_status
    easy_to_borrow attributes margin_requirement_long margin_requirement_short maintenance_margin_requirement cusip"""
CONTRACT = """close_price close_price_date expiration_date id multiplier name open_interest open_interest_date ppind
    root_symbol size status strike_price style symbol tradable type underlying_asset_id underlying_symbol"""
NANOSECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
NUMBER = re.compile(r"-?\d+(\.\d*[1-9])?")


def words(text):
    return set(text.split())


def sent(alpaca, **order):
    return alpaca.trading.post("/orders", {"qty": "2", "side": "buy", "type": "market", "time_in_force": "day"} | order)


def test_an_option_order_has_every_key(alpaca):
    """Numbers are strings without trailing zeros, times are UTC to the nanosecond, ids UUIDs, absent values null."""
    order = sent(alpaca, symbol=CALL, type="limit", limit_price="1.10")

    assert words(ORDER) == set(order)
    assert ("us_option", "simple", "limit", "limit", "1.1", "2", "0") == tuple(
        order[key] for key in ("asset_class", "order_class", "type", "order_type", "limit_price", "qty", "filled_qty")
    )
    assert all(NANOSECONDS.fullmatch(order[key]) for key in ("created_at", "submitted_at", "updated_at", "expires_at"))
    assert all(uuid.UUID(order[key]) for key in ("id", "asset_id", "client_order_id"))
    nulls = "canceled_at expired_at failed_at filled_at filled_avg_price hwm legs notional replaced_at replaced_by"
    nulls += " replaces source stop_price subtag trail_percent trail_price"
    assert words(nulls) == {key for key, value in order.items() if value is None}


def test_a_stock_order_has_the_same_keys(alpaca):
    """Its class is an empty text."""
    order = sent(alpaca, symbol=STOCK)

    assert words(ORDER) == set(order)
    assert ("us_equity", "") == (order["asset_class"], order["order_class"])


def test_a_bracket_has_its_legs_inside(alpaca):
    """Whole orders, held, of one group."""
    exits = {"take_profit": {"limit_price": "110"}, "stop_loss": {"stop_price": "95"}}
    order = sent(alpaca, symbol=STOCK, order_class="bracket", **exits)

    grouped = words(ORDER) | {"group_id", "group_role"}
    assert [grouped] * 3 == [set(part) for part in (order, *order["legs"])]
    assert ["bracket"] * 3 == [part["order_class"] for part in (order, *order["legs"])]
    assert ["held"] * 2 == [leg["status"] for leg in order["legs"]]


def test_a_combination_has_no_symbol_of_its_own(alpaca):
    """Nor a class, an asset or a side; its legs have no type, and a ratio."""
    legs = [
        {"symbol": symbol, "ratio_qty": "1", "position_intent": intent}
        for symbol, intent in ((CALL, "buy_to_open"), (LAST_DAY_CALL, "sell_to_open"))
    ]
    order = sent(alpaca, order_class="mleg", legs=legs)

    assert ("", "", "", "") == tuple(order[key] for key in ("symbol", "asset_class", "asset_id", "side"))
    assert [("mleg", "", "1")] * 2 == [(leg["order_class"], leg["type"], leg["ratio_qty"]) for leg in order["legs"]]


def test_every_kind_of_order_is_parsed_by_alpaca_py(alpaca):
    """Plain, of a group, of legs, in replies and in lists."""
    alpaca.market(CALL, "buy")
    exits = {"take_profit": TakeProfitRequest(limit_price=110), "stop_loss": StopLossRequest(stop_price=95)}
    bracket = alpaca.market(STOCK, "buy", order_class="bracket", **exits)
    legs = [
        OptionLegRequest(symbol=CALL, ratio_qty=1, position_intent="buy_to_open"),
        OptionLegRequest(symbol=LAST_DAY_CALL, ratio_qty=1, position_intent="sell_to_open"),
    ]
    combination = alpaca.trading.submit_order(
        LimitOrderRequest(qty=1, limit_price=0.01, time_in_force="day", order_class="mleg", legs=legs)
    )

    assert ["bracket", "mleg", None] == [bracket.order_class, combination.order_class, combination.side]
    assert 3 == len(alpaca.trading.get_orders())


def test_a_position_has_every_key(paper, alpaca):
    """The cost of options counts a hundred to one; amounts of shorts are negative; options have no exchange."""
    alpaca.market(CALL, "buy", 2)
    paper.submit("margin", symbol=STOCK, side="sell", qty=5)
    option = alpaca.trading.get(f"/positions/{CALL}")
    short = paper.get(f"/v2/positions/{STOCK}", "margin")

    assert [words(POSITION)] * 2 == [
        set(p) - words("swap_rate avg_entry_swap_rate prev_swap_rate usd") for p in (option, short)
    ]
    assert ("us_option", "", "2", "1.1", "220", "long") == tuple(
        option[key] for key in ("asset_class", "exchange", "qty", "avg_entry_price", "cost_basis", "side")
    )
    assert ("-5", "-499.5", "short", "NASDAQ") == tuple(short[k] for k in ("qty", "cost_basis", "side", "exchange"))
    numbers = words(POSITION) - words("asset_id symbol exchange asset_class asset_marginable side")
    assert all(NUMBER.fullmatch(option[name]) for name in numbers)
    assert [CALL] == [position.symbol for position in alpaca.trading.get_all_positions()]


def test_what_open_closing_orders_hold_is_not_available(alpaca):
    """At once."""
    alpaca.market(CALL, "buy", 3)
    alpaca.limit(CALL, "sell", 9, 2)

    position = alpaca.trading.get_open_position(CALL)
    assert ("3", "1") == (position.qty, position.qty_available)


def test_an_account_has_every_key(alpaca):
    """Money is text, levels are numbers; the keys of the pattern day trading rule are gone."""
    account = alpaca.trading.get("/account")

    assert words(ACCOUNT) == set(account)
    assert ("ACTIVE", 3, 3) == tuple(account[k] for k in ("status", "options_approved_level", "options_trading_level"))
    assert "ACTIVE" == alpaca.trading.get_account().status.value


def test_cash_is_in_whole_cents_and_has_todays_proceeds(alpaca):
    """A sale of the day is in it at once."""
    alpaca.market(CALL, "buy", 2)
    alpaca.market(CALL, "sell", 1)

    assert "99880" == alpaca.trading.get_account().cash
    assert re.fullmatch(r"\d+(\.\d\d?)?", alpaca.trading.get_account().equity)


def test_a_configuration_has_every_key(alpaca):
    """And alpaca-py reads it."""
    assert words(CONFIGURATION) <= set(alpaca.trading.get("/account/configurations"))
    assert 3 == alpaca.trading.get_account_configurations().max_options_trading_level


def test_an_asset_has_every_key(a_paper, alpaca):
    """easy_to_borrow has left the specification; alpaca-py needs it; a switch drops it."""
    asset = alpaca.trading.get(f"/assets/{STOCK}")
    newest = a_paper("--switch", "easy_to_borrow_field=false").get(f"/v2/assets/{STOCK}")

    assert words(ASSET) == set(asset)
    assert {"easy_to_borrow"} == set(asset) - set(newest)
    assert ("us_equity", True, ["has_options"]) == (asset["class"], asset["tradable"], asset["attributes"])
    assert STOCK == alpaca.trading.get_asset(asset["id"]).symbol


def test_a_contract_has_every_key(alpaca):
    """Its symbol says underlying, day, kind and strike."""
    contract = alpaca.trading.get(f"/options/contracts/{PUT}")

    assert words(CONTRACT) == set(contract)
    day = contract["expiration_date"][2:].replace("-", "")
    kind = contract["type"][0].upper()
    thousandths = f"{int(float(contract['strike_price']) * 1000):08d}"
    assert PUT == contract["root_symbol"] + day + kind + thousandths
    assert ("100", "100", "american", "active") == tuple(contract[k] for k in ("multiplier", "size", "style", "status"))
    assert CALL == alpaca.trading.get_option_contract(str(alpaca.trading.get_option_contract(CALL).id)).symbol


@pytest.mark.parametrize("path", ["/positions", "/orders", "/account/activities"])
def test_what_is_empty_is_an_empty_list(alpaca, path):
    """A bare one."""
    assert [] == alpaca.trading.get(path)
