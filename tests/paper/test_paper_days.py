"""Day folders: what is read, and how a wrong one is refused in one line."""

import pytest

from paper import tape
from paper.errors import DayFormatError
from tests.paper.days import CALL, rewrite, write_day


def test_a_day_is_grouped_by_instant(tmp_path):
    """Stock, quotes and trades of one timestamp are one instant; a missing side stays missing."""
    day = tape.read_day(write_day(tmp_path / "day"))

    first, second, third = (instant for _, instant in sorted(day.instants.items()))
    assert [("ACME", "99.90", "100.10", "1", "1"), (CALL, "1.00", "1.10", "10", "20")] == first.quotes[:2]
    assert ("", "0.50") == first.quotes[2][1:3]
    assert [(CALL, "1.25", "7")] == second.trades
    assert 2 == len(third.quotes)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("quotes.csv.gz", "1.00,1.10", "1.0x,1.10", "line 2, field bid: is not valid (value '1.0x')"),
        ("quotes.csv.gz", "1.00,1.10", "0.00,1.10", "line 2, field bid: is not valid (value '0.00')"),
        ("quotes.csv.gz", "1.20,1.30", "1.20,-1", "line 5, field ask: is not valid (value '-1')"),
        ("quotes.csv.gz", ",ba\n", "\n", "line 2, field row: has 6 fields instead of 7"),
        ("quotes.csv.gz", "T14:31:59.999Z", "T14:29:59.999Z", "line 5, field ts: is earlier than the row before"),
        ("quotes.csv.gz", "-03T14:31", "-33T14:31", "line 5, field ts: is no time (value '2026-02-33T14:31:59.999Z')"),
        ("quotes.csv.gz", CALL, "ACME260206C00101000", "line 2, field symbol: is not in contracts.csv"),
        ("quotes.csv.gz", "ts,symbol", "time,symbol", "line 1, field header: must be ts,symbol,bid,ask"),
        ("underlying.csv.gz", "99.90", "free", "line 2, field bid: is not valid (value 'free')"),
        ("trades.csv.gz", ",7,", ",,", "line 2, field size: is not valid (value '')"),
        ("contracts.csv", ",CALL,", ",PUT,", "line 2, field type: does not agree with the symbol"),
        ("contracts.csv", ",100,2026", ",101,2026", "line 2, field strike: does not agree with the symbol"),
        ("contracts.csv", "american,100", "american,0", "line 2, field multiplier: is no positive integer"),
        ("contracts.csv", "style", "stile", "line 1, field style: the column is missing"),
        ("session.json", "14:30:00Z", "22:30:00Z", "line 1, field close: is not after open"),
        ("session.json", "14:30:00Z", "early", "line 1, field open: is no time (value '2026-02-03Tearly')"),
        ("session.json", '"date": "2026-02-03"', '"date": "2026-02-04"', "line 1, field open: is not on 2026-02-04"),
        ("session.json", "{", "[", "line 1, field date"),
        ("broker_events.jsonl", '"close"', '"open"', "line 1, field event: must be close (value 'open')"),
        ("broker_events.jsonl", '"qty": 2', '"qty": 2.5', "line 1, field qty: is no positive integer (value '2.5')"),
        ("broker_events.jsonl", '"account": "large"', '"account": ""', "line 1, field account: is no name"),
        ("broker_events.jsonl", "{", "", "line 1, field row: is no JSON"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, name, old, new, message):
    """File, line, field and value."""
    event = {"at": "2026-02-03T15:00:00Z", "account": "large", "symbol": CALL, "event": "close", "qty": 2}
    folder = rewrite(write_day(tmp_path / "day", broker_events=[event]), name, old, new)

    with pytest.raises(DayFormatError) as refused:
        tape.read_day(folder)

    assert str(refused.value).startswith(f"{folder / name}, {message}")
    assert 1 == len(str(refused.value).splitlines())


@pytest.mark.parametrize(
    "name", ["session.json", "contracts.csv", "quotes.csv.gz", "underlying.csv.gz", "trades.csv.gz"]
)
def test_a_missing_file_is_named(tmp_path, name):
    """None of the five may be missing."""
    folder = write_day(tmp_path / "day")
    (folder / name).unlink()

    with pytest.raises(DayFormatError, match="the file is missing") as refused:
        tape.read_day(folder)
    assert str(folder / name) in str(refused.value)


def test_a_broken_archive_is_named(tmp_path):
    """A file that is not gzip."""
    folder = write_day(tmp_path / "day")
    (folder / "quotes.csv.gz").write_bytes(b"ts,symbol\n")

    with pytest.raises(DayFormatError, match="cannot be read"):
        tape.read_day(folder)


def test_days_must_ascend(tmp_path):
    """The same day twice is refused, too."""
    folders = [write_day(tmp_path / name) for name in ("one", "two")]

    with pytest.raises(DayFormatError, match="does not come after"):
        tape.read_days(folders)
