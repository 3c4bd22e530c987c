"""One drawn session a rule: the settings that switch it on, a path of prices, and what others tell on the way.

Minutes count from the open at 9:30 in New York. A contract is held at an entry of 10.00 when the path begins; prices
between two knots lie on a straight line.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from actors.outlook import NOTHING_KNOWN
from cli import exit_settings
from cli.exit_settings import ExitSettings
from domain.exits import LEVELS, Exit, Moment, Outlook, Regime, Watched, first_exit
from domain.ids import AccountName, PositionId
from domain.known import Known
from domain.money import CENT
from domain.positions import Excursion
from domain.session import Session

DAY: Final = date(2026, 2, 3)
OPEN: Final = datetime(2026, 2, 3, 14, 30, tzinfo=UTC)
FULL_DAY_MIN: Final = 390
HALF_DAY_MIN: Final = 210
ENTRY: Final = Decimal(10)

Knots = tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Told:
    """At *minute* others say something: *known* becomes known, *label* is written into the drawing."""

    minute: int
    label: str
    known: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scene:
    """*settings* are keys of the configuration; *expires_in*: calendar days, None for a stock."""

    settings: dict[str, Any]
    knots: Knots
    qty: int = 1
    session_min: int = FULL_DAY_MIN
    expires_in: int | None = 17
    marks: tuple[tuple[int, str], ...] = ()
    told: tuple[Told, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Step:
    """A minute of the session as it was drawn: *level* is where the rule stood, *found* what it asked for."""

    minute: int
    price: Decimal
    level: Decimal | None
    found: Exit | None


SCENES: Final[dict[str, Scene]] = {
    "catastrophe": Scene(
        {"catastrophe_pct": "50", "min_hold_min": 30}, ((10, "10"), (20, "9.2"), (28, "4.9"), (60, "6.5"), (120, "7"))
    ),
    "stop": Scene(
        {"stop_pct": "40", "min_hold_min": 30},
        ((10, "10"), (22, "5.8"), (34, "8.6"), (110, "7.4"), (170, "5.6"), (230, "6.8"), (320, "6.4")),
        marks=((40, "minimum hold ends"),),
    ),
    "target": Scene(
        {"target_pct": "80", "min_hold_min": 30},
        ((10, "10"), (70, "12.2"), (120, "11.1"), (210, "15.4"), (260, "18.4"), (300, "16.2"), (360, "15.5")),
    ),
    "trailing": Scene(
        {"trail_arm_pct": "30", "trail_giveback_pct": "25", "min_hold_min": 30},
        ((10, "10"), (60, "12.4"), (90, "11.2"), (150, "13.6"), (200, "15.6"), (250, "13.4"), (320, "12"), (380, "11")),
    ),
    "trailing_price": Scene(
        {"trail_price_arm_pct": "20", "trail_price_pct": "10", "min_hold_min": 30},
        (
            (10, "10"),
            (60, "11.6"),
            (90, "10.8"),
            (160, "13.2"),
            (190, "12.4"),
            (250, "14.6"),
            (300, "12.8"),
            (370, "12"),
        ),
    ),
    "trailing_tiers": Scene(
        {
            "trail_tiers": (
                {"arm_pct": "30", "lock_pct": "70"},
                {"arm_pct": "50", "lock_pct": "80"},
                {"arm_pct": "80", "lock_pct": "85"},
            ),
            "min_hold_min": 30,
        },
        (
            (10, "10"),
            (80, "13.4"),
            (110, "12.6"),
            (170, "15.6"),
            (200, "14.7"),
            (260, "18.6"),
            (310, "16.8"),
            (370, "15"),
        ),
    ),
    "break_even": Scene(
        {"break_even_arm_pct": "10", "min_hold_min": 30},
        ((10, "10"), (50, "10.7"), (70, "9.6"), (140, "11.6"), (190, "10.9"), (240, "9.7"), (300, "8.9"), (370, "8.5")),
    ),
    "ladder": Scene(
        {
            "ladder": ({"at_pct": "20", "close_pct": "40"}, {"at_pct": "50", "close_pct": "30"}),
            "trail_arm_pct": "30",
            "trail_giveback_pct": "25",
            "min_hold_min": 30,
        },
        ((10, "10"), (70, "12.4"), (110, "11.6"), (180, "15.4"), (230, "16.6"), (280, "14.8"), (370, "13")),
        qty=10,
    ),
    "max_hold": Scene(
        {"max_hold_min": 240, "min_hold_min": 30}, ((10, "10"), (90, "11"), (170, "9.5"), (260, "10.6"), (370, "10.9"))
    ),
    "min_progress": Scene(
        {"progress_after_min": 120, "progress_pct": "10", "min_hold_min": 30},
        ((10, "10"), (60, "10.6"), (100, "9.8"), (150, "10.4"), (240, "9.2"), (370, "8.8")),
        marks=((130, "120 min: best gain under 10 %"),),
    ),
    "theta_decay": Scene(
        {"theta_days": 2, "theta_pct": "5", "min_hold_min": 30},
        ((10, "10"), (80, "9.4"), (150, "8.2"), (220, "8.8"), (300, "7.2"), (370, "6.8")),
        expires_in=2,
        told=(
            Told(10, "theta -0.30 a day", {"theta": Decimal("-0.30")}),
            Told(140, "theta -0.46 a day", {"theta": Decimal("-0.46")}),
        ),
    ),
    "near_expiry": Scene(
        {"near_expiry": ({"days": 1, "gain_below_pct": "10"},), "min_hold_min": 30},
        ((10, "11.6"), (90, "12.2"), (160, "11.3"), (200, "10.7"), (280, "10.1"), (370, "9")),
        expires_in=1,
    ),
    "end_of_day": Scene(
        {"flatten_before_close_min": 5, "min_hold_min": 30},
        ((240, "10"), (290, "10.8"), (330, "10.3"), (390, "11.4")),
    ),
    "half_day": Scene(
        {"flatten_before_half_day_close_min": 15, "min_hold_min": 30},
        ((20, "10"), (80, "10.9"), (130, "10.2"), (210, "11")),
        session_min=HALF_DAY_MIN,
    ),
    "end_of_day_window": Scene(
        {
            "windows": (
                {"before_close_min": 90, "gain_below_pct": "-20"},
                {"before_close_min": 60, "gain_below_pct": "-10"},
                {"before_close_min": 30, "gain_below_pct": "0"},
                {"before_close_min": 5, "everything": True},
            ),
            "min_hold_min": 30,
        },
        ((180, "10"), (240, "9.4"), (280, "8.4"), (315, "9.1"), (340, "9.4"), (352, "9.8"), (390, "10.4")),
        marks=((300, "-20 %"), (330, "-10 %"), (360, "loss"), (385, "all")),
    ),
    "expiry": Scene(
        {"close_before_expiry_min": 60, "min_hold_min": 30},
        ((60, "10"), (130, "10.8"), (220, "9.6"), (300, "10.6"), (390, "9.2")),
        expires_in=0,
    ),
    "signal_reversal": Scene(
        {"reversal_min_confidence": "0.60", "min_hold_min": 30},
        ((30, "10"), (100, "10.9"), (190, "10.2"), (280, "9.3"), (370, "8.6")),
        told=(
            Told(110, "opposite, 0.50", {"reversal": Decimal("0.50")}),
            Told(210, "opposite, 0.70", {"reversal": Decimal("0.70")}),
        ),
    ),
    "earnings": Scene(
        {"earnings_within_sessions": 1, "min_hold_min": 30},
        ((30, "10"), (110, "10.6"), (200, "10.1"), (290, "10.8"), (370, "10.4")),
        told=(Told(170, "earnings tomorrow", {"sessions_to_earnings": 1}),),
    ),
    "regime": Scene(
        {"regime_at_least": "extreme", "min_hold_min": 30},
        ((30, "10"), (100, "10.7"), (180, "9.6"), (260, "8.4"), (370, "7.6")),
        told=(
            Told(60, "regime high", {"regime": Regime.HIGH}),
            Told(190, "regime extreme", {"regime": Regime.EXTREME}),
        ),
    ),
}


def played(rule: str) -> tuple[Step, ...]:
    """Walk *rule*'s scene minute by minute with the real rules; prices go on after the close, the rules do not."""
    scene = SCENES[rule]
    pos, outlook, closed = _bought(scene), NOTHING_KNOWN, False
    steps = []
    for minute in range(scene.knots[0][0], scene.knots[-1][0] + 1):
        price = _price(scene.knots, minute)
        outlook = _after(outlook, scene, minute)
        if closed:
            steps.append(Step(minute, price, None, None))
            continue
        pos = replace(pos, excursion=pos.excursion.marked(price, pos.is_long))
        found = first_exit(pos, _moment(scene, outlook, minute, price))
        steps.append(Step(minute, price, LEVELS[rule](pos) if rule in LEVELS else None, found))
        closed = found is not None and found.part is None
        if found is not None and found.part is not None:
            pos = replace(
                pos,
                qty=pos.qty - found.part.qty,
                ladder_qty=pos.ladder_qty + found.part.qty,
                ladder_pct=found.part.at_pct,
            )
    return tuple(steps)


def _bought(scene: Scene) -> Watched:
    expiration = None if scene.expires_in is None else DAY + timedelta(days=scene.expires_in)
    session = _session(scene)
    return Watched(
        position_id=PositionId(UUID(int=1)),
        account=AccountName("large"),
        symbol="drawn",
        multiplier=100,
        qty=scene.qty,
        max_qty=scene.qty,
        entry_price=ENTRY,
        opened_at=OPEN + timedelta(minutes=scene.knots[0][0]),
        policy=exit_settings.policy([ExitSettings(**scene.settings).named()]),
        excursion=Excursion(peak=None, trough=None),
        ladder_qty=0,
        ladder_pct=None,
        expiration=expiration,
        last_session=session if scene.expires_in == 0 else None,
    )


def _session(scene: Scene) -> Session:
    return Session(day=DAY, open=OPEN, close=OPEN + timedelta(minutes=scene.session_min))


def _moment(scene: Scene, outlook: Outlook, minute: int, price: Decimal) -> Moment:
    now = OPEN + timedelta(minutes=minute)
    return Moment(price=price, now=now, today=DAY, session=_session(scene), outlook=outlook)


def _after(outlook: Outlook, scene: Scene, minute: int) -> Outlook:
    """Return what is known once those of *minute* have spoken."""
    for told in scene.told:
        if told.minute == minute:
            now = OPEN + timedelta(minutes=minute)
            outlook = replace(outlook, **{name: Known(value, now, "drawn") for name, value in told.known.items()})
    return outlook


def _price(knots: Knots, minute: int) -> Decimal:
    """Return the price on the straight line between the two knots around *minute*, in whole cents."""
    after = next(number for number, (at, _) in enumerate(knots) if at >= minute)
    (right, high) = knots[after]
    if right == minute:
        return Decimal(high).quantize(CENT)
    (left, low) = knots[after - 1]
    return (Decimal(low) + (Decimal(high) - Decimal(low)) * (minute - left) / (right - left)).quantize(CENT)
