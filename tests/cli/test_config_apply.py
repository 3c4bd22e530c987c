"""``gapless config apply``: other rules come into force while actors run, with name and reason, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from actors import policies
from cli.rulebook import Rulebook
from cli.settings import SHIPPED, load
from db import limits
from db import policies as policy_rows
from domain.events import ConfigurationChanged, ExitPolicyChanged, LimitChanged
from streams.codec import decode
from tests.cli.conftest import Answer
from tests.cli.house import House
from tests.factories import LARGE, TINY

Gapless = Callable[..., Answer]


def a_file(folder: Path, *changes: tuple[str, str]) -> str:
    said = SHIPPED.read_text()
    for before, after in changes:
        assert before in said
        said = said.replace(before, after, 1)
    file = folder / "other.toml"
    file.write_text(said)
    return str(file)


def facts(client: redis.Redis) -> list[Any]:
    rows: Any = client.xrange("decisions")
    return [decode(fields) for _, fields in rows]


def test_rules_and_limits_of_a_file_come_into_force_and_are_told(
    house: House, gapless: Gapless, redis_client: redis.Redis, tmp_path: Path
):
    """One fact for the rules, one for each limit; a process that runs goes over to them at its next look."""
    book = Rulebook(house.engine, load(SHIPPED, {}))
    changes = ('max_spread_pct = "30"', 'max_spread_pct = "12"'), ("max_positions = 5", "max_positions = 3")
    answer = gapless("config", "apply", a_file(tmp_path, *changes), "--reason", "calmer", "--json")
    told = facts(redis_client)
    with house.engine.connect() as tx:
        found = limits.configured(tx, LARGE)

    assert 0 == answer.code
    assert found is not None
    assert (3, 12) == (found.max_positions, book.refresh().rule_book().of(LARGE, "day_trade").max_spread_pct)
    assert [answer.document["hash"]] == [f.after for f in told if isinstance(f, ConfigurationChanged)]
    assert (LARGE, "5", "3", "calmer") in [
        (f.account, f.before, f.after, f.reason) for f in told if isinstance(f, LimitChanged)
    ]


def test_a_changed_exit_policy_is_told_with_the_rules(
    house: House, gapless: Gapless, redis_client: redis.Redis, tmp_path: Path
):
    """New positions get it from then on; what is held keeps its own."""
    policies.take_notice(house.desk, load(SHIPPED, {}).policies())
    file = a_file(tmp_path, ("max_hold_min = 240", "max_hold_min = 200"))
    gapless("config", "apply", file, "--reason", "shorter days")
    changed = [f for f in facts(redis_client) if isinstance(f, ExitPolicyChanged)]
    with house.engine.connect() as tx:
        in_force = policy_rows.in_force(tx, LARGE)

    assert {(account, "day_trade", kind) for account in (LARGE, TINY) for kind in ("option", "stock")} == {
        (fact.account, fact.strategy, fact.kind) for fact in changed
    }
    assert {("max_hold: 4:00:00 -> 3:20:00",)} == {fact.changes for fact in changed}
    assert timedelta(minutes=200) == in_force["day_trade", "option"].max_hold


def test_the_same_file_again_changes_nothing(house: House, gapless: Gapless, tmp_path: Path):
    """It is in force already, and says so."""
    file = a_file(tmp_path)
    gapless("config", "apply", file, "--reason", "first")

    assert "in force already" in gapless("config", "apply", file, "--reason", "again").out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("no_entry_before_close_min = 15", "no_entry_before_close_min = 1"), "flattened"),
        (("[accounts.tiny]", "[accounts.other]"), "accounts come and go at a start"),
        (('max_exposure_usd = "10000"', 'max_exposure_usd = "1000000"'), "at most 4 x the equity"),
        (("max_positions = 5", 'max_positions = "many"'), "accounts.large.max_positions"),
    ],
    ids=["rules that contradict each other", "another account", "an absurd limit", "a wrong type"],
)
def test_what_makes_no_sense_does_not_come_into_force(
    house: House, gapless: Gapless, tmp_path: Path, change: tuple[str, str], said: str
):
    """Nothing of it: neither the rules nor the limits, and the key is named (R12)."""
    house.reconciler.reconcile(LARGE, house.now)
    with house.engine.connect() as tx:
        before = limits.configured(tx, LARGE)
    with pytest.raises(ValueError, match=said):
        gapless("config", "apply", a_file(tmp_path, change), "--reason", "drill")

    with house.engine.connect() as tx:
        assert before == limits.configured(tx, LARGE)
        assert 0 == tx.exec_driver_sql("SELECT count(*) FROM configurations").scalar_one()
