"""alpaca-py talks to this server unchanged, through url_override alone."""

from pathlib import Path

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.historical import OptionHistoricalDataClient, StockHistoricalDataClient
from alpaca.data.requests import (
    OptionChainRequest,
    OptionLatestQuoteRequest,
    OptionSnapshotRequest,
    StockBarsRequest,
    StockLatestQuoteRequest,
    StockSnapshotRequest,
)
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import PositionIntent, QueryOrderStatus
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    GetOptionContractsRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
)

from tests.conformance.clients import wait_for
from tests.paper.days import CALL, PUT, STOCK

RECORDED = Path(__file__).parents[3] / "shared" / "market-data"


@pytest.fixture
def client(paper):
    return TradingClient("large", "paper", paper=True, url_override=paper.said["rest"])


def test_the_trading_client_trades(paper, client):
    """Orders, their refusals, positions and their closes, in alpaca-py's models."""
    order = client.submit_order(
        LimitOrderRequest(symbol=CALL, qty=4, side="buy", time_in_force="day", limit_price=1.1, client_order_id="mine")
    )
    client.submit_order(MarketOrderRequest(symbol=STOCK, qty=5, side="buy", time_in_force="day"))

    assert ("pending_new", PositionIntent.BUY_TO_OPEN) == (order.status.value, order.position_intent)
    assert "filled" == client.get_order_by_client_id("mine").status.value
    assert order.id == client.get_order_by_id(order.id).id
    assert [("ACME", "5"), (CALL, "4")] == [(p.symbol, p.qty) for p in client.get_all_positions()]
    with pytest.raises(APIError) as refused:
        client.submit_order(
            MarketOrderRequest(symbol=PUT, qty=1, side="sell", time_in_force="day", position_intent="sell_to_close")
        )
    assert (422, 42210000) == (refused.value.status_code, refused.value.code)
    client.close_position(CALL, ClosePositionRequest(qty="1"))
    assert "3" == client.get_open_position(CALL).qty
    client.submit_order(LimitOrderRequest(symbol=CALL, qty=3, side="sell", time_in_force="day", limit_price=9))
    assert [200, 200] == [closed.status for closed in client.close_all_positions(cancel_orders=True)]
    assert ([], 5) == (client.get_orders(), len(client.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL))) - 1)


def test_the_trading_client_reads_everything_else(client):
    """Account, configuration, clock, calendar, assets, contracts, activities, cancels."""
    order = client.submit_order(LimitOrderRequest(symbol=CALL, qty=1, side="buy", time_in_force="gtc", limit_price=0.1))
    contracts = client.get_option_contracts(GetOptionContractsRequest(underlying_symbols=["ACME"], limit=2))

    assert ("100000", 3) == (client.get_account().cash, client.get_account().options_trading_level)
    assert "1" == client.get_account_configurations().max_margin_multiplier
    assert client.get_clock().is_open
    assert ["2026-02-03", "2026-02-04"] == [
        str(day.date) for day in client.get_calendar(GetCalendarRequest(start="2026-02-03", end="2026-02-04"))
    ]
    assert [STOCK] == [asset.symbol for asset in client.get_all_assets(GetAssetsRequest(status="active"))]
    assert STOCK == client.get_asset(STOCK).symbol
    assert (2, True) == (len(contracts.option_contracts), contracts.next_page_token is not None)
    assert 100.0 == client.get_option_contract(CALL).strike_price
    assert [order.id] == [canceled.id for canceled in client.cancel_orders()]
    assert [] == client.get("/account/activities/FILL", {"page_size": 10})


def test_the_data_clients_read(paper):
    """Quotes, chain, snapshots, bars."""
    url = paper.said["rest"]
    option = OptionHistoricalDataClient("large", "paper", url_override=url)
    stock = StockHistoricalDataClient("large", "paper", url_override=url)

    quotes = option.get_option_latest_quote(OptionLatestQuoteRequest(symbol_or_symbols=[CALL, PUT]))
    assert (1.0, 0.0) == (quotes[CALL].bid_price, quotes[PUT].bid_price)
    assert 3 == len(option.get_option_chain(OptionChainRequest(underlying_symbol="ACME")))
    assert {CALL} == set(option.get_option_snapshot(OptionSnapshotRequest(symbol_or_symbols=CALL)))
    assert 99.9 == stock.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=STOCK))[STOCK].bid_price
    assert 100.0 == stock.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols=STOCK))[STOCK].daily_bar.close
    bars = stock.get_stock_bars(StockBarsRequest(symbol_or_symbols=STOCK, timeframe=TimeFrame.Minute))
    assert [100.0] == [bar.close for bar in bars[STOCK]]


def test_the_streams_deliver(paper, alpaca):
    """Trade updates, option quotes and stock quotes, parsed by alpaca-py in its own loops, all at once."""
    with alpaca.updates() as updates, alpaca.option_quotes(CALL) as options, alpaca.stock_quotes(STOCK) as stocks:
        alpaca.market(CALL, "buy")
        paper.to("14:31:59.999")
        wait_for(lambda: (3, 1, 1) == (len(updates), len(options), len(stocks)))

    heard = [(update.event, update.order.symbol, update.position_qty) for update in updates]
    assert [("pending_new", CALL, None), ("new", CALL, None), ("fill", CALL, 1.0)] == heard
    shown = [(quote.symbol, quote.bid_price, quote.timestamp.isoformat()) for quote in (*options, *stocks)]
    at = "2026-02-03T14:31:59.999000+00:00"
    assert [(CALL, 1.2, at), (STOCK, 100.4, at)] == shown


@pytest.mark.parametrize("day", ["2015-12-23-GOOG", "2014-06-05-TWX", "2023-08-03-SPY"])
def test_a_recorded_day_plays_to_its_end(a_paper, day):
    """Every contract with an ask is bought once in the first minutes; the book balances at the close."""
    folder = RECORDED / day
    if not folder.is_dir():
        pytest.skip("the recorded days are not beside this checkout")
    paper = a_paper("--partial-ratio", "0.1", "--rate-limit", "100000", days=(folder,), at=None)
    session = paper.said["sessions"][0]
    client = TradingClient("large", "paper", paper=True, url_override=paper.said["rest"])
    day_text, opened = session["open"][:10], session["open"][11:14]
    paper.to(f"{opened}45:00", day_text)
    for contract in client.get_option_contracts(
        GetOptionContractsRequest(expiration_date_lte="2030-01-01", limit=10)
    ).option_contracts:
        paper.submit(symbol=contract.symbol, side="buy", qty=2)
    at = paper.to(session["close"][11:19], day_text)

    account, positions = client.get_account(), client.get_all_positions()
    cost = sum(float(position.cost_basis) for position in positions)
    later = "2023-08-03T20:15:00Z" if day.endswith("SPY") else None
    assert (session["close"], later) == (at["at"], at["next_event"]), "SPY's options trade a quarter of an hour more"
    assert 100_000 - cost == pytest.approx(float(account.cash))
    assert positions
    assert [] == client.get_orders()
