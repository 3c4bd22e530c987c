"""Where the stops of a position stand now: prices per share, None while a stop is off or not armed.

They hang on the entry and on the best price since, which only widens: a level may only tighten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from domain.exits.watched import Watched


def stop_level(pos: Watched) -> Decimal | None:
    return None if pos.policy.stop_pct is None else pos.price_at_gain(-pos.policy.stop_pct)


def catastrophe_level(pos: Watched) -> Decimal | None:
    return None if pos.policy.catastrophe_pct is None else pos.price_at_gain(-pos.policy.catastrophe_pct)


def target_level(pos: Watched) -> Decimal | None:
    return None if pos.policy.target_pct is None else pos.price_at_gain(pos.policy.target_pct)


def trailing_level(pos: Watched) -> Decimal | None:
    """The peak less ``trail_giveback_pct`` of the peak gain, once that gain reached ``trail_arm_pct``."""
    giveback = pos.policy.trail_giveback_pct
    peak = _peak_from(pos, pos.policy.trail_arm_pct)
    if peak is None or giveback is None:
        return None
    return peak - (peak - pos.entry_price) * giveback / 100


def trailing_price_level(pos: Watched) -> Decimal | None:
    """The peak less ``trail_price_pct`` of the peak price (a short: more), once its gain is ``trail_price_arm_pct``."""
    given = pos.policy.trail_price_pct
    peak = _peak_from(pos, pos.policy.trail_price_arm_pct)
    if peak is None or given is None:
        return None
    return peak - peak * given / 100 if pos.is_long else peak + peak * given / 100


def tier_level(pos: Watched) -> Decimal | None:
    """The entry plus the largest share of the peak gain that a tier reached by it locks."""
    locks = [tier.lock_pct for tier in pos.policy.trail_tiers if _peak_from(pos, tier.arm_pct) is not None]
    if pos.excursion.peak is None or not locks:
        return None
    return pos.entry_price + (pos.excursion.peak - pos.entry_price) * max(locks) / 100


def break_even_level(pos: Watched) -> Decimal | None:
    """The entry price, once the peak gain reached ``break_even_arm_pct``."""
    return None if _peak_from(pos, pos.policy.break_even_arm_pct) is None else pos.entry_price


def _peak_from(pos: Watched, arm_pct: Decimal | None) -> Decimal | None:
    """Return the peak if its gain reached *arm_pct*; None while nobody has named a price."""
    peak = pos.excursion.peak
    return peak if peak is not None and arm_pct is not None and pos.gain_pct(peak) >= arm_pct else None


#: The level at which each rule of price stands, by the rule's name.
LEVELS: Final[Mapping[str, Callable[[Watched], Decimal | None]]] = {
    "catastrophe": catastrophe_level,
    "stop": stop_level,
    "target": target_level,
    "trailing": trailing_level,
    "trailing_price": trailing_price_level,
    "trailing_tiers": tier_level,
    "break_even": break_even_level,
}
