"""docs/gates.md and docs/exits.md say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import catalogue

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["gates", "exits"])
def test_a_page_is_what_the_code_makes_of_it(name: str):
    """Write it again with `python -m cli.catalogue docs`."""
    page = {"gates": catalogue.gates_page, "exits": catalogue.exits_page}[name]()

    assert page == (DOCS / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [catalogue.gates_page(), catalogue.exits_page()])
def test_everything_in_a_page_has_its_sentence(page: str):
    """A gate without a docstring would be a gate that nobody can understand."""
    assert [] == [line for line in page.splitlines() if line.endswith("|  |")]
