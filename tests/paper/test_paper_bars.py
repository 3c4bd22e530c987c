"""Bars on the stock stream: made from mid prices, told when their minute is over, to those who listen."""

from tests.paper.days import STOCK, write_day
from tests.paper.wires import received, silent, stocks

MINUTES = (
    ("14:30:10", STOCK, "99", "101"),
    ("14:30:50", STOCK, "103", "105"),
    ("14:31:00", STOCK, "101", "103"),
    ("14:31:30", STOCK, "97", "99"),
    ("14:33:00", STOCK, "90", "92"),
)


def listening(a_paper, tmp_path, **channels):
    paper = a_paper(write_day(tmp_path / "bars", underlying=MINUTES))
    socket, _ = stocks(paper, packed=False, **channels)
    return paper, socket


def test_a_minute_is_told_when_it_is_over(a_paper, tmp_path):
    """Open, high, low and close of its mid prices; what is quoted on the bell belongs to the next."""
    paper, socket = listening(a_paper, tmp_path, bars=["*"])
    paper.to("14:30:59.999")
    before = silent(socket)
    paper.to("14:32:00")
    first, second = received(socket), received(socket)

    assert before
    assert [
        {
            "T": "b", "S": STOCK, "t": "2026-02-03T14:30:00.000000000Z",
            "o": 100.0, "h": 104.0, "l": 100.0, "c": 104.0, "v": 0, "n": 0, "vw": 102.0,
        }
    ] == first  # fmt: skip
    assert ("2026-02-03T14:31:00.000000000Z", 102.0, 98.0) == tuple(second[0][key] for key in ("t", "o", "c"))
    socket.close()


def test_the_day_so_far_is_told_every_minute(a_paper, tmp_path):
    """A bar that grows; a minute without quotes is not told."""
    paper, socket = listening(a_paper, tmp_path, dailyBars=[STOCK])
    paper.to("14:34:00")
    bars = [received(socket)[0] for _ in range(3)]

    assert [("d", 104.0), ("d", 98.0), ("d", 91.0)] == [(bar["T"], bar["c"]) for bar in bars]
    assert {("2026-02-03T05:00:00.000000000Z", 100.0, 104.0)} == {(bar["t"], bar["o"], bar["h"]) for bar in bars}
    assert [100.0, 98.0, 91.0] == [bar["l"] for bar in bars]
    assert silent(socket)
    socket.close()


def test_nobody_is_told_what_nobody_wants(a_paper, tmp_path):
    """Another symbol, or quotes alone: no bar, and no event on the clock for one."""
    paper, socket = listening(a_paper, tmp_path, quotes=[STOCK])
    planned = paper.to("14:31:30")["next_event"]

    assert "2026-02-03T14:31:59.999000Z" == planned
    assert {"q"} == {message["T"] for _ in range(4) for message in received(socket)}
    assert silent(socket)
    socket.close()
