"""The report: exactly the promised keys and types, the figures from rows, and a digest that means something."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from cli.report import report
from db import limits
from db.views import one_moment
from tests.cli.house import AAA, BBB, House
from tests.factories import LARGE, TINY
from tests.servers import Cluster

TOP = {
    *("recommendations", "dead_letters", "breaches", "drift", "digest", "decisions", "orders", "fills", "positions"),
    *("accounts", "gap", "latency"),
}
DECISION = {"recommendation", "account", "outcome", "checks", "refusals"}
CHECK = {"gate", "passed", "observed", "allowed", "source", "age_s"}
ORDER = {
    *("order_id", "client_order_id", "account", "position_id", "recommendation", "symbol", "side", "intent", "qty"),
    *("type", "limit_price", "status", "filled_qty", "submitted_at", "ended_at", "reject_code"),
}
FILL = {"fill_id", "execution_id", "order_id", "account", "symbol", "side", "qty", "price", "at"}
POSITION = {
    *("position_id", "account", "symbol", "strategy", "multiplier", "qty", "max_qty", "entry_price", "exit_price"),
    *("opened_at", "closed_at", "exit_reason", "realized_pnl_usd", "max_favorable_pct", "max_adverse_pct"),
    "close_blocked",
}
ACCOUNT = {"account", "limits", "peak_positions", "peak_exposure_usd", "realized_pnl_usd", "state"}


def a_day(house: House) -> None:
    """A target reached in `large`, where another position stays open; in `tiny` a refusal and a close that waits."""
    house.recommend("rec-1", symbol=AAA, qty=2, accounts=(LARGE, TINY))
    house.trade()
    house.trade(TINY)
    house.recommend("rec-2", symbol=BBB, qty=1, accounts=(LARGE, TINY))
    house.trade()
    house.tick(AAA, "4.00")
    house.tick(AAA, "9.50")
    house.trade()
    house.now += timedelta(minutes=1)


def read(house: House) -> dict[str, Any]:
    with one_moment(house.engine) as tx:
        return report(tx)


def test_the_report_has_exactly_the_promised_keys(house: House):
    """Every object of the report has the keys of the interface, no more and no fewer."""
    a_day(house)
    found = read(house)

    assert set(found) == TOP
    assert [DECISION] == _keys(found["decisions"])
    assert [CHECK] == _keys(check for decision in found["decisions"] for check in decision["checks"])
    assert [ORDER] == _keys(found["orders"])
    assert [FILL] == _keys(found["fills"])
    assert [POSITION] == _keys(found["positions"])
    assert [ACCOUNT] == _keys(found["accounts"])
    assert {*limits.NAMES} == set(found["accounts"][0]["limits"])
    assert set(found["gap"]) == {"fill_to_position_ms"}
    assert set(found["latency"]) == {"recommendation_to_order_ms", "tick_to_decision_ms"}
    assert [{"p50", "p99", "max"}] == _keys([*found["gap"].values(), *found["latency"].values()])


def _keys(objects: Any) -> list[set[str]]:
    found: list[set[str]] = []
    for item in objects:
        if set(item) not in found:
            found.append(set(item))
    return found


def test_money_is_text_counts_are_numbers_times_end_in_z(house: House):
    """The report is JSON as it stands; nothing in it is a float of dollars or a time without zone."""
    a_day(house)
    found = json.loads(json.dumps(read(house), allow_nan=False))

    money = re.compile(r"-?\d+\.\d{2,}")
    times = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
    for name, value in _leaves(found):
        if value is None:
            continue
        if name.endswith(("_usd", "_price", "_pct")) or name == "price":
            assert isinstance(value, str), name
            assert money.fullmatch(value), (name, value)
        if name.endswith("_at") or name == "at":
            assert times.fullmatch(value), (name, value)
        if name.endswith("qty") or name in ("breaches", "recommendations", "dead_letters", "peak_positions"):
            assert type(value) is int, (name, value)


def _leaves(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, name)
    else:
        yield name, value


def test_the_figures_are_those_of_the_day(house: House):
    """
    Two at 5.00 leave at the target for 9.50: 900.00 dollars, seen from -20 % to +90 %. The account's
    peaks count reservations, and its slots are one at `tiny`, which therefore refused the second.
    """
    a_day(house)
    found = read(house)
    [target] = [p for p in found["positions"] if p["exit_reason"] == "target"]
    [still_open] = [p for p in found["positions"] if p["closed_at"] is None and p["account"] == LARGE]
    [large, tiny] = found["accounts"]
    [refused] = [d for d in found["decisions"] if d["outcome"] == "refused"]

    assert ("5.00", "9.50", "900.00") == (target["entry_price"], target["exit_price"], target["realized_pnl_usd"])
    assert ("90.00", "-20.00", None) == (
        target["max_favorable_pct"],
        target["max_adverse_pct"],
        target["close_blocked"],
    )
    assert (0, 2) == (target["qty"], target["max_qty"])
    assert (1, "0.00", None) == (still_open["qty"], still_open["realized_pnl_usd"], still_open["exit_reason"])
    assert ("rec-2", TINY) == (refused["recommendation"], refused["account"])
    assert refused["refusals"] == [check for check in refused["checks"] if not check["passed"]]
    assert {"position_count_is_within_limit"} <= {check["gate"] for check in refused["refusals"]}
    assert (2, "1500.00", "900.00", "active") == (
        large["peak_positions"],
        large["peak_exposure_usd"],
        large["realized_pnl_usd"],
        large["state"],
    )
    assert (1, "1000.00") == (tiny["peak_positions"], tiny["peak_exposure_usd"])
    assert (2, 0, 0, []) == (found["recommendations"], found["dead_letters"], found["breaches"], found["drift"])


def test_without_any_row_nothing_is_invented(engine: Engine):
    """An empty ledger has no percentiles: they are null, not zero."""
    with one_moment(engine) as tx:
        found = report(tx)

    assert {"p50": None, "p99": None, "max": None} == found["gap"]["fill_to_position_ms"]
    assert [] == found["accounts"]


def test_dollars_of_an_account_are_unknown_when_a_position_left_without_a_price(house: House):
    """A phantom leaves by an adjustment without a price: the position's result is unknown, and so is the sum."""
    house.recommend(qty=1)
    house.trade()
    house.exchanges[LARGE].held.clear()
    house.now += timedelta(minutes=1)
    house.reconciler.reconcile(LARGE, house.now, fix=True)
    house.settle()
    found = read(house)

    assert [("external", None, None)] == [
        (p["exit_reason"], p["exit_price"], p["realized_pnl_usd"]) for p in found["positions"]
    ]
    assert [None, "0.00"] == [a["realized_pnl_usd"] for a in found["accounts"]]


def test_a_close_that_never_has_a_price_says_how_often_it_was_tried(house: House):
    """Three closes without a fill: the position is open, wants to be left, and says 3; a fill clears it."""
    house.recommend(qty=2)
    house.trade()
    exchange = house.exchanges[LARGE]
    house.tick(AAA, "2.00")
    for _ in range(2):
        exchange.cancel(exchange.open_orders()[0].broker_order_id)
        house.settle()
        house.exit.handle_timer(house.now)
        house.tick(AAA, "2.00")
    [blocked] = read(house)["positions"]
    exchange.fill(exchange.open_orders()[0].broker_order_id)
    house.settle()
    [freed] = read(house)["positions"]

    assert 3 == blocked["close_blocked"]
    assert freed["close_blocked"] is None


def test_a_short_is_favoured_by_a_falling_price(house: House):
    """For a short position the lowest price is the best one: the signs follow the side."""
    house.recommend(qty=1)
    house.trade()
    with house.engine.begin() as tx:
        tx.execute(text("UPDATE positions SET qty = -1"))
        tx.execute(text("UPDATE exit_plans SET peak = 4.00, trough = 6.00"))
    [position] = read(house)["positions"]

    assert ("20.00", "-20.00") == (position["max_favorable_pct"], position["max_adverse_pct"])


def test_a_breach_is_an_opening_beyond_the_limits_of_its_moment(house: House):
    """The log of commitments proves it; an adoption that goes beyond is none."""
    house.recommend(qty=1)
    with house.engine.begin() as tx:
        row = (
            "INSERT INTO commitment_log (account, position_id, adopted, positions, exposure_usd, max_positions,"
            " max_exposure_usd, at) VALUES ('large', gen_random_uuid(), :adopted, :positions, :usd, 5, 10000, now())"
        )
        for adopted, positions, usd in ((False, 6, 1), (False, 1, 10001), (True, 6, 10001), (False, 5, 10000)):
            tx.execute(text(row), {"adopted": adopted, "positions": positions, "usd": usd})

    assert 2 == read(house)["breaches"]


# ---------------------------------------------------------------- the digest


@pytest.fixture
def digest_of(migrated_cluster: Cluster) -> Callable[..., str]:
    """Play a day on a database of its own and return its digest."""
    from sqlalchemy import create_engine

    def play(happen: Callable[[House], None] = a_day, *, orders_before: int = 0, wall_s: int = 0) -> str:
        with migrated_cluster.a_database() as url:
            engine = create_engine(url)
            house = House(engine, orders_before=orders_before)
            house.wall += timedelta(seconds=wall_s)
            happen(house)
            digest: str = read(house)["digest"]
            engine.dispose()
            return digest

    return play


def test_the_digest_does_not_depend_on_broker_ids_or_on_the_wall(digest_of: Callable[..., str]):
    """The same day at a brokerage that counts its orders from another number, at another hour: the same digest."""
    assert digest_of() == digest_of(orders_before=7, wall_s=4000)


def test_the_digest_depends_on_what_was_decided_and_what_came_of_it(digest_of: Callable[..., str]):
    """Another quantity, another price path or one more refusal: another digest each time."""

    def more(house: House) -> None:
        a_day(house)
        house.recommend("rec-3", symbol=BBB, qty=1, accounts=(TINY,))

    def fewer(house: House) -> None:
        house.recommend("rec-1", symbol=AAA, qty=1)

    def same_but_unfilled(house: House) -> None:
        house.recommend("rec-1", symbol=AAA, qty=2)

    def same_but_filled(house: House) -> None:
        house.recommend("rec-1", symbol=AAA, qty=2)
        house.trade()

    days = (a_day, more, fewer, same_but_unfilled, same_but_filled)
    assert len(days) == len({digest_of(day) for day in days})
