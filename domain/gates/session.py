"""Is it the time to enter."""

from __future__ import annotations

from domain.checks import Check, clock_text
from domain.gates.proposal import Proposal
from domain.gates.verdict import judged, unknown
from domain.known import Unknown


def market_is_open_for_entries(p: Proposal) -> Check:
    """From the open to some minutes before the session's real close; earlier on an option's last trading day."""
    if isinstance(p.session, Unknown):
        return unknown(market_is_open_for_entries, p.session, "an open session")
    if isinstance(p.last_session, Unknown):
        return unknown(market_is_open_for_entries, p.last_session, "a known last trading day")
    session, last = p.session.value, p.last_session.value
    margin = p.rules.no_entry_before_last_close if last == session else p.rules.no_entry_before_close
    passed = session.is_open(p.now) and not session.closes_within(margin, p.now)
    allowed = f"{clock_text(session.open)} to {clock_text(session.close - margin)}"
    return judged(market_is_open_for_entries, p, p.session, passed, clock_text(p.now), allowed)
