"""AlpacaBrokerage on the wire: what it sends, how it reads, and which error each fault becomes."""

from datetime import UTC, date, datetime
from decimal import Decimal
from socket import create_server

import pytest

from brokerage.port import (
    BrokerageUnavailable,
    DuplicateClientOrderId,
    IntentMismatch,
    NotAuthorized,
    NotCancelable,
    OrderRejected,
    OrderRequest,
    OutcomeUnknown,
    RequestRefused,
)
from domain.events import Intent, OrderType, Quote, Side
from domain.instrument import Kind
from domain.session import Session

CALL = "GOOGL260220C00340000"
BUY = OrderRequest(
    client_order_id="large-1",
    symbol=CALL,
    side=Side.BUY,
    intent=Intent.BUY_TO_OPEN,
    qty=2,
    type=OrderType.LIMIT,
    limit_price=Decimal("3.30"),
)
RAW = {
    "id": "30a077fa-96f6-4f20-a052-4b921ee2f243",
    "client_order_id": "large-1",
    "symbol": CALL,
    "side": "buy",
    "position_intent": "buy_to_open",
    "qty": "2",
    "filled_qty": "1",
    "status": "partially_filled",
    "created_at": "2026-02-03T14:35:49.102449524Z",
    "submitted_at": "2026-02-03T14:35:49.056332248Z",
    "updated_at": "2026-02-03T14:35:50.102504673Z",
    "limit_price": "3.3",
}
ABSENT = {"code": 40410000, "message": "order not found for large-1"}


def test_an_order_goes_out_as_text(wire, alpaca, say):
    """Quantity and price are strings with the digits we chose: no float has touched them."""
    wire.say("POST", "/v2/orders", say(RAW))

    alpaca.submit(BUY)

    [request] = wire.seen
    assert {
        "client_order_id": "large-1",
        "symbol": CALL,
        "side": "buy",
        "position_intent": "buy_to_open",
        "qty": "2",
        "type": "limit",
        "time_in_force": "day",
        "order_class": "simple",
        "limit_price": "3.30",
    } == request.body


def test_a_reply_is_read_in_our_words(wire, alpaca, say):
    """Nanoseconds become aware microseconds; counts become ints."""
    wire.say("POST", "/v2/orders", say(RAW))

    order = alpaca.submit(BUY)

    assert datetime(2026, 2, 3, 14, 35, 49, 56332, UTC) == order.submitted_at
    assert (2, 1, Side.BUY, Intent.BUY_TO_OPEN) == (order.qty, order.filled_qty, order.side, order.intent)
    assert not order.ended


def test_words_we_do_not_know_do_not_lose_an_accepted_order(wire, alpaca, say):
    """A new status, a new intent and new fields in the reply to a submission raise nothing."""
    wire.say("POST", "/v2/orders", say(RAW | {"status": "pondering", "position_intent": "buy_to_hold", "x": {}}))

    order = alpaca.submit(BUY)

    assert ("pondering", None) == (order.status, order.intent)


@pytest.mark.parametrize("fault", ["reset", "hang", "html 502", "504", "500", "junk", "gateway 404"])
def test_a_submission_without_a_clear_answer_has_an_unknown_outcome(wire, alpaca, faults, fault):
    """Whatever cuts the answer off, the order is sent once and is neither lost nor taken for rejected."""
    wire.say("POST", "/v2/orders", faults[fault])

    with pytest.raises(OutcomeUnknown):
        alpaca.submit(BUY)

    assert 1 == len(wire.seen)


def test_an_accepted_order_with_a_misshapen_reply_has_an_unknown_outcome(wire, alpaca, say):
    """200 without an id: it lives, and must be looked up."""
    wire.say("POST", "/v2/orders", say({"status": "new"}))

    with pytest.raises(OutcomeUnknown):
        alpaca.submit(BUY)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (422, {"code": 42210000, "message": "position intent mismatch, inferred: sell_to_open"}, IntentMismatch),
        (422, {"code": 40010001, "message": "client_order_id must be unique"}, DuplicateClientOrderId),
        (422, {"code": 42210000, "message": "options market orders are only allowed during ..."}, OrderRejected),
        (403, {"code": 40310000, "message": "insufficient buying power", "buying_power": "1"}, OrderRejected),
        (429, {"code": 42910000, "message": "rate limit exceeded"}, BrokerageUnavailable),
        (429, "too many", BrokerageUnavailable),
        (401, {"message": "unauthorized."}, NotAuthorized),
        (403, {"message": "forbidden."}, NotAuthorized),
        (401, {"code": 40110000, "message": "request is not authorized"}, NotAuthorized),
        (403, "<html>blocked by the gateway</html>", OutcomeUnknown),
    ],
)
def test_a_refused_submission_is_named_by_what_to_do(wire, alpaca, say, status, body, error):
    """Status and code decide; the message only tells two 422s apart. It is sent once."""
    wire.say("POST", "/v2/orders", say(body, status))

    with pytest.raises(error) as caught:
        alpaca.submit(BUY)

    assert (error, 1) == (caught.type, len(wire.seen))


def test_a_rejection_keeps_its_code(wire, alpaca, say):
    """What Alpaca said is recorded with the order."""
    wire.say("POST", "/v2/orders", say({"code": 40310000, "message": "insufficient buying power"}, 403))

    with pytest.raises(OrderRejected) as caught:
        alpaca.submit(BUY)

    assert (403, "40310000", "insufficient buying power") == (
        caught.value.status,
        caught.value.code,
        caught.value.message,
    )


def test_a_refused_connection_surely_took_no_order(at):
    """Nobody listens: the order was not sent, and it may be sent again."""
    with create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"

    with pytest.raises(BrokerageUnavailable) as caught:
        at(url).submit(BUY)

    assert caught.type is BrokerageUnavailable


@pytest.mark.parametrize("fault", ["reset", "hang", "html 502", "504", "500", "junk", "gateway 404"])
def test_a_question_without_a_clear_answer_is_unavailable(wire, alpaca, faults, fault):
    """Above all no gateway's 404 may pass for "there is no such order", and no junk for an empty list."""
    wire.say("GET", "/v2/orders:by_client_order_id", faults[fault])
    wire.say("GET", "/v2/positions", faults[fault])

    with pytest.raises(BrokerageUnavailable):
        alpaca.order_by_client_id("large-1")
    with pytest.raises(BrokerageUnavailable):
        alpaca.positions()


def test_a_wrong_path_is_not_an_absent_order(alpaca):
    """Alpaca's 404 for a path has the code of an absent order; a wrong URL must not read as "flat"."""
    with pytest.raises(RequestRefused):
        alpaca.position(CALL)


def test_absent_means_none(wire, alpaca, say):
    """Alpaca's own 404 is an answer: there is no such order, position, contract."""
    wire.say("GET", "/v2/orders:by_client_order_id", say(ABSENT, 404))
    wire.say("GET", f"/v2/positions/{CALL}", say({"code": 40410000, "message": "position does not exist"}, 404))
    wire.say("GET", f"/v2/options/contracts/{CALL}", say({"code": 40410000, "message": "not found"}, 404))

    assert alpaca.order_by_client_id("large-1") is None
    assert alpaca.position(CALL) is None
    assert alpaca.contract(CALL) is None
    assert alpaca.contract("not a symbol") is None


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (422, {"code": 42210000, "message": 'order is already in "filled" state'}, NotCancelable),
        (404, ABSENT, NotCancelable),
        (500, {"code": 50010000, "message": "internal"}, BrokerageUnavailable),
    ],
)
def test_a_cancel_that_cannot_be_done(wire, alpaca, say, status, body, error):
    """An ended or unknown order says so; a fault is asked again."""
    wire.say("DELETE", "/v2/orders/1", say(body, status))

    with pytest.raises(error):
        alpaca.cancel("1")


def test_a_cancel_is_a_request(wire, alpaca, say):
    """204 with no body is all there is to it."""
    wire.say("DELETE", "/v2/orders/1", say("", 204))

    assert alpaca.cancel("1") is None


def test_quotes_of_stocks_and_options_are_exact(wire, alpaca, say):
    """Prices are the digits that were sent; a price of 0 is a missing side, not zero dollars."""
    option = '{"quotes":{"CALL":{"ap":3.30,"as":12,"bp":0,"bs":0,"t":"2026-02-03T14:35:49.1Z"}}}'.replace("CALL", CALL)
    stock = '{"quotes":{"GOOGL":{"ap":340.123456789012345678,"as":1,"bp":340.07,"bs":2,"t":"2026-02-03T14:35:49Z"}}}'
    wire.say("GET", "/v1beta1/options/quotes/latest", say(option))
    wire.say("GET", "/v2/stocks/quotes/latest", say(stock))

    quotes = alpaca.quotes(["GOOGL", CALL, "NOPE"])

    assert {
        CALL: Quote(
            symbol=CALL,
            bid=None,
            ask=Decimal("3.30"),
            bid_size=0,
            ask_size=12,
            at=datetime(2026, 2, 3, 14, 35, 49, 100000, UTC),
        ),
        "GOOGL": Quote(
            symbol="GOOGL",
            bid=Decimal("340.07"),
            ask=Decimal("340.123456789012345678"),
            bid_size=2,
            ask_size=1,
            at=datetime(2026, 2, 3, 14, 35, 49, 0, UTC),
        ),
    } == quotes
    assert [("indicative", CALL), ("iex", "GOOGL,NOPE")] == [(r.query["feed"], r.query["symbols"]) for r in wire.seen]


def test_more_symbols_than_a_request_may_name_are_shared_out(wire, alpaca, say):
    """205 symbols are three requests of at most 100."""
    wire.say("GET", "/v1beta1/options/quotes/latest", say({"quotes": {}}))

    alpaca.quotes([f"GOOGL260220C{n:08d}" for n in range(205)])

    assert [100, 100, 5] == [r.query["symbols"].count(",") + 1 for r in wire.seen]


def test_a_symbol_that_alpaca_refuses_does_not_hide_the_others(wire, alpaca, say):
    """One bad symbol refuses the request: each is asked for alone, and only the bad one is missing."""
    bad = say({"message": "code=400, message=invalid symbol: ZZZZ"}, 400)
    good = say({"quotes": {"GOOGL": {"ap": 2, "as": 1, "bp": 1, "bs": 1, "t": "2026-02-03T14:35:49Z"}}})
    wire.say("GET", "/v2/stocks/quotes/latest", bad, good, bad)

    assert {"GOOGL"} == set(alpaca.quotes(["GOOGL", "ZZZZ"]))


def test_sessions_are_new_york_times_in_utc(wire, alpaca, say):
    """Winter and summer differ by an hour in UTC, and half days close early."""
    days = [
        {"date": "2026-07-06", "open": "09:30", "close": "16:00", "session_open": "0400"},
        {"date": "2025-11-28", "open": "09:30", "close": "13:00"},
    ]
    wire.say("GET", "/v2/calendar", say(days))

    assert (
        Session(
            day=date(2025, 11, 28),
            open=datetime(2025, 11, 28, 14, 30, tzinfo=UTC),
            close=datetime(2025, 11, 28, 18, 0, tzinfo=UTC),
        ),
        Session(
            day=date(2026, 7, 6),
            open=datetime(2026, 7, 6, 13, 30, tzinfo=UTC),
            close=datetime(2026, 7, 6, 20, 0, tzinfo=UTC),
        ),
    ) == alpaca.sessions(date(2025, 11, 28), date(2026, 7, 6))


def test_contracts_and_stocks_are_one_thing(wire, alpaca, say):
    """A contract says its multiplier and strike; a stock has neither strike nor expiration."""
    contract = {
        "symbol": CALL,
        "underlying_symbol": "GOOGL",
        "type": "call",
        "multiplier": "100",
        "size": "100",
        "strike_price": "340",
        "expiration_date": "2026-02-20",
        "tradable": True,
        "status": "active",
    }
    wire.say("GET", f"/v2/options/contracts/{CALL}", say(contract))
    wire.say("GET", "/v2/assets/GOOGL", say({"symbol": "GOOGL", "tradable": True, "status": "inactive"}))

    option, stock = alpaca.contract(CALL), alpaca.contract("GOOGL")

    assert (Kind.CALL, 100, Decimal(340), date(2026, 2, 20), True) == (
        option.kind,
        option.multiplier,
        option.strike,
        option.expiration,
        option.tradable,
    )
    assert (Kind.STOCK, 1, None, False) == (stock.kind, stock.multiplier, stock.strike, stock.tradable)


def activity(n: int, **changes: object) -> dict[str, object]:
    return {
        "id": f"20260203093500{n:03d}::x",
        "activity_type": "FILL",
        "order_id": f"order-{n}",
        "symbol": CALL,
        "side": "buy",
        "qty": "1",
        "cum_qty": "1",
        "price": "3.3",
        "transaction_time": f"2026-02-03T14:35:00.{n:03d}Z",
    } | changes


def test_executions_are_read_to_the_last_page(wire, alpaca, say):
    """A full page is followed by the one after its last id; the result is oldest first."""
    first = [activity(n) for n in reversed(range(100))]
    wire.say("GET", "/v2/account/activities/FILL", say(first), say([activity(100)]))

    executions = alpaca.executions(datetime(2026, 2, 3, 14, 35, tzinfo=UTC))

    assert [f"order-{n}" for n in range(101)] == [e.broker_order_id for e in executions]
    assert [None, first[-1]["id"]] == [r.query.get("page_token") for r in wire.seen]


def test_executions_before_the_asked_moment_are_left_out(wire, alpaca, say):
    """The question overlaps, because its bound may be exclusive; the answer does not."""
    wire.say("GET", "/v2/account/activities/FILL", say([activity(1), activity(2), activity(3)]))

    executions = alpaca.executions(datetime(2026, 2, 3, 14, 35, 0, 2000, UTC))

    assert ["order-2", "order-3"] == [e.broker_order_id for e in executions]
    assert "2026-02-03T14:34:58.002000+00:00" == wire.seen[0].query["after"]


def test_fractions_are_somebody_elses(wire, alpaca, say):
    """An execution of a part of a share is no execution of ours; a position is cut to the whole units we may sell."""
    wire.say("GET", "/v2/account/activities/FILL", say([activity(1, qty="0.5", cum_qty="0.5"), activity(2)]))
    held = {"symbol": "GOOGL", "qty": "10.5", "qty_available": "9.5", "avg_entry_price": "100.0"}
    wire.say("GET", "/v2/positions", say([held, held | {"symbol": "AAPL", "qty": "0.4", "qty_available": "0.4"}]))

    assert ["order-2"] == [e.broker_order_id for e in alpaca.executions(datetime(2026, 2, 3, tzinfo=UTC))]
    assert [("GOOGL", 10, 9)] == [(p.symbol, p.qty, p.available_qty) for p in alpaca.positions()]


def test_a_short_sale_is_a_sell(wire, alpaca, say):
    """Activities have a third word for the side."""
    wire.say("GET", "/v2/account/activities/FILL", say([activity(1, side="sell_short")]))

    assert [Side.SELL] == [e.side for e in alpaca.executions(datetime(2026, 2, 3, tzinfo=UTC))]


def test_half_a_list_of_open_orders_does_not_pass_for_the_whole(wire, alpaca, say):
    """Five hundred orders are a full page: there may be more, so there is no answer."""
    wire.say("GET", "/v2/orders", say([RAW] * 500))

    with pytest.raises(BrokerageUnavailable):
        alpaca.open_orders()


def test_the_account_is_blocked_when_anybody_blocked_it(wire, alpaca, say):
    """Three switches and a status; a missing one is no answer at all."""
    raw = {
        "account_number": "PA1",
        "status": "ACTIVE",
        "equity": "100000.5",
        "cash": "1",
        "buying_power": "2",
        "options_buying_power": "3",
        "trading_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": True,
    }
    missing = {k: v for k, v in raw.items() if k != "options_buying_power"}
    free = raw | {"trade_suspended_by_user": False}
    wire.say("GET", "/v2/account", say(raw), say(free), say(missing))

    assert [True, False] == [alpaca.account().trading_blocked for _ in range(2)]
    with pytest.raises(BrokerageUnavailable):
        alpaca.account()
