"""Who must refuse what the ladder draws, reckoned anew from whole numbers: nothing here asks the code it examines."""

from __future__ import annotations

from collections.abc import Iterator

from domain.instrument import Kind
from tests.domain.ladder import SECTORS, Account, Moment, Past


def units(account: Account, m: Moment) -> int | None:
    """Return how many units are ordered, None where the price for it is missing."""
    asked = m.qty
    if asked is None:
        if not m.ask or "quote unknown" in m.flaws:
            return None
        asked = (m.dollars or 0) * 10 // (m.ask * (1 if m.kind is Kind.STOCK else 100))
    return asked if m.kind is Kind.STOCK else min(asked, account.cap)


def cost(account: Account, m: Moment) -> int | None:
    """Return the cents that the order commits, half to even; None when unknown."""
    qty = units(account, m)
    if qty is None or not m.ask or "quote unknown" in m.flaws:
        return None
    tenths = qty * m.ask * (1 if m.kind is Kind.STOCK else 100)
    cents, rest = divmod(tenths, 10)
    return cents + (rest > 5 or (rest == 5 and cents % 2 == 1))


def refusing(account: Account, past: Past, m: Moment) -> frozenset[str]:
    """Return the gates that must refuse, reckoned anew from the numbers."""
    found = {
        *_of_flaws(m),
        *_of_permission(account, m),
        *_of_time(account, m),
        *_of_contract(account, m),
        *_of_quote(account, m),
        *_of_book(account, past, m),
        *_of_history(account, past, m),
    }
    return frozenset(found)


def _of_flaws(m: Moment) -> Iterator[str]:
    told = {
        "state": "account_is_active",
        "silent": "stack_is_alive",
        "blocked": "brokerage_lets_trade",
        "unblocked unknown": "brokerage_lets_trade",
        "listing": "contract_is_tradable",
        "listing unknown": "contract_is_tradable",
        "latched": "daily_loss_is_within_limit",
        "loss": "daily_loss_is_within_limit",
        "loss unknown": "daily_loss_is_within_limit",
        "feed unknown": "feed_is_alive",
    }
    yield from (told[flaw] for flaw in m.flaws if flaw in told)
    if "strategy" in m.flaws:
        yield from ("strategy_is_known", "confidence_is_enough")


def _of_permission(account: Account, m: Moment) -> Iterator[str]:
    if m.kind not in account.kinds:
        yield "action_is_permitted"
    if account.denied == m.underlying:
        yield "symbol_is_not_denied"
    if account.allowed is not None and m.underlying not in account.allowed:
        yield "symbol_is_allowed"
    if m.confidence < account.floor:
        yield "confidence_is_enough"


def _of_time(account: Account, m: Moment) -> Iterator[str]:
    margin = 5400 if "last day" in m.flaws else 900
    unknown = "session unknown" in m.flaws
    if unknown or not 0 <= m.at < m.length - margin:
        yield "market_is_open_for_entries"
    if account.after_open is not None and (unknown or m.at < account.after_open):
        yield "opening_minutes_are_over"
    if account.half_days and (unknown or m.length < 23_400):
        yield "session_is_long_enough"
    if account.hours is not None and not account.hours[0] <= m.at < account.hours[1]:
        yield "time_is_within_entry_hours"
    if not -5 <= m.age <= 300:
        yield "recommendation_is_fresh"
    if account.feature_age is not None and (m.feature_age is None or not -5 <= m.feature_age <= account.feature_age):
        yield "features_are_fresh"
    if "feed unknown" not in m.flaws and not -5 <= m.feed_age <= 120:
        yield "feed_is_alive"


def _of_contract(account: Account, m: Moment) -> Iterator[str]:
    if m.kind is Kind.STOCK:
        return
    unknown = "session unknown" in m.flaws
    if unknown or m.days < 0:
        yield "contract_is_unexpired"
    if account.days is None:
        return
    if unknown or m.days < account.days[0]:
        yield "expiration_is_far_enough"
    if unknown or m.days > account.days[1]:
        yield "expiration_is_near_enough"


def _of_quote(account: Account, m: Moment) -> Iterator[str]:
    unknown = "quote unknown" in m.flaws
    one_sided = m.bid is None or m.ask is None
    if unknown or not -5 <= m.quote_age <= 900:
        yield "quote_is_fresh"
    if unknown or one_sided:
        yield from ("quote_is_two_sided", "quote_is_uncrossed", "spread_is_within_limit")
        if account.ticks:
            yield "prices_are_on_the_tick_grid"
        return
    bid, ask = m.bid or 0, m.ask or 0
    if bid <= 0 or ask <= 0:
        yield "quote_is_two_sided"
    if bid > ask:
        yield "quote_is_uncrossed"
    if bid + ask == 0 or (ask - bid) * 200 > 30 * (ask + bid):
        yield "spread_is_within_limit"
    if account.ticks and (bid % 10 or ask % 10) and not (m.kind is Kind.STOCK and ask < 1000):
        yield "prices_are_on_the_tick_grid"


def _of_book(account: Account, past: Past, m: Moment) -> Iterator[str]:
    mine = [b for b in past.bound if b[1] == m.underlying]
    if any(symbol == m.symbol for symbol, *_ in past.bound):
        yield "symbol_is_not_held"
    if account.opposite and any((b[2] is Kind.PUT) != (m.kind is Kind.PUT) for b in mine):
        yield "direction_is_not_opposed"
    if len(past.bound) + 1 > account.max_positions:
        yield "position_count_is_within_limit"
    if account.per_underlying is not None and len(mine) + 1 > account.per_underlying:
        yield "positions_in_underlying_are_within_limit"
    qty, price = units(account, m), cost(account, m)
    if qty is None:
        yield "contracts_are_within_cap"
    if qty is None or qty < 1:
        yield "quantity_is_at_least_one"
    if "power unknown" in m.flaws or price is None or price > m.power:
        yield "buying_power_is_enough"
    yield from _of_dollars(account, past, m, price)


def _of_dollars(account: Account, past: Past, m: Moment, price: int | None) -> Iterator[str]:
    ladders = (
        ("position_cost_is_within_limit", account.position, 0),
        ("exposure_is_within_limit", account.max_exposure, sum(b[3] for b in past.bound)),
        (
            "underlying_exposure_is_within_limit",
            account.underlying,
            sum(b[3] for b in past.bound if b[1] == m.underlying),
        ),
        (
            "sector_exposure_is_within_limit",
            account.sector,
            sum(b[3] for b in past.bound if SECTORS.get(b[1]) == SECTORS.get(m.underlying)),
        ),
    )
    for gate, ceiling, before in ladders:
        if ceiling is not None and (price is None or before + price > ceiling):
            yield gate
    if account.sector is not None and "GME" in {m.underlying, *(b[1] for b in past.bound)}:
        yield "sector_exposure_is_within_limit"


def _of_history(account: Account, past: Past, m: Moment) -> Iterator[str]:
    unknown = "history unknown" in m.flaws
    symbol = [at for s, _, at in past.moves if s == m.symbol]
    underlying = [at for _, u, at in past.moves if u == m.underlying]
    if account.trades is not None:
        if unknown or len(symbol) + 1 > account.trades[0]:
            yield "trades_in_symbol_are_within_limit"
        if unknown or len(underlying) + 1 > account.trades[1]:
            yield "trades_in_underlying_are_within_limit"
        if unknown or len(past.moves) + 1 > account.trades[2]:
            yield "trades_of_the_day_are_within_limit"
    if account.cooldown is not None:
        if unknown or (symbol and m.at - max(symbol) < account.cooldown[0]):
            yield "symbol_has_cooled_down"
        if unknown or (underlying and m.at - max(underlying) < account.cooldown[1]):
            yield "underlying_has_cooled_down"
    if account.losses is not None and (unknown or past.losses >= account.losses):
        yield "losses_in_a_row_are_within_limit"
