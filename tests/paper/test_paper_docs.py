"""docs/paper.md: every example that can be run is run, and every fault that exists has one."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from paper import book_faults, faults, stream_faults
from tests.paper.days import CALL, STOCK

PRICES = ("set", "gap", "script", "one_sided", "crossed", "halt", "resume", "stale", "live")
BOOKS = ("open", "change", "assign", "exercise", "expire")
PAGE = (Path(__file__).parents[2] / "docs" / "paper.md").read_text()


def blocks(kind):
    """The fenced blocks of a kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def examples():
    """Every request to the control port that the page shows, in its order: method, path and body."""
    lines = [line for block in blocks("control") for line in block.splitlines()]
    return [re.fullmatch(r"(\w+) (\S+) ?(.*)", line).groups() for line in lines]


def test_every_documented_order_is_obeyed(paper):
    """One after the other, on one server, on which an order rests."""
    paper.quote(CALL, "1.00", "1.10")
    paper.bought(CALL, type="limit", limit_price="0.01", client_order_id="mine")
    answers = [(line, paper.control(line[0], line[1], **json.loads(line[2] or "{}"))) for line in examples()]

    assert [] == [answer for answer in answers if answer[1][0] != 200]
    assert len(answers) > 50


def test_every_fault_has_an_example():
    """What the code can do is on the page."""
    shown = {(path, json.loads(body)["do"]) for _, path, body in examples() if '"do"' in body}
    known = {("/faults", do) for do in (*faults.DEEDS, "refuse")}
    known |= {("/streams", do) for do in stream_faults.DEEDS}
    known |= {("/prices", do) for do in PRICES} | {("/book", do) for do in BOOKS}

    assert known == shown
    assert all(kind in PAGE for kind in book_faults.CLOSE_KINDS)


def test_the_python_example_runs(paper):
    """With the addresses of a running server."""
    [code] = blocks("python")
    exec(code.replace("127.0.0.1:8000", paper.said["rest"].removeprefix("http://")), {})  # noqa: S102 - our own page


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_the_curl_examples_run(paper):
    """Each answers with what it promises."""
    paper.bought(STOCK)
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("curl")]
    address = paper.said["rest"].removeprefix("http://")
    shown = [answered(line.replace("127.0.0.1:8000", address)) for line in lines]

    assert "ACTIVE" == json.loads(shown[0])["status"]
    assert [STOCK] == [order["symbol"] for order in json.loads(shown[1])]
    assert 3 == shown[2].count("data: ")


def answered(line):
    """What a command line prints."""
    return subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, timeout=10, check=True).stdout
