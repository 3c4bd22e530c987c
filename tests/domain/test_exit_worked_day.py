"""The worked day of a position that was once drawn on paper: ten contracts at 5.00, from 10:00 to 11:00.

The drawing gives premium, peak, units held and stop after each look; beside it stood rules that contradict it. Both
readings are played here with the rules as they are now. Source: docs/adr/0014; the numbers are restated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from domain.exits import LEVELS, ExitPolicy, Rung, Tier, Watched, first_exit
from domain.positions import Excursion
from tests.domain.exit_kit import a_position, only, seen, sold
from tests.factories import SESSION


def at(clock: str) -> datetime:
    """New York time of the day."""
    hours, minutes = map(int, clock.split(":"))
    return SESSION.open + timedelta(hours=hours, minutes=minutes) - timedelta(hours=9, minutes=30)


@dataclass(frozen=True)
class Look:
    """One row: the premium seen, and what stands after it: peak, units, the tightest stop, the rule that acted."""

    clock: str
    premium: str
    peak: str
    held: int
    stop: str
    acted: str | None


#: Stop 40 %, target 80 %, break-even from +10 %, 40 % of the units at +20 %: the drawing's own rules, without a hold.
DRAWN = only(
    stop_pct=Decimal(40),
    target_pct=Decimal(80),
    break_even_arm_pct=Decimal(10),
    ladder=(Rung(at_pct=Decimal(20), close_pct=Decimal(40)),),
    min_hold=timedelta(0),
)
AS_DRAWN = (
    Look("10:00", "5.00", "5.00", 10, "3.00", None),
    Look("10:01", "5.10", "5.10", 10, "3.00", None),
    Look("10:15", "5.60", "5.60", 10, "5.00", None),  # +12 %: break-even is armed
    Look("10:30", "6.20", "6.20", 6, "5.00", "ladder"),  # +24 %: four of ten are sold
    Look("10:31", "6.30", "6.30", 6, "5.00", None),
    Look("10:45", "6.50", "6.50", 6, "5.00", None),  # +30 %: the drawing forgot its first tier
    Look("10:46", "6.30", "6.50", 6, "5.00", None),
    Look("10:50", "5.80", "6.50", 6, "5.00", None),
    Look("11:00", "5.00", "6.50", 0, "5.00", "break_even"),
)
#: The same with the tiers that the text beside the drawing asks for: from +30 % on, 70 % of the peak gain is kept.
WITH_TIERS = replace(
    DRAWN,
    trail_tiers=tuple(Tier(arm_pct=Decimal(a), lock_pct=Decimal(b)) for a, b in ((30, 70), (50, 80), (80, 85))),
)
AS_WRITTEN = (
    *AS_DRAWN[:5],
    Look("10:45", "6.50", "6.50", 6, "6.05", None),  # 5.00 + 70 % of 1.50
    Look("10:46", "6.30", "6.50", 6, "6.05", None),
    Look("10:50", "5.80", "6.50", 0, "6.05", "trailing_tiers"),
)


@pytest.mark.parametrize(
    ("policy", "looks", "earned_usd"),
    [(DRAWN, AS_DRAWN, 480), (WITH_TIERS, AS_WRITTEN, 960)],
    ids=["as drawn: 480 USD", "as written beside it: 960 USD"],
)
def test_the_worked_day(policy: ExitPolicy, looks: tuple[Look, ...], earned_usd: int):
    """Peak, units held, tightest stop and the rule that acts, look by look; and what the position earned."""
    pos = a_position("5.00", qty=10, policy=policy, opened_at=at("10:00"))
    earned = Decimal(0)
    for look in looks:
        price = Decimal(look.premium)
        pos = replace(pos, excursion=pos.excursion.marked(price, is_long=True))
        found = first_exit(pos, seen(price, at(look.clock)))
        part = 0 if found is None else pos.qty if found.part is None else found.part.qty
        earned += (price - pos.entry_price) * part * pos.multiplier
        stands = (tightest(pos), pos.excursion.peak)
        if found is not None and found.part is not None:
            pos = sold(pos, part, found.part.at_pct)
        held = 0 if found is not None and found.part is None else pos.qty

        assert (look.acted, look.held) == (found and found.rule, held), look.clock
        assert (Decimal(look.stop), Decimal(look.peak)) == stands, look.clock

    assert earned_usd == earned


def tightest(pos: Watched) -> Decimal:
    return max(level for rule in LEVELS if rule != "target" and (level := LEVELS[rule](pos)) is not None)


def test_with_the_minimum_hold_of_the_defaults_the_drawing_comes_out_the_same():
    """The drawing says nothing of a minimum hold; with 30 minutes its first sale falls on the very limit."""
    pos = a_position("5.00", qty=10, policy=replace(DRAWN, min_hold=timedelta(minutes=30)), opened_at=at("10:00"))
    pos = replace(pos, excursion=Excursion(peak=Decimal("6.20"), trough=Decimal("5.00")))

    assert first_exit(pos, seen("6.20", at("10:29"))) is None
    assert "ladder" == first_exit(pos, seen("6.20", at("10:30"))).rule  # type: ignore[union-attr]
