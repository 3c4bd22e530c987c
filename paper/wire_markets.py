"""The third version of clock and calendar: by market, with the phases of the day."""

from datetime import datetime, time
from typing import Any

from paper import times
from paper.sessions import Calendar, Session

JSON = dict[str, Any]

_PRE_MARKET, _POST_MARKET_ENDS = time(4, 0), time(20, 0)
#: After an early close the late trading ends three hours before its usual time.
_EARLY_POST_ENDS = time(17, 0)
#: The markets whose hours this server knows: names that mean one of them, and what it is called.
MARKETS: dict[str, JSON] = {
    "NYSE": {"acronym": "NYSE", "mic": "XNYS", "name": "New York Stock Exchange"},
    "NASDAQ": {"acronym": "NASDAQ", "mic": "XNAS", "name": "Nasdaq"},
    "OPRA": {"acronym": "OPRA", "mic": None, "name": "Options Price Reporting Authority"},
}


def market_named(name: str) -> JSON | None:
    """The market with this acronym or ISO code, as answers show it; None when it is not known here."""
    wanted = name.upper()
    found = next((m for m in MARKETS.values() if wanted in {m["acronym"], m["mic"]}), None)
    return found | {"bic": None, "timezone": "America/New_York"} if found is not None else None


def clock(market: JSON, now: datetime, calendar: Calendar) -> JSON:
    """One market's clock: whether it trades today, and which phase of the day it is in until when."""
    today = times.new_york_day(now)
    session = next(iter(calendar.between(today, today)), None)
    phase, until = _phase(session, now) if session is not None else ("closed", None)
    following = next(s for s in calendar.starting(today) if s.open > now)
    return {
        "market": market,
        "timestamp": times.new_york(now),
        "is_market_day": session is not None,
        "next_market_open": times.new_york(following.open),
        "next_market_close": times.new_york(calendar.ending_after(now).close),
        "phase": phase,
        "phase_until": times.new_york(until if until is not None else _starts(following)),
    }


def day(market: JSON, session: Session, calendar: Calendar) -> JSON:
    """One day of a market's calendar; options trade in the core hours only."""
    shown = {
        "date": session.day.isoformat(),
        "core_start": times.new_york(session.open),
        "core_end": times.new_york(session.close),
        "settlement_date": calendar.opening_after(session.open).day.isoformat(),
    }
    if market["acronym"] == "OPRA":
        return shown
    return shown | {
        "pre_start": times.new_york(_starts(session)),
        "pre_end": times.new_york(session.open),
        "post_start": times.new_york(session.close),
        "post_end": times.new_york(_ends(session)),
    }


def _phase(session: Session, now: datetime) -> tuple[str, datetime | None]:
    """The phase of a trading day and its end; None when it ends with the next day's beginning."""
    phases = (
        ("closed", _starts(session)),
        ("pre", session.open),
        ("core", session.close),
        ("post", _ends(session)),
    )
    return next(((name, end) for name, end in phases if now < end), ("closed", None))


def _starts(session: Session) -> datetime:
    return times.at_new_york(session.day, _PRE_MARKET)


def _ends(session: Session) -> datetime:
    ends = times.at_new_york(session.day, _EARLY_POST_ENDS if session.early_close else _POST_MARKET_ENDS)
    return max(ends, session.close)
