"""The fixtures are made, not edited: whoever changes one changes what makes it."""

from __future__ import annotations

import pytest

from tests.incidents.make_fixtures import FIXTURES, MADE


@pytest.mark.parametrize("name", MADE)
def test_a_fixture_is_what_its_maker_makes(name: str):
    """The committed file and its maker say the same, byte for byte."""
    assert (FIXTURES / f"{name}.jsonl").read_text() == MADE[name]().text()


def test_every_fixture_has_a_maker():
    """No file lies around that nobody makes."""
    assert sorted(MADE) == sorted(path.stem for path in FIXTURES.glob("*.jsonl"))
