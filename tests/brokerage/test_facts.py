"""Alpaca's news to facts: every event, every source, the same ids."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokerage import facts, translate
from brokerage.facts import Told
from brokerage.port import Execution
from domain.events import (
    FillSource,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    Quote,
    Side,
)
from domain.ids import AccountName

LARGE = AccountName("large")
READ_AT = datetime(2026, 3, 10, 13, 31, tzinfo=UTC)
AT = datetime(2026, 3, 10, 13, 30, 2, 123456, tzinfo=UTC)
CALL = "ACME260320C00100000"


def an_event(event: str, **changes: object) -> dict[str, object]:
    order = {
        "id": "b1",
        "client_order_id": "large-1",
        "symbol": CALL,
        "side": "buy",
        "position_intent": "buy_to_open",
        "qty": "3",
        "filled_qty": "2",
        "status": event,
        "submitted_at": "2026-03-10T13:30:01.1Z",
        "updated_at": "2026-03-10T13:30:02.123456789Z",
    }
    data = {
        "event": event,
        "event_id": "01JJ",
        "timestamp": "2026-03-10T13:30:02.123456789Z",
        "execution_id": "x1",
        "price": "3.25",
        "qty": "1",
        "order": order,
    }
    return data | changes


def read(data: dict[str, object]) -> list[object]:
    return list(facts.trade_update(data, LARGE, "v1", READ_AT))


@pytest.mark.parametrize("event", ["fill", "partial_fill"])
def test_a_fill_is_this_execution_and_the_total_after_it(event):
    """One unit at its own price, two filled in all; the time is the broker's, the reading ours."""
    [fill] = read(an_event(event))

    assert (
        OrderFilled(
            id=facts.filled_id(LARGE, "b1", 2),
            at=AT,
            schema=1,
            cause="01JJ",
            origin="v1",
            account=LARGE,
            broker_order_id="b1",
            client_order_id="large-1",
            execution_id="x1",
            symbol=CALL,
            side=Side.BUY,
            qty=1,
            price=Decimal("3.25"),
            cum_qty=2,
            source=FillSource.STREAM,
            read_at=READ_AT,
        )
        == fill
    )


@pytest.mark.parametrize(
    ("event", "fact"),
    [
        ("new", OrderAccepted),
        ("accepted", OrderAccepted),
        ("pending_new", OrderAccepted),
        ("canceled", OrderCanceled),
        ("expired", OrderExpired),
        ("rejected", OrderRejected),
    ],
)
def test_an_order_begins_and_ends(event, fact):
    """Each event that matters is one fact, with what was filled before the end."""
    [found] = read(an_event(event))

    assert (fact, "b1", "large-1", CALL, AT) == (
        type(found),
        found.broker_order_id,
        found.client_order_id,
        found.symbol,
        found.at,
    )
    assert 2 == getattr(found, "filled_qty", 2)


def test_an_acceptance_that_comes_three_times_is_one_fact():
    """pending_new, accepted and new say the same."""
    assert 1 == len({read(an_event(event))[0].id for event in ("pending_new", "accepted", "new")})


@pytest.mark.parametrize("event", sorted(facts.SILENT | {"a word of next year"}))
def test_other_events_are_no_facts(event):
    """Neither what changes nothing for us, nor what nobody knows yet."""
    assert [] == read(an_event(event))


def test_unknown_words_around_a_fill_do_not_lose_it():
    """A new status, intent, side word and field: the fill is still a fill."""
    data = an_event("fill", surprise={"a": 1})
    data["order"] |= {"status": "pondering", "position_intent": "??", "side": "sell_short", "legs": None}

    [fill] = read(data)

    assert Side.SELL == fill.side


@pytest.mark.parametrize("missing", ["id", "client_order_id", "symbol", "side", "filled_qty"])
def test_a_fill_that_does_not_say_enough_is_not_guessed(missing):
    """It raises, so that the frame is buried and the truth is fetched by REST."""
    data = an_event("fill")
    del data["order"][missing]

    with pytest.raises(translate.MISSHAPEN):
        read(data)


@pytest.mark.parametrize("price", ["NaN", "Infinity", "", None, True])
def test_a_price_that_is_none_is_not_a_price(price):
    """Alpaca has never sent these; nothing would stop them later."""
    with pytest.raises(translate.MISSHAPEN):
        read(an_event("fill", price=price))


def test_a_fill_of_a_fraction_is_somebody_elses():
    """We trade whole units; half a share in our account was not bought by us."""
    assert [] == read(an_event("fill", qty="0.5"))


def test_the_socket_and_the_activities_tell_the_same_fact():
    """Same account, order and total: same id, so the second to come is a duplicate."""
    execution = Execution(
        activity_id="a1",
        broker_order_id="b1",
        symbol=CALL,
        side=Side.BUY,
        qty=1,
        price=Decimal("3.25"),
        cum_qty=2,
        at=AT,
    )
    [streamed] = read(an_event("fill"))

    listed = facts.filled(execution, None, Told(account=LARGE, cause="a1", origin="v1"), READ_AT)

    assert (streamed.id, streamed.qty, streamed.price) == (listed.id, listed.qty, listed.price)
    assert (FillSource.ACTIVITY, None, "a1") == (listed.source, listed.execution_id, listed.cause)


def test_an_end_read_by_rest_is_the_end_that_the_socket_told():
    """A canceled order ends once, whoever says so first."""
    data = an_event("canceled")
    [streamed] = read(data)
    order = translate.broker_order(data["order"])

    assert streamed.id == facts.ended(order, "canceled", Told(account=LARGE, cause="b1", origin="v1"), AT).id


def test_a_replaced_order_has_ended():
    """Its rest lives on under an id that is not ours."""
    order = translate.broker_order(an_event("replaced")["order"])

    assert isinstance(facts.ended(order, "replaced", Told(account=LARGE, cause="b1", origin="v1"), AT), OrderCanceled)


def a_quote(**changes: object) -> dict[str, object]:
    stamp = msgpack.Timestamp.from_datetime(AT)
    return {"T": "q", "S": CALL, "t": stamp, "bp": 3.2, "bs": 10, "ap": 3.3, "as": 5, "bx": "A", "c": " "} | changes


def test_a_frame_of_quotes_keeps_what_can_be_read():
    """A missing side is None, a bad element is named, a trade is counted, a control message is not."""
    body = [
        {"T": "subscription", "quotes": [CALL]},
        a_quote(),
        a_quote(S="B", bp=0),
        a_quote(S="C", ap="?"),
        {"T": "t", "S": CALL, "p": 3.2},
    ]

    frame = facts.price_frame(body)

    good = Quote(symbol=CALL, bid=Decimal("3.2"), ask=Decimal("3.3"), bid_size=10, ask_size=5, at=AT)
    assert (good, "B", None) == (frame.quotes[0], frame.quotes[1].symbol, frame.quotes[1].bid)
    assert (2, 4, 1) == (len(frame.quotes), frame.messages, len(frame.unreadable))
    assert "'C'" in frame.unreadable[0]


@pytest.mark.parametrize("body", [{"T": "q"}, "q", 7, None, [1, 2]])
def test_a_frame_that_is_no_list_of_messages_is_unreadable(body):
    """The protocol is arrays of objects."""
    with pytest.raises(TypeError):
        facts.price_frame(body)


@given(st.integers(1, 10**11))
def test_a_price_survives_the_double_it_travels_in(cents):
    """Any price in cents up to a billion dollars comes out of msgpack as the digits that went in."""
    price = Decimal(cents).scaleb(-2)
    packed = msgpack.packb([a_quote(bp=float(price), t=msgpack.Timestamp.from_datetime(AT))])

    [quote] = facts.price_frame(msgpack.unpackb(packed)).quotes

    assert price == quote.bid


def test_times_are_utc_and_need_a_zone():
    """Any offset becomes UTC; a time without one is no moment."""
    new_york = timezone(timedelta(hours=-4))

    assert AT.replace(microsecond=0) == translate.moment(AT.replace(microsecond=0).astimezone(new_york).isoformat())
    assert timedelta(0) == translate.moment("2026-03-10T09:30:00-04:00").utcoffset()
    with pytest.raises(ValueError, match="zone"):
        translate.moment("2026-03-10T09:30:00")
