"""docs/gates.md, docs/exits.md and docs/selection.md say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import catalogue
from cli.entry_settings import AccountEntryParameters, EntrySettings
from cli.exit_plots import draw
from cli.exit_scenes import SCENES, played
from domain.exits import RULES

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["gates", "exits", "selection"])
def test_a_page_is_what_the_code_makes_of_it(name: str):
    """Write it again with `python -m cli.catalogue docs`."""
    pages = {"gates": catalogue.gates_page, "exits": catalogue.exits_page, "selection": catalogue.selection_page}
    page = pages[name]()

    assert page == (DOCS / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [catalogue.gates_page(), catalogue.exits_page(), catalogue.selection_page()])
def test_everything_in_a_page_has_its_sentence(page: str):
    """A gate without a docstring would be a gate that nobody can understand."""
    assert [] == [line for line in page.splitlines() if line.endswith("|  |")]


#: What concerns no single check: the gates that do not look, and how long the executor tries.
OF_NO_GATE = {"off", "entry_ttl_s"}


@pytest.mark.parametrize(
    "key", sorted({*EntrySettings.model_fields, *AccountEntryParameters.model_fields} - OF_NO_GATE)
)
def test_every_key_of_an_entry_stands_beside_its_gate(key: str):
    """Who reads a refusal finds the setting."""
    assert f"`{key}`" in catalogue.gates_page()


@pytest.mark.parametrize("rule", [rule.__name__ for rule in RULES])
def test_a_drawing_is_what_the_rules_make_of_it(rule: str):
    """Write it again with `python -m cli.catalogue docs`: the same bytes come out wherever it is drawn."""
    assert draw(rule) == (DOCS / "images" / "exits" / f"{rule}.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", [rule.__name__ for rule in RULES])
def test_a_drawing_shows_its_own_rule_at_work(rule: str):
    """The rule of the drawing fires in it, and before that there is a while in which it holds."""
    steps = played(rule)
    fired = [n for n, step in enumerate(steps) if step.found and step.found.rule == rule]

    assert fired
    assert fired[0] > 0


def test_every_drawing_has_its_rule():
    """A drawing of a rule that is gone would be a lie."""
    assert {rule.__name__ for rule in RULES} == set(SCENES)
    assert set(SCENES) == {file.stem for file in (DOCS / "images" / "exits").glob("*")}
