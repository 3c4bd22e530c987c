"""``gapless why-nothing`` and ``explain``: every outcome is counted once, and what stood in the way is said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from actors import trading_state
from cli.wiring import ACTORS
from db import accounts, dead_letters, decisions, heartbeats, integrity
from domain.account import TradingState
from tests.cli.conftest import Answer
from tests.cli.house import AAA, BBB, CCC, House
from tests.factories import LARGE, NOON, TINY

Gapless = Callable[..., Answer]


def why(gapless: Gapless, *args: str) -> Any:
    answer = gapless("why-nothing", "--json", *args)
    assert 0 == answer.code
    return answer.document


def everybody_lives(house: House) -> None:
    with house.engine.begin() as tx:
        for actor in ACTORS:
            heartbeats.beat(tx, actor, "host-1", "test", house.wall)


@pytest.fixture
def calm(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """Every actor lives, by a wall that stands still."""
    monkeypatch.setattr("cli.wiring.datetime", _Standing)
    everybody_lives(house)
    return house


class _Standing:
    @staticmethod
    def now(_: Any) -> Any:
        return NOON


def test_a_day_without_recommendations_says_so(calm: House, gapless: Gapless):
    """All is well and nobody recommended anything: that, and nothing else, is the answer."""
    assert ["no recommendation was read since"] == [answer[:32] for answer in why(gapless)["answers"]]


def test_refusals_are_grouped_by_what_refused(calm: House, gapless: Gapless):
    """Three are refused: one for its confidence alone, two for it and more; each check says how often and how."""
    calm.recommend("rec-1", symbol=AAA, confidence=Decimal("0.10"))
    calm.recommend("rec-2", symbol=BBB, confidence=Decimal("0.20"), strategy="moon_trade")
    calm.recommend("rec-3", symbol=CCC, strategy="moon_trade")
    document = why(gapless)
    counted = {row["gate"]: (row["count"], row["alone"]) for row in document["refusals"]}

    assert {"approved": 0, "refused": 3, "recommendations": 3, "undecided": 0} == document["outcomes"]
    assert (3, 1) == counted["confidence_is_enough"]
    assert (2, 0) == counted["strategy_is_known"]
    assert "confidence is enough refused 3 of 3 refusals, 1 by this alone" in " ".join(document["answers"])


def test_an_account_that_is_not_active_is_named_with_its_reason(calm: House, gapless: Gapless):
    """Halted by a person, or held by the interlock: state, reason and cause are there."""
    with calm.engine.begin() as tx:
        trading_state.change(calm.desk, tx, LARGE, TradingState.HALTED, "fire drill", "somebody")
        trading_state.engage(calm.desk, tx, TINY, "exit", "exit not known to be well", "interlock")
    document = why(gapless)

    assert "large is halted: fire drill" in document["answers"]
    assert "tiny is reducing: interlock: exit not known to be well" in " ".join(document["answers"])
    assert ["large"] == [row["account"] for row in why(gapless, "--account", LARGE)["accounts"]]


def test_an_actor_that_does_not_run_is_named(calm: House, gapless: Gapless):
    """One was never seen, one is silent for an hour."""
    with calm.engine.begin() as tx:
        tx.execute(text("DELETE FROM heartbeats WHERE actor IN ('gate', 'exit')"))
        heartbeats.beat(tx, "exit", "host-1", "test", NOON - timedelta(hours=1))
    answers = why(gapless)["answers"]

    assert "gate has never run" in answers
    assert any(answer.startswith("exit is not running: last seen") for answer in answers)


def test_what_was_read_and_not_decided_is_counted_and_is_a_mismatch(calm: House, gapless: Gapless):
    """Two accounts, one outcome: the other is undecided here, and `verify` says so."""
    calm.recommend("rec-1", symbol=AAA, confidence=Decimal("0.10"))
    with calm.engine.begin() as tx:
        body = {"accounts": ["large", "tiny"]}
        decisions.remember(tx, "rec-2", body, calm.now, calm.now)  # type: ignore[arg-type]
        missing = [m.id for m in integrity.mismatches(tx) if m.table == "decisions"]
    document = why(gapless)

    assert ["rec-2@large", "rec-2@tiny"] == missing
    assert 2 == document["outcomes"]["undecided"]
    assert "2 were read and are not decided yet" in document["answers"]
    assert ["large", "tiny"] == gapless("explain", "rec-2", "--json").document["undecided"]
    assert 2 == gapless("status", "--json").document["undecided"]


def test_what_could_not_be_read_is_counted_by_its_reason(calm: House, gapless: Gapless):
    """Two dead letters of one kind are one answer."""
    with calm.engine.begin() as tx:
        for number in range(2):
            dead_letters.record(
                tx,
                stream="recommendations",
                actor="gate",
                entry_id=f"{number}-0",
                fact_type="RecommendationIssued",
                body="{}",
                account=None,
                reason="id: missing",
                attempts=1,
                origin="test",
                now=calm.now,
            )

    assert "2 could not be read: id: missing" in why(gapless)["answers"]


def test_what_was_approved_and_did_not_fill_is_told(calm: House, gapless: Gapless):
    """An entry waits at the brokerage: approved, and still nothing was bought."""
    calm.recommend("rec-1", symbol=AAA)

    assert "1 approved without a fill: accepted" in why(gapless)["answers"]


def test_when_it_was_bought_nothing_stood_in_the_way(calm: House, gapless: Gapless):
    """Approved and filled: no answer is left, for people either."""
    calm.recommend("rec-1", symbol=AAA)
    calm.trade()

    assert [] == why(gapless)["answers"]
    assert "nothing stands in the way" in gapless("why-nothing").out


def test_only_what_came_since_counts(calm: House, gapless: Gapless):
    """Yesterday's refusals explain yesterday."""
    calm.recommend("rec-1", symbol=AAA, confidence=Decimal("0.10"))
    later = f"{calm.now + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"

    assert 1 == why(gapless)["outcomes"]["refused"]
    assert 0 == why(gapless, "--since", later)["outcomes"]["refused"]


@pytest.mark.parametrize("since", ["yesterday", "2026-02-03T12:00:00"])
def test_a_moment_is_a_time_with_its_zone(house: House, gapless: Gapless, since: str):
    """Wrong usage, and an example of what is right."""
    answer = gapless("why-nothing", "--since", since)

    assert 2 == answer.code
    assert "--since" in answer.err


def test_explain_shows_people_code_configuration_and_every_check(calm: House, gapless: Gapless):
    """One table: outcome, code, configuration, sizing, and each check with value, limit, source and age."""
    calm.recommend("rec-1", symbol=AAA)
    told = " ".join(gapless("explain", "rec-1").out.split())

    for word in ("approved", "1.0+code", "configuration config", "check", "observed", "allowed", "source", "age"):
        assert word in told
    assert "stack is alive" in told


def test_explain_keeps_its_shape(calm: House, gapless: Gapless):
    """The keys that others read are there, each check with its six."""
    calm.recommend("rec-1", symbol=AAA)
    [item] = gapless("explain", "rec-1", "--json").document["items"]

    assert {"recommendation", "account", "outcome", "checks", "refusals"} <= set(item)
    assert {"gate", "passed", "observed", "allowed", "source", "age_s"} <= set(item["checks"][0])


def test_the_state_of_all_accounts_is_told_and_refuses(calm: House, gapless: Gapless):
    """Halted for all: an account that is resumed alone stays halted, and the refusal says for all."""
    gapless("halt", "--all", "--reason", "fire drill")
    answer = gapless("resume", LARGE, "--reason", "this one")
    calm.recommend("rec-1", symbol=AAA)
    [refused] = gapless("explain", "rec-1", "--json").document["items"][0]["refusals"]

    assert "every account is halted" in answer.out
    assert "halted (every account: fire drill)" == refused["observed"]
    states = {row["account"]: row["state"] for row in gapless("accounts", "--json").document["items"]}
    assert {LARGE: "halted", TINY: "halted"} == states

    gapless("resume", "--all", "--reason", "drill is over")
    calm.recommend("rec-2", symbol=BBB)
    assert "approved" == gapless("explain", "rec-2", "--json").document["items"][0]["outcome"]


def test_an_account_that_is_configured_later_is_halted_too(calm: House, gapless: Gapless):
    """`--all` is not those of today only."""
    gapless("halt", "--all", "--reason", "fire drill")
    with calm.engine.begin() as tx:
        assert (TradingState.HALTED, "fire drill") == accounts.every_state(tx)
