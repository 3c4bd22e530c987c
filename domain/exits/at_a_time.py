"""Rules of time and of an option's life. None of them waits for the minimum hold."""

from __future__ import annotations

from domain.exits.watched import Exit, Moment, Watched, close_all, days_to_expiry
from domain.known import Unknown


def max_hold(pos: Watched, at: Moment) -> Exit | None:
    """Close when the position is as old as ``max_hold``.

    Waits for nothing. Unknown: it needs no price.
    """
    limit = pos.policy.max_hold
    if limit is None or at.now - pos.opened_at < limit:
        return None
    return close_all("max_hold", f"held {at.now - pos.opened_at} of {limit}")


def min_progress(pos: Watched, at: Moment) -> Exit | None:
    """Close after ``progress_after`` what never gained ``progress_pct``; hold what never had a price.

    Waits for nothing else. Unknown: it needs no price now; what never had one is held.
    """
    after, wanted, peak = pos.policy.progress_after, pos.policy.progress_pct, pos.excursion.peak
    if after is None or wanted is None or peak is None or at.now - pos.opened_at < after:
        return None
    if pos.gain_pct(peak) >= wanted:
        return None
    return close_all("min_progress", f"best gain {pos.gain_pct(peak):.2f} % < {wanted} % in {after}")


def theta_decay(pos: Watched, at: Moment) -> Exit | None:
    """Close ``theta_days`` before expiration what loses ``theta_pct`` of its price a day; hold if theta is unknown.

    Waits for nothing. Unknown: without theta or a price it holds; a stock has no theta.
    """
    days, limit, theta = days_to_expiry(pos, at), pos.policy.theta_pct, at.outlook.theta
    if days is None or limit is None or pos.policy.theta_days is None or days > pos.policy.theta_days:
        return None
    if isinstance(theta, Unknown) or at.price is None:
        return None
    decay_pct = abs(theta.value) / at.price * 100
    if decay_pct < limit:
        return None
    return close_all("theta_decay", f"a day takes {decay_pct:.2f} % >= {limit} %, {days} days left")


def near_expiry(pos: Watched, at: Moment) -> Exit | None:
    """Close within ``days`` of expiration what gains less than ``gain_below_pct``; without that, whatever it gains.

    Waits for nothing. Unknown: without a price it holds, unless no gain is asked for; a stock does not expire.
    """
    days = days_to_expiry(pos, at)
    gain = None if at.price is None else pos.gain_pct(at.price)
    for limit in pos.policy.near_expiry:
        if days is None or days > limit.days:
            continue
        if limit.gain_below_pct is None:
            return close_all("near_expiry", f"{days} days left <= {limit.days}")
        if gain is not None and gain < limit.gain_below_pct:
            seen = f"{days} days left <= {limit.days}, gain {gain:.2f} % < {limit.gain_below_pct} %"
            return close_all("near_expiry", seen)
    return None


def expiry(pos: Watched, at: Moment) -> Exit | None:
    """Close ``close_before_expiry`` before the close of the last session on or before expiration.

    Waits for nothing. Unknown: it needs no price; beyond the known calendar it holds; a stock does not expire.
    """
    span, last = pos.policy.close_before_expiry, pos.last_session
    if span is None or last is None or not last.closes_within(span, at.now):
        return None
    return close_all("expiry", f"{span} before the last close at {last.close:%Y-%m-%dT%H:%M:%SZ}")
