"""One account meets one recommendation after the other: situations in whole numbers, and as the gate sees them.

Money is in cents, spans in seconds; ladder_truth reckons from them who must refuse. Drawn with a plain generator:
hypothesis chooses the seed, and a million cases take minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from random import Random
from typing import Any, Final
from uuid import UUID

from domain.account import Book, Commitment, Limits, LossKind, TradingState
from domain.events import Action, Quote
from domain.gates import EntryRules, Proposal, ask_of
from domain.ids import PositionId
from domain.instrument import Contract, Instrument, Kind, parse_symbol
from domain.known import Known, Unknown
from domain.session import Session
from domain.sizing import size
from tests.factories import (
    SESSION,
    a_book,
    a_history,
    a_proposal,
    a_recommendation,
    alive,
    some_limits,
    some_means,
    some_rules,
)

UNDERLYINGS: Final = ("MSFT", "ORCL", "XOM", "GME")
SECTORS: Final = {"MSFT": "software", "ORCL": "software", "XOM": "energy"}
#: How often what has nothing to do with numbers is out of order, in per cent; tuned so that approvals abound.
ODDS: Final = 1
_S: Final = timedelta(seconds=1)
_WHY: Final = Unknown("nobody says", "the draw")
Bound = tuple[str, str, Kind, int]  # symbol, underlying, kind, cents


@dataclass(frozen=True, slots=True)
class Account:
    """What stays while recommendations come: limits and rules; None is no limit."""

    max_positions: int
    max_exposure: int
    cap: int
    kinds: frozenset[Kind]
    floor: int
    denied: str | None
    allowed: frozenset[str] | None
    opposite: bool
    ticks: bool
    after_open: int | None
    hours: tuple[int, int] | None
    half_days: bool
    days: tuple[int, int] | None
    feature_age: int | None
    per_underlying: int | None
    position: int | None
    underlying: int | None
    sector: int | None
    trades: tuple[int, int, int] | None
    cooldown: tuple[int, int] | None
    losses: int | None


@dataclass(slots=True)
class Past:
    """What the account has bound and done; grows with every approval."""

    bound: list[Bound] = field(default_factory=list)
    moves: list[tuple[str, str, int]] = field(default_factory=list)  # symbol, underlying, second of the day
    losses: int = 0


@dataclass(frozen=True, slots=True)
class Moment:
    """One recommendation and what is seen at it; spans in seconds, prices in tenths of a cent."""

    at: int
    length: int
    underlying: str
    kind: Kind
    days: int
    confidence: int
    age: int
    feature_age: int | None
    quote_age: int
    feed_age: int
    bid: int | None
    ask: int | None
    qty: int | None
    dollars: int | None
    power: int
    flaws: frozenset[str]

    @property
    def symbol(self) -> str:
        if self.kind is Kind.STOCK:
            return self.underlying
        day = SESSION.day + timedelta(days=self.days)
        return f"{self.underlying}{day:%y%m%d}{self.kind[0]}00100000"


FLAWS: Final = (
    *("state", "silent", "blocked", "unblocked unknown", "strategy", "listing", "listing unknown", "latched"),
    *("loss", "loss unknown", "session unknown", "quote unknown", "feed unknown", "power unknown", "history unknown"),
    "last day",
)


def accounts(rng: Random) -> Account:
    def maybe(low: int, high: int) -> int | None:
        return rng.randint(low, high) if rng.random() < 0.4 else None

    def chance(odds: float) -> bool:
        return rng.random() < odds

    symbol_trades = rng.randint(1, 3)
    return Account(
        max_positions=rng.randint(0, 6),
        max_exposure=rng.randint(50_000, 1_500_000),
        cap=rng.randint(1, 10),
        kinds=frozenset(Kind) if chance(0.8) else frozenset(rng.sample(list(Kind), 2)),
        floor=rng.choice((0, 45, 55)),
        denied=rng.choice(UNDERLYINGS) if chance(0.2) else None,
        allowed=frozenset(rng.sample(UNDERLYINGS, 3)) if chance(0.2) else None,
        opposite=chance(0.3),
        ticks=chance(0.3),
        after_open=maybe(0, 1200),
        hours=(rng.randint(0, 3600), rng.randint(14_000, 23_400)) if chance(0.3) else None,
        half_days=chance(0.2),
        days=(rng.randint(0, 3), rng.randint(5, 40)) if chance(0.3) else None,
        feature_age=maybe(100, 400),
        per_underlying=maybe(1, 3),
        position=maybe(20_000, 900_000),
        underlying=maybe(50_000, 900_000),
        sector=maybe(50_000, 900_000) if chance(0.5) else None,
        trades=(symbol_trades, symbol_trades + 1, rng.randint(3, 8)) if chance(0.3) else None,
        cooldown=(rng.randint(60, 900), rng.randint(30, 600)) if chance(0.3) else None,
        losses=maybe(1, 3),
    )


def moments(rng: Random, after: int) -> Moment:
    """Draw the next moment, at or after the second *after* of the session."""

    def usually(low: int, high: int, odd: int) -> int:
        return rng.randint(low, high) if rng.randrange(100) >= ODDS else odd

    bid = rng.choice((rng.randint(1, 40), rng.randint(40, 900), rng.randint(900, 1200))) * 10
    ask: int | None = bid + max(10, rng.choice((bid // 50, bid // 10, bid // 4)) // 10 * 10)
    one_sided = rng.randrange(200)
    in_units = rng.random() < 0.7
    return Moment(
        at=usually(after, after + 900, rng.randint(-600, 24_000)),
        length=23_400 if rng.randrange(20) else 12_600,
        underlying=rng.choice(UNDERLYINGS),
        kind=rng.choice(list(Kind)),
        days=usually(0, 40, -1),
        confidence=usually(50, 100, rng.randint(0, 60)),
        age=usually(0, 300, rng.randint(-10, 400)),
        feature_age=rng.randint(-5, 400) if rng.randrange(50) else None,
        quote_age=usually(0, 900, rng.randint(-10, 1000)),
        feed_age=usually(0, 120, rng.randint(-10, 140)),
        bid=None if one_sided == 0 else bid + (one_sided == 1),
        ask=None if one_sided == 2 else (bid - 10 if one_sided == 3 else ask),
        qty=rng.choice((1, 1, 2, rng.randint(1, 14))) if in_units else None,
        dollars=None if in_units else rng.randint(1_000, 400_000),
        power=rng.choice((10_000_000, rng.randint(0, 500_000))),
        flaws=frozenset() if rng.randrange(8) else frozenset({rng.choice(FLAWS)}),
    )


def ladder(seed: int, steps: int) -> Iterator[tuple[Account, Past, Moment]]:
    """Yield *steps* decisions of one account; whoever reads tells :class:`Past` what was approved before the next."""
    rng = Random(seed)
    account, past, second = accounts(rng), Past(losses=rng.choice((0, 0, 0, 1, 2, 3))), rng.randint(0, 8000)
    for _ in range(steps):
        moment = moments(rng, second)
        second = max(second, min(moment.at, 20_000))
        yield account, past, moment


# ---------------------------------------------------------------- as the gate sees it


@lru_cache(maxsize=10_000)
def _parsed(symbol: str) -> Instrument:
    return parse_symbol(symbol)


def _price(tenths: int | None) -> Decimal | None:
    return None if tenths is None else Decimal(tenths).scaleb(-3)


def _usd(cents: int | None) -> Decimal | None:
    return None if cents is None else Decimal(cents).scaleb(-2)


def _span(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _clock(seconds: int) -> time:
    """The time of day in New York, so many seconds after 09:30."""
    return (datetime(2026, 2, 3, 9, 30, tzinfo=UTC) + seconds * _S).time()


@lru_cache(maxsize=16)
def rules_of(account: Account) -> EntryRules:
    hours, trades, cooldown = account.hours, account.trades, account.cooldown
    return some_rules(
        permitted=frozenset((Action.BUY, kind) for kind in account.kinds),
        allow_symbols=account.allowed,
        deny_symbols=frozenset({account.denied} if account.denied else ()),
        min_confidence={"day_trade": Decimal(account.floor).scaleb(-2)},
        max_feature_age=_span(account.feature_age),
        require_tick_grid=account.ticks,
        no_entry_after_open=_span(account.after_open),
        entry_from=_clock(hours[0]) if hours else None,
        entry_until=_clock(hours[1]) if hours else None,
        refuse_half_days=account.half_days,
        min_days_to_expiry=account.days[0] if account.days else None,
        max_days_to_expiry=account.days[1] if account.days else None,
        refuse_opposite_direction=account.opposite,
        max_positions_per_underlying=account.per_underlying,
        max_position_usd=_usd(account.position),
        max_underlying_exposure_usd=_usd(account.underlying),
        max_sector_exposure_usd=_usd(account.sector),
        sectors=SECTORS,
        max_trades_per_symbol=trades[0] if trades else None,
        max_trades_per_underlying=trades[1] if trades else None,
        max_trades_per_day=trades[2] if trades else None,
        symbol_cooldown=_span(cooldown[0]) if cooldown else None,
        underlying_cooldown=_span(cooldown[1]) if cooldown else None,
        max_losses_in_a_row=account.losses,
    )


_HAPPY: Final = a_proposal()
_BOOK: Final = a_book()
_REC: Final = a_recommendation()
_HISTORY: Final = a_history()


@lru_cache(maxsize=16)
def limits_of(account: Account) -> Limits:
    exposure = Decimal(account.max_exposure).scaleb(-2)
    return some_limits(
        max_positions=account.max_positions, max_exposure_usd=exposure, max_contracts_per_order=account.cap
    )


def _book(account: Account, past: Past, flaws: frozenset[str]) -> Book:
    commitments = tuple(
        Commitment(
            position_id=PositionId(UUID(int=number)),
            symbol=symbol,
            underlying=underlying,
            kind=kind,
            held_qty=1,
            pending_qty=0,
            usd=Decimal(cents).scaleb(-2),
            closing=False,
        )
        for number, (symbol, underlying, kind, cents) in enumerate(past.bound)
    )
    pnl: Known[Decimal] | Unknown = Known(Decimal("-500.00" if "loss" in flaws else "-499.99"), SESSION.open, "test")
    return replace(
        _BOOK,
        state=TradingState.REDUCING if "state" in flaws else TradingState.ACTIVE,
        limits=limits_of(account),
        commitments=commitments,
        daily_pnl_usd=_WHY if "loss unknown" in flaws else pnl,
        latched=frozenset({LossKind.DAILY_LOSS}) if "latched" in flaws else frozenset(),
    )


def proposal(account: Account, past: Past, m: Moment) -> Proposal:
    """Return what the gate would make of it."""
    now = SESSION.open + m.at * _S
    session = Session(day=SESSION.day, open=SESSION.open, close=SESSION.open + m.length * _S)
    instrument, rules = _parsed(m.symbol), rules_of(account)
    rec = replace(
        _REC,
        at=now - m.age * _S,
        underlying=m.underlying,
        instrument=m.kind,
        symbol=m.symbol,
        qty=m.qty,
        notional_usd=_usd(m.dollars),
        confidence=Decimal(m.confidence).scaleb(-2),
        strategy="moon_trade" if "strategy" in m.flaws else "day_trade",
        reason={} if m.feature_age is None else {"features_at": (now - m.feature_age * _S).isoformat()},
    )
    quote: Known[Quote] | Unknown = _WHY
    if "quote unknown" not in m.flaws:
        quoted_at = now - m.quote_age * _S
        quote = Known(
            Quote(symbol=m.symbol, bid=_price(m.bid), ask=_price(m.ask), bid_size=1, ask_size=1, at=quoted_at),
            quoted_at,
            "test",
        )
    values: dict[str, Any] = {
        "rec": rec,
        "now": now,
        "rules": rules,
        "book": _book(account, past, m.flaws),
        "instrument": instrument,
        "contract": _WHY if "listing unknown" in m.flaws else Known(_listing(m, instrument), now, "test"),
        "session": _WHY if "session unknown" in m.flaws else Known(session, now, "test"),
        "last_session": Known(session if "last day" in m.flaws else None, now, "test"),
        "quote": quote,
        "feed_at": _WHY if "feed unknown" in m.flaws else Known(now - m.feed_age * _S, now, "test"),
        "buying_power_usd": _WHY if "power unknown" in m.flaws else Known(_usd(m.power), now, "test"),
        "trading_blocked": _WHY if "unblocked unknown" in m.flaws else Known("blocked" in m.flaws, now, "test"),
        "history": _WHY if "history unknown" in m.flaws else Known(_history(past, m), now, "test"),
        "sizing": size(rec, instrument.multiplier, ask_of(quote), some_means(max_contracts=account.cap)),
    }
    if "silent" in m.flaws:
        values["pulse"] = Known(alive(exit=16), now, "test")
    return replace(_HAPPY, **values)


def _listing(m: Moment, instrument: Instrument) -> Contract:
    return Contract(
        symbol=m.symbol,
        underlying=m.underlying,
        kind=m.kind,
        multiplier=instrument.multiplier,
        strike=getattr(instrument, "strike", None),
        expiration=getattr(instrument, "expiration", None),
        tradable="listing" not in m.flaws,
        open_interest=None,
        open_interest_on=None,
        penny=None,
    )


def _history(past: Past, m: Moment) -> Any:
    in_symbol = [at for symbol, _, at in past.moves if symbol == m.symbol]
    in_underlying = [at for _, underlying, at in past.moves if underlying == m.underlying]
    return replace(
        _HISTORY,
        trades=len(past.moves),
        in_symbol=len(in_symbol),
        in_underlying=len(in_underlying),
        symbol_at=SESSION.open + max(in_symbol) * _S if in_symbol else None,
        underlying_at=SESSION.open + max(in_underlying) * _S if in_underlying else None,
        losses_in_a_row=past.losses,
    )
