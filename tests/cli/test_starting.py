"""Before anything trades: whose keys these are, whether limits make sense, and whose word counts (R04, R17, R46)."""

# ruff: noqa: N802 - a test is named after its row

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import redis
from sqlalchemy import Engine

from brokerage.port import BrokerAccount, BrokerageUnavailable
from brokerage.sdk import NotTheSdk, installed
from cli.rulebook import Rulebook
from cli.settings import SHIPPED, BadConfiguration, Settings, load
from cli.starting import (
    absurd,
    bring_into_force,
    require_accounts,
    require_own_accounts,
    require_sane_limits,
    require_sdk,
)
from cli.wiring import Wiring
from db import accounts, configurations, limits
from domain.gates import EntryRules
from tests.factories import LARGE, NOON, TINY, some_limits

ROOT = Path(__file__).parents[2]


def rules_of(settings: Settings) -> EntryRules:
    return settings.rule_book().of(LARGE, "day_trade")


class Port:
    """A brokerage that states one account."""

    def __init__(self, number: str, equity: str = "100000") -> None:
        self.number, self.equity = number, Decimal(equity)

    def account(self) -> BrokerAccount:
        if not self.number:
            raise BrokerageUnavailable("no answer")
        return BrokerAccount(
            account_number=self.number,
            equity_usd=self.equity,
            cash_usd=self.equity,
            buying_power_usd=self.equity,
            options_buying_power_usd=self.equity,
            trading_blocked=False,
        )


def ports(**numbers: str) -> Any:
    return {name: Port(number) for name, number in numbers.items()}


@pytest.fixture
def shipped() -> Settings:
    return load(SHIPPED, {})


@pytest.fixture
def configured(engine: Engine, shipped: Settings) -> Engine:
    """A database that the shipped file was brought into."""
    bring_into_force(shipped, engine, NOON)
    return engine


def belongs(engine: Engine, account: Any, number: str) -> None:
    with engine.begin() as tx:
        accounts.mark_reconciled(tx, account, number, NOON)


# ---------------------------------------------------------------- R17


def test_R17_keys_of_another_account_refuse_the_start(configured: Engine):
    """The rows of `tiny` belong to PA2 and its keys open PA1: refused, with the account and both numbers."""
    belongs(configured, TINY, "PA2")
    with pytest.raises(BadConfiguration, match=r"accounts\.tiny: its keys open PA9, its rows belong to PA2"):
        require_own_accounts(configured, ports(large="PA1", tiny="PA9"))


def test_R17_the_same_keys_twice_refuse_the_start(configured: Engine):
    """Before anything was ever compared: both names open one account, and each would count half of it."""
    with pytest.raises(BadConfiguration, match=r"accounts\.tiny: its keys open PA1, the account of large"):
        require_own_accounts(configured, ports(large="PA1", tiny="PA1"))


def test_R17_keys_that_open_what_belongs_to_another_refuse_the_start(configured: Engine):
    """Only `tiny` is asked here, and what it opens are the rows of `large`."""
    belongs(configured, LARGE, "PA1")
    with pytest.raises(BadConfiguration, match=r"accounts\.tiny: its keys open PA1, the account of large"):
        require_own_accounts(configured, ports(tiny="PA1"))


def test_R17_own_keys_and_a_brokerage_that_is_away_refuse_nobody(configured: Engine):
    """A right answer passes; no answer proves nothing, and exits must start."""
    belongs(configured, LARGE, "PA1")

    require_own_accounts(configured, ports(large="PA1", tiny=""))


# ---------------------------------------------------------------- R04


@pytest.mark.parametrize(
    ("over", "key"),
    [
        ({"max_exposure_usd": Decimal("1000000")}, "max_exposure_usd"),
        ({"max_daily_loss_usd": Decimal("100000.01")}, "max_daily_loss_usd"),
        ({"max_exposure_usd": Decimal("400000")}, None),
        ({"max_daily_loss_usd": Decimal("100000")}, None),
    ],
)
def test_R04_a_limit_that_no_loss_can_reach_is_named(over: dict[str, Decimal], key: str | None):
    """A million for an account of $100,000 is the limit that was left on; four times the equity can be held."""
    said = absurd("large", some_limits(**over), Decimal(100_000))

    assert (key is None) == (said is None)
    assert key is None or (said or "").startswith(f"accounts.large.{key}: ")


def test_R04_the_gate_does_not_start_under_an_absurd_limit(configured: Engine):
    """The limits of a large account for $1,000: nothing opens, and the key is named (R13)."""
    with pytest.raises(BadConfiguration, match=r"accounts\.large\.max_exposure_usd: at most 4 x"):
        require_sane_limits(configured, {LARGE: Port("PA1", "1000")}, NOON)  # type: ignore[dict-item]

    require_sane_limits(configured, {LARGE: Port("PA1")}, NOON)  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("line", "wrong", "key"),
    [
        ('max_exposure_usd = "10000"', "", "accounts.large.max_exposure_usd"),
        ("max_positions = 5", "", "accounts.large.max_positions"),
        ("max_positions = 5", 'max_positions = "unlimited"', "accounts.large.max_positions"),
        ("max_positions = 5", "max_positions = 1000000", "accounts.large.max_positions"),
        ("max_positions = 5", "max_positions = -1", "accounts.large.max_positions"),
        ('max_exposure_usd = "10000"', "max_exposure_usd = 10000.5", "accounts.large.max_exposure_usd"),
        ('max_exposure_usd = "10000"', 'max_exposure_usd = "0"', "accounts.large.max_exposure_usd"),
        ('max_daily_loss_usd = "500"', 'max_daily_loss_usd = "-500"', "accounts.large.max_daily_loss_usd"),
        ("# max_drawdown_pct", 'max_drawdown_pct = "101" #', "accounts.large.max_drawdown_pct"),
        ("max_mark_age_s = 900", "max_mark_age_s = 0", "losses.max_mark_age_s"),
        ('latch_until = "next_session"', 'latch_until = "never"', "losses.latch_until"),
        ("max_reconciliation_age_s = 120", "max_reconciliation_age_s = 30", "interlock.max_reconciliation_age_s"),
        ("max_tracker_lag_s = 10", "", "interlock.max_tracker_lag_s"),
    ],
)
def test_R04_a_limit_missing_absurd_or_of_the_wrong_type_refuses_the_start(
    tmp_path: Path, line: str, wrong: str, key: str
):
    """Nothing starts on a guess; the message names the key."""
    said = SHIPPED.read_text()
    assert line in said
    file = tmp_path / "gapless.toml"
    file.write_text(said.replace(line, wrong, 1))

    with pytest.raises(BadConfiguration, match=key.replace(".", r"\.")):
        load(file, {})


def test_R05_an_account_that_the_database_does_not_know_refuses_the_start(engine: Engine, shipped: Settings):
    """An actor with a name that no row has would count in nothing: it does not start."""
    with pytest.raises(BadConfiguration, match=r"accounts\.large: not in the database yet"):
        require_accounts(shipped, engine)

    bring_into_force(shipped, engine, NOON)
    require_accounts(shipped, engine)


# ---------------------------------------------------------------- whose word counts


def with_positions(settings: Settings, number: int) -> Settings:
    large = settings.accounts["large"].model_copy(update={"max_positions": number})
    return settings.model_copy(update={"accounts": settings.accounts | {"large": large}})


def test_a_start_brings_the_file_into_force_and_leaves_overrides(configured: Engine, shipped: Settings):
    """A person set 3 and overrode exposure; the file still says 5: it is 5 again, and the override counts."""
    with configured.begin() as tx:
        was = limits.configured(tx, LARGE)
        assert was is not None
        limits.change(tx, LARGE, replace(was, max_positions=3), "somebody", "fewer", NOON)
        until = NOON + timedelta(hours=2)
        limits.override(tx, LARGE, "max_exposure_usd", Decimal(77), until=until, by="a", reason="b", now=NOON)

    assert [LARGE] == bring_into_force(shipped, configured, NOON + timedelta(hours=1))
    with configured.connect() as tx:
        found = limits.in_force(tx, LARGE, NOON + timedelta(hours=1))
    assert found is not None
    assert (5, Decimal(77)) == (found.max_positions, found.max_exposure_usd)


def test_the_same_file_again_changes_nothing(configured: Engine, shipped: Settings):
    """No entry in any history."""
    assert [] == bring_into_force(shipped, configured, NOON + timedelta(hours=1))
    with configured.connect() as tx:
        assert 1 == tx.exec_driver_sql("SELECT count(*) FROM configurations").scalar_one()


# ---------------------------------------------------------------- hot reload


def test_a_process_goes_over_to_the_rules_in_force(configured: Engine, shipped: Settings):
    """Other rules are brought into force by somebody else: the next look has them, and their hash."""
    book = Rulebook(configured, shipped)
    assert shipped is book.refresh()

    stricter = shipped.model_copy(update={"entries": shipped.entries.model_copy(update={"max_quote_age_s": 7})})
    bring_into_force(stricter, configured, NOON)

    assert timedelta(seconds=7) == rules_of(book.refresh()).max_quote_age
    assert (stricter.hash(), stricter.hash()) == (book.hash, book.settings.hash())


def test_R12_rules_that_cannot_be_read_are_not_taken(
    configured: Engine, shipped: Settings, caplog: pytest.LogCaptureFixture
):
    """Something else wrote rules: the last good ones stay, the hash says which, and it is said once."""
    book = Rulebook(configured, shipped)
    with configured.begin() as tx:
        configurations.put(tx, "broken", {"entries": {"permitted": "everything"}}, "a job", "tuned", NOON)

    assert [shipped, shipped] == [book.refresh(), book.refresh()]
    assert shipped.hash() == book.hash
    assert 1 == sum("cannot be read" in record.message for record in caplog.records)


def test_keys_are_no_rules(shipped: Settings):
    """A process with keys and one without agree on the hash, nothing secret is stored, and keys stay (R70)."""
    keyed = shipped.accounts["large"].model_copy(update={"key_id": "AK-secret"})
    with_keys = shipped.model_copy(update={"accounts": shipped.accounts | {"large": keyed}})

    assert shipped.hash() == with_keys.hash()
    assert "AK-secret" not in str(with_keys.rules())
    assert "AK-secret" == with_keys.with_rules(shipped.rules()).accounts["large"].key_id


def test_rules_come_back_as_they_were(shipped: Settings):
    """One writer, one schema: what is stored and read again decides the same (R12)."""
    again = shipped.with_rules(shipped.rules())

    assert (shipped.hash(), shipped.rule_book(), shipped.bounds()) == (
        again.hash(),
        again.rule_book(),
        again.bounds(),
    )
    assert shipped.accounts["large"].limits() == again.accounts["large"].limits()


# ---------------------------------------------------------------- R46


def test_R46_the_start_proves_which_sdk_runs():
    """The version that is locked, and the package itself: not a folder of ours that bears its name."""
    assert f"alpaca-py=={installed()}" in (ROOT / "requirements.lock").read_text()
    require_sdk()


@pytest.mark.parametrize("hidden", [True, False], ids=["hidden", "missing"])
def test_R46_what_bears_the_name_of_the_sdk_refuses_the_start(tmp_path: Path, hidden: bool):
    """A folder called alpaca stands before the installed one, or nothing is installed: no actor with keys starts."""
    (tmp_path / "alpaca").mkdir()
    (tmp_path / "alpaca" / "__init__.py").touch()
    path = ["-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})"]
    if not hidden:
        path[1] += "; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]"
    path[1] += "; from brokerage.sdk import installed; installed()"
    done = subprocess.run([sys.executable, *path], cwd=ROOT, capture_output=True, text=True, check=False)

    assert 1 == done.returncode
    assert (f"finds {tmp_path / 'alpaca'}" if hidden else "alpaca-py: is not installed") in done.stderr


def test_R46_an_actor_with_keys_asks_before_it_makes_a_client(configured: Engine, shipped: Settings):
    """Found hidden: the wiring refuses, and not one request is sent."""
    wiring = Wiring.of(shipped, configured, redis.Redis(host="127.0.0.1", port=1))
    hidden = NotTheSdk("alpaca-py 0.0: `import alpaca` finds something else")
    with mock.patch("brokerage.sdk.installed", side_effect=hidden), pytest.raises(BadConfiguration, match="something"):
        wiring.host("executor")
