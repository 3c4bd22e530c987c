"""What the exit is told by the configuration: divergence of prices, volatility, dates of earnings."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from cli.settings import SHIPPED, BadConfiguration, load

DATES = '[earnings]\nMSFT = ["2026-01-28", 2026-04-29]\nTSLA = []\n'


def with_more(folder: Path, more: str = "", *, old: str = "", new: str = "") -> Path:
    """The shipped file, changed, with *more* behind it."""
    text = SHIPPED.read_text(encoding="utf-8")
    assert old in text
    file = folder / "mine.toml"
    file.write_text(f"{text.replace(old, new, 1) if old else text}\n{more}", encoding="utf-8")
    return file


def test_as_shipped_nobody_is_asked():
    """Ten per cent, and neither a price of volatility nor a date."""
    sources = load(SHIPPED, {}).sources()

    assert (Decimal(10), None, {}) == (sources.max_divergence_pct, sources.regime, dict(sources.earnings))


def test_dates_are_dates_however_they_are_written(tmp_path: Path):
    """As text or as a date of TOML; a ticker without one reports none. They decide, so they are hashed and kept."""
    settings = load(with_more(tmp_path, DATES), {})
    expected = {"MSFT": (date(2026, 1, 28), date(2026, 4, 29)), "TSLA": ()}

    assert expected == dict(settings.sources().earnings)
    assert settings.hash() != load(SHIPPED, {}).hash()
    assert expected == load(SHIPPED, {}).with_rules(settings.rules()).earnings


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('[earnings]\nMSFT = ["soon"]\n', "earnings.MSFT.0"),
        ("[earnings]\nmsft = []\n", "earnings.msft"),
        ('[earnings]\nMSFT = "2026-01-28"\n', "earnings.MSFT"),
    ],
)
def test_what_is_no_date_or_no_ticker_is_named(tmp_path: Path, more: str, says: str):
    with pytest.raises(BadConfiguration, match=says):
        load(with_more(tmp_path, more), {})


@pytest.mark.parametrize("pct", ['"0"', '"-1"', '"101"', "10.5", '"NaN"'])
def test_a_divergence_is_a_share_of_a_price(tmp_path: Path, pct: str):
    """Above nothing, at most all of it, and no bare decimal."""
    old, new = 'max_price_divergence_pct = "10"', f"max_price_divergence_pct = {pct}"
    with pytest.raises(BadConfiguration, match=r"interlock\.max_price_divergence_pct"):
        load(with_more(tmp_path, old=old, new=new), {})


def test_a_rule_that_hangs_on_earnings_needs_dates(tmp_path: Path):
    """`config check` says so, and is silent once there are some."""
    old, new = "# earnings_within_sessions = 1", "earnings_within_sessions = 1"
    [said] = load(with_more(tmp_path, old=old, new=new), {}).contradictions()

    assert "[earnings] lists no ticker" in said
    assert () == load(with_more(tmp_path, DATES, old=old, new=new), {}).contradictions()
