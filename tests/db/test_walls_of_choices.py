"""The walls around a chosen contract and the steps of a size, and what the repository writes of both."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from psycopg2 import errors
from sqlalchemy import Connection, text

from db import accounts, decisions
from domain.ids import RecommendationId
from domain.selection import Fallen, Scored, Selection, nothing
from domain.sizing import Step
from tests.db.wall_kit import fill, hold, open_order, refused, run
from tests.factories import LARGE, NOON, some_limits

A_DECISION = """
INSERT INTO decisions (recommendation, account, outcome, checks, sizing, sizing_steps, selection, order_id, at, origin)
VALUES ('rec-1', 'large', :outcome, '[]', 'as asked', cast(:steps AS jsonb), cast(:selection AS jsonb), :order_id, :now,
        'test')
"""
CHOSEN = Selection(
    symbol="XB260220P00400000",
    why="best of 1",
    target_strike=Decimal("400.00"),
    considered=2,
    best=(Scored(symbol="XB260220P00400000", score=Decimal("61.50"), points={"spread": Decimal("21.50")}),),
    fallen=(Fallen(filter="quote", count=1, nearest="XB260220P00390000"),),
)


def decide(tx: Connection, *, order_id: UUID | None, selection: str | None, steps: str | None = None) -> None:
    run(tx, "INSERT INTO recommendations VALUES ('rec-1', '{}', :now, :now) ON CONFLICT DO NOTHING", now=NOON)
    outcome = "refused" if order_id is None else "approved"
    run(tx, A_DECISION, outcome=outcome, steps=steps, selection=selection, order_id=order_id, now=NOON)


def test_an_order_for_another_contract_than_the_chosen_one_is_refused(tx: Connection):
    """Whoever wrote the order: what was chosen is what is ordered."""
    order = open_order(tx)
    said = refused(
        tx,
        errors.CheckViolation,
        "what_was_chosen_is_ordered",
        lambda: decide(tx, order_id=order.order_id, selection='{"symbol": "XB260220P00390000"}'),
    )

    assert f"XB260220P00390000 was chosen and {order.symbol} ordered" in said
    decide(tx, order_id=order.order_id, selection=json.dumps({"symbol": order.symbol}))


@pytest.mark.parametrize("selection", ['{"symbol": null}', '{"why": "nothing found"}'])
def test_an_approval_without_a_contract_is_refused(tx: Connection, selection: str):
    """Where none was found there is nothing to order; the refusal with the same choice is a row."""
    order = open_order(tx)

    refused(
        tx,
        errors.CheckViolation,
        "an_approval_found_its_contract",
        lambda: decide(tx, order_id=order.order_id, selection=selection),
    )
    decide(tx, order_id=None, selection=selection)


@pytest.mark.parametrize(("selection", "steps"), [("[]", None), ('"XB"', None), (None, "{}"), (None, '"as asked"')])
def test_a_choice_is_an_object_and_steps_are_a_list(tx: Connection, selection: str | None, steps: str | None):
    """What people and programs read back has one shape."""
    refused(tx, errors.CheckViolation, "decisions", lambda: decide(tx, order_id=None, selection=selection, steps=steps))


def written(tx: Connection, **over: Any) -> dict[str, Any]:
    run(tx, "INSERT INTO recommendations VALUES ('rec-1', '{}', :now, :now)", now=NOON)
    values: dict[str, Any] = {"steps": None, "selection": None}
    decisions.record(
        tx,
        recommendation=RecommendationId("rec-1"),
        account=LARGE,
        checks=(),
        limits=some_limits(),
        sizing="as asked",
        order_id=None,
        now=NOON,
        origin="test",
        **values | over,
    )
    return dict(tx.execute(text("SELECT sizing_steps, selection FROM decisions")).mappings().one())


def test_a_choice_is_written_whole_with_numbers_as_text(tx: Connection):
    """Every part can be read back, and no decimal passes through a float."""
    row = written(tx, selection=CHOSEN, steps=(Step("asked", 20, "qty 20 asked"), Step("cap", 10, "cut")))

    assert {
        "symbol": "XB260220P00400000",
        "why": "best of 1",
        "target_strike": "400.00",
        "considered": 2,
        "best": [{"symbol": "XB260220P00400000", "score": "61.50", "points": {"spread": "21.50"}}],
        "fallen": [{"filter": "quote", "count": 1, "nearest": "XB260220P00390000"}],
    } == row["selection"]
    assert [
        {"name": "asked", "qty": 20, "why": "qty 20 asked"},
        {"name": "cap", "qty": 10, "why": "cut"},
    ] == row["sizing_steps"]


def test_what_was_not_chosen_and_not_sized_is_null(tx: Connection):
    """No empty object stands in for a choice that nobody made; one that found nothing says so."""
    assert {"sizing_steps": None, "selection": None} == written(tx)


def test_a_choice_that_found_nothing_is_a_choice(tx: Connection):
    """Its reason is kept."""
    assert "closed" == written(tx, selection=nothing("closed"))["selection"]["why"]


def test_a_commitment_tells_what_is_held_and_what_may_still_fill(tx: Connection):
    """Two of five contracts filled: two are held and three may follow, until the order ends with what it has."""

    def counted() -> list[tuple[int, int]]:
        return [(c.held_qty, c.pending_qty) for c in accounts.commitments(tx, LARGE)]

    order = open_order(tx, qty=5)
    assert [(0, 5)] == counted()

    fill(tx, order, 2, 2)
    run(tx, "UPDATE orders SET filled_qty = 2 WHERE order_id = :id", id=order.order_id)
    hold(tx, 2, order.symbol, number=order.position_id.int)
    assert [(2, 3)] == counted()

    run(tx, "UPDATE orders SET final_filled_qty = 2 WHERE order_id = :id", id=order.order_id)
    assert [(2, 0)] == counted()
