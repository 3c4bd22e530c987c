"""Is it the time to enter: market hours as the calendar has them, and what the configuration leaves of them."""

from __future__ import annotations

from datetime import datetime

from domain.checks import Check, Code, clock_text
from domain.gates.proposal import Proposal
from domain.gates.verdict import check, judged, not_looked_at, unknown
from domain.known import Unknown
from domain.session import FULL_SESSION, NEW_YORK


def market_is_open_for_entries(p: Proposal) -> Check:
    """From the open to some minutes before the session's real close; earlier on an option's last trading day.

    Set by ``no_entry_before_close_min`` and ``no_entry_before_last_close_min``.
    """
    if isinstance(p.session, Unknown):
        return unknown(market_is_open_for_entries, p.session, "an open session")
    if isinstance(p.last_session, Unknown):
        return unknown(market_is_open_for_entries, p.last_session, "a known last trading day")
    session, last = p.session.value, p.last_session.value
    is_last = last is not None and last.day == session.day
    margin = p.rules.no_entry_before_last_close if is_last else p.rules.no_entry_before_close
    passed = session.is_open(p.now) and not session.closes_within(margin, p.now)
    allowed = f"{clock_text(session.open)} to {clock_text(session.close - margin)}"
    code = _early_or_late(p.now, session.open)
    return judged(market_is_open_for_entries, p, p.session, passed, clock_text(p.now), allowed, code)


def opening_minutes_are_over(p: Proposal) -> Check:
    """The first minutes after the open, where quotes are wide and prices jump, are left to others.

    Set by ``no_entry_after_open_min``.
    """
    wait = p.rules.no_entry_after_open
    if wait is None:
        return not_looked_at(opening_minutes_are_over)
    if isinstance(p.session, Unknown):
        return unknown(opening_minutes_are_over, p.session, "an open session")
    first = p.session.value.open + wait
    allowed = f">= {clock_text(first)}"
    return judged(opening_minutes_are_over, p, p.session, p.now >= first, clock_text(p.now), allowed, Code.EARLY)


def time_is_within_entry_hours(p: Proposal) -> Check:
    """The hours in which the strategy enters, in New York time: from the first one on, before the last one.

    Set by ``entry_from`` and ``entry_until``.
    """
    start, end = p.rules.entry_from, p.rules.entry_until
    if start is None and end is None:
        return not_looked_at(time_is_within_entry_hours)
    local = p.now.astimezone(NEW_YORK).time()
    early, late = start is not None and local < start, end is not None and local >= end
    bounds = (f">= {start:%H:%M}" if start else "", f"before {end:%H:%M}" if end else "")
    return check(
        time_is_within_entry_hours,
        not early and not late,
        f"{local:%H:%M:%S} in New York",
        " and ".join(bound for bound in bounds if bound),
        "clock",
        Code.EARLY if early else Code.LATE,
    )


def session_is_long_enough(p: Proposal) -> Check:
    """Where half days are refused: the session of today is a whole one.

    Set by ``refuse_half_days``.
    """
    if not p.rules.refuse_half_days:
        return not_looked_at(session_is_long_enough)
    if isinstance(p.session, Unknown):
        return unknown(session_is_long_enough, p.session, f">= {FULL_SESSION}")
    length = p.session.value.close - p.session.value.open
    return judged(session_is_long_enough, p, p.session, length >= FULL_SESSION, length, f">= {FULL_SESSION}")


def _early_or_late(now: datetime, opened: datetime) -> Code:
    return Code.EARLY if now < opened else Code.LATE
