"""``gapless policy``: a change is a fact, and governs what is held only when a person says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import text

from actors import policies as acts
from actors.tracker import Tracker
from cli.acts import NoReason
from cli.ruled import RuledPolicies
from cli.settings import SHIPPED, Settings, load
from cli.wiring import Wiring
from db import configurations, exit_plans, policies, positions
from domain.events import ExitPolicyApplied, ExitPolicyChanged, ExitTriggered
from domain.exits import ExitPolicy
from domain.ids import AccountName
from domain.instrument import Kind
from tests.cli.conftest import Answer
from tests.cli.house import AAA, House
from tests.factories import LARGE, TINY

Gapless = Callable[..., Answer]
MINUTE = timedelta(minutes=1)
TIGHTER = '[accounts.large.exits.option]\nstop_pct = "20"\n'


@pytest.fixture
def shipped() -> Settings:
    return load(SHIPPED, {})


@pytest.fixture
def tighter(tmp_path: Path) -> Path:
    """The shipped file, but options of the large account stop at 20 %."""
    file = tmp_path / "tighter.toml"
    file.write_text(SHIPPED.read_text(encoding="utf-8") + "\n" + TIGHTER, encoding="utf-8")
    return file


@pytest.fixture
def held(house: House, shipped: Settings) -> House:
    """Two of AAA in each account, bought at 5.00 under the shipped policies, which were taken notice of."""
    house.tracker = Tracker(house.desk, shipped.policy_of)
    acts.take_notice(house.desk, shipped.policies())
    house.recommend(accounts=(LARGE, TINY))
    house.trade()
    house.trade(TINY)
    return house


def told(house: House, kind: type[Any]) -> list[Any]:
    house.settle()
    return [fact for fact in house.published["decisions"] if isinstance(fact, kind)]


def versions(house: House) -> dict[str, str]:
    with house.engine.connect() as tx:
        return {row.account: row.policy.version for row in positions.all_open(tx)}


def in_force(house: House) -> Mapping[tuple[str, str], ExitPolicy]:
    with house.engine.connect() as tx:
        return policies.in_force(tx, LARGE)


# ---------------------------------------------------------------- a change is a fact


def test_the_first_policies_are_written_down_and_are_no_change(house: House, shipped: Settings):
    """Every strategy and kind of each account, once, and again nothing."""
    acts.take_notice(house.desk, shipped.policies())
    acts.take_notice(house.desk, shipped.policies())

    assert {(s, k): p for (a, s, k), p in shipped.policies().items() if a == LARGE} == dict(in_force(house))
    assert [] == told(house, ExitPolicyChanged)
    with house.engine.connect() as tx:
        assert len(shipped.policies()) == tx.execute(text("SELECT count(*) FROM exit_policies")).scalar_one()


def test_a_changed_policy_is_told_with_what_differs(house: House, shipped: Settings, tighter: Path):
    """Three strategies of one account stop earlier: three facts, each with both versions and the number."""
    acts.take_notice(house.desk, shipped.policies())
    changed = load(tighter, {})
    acts.take_notice(house.desk, changed.policies())
    acts.take_notice(house.desk, changed.policies())

    facts = told(house, ExitPolicyChanged)
    assert [(LARGE, name, "option") for name in ("adopted", "day_trade", "swing_trade")] == [
        (fact.account, fact.strategy, fact.kind) for fact in facts
    ]
    assert {("stop_pct: 40 -> 20",)} == {fact.changes for fact in facts}
    day_trade = ("day_trade", "option")
    before = shipped.policies()[LARGE, *day_trade]
    assert (before.version, in_force(house)[day_trade].version) == (facts[1].before_version, facts[1].version)


def test_a_policy_that_comes_back_is_told_again(house: House, shipped: Settings, tighter: Path):
    """There and back are two changes: the history says what was in force when."""
    for settings in (shipped, load(tighter, {}), shipped):
        acts.take_notice(house.desk, settings.policies())
        house.now += MINUTE

    assert ["stop_pct: 40 -> 20", "stop_pct: 20 -> 40"] == [
        fact.changes[0] for fact in told(house, ExitPolicyChanged) if fact.strategy == "day_trade"
    ]


def test_an_account_that_is_not_configured_is_left_out(house: House, shipped: Settings):
    """Its policies are noticed when it has a row."""
    nobody = AccountName("nobody")
    policy = shipped.policies()[LARGE, "day_trade", "option"]

    acts.take_notice(house.desk, {(nobody, "day_trade", "option"): policy})

    assert {} == dict(in_force(house))


def test_a_tracker_goes_over_to_the_policies_of_new_rules(
    house: House, shipped: Settings, tighter: Path, redis_client: redis.Redis
):
    """Its next position gets them, and they are told once."""
    wiring = Wiring.of(shipped, house.engine, redis_client)
    ruled = RuledPolicies(wiring.desk, wiring.rules)
    ruled.follow()
    other = load(tighter, {})
    with house.engine.begin() as tx:
        configurations.put(tx, other.hash(), other.rules(), "tester", "tighter", house.now)
    ruled.follow()
    ruled.follow()

    configured = other.policy_of(LARGE, "day_trade", Kind.CALL)
    assert configured == wiring.rules.policy_of(LARGE, "day_trade", Kind.CALL) == in_force(house)["day_trade", "option"]
    assert Decimal(20) == configured.stop_pct
    assert 3 == len(told(house, ExitPolicyChanged))


# ---------------------------------------------------------------- what is held keeps its policy


def test_what_is_held_keeps_the_policy_it_was_opened_with(held: House, tighter: Path):
    """The configuration changes; the position does not, until somebody says so."""
    before = versions(held)
    acts.take_notice(held.desk, load(tighter, {}).policies())

    held.tick(AAA, "3.90", after=31 * MINUTE)  # -22 %

    assert before == versions(held)
    assert [] == told(held, ExitTriggered)


def test_an_applied_policy_governs_at_once_and_is_audited(held: House, gapless: Gapless, tighter: Path):
    """One account: the audit with name and reason, the new version; then its stop fires at -22 %."""
    answer = gapless(
        "--config", str(tighter), "policy", "apply", "--account", LARGE, "--reason", "thin market", "--json"
    )

    assert 0 == answer.code
    [item] = answer.document["items"]
    assert (LARGE, AAA, ["stop_pct: 40 -> 20"]) == (item["account"], item["symbol"], item["changes"])
    assert {LARGE: item["version"], TINY: item["before_version"]} == versions(held)
    with held.engine.connect() as tx:
        [audit] = tx.execute(text("SELECT account, what, reason FROM account_changes WHERE what LIKE 'exit policy%'"))
    assert (LARGE, "thin market") == (audit.account, audit.reason)
    assert f"{item['before_version']} -> {item['version']}" in audit.what

    held.tick(AAA, "3.90", after=31 * MINUTE)

    assert [(LARGE, "stop")] == [(fact.account, fact.rule) for fact in told(held, ExitTriggered)]


def test_applying_again_changes_nothing(held: House, gapless: Gapless, tighter: Path):
    """Two were looked at, neither is governed by another policy any more."""
    apply = ("--config", str(tighter), "policy", "apply", "--all", "--reason", "again", "--json")
    first, second = gapless(*apply), gapless(*apply)

    assert (1, 2) == (len(first.document["items"]), first.document["looked_at"])
    assert ([], 2) == (second.document["items"], second.document["looked_at"])


def test_one_position_can_be_meant(held: House, gapless: Gapless, tighter: Path):
    """By the beginning of its id; a beginning that fits no open position is wrong usage."""
    with held.engine.connect() as tx:
        [large] = [row for row in positions.all_open(tx) if row.account == LARGE]
    apply = ("--config", str(tighter), "policy", "apply", "--reason", "this one", "--json")

    assert 2 == gapless(*apply, "--position", "ffffffff-nobody").code
    assert [str(large.position_id)] == [
        item["position_id"] for item in gapless(*apply, "--position", str(large.position_id)[:13]).document["items"]
    ]


@pytest.mark.parametrize("meant", [(), ("--all", "--account", LARGE), ("--account", "nobody")])
def test_it_must_be_clear_which_positions_are_meant(held: House, gapless: Gapless, meant: tuple[str, ...]):
    """Nothing is done to positions that nobody named."""
    assert 2 == gapless("policy", "apply", *meant, "--reason", "x").code


def test_a_policy_is_not_applied_without_a_reason(held: House, gapless: Gapless, tighter: Path):
    """It is kept with the account, so it must say something."""
    with pytest.raises(NoReason):
        gapless("--config", str(tighter), "policy", "apply", "--all", "--reason", " ")
    assert 1 == len(set(versions(held).values()))


def test_what_the_price_has_been_stays_with_the_position(held: House, shipped: Settings, tighter: Path):
    """Another policy does not forget the peak: a stop that stands may only tighten."""
    held.tick(AAA, "6.00")
    held.exit.handle_timer(held.now)
    with held.engine.connect() as tx:
        [row, _] = positions.all_open(tx)
    acts.apply(held.desk, row.position_id, load(tighter, {}).policy_of(LARGE, "day_trade", row.kind), "x", "tester")

    with held.engine.connect() as tx:
        [after, _] = positions.all_open(tx)
    assert Decimal("6.00") == after.excursion.peak == row.excursion.peak
    assert after.policy.version != row.policy.version
    assert 1 == len(told(held, ExitPolicyApplied))


# ---------------------------------------------------------------- show


def test_show_tells_which_positions_another_policy_governs(held: House, gapless: Gapless, tighter: Path):
    """The configured version, the one in force for new positions, and how many are held under another."""
    answer = gapless("--config", str(tighter), "policy", "show", "--account", LARGE, "--json")
    [row] = [r for r in answer.document["items"] if (r["strategy"], r["kind"]) == ("day_trade", "option")]

    assert {LARGE} == {r["account"] for r in answer.document["items"]}
    assert (1, "20") == (row["positions_under_another"], row["policy"]["stop_pct"])
    assert row["version"] != row["version_in_force"]
    shown = gapless("--config", str(tighter), "policy", "show", "--account", LARGE).out
    assert row["version"] in shown
    assert row["version_in_force"] in shown


def test_the_rules_in_force_count_and_not_the_commands_file(
    held: House, gapless: Gapless, shipped: Settings, tighter: Path
):
    """
    Tighter rules came into force while the command's file still says 40: they are shown and applied, and the file is
    said to be another. The other way round, a file that is not in force governs nothing.
    """
    other = load(tighter, {})
    with held.engine.begin() as tx:
        configurations.put(tx, other.hash(), other.rules(), "tester", "tighter", held.now)
    answer = gapless("policy", "show", "--account", LARGE, "--json").document
    shown = gapless("policy", "show", "--account", LARGE).out
    applied = gapless("policy", "apply", "--account", LARGE, "--reason", "as in force", "--json").document

    [row] = [r for r in answer["items"] if (r["strategy"], r["kind"]) == ("day_trade", "option")]
    assert ("20", 1) == (row["policy"]["stop_pct"], row["positions_under_another"])
    assert (other.hash(), shipped.hash()) == (answer["rules_in_force"], answer["rules_of_file"])
    assert f"rules {other.hash()} are in force" in shown
    assert [["stop_pct: 40 -> 20"]] == [item["changes"] for item in applied["items"]]


def test_the_people_s_view_of_what_was_applied(held: House, gapless: Gapless, tighter: Path):
    """Position, both versions, and each number that changed."""
    answer = gapless("--config", str(tighter), "policy", "apply", "--all", "--reason", "look")

    assert "stop_pct: 40 -> 20" in answer.out
    assert "1 were governed so already" in answer.out


def test_replacing_a_policy_leaves_the_rung(held: House, shipped: Settings):
    """The rung that the ladder acted on is part of what only tightens."""
    with held.engine.begin() as tx:
        [row, _] = positions.all_open(tx)
        exit_plans.mark_rung(tx, row.position_id, Decimal(20))
        exit_plans.mark_rung(tx, row.position_id, Decimal(10))
        exit_plans.replace_policy(tx, row.position_id, shipped.policy_of(LARGE, "swing_trade", row.kind))
        after = positions.get(tx, row.position_id)

    assert after is not None
    assert Decimal(20) == after.ladder_pct
