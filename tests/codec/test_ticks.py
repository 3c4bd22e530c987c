"""The fast way to read ticks finds what the slow way finds, and refuses nothing and accepts nothing by itself."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.events import ClockMoved, Quote, QuotesTicked
from domain.ids import FactId
from streams.codec import MAX_BODY_BYTES, TICKED, Undecodable, decode, decode_ticks, encode, parse
from streams.ticks import proven
from tests.factories import CALL, NOON, PUT, a_quote, ticked

#: What feeds write: a frame of a few quotes.
symbols = st.sampled_from([PUT, CALL, "SPY", "BRK.B", "ACME260220C00100000"])
prices = st.none() | st.decimals(min_value=-(10**20), max_value=10**20, allow_nan=False, allow_infinity=False, places=6)
times = st.datetimes(min_value=datetime(1, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone comes with it
quotes = st.builds(
    Quote,
    symbol=symbols,
    bid=prices,
    ask=prices,
    bid_size=st.integers(-(2**70), 2**70),
    ask_size=st.integers(0, 2**31),
    at=times,
)
texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
frames = st.builds(
    QuotesTicked,
    id=(st.uuids().map(str) | texts).map(FactId),
    at=times,
    schema=st.integers(-5, 10**20),
    feed=texts | st.just("option"),
    quotes=st.lists(quotes, max_size=4).map(tuple),
)
#: Pieces that a mutation may put anywhere.
PIECES = [
    b'"', b"\\", b"\\u0000", b"\x00", b"\n", b" ", b",", b"]", b"}", b"]}", b"{", b"null", b"0", b"9", b"-", b"+", b".",
    b"e9", b"NaN", b"1e999", b"Z", b"+00:00", b"T", b":", b"\xff", "ü".encode(), b'"bid":"1.00",', b'"at":null,',
    b"2026-02-30T00:00:00Z", b"24:00:00", b"T23:59:60", b"0000-01-01", b".1234567", b"007",
]  # fmt: skip
TWO = encode(ticked(a_quote(), a_quote(CALL, bid=None, ask="0.10")))["body"]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A body with a few cuts, doublings and pieces from elsewhere."""
    body = encode(draw(frames))["body"] if draw(st.booleans()) else TWO
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(len(body), start + 12)))
        body = body[:start] + draw(st.sampled_from([*PIECES, b"", body[start:end] * 2])) + body[end:]
    return body


def slowly(body: bytes) -> Any:
    """The fact, or the words of its refusal."""
    try:
        return parse(QuotesTicked, body)
    except Undecodable as e:
        return str(e)


def fast(body: bytes) -> Any:
    try:
        return decode({b"type": TICKED.encode(), b"body": body})
    except Undecodable as e:
        return str(e)


@given(frame=frames)
@settings(max_examples=150)
def test_what_is_encoded_is_read_as_the_same_fact_either_way(frame: QuotesTicked) -> None:
    """The slow way is the judge: the fast way says the same, or nothing."""
    body = encode(frame)["body"]
    assert slowly(body) == fast(body) == frame


@given(body=mutated())
@example(body=TWO.replace(b"T17", b"T24", 1))
@example(body=TWO.replace(b"2026-02-03", b"2026-02-30"))
@example(body=TWO.replace(b"},{", b"},,{"))
@example(body=TWO.replace(b"},{", b"}{"))
@example(body=TWO.replace(b"}]}", b"},]}"))
@example(body=TWO.replace(b"}]}", b"}]}]}"))
@example(body=TWO + b"\n")
@example(body=TWO[:-1])
@example(body=TWO.replace(b'"7.10"', b"7.10"))
@example(body=TWO.replace(b'"bid":', b'"bid":"1.00","bid":', 1))
@settings(max_examples=300)
def test_whatever_is_wrong_with_a_body_both_ways_say_the_same(body: bytes) -> None:
    """A mutated body is accepted by both or refused by both, with the same words."""
    assert slowly(body) == fast(body)


@given(frame=frames, wanted=st.sets(symbols))
def test_quotes_are_made_only_of_the_symbols_that_are_asked_for(frame: QuotesTicked, wanted: set[str]) -> None:
    """In order, and none is left out."""
    found = decode_ticks({k.encode(): v for k, v in encode(frame).items()})
    assert [quote for quote in frame.quotes if quote.symbol in wanted] == list(found.among(wanted))
    assert frame.feed == found.feed


def test_what_our_feeds_write_takes_the_fast_way() -> None:
    """Missing sides, fractions of a second and a frame of one among them; otherwise all of this would prove nothing."""
    moment = datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=UTC)
    for frame in (ticked(a_quote()), ticked(a_quote(ask=None), a_quote("SPY")), ticked(a_quote(at=moment), at=moment)):
        assert proven(encode(frame)["body"]) is not None


def test_a_price_keeps_its_digits() -> None:
    """7.10 stays 7.10: no float touches it."""
    [quote] = decode_ticks({k.encode(): v for k, v in encode(ticked(a_quote(bid="7.10"))).items()}).among({PUT})
    assert ("7.10", Decimal) == (str(quote.bid), type(quote.bid))


def test_a_body_beyond_the_limit_is_refused_unread() -> None:
    """Well-formed or not."""
    quote = TWO[TWO.index(b'{"symbol"') : TWO.index(b"},{") + 1]
    body = TWO.replace(b"}]}", b"}" + (b"," + quote) * (MAX_BODY_BYTES // len(quote)) + b"]}")
    assert "at most" in fast(body) == slowly(body)


def test_another_fact_among_ticks_is_refused() -> None:
    """It names itself."""
    with pytest.raises(Undecodable, match="QuotesTicked is expected, was ClockMoved"):
        decode_ticks({k.encode(): v for k, v in encode(ClockMoved(id=FactId("clock"), at=NOON, schema=1)).items()})


@pytest.mark.parametrize("entry", [{b"type": b"QuotesTicked"}, {b"body": TWO}, {}])
def test_an_entry_without_its_fields_is_refused(entry: dict[bytes, bytes]) -> None:
    """It names the field."""
    with pytest.raises(Undecodable, match="is missing from the entry"):
        decode_ticks(entry)
