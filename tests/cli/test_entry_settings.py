"""The rules for entries: four layers, each key on or off, and every mistake named with its key and value."""

from __future__ import annotations

import re
from datetime import time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cli.entry_settings import EntryParameters, EntrySettings
from cli.settings import SHIPPED, BadConfiguration, Settings, load
from domain.events import Action
from domain.gates import SWITCHABLE, EntryRules
from domain.instrument import Kind
from tests.factories import LARGE, TINY

TEXT = SHIPPED.read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for word in [word for word in os.environ if word.startswith("GAPLESS_")]:
        monkeypatch.delenv(word)


def settings(tmp_path: Path, *tables: str) -> Settings:
    file = tmp_path / "mine.toml"
    file.write_text("\n".join((TEXT, *tables)), encoding="utf-8")
    return load(file)


def refusal(tmp_path: Path, *tables: str) -> str:
    with pytest.raises(BadConfiguration) as refused:
        settings(tmp_path, *tables)
    return str(refused.value)


# ---------------------------------------------------------------- the shipped file

_COMMENTED = re.compile(r"^# (?P<line>(?P<key>[a-z_]+) = .*)$", re.MULTILINE)
_ENTRIES = TEXT[TEXT.index("\n[entries]") : TEXT.index("\n[strategies.day_trade]")]


def test_every_key_of_an_entry_stands_in_the_shipped_file():
    """In force, or commented out to show how it is switched on."""
    said = set(re.findall(r"^(?:# )?([a-z_]+) = ", _ENTRIES, re.MULTILINE))

    assert set(EntrySettings.model_fields) == said


@pytest.mark.parametrize("line", [m["line"] for m in _COMMENTED.finditer(_ENTRIES)], ids=lambda line: line.split()[0])
def test_every_commented_line_is_one_that_works(tmp_path: Path, line: str):
    """Without its "#" it is a setting: it is read, and it says its unit."""
    file = tmp_path / "mine.toml"
    file.write_text(TEXT.replace(f"# {line}", line, 1), encoding="utf-8")

    assert load(file).entries != load(SHIPPED).entries
    assert "#" in line


def test_the_shipped_file_sets_no_new_limit():
    """What the design does not ask for is off until somebody wants it."""
    for account in (LARGE, TINY):
        rules = load(SHIPPED).rule_book().of(account, "day_trade")
        unset = {name for name in EntryRules.__slots__ if getattr(rules, name) is None}

        assert {"allow_symbols", "max_feature_age", "entry_from", "entry_until", "max_position_usd"} <= unset
        assert {"max_trades_per_day", "symbol_cooldown", "max_losses_in_a_row", "max_sector_exposure_usd"} <= unset
        assert (frozenset(), frozenset(), False) == (rules.off, rules.deny_symbols, rules.require_tick_grid)


# ---------------------------------------------------------------- layers

LAYERS = """
[strategies.day_trade.entries]
entry_until = "14:00"
max_spread_pct = "20"
permitted = ["BUY CALL", "BUY PUT"]

[accounts.tiny.entries]
max_spread_pct = "10"
max_trades_per_day = 2

[accounts.tiny.strategies.day_trade.entries]
entry_until = "13:00"
min_confidence = "0.75"
"""


def test_each_layer_replaces_what_it_says_and_leaves_the_rest(tmp_path: Path):
    """Entries, then the strategy, then the account, then the strategy in the account."""
    book = settings(tmp_path, LAYERS).rule_book()
    seen = {
        (account, strategy): (r.entry_until, r.max_spread_pct, r.max_trades_per_day, r.min_confidence[strategy])
        for account in (LARGE, TINY)
        for strategy in ("day_trade", "swing_trade")
        for r in (book.of(account, strategy),)
    }

    assert {
        (LARGE, "day_trade"): (time(14), Decimal(20), None, Decimal("0.55")),
        (LARGE, "swing_trade"): (None, Decimal(30), None, Decimal("0.45")),
        (TINY, "day_trade"): (time(13), Decimal(10), 2, Decimal("0.75")),
        (TINY, "swing_trade"): (None, Decimal(10), 2, Decimal("0.45")),
    } == seen
    assert {timedelta(seconds=300)} == {book.of(a, s).max_recommendation_age for a, s in seen}


def test_a_permission_of_a_strategy_is_its_own(tmp_path: Path):
    """R11: an account whose list holds options alone buys no stock, whatever the default says."""
    book = settings(tmp_path, '[accounts.tiny.entries]\npermitted = ["BUY CALL"]').rule_book()

    assert frozenset({(Action.BUY, Kind.CALL)}) == book.of(TINY, "day_trade").permitted
    assert (Action.BUY, Kind.STOCK) in book.of(LARGE, "day_trade").permitted


def test_a_strategy_that_nobody_configured_meets_the_rules_of_its_account(tmp_path: Path):
    """It is refused for not being known, and everything else is looked at all the same."""
    book = settings(tmp_path, LAYERS).rule_book()
    rules = book.of(TINY, "moon_trade")

    assert (Decimal(10), 2) == (rules.max_spread_pct, rules.max_trades_per_day)
    assert "moon_trade" not in rules.min_confidence


def test_nobody_trades_under_the_name_of_adopted_positions(tmp_path: Path):
    """It has a policy for leaving, and no floor."""
    assert "adopted" not in load(SHIPPED).rule_book().of(LARGE, "adopted").min_confidence


def test_off_is_a_key_like_any_other(tmp_path: Path):
    """A layer says which gates do not look there."""
    book = settings(
        tmp_path,
        '[accounts.large.entries]\noff = ["spread_is_within_limit"]',
        "[accounts.large.strategies.swing_trade.entries]\noff = []",
    ).rule_book()

    assert frozenset({"spread_is_within_limit"}) == book.of(LARGE, "day_trade").off
    assert frozenset() == book.of(LARGE, "swing_trade").off == book.of(TINY, "day_trade").off


def test_the_environment_reaches_every_layer(monkeypatch: pytest.MonkeyPatch):
    """One value, by its path."""
    monkeypatch.setenv("GAPLESS_ACCOUNTS__TINY__STRATEGIES__DAY_TRADE__ENTRIES__ENTRY_UNTIL", "12:30")

    assert time(12, 30) == load(SHIPPED).rule_book().of(TINY, "day_trade").entry_until


def test_every_ticker_has_its_sector(tmp_path: Path):
    """The table is written by sector and read by ticker."""
    book = settings(tmp_path, '[sectors]\nsoftware = ["MSFT", "ORCL"]\nenergy = ["XOM"]').rule_book()

    assert {"MSFT": "software", "ORCL": "software", "XOM": "energy"} == book.of(LARGE, "day_trade").sectors


# ---------------------------------------------------------------- what is wrong

WRONG: dict[str, tuple[str, str]] = {
    "an unknown key of a strategy": (
        "[strategies.day_trade.entries]\nmax_spred_pct = 1",
        "strategies.day_trade.entries.max_spred_pct: Extra inputs are not permitted",
    ),
    "an unknown key of an account": (
        "[accounts.tiny.entries]\nmax_hold_min = 1",
        "accounts.tiny.entries.max_hold_min: Extra inputs are not permitted",
    ),
    "an unknown key of a strategy in an account": (
        "[accounts.tiny.strategies.day_trade.entries]\nfoo = 1",
        "accounts.tiny.strategies.day_trade.entries.foo: Extra inputs are not permitted",
    ),
    "what the stack has only once": (
        "[accounts.tiny.entries]\nentry_ttl_s = 1",
        "accounts.tiny.entries.entry_ttl_s: Extra inputs are not permitted",
    ),
    "a strategy that nobody has": (
        "[accounts.tiny.strategies.moon_trade.entries]\nmax_trades_per_day = 1",
        "accounts.tiny.strategies.moon_trade: no such strategy is configured",
    ),
    "a gate that nobody has": (
        '[accounts.tiny.entries]\noff = ["spread"]',
        "accounts.tiny.entries.off: no gate is called 'spread'",
    ),
    "a gate that stays on": (
        '[accounts.tiny.entries]\noff = ["exposure_is_within_limit"]',
        "exposure_is_within_limit keeps an account safe and cannot be switched off",
    ),
    "a pair that opens nothing": (
        '[strategies.day_trade.entries]\npermitted = ["CALL"]',
        "strategies.day_trade.entries.permitted: pairs such as \"BUY CALL\" are expected, was 'CALL'",
    ),
    "dollars as a float": (
        "[accounts.tiny.entries]\nmax_position_usd = 99.5",
        'accounts.tiny.entries.max_position_usd: write a decimal as text, such as "0.55", was 99.5',
    ),
    "a time that is none": (
        '[accounts.tiny.entries]\nentry_until = "25:00"',
        "accounts.tiny.entries.entry_until",
    ),
    "a number for a time": (
        "[accounts.tiny.entries]\nentry_until = 14",
        'accounts.tiny.entries.entry_until: write a time of day in New York as text, such as "14:00", was 14',
    ),
    "a time that says which": (
        '[accounts.tiny.entries]\nentry_until = "14:00:00Z"',
        "accounts.tiny.entries.entry_until: write a time of day in New York",
    ),
    "a limit of nothing": (
        "[accounts.tiny.entries]\nmax_trades_per_day = 0",
        "accounts.tiny.entries.max_trades_per_day: Input should be greater than 0, was 0",
    ),
    "a ticker in two sectors": (
        '[sectors]\nsoftware = ["MSFT"]\nhardware = ["MSFT"]',
        "MSFT stands in software and in hardware",
    ),
    "a ticker that is none": ('[sectors]\nsoftware = ["msft"]', "sectors.software.0"),
}


@pytest.mark.parametrize(("table", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named(tmp_path: Path, table: str, said: str):
    """Key and value, in one line."""
    refused = refusal(tmp_path, table)

    assert said in refused
    assert 1 == len(refused.splitlines())


@pytest.mark.parametrize("name", sorted(SWITCHABLE))
def test_every_gate_that_may_be_off_can_be_said_to_be(tmp_path: Path, name: str):
    """The list in the code and what a file may say are one."""
    assert (
        frozenset({name})
        == settings(tmp_path, f'[accounts.tiny.entries]\noff = ["{name}"]').rule_book().of(TINY, "day_trade").off
    )


# ---------------------------------------------------------------- the hash

SAMPLES: dict[str, Any] = {
    "strategy": '[strategies.day_trade.entries]\nentry_until = "14:00"',
    "account": "[accounts.tiny.entries]\nmax_trades_per_day = 2",
    "strategy in account": "[accounts.tiny.strategies.day_trade.entries]\nmax_trades_per_day = 2",
    "sectors": '[sectors]\nsoftware = ["MSFT"]',
    "off": '[accounts.tiny.entries]\noff = ["spread_is_within_limit"]',
}


@pytest.mark.parametrize("table", SAMPLES.values(), ids=SAMPLES.keys())
def test_the_hash_covers_every_layer(tmp_path: Path, table: str):
    """Whatever decides changes it."""
    assert load(SHIPPED).hash() != settings(tmp_path, table).hash()


def test_no_layer_may_say_what_only_the_first_must():
    """The optional keys are the same in every layer: whoever adds a key adds it once."""
    once = set(EntrySettings.model_fields) - set(EntryParameters.model_fields)

    assert {"max_silence_s", "entry_ttl_s"} == once
