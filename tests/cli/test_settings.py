"""The configuration: every default is a line of the shipped file, and what is wrong is named with its value."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from cli.exit_settings import ExitSettings
from cli.settings import SHIPPED, BadConfiguration, Settings, load
from domain.events import Action
from domain.exits import Rung
from domain.instrument import Kind
from tests.factories import LARGE, TINY


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No word of ours in the environment."""
    import os

    for word in [word for word in os.environ if word.startswith("GAPLESS_")]:
        monkeypatch.delenv(word)
    return monkeypatch


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = SHIPPED.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "mine.toml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return file


def refusal(file: Path) -> str:
    with pytest.raises(BadConfiguration) as refused:
        load(file)
    return str(refused.value)


# ---------------------------------------------------------------- defaults


def test_the_shipped_accounts_have_the_agreed_limits(bare: pytest.MonkeyPatch):
    """Source: design, section 9."""
    accounts = load(SHIPPED).accounts

    assert {
        "large": (5, Decimal(10000), Decimal(500), 10),
        "tiny": (1, Decimal(2000), Decimal(100), 1),
    } == {
        name: (a.max_positions, a.max_exposure_usd, a.max_daily_loss_usd, a.max_contracts_per_order)
        for name, a in accounts.items()
    }


def test_the_shipped_entry_rules_are_the_agreed_ones(bare: pytest.MonkeyPatch):
    """Source: design, section 9."""
    rules = load(SHIPPED).rule_book().of(LARGE, "day_trade")

    assert frozenset((Action.BUY, kind) for kind in Kind) == rules.permitted
    assert {"day_trade": Decimal("0.55"), "swing_trade": Decimal("0.45")} == rules.min_confidence
    assert (300, 120, 900) == tuple(
        span.total_seconds() for span in (rules.max_recommendation_age, rules.max_feed_age, rules.max_quote_age)
    )
    assert (Decimal(30), False) == (rules.max_spread_pct, rules.refuse_opposite_direction)
    assert timedelta(minutes=15) == rules.no_entry_before_close
    assert timedelta(minutes=90) == rules.no_entry_before_last_close


def test_the_shipped_exit_policies_are_the_agreed_ones(bare: pytest.MonkeyPatch):
    """Options of a day trade, and a stock of a swing trade, which may stay overnight. Source: design, section 9."""
    option = load(SHIPPED).policy_of(LARGE, "day_trade", Kind.CALL)
    stock = load(SHIPPED).policy_of(LARGE, "swing_trade", Kind.STOCK)

    levels = (option.stop_pct, option.catastrophe_pct, option.target_pct)
    assert (40, 50, 80) == levels
    assert (30, 25) == (option.trail_arm_pct, option.trail_giveback_pct)
    assert (30, 240, 5, 60) == tuple(
        span.total_seconds() / 60 if span else None
        for span in (option.min_hold, option.max_hold, option.flatten_before_close, option.close_before_expiry)
    )
    assert (2, 3, None, None, None) == (
        stock.stop_pct,
        stock.target_pct,
        stock.trail_arm_pct,
        stock.max_hold,
        stock.flatten_before_close,
    )


def test_every_shipped_line_says_what_it_is():
    """A default without its unit is a guess."""
    lines = [line for line in SHIPPED.read_text(encoding="utf-8").splitlines() if "=" in line]

    assert [] == [line for line in lines if "#" not in line]


def test_the_shipped_file_contradicts_nothing(bare: pytest.MonkeyPatch):
    """What ships passes its own check."""
    assert () == load(SHIPPED).contradictions()


def test_a_position_of_an_unknown_strategy_is_left_as_an_adopted_one(bare: pytest.MonkeyPatch):
    """Nobody's position is left without a policy."""
    settings = load(SHIPPED)

    adopted, unknown = (settings.policy_of(LARGE, name, Kind.PUT) for name in ("adopted", "never heard of"))

    assert adopted == unknown


# ---------------------------------------------------------------- what is wrong

WRONG = {
    "an unknown key": ("timeout_s = 5 ", "foo = 1\ntimeout_s = 5 ", "brokerage.foo: Extra inputs are not permitted"),
    "a missing key": ("max_positions = 5", "# max_positions = 5", "accounts.large.max_positions: Field required"),
    "a word for a number": ("max_positions = 5", 'max_positions = "five"', "was 'five'"),
    "a float": ('min_confidence = "0.55"', "min_confidence = 0.55", 'write a decimal as text, such as "0.55"'),
    "an absurd number": ("max_positions = 5", "max_positions = -1", "accounts.large.max_positions"),
    "no dollars": ('max_daily_loss_usd = "500"', 'max_daily_loss_usd = "0"', "accounts.large.max_daily_loss_usd"),
    "more than certain": ('min_confidence = "0.55"', 'min_confidence = "1.5"', "strategies.day_trade.min_confidence"),
    "a pair that opens nothing": ("BUY CALL", "SELL CALL", "was 'SELL CALL'"),
    "an account that is no name": ("[accounts.large]", "[accounts.LARGE-100K]", "LARGE-100K"),
    "live without its second setting": ('mode = "paper"', 'mode = "alpaca-live"', "live_confirmed must say"),
    "no policy for what others opened": ("[strategies.adopted]", "[strategies.other]", "strategies.adopted"),
    "no TOML": ("[brokerage]", "[brokerage", "Expected"),
    "everything for exits": ("reserved_for_exits = 60", "reserved_for_exits = 100", "must be under half"),
}


@pytest.mark.parametrize(("old", "new", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named(bare: pytest.MonkeyPatch, tmp_path: Path, old: str, new: str, said: str):
    """Key and value stand in one line."""
    refused = refusal(changed(tmp_path, old, new))

    assert said in refused
    assert 1 == len(refused.splitlines())


def test_a_file_that_is_not_there_is_named(bare: pytest.MonkeyPatch, tmp_path: Path):
    """Not a default in its place."""
    assert "nowhere.toml: no such file" in refusal(tmp_path / "nowhere.toml")


# ---------------------------------------------------------------- the environment


def test_the_environment_outranks_the_file(bare: pytest.MonkeyPatch):
    """One value, by its path."""
    bare.setenv("GAPLESS_ACCOUNTS__LARGE__MAX_POSITIONS", "3")

    assert 3 == load(SHIPPED).accounts["large"].max_positions


def test_the_two_addresses_have_short_words(bare: pytest.MonkeyPatch):
    """They are what everybody sets."""
    bare.setenv("GAPLESS_REDIS_URL", "redis://here")

    found = load(SHIPPED).servers.redis_url

    assert found is not None
    assert "redis://here" == found.get_secret_value()


def test_a_secret_comes_from_a_file_and_is_never_shown(bare: pytest.MonkeyPatch, tmp_path: Path):
    """Not in a repr, which ends in logs."""
    (tmp_path / "secret").write_text("s3cret\n")
    bare.setenv("GAPLESS_ACCOUNTS__LARGE__SECRET_FILE", str(tmp_path / "secret"))

    settings = load(SHIPPED)

    assert "s3cret" == settings.accounts["large"].secret.get_secret_value()
    assert "s3cret" not in repr(settings)


def test_a_secret_file_that_cannot_be_read_is_named(bare: pytest.MonkeyPatch):
    """An empty key would be another account."""
    bare.setenv("GAPLESS_ACCOUNTS__LARGE__SECRET_FILE", "/nowhere/secret")

    assert "GAPLESS_ACCOUNTS__LARGE__SECRET_FILE: cannot read '/nowhere/secret'" in refusal(SHIPPED)


def test_an_unknown_word_of_ours_stops_the_start(bare: pytest.MonkeyPatch):
    """A setting that nobody reads is not in force (R15: MODE instead of RUN_MODE)."""
    with pytest.raises(BadConfiguration, match="GAPLESS_MODE: no such setting"):
        load(SHIPPED, {"GAPLESS_MODE": "live"})


WHOLE = [
    line.split("#")[0].strip() for line in SHIPPED.read_text().splitlines() if re.match(r"[a-z_]+ = [0-9]+ ", line)
]


@pytest.mark.parametrize("line", sorted(set(WHOLE)))
def test_true_is_no_number(bare: pytest.MonkeyPatch, tmp_path: Path, line: str):
    """Python counts true as 1; a bound of a second because of a slip of the pen is none that anybody meant."""
    key = line.split(" =")[0]
    assert f"{key}: a whole number is expected" in refusal(changed(tmp_path, f"{line} ", f"{key} = true "))


# ---------------------------------------------------------------- the hash


def test_the_hash_of_processes_with_and_without_keys_is_one(bare: pytest.MonkeyPatch):
    """In a stack the tracker has no keys and the gate has; they run the same configuration."""
    without = load(SHIPPED).hash()
    bare.setenv("GAPLESS_ACCOUNTS__LARGE__KEY_ID", "a-key")
    bare.setenv("GAPLESS_ACCOUNTS__LARGE__SECRET", "a-secret")
    assert without == load(SHIPPED).hash()


def test_the_hash_says_what_decides(bare: pytest.MonkeyPatch, tmp_path: Path):
    """A limit changes it, an address does not."""
    shipped = load(SHIPPED).hash()
    limit = load(changed(tmp_path, "max_positions = 5", "max_positions = 4")).hash()
    place = load(changed(tmp_path, 'data_dir = ".gapless"', 'data_dir = "elsewhere"')).hash()

    assert shipped != limit
    assert shipped == place


# ---------------------------------------------------------------- exit policies, one over the other


def configured(tmp_path: Path, *tables: str) -> Settings:
    file = tmp_path / "mine.toml"
    file.write_text(SHIPPED.read_text(encoding="utf-8") + "\n" + "\n".join(tables), encoding="utf-8")
    return load(file)


def all_exit_rules(tmp_path: Path) -> Path:
    """The shipped file with each commented line of [exits.option] in force."""
    text = SHIPPED.read_text(encoding="utf-8")
    start, end = text.index("# trail_price_arm_pct"), text.index("# max_hold_min and flatten")
    file = tmp_path / "all.toml"
    file.write_text(text[:start] + text[start:end].replace("\n# ", "\n")[2:] + text[end:], encoding="utf-8")
    return file


def test_exit_rules_come_back_from_the_row_of_the_rules_in_force(bare: pytest.MonkeyPatch, tmp_path: Path):
    """Tables, decimals, and what an account switches off: each policy is the one of the file, version and all."""
    file = all_exit_rules(tmp_path)
    with file.open("a", encoding="utf-8") as text:
        text.write('\n[accounts.tiny.exits.option]\nladder = "off"\n')
    settings = load(file)
    row = json.loads(json.dumps(settings.rules()))

    assert settings.policies() == load(SHIPPED).with_rules(row).policies()
    assert () == settings.policy_of(TINY, "day_trade", Kind.CALL).ladder


def test_every_rule_of_the_shipped_file_can_be_switched_on_as_it_stands_there(bare: pytest.MonkeyPatch, tmp_path: Path):
    """Each commented line of [exits.option] is TOML that loads, and together they name every key there is."""
    named = load(all_exit_rules(tmp_path)).exits.option.named()

    assert set(ExitSettings.model_fields) - {"max_hold_min", "flatten_before_close_min"} == set(named)


def test_a_strategy_lies_over_the_kind_and_an_account_over_the_strategy(bare: pytest.MonkeyPatch, tmp_path: Path):
    """The later names a key, the later counts; what nobody above names is as beneath; off is off."""
    settings = configured(
        tmp_path,
        '[strategies.day_trade.exits.option]\nstop_pct = "30"\ntarget_pct = "off"\nmax_hold_min = 60',
        '[accounts.tiny.exits.option]\nstop_pct = "20"\nladder = [{ at_pct = "20", close_pct = "40" }]',
    )
    large, tiny = (settings.policy_of(name, "day_trade", Kind.CALL) for name in (LARGE, TINY))
    swing = settings.policy_of(TINY, "swing_trade", Kind.CALL)

    assert (Decimal(30), None, timedelta(hours=1), ()) == (
        large.stop_pct,
        large.target_pct,
        large.max_hold,
        large.ladder,
    )
    assert (Decimal(20), None, timedelta(hours=1)) == (tiny.stop_pct, tiny.target_pct, tiny.max_hold)
    assert (Rung(at_pct=Decimal(20), close_pct=Decimal(40)),) == tiny.ladder
    assert (Decimal(20), Decimal(80), None) == (swing.stop_pct, swing.target_pct, swing.max_hold)
    assert load(SHIPPED).policy_of(TINY, "day_trade", Kind.STOCK) == settings.policy_of(TINY, "day_trade", Kind.STOCK)


def test_the_version_of_a_policy_is_that_of_its_numbers(bare: pytest.MonkeyPatch, tmp_path: Path):
    """The same numbers, however they were said, are the same version; another number is another."""
    shipped = load(SHIPPED).policy_of(LARGE, "day_trade", Kind.CALL)
    said_again = configured(tmp_path, '[accounts.large.exits.option]\nstop_pct = "40"\nbreak_even_arm_pct = "off"')
    tighter = configured(tmp_path, '[accounts.large.exits.option]\nstop_pct = "39"')

    assert shipped == said_again.policy_of(LARGE, "day_trade", Kind.CALL)
    assert shipped.version != tighter.policy_of(LARGE, "day_trade", Kind.CALL).version
    assert shipped == tighter.policy_of(TINY, "day_trade", Kind.CALL)


WRONG_EXITS = {
    'stop_pkt = "1"': "accounts.tiny.exits.option.stop_pkt: Extra inputs are not permitted, was '1'",
    "stop_pct = 0.4": 'accounts.tiny.exits.option.stop_pct: write a decimal as text, such as "0.55", was 0.4',
    'stop_pct = "0"': "accounts.tiny.exits.option.stop_pct: Input should be greater than 0, was '0'",
    'stop_pct = "on"': "accounts.tiny.exits.option.stop_pct: Input should be a valid decimal, was 'on'",
    'trail_giveback_pct = "101"': "trail_giveback_pct: Input should be less than or equal to 100, was '101'",
    'max_hold_min = "0"': "accounts.tiny.exits.option.max_hold_min: Input should be greater than 0, was '0'",
    "ladder = [{ at_pct = '20' }]": "accounts.tiny.exits.option.ladder.0.close_pct: Field required",
    "ladder = [{ at_pct = '20', close_pct = '60' }, { at_pct = '40', close_pct = '41' }]": "more than 100 % together",
    "close_steps = [{ beyond_pct = '0' }]": "close_steps.0.wait_s: Field required",
    "close_steps = [{ beyond_pct = '0', wait_s = 0 }]": "close_steps.0.wait_s: Input should be greater",
    "close_steps = [{ beyond_pct = '-1', wait_s = 3 }]": "close_steps.0.beyond_pct",
    "close_steps = [{ beyond_pct = '100', wait_s = 3 }]": "close_steps.0.beyond_pct",
    "close_steps = [{ beyond_pct = '5', wait_s = 3 }, { beyond_pct = '5', wait_s = 3 }]": "further beyond the price",
    "windows = [{ before_close_min = 5 }]": "windows.0: a window has exactly one of",
    "windows = [{ before_close_min = 5, everything = true, failed_criteria = 1 }]": "has exactly one of",
    'regime_at_least = "wild"': "regime_at_least: Input should be 'calm', 'elevated', 'high' or 'extreme', was 'wild'",
}


@pytest.mark.parametrize(("line", "said"), WRONG_EXITS.items(), ids=WRONG_EXITS.keys())
def test_a_wrong_exit_setting_is_named_with_its_value(bare: pytest.MonkeyPatch, tmp_path: Path, line: str, said: str):
    """Where it stands and what it was, without the words of a type checker."""
    with pytest.raises(BadConfiguration) as refused:
        configured(tmp_path, f"[accounts.tiny.exits.option]\n{line}")

    assert said in str(refused.value)


def test_an_exit_rule_can_be_set_from_the_environment(bare: pytest.MonkeyPatch):
    """Also a table, as JSON, and off."""
    bare.setenv("GAPLESS_EXITS__OPTION__STOP_PCT", "35")
    bare.setenv("GAPLESS_ACCOUNTS__TINY__EXITS__OPTION__TARGET_PCT", "off")
    bare.setenv("GAPLESS_EXITS__OPTION__LADDER", '[{"at_pct": "20", "close_pct": "40"}]')
    policy = load(SHIPPED).policy_of(TINY, "day_trade", Kind.CALL)

    assert (Decimal(35), None, 1) == (policy.stop_pct, policy.target_pct, len(policy.ladder))


def test_contradictions_of_an_account_are_named_with_it(bare: pytest.MonkeyPatch, tmp_path: Path):
    """What only one account says is told of that account alone, once."""
    settings = configured(tmp_path, '[accounts.tiny.exits.option]\nbreak_even_arm_pct = "80"')
    [text] = settings.contradictions()

    assert [f"tiny, {strategy}, {kind}" for strategy in ("day_trade", "swing_trade") for kind in ("CALL", "PUT")] == (
        text.partition(": ")[0].split("; ")
    )
