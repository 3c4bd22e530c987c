"""The accounts that were not guarded: R06, R11, R16, R33, R69, L02, L07, L27, L29."""

# ruff: noqa: N802 - a test is named after its row

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from psycopg2 import errors
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine

from actors.pulse import of_rows
from cli.run import host_actor
from cli.settings import SHIPPED, BadConfiguration, load
from cli.wiring import ACTORS
from db import accounts, heartbeats, marks
from db.schema import WrongSchema
from domain.events import ExitTriggered, RecommendationRefused, Side
from domain.gates import review
from domain.ids import RecommendationId
from domain.interlock import NEEDED
from domain.known import Known, Unknown
from domain.orders import opening_order
from domain.sells import SELL_GATES
from tests.db.wall_kit import configure, hold, open_order, refused
from tests.domain.gate_cases import a_commitment
from tests.factories import (
    LARGE,
    NOON,
    PUT,
    SESSION,
    TINY,
    a_book,
    a_fill,
    a_proposal,
    a_quote,
    a_recommendation,
    some_bounds,
    some_limits,
    ticked,
)
from tests.incidents.make_fixtures import AMZN, SPY_CALL
from tests.incidents.stage import Stage
from tests.servers import Cluster

SECOND = timedelta(seconds=1)
OTHER = "QCOM260220P00145000"


# ---------------------------------------------------------------- R06


@pytest.mark.parametrize("actor", ACTORS)
def test_R06_an_actor_does_not_start_on_another_schema(actor: str, migrated_cluster: Cluster):
    """Code that needs a column, a database that lacks it: nothing is read, and both versions are named."""
    with migrated_cluster.a_database() as url:
        engine = create_engine(url)
        with engine.begin() as tx:
            tx.exec_driver_sql("UPDATE schema_version SET version_num = '0000'")
        engine.dispose()
        shipped = load(SHIPPED, {})
        servers = shipped.servers.model_copy(
            update={"database_url": SecretStr(url), "redis_url": SecretStr("redis://127.0.0.1:1")}
        )
        with pytest.raises(WrongSchema, match="0000"):
            host_actor(shipped.model_copy(update={"servers": servers}), actor)


# ---------------------------------------------------------------- R11


@pytest.mark.parametrize("text", ["[accounts", "", "permitted = []"], ids=["unparsable", "empty", "something else"])
def test_R11_a_configuration_that_cannot_be_read_permits_nothing(tmp_path: Path, text: str):
    """No default list stands in for it: nothing starts."""
    file = tmp_path / "gapless.toml"
    file.write_text(text)
    with pytest.raises(BadConfiguration):
        load(file, {})


def test_R11_without_a_permission_list_nothing_starts_and_an_empty_one_permits_nothing(tmp_path: Path):
    """Missing is an error that names the key; empty is a list of nothing."""
    said = SHIPPED.read_text()
    line = next(line for line in said.splitlines() if line.startswith("permitted = "))
    file = tmp_path / "gapless.toml"

    file.write_text(said.replace(line, ""))
    with pytest.raises(BadConfiguration, match=r"entries\.permitted"):
        load(file, {})

    file.write_text(said.replace(line, "permitted = []"))
    rules = load(file, {}).rule_book().of(LARGE, "day_trade")
    failed = {check.gate for check in review(a_proposal(rules=rules)) if not check.passed}
    assert "action_is_permitted" in failed


# ---------------------------------------------------------------- R16


def test_R16_nothing_opens_in_an_account_that_nobody_would_close_for(stage: Stage):
    """No exit has shown life for longer than the bound: refused, and the missing part is named."""
    with stage.engine.begin() as tx:
        for actor in NEEDED:
            at = stage.now - timedelta(hours=1) if actor == "exit" else stage.now
            heartbeats.beat(tx, actor, "host-1", "test", at)
    object.__setattr__(stage.gate, "pulse", of_rows(stage.desk, some_bounds()))
    stage.prices[AMZN] = (Decimal("4.90"), Decimal("5.00"))
    stage.gate.handle(a_recommendation(at=stage.now, symbol=AMZN, accounts=(LARGE, TINY)), stage.now)
    stage.deliver()

    told = stage.facts(RecommendationRefused)
    assert [LARGE, TINY] == [fact.account for fact in told]
    assert all("exit 3600 s" in " ".join(fact.refusals) for fact in told)


# ---------------------------------------------------------------- R69


def open_two(stage: Stage) -> None:
    """Ten contracts of AMZN at 5.00 in `large`."""
    cheap = (Decimal("0.90"), Decimal("1.00"))
    stage.prices |= {AMZN: (Decimal("4.90"), Decimal("5.00")), SPY_CALL: cheap, OTHER: cheap}
    stage.gate.handle(a_recommendation(id="first", at=stage.now, symbol=AMZN, qty=10), stage.now)
    stage.deliver()
    [order] = stage.rows("SELECT order_id, broker_order_id, client_order_id FROM orders")
    stage.publish("fills.{0}", _filled(stage, order[2]))
    stage.deliver()


def _filled(stage: Stage, client_order_id: str) -> Any:
    fact = a_fill(
        "large-1",
        client_order_id=client_order_id,
        qty=10,
        cum_qty=10,
        price="5.00",
        symbol=AMZN,
        at=stage.now,
    )
    stage.brokerages[LARGE].told(fact)
    return fact


def ask(stage: Stage, name: str, symbol: str = SPY_CALL) -> str:
    """Recommend one contract of SPY, unless told; return the outcome."""
    stage.gate.handle(a_recommendation(id=name, at=stage.now, symbol=symbol, qty=1), stage.now)
    stage.deliver()
    outcome: str = stage.one("SELECT outcome FROM decisions WHERE recommendation = :name", name=name)
    return outcome


def test_R69_at_the_daily_loss_no_entry_passes_and_exits_go_on(stage: Stage):
    """
    $500 is the limit. Ten contracts lose $510: the entry is refused at once, the second look latches,
    and when the price recovers the latch holds. The exit sells at its stop all the same.
    """
    open_two(stage)
    stage.now += SECOND
    assert "approved" == ask(stage, "before", OTHER)

    stage.prices[AMZN] = (Decimal("4.48"), Decimal("4.50"))
    stage.now += SECOND
    assert "refused" == ask(stage, "at-the-limit")
    assert [] == stage.rows("SELECT kind FROM latches WHERE latched_at IS NOT NULL")
    stage.now += SECOND
    assert "refused" == ask(stage, "second-look")
    assert ["daily_loss"] == stage.rows("SELECT kind FROM latches WHERE latched_at IS NOT NULL")

    stage.prices[AMZN] = (Decimal("5.50"), Decimal("5.60"))
    stage.now += SECOND
    assert "refused" == ask(stage, "recovered")
    [checks] = stage.rows("SELECT checks FROM decisions WHERE recommendation = 'recovered'")
    assert ["daily_loss_is_within_limit"] == [check["gate"] for check in checks if not check["passed"]]

    stage.now += timedelta(minutes=31)
    stage.prices[AMZN] = (Decimal("2.00"), Decimal("2.10"))
    stage.publish("ticks.{0}", ticked(a_quote(AMZN, "2.00", "2.10", at=stage.now), at=stage.now))
    stage.deliver()
    assert ["catastrophe"] == [fact.rule for fact in stage.facts(ExitTriggered)]
    assert ["sell"] == stage.rows("SELECT side FROM orders WHERE NOT opening")


def test_R69_realised_losses_count_when_nothing_is_held_any_more(stage: Stage):
    """The position is gone and its loss is not: no mark is needed to know what was realised."""
    open_two(stage)
    stage.now += timedelta(minutes=5)
    stage.prices[AMZN] = (Decimal("2.00"), Decimal("2.10"))
    stage.publish("ticks.{0}", ticked(a_quote(AMZN, "2.00", "2.10", at=stage.now), at=stage.now))
    stage.deliver()
    [client_order_id] = stage.rows("SELECT client_order_id FROM orders WHERE NOT opening")
    sold = a_fill(
        "large-2",
        client_order_id=client_order_id,
        qty=10,
        cum_qty=10,
        price="2.00",
        side=Side.SELL,
        symbol=AMZN,
        at=stage.now,
    )
    stage.brokerages[LARGE].told(sold)
    stage.publish("fills.{0}", sold)
    stage.deliver()

    assert "refused" == ask(stage, "afterwards")
    assert "refused" == ask(stage, "and-again")
    [checks] = stage.rows("SELECT checks FROM decisions WHERE recommendation = 'afterwards'")
    assert ["-3000.00"] == [c["observed"] for c in checks if c["gate"] == "daily_loss_is_within_limit"]


def test_R69_no_check_of_a_sell_knows_of_losses():
    """What closes is never asked for state, latch, loss or drawdown."""
    names = {gate.__name__ for gate in SELL_GATES}

    assert not any(word in name for name in names for word in ("loss", "drawdown", "active", "alive", "limit"))


# ---------------------------------------------------------------- L02, L07, L27, L29


def test_L02_the_candidate_counts_before_it_is_let_in():
    """$9,999 of $10,000 are bound: any further order is beyond the limit, however small; so is the sixth position."""
    bound = a_commitment(symbol="X", usd=Decimal("9999.00"))
    exposure = a_proposal(book=a_book(commitments=(bound,)))
    many = tuple(a_commitment(symbol=f"X{n}", usd=Decimal(1)) for n in range(5))
    positions = a_proposal(book=a_book(commitments=many, limits=some_limits(max_positions=5)))

    assert ["exposure_is_within_limit"] == [c.gate for c in review(exposure) if not c.passed]
    assert ["position_count_is_within_limit"] == [c.gate for c in review(positions) if not c.passed]


def test_L02_ten_recommendations_of_one_run_do_not_see_the_same_count(engine: Engine):
    """Each opening is counted by the database when the next one comes, filled or not."""
    with engine.begin() as tx:
        configure(tx)
        for number in range(5):
            open_order(tx, number)
        refused(tx, errors.CheckViolation, "account_stays_within_limits", lambda: open_order(tx, 5))


def test_L07_one_recommendation_is_one_order_whoever_asks_again(engine: Engine):
    """The key that the brokerage is given follows from account and recommendation, and stands in a row first."""
    first, again, other = (
        opening_order(account, RecommendationId("rec-1"), PUT, 1, Decimal("7.20"), NOON)
        for account in (LARGE, LARGE, TINY)
    )
    assert first.client_order_id == again.client_order_id != other.client_order_id
    with engine.begin() as tx:
        configure(tx)
        open_order(tx, 1)
        refused(tx, errors.UniqueViolation, "orders_pkey", lambda: open_order(tx, 1))


@pytest.mark.parametrize("field", ["daily_pnl_usd", "equity_usd", "pulse"])
def test_L27_what_is_unknown_about_an_account_refuses(field: str):
    """Losses, equity and the stack: not one of them passes on an error."""
    nobody = Unknown("nobody answered", "the test")
    in_book = field in {f.name for f in fields(a_book())}
    p = a_proposal(book=a_book(**{field: nobody})) if in_book else a_proposal(**{field: nobody})

    assert 1 == sum(not check.passed for check in review(p))


def test_L29_what_one_account_loses_and_holds_is_not_the_other_s(engine: Engine):
    """Ten positions and a loss of `tiny` leave `large` as it was."""
    session = Known(SESSION, NOON, "calendar")
    with engine.begin() as tx:
        configure(tx)
        hold(tx, 5, PUT, account=TINY)
        marks.keep(tx, [a_quote(bid="0.01", ask="0.01")])
        book = accounts.read_book(tx, LARGE, {}, session, NOON, timedelta(minutes=15))

    assert (0, Decimal(0), Known(Decimal(0), NOON, "fills and marks")) == (
        book.positions,
        book.exposure_usd,
        book.daily_pnl_usd,
    )
