"""A fresh recommendation behind a backlog of stale ones is decided first; each stale one is refused once (R09)."""

# ruff: noqa: N802 - a test is named after its row

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.conftest import a_line
from tests.end_to_end.gates import START, SYMBOLS, decided, gates_at_start
from tests.end_to_end.stack import Running, until
from tests.paper.days import CALL

STALE_AT = "14:20:00"
#: A bound for a machine that is busy with other things; the target is 1 s, measured in benchmarks/decisions.py.
WITHIN_S = 10


def stale(number: int, symbol: str = CALL) -> list[str]:
    return [a_line(f"stale-{n:05d}", STALE_AT, symbol, 1, accounts=["large", "tiny"]) for n in range(number)]


def quotes_asked(running: Running) -> int:
    entries = running.control("GET", "/journal")["entries"]
    return sum(e["kind"] == "request" and "/quotes/latest" in e["path"] for e in entries)


def test_R09_stale_recommendations_are_refused_without_asking(
    small_day: Callable[..., Path], a_running: Callable[..., Running]
):
    """
    Five hundred stale ones in two accounts and one fresh one among them: a thousand refusals that say so,
    one approval, and the brokerage was asked for quotes as often as for the fresh one alone.
    """
    running = a_running(small_day(a_line("before", "14:32:00")))
    running.play_to("14:40:00")
    before = quotes_asked(running)
    running.recommend(a_line("alone", "14:40:00", confidence="0.10"))
    running.rest()
    for_one = quotes_asked(running) - before
    lines = stale(500)

    running.recommend(*lines[:400], a_line("fresh", "14:40:00", confidence="0.10"), *lines[400:])
    running.rest()

    assert for_one == quotes_asked(running) - before - for_one > 0
    too_old = 'checks @> \'[{"gate": "recommendation_is_fresh", "passed": false}]\''
    assert [(1000, 500)] == running.rows(
        f"SELECT count(*), count(DISTINCT recommendation) FROM decisions WHERE {too_old}"
    )
    assert 1003 == decided(running)
    assert [] == running.rows("SELECT reason FROM dead_letters")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_R09_a_fresh_one_overtakes_ten_thousand_stale_ones(
    tmp_path: Path, small_day: Callable[..., Path], a_running: Callable[..., Running]
):
    """One gate process; the fresh one is published while the gate works through the backlog, and in its middle."""
    running = gates_at_start(tmp_path, small_day, a_running, 1, max_age_s=300)
    lines = stale(10_000, SYMBOLS[0])

    for n in range(0, len(lines), 1000):
        running.recommend(*lines[n : n + 1000])
        if n == 5000:
            running.recommend(a_line("in-the-middle", START, SYMBOLS[1], 1))
    running.recommend(a_line("behind", START, SYMBOLS[2], 1))
    until(lambda: running.rows("SELECT 1 FROM decisions WHERE recommendation = 'behind'"), "it is decided", WITHIN_S)

    [waiting] = running.rows("SELECT 20000 - count(*) FROM decisions WHERE recommendation LIKE 'stale-%'")
    assert waiting > 0, "the backlog was gone: nothing was overtaken"
    assert ["in-the-middle"] == running.rows("SELECT recommendation FROM decisions WHERE recommendation LIKE 'in-%'")
    until(lambda: decided(running) == 20_003, "every stale one has its decisions", 200)
    assert [] == running.rows("SELECT reason FROM dead_letters")
