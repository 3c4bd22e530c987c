"""Selection, tiers of risk, volatility and limits of liquidity in the configuration: off as shipped, and checked."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from cli.settings import SHIPPED, BadConfiguration, load
from domain.instrument import Kind
from tests.factories import LARGE, TINY

CHOICE = ("strategies.day_trade.selection", "risk.tiers", "volatility")
LIMITS = (
    *("require_class_ticks", "min_open_interest", "min_volume", "min_premium", "min_delta", "max_delta"),
    *("max_portfolio_delta", "max_portfolio_vega_usd", "max_portfolio_theta_usd"),
)


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No word of ours in the environment."""
    import os

    for word in [word for word in os.environ if word.startswith("GAPLESS_")]:
        monkeypatch.delenv(word)


def switched_on(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    """The shipped file with its lines about choice, size and liquidity in force, and then *changes*."""
    text = _shipped()
    lines, inside = [], False
    for line in text.splitlines():
        if heading := re.match(r"(?:# )?\[+([^\]]+)\]", line):
            inside = heading[1] in CHOICE
        of_limit = any(line.startswith(f"# {limit} = ") for limit in LIMITS) or line.startswith('# tier = "large"')
        lines.append(line.removeprefix("# ") if inside or of_limit else line)
    text = "\n".join(lines)
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_as_shipped_nothing_of_it_is_in_force():
    """No contract is chosen, no size is cut but by the cap, and no floor asks for what a feed may not have."""
    rules = load(SHIPPED).rule_book().of(LARGE, "day_trade")

    assert (None, None, None) == (rules.selection, rules.risk, rules.regime)
    assert {None, False} == {getattr(rules, limit) for limit in LIMITS}
    assert (False, False) == (rules.reads_snapshots, rules.reads_greeks)


def test_every_shipped_line_can_be_switched_on(tmp_path: Path):
    """Without its mark of a comment each line is understood, in force, and contradicts nothing."""
    settings = load(switched_on(tmp_path))
    rules = settings.rule_book().of(LARGE, "day_trade")

    assert rules.selection is not None
    assert rules.risk is not None
    assert rules.regime is not None
    assert (0, 7, Decimal("1.5"), 200, Decimal(40)) == (
        rules.selection.min_days,
        rules.selection.max_days,
        rules.selection.otm_pct,
        rules.selection.min_volume,
        rules.selection.min_score,
    )
    assert [("small", Decimal(5000), 3), ("large", None, None)] == [
        (tier.name, tier.up_to_usd, tier.max_contracts) for tier in rules.risk.tiers
    ]
    assert {"day_trade": Decimal(1), "swing_trade": Decimal(2)} == rules.risk.tiers[1].risk_pct
    assert [("normal", Decimal(20)), ("elevated", Decimal(30)), ("extreme", None)] == [
        (band.name, band.below) for band in rules.regime.bands
    ]
    assert all(getattr(rules, limit) for limit in LIMITS)
    assert (True, True) == (rules.reads_snapshots, rules.reads_greeks)
    assert () == settings.contradictions()


def test_selection_is_the_strategys_and_the_tier_the_accounts(tmp_path: Path):
    """A swing trade chooses nothing here; tiny is governed by what it can spend, large by the tier that it names."""
    book = load(switched_on(tmp_path)).rule_book()

    assert book.of(LARGE, "swing_trade").selection is None
    assert book.of(TINY, "day_trade").selection == book.of(LARGE, "day_trade").selection
    assert ["large", None] == [book.of(account, "day_trade").risk.pinned for account in (LARGE, TINY)]


def test_the_hash_covers_choice_and_size_and_a_policys_version_does_not(tmp_path: Path):
    """Another selection is another configuration in every decision; how a position is left has not changed by it."""
    shipped, mine = load(SHIPPED), load(switched_on(tmp_path))
    again = load(switched_on(tmp_path, ('size_ratio = "0.5"', 'size_ratio = "0.4"')))

    assert 3 == len({shipped.hash(), mine.hash(), again.hash()})
    assert shipped.policy_of(LARGE, "day_trade", Kind.CALL) == mine.policy_of(LARGE, "day_trade", Kind.CALL)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("max_days = 7 ", "# max_days = 7", "strategies.day_trade.selection.max_days: Field required"),
        ("max_days = 7 ", "max_days = -1", "strategies.day_trade.selection.max_days"),
        ("min_days = 0 ", "min_days = 8", "min_days 8 is above max_days 7"),
        (
            'min_delta = "0.20"                # the delta',
            'min_delta = "0.71" # the',
            "min_delta 0.71 is above max_delta",
        ),
        ('otm_pct = "1.5"', "otm_pct = 1.5", 'write a decimal as text, such as "0.55", was 1.5'),
        ('strike_range_pct = "10"', 'strike_range_pct = "0"', "strike_range_pct"),
        ('min_score = "40"', 'min_score = "101"', "min_score"),
        ('up_to_usd = "5000"', 'up_to = "5000"', "risk.tiers.0.up_to: Extra inputs are not permitted"),
        (
            'name = "large"\nrisk_pct',
            'name = "large"\nup_to_usd = "9000"\nrisk_pct',
            "the last one (large) has a up_to_usd",
        ),
        ('name = "large"\nrisk_pct', 'name = "small"\nrisk_pct', "small is there twice"),
        ('day_trade = "12", swing_trade = "8"', 'day_trade = "12"', "risk_pct: nothing is said about swing_trade"),
        ('day_trade = "12",', 'day_trade = "12", moon_trade = "9",', "risk_pct: no strategy is called moon_trade"),
        ('day_trade = "12"', 'day_trade = "101"', "risk.tiers.0.risk_pct.day_trade"),
        ('tier = "large"', 'tier = "huge"', "accounts.large.tier: no tier is called 'huge'"),
        ('size_ratio = "0.5"', 'size_ratio = "1.5"', "volatility.bands.1.size_ratio"),
        ('size_ratio = "1" }', 'size_ratio = "0.1" }', "elevated leaves more of a size than normal, which is calmer"),
        ('below = "30"', 'below = "20"', "below of normal (20) must be under that of elevated (20)"),
        ('name = "extreme", ', 'name = "extreme", below = "50", ', "the last one (extreme) has a below"),
        ('name = "normal", below = "20"', 'name = "normal"', "below of normal (None) must be under that of elevated"),
        ("min_volume = 100 ", 'min_volume = "many" # ', "entries.min_volume"),
    ],
)
def test_what_is_wrong_is_named_with_its_value(tmp_path: Path, old: str, new: str, says: str):
    """No start with a section that is half said, out of order or out of range."""
    with pytest.raises(BadConfiguration) as refused:
        load(switched_on(tmp_path, (old, new)))

    assert says in str(refused.value)


LIVE = (
    ('mode = "paper"', 'mode = "alpaca-live"'),
    ('live_confirmed = ""', 'live_confirmed = "yes, with my own money"'),
)


@pytest.mark.parametrize("floor", ["min_volume", "min_open_interest"])
def test_R43_live_trading_chooses_no_contract_without_floors(tmp_path: Path, floor: str):  # noqa: N802 - the row's name
    """A floor that somebody took out for a test stops the start where real money is traded; on paper it may go."""
    [of_selection] = re.findall(rf"\[strategies.day_trade.selection\].*?(\n# {floor} = [^\n]*)", _shipped(), re.DOTALL)
    without = (of_selection.replace("# ", "", 1), "")

    load(switched_on(tmp_path, *LIVE))
    load(switched_on(tmp_path, without))
    with pytest.raises(BadConfiguration, match="live trading needs min_volume and min_open_interest"):
        load(switched_on(tmp_path, *LIVE, without))


def _shipped() -> str:
    return SHIPPED.read_text(encoding="utf-8")
