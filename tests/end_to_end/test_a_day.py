"""A small day from its first to its last step: what opens is tracked and closed, whatever people and levers do."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from actors.second_look import EVERY_RECORDED
from cli import acts
from domain.account import TradingState
from domain.prices import SECOND_FEED
from streams.codec import decode
from tests.end_to_end.conftest import a_line
from tests.end_to_end.stack import Running, at
from tests.factories import LARGE
from tests.paper.days import CALL, PUT, STOCK, Row

POSITIONS = (
    "SELECT symbol, qty, max_qty, entry_price, exit_price, exit_reason FROM positions ORDER BY opened_at, symbol"
)
STATES = "SELECT account, state FROM accounts ORDER BY account"


def test_a_recommendation_becomes_a_position_that_is_closed(running: Running):
    """Bought at the ask, tracked, sold at its target at the bid; rows equal the brokerage's truth, verify is clean."""
    running.play()

    assert [(CALL, 0, 3, Decimal("1.10"), Decimal("2.10"), "target")] == running.rows(POSITIONS)
    running.assert_rows_equal_the_broker()
    document = running.report()
    assert (1, 0) == (document["recommendations"], document["dead_letters"])
    assert document["gap"]["fill_to_position_ms"]["max"] is not None


def test_what_is_held_is_asked_for_by_rest(running: Running):
    """While it is held and not before: a second word about the contract every few minutes, and no dispute with it."""
    running.play()

    entries: Any = running.stack.client.xrange("ticks.{0}")
    facts = [decode(entry) for _, entry in entries]
    said = [quote.at for fact in facts if fact.feed == SECOND_FEED for quote in fact.quotes if quote.symbol == CALL]
    [(opened_at, closed_at)] = running.rows("SELECT opened_at, closed_at FROM positions")
    rounds = (closed_at - opened_at) // EVERY_RECORDED

    # The first price of what was ordered, and then a round at most every five minutes, where the clock steps.
    assert 1 + 2 <= len(said) <= 1 + rounds + 1
    assert max(said) <= closed_at
    assert [] == running.rows("SELECT position_id FROM price_disputes")


def test_the_same_day_gives_the_same_digest(small_day: Callable[..., Path], digest_of: Callable[..., str]):
    """Twice the same day on an empty ledger, and once one with another quantity."""
    first, again = digest_of(small_day()), digest_of(small_day())
    other = digest_of(small_day(a_line("rec-1", "14:32:00", qty=2)))

    assert first == again
    assert first != other


def test_a_close_behind_our_back_closes_the_position(small_day: Callable[..., Path], a_running: Callable[..., Running]):
    """The brokerage liquidates at the bid: the position is closed as external with the price that was traded."""
    event = {"at": "2026-02-03T14:50:00Z", "account": "large", "symbol": CALL, "event": "close", "qty": 3}
    running = a_running(small_day(broker_events=(event,)))

    running.play()

    assert [(CALL, 0, 3, Decimal("1.10"), Decimal("1.05"), "external")] == running.rows(POSITIONS)
    running.assert_rows_equal_the_broker()


def test_a_halt_cancels_entries_and_lets_exits_go_on(small_day: Callable[..., Path], a_running: Callable[..., Running]):
    """
    Halted while an entry waits for its fill: the entry is canceled within a step, nothing opens any
    more, and the position that was there still leaves at its target.
    """
    running = a_running(
        small_day(a_line("held", "14:32:00"), a_line("waits", "14:45:00", PUT), a_line("late", "15:00:00", PUT))
    )

    def hold() -> None:
        running.control("POST", "/fills", hold=True)

    def halt() -> None:
        assert running.wiring is not None
        assert [None] == running.rows("SELECT ended_at FROM orders WHERE recommendation = 'waits'")
        acts.set_states(running.wiring.desk, [LARGE], TradingState.HALTED, "a test says so", "tester")
        running.publish()
        running.driver._tick(running.driver.paper.clock().at)
        assert ["canceled"] == running.rows("SELECT status FROM orders WHERE recommendation = 'waits'")
        running.control("POST", "/fills", hold=False)

    running.play({"14:33:00": hold, "14:45:00": halt})

    assert [(CALL, 0, 3, Decimal("1.10"), Decimal("2.10"), "target")] == running.rows(POSITIONS)
    late = running.rows("SELECT outcome, checks FROM decisions WHERE recommendation = 'late'")
    [(outcome, checks)] = late
    assert ("refused", ["account_is_active"]) == (outcome, [c["gate"] for c in checks if not c["passed"]])
    assert [("large", "halted"), ("tiny", "active")] == running.rows(STATES)
    running.assert_rows_equal_the_broker()


def test_reduce_refuses_entries_and_flatten_closes_everything(
    small_day: Callable[..., Path], a_running: Callable[..., Running]
):
    """Reducing: nothing opens, what is held goes on. Flatten: both positions are sold at once, reason manual."""
    running = a_running(
        small_day(a_line("one", "14:32:00"), a_line("two", "14:33:00", PUT, 2), a_line("late", "14:45:00", qty=1))
    )

    def reduce() -> None:
        assert running.wiring is not None
        acts.set_states(running.wiring.desk, [LARGE], TradingState.REDUCING, "a test says so", "tester")

    def flatten() -> None:
        assert running.wiring is not None
        assert 2 == len(running.rows("SELECT 1 FROM positions WHERE closed_at IS NULL"))
        acts.flatten(running.wiring.desk, LARGE, "a test says so", "tester", running.stack.settings.policy_of)
        running.publish()

    running.play({"14:34:00": reduce, "15:00:00": flatten})

    assert [
        (CALL, 0, 3, Decimal("1.10"), Decimal("1.05"), "manual"),
        (PUT, 0, 2, Decimal("1.00"), Decimal("0.95"), "manual"),
    ] == running.rows(POSITIONS)
    refused = running.rows("SELECT recommendation FROM decisions WHERE outcome = 'refused'")
    assert ["late"] == refused
    running.assert_rows_equal_the_broker()


def test_both_accounts_are_flat_before_the_close(small_day: Callable[..., Path], a_running: Callable[..., Running]):
    """The same contract in two accounts, bought an hour before the close: each sells its own at 15:55 ET (R29)."""
    late: tuple[Row, ...] = (("19:49:00", CALL, "1.00", "1.10"), ("20:50:00", CALL, "1.05", "1.15"))
    stock: tuple[Row, ...] = (("19:49:00", STOCK, "99.90", "100.10"),)
    day = small_day(a_line("eod", "19:50:00", accounts=["large", "tiny"]), quotes=late, underlying=stock)
    running = a_running(day)

    running.play()

    assert [("large", 3, at("20:55:00"), "end_of_day"), ("tiny", 1, at("20:55:00"), "end_of_day")] == running.rows(
        "SELECT account, max_qty, closed_at, exit_reason FROM positions ORDER BY account"
    )
    running.assert_rows_equal_the_broker()


def test_a_sell_closes_what_is_held_and_nothing_else(small_day: Callable[..., Path], a_running: Callable[..., Running]):
    """Two of three are sold on a SELL, a SELL of what is not held is refused, the third leaves at its target."""
    sell = {"action": "SELL"}
    running = a_running(
        small_day(
            a_line("rec-1", "14:32:00"),
            a_line("sell-2", "14:45:00", qty=2, **sell),
            a_line("no", "14:46:00", PUT, **sell),
        )
    )

    running.play()

    assert [(CALL, 0, 3, Decimal("1.10"), Decimal("1.40"), "target")] == running.rows(POSITIONS)
    assert [("sell", 2, "signal"), ("sell", 1, "target")] == running.rows(
        "SELECT side, qty, reason FROM orders WHERE NOT opening ORDER BY approved_at"
    )
    assert [("no", "refused")] == running.rows(
        "SELECT recommendation, outcome FROM decisions WHERE outcome = 'refused'"
    )
    running.assert_rows_equal_the_broker()
