"""What a watch makes of quotes of two sources: which price counts, which is late, and when the two contradict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.watches import MAX_AHEAD, MAX_PRICE_AGE, Closing, Watch
from domain.events import Quote
from domain.exits import Rung, agreed_exit
from domain.prices import SAME_MOMENT, SILENT_AFTER, Source, contradict, usable_ask, usable_bid
from tests.domain.exit_kit import a_position, only, seen
from tests.factories import NOON, a_quote

LIVE, SECOND = Source.LIVE, Source.SECOND
TEN = Decimal(10)
SECONDS = timedelta(seconds=1)


def d(text: str) -> Decimal:
    return Decimal(text)


class Side:
    """A watch of one contract, long unless said otherwise, bought at 10.00; times are seconds from noon."""

    def __init__(self, qty: int = 1) -> None:
        self.watch = Watch(position=a_position(qty=qty), closing=Closing.NOTHING, retry_at=None, triggered=None)

    def see(self, source: Source, at_s: float, bid: str | None, ask: str | None, *, now_s: float | None = None) -> bool:
        """A quote of the market at *at_s* arrives at once, or at *now_s*."""
        quote = a_quote(bid=bid, ask=ask, at=NOON + at_s * SECONDS)
        return self.watch.seen(quote, source, NOON + (at_s if now_s is None else now_s) * SECONDS, TEN)

    def price(self, at_s: float) -> Decimal | None:
        return self.watch.price_at(NOON + at_s * SECONDS)

    def prices(self, at_s: float) -> tuple[Decimal | None, ...]:
        return self.watch.prices_at(NOON + at_s * SECONDS)

    @property
    def is_disputed(self) -> bool:
        return self.watch.dispute is not None


@pytest.fixture
def side() -> Side:
    return Side()


# ---------------------------------------------------------------- one price


def test_the_newest_word_counts_whoever_says_it(side: Side):
    """REST is asked while the socket is mute for this symbol: what it says is simply the newer price."""
    side.see(LIVE, 0, "10.00", "10.20")
    assert side.see(SECOND, 30, "12.00", "12.20")
    assert (side.price(30), side.is_disputed, side.watch.is_mute) == (d("12.00"), False, True)

    side.see(LIVE, 31, "12.10", "12.30")
    assert (side.price(31), side.watch.is_mute) == (d("12.10"), False)


@pytest.mark.parametrize("source", Source)
def test_an_older_quote_never_replaces_a_newer_price(side: Side, source: Source):
    """It comes late, from whichever source: nothing changes."""
    side.see(source, 10, "10.00", "10.20")
    for other in Source:
        assert not side.see(other, 9, "5.00", "5.20", now_s=10)
    assert d("10.00") == side.price(10)


def test_quotes_of_one_instant_count_in_the_order_of_the_socket(side: Side):
    """A feed may tell two quotes of one time; REST repeating that time tells nothing new."""
    side.see(LIVE, 10, "10.00", "10.20")
    side.see(LIVE, 10, "10.10", "10.30")
    assert d("10.10") == side.price(10)
    assert not side.see(SECOND, 10, "10.00", "10.20")
    assert d("10.10") == side.price(10)


@pytest.mark.parametrize(
    ("bid", "ask"),
    [
        pytest.param(None, "10.20", id="nobody bids"),
        pytest.param("0", "10.20", id="a bid of zero"),
        pytest.param("-1", "10.20", id="a negative bid"),
        pytest.param("NaN", "10.20", id="no number"),
        pytest.param("10.30", "10.20", id="crossed"),
    ],
)
def test_a_quote_without_a_leaving_side_leaves_no_price(side: Side, bid: str | None, ask: str):
    """The former price is gone: nobody offers it any more; the next usable one counts."""
    side.see(LIVE, 0, "10.00", "10.20")
    side.see(LIVE, 1, bid, ask)
    assert side.price(1) is None
    assert (None,) == side.prices(1)

    side.see(LIVE, 2, "9.00", "9.20")
    assert d("9.00") == side.price(2)


def test_a_short_leaves_at_the_ask():
    """The mirror image: a missing bid says nothing about it, a missing ask everything."""
    short = Side(qty=-1)
    short.see(LIVE, 0, None, "10.20")
    assert d("10.20") == short.price(0)
    short.see(LIVE, 1, "10.00", None)
    assert short.price(1) is None


def test_a_locked_market_is_a_price(side: Side):
    """Bid and ask are equal: that is no contradiction."""
    side.see(LIVE, 0, "10.00", "10.00")
    assert d("10.00") == side.price(0)


def test_a_price_is_forgotten_after_its_time(side: Side):
    """At the bound it counts, a microsecond later it does not."""
    side.see(LIVE, 0, "10.00", "10.20")
    age = MAX_PRICE_AGE.total_seconds()
    assert d("10.00") == side.price(age)
    assert side.price(age + 0.000001) is None


def test_a_quote_from_the_future_stands_in_nobodys_way(side: Side):
    """One broken time stamp would be newer than every true one for ever."""
    ahead = MAX_AHEAD.total_seconds()
    assert not side.see(LIVE, ahead + 1, "1.00", "1.10", now_s=0)
    assert side.see(LIVE, 0, "10.00", "10.20")
    assert d("10.00") == side.price(0)


# ---------------------------------------------------------------- two prices


@pytest.mark.parametrize("after_s", [0, 2, 5])
def test_two_prices_of_one_moment_that_cannot_both_be_true_are_a_dispute(side: Side, after_s: int):
    """More than ten per cent of the middle and more than a spread apart, within five seconds of the market."""
    side.see(LIVE, 10, "11.15", "11.35")
    side.see(SECOND, 10 + after_s, "5.90", "6.10")

    assert side.is_disputed
    assert (d("11.15"), d("5.90")) == side.prices(20)


@pytest.mark.parametrize(
    ("bid", "ask", "is_disputed"),
    [
        pytest.param("9.04", "9.24", True, id="beyond ten per cent"),
        pytest.param("9.05", "9.25", False, id="within ten per cent"),
        pytest.param("5.00", "10.20", False, id="a wide market: within its spread"),
        pytest.param(None, "10.20", False, id="who names no price denies none"),
    ],
)
def test_flicker_is_no_dispute(side: Side, bid: str | None, ask: str, is_disputed: bool):
    """The gap at the leaving side decides, not the other side."""
    side.see(LIVE, 10, "10.00", "10.20")
    side.see(SECOND, 10, bid, ask)
    assert is_disputed == side.is_disputed


def test_a_second_source_that_lags_or_stands_still_denies_nobody(side: Side):
    """Its market time is old: it is stale, whatever it says, and however often it repeats that."""
    side.see(LIVE, 0, "10.00", "10.20")
    side.see(SECOND, 0, "10.00", "10.20")
    for minute in range(1, 60):
        side.see(LIVE, 60 * minute, "20.00", "20.20")
        side.see(SECOND, 0, "10.00", "10.20", now_s=60 * minute)
        side.see(SECOND, 60 * minute - 6, "10.00", "10.20", now_s=60 * minute)
    assert not side.is_disputed
    assert (d("20.00"),) == side.prices(60 * 59)


def test_a_dispute_lasts_until_both_agree(side: Side):
    """Between two looks of the second source the live one goes on; the word of the other still stands."""
    side.see(LIVE, 10, "20.00", "20.20")
    side.see(SECOND, 10, "10.00", "10.20")
    for second in range(11, 22):
        side.see(LIVE, second, "20.00", "20.20")
    assert (d("20.00"), d("10.00")) == side.prices(21)

    side.see(SECOND, 22, "20.00", "20.20")
    assert ((d("20.00"),), False) == (side.prices(22), side.is_disputed)


def test_a_dispute_ends_when_the_live_price_comes_back(side: Side):
    """A bad print of the socket: the next tick agrees with REST again."""
    side.see(LIVE, 10, "20.00", "20.20")
    side.see(SECOND, 10, "10.00", "10.20")
    side.see(LIVE, 11, "10.00", "10.20")
    assert ((d("10.00"),), False) == (side.prices(11), side.is_disputed)


def test_who_falls_silent_disputes_no_longer(side: Side):
    """A minute of the market without a word of the second source: the live one counts alone."""
    side.see(LIVE, 10, "20.00", "20.20")
    side.see(SECOND, 10, "10.00", "10.20")
    until = 10 + SILENT_AFTER.total_seconds()
    side.see(LIVE, until, "20.00", "20.20")
    assert side.is_disputed

    side.see(LIVE, until + 1, "20.00", "20.20")
    assert ((d("20.00"),), False) == (side.prices(until + 1), side.is_disputed)


def test_a_socket_that_went_mute_in_a_dispute_counts_no_longer(side: Side):
    """The second source has newer quotes: there are no two words about one moment any more."""
    side.see(LIVE, 10, "20.00", "20.20")
    side.see(SECOND, 10, "10.00", "10.20")
    side.see(SECOND, 10 + SAME_MOMENT.total_seconds() + 1, "10.00", "10.20")
    assert ((d("10.00"),), False) == (side.prices(17), side.is_disputed)


def test_in_a_dispute_an_unknown_price_is_unknown(side: Side):
    """Nobody bids on the live feed: the other price alone closes nothing."""
    side.see(LIVE, 10, "20.00", "20.20")
    side.see(SECOND, 10, "10.00", "10.20")
    side.see(LIVE, 11, None, "20.20")
    assert (True, (None,)) == (side.is_disputed, side.prices(11))


def test_a_dispute_that_rows_tell_of_is_taken_over(side: Side):
    """A new exit after a restart: its first tick does not fire on what the other source denied."""
    side.see(LIVE, 10, "20.00", "20.20")
    side.see(SECOND, 10, "10.00", "10.20")
    assert side.watch.dispute is not None
    anew = Side()
    anew.watch.resume(side.watch.dispute)
    assert (None,) == anew.prices(10)

    anew.see(LIVE, 20, "20.00", "20.20")
    assert (d("20.00"), d("10.00")) == anew.prices(20)
    anew.see(SECOND, 21, "20.00", "20.20")
    assert (d("20.00"),) == anew.prices(21)


# ---------------------------------------------------------------- what fires at two prices


def fires(prices: Sequence[str], *, held: timedelta = timedelta(hours=1), **rules: Any) -> str | None:
    pos = replace(a_position(entry="10.00", qty=10, peak="16.00", policy=only(**rules)), opened_at=NOON - held)
    found = agreed_exit(pos, [seen(price) for price in prices])
    return found and found[0].rule


def test_a_rule_of_price_fires_only_at_both_prices():
    """One source says stop, the other gain: nothing closes. Both say stop: it closes."""
    rules = {"stop_pct": d("40"), "target_pct": d("80")}
    assert None is fires(["5.00", "10.00"], **rules)
    assert None is fires(["5.00", "19.00"], **rules)
    assert "stop" == fires(["6.00", "5.00"], **rules)
    assert "target" == fires(["18.00", "21.00"], **rules)


def test_what_both_ask_for_is_closed_even_when_one_asks_for_more():
    """At 4.00 the catastrophe stop fires, at 5.50 only the stop: both are beyond the stop."""
    assert "stop" == fires(["4.00", "5.50"], stop_pct=d("40"), catastrophe_pct=d("50"))


def test_rules_of_time_go_on_in_a_dispute():
    """They ask for no price."""
    assert "max_hold" == fires(["5.00", "19.00"], max_hold=timedelta(hours=1), stop_pct=d("40"))


def test_of_two_parts_the_smaller_is_closed():
    """One price stands at the second rung, the other at the first: the first one is what both ask for."""
    rungs = (Rung(at_pct=d("20"), close_pct=d("40")), Rung(at_pct=d("50"), close_pct=d("40")))
    pos = a_position(entry="10.00", qty=10, policy=only(ladder=rungs, min_hold=timedelta(0)))
    found = agreed_exit(pos, [seen("16.00"), seen("13.00")])
    assert found is not None
    exit_, moment = found
    assert exit_.part is not None
    assert (4, d("13.00")) == (exit_.part.qty, moment.price)


# ---------------------------------------------------------------- any sequence of quotes

prices = st.one_of(st.none(), st.sampled_from(["0", "-1", "0.01", "5.00", "6.00", "9.90", "10.00", "18.00", "25.00"]))


@dataclass(frozen=True)
class Told:
    quote: Quote
    source: Source
    now: datetime


@st.composite
def stories(draw: st.DrawFn) -> list[Told]:
    """Quotes in any order of their market times, some of them years ahead, told as the clock goes on."""
    told, now = [], NOON
    for _ in range(draw(st.integers(1, 25))):
        now += timedelta(seconds=draw(st.integers(0, 600)))
        at = draw(st.one_of(st.integers(-1200, 61), st.just(10**8)))
        quote = a_quote(bid=draw(prices), ask=draw(prices), at=now + timedelta(seconds=at))
        told.append(Told(quote, draw(st.sampled_from(Source)), now))
    return told


@given(story=stories(), qty=st.sampled_from([1, -1]), wait_s=st.integers(0, 1800))
def test_a_rule_of_price_fires_on_nothing_but_a_fresh_positive_leaving_side(story: list[Told], qty: int, wait_s: int):
    """
    Sides are missing, zero, negative, crossed; times are old, out of order or of the next decade. Whatever was told,
    each price at which rules are asked is the leaving side of a quote that was told, is not older than 15 minutes and
    not of the future, and nothing that its source said is newer. Where there is none, no rule of price fires.
    """
    usable = usable_bid if qty > 0 else usable_ask
    watch = Watch(
        position=a_position(qty=qty, policy=only(stop_pct=d("40"), target_pct=d("40"), min_hold=timedelta(0))),
        closing=Closing.NOTHING,
        retry_at=None,
        triggered=None,
    )
    heard: list[Told] = []
    for told in story:
        before = watch.priced_at
        watch.seen(told.quote, told.source, told.now, TEN)
        assert before is None or (watch.priced_at is not None and watch.priced_at >= before)
        if told.quote.at <= told.now + MAX_AHEAD:
            heard.append(told)
        now = told.now + wait_s * SECONDS
        found = watch.prices_at(now)
        for price in found:
            assert price is None or _is_said(price, heard, now, usable)
        if found == (None,):
            assert None is agreed_exit(watch.position, [seen(None, now=now)])


def _is_said(price: Decimal, heard: list[Told], now: datetime, usable: Any) -> bool:
    newest = {t.source: max(h.quote.at for h in heard if h.source is t.source) for t in heard}
    return price > 0 and any(
        usable(t.quote) == price and t.quote.at == newest[t.source] and now - t.quote.at <= MAX_PRICE_AGE for t in heard
    )


@given(one=st.decimals("0.01", "1000", places=2), other=st.decimals("0.01", "1000", places=2))
def test_to_contradict_is_mutual(one: Decimal, other: Decimal):
    """Whoever is asked first; and nobody contradicts himself."""
    quotes = (a_quote(bid=str(one), ask=str(one)), a_quote(bid=str(other), ask=str(other)))
    assert contradict(one, other, quotes, TEN) == contradict(other, one, quotes, TEN)
    assert not contradict(one, one, quotes, TEN)
