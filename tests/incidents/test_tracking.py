"""Nothing that the brokerage did is missing from the rows: R01, R19, R48, L05, L06, L08, L09, L10."""

# ruff: noqa: N802 - a test is named after its row

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from actors.failures import TRANSIENT
from actors.tracker import Tracker
from db import timeline
from domain.events import (
    OrderAccepted,
    OrderCanceled,
    OrderEnded,
    OrderExpired,
    OrderRejected,
    PositionClosed,
    PositionOpened,
    Side,
)
from domain.exits import ExitReason
from domain.ids import fact_id
from tests.factories import LARGE, TINY, a_fill, a_policy, a_quote, a_recommendation, some_limits, ticked
from tests.incidents.make_fixtures import BMY, MSFT_PUT, WMT, closing, opening
from tests.incidents.stage import Stage

#: Limits that are in nobody's way.
ROOMY = some_limits(max_positions=60, max_exposure_usd=Decimal(500_000))
POSITION = "SELECT symbol, qty, max_qty, entry_price, exit_price, exit_reason FROM positions ORDER BY opened_at"


def test_R01_positions_that_live_four_minutes_are_recorded(a_stage: Callable[..., Stage]):
    """
    BMY and WMT, closed by somebody else after 4 min 20 s while the exit is stopped: each execution
    is one row once it is acknowledged, and both positions are there with their true prices.
    """
    stage = a_stage(without=("exit",))

    def acknowledged_is_written() -> None:
        assert 0 == stage.unacknowledged()
        stage.assert_no_gap()

    stage.play("R01", after_each=acknowledged_is_written)

    assert [
        (BMY, 0, 10, Decimal("1.69"), Decimal("1.61"), "external"),
        (WMT, 0, 10, Decimal("1.60"), Decimal("1.51"), "external"),
    ] == stage.rows(POSITION)
    lived = stage.rows("SELECT extract(epoch FROM closed_at - opened_at)::integer FROM positions")
    assert [260, 260] == lived


@pytest.mark.parametrize("in_one_batch", [False, True], ids=["one by one", "in one batch"])
def test_R01_a_position_that_lives_a_millisecond_is_recorded(a_stage: Callable[..., Stage], in_one_batch: bool):
    """
    Entry and exit 1 ms apart, the exit stopped, read together or apart: position, both fills, the
    exit plan and the history exist, and both facts were told.
    """
    stage = a_stage(without=("exit",))

    stage.play("R01_one_ms", in_one_batch=in_one_batch)

    stage.assert_no_gap()
    assert [(BMY, 0, 10, Decimal("1.69"), Decimal("1.61"), "external")] == stage.rows(POSITION)
    assert [(10, "buy"), (10, "sell")] == stage.rows("SELECT qty, side FROM fills ORDER BY at")
    assert ["test"] == stage.rows("SELECT policy_version FROM exit_plans JOIN positions USING (position_id)")
    assert (1, 1) == (len(stage.facts(PositionOpened)), len(stage.facts(PositionClosed)))
    assert ["recommended", "approved", "filled", "filled", "closed"] == _history(stage)


def _history(stage: Stage) -> list[str]:
    with stage.engine.connect() as tx:
        events = timeline.of_position(tx, stage.one("SELECT position_id FROM positions"))
    kept = ("recommended", "approved", "filled", "closed")
    return [event["event"] for event in events if event["event"] in kept]


def test_L05_an_accepted_order_is_no_position_until_it_fills(stage: Stage):
    """
    Accepted and not filled: no position, no price made up, four contracts reserved. Minutes later
    the fill comes, and the position has its quantity and its price.
    """
    seen: list[tuple[Any, ...]] = []
    stage.play("L05", after_each=lambda: seen.append((_held(stage), _orders(stage), _exposure(stage))))

    nothing, accepted = (0, [], Decimal(0)), (0, [("accepted", 0)], Decimal("2880.00"))
    assert [nothing, accepted, accepted, (4, [("filled", 4)], Decimal("2860.00"))] == seen
    assert [(MSFT_PUT, 4, 4, Decimal("7.15"), None, None)] == stage.rows(POSITION)
    assert 1 == len(stage.brokerages[LARGE].sent)


def _held(stage: Stage) -> int:
    found: int = stage.one("SELECT coalesce(sum(qty), 0)::integer FROM positions")
    return found


def _orders(stage: Stage) -> list[Any]:
    return stage.rows("SELECT status, filled_qty FROM orders")


def _exposure(stage: Stage) -> Decimal:
    found: Decimal = stage.one("SELECT coalesce(sum(usd), 0) FROM commitments")
    return found


def _splits(total: int) -> Iterator[tuple[int, ...]]:
    """Every way to cut *total* into ordered pieces."""
    if total == 0:
        yield ()
    for first in range(1, total + 1):
        yield from ((first, *rest) for rest in _splits(total - first))


@pytest.mark.parametrize("pieces", list(_splits(4)), ids=str)
def test_L06_partial_fills_sum_to_what_the_brokerage_filled(a_stage: Callable[..., Stage], pieces: tuple[int, ...]):
    """Four contracts in any split, in any order of arrival and each piece twice: four are held, in one position."""
    arrivals = list(permutations(range(len(pieces))))
    stage = a_stage(limits={LARGE: ROOMY})
    for number, arrival in enumerate(arrivals):
        fills = _filled_in_pieces(stage, number, pieces)
        for place in (*arrival, *arrival):
            stage.tracker.handle([fills[place]])

    assert [(4, 4)] * len(arrivals) == stage.rows("SELECT qty, max_qty FROM positions")
    assert [("filled", 4)] * len(arrivals) == _orders(stage)
    sums = stage.rows("SELECT sum(qty)::integer FROM fills GROUP BY broker_order_id")
    assert [4] * len(arrivals) == sums


def _filled_in_pieces(stage: Stage, number: int, pieces: tuple[int, ...]) -> list[Any]:
    symbol, order = _ordered(stage, number, sum(pieces))
    totals = [sum(pieces[: n + 1]) for n in range(len(pieces))]
    return [
        a_fill(order, client_order_id=opening(f"amd-{number}"), symbol=symbol, qty=qty, cum_qty=total)
        for qty, total in zip(pieces, totals, strict=True)
    ]


def _ordered(stage: Stage, number: int, qty: int) -> tuple[str, str]:
    """Let an entry be approved and accepted; return its contract and what the brokerage calls the order."""
    symbol, name = f"AMD260220P{number + 1:08d}", f"amd-{number}"
    stage.prices[symbol] = (Decimal("7.10"), Decimal("7.20"))
    stage.publish("recommendations", a_recommendation(id=name, at=stage.now, symbol=symbol, qty=qty))
    stage.deliver()
    order: str = stage.one("SELECT broker_order_id FROM orders WHERE recommendation = :name", name=name)
    return symbol, order


def test_L08_a_closing_sale_creates_no_second_position(stage: Stage):
    """Our close sells in two pieces, told by the socket and again by REST: one position, flat, at the average price."""
    stage.play("L08")

    stage.assert_no_gap()
    assert [(MSFT_PUT, 0, 10, Decimal("7.20"), Decimal("3.47"), "catastrophe")] == stage.rows(POSITION)
    assert [("buy", 10), ("sell", 4), ("sell", 6)] == stage.rows("SELECT side, qty FROM fills ORDER BY at, cum_qty")


def test_L08_the_position_is_the_signed_sum_in_any_interleaving(a_stage: Callable[..., Stage]):
    """Two buys and two sells of one position arrive in any of 24 orders: six minus five is one, in one position."""
    arrivals = list(permutations(range(4)))
    stage = a_stage(limits={LARGE: ROOMY})
    for number, arrival in enumerate(arrivals):
        fills = _bought_and_sold(stage, number)
        for place in arrival:
            stage.tracker.handle([fills[place]])

    assert [(1, 1, True)] * len(arrivals) == stage.rows(
        "SELECT qty, count(*) OVER (PARTITION BY symbol), closed_at IS NULL FROM positions"
    )
    assert [] == stage.rows("SELECT order_id FROM orders WHERE filled_qty > qty")


def _bought_and_sold(stage: Stage, number: int) -> list[Any]:
    """Let six be ordered; return their two fills, and the two of a sale of five by hand."""
    symbol, order = _ordered(stage, number, 6)
    bought: dict[str, Any] = {"client_order_id": opening(f"amd-{number}"), "symbol": symbol}
    sold: dict[str, Any] = {"client_order_id": None, "symbol": symbol, "side": Side.SELL}
    return [
        a_fill(order, qty=2, cum_qty=2, **bought),
        a_fill(order, qty=4, cum_qty=6, **bought),
        a_fill(f"by-hand-{number}", qty=3, cum_qty=3, **sold),
        a_fill(f"by-hand-{number}", qty=2, cum_qty=5, **sold),
    ]


def test_L09_partly_filled_then_canceled_leaves_what_was_filled(stage: Stage):
    """Six of ten, then the rest is canceled: a position of six, and the dollars of the other four are free again."""
    stage.play("L09")
    before = _exposure(stage)

    stage.sweep(after=stage.entries.entry_ttl)

    stage.assert_no_gap()
    assert [(MSFT_PUT, 6, 6, Decimal("7.20"), None, None)] == stage.rows(POSITION)
    assert [("canceled", 6, 6)] == stage.rows("SELECT status, filled_qty, final_filled_qty FROM orders")
    assert (Decimal("7200.00"), Decimal("4320.00")) == (before, _exposure(stage))
    assert 1 == len(stage.facts(OrderEnded))


def test_L10_a_second_purchase_widens_the_position_and_its_average(stage: Stage):
    """
    10 @ 7.20 and 5 @ 8.00 bought by hand: 15 @ 7.4667 under the original order, and the stop counts
    from the new average: at -40 % of 7.4667 all fifteen are sold.
    """
    stage.play("L10")
    _quote(stage, "4.49")  # -39.9 % of the new average, -37.6 % of the old one
    assert [] == _closes(stage)

    _quote(stage, "4.48")

    [(symbol, qty, max_qty, entry, *_)] = stage.rows(POSITION)
    assert (MSFT_PUT, 15, 15, Decimal("7.4667")) == (symbol, qty, max_qty, round(entry, 4))
    assert [(MSFT_PUT, "sell", "sell_to_close", 15, ExitReason.STOP)] == _closes(stage)
    ours = stage.rows("SELECT client_order_id FROM orders WHERE opening AND NOT external")
    assert [opening("msft")] == ours
    assert [closing("msft")] == stage.rows("SELECT client_order_id FROM orders WHERE NOT opening")
    stage.assert_no_gap()


def _quote(stage: Stage, bid: str) -> None:
    stage.now += timedelta(minutes=40)
    quote = a_quote(MSFT_PUT, bid, str(Decimal(bid) + Decimal("0.10")), at=stage.now)
    stage.publish("ticks.{0}", ticked(quote, at=stage.now))
    stage.deliver()


def _closes(stage: Stage) -> list[Any]:
    return stage.rows("SELECT symbol, side, intent, qty, reason FROM orders WHERE NOT opening")


def test_R01_a_recording_of_another_year_is_tracked_at_the_first_try(a_stage: Callable[..., Stage]):
    """A fill that was read months ago (a recording) measures a gap of months: it is applied, and nothing fails."""
    stage = a_stage(without=("exit",))
    fact = a_fill("by-hand", client_order_id=None, qty=1, cum_qty=1, read_at=stage.now - timedelta(days=400))

    stage.tracker.handle([fact])

    assert [1] == stage.rows("SELECT qty FROM positions")


def test_R19_a_fill_told_a_hundred_times_by_the_readers_of_both_accounts_is_one(a_stage: Callable[..., Stage]):
    """
    Four trackers at once, two for each account, read the same execution a hundred times, under its own name and under
    a hundred others, alone and in batches: one row, one position, in the account that it belongs to. Comparing both
    accounts with the brokerage afterwards adds nothing.
    """
    stage = a_stage(without=("exit", "tracker"))
    symbol, order = _ordered(stage, 0, 4)
    stage.brokerages[LARGE].fill(order)
    [execution] = stage.brokerages[LARGE].filled
    fact = stage.brokerages[LARGE].filled_fact(execution)
    copies = [fact if n % 2 else replace(fact, id=fact_id("copy", n), execution_id=None) for n in range(100)]

    def reader(number: int) -> None:
        mine = copies[number::4]
        tracker = Tracker(stage.desk, lambda account, strategy, kind: a_policy())
        for batch in (mine[:10], *([each] for each in mine[10:])):
            _until_it_is_handled(tracker, batch)

    with ThreadPoolExecutor(4) as readers:
        list(readers.map(reader, range(4)))
    for account in (LARGE, TINY):
        for _ in range(2):
            stage.reconcile(account, after=timedelta(seconds=30))

    qty = execution.qty
    assert [("large", symbol, qty)] == stage.rows("SELECT account, symbol, qty FROM fills")
    assert [("large", symbol, qty, qty)] == stage.rows("SELECT account, symbol, qty, max_qty FROM positions")
    assert 0 == stage.one("SELECT count(*) FROM drift")


def _until_it_is_handled(tracker: Tracker, batch: list[Any]) -> None:
    """Try again as delivery does: those who lock the same rows at once may have to take turns."""
    while True:
        with suppress(*TRANSIENT):
            tracker.handle(batch)
            return


ENDS = {
    "accepted": (OrderAccepted, {}),
    "rejected": (OrderRejected, {"filled_qty": 0, "code": "40310000", "message": "no"}),
    "canceled": (OrderCanceled, {"filled_qty": 0}),
    "expired": (OrderExpired, {"filled_qty": 0}),
}


@pytest.mark.parametrize("status", ENDS)
def test_R48_a_status_is_what_the_brokerage_said(a_stage: Callable[..., Stage], status: str):
    """Until it says something the order stays what we made it; then it has the brokerage's word and no other."""
    stage = a_stage(without=("executor", "exit"))
    stage.prices[MSFT_PUT] = (Decimal("7.10"), Decimal("7.20"))
    stage.publish("recommendations", a_recommendation(id="rec", at=stage.now, symbol=MSFT_PUT, qty=4))
    stage.deliver()
    assert [("approved", 0)] == _orders(stage)

    kind, said = ENDS[status]
    common = {"at": stage.now, "schema": 1, "cause": "b-1", "origin": "test", "account": LARGE}
    names = {"symbol": MSFT_PUT, "broker_order_id": "b-1", "client_order_id": opening("rec")}
    stage.tracker.handle([kind(id=fact_id("said", status), **common, **names, **said)])
    assert [(status, 0)] == _orders(stage)


def test_R48_nobody_writes_a_status_that_the_brokerage_has_not(stage: Stage):
    """Simulated is no word of the rows, and filled is not said of what has not filled."""
    _ordered(stage, 0, 4)
    with stage.engine.connect() as tx:
        for status in ("simulated", "SIMULATED_FALLBACK", "filled"):
            with pytest.raises(IntegrityError), tx.begin_nested():
                tx.execute(text("UPDATE orders SET status = :status"), {"status": status})
    assert [("accepted", 0)] == _orders(stage)
    assert 0 == stage.one("SELECT count(*) FROM positions")
