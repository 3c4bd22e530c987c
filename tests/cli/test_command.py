"""The command itself, as a person or a script meets it: exit codes, one line for an error, JSON on stdout alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.main import main

ROOT = Path(__file__).parents[2]
Gapless = Callable[..., "Answer"]


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str


@pytest.fixture
def gapless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Gapless:
    """Run the command in an empty folder, with no word of ours in its environment but those given."""
    monkeypatch.chdir(tmp_path)
    for word in [word for word in os.environ if word.startswith("GAPLESS_")]:
        monkeypatch.delenv(word)

    def run(*words: str, **env: str) -> Answer:
        for word, value in env.items():
            monkeypatch.setenv(word, value)
        monkeypatch.setattr(sys, "argv", ["gapless", *words])
        with pytest.raises(SystemExit) as left:
            main()
        said = capfd.readouterr()
        return Answer(int(left.value.code or 0), said.out, said.err)

    return run


def test_the_command_is_what_the_script_starts():
    """As a process: its help names the commands."""
    answer = subprocess.run(
        [sys.executable, "-m", "cli", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert {"run", "replay", "flatten", "explain"} <= set(answer.stdout.split())


def test_the_shipped_configuration_is_in_order(gapless: Gapless):
    """Exit code 0 and one JSON document."""
    answer = gapless("config", "check", str(ROOT / "gapless.toml"), "--json")

    assert 0 == answer.code
    assert [] == json.loads(answer.out)["contradictions"]


def test_contradictions_are_a_no(gapless: Gapless, tmp_path: Path):
    """The answer to "is it in order?": exit code 1."""
    text = (
        (ROOT / "gapless.toml").read_text().replace("no_entry_before_close_min = 15", "no_entry_before_close_min = 5")
    )
    (tmp_path / "mine.toml").write_text(text)

    answer = gapless("config", "check", "mine.toml")

    assert (1, True) == (answer.code, "flattened" in answer.out)


USAGE = {
    "no such command": (["fly"], "No such command 'fly'"),
    "no such day": (["replay", "nowhere"], "nowhere/session.json: cannot be read"),
    "no such configuration": (["--config", "nowhere.toml", "status"], "nowhere.toml: no such file"),
    "no such speed": (["run", "--speed", "fast"], "--speed: a positive number or max is expected, was 'fast'"),
    "no such actor": (["actor", "pilot"], "actor: one of gate, executor"),
    "no reason": (["halt", "large"], "--reason"),
    "no address": (["migrate"], "servers.database_url: no address"),
}


@pytest.mark.parametrize(("words", "said"), USAGE.values(), ids=USAGE.keys())
def test_wrong_usage_is_two_and_says_what(gapless: Gapless, words: list[str], said: str):
    """Never a traceback, and nothing on stdout that a script could take for an answer."""
    answer = gapless(*words)

    assert (2, "") == (answer.code, answer.out)
    assert said in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("words", [["status"], ["actor", "tracker"], ["verify", "--json"]])
def test_a_server_that_does_not_answer_is_three(gapless: Gapless, tmp_path: Path, words: list[str]):
    """One line that says which."""
    nowhere = f"postgresql+psycopg2://nobody@/x?host={tmp_path}"
    answer = gapless(*words, GAPLESS_REDIS_URL=f"unix://{tmp_path}/no.sock", GAPLESS_DATABASE_URL=nowhere)

    assert (3, "") == (answer.code, answer.out)
    assert answer.err.splitlines()[0].startswith("gapless: the database does not answer")


def test_nothing_has_run_yet(gapless: Gapless, tmp_path: Path):
    """There is no ledger to look at, and looking makes none."""
    answer = gapless("positions")

    assert (3, True) == (answer.code, "nothing has run yet" in answer.err)
    assert not (tmp_path / ".gapless").exists()


def test_a_day_whose_market_is_wrong_is_two(gapless: Gapless, tmp_path: Path):
    """The local Alpaca reads it, and its line is ours."""
    day = tmp_path / "day"
    day.mkdir()
    session = {"underlying": "SPY", "open": "2026-02-03T14:30:00Z", "close": "2026-02-03T21:00:00Z"}
    (day / "session.json").write_text(json.dumps(session))
    (day / "recommendations.jsonl").write_text("")

    answer = gapless("replay", "day", "--json")

    assert (2, "") == (answer.code, answer.out)
    assert 1 == len(answer.err.strip().splitlines())
