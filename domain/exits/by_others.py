"""Rules that hang on what others say: recommendations, a calendar of earnings, the state of the market.

Unknown closes nothing: a source that is silent must not sell what is held.
"""

from __future__ import annotations

from domain.exits.watched import Exit, Moment, Watched, close_all
from domain.known import Unknown


def signal_reversal(pos: Watched, at: Moment) -> Exit | None:
    """Close once the account was recommended the opposite, with ``reversal_min_confidence`` or more.

    Waits for nothing, needs no price. Unknown: it holds.
    """
    least, said = pos.policy.reversal_min_confidence, at.outlook.reversal
    if least is None or isinstance(said, Unknown) or said.value is None or said.value < least:
        return None
    return close_all("signal_reversal", f"opposite with confidence {said.value} >= {least}")


def earnings(pos: Watched, at: Moment) -> Exit | None:
    """Close when the company reports within ``earnings_within_sessions`` sessions; hold if the date is unknown.

    Waits for nothing, needs no price. Unknown: it holds, also where no report is announced.
    """
    limit, left = pos.policy.earnings_within_sessions, at.outlook.sessions_to_earnings
    if limit is None or isinstance(left, Unknown) or left.value is None or left.value > limit:
        return None
    return close_all("earnings", f"earnings in {left.value} sessions <= {limit}")


def regime(pos: Watched, at: Moment) -> Exit | None:
    """Close while the market is as nervous as ``regime_at_least`` or more; hold if nobody says how nervous it is.

    Waits for nothing, needs no price. Unknown: it holds.
    """
    least, seen = pos.policy.regime_at_least, at.outlook.regime
    if least is None or isinstance(seen, Unknown) or seen.value.rank < least.rank:
        return None
    return close_all("regime", f"regime {seen.value} >= {least}")
