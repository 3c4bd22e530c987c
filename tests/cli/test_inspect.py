"""The commands that look: their documents, their exit codes, and `--json` on either side of the command's name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import redis
from sqlalchemy import text

from db import dead_letters, heartbeats
from streams.publish import publish
from tests.cli.conftest import Answer
from tests.cli.house import AAA, BBB, House
from tests.cli.test_report import ACCOUNT, DECISION, FILL, ORDER, POSITION, a_day
from tests.factories import LARGE, NOON, TINY, a_quote, ticked

Gapless = Callable[..., Answer]


@pytest.mark.parametrize(
    ("command", "promised"),
    [("accounts", ACCOUNT), ("positions", POSITION), ("orders", ORDER), ("fills", FILL)],
)
def test_a_list_holds_the_objects_of_the_report(house: House, gapless: Gapless, command: str, promised: set[str]):
    """``{as_of, items}``: each item has the report's keys and, beside them, an age."""
    a_day(house)
    answer = gapless(command, "--json")

    assert 0 == answer.code
    assert {"as_of", "items"} == set(answer.document)
    assert answer.document["items"]
    assert all(promised <= set(item) for item in answer.document["items"])
    assert all(any(key.endswith("age_s") for key in item) for item in answer.document["items"])


def test_json_may_stand_before_or_after_the_command(house: House, gapless: Gapless):
    """Both spellings give the same document."""
    a_day(house)

    assert gapless("--json", "positions").document == gapless("positions", "--json").document


def test_positions_shows_what_is_open_and_all_on_request(house: House, gapless: Gapless):
    """Two of three positions are open; `--all` adds the closed one, `--account` keeps one account's."""
    a_day(house)

    assert {(LARGE, BBB, "open"), (TINY, AAA, "closing")} == {
        (p["account"], p["symbol"], p["state"]) for p in gapless("positions", "--json").document["items"]
    }
    assert 3 == len(gapless("positions", "--all", "--json").document["items"])
    assert {TINY} == {p["account"] for p in gapless("positions", "--account", TINY, "--json").document["items"]}


def test_the_age_of_a_position_is_on_the_clock_of_the_day(house: House, gapless: Gapless):
    """Opened at noon, looked at 21 minutes later: 1260 s; a closed one keeps the age it reached."""
    a_day(house)
    ages = {
        p["symbol"]: p["age_s"] for p in gapless("positions", "--all", "--account", LARGE, "--json").document["items"]
    }

    assert {BBB: 1260.0, AAA: 1200.0} == ages


def test_a_position_says_how_old_its_price_is_and_that_it_is_disputed(house: House, gapless: Gapless):
    """The side that it leaves at, as exit saw it; two sources that contradict each other are told with their time."""
    house.recommend()
    house.trade()
    [fresh] = gapless("positions", "--json").document["items"]
    assert (None, None) == (fresh["price_age_s"], fresh["price_disputed_since"])

    house.tick(AAA, "5.00")
    house.exit.handle_timer(house.now)
    other = a_quote(AAA, "8.00", "8.10", at=house.now + timedelta(seconds=1))
    house.exit.handle_ticks([ticked(other, at=other.at, feed="rest")])
    house.now += timedelta(seconds=20)
    [told] = gapless("positions", "--json").document["items"]

    assert (20.0, True) == (told["price_age_s"], told["price_disputed_since"] is not None)
    assert "price disputed" in gapless("positions").out


def test_live_orders_are_those_that_have_not_ended(house: House, gapless: Gapless):
    """Only the close that waits at the brokerage is live."""
    a_day(house)

    assert [("tiny", "sell_to_close", "accepted")] == [
        (o["account"], o["intent"], o["status"]) for o in gapless("orders", "--live", "--json").document["items"]
    ]


def test_an_account_that_is_not_configured_is_wrong_usage(house: House, gapless: Gapless):
    """Exit code 2, and the message names those that are."""
    answer = gapless("positions", "--account", "nobody")

    assert 2 == answer.code
    assert "large, tiny" in answer.err


def test_explain_gives_every_check_of_every_account(house: House, gapless: Gapless):
    """The items are the report's decisions; the recommendation stands beside them as it was read."""
    a_day(house)
    answer = gapless("explain", "rec-2", "--json")

    assert 0 == answer.code
    assert [("large", "approved"), ("tiny", "refused")] == [
        (d["account"], d["outcome"]) for d in answer.document["items"]
    ]
    assert all(DECISION <= set(d) for d in answer.document["items"])
    assert {("position_count_is_within_limit", "failed")} == {
        (check["gate"], check["code"]) for d in answer.document["items"] for check in d["refusals"]
    }
    assert BBB == answer.document["recommendation"]["body"]["symbol"]


def test_explain_of_what_nobody_read_is_a_no(house: House, gapless: Gapless):
    """An empty list and exit code 1."""
    answer = gapless("explain", "rec-99", "--json")

    assert (1, [], None) == (answer.code, answer.document["items"], answer.document["recommendation"])


def test_a_timeline_is_the_life_of_a_position_in_order_of_time(house: House, gapless: Gapless):
    """From the recommendation over order, fills and trigger to the close; every event has its time."""
    a_day(house)
    [target] = [
        p["position_id"] for p in gapless("positions", "--all", "--json").document["items"] if p["state"] == "closed"
    ]
    answer = gapless("timeline", target[:8], "--json")
    events = answer.document["items"]

    assert 0 == answer.code
    assert target == answer.document["position_id"] == answer.document["position"]["position_id"]
    assert ("9.50", "4.00") == (answer.document["position"]["peak"], answer.document["position"]["trough"])
    assert sorted(e["at"] for e in events) == [e["at"] for e in events]
    names = [e["event"] for e in events if e["event"] != "filled"]
    opening = ["recommended", "approved", "order written", "sent", "accepted", "policy stored", "order ended"]
    closing = ["exit triggered", "order written", "sent", "accepted", "order ended", "best and worst", "closed"]
    assert [*opening, *closing] == names
    assert ["buy", "buy", "sell"] == [e["side"] for e in events if e["event"] == "filled"]
    assert "target" == next(e["rule"] for e in events if e["event"] == "exit triggered")


def test_a_timeline_shows_an_adjustment_as_such(house: House, gapless: Gapless):
    """What the reconciler took away is no fill: it has no price."""
    house.recommend(qty=1)
    house.trade()
    house.exchanges[LARGE].held.clear()
    house.now += timedelta(minutes=1)
    house.reconciler.reconcile(LARGE, house.now, fix=True)
    house.settle()
    [position] = gapless("positions", "--all", "--json").document["items"]
    events = gapless("timeline", position["position_id"], "--json").document["items"]

    assert [("adjusted", None)] == [(e["event"], e["price"]) for e in events if e["event"] == "adjusted"]
    assert "closed" == events[-1]["event"]


def test_a_timeline_of_an_order_that_never_filled_has_no_position(house: House, gapless: Gapless):
    """The position's id exists from the order on; the position does not."""
    house.recommend(qty=1)
    [order] = gapless("orders", "--json").document["items"]
    answer = gapless("timeline", order["position_id"], "--json")

    assert (0, None) == (answer.code, answer.document["position"])
    assert ["recommended", "approved", "order written", "sent", "accepted"] == [
        e["event"] for e in answer.document["items"]
    ]


@pytest.mark.parametrize(("asked", "code"), [("ffffffff", 1), ("%", 1), ("", 2)])
def test_a_timeline_that_is_not_one_is_refused(house: House, gapless: Gapless, asked: str, code: int):
    """No such position is a no; more than one is wrong usage; a wildcard is a character like any other."""
    a_day(house)

    assert code == gapless("timeline", asked).code


def test_verify_is_a_yes_until_a_row_is_tampered_with(house: House, gapless: Gapless):
    """Exit code 0 and no mismatch; then 1 and one."""
    a_day(house)
    before = gapless("verify", "--json")
    with house.engine.begin() as tx:
        tx.execute(text("UPDATE positions SET realized_pnl_usd = 1 WHERE exit_reason = 'target'"))
    after = gapless("verify", "--json")

    assert (0, {"mismatches": []}) == (before.code, before.document)
    assert (1, 1) == (after.code, len(after.document["mismatches"]))


def test_the_report_can_be_asked_for_again(house: House, gapless: Gapless):
    """What a run printed at its end is read from the rows; drift makes it a no."""
    a_day(house)
    before = gapless("report", "--json")
    house.exchanges[LARGE].held.clear()
    house.reconciler.reconcile(LARGE, house.now)
    after = gapless("report", "--json")

    assert (0, 64) == (before.code, len(before.document["digest"]))
    assert (1, "rows_only") == (after.code, after.document["drift"][0]["kind"])


# ---------------------------------------------------------------- status and streams


def test_streams_shows_how_far_each_group_has_come(house: House, gapless: Gapless, redis_client: redis.Redis):
    """An entry that nobody has read: its group is behind, with its age; the others are caught up."""
    publish(redis_client, "recommendations", {"type": "RecommendationIssued", "body": "{}"})
    groups = {(g["stream"], g["group"]): g for g in gapless("streams", "--json").document["items"]}

    behind = groups["recommendations", "gate"]
    assert (1, 0, False) == (behind["length"], behind["pending"], behind["caught_up"])
    assert behind["oldest_age_ms"] >= 0
    assert (0, True, None) == tuple(
        groups["fills.{0}", "tracker"][key] for key in ("length", "caught_up", "oldest_age_ms")
    )


def test_status_says_what_is_and_how_old_it_is(house: House, gapless: Gapless):
    """Slots, state, session in New York, what waits, who lives and what it runs."""
    a_day(house)
    house.reconciler.reconcile(LARGE, house.now)
    house.now += timedelta(seconds=30)
    with house.engine.begin() as tx:
        heartbeats.beat(tx, "gate", "host-1", "1.0+code/config", NOON)
        dead_letters.record(
            tx,
            stream="fills.{0}",
            actor="tracker",
            entry_id="1-0",
            fact_type=None,
            body=None,
            account=None,
            reason="test",
            attempts=5,
            origin="test",
            now=NOON,
        )
    answer = gapless("status", "--json")
    status = answer.document
    large, tiny = status["accounts"]

    assert 0 == answer.code
    assert (1, "500.00", 30.0) == (large["positions"], large["exposure_usd"], large["reconciled_age_s"])
    assert (None, None) == (tiny["reconciled_at"], tiny["reconciled_age_s"])
    assert ("open", "2026-02-03 12:21:30", "2026-02-03T21:00:00Z") == tuple(
        status["session"][key] for key in ("state", "new_york", "close")
    )
    assert (2, 1, 1, 0) == tuple(status[k] for k in ("open_positions", "closes_blocked", "live_orders", "outbox"))
    assert {"waiting": 1, "ever": 1} == status["dead_letters"]
    assert [("gate", "1.0+code/config")] == [(beat["actor"], beat["origin"]) for beat in status["heartbeats"]]
    assert status["heartbeats"][0]["age_s"] > 0
    assert {"recommendations", "decisions"} <= {group["stream"] for group in status["streams"]}


@pytest.mark.parametrize(
    ("hours", "state"),
    [(0, "open"), (-3, "before the open"), (4, "after the close"), (24, "unknown"), (-24, "no session today")],
)
def test_the_session_is_known_only_as_far_as_the_calendar(house: House, gapless: Gapless, hours: int, state: str):
    """The calendar holds one session, of 3 February: the day before is no session, the day after is unknown."""
    house.now = NOON + timedelta(hours=hours)

    assert state == gapless("status", "--json").document["session"]["state"]


# ---------------------------------------------------------------- for people


#: Every command that looks, as a person types it.
LOOKS = (
    *("accounts", "positions --all", "orders", "fills", "streams", "status", "verify", "report", "explain rec-2"),
    "dead list",
)


def test_every_document_has_a_table_within_a_hundred_columns(
    house: House, gapless: Gapless, monkeypatch: pytest.MonkeyPatch
):
    """For people: no JSON, no line beyond a hundred columns, on an empty ledger and on a full one."""
    monkeypatch.setenv("COLUMNS", "100")
    answers = [gapless(*look.split()) for look in LOOKS]
    a_day(house)
    house.tick(BBB, "5.25")
    answers += [gapless(*look.split()) for look in LOOKS]

    for answer in answers:
        assert answer.code in (0, 1)
        assert answer.out.strip()
        assert "{" not in answer.out.replace("{0}", "")
        assert [] == [line for line in answer.out.splitlines() if len(line.rstrip()) > 100]


def test_the_report_for_people_says_first_what_a_trader_asks(
    house: House, gapless: Gapless, monkeypatch: pytest.MonkeyPatch
):
    """Dollars and slots by account, reasons, refusals with observed and allowed; unknown is said, not zero."""
    monkeypatch.setenv("COLUMNS", "100")
    a_day(house)
    out = gapless("report").out

    for expected in (
        "900.00",
        "2 / 5",
        "1,500.00 / 10,000.00",
        "target",
        "3 approved, 1 refused",
        "position count is within limit",
        "<= 1",
        "unknown",
        "0 breaches",
    ):
        assert expected in out
    assert out.index("Accounts") < out.index("Positions") < out.index("Decisions") < out.index("digest")


def test_eighty_columns_are_enough_to_read_the_state(house: House, gapless: Gapless, monkeypatch: pytest.MonkeyPatch):
    """A pipe or a small terminal: the last column is still there, in whole words."""
    monkeypatch.setenv("COLUMNS", "80")
    a_day(house)
    house.tick(BBB, "5.25")
    told = {
        "report": ("target", "open"),
        "positions": ("open", "closing"),
        "orders": ("accepted",),
        "accounts": ("free",),
    }

    for command, words in told.items():
        out = gapless(command).out
        assert [] == [word for word in words if word not in out]
        assert [] == [line for line in out.splitlines() if len(line.rstrip()) > 80]


def test_nothing_in_a_reason_is_taken_for_markup(gapless: Gapless, monkeypatch: pytest.MonkeyPatch):
    """Square brackets in what a person typed are shown as typed."""
    monkeypatch.setenv("COLUMNS", "160")
    gapless("halt", "large", "--reason", "[red]stop[/red]")

    assert "[red]stop[/red]" in gapless("accounts").out
