"""Limits for entries that make no sense together: one that can never trip, and one that no order can meet.

Each finding is a sentence that names the settings and their values.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Final

from domain.account import Limits
from domain.gates import EntryRules
from domain.instrument import OPTION_MULTIPLIER, Kind
from domain.session import FULL_SESSION

#: Regular hours in New York.
OPENS, CLOSES = time(9, 30), time(16)
#: The cheapest contract costs a cent a share.
CHEAPEST_USD: Final = Decimal("0.01") * OPTION_MULTIPLIER
#: The spread of a bid of nothing, in per cent of the mid: there is no wider one.
_WIDEST_PCT: Final = 200


def of_limits(rules: EntryRules, limits: Limits) -> Iterator[str]:
    """Yield what is wrong between the limits themselves, for one strategy in one account."""
    yield from _never_tripping(rules, limits)
    yield from _bounds_of_one(rules)
    yield from _times(rules)
    yield from _symbols(rules)
    yield from _sectors(rules)


def _never_tripping(rules: EntryRules, limits: Limits) -> Iterator[str]:
    """Of limits that hold one within the other, an inner one that is not the smaller one never refuses first."""
    ladders: tuple[tuple[tuple[str, Decimal | int | timedelta | None], ...], ...] = (
        (
            ("max_position_usd", rules.max_position_usd),
            ("max_underlying_exposure_usd", rules.max_underlying_exposure_usd),
            ("max_sector_exposure_usd", rules.max_sector_exposure_usd),
            ("max_exposure_usd", limits.max_exposure_usd),
        ),
        (
            ("max_positions_per_underlying", rules.max_positions_per_underlying),
            ("max_positions", limits.max_positions),
        ),
        (
            ("max_trades_per_symbol", rules.max_trades_per_symbol),
            ("max_trades_per_underlying", rules.max_trades_per_underlying),
            ("max_trades_per_day", rules.max_trades_per_day),
        ),
    )
    for ladder in ladders:
        steps = [(name, value) for name, value in ladder if value is not None]
        for (inner, low), (outer, high) in pairwise(steps):
            if low >= high:  # type: ignore[operator]  # one ladder holds one kind of value
                yield f"{inner} {low} can never trip: {outer} {high} refuses first"
    short, long = rules.symbol_cooldown, rules.underlying_cooldown
    if short is not None and long is not None and short <= long:
        yield f"symbol_cooldown_min {short} can never trip: underlying_cooldown_min {long} refuses first"


def _bounds_of_one(rules: EntryRules) -> Iterator[str]:
    if rules.max_spread_pct >= _WIDEST_PCT:
        yield f"max_spread_pct {rules.max_spread_pct} can never trip: no spread is wider than {_WIDEST_PCT} %"
    if rules.max_quote_age < rules.max_feed_age:
        yield f"max_quote_age {rules.max_quote_age} is under max_feed_age {rules.max_feed_age}, which can never trip"
    if rules.max_position_usd is not None and rules.max_position_usd < CHEAPEST_USD:
        yield f"max_position_usd {rules.max_position_usd} is less than the cheapest contract"
    least, most = rules.min_days_to_expiry, rules.max_days_to_expiry
    if least == 0:
        yield "min_days_to_expiry 0 can never trip: an expired contract is refused anyway"
    if least is not None and most is not None and least > most:
        yield f"min_days_to_expiry {least} is above max_days_to_expiry {most}: no contract can meet both"
    if {kind for _, kind in rules.permitted} == {Kind.STOCK} and (least, most) != (None, None):
        yield "min_days_to_expiry and max_days_to_expiry can never trip: only stocks are permitted"
    for name, floor in sorted(rules.min_confidence.items()):
        if floor > 1:
            yield f"min_confidence {floor} of {name} is above 1, no recommendation can reach it"
        if floor == 0:
            yield f"min_confidence 0 of {name} can never trip"


def _times(rules: EntryRules) -> Iterator[str]:
    after, before = rules.no_entry_after_open or timedelta(0), rules.no_entry_before_close
    if after + before >= FULL_SESSION:
        yield f"entries begin {after} after the open and stop {before} before the close: the session is not longer"
    if rules.no_entry_after_open == timedelta(0):
        yield "no_entry_after_open_min 0 can never trip"
    start, end = rules.entry_from, rules.entry_until
    if start is not None and start <= OPENS:
        yield f"entry_from {start:%H:%M} can never trip: the market opens at {OPENS:%H:%M}"
    if end is not None and _since(end, OPENS) >= FULL_SESSION - before:
        yield f"entry_until {end:%H:%M} can never trip: entries stop {before} before the close at {CLOSES:%H:%M}"
    opened, closed = max(_since(start, OPENS), after), min(_since(end, OPENS, FULL_SESSION), FULL_SESSION - before)
    if (start is not None or end is not None) and opened >= closed:
        yield (
            f"entry_from {_text(start)}, entry_until {_text(end)}, {after} after the open and {before} before the"
            " close leave no time to enter"
        )


def _since(moment: time | None, origin: time, default: timedelta = timedelta(0)) -> timedelta:
    """Return the span from *origin* to *moment* of one day."""
    if moment is None:
        return default
    return timedelta(hours=moment.hour - origin.hour, minutes=moment.minute - origin.minute)


def _text(moment: time | None) -> str:
    return "unset" if moment is None else f"{moment:%H:%M}"


def _symbols(rules: EntryRules) -> Iterator[str]:
    if not rules.permitted:
        yield "permitted is empty: nothing may open"
    if rules.allow_symbols is None:
        return
    if rules.allow_symbols <= rules.deny_symbols:
        allowed, denied = _listed(rules.allow_symbols), _listed(rules.deny_symbols)
        yield f"allow_symbols {allowed} and deny_symbols {denied} leave nothing that may open"
    elif strangers := rules.deny_symbols - rules.allow_symbols:
        yield f"deny_symbols {_listed(strangers)} can never trip: not in allow_symbols {_listed(rules.allow_symbols)}"


def _sectors(rules: EntryRules) -> Iterator[str]:
    limit = rules.max_sector_exposure_usd
    if limit is None:
        return
    if not rules.sectors:
        yield f"max_sector_exposure_usd {limit} without sectors: each is unknown, nothing may open"
    elif homeless := (rules.allow_symbols or frozenset()) - set(rules.sectors):
        yield f"max_sector_exposure_usd {limit} refuses {_listed(homeless)} of allow_symbols: of no sector"


def _listed(symbols: frozenset[str]) -> str:
    return ", ".join(sorted(symbols)) or "nothing"
