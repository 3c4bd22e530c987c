"""Trouble in the middle of a day: what hangs, is mute, is wiped or is killed costs time, never a fact."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis

from domain.events import FillSource
from tests.end_to_end.conftest import a_line
from tests.end_to_end.stack import Running, at, kill_and_start, migrated, until
from tests.paper.days import CALL, DAY, PUT
from tests.servers import Killable

WON = [(CALL, 0, 3, Decimal("1.10"), Decimal("2.10"), "target")]
POSITIONS = (
    "SELECT symbol, qty, max_qty, entry_price, exit_price, exit_reason FROM positions ORDER BY opened_at, symbol"
)
#: A close leaves within this much of the wall, whatever an entry does (measured with one shared queue: 4.8 s).
CLOSE_WITHIN_S = 2.0


def test_an_entry_that_hangs_delays_no_exit(running: Running):
    """
    The brokerage takes an entry and says nothing for a minute. Meanwhile the price of what is held
    falls by more than half: the close is with the brokerage within two seconds.
    """
    running.play_to("14:45:00")
    running.control(
        "POST",
        "/faults",
        method="POST",
        path="/v2/orders",
        body={"position_intent": "buy_to_open"},
        do="hang",
        seconds=60,
    )
    running.recommend(a_line("hangs", "14:45:00", PUT, 1))
    until(lambda: ["submitting"] == running.rows("SELECT status FROM orders WHERE recommendation = 'hangs'"), "hanging")

    running.control("POST", "/quotes", symbol=CALL, bid="0.40", ask="0.50")
    took_s = until(lambda: [o for o in running.posted() if o["side"] == "sell"], "a close is posted")

    assert took_s < CLOSE_WITHIN_S
    assert ["submitting"] == running.rows("SELECT status FROM orders WHERE recommendation = 'hangs'")
    running.control("DELETE", "/faults")
    running.rest()
    assert (CALL, 0, 3, Decimal("1.10"), Decimal("0.40"), "catastrophe") in running.rows(POSITIONS)
    assert ["filled"] == running.rows("SELECT status FROM orders WHERE recommendation = 'hangs'")
    running.assert_rows_equal_the_broker()


@pytest.mark.parametrize(
    "trouble", [{"do": "mute"}, {"do": "drop_next", "count": 20}, {"do": "close", "code": 1006}], ids=lambda t: t["do"]
)
def test_what_a_socket_does_not_say_is_read_by_rest(running: Running, trouble: dict[str, Any]):
    """The trade_updates socket is mute, loses events or breaks before the entry: the position is complete anyway."""
    running.play(
        {"14:31:00": lambda: running.control("POST", "/streams", stream="trade_updates", account="large", **trouble)}
    )

    assert WON == running.rows(POSITIONS)
    running.assert_rows_equal_the_broker()
    sources = set(running.rows("SELECT source FROM fills"))
    assert sources <= {FillSource.STREAM, FillSource.ACTIVITY}
    if trouble["do"] != "close":
        assert {FillSource.ACTIVITY} == sources


@pytest.mark.parametrize("while_open", [False, True], ids=["order waits", "position open"])
def test_a_wiped_redis_loses_no_fact(running: Running, redis_client: redis.Redis, while_open: bool):
    """FLUSHALL between two steps, before or after the fill: rows equal the brokerage's truth in the end."""

    def wipe() -> None:
        redis_client.flushall()
        running.forget_frames()
        if not while_open:
            running.control("POST", "/fills", hold=False)

    doing = {"14:33:00": wipe}
    if not while_open:
        doing = {"14:31:00": lambda: running.control("POST", "/fills", hold=True), "14:32:00": wipe}
    running.play(doing)

    assert WON == running.rows(POSITIONS)
    running.assert_rows_equal_the_broker()


def test_a_killed_database_loses_no_fact(
    small_day: Callable[..., Path],
    a_running: Callable[..., Running],
    killable_database: Killable,
):
    """
    PostgreSQL dies with kill -9 while a recommendation is being decided, and again while its fill is
    on its way; started again, everything is decided, filled and closed once.
    """
    running = a_running(small_day(a_line("rec-1", "14:32:00")), database_url=migrated(killable_database.url))

    def die_deciding() -> None:
        running.recommend(a_line("rec-2", "14:45:00", PUT, 2))
        kill_and_start(killable_database)
        running.rest()

    def die_closing() -> None:
        running.control("POST", "/close", account="large", symbol=PUT, qty=1)
        kill_and_start(killable_database)
        running.rest()

    running.play({"14:45:00": die_deciding, "15:00:00": die_closing})

    assert ["rec-1", "rec-2"] == running.rows("SELECT recommendation FROM decisions ORDER BY recommendation")
    assert WON[0] in running.rows(POSITIONS)
    assert [(PUT, 2)] == [(symbol, most) for symbol, _, most, *_ in running.rows(POSITIONS) if symbol == PUT]
    running.assert_rows_equal_the_broker()


GOOD, ALSO_GOOD = a_line("good", "14:40:00"), a_line("also-good", "14:40:00", PUT, 1)


def _broken(**over: Any) -> str:
    return a_line(f"broken-{next(iter(over))}", "14:40:00", **over)


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
def test_malformed_recommendations_become_dead_letters_and_their_neighbours_are_decided(
    small_day: Callable[..., Path], a_running: Callable[..., Running], together: bool
):
    """
    Wrong type, unknown field, NaN, naive time, unknown account, float money, 10 MB: each is a dead
    letter whose reason names the field and the value, and the good ones around it are decided.
    """
    naive = json.dumps(json.loads(_broken(reason={})) | {"at": f"{DAY}T14:40:00"})
    broken = {
        _broken(qty="three"): ("qty", "'three'"),
        _broken(surprise=1): ("surprise", "1"),
        _broken(confidence="0.8").replace('"0.8"', "NaN"): ("body", "NaN"),
        naive: ("at", f"{DAY}T14:40:00"),
        _broken(accounts=["large-100k"]): ("accounts", "large-100k"),
        _broken(notional_usd=250.5, qty=None): ("notional_usd", "250.5"),
        _broken(source="x" * 10_000_000): ("body", "10000"),
    }
    running = a_running(small_day(a_line("rec-0", "14:32:00", PUT, 1, confidence="0.10")))
    lines = [GOOD, *broken, ALSO_GOOD]

    def send() -> None:
        for batch in [lines] if together else [[line] for line in lines]:
            running.recommend(*batch)
            running.rest()

    running.play({"14:40:00": send})

    letters = running.rows("SELECT reason, attempts FROM dead_letters ORDER BY dead_id")
    assert len(broken) == len(letters)
    for (field, value), (reason, _) in zip(broken.values(), letters, strict=True):
        assert field in reason, reason
        assert value in reason, reason
    assert [("also-good", "approved"), ("good", "approved"), ("rec-0", "refused")] == running.rows(
        "SELECT recommendation, outcome FROM decisions ORDER BY recommendation"
    )
    assert WON[0] in running.rows(POSITIONS)
    running.assert_rows_equal_the_broker()


def test_nothing_is_left_on_the_clock(running: Running):
    """A stack that was stopped in the middle of a day stands where it was left, to the step."""
    running.play_to("14:45:00")

    assert at("14:45:00") == running.driver.paper.clock().at
    assert [(CALL, 3)] == running.rows("SELECT symbol, qty FROM positions")
