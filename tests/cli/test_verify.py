"""`verify`: nothing to say about rows that actors wrote, and a line for each kind of row that was tampered with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from cli.documents import verify
from db.views import one_moment
from tests.cli.house import AAA, BBB, House
from tests.cli.test_report import a_day
from tests.servers import Cluster


@pytest.fixture(scope="module")
def day(migrated_cluster: Cluster) -> Iterator[House]:
    """One day for every case: what a case tampers with is rolled back."""
    with migrated_cluster.a_database() as url:
        engine = create_engine(url)
        house = House(engine)
        a_day(house)
        yield house
        engine.dispose()


@pytest.fixture
def rows(day: House) -> Iterator[Connection]:
    with day.engine.connect() as tx:
        yield tx
        tx.rollback()


def found(tx: Connection) -> list[dict[str, Any]]:
    document = json.loads(json.dumps(verify(tx)))
    assert {"mismatches"} == set(document)
    mismatches: list[dict[str, Any]] = document["mismatches"]
    return mismatches


def plant(tx: Connection, *statements: str) -> None:
    """Tamper with the rows, past every wall: triggers and foreign keys do not look."""
    tx.execute(text("SET LOCAL session_replication_role = replica"))
    for statement in statements:
        tx.execute(text(statement))


def named(mismatches: Sequence[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(m["table"], m["field"]) for m in mismatches}


def test_rows_that_actors_wrote_agree(rows: Connection):
    """A day with fills in pieces, a refusal, a target and a close without a price leaves nothing to say."""
    assert [] == found(rows)


def test_rows_of_an_unfinished_day_agree(engine: Engine):
    """Openings half filled, a close on its way: reservations and holdings add up at every moment."""
    house = House(engine)
    house.recommend("rec-1", symbol=AAA, qty=5)
    house.trade(pieces=1)
    house.recommend("rec-2", symbol=BBB, qty=3)

    with one_moment(engine) as tx:
        assert [] == found(tx)


TAMPERED: dict[str, tuple[str, set[tuple[str, str]]]] = {
    "a quantity that its fills do not explain": (
        "UPDATE positions SET qty = 7, max_qty = 7 WHERE closed_at IS NULL",
        {
            ("positions", "qty"),
            ("positions", "max_qty"),
            ("commitments", "held_qty"),
            ("commitments", "usd"),
        },
    ),
    "a result that its fills do not explain": (
        "UPDATE positions SET realized_pnl_usd = 1 WHERE exit_reason = 'target'",
        {("positions", "realized_pnl_usd")},
    ),
    "an entry price of another trade": (
        "UPDATE positions SET entry_price = 1 WHERE exit_reason = 'target'",
        {("positions", "entry_price")},
    ),
    "an exit price of another trade": (
        "UPDATE positions SET exit_price = 1 WHERE exit_reason = 'target'",
        {("positions", "exit_price")},
    ),
    "another time of opening": (
        "UPDATE positions SET opened_at = opened_at - interval '1 hour' WHERE exit_reason = 'target'",
        {("positions", "opened_at")},
    ),
    "a position without a fill": (
        "DELETE FROM fills WHERE position_id IN (SELECT position_id FROM positions WHERE symbol LIKE 'BBB%')",
        {
            ("positions", "fills"),
            ("orders", "filled_qty"),
            ("orders", "status"),
            ("fills", "sum over the order"),
            ("commitments", "held_qty"),
        },
    ),
    "an order that says to have filled more": (
        "UPDATE orders SET filled_qty = 2, qty = 2, final_filled_qty = 1 WHERE symbol = 'BBB260220C00100000'",
        {("orders", "filled_qty"), ("orders", "status")},
    ),
    "a fill that was never read": (
        "UPDATE orders SET final_filled_qty = 4 WHERE symbol = 'BBB260220C00100000'",
        {("fills", "sum over the order")},
    ),
    "a fill without a position": (
        "DELETE FROM positions WHERE exit_reason = 'target'",
        {("fills", "position_id")},
    ),
    "a fill of another position than its order": (
        "UPDATE orders SET position_id = gen_random_uuid() WHERE intent = 'sell_to_close' AND account = 'large'",
        {("fills", "position_id")},
    ),
    "a fill of another side than its order": (
        "UPDATE orders SET side = 'buy', intent = 'buy_to_close' WHERE intent = 'sell_to_close' AND account = 'large'",
        {("fills", "side")},
    ),
    "a decision that is missing": (
        "DELETE FROM decisions WHERE outcome = 'refused'",
        {("decisions", "outcome")},
    ),
    "a decision that nobody asked for": (
        "UPDATE recommendations SET body = jsonb_set(body, '{accounts}', '[\"large\"]') WHERE recommendation = 'rec-2'",
        {("decisions", "account")},
    ),
    "an opening that nobody approved": (
        "DELETE FROM decisions WHERE account = 'large' AND recommendation = 'rec-2'",
        {("decisions", "outcome"), ("orders", "decision")},
    ),
    "an approval without its order": (
        "UPDATE decisions SET order_id = gen_random_uuid() WHERE account = 'large' AND recommendation = 'rec-2'",
        {("decisions", "order_id"), ("orders", "decision")},
    ),
    "a live close of a closed position": (
        "UPDATE orders SET status = 'accepted', ended_at = NULL WHERE intent = 'sell_to_close' AND NOT external",
        {("orders", "live closes of the position")},
    ),
    "a view that forgets the unfilled rest": (
        "CREATE OR REPLACE VIEW commitments AS SELECT account, position_id, symbol, underlying, kind,"
        " entry_price * abs(qty) * multiplier / 2 AS usd, qty AS held_qty FROM positions WHERE closed_at IS NULL",
        {("commitments", "usd")},
    ),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_each_kind_of_tampering_is_found(rows: Connection, case: str):
    """The mismatch names table, row and field, and tells what the row says and what it should say."""
    statement, expected = TAMPERED[case]
    plant(rows, statement)
    mismatches = found(rows)

    assert expected == named(mismatches)
    assert [{"table", "id", "field", "says", "should_say"}] * len(mismatches) == [set(m) for m in mismatches]
    assert all(m["says"] != m["should_say"] for m in mismatches)


def test_two_live_closes_of_one_position_are_found(rows: Connection):
    """Without the index that forbids it, two closes of one position would be seen here."""
    plant(
        rows,
        "DROP INDEX one_live_closing_order_per_position",
        *(
            "INSERT INTO orders (order_id, client_order_id, account, position_id, external, symbol, underlying, kind,"
            " multiplier, strategy, side, intent, qty, type, status, reason, approved_at)"
            f" SELECT gen_random_uuid(), 'twice-{number}', account, position_id, false, symbol, underlying, kind,"
            " multiplier, strategy, 'sell', 'sell_to_close', 1, 'market', 'approved', 'stop', opened_at"
            " FROM positions WHERE closed_at IS NULL AND account = 'large'"
            for number in (1, 2)
        ),
    )
    [mismatch] = found(rows)

    assert ("orders", "live closes of the position", 2, 1) == tuple(
        mismatch[key] for key in ("table", "field", "says", "should_say")
    )


def test_a_mismatch_tells_both_values(rows: Connection):
    """The row says 1.00, its fills say 900.00."""
    plant(rows, "UPDATE positions SET realized_pnl_usd = 1 WHERE exit_reason = 'target'")
    [mismatch] = found(rows)
    position = rows.execute(text("SELECT position_id FROM positions WHERE exit_reason = 'target'")).scalar_one()

    assert {
        "table": "positions",
        "id": str(position),
        "field": "realized_pnl_usd",
        "says": "1.00",
        "should_say": "900.00",
    } == mismatch


def test_an_ended_order_with_fills_on_their_way_still_reserves(engine: Engine):
    """The second computation counts what the brokerage filled and we have not read, as the view does."""
    house = House(engine)
    house.recommend("rec-9", qty=3)
    with engine.begin() as tx:
        plant(tx, "UPDATE orders SET status = 'canceled', ended_at = approved_at, final_filled_qty = 2")

        assert {("fills", "sum over the order")} == named(found(tx))
        assert [1000] == tx.execute(text("SELECT usd FROM commitments")).scalars().all()
