"""Placing an order: whatever the wire does, one order or a clear answer."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokerage.port import (
    BrokerageError,
    BrokerageUnavailable,
    BrokerOrder,
    DuplicateClientOrderId,
    IntentMismatch,
    NotAuthorized,
    OrderRejected,
    OrderRequest,
    OutcomeUnknown,
)
from brokerage.submit import LOOKS_AFTER_S, SENDS, place
from domain.events import Intent, OrderType, Side

NOON = datetime(2026, 2, 3, 17, tzinfo=UTC)
BUY = OrderRequest(
    client_order_id="large-1",
    symbol="GOOGL",
    side=Side.BUY,
    intent=Intent.BUY_TO_OPEN,
    qty=2,
    type=OrderType.LIMIT,
    limit_price=Decimal("3.30"),
)
LIVE = BrokerOrder(
    broker_order_id="b1",
    client_order_id="large-1",
    symbol="GOOGL",
    side=Side.BUY,
    intent=Intent.BUY_TO_OPEN,
    qty=2,
    filled_qty=0,
    status="new",
    submitted_at=NOON,
    updated_at=NOON,
)
REJECTED = OrderRejected(403, "40310000", "insufficient buying power")
DUPLICATE = DuplicateClientOrderId(422, "40010001", "client_order_id must be unique")
REWORDED = OrderRejected(422, "40010001", "this client order id was seen before")
MISMATCH = IntentMismatch(422, "42210000", "position intent mismatch")
NEVER = len(LOOKS_AFTER_S) * (SENDS + 1)


class Book:
    """Takes orders as told: each send has a fate, and a taken order shows after *late* looks."""

    def __init__(self, *fates: str | Exception, late: int = 0, deaf: int = 0) -> None:
        self.fates, self.late, self.deaf = list(fates), late, deaf
        self.sends, self.looks, self.orders = 0, 0, 0

    def submit(self, order: OrderRequest) -> BrokerOrder:
        fate = self.fates[min(self.sends, len(self.fates) - 1)]
        self.sends += 1
        if isinstance(fate, Exception):
            raise fate
        if self.orders:
            raise DUPLICATE
        self.orders += fate in ("taken", "taken, answer lost")
        if fate == "taken":
            return LIVE
        raise OutcomeUnknown("the connection was cut")

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder | None:
        self.looks += 1
        if self.looks <= self.deaf:
            raise BrokerageUnavailable("HTTP 503")
        return LIVE if self.orders and self.looks > self.late else None


class Slept(list[float]):
    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def test_a_clear_answer_needs_no_second_call():
    """The usual day: one request."""
    book = Book("taken")

    assert LIVE == place(book, BUY, Slept())
    assert (1, 0) == (book.sends, book.looks)


def test_an_order_whose_answer_was_lost_is_adopted():
    """504 after the accept: the order is looked up and not sent again."""
    book = Book("taken, answer lost")

    assert LIVE == place(book, BUY, Slept())
    assert (1, 1) == (book.sends, book.orders)


def test_an_order_that_shows_late_is_adopted():
    """It is absent at the first looks: we wait between them before we believe it."""
    book, slept = Book("taken, answer lost", late=3), Slept()

    assert LIVE == place(book, BUY, slept)
    assert (1, [0.2, 0.5, 1.0]) == (book.sends, slept)


def test_an_order_that_surely_did_not_arrive_is_sent_again_with_the_same_id():
    """Absent at every look: the second send takes."""
    book = Book("lost", "taken")

    assert LIVE == place(book, BUY, Slept())
    assert (2, 1) == (book.sends, book.orders)


def test_an_order_that_shows_after_the_second_send_is_adopted():
    """The second send is refused as a duplicate, which proves that the first arrived."""
    book = Book("taken, answer lost", late=len(LOOKS_AFTER_S))

    assert LIVE == place(book, BUY, Slept())
    assert (2, 1) == (book.sends, book.orders)


def test_an_order_in_the_way_of_its_own_second_send_is_adopted():
    """The first close arrived late and holds the contracts: the second is rejected, and the first is what counts."""
    book = Book("taken, answer lost", MISMATCH, late=len(LOOKS_AFTER_S))

    assert LIVE == place(book, BUY, Slept())


@pytest.mark.parametrize("said", [DUPLICATE, REWORDED])
def test_a_duplicate_is_looked_up_and_adopted(said):
    """We crashed after the call of an earlier life; Alpaca may word its message anew."""
    book = Book(said)
    book.orders = 1

    assert LIVE == place(book, BUY, Slept())


def test_a_duplicate_that_cannot_be_found_stays_a_doubt():
    """The id is taken, so the order is somewhere: never "rejected"."""
    with pytest.raises(OutcomeUnknown):
        place(Book(DUPLICATE), BUY, Slept())


@pytest.mark.parametrize("said", [REJECTED, MISMATCH, REWORDED])
def test_a_rejection_is_a_clear_answer(said):
    """It is recorded, not repeated."""
    book = Book(said)

    with pytest.raises(OrderRejected) as caught:
        place(book, BUY, Slept())

    assert (said, 1) == (caught.value, book.sends)


def test_an_order_that_nobody_answers_for_is_unknown():
    """Sent three times, absent at every look: the doubt goes up, and the number of calls is bounded."""
    book = Book("lost")

    with pytest.raises(OutcomeUnknown):
        place(book, BUY, Slept())

    assert (SENDS, SENDS * len(LOOKS_AFTER_S)) == (book.sends, book.looks)


def test_looks_without_an_answer_prove_nothing():
    """503 at a look is not "absent": the order is not sent again on that ground."""
    book = Book("lost", deaf=NEVER)

    with pytest.raises(OutcomeUnknown):
        place(book, BUY, Slept())

    assert 1 == book.sends


@pytest.mark.parametrize("said", [BrokerageUnavailable("HTTP 429"), NotAuthorized("HTTP 401")])
def test_what_was_surely_not_taken_is_said_so(said):
    """Refused before it was read: no look is spent on it."""
    book = Book(said)

    with pytest.raises(BrokerageError) as caught:
        place(book, BUY, Slept())

    assert (said, 0) == (caught.value, book.looks)


@pytest.mark.parametrize("later", [BrokerageUnavailable("HTTP 429"), NotAuthorized("HTTP 401")])
def test_a_doubt_is_not_ended_by_a_refused_second_send(later):
    """ "Surely not taken" is true of the second send only."""
    with pytest.raises(OutcomeUnknown):
        place(Book("lost", later), BUY, Slept())


fates = st.sampled_from(["taken", "taken, answer lost", "lost"])


@given(st.lists(fates, min_size=SENDS, max_size=SENDS), st.integers(0, NEVER), st.integers(0, NEVER))
def test_however_the_wire_fails_there_is_one_order_or_a_doubt(sent, late, deaf):
    """An order we return exists once; when we raise, it is a doubt and not a rejection."""
    book = Book(*sent, late=late, deaf=deaf)
    try:
        place(book, BUY, Slept())
    except OutcomeUnknown:
        assert book.orders <= 1
    else:
        assert 1 == book.orders
