"""The locks are complete, hashed, equal where they overlap, and work on every machine."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements.lock", "requirements-dev.lock"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def entries(lock: str) -> dict[str, tuple[str, list[str]]]:
    """Return name: (requirement, hashes) of each entry of a lock file."""
    logical = re.sub(r"\\\n\s*", " ", (ROOT / lock).read_text())
    lines = [line for line in logical.splitlines() if line and not line.lstrip().startswith("#")]
    parsed = [(line.split(" --hash=")[0].strip(), re.findall(r"--hash=sha256:([0-9a-f]{64})", line)) for line in lines]
    return {canonicalize_name(Requirement(wanted).name): (wanted, hashes) for wanted, hashes in parsed}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_has_one_version_and_its_hashes(lock: str) -> None:
    """An index that serves another file than the one that was locked is refused."""
    loose = [wanted for wanted, hashes in entries(lock).values() if "==" not in wanted or not hashes]
    assert [] == loose


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place(lock: str) -> None:
    """No index, no address, no folder of the machine that wrote it."""
    assert [] == re.findall(r"(?m)^.*(?:://|--index-url|--find-links|/[a-z]+/).*$", (ROOT / lock).read_text())


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.lock", PROJECT["project"]["dependencies"]),
        ("requirements-dev.lock", PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]),
    ],
)
def test_a_lock_has_what_the_project_asks_for(lock: str, wanted: list[str]) -> None:
    """Forgotten after a change of pyproject.toml: ``./run lock``."""
    locked = {name: Requirement(requirement).specifier for name, (requirement, _) in entries(lock).items()}
    asked = {canonicalize_name(Requirement(line).name): Requirement(line).specifier for line in wanted}
    versions = {name: str(locked[name]).removeprefix("==") for name in asked if name in locked}
    assert asked.keys() == versions.keys()
    assert [] == [name for name, specifier in asked.items() if versions[name] not in specifier]


def test_tests_run_on_what_is_shipped() -> None:
    """Every package of the product has the same version in the lock of the tests."""
    shipped, tested = entries("requirements.lock"), entries("requirements-dev.lock")
    assert {name: shipped[name][0] for name in shipped} == {name: tested[name][0] for name in shipped}


def test_the_lock_is_for_debians_python_too() -> None:
    """Debian 12 has Python 3.11.2, on which redis-py needs async-timeout; a lock made for 3.11.7 only lacks it."""
    marker = Requirement(entries("requirements.lock")["async-timeout"][0]).marker
    assert marker is not None
    assert marker.evaluate({"python_full_version": "3.11.2", "python_version": "3.11"})
