"""Frames: every size of terminal is kept, nothing known is lost silently, and nothing unknown becomes a number."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.text import Text

from cli.live_frame import Look, frame, panel_lines
from streams.progress import GroupProgress
from tests.live.scenes import (
    a_closed,
    a_decision,
    a_refusal,
    a_refused,
    a_snapshot,
    a_terminal,
    an_account,
    an_order,
    drawn,
    held,
    shown,
    the_line,
)

SIZES = [(80, 24), (100, 30)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_everything_stands_on_the_first_look(width: int, height: int):
    """Clock, session, accounts, positions, orders, decisions, closed positions, lag and the gap are there."""
    lines = shown(a_snapshot(), width, height)
    text = "\n".join(lines)

    assert height == len(lines)
    for word in ("New York 2026-02-03 12:00:00", "UTC 17:00:00", "open, closes in 4:00 h", "3 of 5", "8,200 of 10"):
        assert word in text, word
    for word in ("MSFT 20Feb26 400P", "7.50", "+300.00", "+4.2", "4 min", "buy to open 10", "2 of 10", "approved: buy"):
        assert word in text, word
    for word in ("-2,900.00", "-40.3", "stop", "1:06 h", "streams caught up", "12 / 44 / 45 ms", "-120.00"):
        assert word in text, word
    assert "…" not in text


@settings(max_examples=60)
@given(
    width=st.integers(min_value=40, max_value=220),
    height=st.integers(min_value=8, max_value=80),
    positions=st.integers(min_value=0, max_value=40),
    accounts=st.integers(min_value=0, max_value=12),
)
def test_no_frame_is_larger_than_its_terminal(width: int, height: int, positions: int, accounts: int):
    """Whatever has happened and however small the terminal is."""
    snap = a_snapshot(
        accounts=[an_account(name=f"account-number-{number}") for number in range(accounts)],
        positions=[held(account=f"account-number-{number}") for number in range(positions)],
        decisions=[a_refused(*[a_refusal()] * 9)] * 20,
        orders=[an_order()] * 9,
        closed=[a_closed()] * 20,
    )
    lines = shown(snap, width, height)

    assert height >= len(lines)
    assert width >= max(len(line) for line in lines)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_nothing_jumps_when_something_happens(width: int, height: int):
    """Every panel stands on the same line in an empty hour and in a busy one."""
    busy = a_snapshot(
        positions=[held()] * 30,
        decisions=[a_refused(a_refusal())] * 20,
        orders=[an_order()] * 9,
        closed=[a_closed()] * 20,
    )
    idle = a_snapshot(positions=[], decisions=[], orders=[], closed=[])
    titles = ("Accounts", "Open positions", "Orders under way", "Decisions", "Closed")
    places = [
        [next(number for number, line in enumerate(lines) if line.startswith(title)) for title in titles]
        for lines in (shown(busy, width, height), shown(idle, width, height))
    ]

    assert places[0] == places[1]


def test_positions_that_do_not_fit_are_counted():
    """Twelve positions on a small terminal: some rows, and how many more there are."""
    lines = shown(a_snapshot(positions=[held()] * 12), 80, 24)
    rows = [line for line in lines if "+300.00" in line]

    assert "Open positions 12" in the_line(lines, "Open positions")
    assert f"and {12 - len(rows)} more" == the_line(lines, "more").strip()


def test_an_hour_without_anything_says_zero_positions():
    """Counts are 0 where nothing is; what was never measured says so."""
    empty = a_snapshot(positions=[], decisions=[], orders=[], closed=[], gap_ms=dict.fromkeys(("p50", "p99", "max")))
    text = "\n".join(shown(empty))

    assert "Open positions 0" in text
    assert "Orders under way 0" in text
    assert "fill to position: nothing measured yet" in text


@pytest.mark.parametrize("missing", ["unknown", "no bid"])
def test_a_position_without_a_mark_has_no_result(missing: str):
    """What is not quoted is not worth 0 and has not lost anything: mark, dollars and per cent are unknown."""
    blind = held(price=None, no_price=missing, quoted_age_s=None, pnl_usd=None, pnl_pct=None)
    snap = a_snapshot(positions=[blind], accounts=[an_account(open_usd=None)], closed=[], orders=[])
    lines = shown(replace(snap, decisions=[]))
    cells = the_line(lines, "MSFT 20Feb26 400P").split()[4:]

    assert ["10", "7.20", *missing.split(), "unknown", "unknown", "4", "min"] == cells
    assert ["-150.00", "unknown"] == the_line(lines, "large active").split()[-2:]
    assert an_account(open_usd=None).today_usd is None


def test_a_phantom_left_at_no_known_price():
    """A closed position whose price nobody knows shows neither price nor result."""
    gone = a_closed(exit_price=None, realized_pnl_usd=None, pnl_pct=None, exit_reason="external")
    line = the_line(shown(a_snapshot(closed=[gone], decisions=[])), "external")

    assert 3 == line.count("unknown")


def test_colours_mean_something():
    """A loss is red, a gain green, a full limit yellow, and nothing else has a colour."""
    full = an_account(positions=5, realized_usd=Decimal("0.00"), open_usd=Decimal("300.00"))
    losing = held(pnl_usd=Decimal("-80.00"), pnl_pct=Decimal("-1.10"))
    snap = a_snapshot(accounts=[full], positions=[losing], closed=[], decisions=[])

    assert {"-80.00": "red", "-1.1": "red", "+300.00": "green", "████████ 5 of 5": "yellow"} == _coloured(snap)


def _coloured(snap) -> dict[str, str]:
    console = a_terminal()
    found = {}
    for segment in console.render(frame(snap, Look(width=100, height=30, ascii_only=False))):
        if segment.style and segment.style.color and segment.text.strip():
            found[segment.text.strip()] = segment.style.color.name
    return found


def test_what_is_out_of_order_stands_in_the_last_line():
    """A halted account, a breach, dead letters and drift are told; a calm run says that there is none."""
    counts = {"approved": 0, "refused": 0, "closed": 0, "dead_letters": 2, "drift": 1}
    halted = an_account(state="halted", state_reason="somebody pulled the lever")
    told = shown(a_snapshot(counts=counts, breaches=1, accounts=[halted]))[-1]

    assert "1 breach   1 drift   2 dead letters   large halted: somebody pulled the lever" == told.strip()
    assert "no breach, no drift, no dead letter" == shown(a_snapshot())[-1].strip()


def test_the_daily_loss_latch_is_told():
    """An account that may not enter today says why, although its state is active."""
    told = shown(a_snapshot(accounts=[an_account(loss_latched=True)]))[-1]

    assert "large: daily loss limit reached, no entry today" == told.strip()


def test_the_worst_group_is_named():
    """Of the groups that are behind, the one whose oldest entry is oldest; away is not caught up."""
    groups = (
        GroupProgress(stream="ticks.{0}", group="exit", last_id="5-0", delivered_id="5-0", pending=0),
        GroupProgress(
            stream="fills.{0}", group="tracker", last_id="5-0", delivered_id="4-0", pending=3, oldest_age_ms=2500
        ),
        GroupProgress(
            stream="entries.{0}", group="executor", last_id="5-0", delivered_id="4-0", pending=1, oldest_age_ms=90
        ),
    )

    assert "fills to tracker: 2.5 s behind, 3 pending" in "\n".join(shown(a_snapshot(groups=groups)))
    assert "streams do not answer" in "\n".join(shown(a_snapshot(groups=None)))


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        ({"state": "before the open", "closes_in_s": None, "next_open": a_snapshot().now}, "opens in 0 s"),
        ({"state": "after the close", "closes_in_s": None, "next_open": None}, "after the close"),
        ({"state": "unknown", "closes_in_s": None, "next_open": None}, "session unknown"),
    ],
)
def test_the_session_is_told(session: dict, expected: str):
    """Before the open, after the close, and when nobody has read the calendar."""
    snap = replace(a_snapshot(), session={"new_york": "2026-02-03 12:00:00"} | session)

    assert expected in shown(snap, 80, 24)[0]


def test_a_cut_quantity_and_several_reasons_are_told():
    """What was asked stands beside what was approved; the number of reasons survives a narrow terminal."""
    decisions = [a_decision(asked_qty="40"), a_refused(*[a_refusal()] * 3)]
    wide, narrow = (shown(a_snapshot(decisions=decisions), *size) for size in (SIZES[1], SIZES[0]))

    assert "approved: buy 10 at 7.20 (of 40 asked)" in "\n".join(wide)
    assert "refused: (3) positions would be 6, limit 5; " in "\n".join(wide)
    assert "(3) positions would be 6, limit 5; " in "\n".join(narrow)


def test_live_money_is_named():
    """A terminal that trades real money says so in red."""
    assert "REAL MONEY" in shown(a_snapshot(mode="alpaca-live"), 80, 24)[0]
    assert "red" == _coloured(a_snapshot(mode="alpaca-live"))["REAL MONEY"]


def test_a_low_terminal_loses_panels_not_the_positions():
    """Positions come first; on twelve lines nothing else fits."""
    assert ["positions"] == list(panel_lines(6))
    assert {"positions": 7, "decisions": 7, "closed": 5, "orders": 3} == panel_lines(22)
    assert {} == panel_lines(-2)


def test_notes_come_first():
    """What the view itself has to say stands before what rows say."""
    assert shown(a_snapshot(), notes=[Text("stopping the actors")])[-1].startswith("stopping the actors")


def test_a_terminal_without_unicode_gets_bars_of_ascii():
    """The bars are drawn with # and dots."""
    lines = drawn(frame(a_snapshot(), Look(width=80, height=24, ascii_only=True)), 80, 24)

    assert "####.... 3 of 5" in the_line(lines, "large active")


def test_the_next_rule_stands_where_a_close_would():
    """What closes a position is shown; until something does, the rule that a price meets next."""
    calm, leaving = held(coming="-1.50 stop"), held(coming="-1.50 stop", leaving="target")
    lines = [shown(replace(a_snapshot(positions=[one]), decisions=[], orders=[], closed=[])) for one in (calm, leaving)]

    assert "-1.50 stop" in the_line(lines[0], "MSFT 20Feb26 400P")
    assert "target" in the_line(lines[1], "MSFT 20Feb26 400P")
    assert "-1.50 stop" not in the_line(lines[1], "MSFT 20Feb26 400P")
