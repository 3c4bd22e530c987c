"""Where sources about Alpaca disagree: each switch does something, and the page lists it with its default."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from paper.switches import DEFAULTS, Switches
from tests.paper.days import CALL, write_day
from tests.paper.wires import LISTEN, OLD_KEYS, trade_stream

PAGE = (Path(__file__).parents[2] / "docs" / "paper.md").read_text()


def test_the_page_lists_every_switch_with_its_default():
    """A row each: name, default, what it chooses and why."""
    rows = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \| .{40,} \|$", PAGE, re.MULTILINE))

    assert {field.name: str(getattr(DEFAULTS, field.name)).lower() for field in fields(Switches)} == rows


def test_a_stop_that_opens_a_short_can_break(a_paper):
    """As one recording shows; it is off unless asked for."""
    paper = a_paper(switches=Switches(sell_to_open_stop_fails=True))
    paper.to("14:31:00")
    order = {"symbol": CALL, "side": "sell", "type": "stop", "stop_price": "0.5"}

    assert (500, {"code": 50010000, "message": "internal server error occurred"}) == paper.submit(**order)


@pytest.mark.parametrize(
    ("choice", "body"),
    [(True, {"code": 40110000, "message": "request is not authorized"}), (False, {"message": "unauthorized."})],
)
def test_the_401_has_two_forms(a_paper, choice, body):
    """With a code, or without."""
    paper = a_paper(switches=Switches(unauthorized_with_code=choice))

    assert (401, body) == paper.call("GET", "/v2/account", "nobody")


def test_bursts_can_be_limited(a_paper):
    """So many a second of the clock, besides the limit a minute."""
    paper = a_paper(switches=Switches(burst_per_second=3))
    first = [paper.call("GET", "/v2/clock")[0] for _ in range(4)]
    other = paper.call("GET", "/v2/clock", "tiny")[0]
    paper.to("14:30:01")
    later = [paper.call("GET", "/v2/clock")[0] for _ in range(4)]

    assert ([200, 200, 200, 429], 200, [200, 200, 200, 429]) == (first, other, later)


@pytest.mark.parametrize("choice", [True, False])
def test_the_old_authentication_may_be_answered_with_a_notice(a_paper, tmp_path, choice):
    """That it is deprecated."""
    paper = a_paper(write_day(tmp_path / "x"), switches=Switches(deprecation_message=choice))
    socket, greetings = trade_stream(paper, OLD_KEYS, LISTEN)
    socket.close()

    assert choice == ("message" in greetings[0]["data"])
