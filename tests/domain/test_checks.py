"""What counts as blindness: monitoring rings on it, so every gate must say it in the same way."""

from __future__ import annotations

import pytest

from domain.checks import ASKED_FOR, blind
from domain.gates import review
from domain.known import Unknown
from tests.factories import a_proposal

AWAY = Unknown("no answer", "somebody")
#: What a decision looks at, and what its gates cannot see without it.
INPUTS = {
    "pulse": {"stack_is_alive"},
    "contract": {"contract_is_tradable"},
    "session": {"market_is_open_for_entries", "contract_is_unexpired"},
    "last_session": {"market_is_open_for_entries"},
    "quote": {
        "quote_is_fresh",
        "quote_is_two_sided",
        "quote_is_uncrossed",
        "spread_is_within_limit",
        "exposure_is_within_limit",
        "buying_power_is_enough",
    },
    "feed_at": {"feed_is_alive"},
    "buying_power_usd": {"buying_power_is_enough"},
}


@pytest.mark.parametrize(("name", "gates"), INPUTS.items(), ids=INPUTS)
def test_a_gate_that_cannot_see_says_so(name: str, gates: set[str]):
    """Exactly the gates that look at it, and none that does not."""
    checks = review(a_proposal(**{name: AWAY}))

    assert gates == {check.gate for check in blind(checks)}


def test_a_gate_that_sees_is_not_blind():
    assert () == blind(review(a_proposal()))


@pytest.mark.parametrize("source", sorted(ASKED_FOR))
def test_a_question_without_sense_makes_nobody_blind(source: str):
    """The symbol cannot be read, so there is no quote either: the fault is the asker's."""
    checks = review(a_proposal(instrument=Unknown("no symbol", source), quote=AWAY))

    assert () == blind(checks)
