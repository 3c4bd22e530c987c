"""Clock and calendar of the third version: by market, with phases."""

import pytest

from tests.paper.days import write_day


@pytest.mark.parametrize(
    ("at", "phase", "until"),
    [
        ("2026-02-03T08:59:59", "closed", "2026-02-03T04:00:00-05:00"),
        ("2026-02-03T14:00:00", "pre", "2026-02-03T09:30:00-05:00"),
        ("2026-02-03T14:30:00", "core", "2026-02-03T16:00:00-05:00"),
        ("2026-02-03T21:00:00", "post", "2026-02-03T20:00:00-05:00"),
        ("2026-02-04T01:30:00", "closed", "2026-02-04T04:00:00-05:00"),
        ("2026-02-07T15:00:00", "closed", "2026-02-09T04:00:00-05:00"),
    ],
)
def test_a_market_clock_tells_the_phase(a_paper, at, phase, until):
    """On a weekend it is closed until Monday's early trading."""
    from paper.times import parse

    day, time = at.split("T")
    paper = a_paper(start=parse("2026-02-03T08:00:00Z"))
    paper.to(time, day)

    [clock] = paper.get("/v3/clock", markets="XNYS")["clocks"]

    assert (phase, until, day != "2026-02-07") == (clock["phase"], clock["phase_until"], clock["is_market_day"])
    assert ("NYSE", "XNYS", "America/New_York") == tuple(clock["market"][key] for key in ("acronym", "mic", "timezone"))


def test_all_markets_have_a_clock(paper):
    """Unless some are named; an unknown one is refused."""
    clocks = paper.get("/v3/clock")["clocks"]

    assert ["NYSE", "NASDAQ", "OPRA"] == [clock["market"]["acronym"] for clock in clocks]
    assert ("2026-02-03T09:31:00-05:00", "2026-02-04T09:30:00-05:00", "2026-02-03T16:00:00-05:00") == tuple(
        clocks[0][key] for key in ("timestamp", "next_market_open", "next_market_close")
    )
    assert 422 == paper.call("GET", "/v3/clock", params={"markets": "NYSE,MOON"})[0]


def test_a_market_calendar_has_the_phases_of_each_day(a_paper, tmp_path):
    """An early close moves the evening; options have no early and late trading."""
    paper = a_paper(write_day(tmp_path / "half", close="18:00:00", early_close=True))

    body = paper.get("/v3/calendar/NYSE", start="2026-02-03", end="2026-02-04")
    options = paper.get("/v3/calendar/opra", start="2026-02-03", end="2026-02-03")

    assert "XNYS" == body["market"]["mic"]
    assert {
        "date": "2026-02-03",
        "pre_start": "2026-02-03T04:00:00-05:00",
        "pre_end": "2026-02-03T09:30:00-05:00",
        "core_start": "2026-02-03T09:30:00-05:00",
        "core_end": "2026-02-03T13:00:00-05:00",
        "post_start": "2026-02-03T13:00:00-05:00",
        "post_end": "2026-02-03T17:00:00-05:00",
        "settlement_date": "2026-02-04",
    } == body["calendar"][0]
    assert "2026-02-04T20:00:00-05:00" == body["calendar"][1]["post_end"]
    assert {"date", "core_start", "core_end", "settlement_date"} == set(options["calendar"][0])
    assert 422 == paper.call("GET", "/v3/calendar/MOON")[0]
