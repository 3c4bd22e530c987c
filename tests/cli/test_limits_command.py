"""``gapless limits``: what counts, who changed it, overrides that end, and what nobody may set."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis

from domain.events import LimitChanged
from streams.codec import decode
from tests.cli.conftest import Answer
from tests.cli.house import AAA, BBB, CCC, House
from tests.factories import LARGE

Gapless = Callable[..., Answer]
REASON = ("--reason", "fire drill")


def shown(gapless: Gapless, limit: str, account: str = LARGE) -> dict[str, Any]:
    [item] = gapless("limits", "show", account, "--json").document["items"]
    [row] = [row for row in item["limits"] if row["limit"] == limit]
    found: dict[str, Any] = row
    return found


def outcome(gapless: Gapless, recommendation: str) -> tuple[str, list[str]]:
    [item] = gapless("explain", recommendation, "--json").document["items"]
    return item["outcome"], [check["gate"] for check in item["refusals"]]


def test_a_limit_that_is_set_counts_in_the_next_decision(house: House, gapless: Gapless):
    """No restart, no fact that must arrive: the gate reads the row under its lock."""
    house.recommend("rec-1", symbol=AAA)
    gapless("limits", "set", LARGE, "max_positions", "1", *REASON)
    house.recommend("rec-2", symbol=BBB)

    assert ("refused", ["position_count_is_within_limit"]) == outcome(gapless, "rec-2")
    assert (1, 1) == (shown(gapless, "max_positions")["in_force"], shown(gapless, "max_positions")["configured"])


def test_who_changed_what_and_when(house: House, gapless: Gapless):
    """The history says who, when, from what to what and why, the first entry of the configuration included."""
    gapless("limits", "set", LARGE, "max_positions", "1", *REASON)
    [item] = gapless("limits", "show", LARGE, "--history", "--json").document["items"]

    last = item["history"][-1]
    assert (getpass.getuser(), "max_positions", 5, 1, "fire drill") == tuple(
        last[key] for key in ("by", "limit", "before", "after", "reason")
    )
    assert {"configuration"} == {entry["by"] for entry in item["history"][:-1]}


def test_a_change_is_told_on_decisions(house: House, gapless: Gapless, redis_client: redis.Redis):
    """Whoever keeps limits in memory hears of the change: limit, both values, who and why."""
    gapless("limits", "override", LARGE, "max_positions", "1", "--for", "2h", *REASON)
    rows: Any = redis_client.xrange("decisions")
    [fact] = [f for _, fields in rows if isinstance(f := decode(fields), LimitChanged)]

    assert (LARGE, "max_positions", "5", "1") == (fact.account, fact.limit, fact.before, fact.after)
    assert (house.now + timedelta(hours=2), getpass.getuser()) == (fact.until, fact.by)


def test_an_override_ends_by_itself(house: House, gapless: Gapless):
    """One position for two hours: refused now, approved when it has ended, and nobody had to think of it."""
    gapless("limits", "override", LARGE, "max_positions", "1", "--for", "2h", *REASON)
    house.recommend("rec-1", symbol=AAA)
    house.recommend("rec-2", symbol=BBB)
    override = shown(gapless, "max_positions")["override"]
    house.now += timedelta(hours=2)
    house.recommend("rec-3", symbol=CCC)

    assert "refused" == outcome(gapless, "rec-2")[0]
    assert ("fire drill", getpass.getuser()) == (override["reason"], override["by"])
    assert "approved" == outcome(gapless, "rec-3")[0]
    assert None is shown(gapless, "max_positions")["override"]


def test_an_override_is_lifted_before_its_time(house: House, gapless: Gapless):
    """Lifted it is gone; to lift it twice is a no."""
    gapless("limits", "override", LARGE, "max_positions", "1", "--for", "2h", *REASON)
    assert 0 == gapless("limits", "lift", LARGE, "max_positions", *REASON).code

    assert 5 == shown(gapless, "max_positions")["in_force"]
    with pytest.raises(LookupError, match="nothing overrides max_positions"):
        gapless("limits", "lift", LARGE, "max_positions", *REASON)


def test_an_override_may_loosen_and_the_decision_says_under_which_limits(house: House, gapless: Gapless):
    """What was decided is kept with the limits that were in force, overrides included."""
    gapless("limits", "override", LARGE, "max_exposure_usd", "20000.00", "--for", "30m", *REASON)
    house.recommend("rec-1", symbol=AAA)
    [item] = gapless("explain", "rec-1", "--json").document["items"]

    assert ("20000.00", 5) == (item["limits"]["max_exposure_usd"], item["limits"]["max_positions"])
    assert ("1.0+code", "config") == (item["code_version"], item["config_hash"])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("override", LARGE, "max_positions", "1", *REASON), "no override is permanent"),
        (("override", LARGE, "max_positions", "1", "--for", "8d", *REASON), "within 7 days"),
        (("override", LARGE, "max_positions", "1", "--for", "0h", *REASON), "until"),
        (("override", LARGE, "max_positions", "1", "--for", "long", *REASON), "such as 90m"),
        (("override", LARGE, "max_positions", "1", "--until", "2026-02-03T18:00:00", *REASON), "with its zone"),
        (("override", LARGE, "max_positions", "1", "--until", "2020-01-01T00:00:00Z", *REASON), "until"),
        (("set", LARGE, "max_everything", "1", *REASON), "max_positions"),
        (("set", "nobody", "max_positions", "1", *REASON), "nobody"),
        (("set", LARGE, "max_positions", "many", *REASON), "a number is expected"),
        (("set", LARGE, "max_positions", "NaN", *REASON), "a finite number"),
        (("set", LARGE, "max_positions", "1"), "--reason"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_wrong_usage_changes_nothing(house: House, gapless: Gapless, args: tuple[str, ...], said: str):
    """Exit code 2, and the word that is wrong is named."""
    answer = gapless("limits", *args)

    assert 2 == answer.code
    assert said in " ".join(answer.err.replace("│", " ").split())
    assert (5, None) == (shown(gapless, "max_positions")["in_force"], shown(gapless, "max_positions")["override"])


@pytest.mark.parametrize(
    ("limit", "value", "said"),
    [
        ("max_positions", "-1", "accounts.large.max_positions"),
        ("max_positions", "1.5", "accounts.large.max_positions"),
        ("max_positions", "1000000", "accounts.large.max_positions"),
        ("max_exposure_usd", "0", "accounts.large.max_exposure_usd"),
        ("max_exposure_usd", "1000000", "at most 4 x the equity of 100000.00 USD"),
        ("max_daily_loss_usd", "100000.01", "accounts.large.max_daily_loss_usd: the account holds"),
        ("max_drawdown_pct", "101", "accounts.large.max_drawdown_pct"),
        ("max_contracts_per_order", "0", "accounts.large.max_contracts_per_order"),
    ],
)
@pytest.mark.parametrize("lever", [("set",), ("override", "--for", "1h")], ids=["set", "override"])
def test_R04_what_is_absurd_is_not_set(  # noqa: N802 - named after its row
    house: House, gapless: Gapless, limit: str, value: str, said: str, lever: tuple[str, ...]
):
    """No hand brings in what the file could not, or what no loss could reach; the key is named."""
    house.reconciler.reconcile(LARGE, house.now)  # the brokerage has said what the account is worth

    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        gapless("limits", lever[0], LARGE, limit, "--reason", "drill", *lever[1:], "--", value)


def test_a_drawdown_limit_is_switched_on_and_off(house: House, gapless: Gapless):
    """`off` is a value of the two limits that may be off, and of no other."""
    gapless("limits", "set", LARGE, "max_drawdown_usd", "off", *REASON)
    assert None is shown(gapless, "max_drawdown_usd")["in_force"]

    gapless("limits", "set", LARGE, "max_drawdown_usd", "2000.00", *REASON)
    assert "2000.00" == shown(gapless, "max_drawdown_usd")["in_force"]
    with pytest.raises(ValueError, match="max_positions"):
        gapless("limits", "set", LARGE, "max_positions", "off", *REASON)


def test_the_tables_for_people(house: House, gapless: Gapless):
    """Each limit with its value, and the override with its end and its reason."""
    gapless("limits", "override", LARGE, "max_positions", "1", "--for", "2h", *REASON)
    answer = gapless("limits", "show", "--history")

    assert 0 == answer.code
    for word in ("max_positions", "fire drill", "history", "configuration", LARGE, "tiny"):
        assert word in answer.out


def test_every_lever_is_in_the_history_of_the_account(house: House, gapless: Gapless):
    """Set, overridden, lifted: each is a line in account_changes, like every other lever."""
    gapless("limits", "set", LARGE, "max_positions", "4", *REASON)
    gapless("limits", "override", LARGE, "max_positions", "1", "--for", "2h", *REASON)
    gapless("limits", "lift", LARGE, "max_positions", *REASON)
    with house.engine.connect() as tx:
        told = tx.exec_driver_sql("SELECT what FROM account_changes WHERE by <> 'test' ORDER BY change_id DESC LIMIT 3")

        assert ["override max_positions lifted", "override max_positions until", "limit max_positions"] == [
            what.rpartition(" 2026")[0] or what for what in told.scalars()
        ]
