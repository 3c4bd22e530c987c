"""The program: its first line, its end, its refusals to start."""

import json
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import requests

from paper import options
from paper.errors import UsageError
from paper.server import main
from tests.paper.days import CALL, rewrite, write_day

ROOT = Path(__file__).parents[2]


def program(*arguments):
    """Start ``python -m paper`` and return it and its first line."""
    process = subprocess.Popen(
        [sys.executable, "-m", "paper", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return process, json.loads(process.stdout.readline())


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_stops_when_told(tmp_path, name):
    """One JSON line, then nothing on stdout; a signal ends it at once with 0."""
    process, said = program("--data", write_day(tmp_path / "day"), "--speed", 0, "--account", "extra=5000")
    session = requests.Session()
    clock = session.get(said["control"] + "/clock", timeout=5).json()
    since = time.monotonic()
    process.send_signal(name)
    out, err = process.communicate(timeout=10)

    assert ("2026-02-03T14:30:00Z", 0) == (clock["at"], clock["speed"])
    assert (0, "", "") == (process.returncode, out, err)
    assert time.monotonic() - since < 3
    assert ["large", "tiny", "extra"] == list(said["accounts"])
    assert ("extra", "paper", "5000") == tuple(said["accounts"]["extra"][key] for key in ("key_id", "secret", "cash"))
    assert said["trade_stream"].startswith("ws://127.0.0.1:")
    assert [
        {"date": "2026-02-03", "open": "2026-02-03T14:30:00Z", "close": "2026-02-03T21:00:00Z", "early_close": False}
    ] == said["sessions"]


def test_it_dies_with_its_parent_when_asked(tmp_path):
    """The parent is killed without a word; the server ends all the same."""
    folder = write_day(tmp_path / "day")
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(f"""
                import subprocess, sys
                paper = [sys.executable, "-m", "paper", "--data", {str(folder)!r}, "--die-with-parent"]
                subprocess.Popen(paper).wait()
            """),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = json.loads(parent.stdout.readline())
    parent.kill()
    parent.wait()

    assert "" == parent.stdout.read(), "reading ends when the server, the last writer, has ended"
    with pytest.raises(requests.ConnectionError):
        requests.get(said["control"] + "/clock", timeout=5)


def test_a_wrong_day_is_one_line_and_code_2(tmp_path, capsys):
    """Nothing on stdout."""
    folder = rewrite(write_day(tmp_path / "day"), "quotes.csv.gz", "1.00,1.10", "1.00,x")

    code = main(["--data", str(folder)])

    expected = f"paper: {folder}/quotes.csv.gz, line 2, field ask: is not valid (value 'x')\n"
    assert (2, ("", expected)) == (code, tuple(capsys.readouterr()))


def test_an_event_for_an_unknown_account_is_code_2(tmp_path, capsys):
    """The day names an account that was not given at start."""
    event = {"at": "2026-02-03T15:00:00Z", "account": "who", "symbol": CALL, "event": "close", "qty": 2}

    code = main(["--data", str(write_day(tmp_path / "day", broker_events=[event]))])

    assert (2, True) == (code, "unknown account 'who'" in capsys.readouterr().err)


def test_a_taken_port_is_code_3(a_paper, tmp_path, capsys):
    """And says which."""
    port = a_paper(write_day(tmp_path / "day")).said["rest"].rpartition(":")[2]

    code = main(["--data", str(tmp_path / "day"), "--port", port])

    assert (3, True) == (code, port in capsys.readouterr().err)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--data", "x", "--account", "big"],
        ["--data", "x", "--account", "big=1,level=9"],
        ["--data", "x", "--start", "noon"],
        ["--data", "x", "--speed", "fast"],
    ],
)
def test_a_wrong_command_line_is_code_2(arguments, capsys):
    """With a usage line."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert (2, True) == (ended.value.code, "usage: paper" in capsys.readouterr().err)


@pytest.mark.parametrize("wrong", [{"speed": -1.0}, {"speed": float("nan")}, {"partial_ratio": 2.0}, {"rate_limit": 0}])
def test_senseless_numbers_are_refused(wrong):
    """Whoever builds the options."""
    with pytest.raises(UsageError):
        options.check(options.Options(data=(Path("x"),), **wrong))


def test_accounts_are_added_to_the_defaults():
    """A given one replaces a default one of its name."""
    chosen = options.parse(["--data", "x", "--account", "tiny=50,level=1,shorting"]).all_accounts()

    assert [("large", 100_000, 3, False), ("tiny", 50, 1, True)] == [
        (a.name, a.cash, a.option_level, a.shorting) for a in chosen
    ]
