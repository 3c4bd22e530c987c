"""Settings that were not in force: R04, R11, R12, R13, R15, R56."""

# ruff: noqa: N802 - a test is named after its row

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cli.settings import SHIPPED, BadConfiguration, load
from streams.codec import Undecodable, decode, encode
from tests.factories import LARGE, TINY, a_recommendation

TEXT = SHIPPED.read_text(encoding="utf-8")


def loaded(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> Any:
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, environ or {})


LIMITS = ("max_positions", "max_exposure_usd", "max_daily_loss_usd", "max_contracts_per_order")


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("value", [None, '"many"', "-1", '"-1"', "true", '"Infinity"', '"NaN"', "1e9"])
def test_R04_a_limit_that_is_missing_or_absurd_stops_the_start(tmp_path: Path, limit: str, value: str | None):
    """No limit has a default: the account and the key are named, and nothing runs."""
    begin = TEXT.index(f"{limit} = ", TEXT.index("[accounts.large]"))
    end = TEXT.index("\n", begin)
    line = "" if value is None else f"{limit} = {value}  # absurd"

    with pytest.raises(BadConfiguration, match=f"accounts.large.{limit}"):
        loaded(tmp_path, TEXT[:begin] + line + TEXT[end:])


def test_R11_permissions_have_no_default(tmp_path: Path):
    """A list that could not be read is no list of everything: without the key nothing starts."""
    with pytest.raises(BadConfiguration, match=r"entries\.permitted"):
        loaded(tmp_path, TEXT.replace("permitted = [", "# permitted = [", 1))


@pytest.mark.parametrize(
    "text", ["entries:\n  max_spread_pct: 30\n", '{"entries": {"max_spread_pct": "30"}}', "", "\x00"]
)
def test_R12_a_configuration_in_another_language_is_refused(tmp_path: Path, text: str):
    """YAML where TOML is read, or nothing at all: no start on defaults that nobody wrote."""
    with pytest.raises(BadConfiguration, match=r"mine\.toml"):
        loaded(tmp_path, text)


def test_R12_the_hash_tells_which_numbers_are_in_force(tmp_path: Path):
    """A floor of 0.30 instead of 0.55 is another configuration, in every decision that it makes."""
    other = TEXT.replace('min_confidence = "0.55"', 'min_confidence = "0.30"', 1)

    assert load(SHIPPED, {}).hash() != loaded(tmp_path, other).hash()


def test_R13_every_account_has_its_own_limits(tmp_path: Path):
    """The tiny account without limits is no tiny account with the large one's."""
    accounts = load(SHIPPED, {}).accounts
    assert (Decimal(10000), Decimal(2000)) == (accounts[LARGE].max_exposure_usd, accounts[TINY].max_exposure_usd)

    begin, end = TEXT.index("[accounts.tiny]"), TEXT.index("[entries]")
    with pytest.raises(BadConfiguration, match=r"accounts\.tiny\.max_positions"):
        loaded(tmp_path, TEXT[:begin] + "[accounts.tiny]\n" + TEXT[end:])


@pytest.mark.parametrize("word", ["GAPLESS_MODE", "GAPLESS_RUN_MODE", "GAPLESS_BROKERAGE_MODE"])
def test_R15_a_misnamed_variable_stops_the_start(tmp_path: Path, word: str):
    """MODE instead of RUN_MODE: a setting that nobody reads is named, not ignored."""
    with pytest.raises(BadConfiguration, match=f"{word}: no such setting"):
        loaded(tmp_path, TEXT, {word: "live"})


@pytest.mark.parametrize("confidence", ["-0.01", "1.01", "-1", "NaN", 0.7])
def test_R56_confidence_is_a_share_and_nothing_else(confidence: object):
    """Direction is no confidence: what is not from 0 to 1, as text, is no recommendation."""
    fields = encode(a_recommendation())
    body = json.loads(fields["body"]) | {"confidence": confidence}

    with pytest.raises(Undecodable, match="confidence"):
        decode({b"type": fields["type"], b"body": json.dumps(body).encode()})
