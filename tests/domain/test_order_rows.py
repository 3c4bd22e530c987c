"""Orders: one that opens buys with a ceiling, one that closes can only close."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events import Intent, OrderType, Side
from domain.ids import PositionId, RecommendationId, client_order_id, closing_order_id, entry_order_id, position_id
from domain.orders import LIVE, Order, OrderStatus, closing_order, opening_order
from tests.factories import LARGE, NOON, PUT

REC = RecommendationId("rec-1")
OPENING = entry_order_id(REC, LARGE)
POSITION = position_id(OPENING)


def a_close(held: int, qty: int, attempt: int = 1) -> Order:
    return closing_order(LARGE, POSITION, PUT, held, qty, attempt, "stop", None, NOON)


def test_an_opening_is_a_limit_to_open():
    """Buy to open, at most the ask that the gate saw, with ids that a retry computes again."""
    expected = Order(
        order_id=OPENING,
        client_order_id=client_order_id(LARGE, OPENING),
        account=LARGE,
        position_id=POSITION,
        recommendation=REC,
        symbol=PUT,
        side=Side.BUY,
        intent=Intent.BUY_TO_OPEN,
        qty=3,
        type=OrderType.LIMIT,
        limit_price=Decimal("7.20"),
        awaited_until=None,
        reason="entry",
        approved_at=NOON,
    )

    assert expected == opening_order(LARGE, REC, PUT, 3, Decimal("7.20"), NOON)


@pytest.mark.parametrize(
    ("held", "side", "intent"), [(5, Side.SELL, Intent.SELL_TO_CLOSE), (-5, Side.BUY, Intent.BUY_TO_CLOSE)]
)
def test_a_close_takes_its_side_from_what_is_held(held: int, side: Side, intent: Intent):
    """A market order that says to close: nobody chooses its side."""
    order = a_close(held, 2)

    assert (side, intent, OrderType.MARKET, None, 2) == (
        order.side,
        order.intent,
        order.type,
        order.limit_price,
        order.qty,
    )
    assert not order.intent.opens


@pytest.mark.parametrize(("held", "qty"), [(5, 6), (5, 0), (5, -1), (-5, 6), (0, 1), (0, 0), (1, 2)])
def test_a_close_beyond_what_is_held_is_an_error(held: int, qty: int):
    """It would open the other side (R21)."""
    with pytest.raises(ValueError, match=f"qty: a close of {PUT} needs 1 to {abs(held)}, was {qty}"):
        a_close(held, qty)


@given(held=st.integers(-100, 100), qty=st.integers(-5, 105), attempt=st.integers(1, 9))
def test_after_a_close_what_is_held_is_less_and_on_the_same_side(held: int, qty: int, attempt: int):
    """Whatever is asked: executed in full, a close leaves no more than there was, and never the other side."""
    try:
        order = a_close(held, qty, attempt)
    except ValueError:
        assert not 0 < qty <= abs(held)
        return
    after = held + order.side.sign * order.qty

    assert 0 <= after * (1 if held > 0 else -1) < abs(held)
    assert closing_order_id(PositionId(POSITION), attempt) == order.order_id


def test_an_order_lives_until_it_has_ended():
    """Approved, submitting and accepted count against the account; nothing else does."""
    assert {"approved", "submitting", "accepted"} == {status.value for status in OrderStatus if status.is_live}
    assert {status for status in OrderStatus if status.is_live} == LIVE


@pytest.mark.parametrize("intent", Intent)
def test_an_intent_opens_or_closes(intent: Intent):
    """As its name says."""
    assert intent.opens == intent.value.endswith("to_open")


def test_a_side_has_a_sign():
    """Buying adds, selling takes."""
    assert (1, -1) == (Side.BUY.sign, Side.SELL.sign)
