"""Rules of price. Prices are those of the side that a close would trade at; an unknown one fires none of these.

All but the catastrophe stop wait for the minimum hold.
"""

from __future__ import annotations

from decimal import Decimal

from domain.exits.levels import break_even_level, tier_level, trailing_level, trailing_price_level
from domain.exits.watched import Exit, Moment, Slice, Watched, close_all, held_long_enough


def catastrophe(pos: Watched, at: Moment) -> Exit | None:
    """Close at a loss of ``catastrophe_pct`` at once, however short the position was held.

    Waits for nothing. Unknown: without a price it holds.
    """
    limit = pos.policy.catastrophe_pct
    if limit is None or at.price is None or pos.gain_pct(at.price) > -limit:
        return None
    return close_all("catastrophe", f"gain {pos.gain_pct(at.price):.2f} % <= -{limit} %")


def stop(pos: Watched, at: Moment) -> Exit | None:
    """Close when the loss reaches ``stop_pct``.

    Waits for the minimum hold. Unknown: without a price it holds.
    """
    limit = pos.policy.stop_pct
    if limit is None or at.price is None or pos.gain_pct(at.price) > -limit or not held_long_enough(pos, at):
        return None
    return close_all("stop", f"gain {pos.gain_pct(at.price):.2f} % <= -{limit} %")


def target(pos: Watched, at: Moment) -> Exit | None:
    """Close when the gain reaches ``target_pct``.

    Waits for the minimum hold. Unknown: without a price it holds.
    """
    limit = pos.policy.target_pct
    if limit is None or at.price is None or pos.gain_pct(at.price) < limit or not held_long_enough(pos, at):
        return None
    return close_all("target", f"gain {pos.gain_pct(at.price):.2f} % >= {limit} %")


def trailing(pos: Watched, at: Moment) -> Exit | None:
    """Once the peak gain reached ``trail_arm_pct``, close after giving back ``trail_giveback_pct`` of it.

    Waits for the minimum hold. Unknown: without a price now, or ever, it holds.
    """
    return _fallen(pos, at, "trailing", trailing_level(pos))


def trailing_price(pos: Watched, at: Moment) -> Exit | None:
    """Once the peak gain reached ``trail_price_arm_pct``, close ``trail_price_pct`` of the peak price below it.

    Waits for the minimum hold. Unknown: without a price now, or ever, it holds.
    """
    return _fallen(pos, at, "trailing_price", trailing_price_level(pos))


def trailing_tiers(pos: Watched, at: Moment) -> Exit | None:
    """Close when less of the peak gain is left than a tier of ``trail_tiers`` locks: the higher it was, the more.

    Waits for the minimum hold. Unknown: without a price now, or ever, it holds.
    """
    return _fallen(pos, at, "trailing_tiers", tier_level(pos))


def break_even(pos: Watched, at: Moment) -> Exit | None:
    """Once the peak gain reached ``break_even_arm_pct``, close when the price is back at the entry.

    Waits for the minimum hold. Unknown: without a price now, or ever, it holds.
    """
    return _fallen(pos, at, "break_even", break_even_level(pos))


def _fallen(pos: Watched, at: Moment, rule: str, level: Decimal | None) -> Exit | None:
    """Close when the price has come back to *level*."""
    if level is None or at.price is None or not held_long_enough(pos, at):
        return None
    if not pos.is_at_or_beyond(at.price, level):
        return None
    return close_all(rule, f"price {at.price}, peak {pos.excursion.peak}, level {level:.4f}")


def ladder(pos: Watched, at: Moment) -> Exit | None:
    """Close a part at each rung of ``ladder``; the rest goes on. A part of no whole unit is added to the next.

    Waits for the minimum hold. Unknown: without a price it holds, also what a failed slice left due.
    """
    if not pos.policy.ladder or at.price is None or not held_long_enough(pos, at):
        return None
    gain = pos.gain_pct(at.price)
    reached = [rung.at_pct for rung in pos.policy.ladder if rung.at_pct <= gain]
    known = [*reached, *([] if pos.ladder_pct is None else [pos.ladder_pct])]
    if not known or (due := ladder_due(pos, max(known))) == 0:
        return None
    part = Slice(qty=due, at_pct=max(known))
    return Exit("ladder", f"gain {gain:.2f} %, rung {part.at_pct} %, {due} of {pos.max_qty}", part)


def ladder_due(pos: Watched, reached_pct: Decimal) -> int:
    """Return the units that the rungs up to *reached_pct* still have to close.

    Whole units, rounded down over all rungs together, so that no rung rounds away what another could close; never
    more than is held. It is counted from what the ladder did close, so a slice that failed stays due.
    """
    share = sum((rung.close_pct for rung in pos.policy.ladder if rung.at_pct <= reached_pct), start=Decimal(0))
    wanted = int(pos.max_qty * min(share, Decimal(100)) / 100) - pos.ladder_qty
    return max(0, min(wanted, abs(pos.qty)))
