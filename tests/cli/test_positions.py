"""`gapless positions`: the price, the way to every exit rule, and who looks; never against what the exit then does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from db import evaluations
from domain.exits import RULES
from domain.ids import PositionId
from tests.cli.conftest import Answer
from tests.cli.house import AAA, BBB, CCC, House
from tests.cli.test_report import POSITION
from tests.factories import LARGE, SESSION, a_quote, ticked

Gapless = Callable[..., Answer]
NEW = {
    *("price", "price_side", "price_source", "price_at", "price_age_s", "price_is_old", "policy_version", "rules"),
    *("next_rule", "evaluator", "looked_at", "due_at", "looked_age_s", "is_overdue"),
}
RULE = {"rule", "state", "level", "distance", "distance_pct", "arms_at", "at", "left_s", "detail"}


def see(house: House, symbol: str, bid: str, after: timedelta = timedelta(minutes=10)) -> None:
    """The market moves, the exit sees it and keeps what it saw."""
    house.tick(symbol, bid, after)
    house.exit.handle_timer(house.now)
    house.settle()


def one(gapless: Gapless, *args: str) -> dict[str, Any]:
    [found] = gapless("positions", *args, "--json").document["items"]
    return dict(found)


def rules(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {rule["rule"]: rule for rule in found["rules"]}


@pytest.fixture
def held(house: House) -> House:
    """Two contracts at 5.00, last seen at 4.50 ten minutes later."""
    house.recommend(symbol=AAA, qty=2)
    house.trade()
    see(house, AAA, "4.50")
    return house


def test_price_rules_and_who_looks_stand_beside_the_reports_keys(held: House, gapless: Gapless):
    """
    Bought at 5.00, the bid is 4.50 now: the stop at 3.00 is 1.50 away, a third of the price; every rule in the order of
    its priority; money is text.
    """
    held.now += timedelta(seconds=4)
    found = one(gapless)
    told = rules(found)

    assert POSITION | NEW <= set(found)
    assert ("4.50", "bid", 4.0, False) == tuple(
        found[k] for k in ("price", "price_side", "price_age_s", "price_is_old")
    )
    assert [rule.__name__ for rule in RULES] == [rule["rule"] for rule in found["rules"]]
    assert {frozenset(RULE)} == {frozenset(rule) for rule in found["rules"]}
    assert ("on", "3.00", "-1.50", "-33.33") == tuple(
        told["stop"][key] for key in ("state", "level", "distance", "distance_pct")
    )
    assert ("not armed", "6.50") == (told["trailing"]["state"], told["trailing"]["arms_at"])
    assert (229 * 60 + 56, "2026-02-03T21:00:00Z") == (told["max_hold"]["left_s"], told["max_hold"]["at"])
    assert {"off"} == {told[rule]["state"] for rule in ("ladder", "regime", "break_even")}
    assert {"price": "stop", "time": "end_of_day"} == found["next_rule"]


def test_the_next_rule_is_the_one_that_the_exit_then_follows(held: House, gapless: Gapless):
    """A price moved by exactly the distance closes it by that rule; a step before it, nothing does."""
    found = one(gapless)
    way = rules(found)[found["next_rule"]["price"]]
    there = Decimal(found["price"]) + Decimal(way["distance"])

    see(held, AAA, str(there + Decimal("0.0001")), timedelta(seconds=1))
    assert "open" == one(gapless)["state"]
    see(held, AAA, str(there), timedelta(seconds=1))
    assert way["rule"] == one(gapless)["triggered_rule"]


def test_the_rule_that_time_meets_closes_it_then(held: House, gapless: Gapless):
    """Only the clock goes on, to exactly the moment that was said; a microsecond before nothing happens."""
    found = one(gapless)
    way = rules(found)[found["next_rule"]["time"]]
    then = held.now + timedelta(seconds=way["left_s"])

    held.now = then - timedelta(microseconds=1)
    held.exit.handle_timer(held.now)
    assert "open" == one(gapless)["state"]
    held.now = then
    held.exit.handle_timer(held.now)
    assert way["rule"] == one(gapless)["triggered_rule"]


def test_an_old_price_says_so_and_is_no_distance(held: House, gapless: Gapless):
    """Older than the exit believes: shown with its age, and no rule of price knows how far away it is."""
    held.now += timedelta(minutes=20)
    found = one(gapless)
    told = rules(found)

    assert ("4.50", True, 1200.0) == tuple(found[key] for key in ("price", "price_is_old", "price_age_s"))
    assert ("unknown", "3.00", None) == tuple(told["stop"][key] for key in ("state", "level", "distance"))
    assert None is found["next_rule"]["price"]
    assert "on" == told["max_hold"]["state"]
    assert "4.50 20 min old" in gapless("positions").out


def test_a_disputed_price_is_no_distance(held: House, gapless: Gapless):
    """Two sources contradict each other: the price is shown and said to be disputed, and no rule of price sees it."""
    held.now += timedelta(seconds=1)
    other = a_quote(AAA, "8.00", "8.10", at=held.now)
    held.exit.handle_ticks([ticked(other, at=other.at, feed="rest")])
    held.exit.handle_timer(held.now)
    found = one(gapless)

    assert found["price_disputed_since"] is not None
    assert ("unknown", None) == tuple(rules(found)["stop"][key] for key in ("state", "distance"))
    assert None is found["next_rule"]["price"]
    assert "price disputed" in gapless("positions").out


def test_a_price_that_nobody_named_is_null(house: House, gapless: Gapless):
    """No tick since the opening: unknown is not zero, and levels are known all the same."""
    house.recommend(symbol=AAA, qty=1)
    house.trade()
    found = one(gapless)

    assert (None, None, None, None) == tuple(found[k] for k in ("price", "price_at", "price_age_s", "price_is_old"))
    assert (None, "2.50") == (rules(found)["catastrophe"]["distance"], rules(found)["catastrophe"]["level"])
    assert "unknown" in gapless("positions").out


def test_who_looked_and_when_the_next_look_is_due(house: House, gapless: Gapless):
    """Nobody at first; then the exit, with its time; silence beyond what is due is said."""
    house.recommend(symbol=AAA, qty=1)
    house.trade()
    before = one(gapless)
    see(house, AAA, "4.50")
    after = one(gapless)
    with house.engine.begin() as tx:
        evaluations.note(tx, [PositionId(UUID(before["position_id"]))], "exit-1", timedelta(microseconds=1))
    late = one(gapless)

    assert (None, None, None) == tuple(before[key] for key in ("evaluator", "looked_at", "looked_age_s"))
    assert before["due_at"] is not None
    assert after["evaluator"] is not None
    assert after["looked_at"] < after["due_at"]
    assert ("exit-1", True) == (late["evaluator"], late["is_overdue"])
    assert "OVERDUE" in gapless("positions").out


def test_the_minimum_hold_of_a_young_position(house: House, gapless: Gapless):
    """The house holds for five minutes at least: the stop waits until then, the catastrophe does not."""
    house.recommend(symbol=AAA, qty=1)
    house.trade()
    see(house, AAA, "4.50", timedelta(minutes=2))
    told = rules(one(gapless))

    assert ("waiting", "-1.50", 180.0) == tuple(told["stop"][key] for key in ("state", "distance", "left_s"))
    assert "on" == told["catastrophe"]["state"]


def test_after_the_close_the_next_session_counts(held: House, gapless: Gapless):
    """The calendar ends with this session: what hangs on a close is unknown, not due for ever."""
    held.now = SESSION.close + timedelta(hours=1)

    assert "unknown" == rules(one(gapless))["end_of_day"]["state"]


def test_one_position_is_shown_with_its_rules_open_or_closed(held: House, gapless: Gapless):
    """By its id or how it begins; a closed one has no rules any more; none is a no."""
    position = one(gapless)["position_id"]
    shown = gapless("positions", position[:8]).out
    see(held, AAA, "9.10")
    held.trade()
    closed = one(gapless, position)

    for expected in ("catastrophe", "trailing", "not armed", "6.50", "-1.50", "policy test"):
        assert expected in shown
    assert "ladder" not in shown
    assert ("closed", [], None, None) == tuple(closed[key] for key in ("state", "rules", "price", "next_rule"))
    assert 1 == gapless("positions", "ffffffff").code


def test_ten_positions_can_be_read_at_a_glance(house: House, gapless: Gapless, monkeypatch: pytest.MonkeyPatch):
    """Two lines each in a hundred columns, every rule on request; nothing is cut off."""
    monkeypatch.setenv("COLUMNS", "100")
    symbols = [f"{root}260220C00100000" for root in ("AAA", "BBB", "CCC")]
    for number, symbol in enumerate(symbols):
        house.recommend(f"rec-{number}", symbol=symbol, qty=1)
        house.trade()
    for symbol in symbols:
        see(house, symbol, "4.50", timedelta(minutes=2))
    listed, whole = gapless("positions").out, gapless("positions", "--rules").out

    for out in (listed, whole):
        assert [] == [line for line in out.splitlines() if len(line.rstrip()) > 100]
        assert all(symbol in out for symbol in (AAA, BBB, CCC))
    assert 2 * len(symbols) + 5 >= len(listed.strip().splitlines())
    assert len(symbols) == whole.count("catastrophe")
    assert "end_of_day in" in listed


def test_a_close_that_is_under_way_is_said(held: House, gapless: Gapless):
    """Beyond its stop: closing, by which rule; the rule is due."""
    see(held, AAA, "2.60")
    found = one(gapless)

    assert ("closing", "stop") == (found["state"], found["triggered_rule"])
    assert "due" == rules(found)["stop"]["state"]
    assert LARGE in gapless("positions").out
