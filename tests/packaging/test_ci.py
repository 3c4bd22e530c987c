"""The gate of every change closes for the reasons that it names."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
TOOLS = (
    "run",
    *(
        f".venv/bin/{name}"
        for name in ("ruff", "python", "lint-imports", "check-jsonschema", "compose-lint", "hadolint")
    ),
)
PASSES = "#!/bin/sh\nexit 0\n"
FAILS = "#!/bin/sh\nexit 1\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the real gate and tools that are content with everything."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    for tool in (*TOOLS, ".venv/path/docker"):
        program(tmp_path / tool, PASSES)
    (tmp_path / ".gitignore").write_text(".venv/\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    return tmp_path


def program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    path.chmod(0o755)


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True)  # noqa: S607


def verdicts(folder: Path) -> tuple[int, dict[str, str]]:
    """Return the gate's exit code and what its summary says of each stage."""
    path = f"{folder / '.venv' / 'path'}:{os.environ['PATH']}"
    done = subprocess.run(
        [str(folder / ".ci" / "run")],
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PATH": path},
    )
    summary = done.stdout.split("\n\n")[-1].splitlines()
    return done.returncode, {line[:18].strip(): line[18:26].strip() for line in summary}


def test_all_is_well(repository: Path) -> None:
    """A verdict for each stage, exit code 0."""
    stages = ["tests", "format", "lint", "types", "floors", "containers", "secrets", "places"]
    assert (0, dict.fromkeys(stages, "ok")) == verdicts(repository)


@pytest.mark.parametrize(
    ("stage", "line"),
    [
        ("secrets", "key = '" + "PK" + "ABCDEFGH0123456789" + "'"),
        ("secrets", "-----BEGIN RSA PRIVATE" + " KEY-----"),
        ("secrets", "token: ghp_" + "a1B2c3D4e5F6g7H8"),
        ("places", "path = '/" + "root/somewhere'"),
        ("places", "path = '/" + "home/somebody/gapless'"),
        ("places", "url = 'https://files.example.org/" + "packages/ab/cd'"),
        ("places", 'index = "http://mirror.example:8081/python/' + 'simple"'),
        ("places", "--extra-index-url" + " http://mirror.example/"),
    ],
)
def test_what_must_not_be_committed_is_found(repository: Path, stage: str, line: str) -> None:
    """A key, a private path or the address of a package index in any tracked file closes the gate."""
    (repository / "notes.txt").write_text(f"first line\n{line}\n")
    git(repository, "add", "notes.txt")
    code, found = verdicts(repository)
    assert (1, ["FAILED"]) == (code, [found.pop(stage)])
    assert {"ok"} == set(found.values())


def test_what_is_not_tracked_is_not_searched(repository: Path) -> None:
    """A local note or environment is nobody's business."""
    (repository / "notes.txt").write_text("/" + "root/somewhere\n")
    assert 0 == verdicts(repository)[0]


@pytest.mark.parametrize(
    ("tool", "failed"),
    [("run", {"tests"}), (".venv/bin/ruff", {"format", "lint"}), (".venv/bin/lint-imports", {"floors"})],
)
def test_a_stage_that_fails_does_not_hide_the_others(repository: Path, tool: str, failed: set[str]) -> None:
    """Every stage has its say; one failure is enough to close the gate."""
    program(repository / tool, FAILS)
    code, found = verdicts(repository)
    assert (1, failed) == (code, {stage for stage, verdict in found.items() if verdict == "FAILED"})


def test_this_repository_holds_no_secret_and_no_place() -> None:
    """The two searches, on our own tracked files."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone: there are no tracked files to search")
    script = (ROOT / ".ci" / "run").read_text()
    searches = script[script.index("secrets() {") : script.index('stage "tests"')]
    done = subprocess.run(
        ["bash", "-eu", "-c", f"{searches}\nsecrets && places"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
