"""rows.csv: every statement about Alpaca that this server must match, and the tests that show it.

A row is numbered by the section of the research it comes from (0 intents, 1 orders, 2 errors, 3 reference, 4 trade
updates, 5 market data, 6 limits) and says in our words what the client sees. It names tests, or the reason why there
can be none.
"""

import ast
import csv
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = list(csv.DictReader((Path(__file__).parent / "rows.csv").open(encoding="utf-8", newline="")))
NAMED = {(row["row"], name) for row in ROWS for name in row["tests"].split()}
#: What the suite may take from the server: what starts one.
STARTERS = {"paper.options", "paper.server", "paper.switches"}


def defined_in(path: Path) -> set[str]:
    """The tests that a file defines, as rows name them."""
    functions = (node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef))
    return {f"{path.relative_to(ROOT)}::{node.name}" for node in functions if node.name.startswith("test_")}


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_a_row_has_a_test_or_a_reason() -> None:
    """One of the two, a number, and a statement."""
    assert all(re.fullmatch(r"\d(\.\d+)?-\d\d", row["row"]) and row["statement"] for row in ROWS)
    assert [] == [row["row"] for row in ROWS if bool(row["tests"]) == bool(row["untested"])]


def test_no_row_is_there_twice() -> None:
    """Neither its number nor its statement."""
    for key in ("row", "statement"):
        shown = [(row["row"].partition("-")[0], row[key]) for row in ROWS]
        assert len(shown) == len(set(shown))


def test_every_named_test_exists() -> None:
    """By its file and its name."""
    known = {name for path in {ROOT / name.partition("::")[0] for _, name in NAMED} for name in defined_in(path)}

    assert [] == sorted((row, name) for row, name in NAMED if name not in known)


def test_every_conformance_test_is_named() -> None:
    """A test that shows no row does not belong here."""
    here = {
        name for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__) for name in defined_in(path)
    }

    assert [] == sorted(here - {name for _, name in NAMED})


def test_the_suite_knows_the_server_from_outside_only() -> None:
    """Of the server it imports what starts one; all else goes over the wire."""
    here = {(path.name, module) for path in Path(__file__).parent.glob("*.py") for module in imported(path)}

    assert set() == {(name, module) for name, module in here if is_inside(module)}
    assert [] == sorted(name for _, name in NAMED if looks_inside(name))


def is_inside(module: str) -> bool:
    return module.partition(".")[0] == "paper" and module not in STARTERS


def looks_inside(name: str) -> bool:
    """Whether a named test uses what its file imports from inside the server, imports it itself, or reads its world."""
    file, _, function = name.partition("::")
    tree = ast.parse((ROOT / file).read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and is_inside(node.module or "")]
    banned = {alias.asname or alias.name for node in imports for alias in node.names}
    [test] = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
    return any(
        (isinstance(node, ast.Name) and node.id in banned)
        or (isinstance(node, ast.ImportFrom) and is_inside(node.module or ""))
        or (isinstance(node, ast.Attribute) and node.attr == "world")
        for node in ast.walk(test)
    )
