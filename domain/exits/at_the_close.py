"""Rules of the day's end: flatten, flatten on half days, and windows that ask more the nearer the close is.

All count back from the close that the calendar names; without a known session none fires.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from domain.exits.policy import ExitPolicy, Regime, Window
from domain.exits.watched import Exit, Moment, Outlook, Watched, close_all, days_to_expiry
from domain.known import Unknown

#: A nervous market asks for more before a night: gain and days are multiplied by this, dollars divided.
OVERNIGHT_FACTOR: Final[Mapping[Regime, Decimal]] = MappingProxyType(
    {
        Regime.CALM: Decimal(1),
        Regime.ELEVATED: Decimal("1.5"),
        Regime.HIGH: Decimal(2),
        Regime.EXTREME: Decimal(3),
    }
)


def end_of_day(pos: Watched, at: Moment) -> Exit | None:
    """Close ``flatten_before_close`` before the session's real close.

    Waits for nothing. Unknown: it needs no price; without a session it holds.
    """
    span = pos.policy.flatten_before_close
    if span is None or at.session is None or not at.session.closes_within(span, at.now):
        return None
    return close_all("end_of_day", f"{span} before the close at {at.session.close:%H:%M:%SZ}")


def half_day(pos: Watched, at: Moment) -> Exit | None:
    """Close ``flatten_before_half_day_close`` before the close of a session that is shorter than a regular one.

    Waits for nothing. Unknown: it needs no price; without a session it holds.
    """
    span, session = pos.policy.flatten_before_half_day_close, at.session
    if span is None or session is None or not session.is_half_day or not session.closes_within(span, at.now):
        return None
    return close_all("half_day", f"{span} before the early close at {session.close:%H:%M:%SZ}")


def end_of_day_window(pos: Watched, at: Moment) -> Exit | None:
    """Close what one of ``windows`` does not let pass, from its time before the close on; the unknown passes.

    Waits for nothing. Unknown: without a session it holds; a gain or a criterion that is not known passes.
    """
    if at.session is None:
        return None
    for window in pos.policy.windows:
        if at.session.closes_within(window.before_close, at.now) and (why := _not_let_pass(window, pos, at)):
            detail = f"{window.before_close} before the close: {why}"
            return close_all("end_of_day_window", detail)
    return None


def _not_let_pass(window: Window, pos: Watched, at: Moment) -> str | None:
    """Say why the window closes the position, None to let it pass."""
    if window.gain_below_pct is not None:
        gain = None if at.price is None else pos.gain_pct(at.price)
        below = gain is not None and gain < window.gain_below_pct
        return f"gain {gain:.2f} % < {window.gain_below_pct} %" if below else None
    if window.failed_criteria is not None:
        failed = failed_overnight_criteria(pos, at)
        return f"not for a night: {', '.join(failed)}" if len(failed) >= window.failed_criteria else None
    return "everything is closed"


def failed_overnight_criteria(pos: Watched, at: Moment) -> tuple[str, ...]:
    """Return what speaks against holding over night; what is unknown, or not asked for, does not.

    Source: incident L33, where a larger risk lowered the gain that a night asked for.
    """
    policy, days, factor = pos.policy, days_to_expiry(pos, at), _factor(at.outlook)
    failed = []
    if policy.overnight_min_days is not None and days is not None and days < policy.overnight_min_days * factor:
        failed.append(f"{days} days to expiration < {policy.overnight_min_days * factor}")
    least = overnight_gain_pct(policy, at.outlook)
    if least is not None and at.price is not None:
        gain = pos.gain_pct(at.price)
        failed += [f"gain {gain:.2f} % < {least} %"] if gain < least else []
    if policy.overnight_max_usd is not None and pos.cost_usd > policy.overnight_max_usd / factor:
        failed.append(f"{pos.cost_usd:.2f} USD > {policy.overnight_max_usd / factor:.2f}")
    return tuple(failed)


def overnight_gain_pct(policy: ExitPolicy, outlook: Outlook) -> Decimal | None:
    """Return the gain that a night asks for: in a nervous market more of a gain, or less of a loss."""
    asked, factor = policy.overnight_min_gain_pct, _factor(outlook)
    if asked is None:
        return None
    return asked * factor if asked > 0 else asked / factor


def _factor(outlook: Outlook) -> Decimal:
    return Decimal(1) if isinstance(outlook.regime, Unknown) else OVERNIGHT_FACTOR[outlook.regime.value]
