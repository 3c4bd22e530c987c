"""Section 5: the streams and the endpoints of market data."""

import json

import msgpack
import pytest
from alpaca.data.requests import (
    OptionChainRequest,
    OptionLatestQuoteRequest,
    OptionLatestTradeRequest,
    OptionSnapshotRequest,
    StockBarsRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockSnapshotRequest,
)
from alpaca.data.timeframe import TimeFrame
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.conformance.clients import Alpaca, wait_for
from tests.paper.days import CALL, LAST_DAY_CALL, PUT, STOCK
from tests.paper.wires import PACKED, data_stream, error, options, received, stocks

LISTS = ["trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds", "corrections", "cancelErrors"]
CONNECTED, AUTHENTICATED = ([{"T": "success", "msg": word}] for word in ("connected", "authenticated"))

# The streams


def test_a_stock_stream_is_opened_in_three_steps(paper):
    """Welcome, keys, subscription; each confirmation lists everything, and so does one of an unsubscription."""
    socket, answers = stocks(paper, packed=False, trades=["ACME"], bars=["*"])
    socket.send(json.dumps({"action": "subscribe", "quotes": ["ACME"]}))
    more = received(socket)
    socket.send(json.dumps({"action": "unsubscribe", "trades": ["ACME"]}))
    less = received(socket)
    socket.close()

    def listed(**lists):
        return [{"T": "subscription", **{key: [] for key in LISTS}, **lists}]

    assert [CONNECTED, AUTHENTICATED, listed(trades=["ACME"], bars=["*"])] == answers
    assert listed(trades=["ACME"], quotes=["ACME"], bars=["*"]) == more
    assert listed(quotes=["ACME"], bars=["*"]) == less


def test_an_option_stream_has_trades_and_quotes(paper):
    """In msgpack."""
    socket, answers = options(paper, quotes=[CALL, PUT], trades=[CALL])
    socket.close()

    subscribed = [{"T": "subscription", "trades": [CALL], "quotes": [CALL, PUT]}]
    assert [CONNECTED, AUTHENTICATED, subscribed] == answers


def test_a_stock_quote_has_its_keys(paper):
    """Numbers are numbers."""
    socket, _ = stocks(paper, packed=False, quotes=[STOCK])
    paper.to("14:31:59.999")
    [quote] = received(socket)
    socket.close()

    assert {"T", "S", "bx", "bp", "bs", "ax", "ap", "as", "c", "z", "t"} == set(quote)
    assert ("q", STOCK, 100.4, 100.6) == tuple(quote[key] for key in ("T", "S", "bp", "ap"))
    assert isinstance(quote["c"], list)


def test_option_quotes_and_trades_have_their_keys(paper):
    """One condition each, and a timestamp of msgpack's own."""
    socket, _ = options(paper, quotes=[CALL], trades=[CALL])
    paper.to("14:31:59.999")
    quote, trade = received(socket)
    socket.close()

    assert {"T", "S", "t", "bx", "bp", "bs", "ax", "ap", "as", "c"} == set(quote)
    assert {"T", "S", "t", "p", "s", "x", "c"} == set(trade)
    assert ("A", "I", 1.25, 7) == (quote["c"], trade["c"], trade["p"], trade["s"])
    assert [msgpack.Timestamp.from_unix_nano(1770129119_999_000_000)] * 2 == [quote["t"], trade["t"]]


def test_alpaca_py_hears_option_quotes_and_trades(paper, alpaca):
    """Over its fragmented subscription; a missing bid is 0."""
    with alpaca.option_quotes(CALL, PUT) as quotes:
        paper.to("14:32:59.999")
        wait_for(lambda: 3 == len(quotes))

    assert [(CALL, 1.2, 1.3), (CALL, 0.9, 1.0), (PUT, 0.0, 0.45)] == [
        (quote.symbol, quote.bid_price, quote.ask_price) for quote in quotes
    ]
    assert "2026-02-03T14:31:59.999000+00:00" == quotes[0].timestamp.isoformat()


def test_alpaca_py_hears_option_trades(paper, alpaca):
    """Price and size."""
    with alpaca.option_quotes(CALL, trades=True) as trades:
        paper.to("14:31:59.999")
        wait_for(lambda: 1 == len(trades))

    assert (CALL, 1.25, 7) == (trades[0].symbol, trades[0].price, trades[0].size)


def test_alpaca_py_hears_stock_quotes(paper, alpaca):
    """A star is every symbol."""
    with alpaca.stock_quotes("*") as quotes:
        paper.to("14:31:59.999")
        wait_for(lambda: 1 == len(quotes))

    assert (STOCK, 100.4, 100.6) == (quotes[0].symbol, quotes[0].bid_price, quotes[0].ask_price)


def test_bars_of_a_stock_have_their_keys(paper):
    """A minute's when it is over, and the day's so far; made from the middle of the quotes."""
    socket, _ = stocks(paper, packed=False, bars=[STOCK], dailyBars=["*"])
    paper.to("14:32:00")
    bars = received(socket)
    while {"b", "d"} != {bar["T"] for bar in bars}:
        bars += received(socket)
    socket.close()

    assert [{"T", "S", "o", "h", "l", "c", "v", "n", "vw", "t"}] * len(bars) == [set(bar) for bar in bars]
    assert {("b", STOCK), ("d", STOCK)} == {(bar["T"], bar["S"]) for bar in bars}


@pytest.mark.parametrize(("message", "answer"), [
    ({"action": "subscribe", "quotes": CALL}, error(400, "invalid syntax")),
    ({"action": "auth", "key": "large", "secret": "paper"}, error(403, "already authenticated")),
    ({"action": "subscribe", "quotes": [f"S{n}" for n in range(201)]}, error(405, "symbol limit exceeded")),
    ({"action": "subscribe", "bars": [CALL]}, error(410, "invalid subscribe action for this feed")),
    ({"action": "subscribe", "quotes": ["*"]}, error(413, "star subscription is not allowed for option quotes")),
])  # fmt: skip
def test_a_wrong_message_is_an_error(paper, message, answer):
    """With its code; the connection goes on."""
    socket, _ = options(paper)
    socket.send(msgpack.packb(message))
    first = received(socket)
    socket.send(msgpack.packb({"action": "subscribe", "quotes": [CALL]}))

    assert (answer, [CALL]) == (first, received(socket)[0]["quotes"])
    socket.close()


def test_without_keys_there_is_nothing_to_subscribe(paper):
    """401."""
    with connect(paper.said["stock_stream"], compression=None) as socket:
        received(socket)
        socket.send(json.dumps({"action": "subscribe", "quotes": [STOCK]}))

        assert error(401, "not authenticated") == received(socket)


@pytest.mark.slow
def test_keys_must_come_within_ten_seconds(paper):
    """404, and the connection is closed."""
    with connect(paper.said["stock_stream"], compression=None) as socket:
        received(socket)

        assert error(404, "auth timeout") == received(socket, timeout=20)
        with pytest.raises(ConnectionClosed):
            socket.recv(5)


@pytest.mark.parametrize(("path", "key", "packed", "answer"), [
    ("/v2/iex", "nobody", True, error(402, "auth failed")),
    ("/v2/sip", "large", True, error(409, "insufficient subscription")),
    ("/v1beta1/opra", "large", True, error(409, "insufficient subscription")),
    ("/v1beta1/indicative", "large", False,
     error(412, "option messages are only available in MsgPack format")),
])  # fmt: skip
def test_a_connection_is_refused_with_a_code(paper, path, key, packed, answer):
    """And closed."""
    socket, answers = data_stream(paper, path, packed=packed, key=key)

    assert answer == answers[1]
    with pytest.raises(ConnectionClosed):
        socket.recv(5)


@pytest.mark.parametrize("path", ["/v2/iex", "/v1beta1/indicative"])
def test_an_account_has_one_connection_to_each_feed(paper, path):
    """406 for the second; another account has its own."""
    first, _ = data_stream(paper, path)
    _, second = data_stream(paper, path)
    other, answers = data_stream(paper, path, key="tiny")

    assert (error(406, "connection limit exceeded"), AUTHENTICATED) == (second[1], answers[1])
    first.close()
    other.close()


@pytest.mark.parametrize(("code", "message"), [(407, "slow client"), (408, "v2 not enabled"), (500, "internal error")])
def test_a_stream_may_fail_inside(paper, code, message):
    """When it is asked to."""
    socket, _ = stocks(paper, packed=False, quotes=[STOCK])
    paper.control("POST", "/streams", stream="stock", do="error", code=code)

    assert error(code, message) == received(socket)
    with pytest.raises(ConnectionClosed):
        socket.recv(5)


def test_a_test_feed_is_there(paper):
    """Beside iex."""
    socket, answers = data_stream(paper, "/v2/test", packed=False)

    assert AUTHENTICATED == answers[1]
    socket.close()


def test_a_fragmented_message_is_read_whole(paper):
    """As alpaca-py sends its subscription."""
    socket, _ = options(paper)
    message = msgpack.packb({"action": "subscribe", "quotes": [CALL]})
    socket.send([message[:4], message[4:9], message[9:]])

    assert [CALL] == received(socket)[0]["quotes"]
    socket.close()


@pytest.mark.parametrize(("headers", "kind"), [(PACKED, bytes), ({}, str)])
def test_the_content_type_chooses_the_frames(paper, headers, kind):
    """Binary msgpack for application/msgpack, text otherwise."""
    with connect(paper.said["stock_stream"], compression=None, additional_headers=headers) as socket:
        assert kind is type(socket.recv(5))


# The endpoints


def raw(alpaca, path, **params):
    return alpaca.paper.get(path, **params)


def test_the_latest_option_quotes(alpaca):
    """By symbol; a contract that nobody knows is silently missing; a missing bid is 0."""
    quotes = alpaca.options.get_option_latest_quote(
        OptionLatestQuoteRequest(symbol_or_symbols=[CALL, PUT, "ACME260206C00999000"])
    )
    wire = raw(alpaca, "/v1beta1/options/quotes/latest", symbols=CALL, feed="indicative")

    assert {CALL: (1.0, 1.1), PUT: (0.0, 0.5)} == {s: (q.bid_price, q.ask_price) for s, q in quotes.items()}
    assert {"ap", "as", "ax", "bp", "bs", "bx", "c", "t"} == set(wire["quotes"][CALL])
    assert (float, float) == (type(wire["quotes"][CALL]["ap"]), type(wire["quotes"][CALL]["bp"]))


@pytest.mark.parametrize(("count", "status"), [(100, 200), (101, 400)])
def test_a_hundred_symbols_at_once(paper, count, status):
    """And no more."""
    symbols = ",".join(f"ACME260206C{n:08d}" for n in range(count))

    assert status == paper.call("GET", "/v1beta1/options/quotes/latest", params={"symbols": symbols})[0]


def test_the_latest_option_trades(paper, alpaca):
    """Once there are any."""
    paper.to("14:32:00")
    trades = alpaca.options.get_option_latest_trade(OptionLatestTradeRequest(symbol_or_symbols=[CALL, PUT]))

    assert {CALL: (1.25, 7)} == {symbol: (trade.price, trade.size) for symbol, trade in trades.items()}
    wire = raw(alpaca, "/v1beta1/options/trades/latest", symbols=CALL)
    assert {"c", "p", "s", "t", "x"} == set(wire["trades"][CALL])


def test_snapshots_of_options(paper, alpaca):
    """The latest quote and trade of each; a token beside them."""
    paper.to("14:32:00")
    snapshot = alpaca.options.get_option_snapshot(OptionSnapshotRequest(symbol_or_symbols=CALL))[CALL]

    assert (1.2, 1.25) == (snapshot.latest_quote.bid_price, snapshot.latest_trade.price)
    wire = raw(alpaca, "/v1beta1/options/snapshots", symbols=CALL)
    assert {"snapshots", "next_page_token"} == set(wire)


@pytest.mark.parametrize(("given", "expected"), [
    ({}, {LAST_DAY_CALL, CALL, PUT}),
    ({"type": "put"}, {PUT}),
    ({"strike_price_gte": 101}, {LAST_DAY_CALL}),
    ({"strike_price_lte": 100}, {CALL, PUT}),
    ({"expiration_date": "2026-02-03"}, {LAST_DAY_CALL}),
    ({"expiration_date_gte": "2026-02-04"}, {CALL, PUT}),
    ({"expiration_date_lte": "2026-02-04"}, {LAST_DAY_CALL}),
    ({"root_symbol": "OTHER"}, set()),
    ({"updated_since": "2026-02-03T14:31:00"}, set()),
])  # fmt: skip
def test_the_chain_of_an_underlying(alpaca, given, expected):
    """Every filter."""
    request = OptionChainRequest(underlying_symbol=STOCK, **given)

    assert expected == set(alpaca.options.get_option_chain(request))


def test_the_chain_has_pages(alpaca):
    """Of a thousand at most."""
    path = "/v1beta1/options/snapshots/ACME"
    first = raw(alpaca, path, limit=2)
    second = raw(alpaca, path, limit=2, page_token=first["next_page_token"])

    assert (2, 1, None) == (len(first["snapshots"]), len(second["snapshots"]), second["next_page_token"])
    assert 400 == alpaca.paper.call("GET", path, params={"limit": 1001})[0]


def test_the_latest_stock_quotes_and_trades(alpaca):
    """Quotes with conditions and a tape; the recorded days have no trades of shares."""
    request = {"symbol_or_symbols": [STOCK, "XYZ"]}
    quotes = alpaca.stocks.get_stock_latest_quote(StockLatestQuoteRequest(**request))

    assert {STOCK: (99.9, 100.1)} == {symbol: (q.bid_price, q.ask_price) for symbol, q in quotes.items()}
    wire = raw(alpaca, "/v2/stocks/quotes/latest", symbols=STOCK)
    assert {"ap", "as", "ax", "bp", "bs", "bx", "c", "t", "z"} == set(wire["quotes"][STOCK])
    assert {} == alpaca.stocks.get_stock_latest_trade(StockLatestTradeRequest(**request))
    assert {"trades": {}} == raw(alpaca, "/v2/stocks/trades/latest", symbols=STOCK)


def test_snapshots_of_stocks_have_no_wrapper(alpaca):
    """The symbols are the keys."""
    wire = raw(alpaca, "/v2/stocks/snapshots", symbols=STOCK)

    assert {STOCK} == set(wire)
    assert {"dailyBar", "latestQuote", "latestTrade", "minuteBar", "prevDailyBar"} == set(wire[STOCK])
    snapshot = alpaca.stocks.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols=STOCK))[STOCK]
    assert (99.9, 100.0) == (snapshot.latest_quote.bid_price, snapshot.daily_bar.close)


def test_bars_of_stocks(paper, alpaca):
    """By symbol, with a token beside them."""
    paper.to("14:32:00")
    bars = alpaca.stocks.get_stock_bars(StockBarsRequest(symbol_or_symbols=STOCK, timeframe=TimeFrame.Minute))
    wire = raw(alpaca, "/v2/stocks/bars", symbols=STOCK, timeframe="1Min", limit=1)

    assert [100.0, 100.5] == [bar.close for bar in bars[STOCK]]
    assert {"o", "h", "l", "c", "v", "n", "vw", "t"} == set(wire["bars"][STOCK][0])
    assert (1, True) == (len(wire["bars"][STOCK]), wire["next_page_token"] is not None)


def test_quotes_may_be_one_sided_wide_or_old(paper, alpaca):
    """A buyer must look: the time of a stale quote stands still."""
    paper.control("POST", "/prices", symbol=CALL, do="one_sided", missing="bid")
    one = alpaca.options.get_option_latest_quote(OptionLatestQuoteRequest(symbol_or_symbols=CALL))[CALL]
    paper.control("POST", "/prices", symbol=CALL, do="stale")
    paper.to("14:32:59.999")
    stale = alpaca.options.get_option_latest_quote(OptionLatestQuoteRequest(symbol_or_symbols=CALL))[CALL]

    assert (0.0, 1.1) == (one.bid_price, one.ask_price)
    assert one.timestamp == stale.timestamp


def test_the_data_keys_are_the_accounts(paper):
    """Another account reads the same market."""
    quote = Alpaca(paper, "tiny").stocks.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=STOCK))

    assert 99.9 == quote[STOCK].bid_price
