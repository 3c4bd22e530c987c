"""What is encoded is decoded to the same fact, whatever fact it is."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.events import MAX_QTY, USD_CEILING, AnyFact, Fact, Quote, RecommendationIssued
from streams.codec import MAX_BODY_BYTES, OPTIONAL, Undecodable, decode, encode, parse
from tests.factories import a_quote, a_recommendation, ticked

FACTS = get_args(AnyFact)

texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30)
names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30)
times = st.datetimes(timezones=st.just(UTC))
decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=6)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def a_value(hint: Any) -> st.SearchStrategy[Any]:
    """A strategy for the type of a field."""
    plain = {str: texts, int: st.integers(-(2**31), MAX_QTY), Decimal: decimals, datetime: times, UUID: st.uuids()}
    hint = getattr(hint, "__supertype__", hint)
    if hint in plain:
        return plain[hint]
    if hint is NoneType:
        return st.none()
    if get_origin(hint) is UnionType:
        return st.one_of(*map(a_value, get_args(hint)))
    if get_origin(hint) is tuple:
        return st.lists(a_value(get_args(hint)[0]), max_size=3).map(tuple)
    if hint is Quote:
        return an_instance(Quote)
    return st.sampled_from(hint)


def an_instance(cls: type[Any]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(cls)
    return st.builds(cls, **{f.name: a_value(hints[f.name]) for f in fields(cls)})


recommendations = st.one_of(
    st.builds(
        a_recommendation,
        id=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=64),
        at=times,
        source=names,
        accounts=st.lists(names, min_size=1, max_size=3, unique=True).map(tuple),
        confidence=st.decimals(0, 1, places=4),
        strategy=names,
        reason=st.dictionaries(texts, json_values, max_size=3),
        **amount,
    )
    for amount in (
        {"qty": st.integers(1, MAX_QTY), "notional_usd": st.none()},
        {"qty": st.none(), "notional_usd": st.decimals("0.01", USD_CEILING - 1, places=2)},
    )
)
facts = st.one_of(*(recommendations if cls is RecommendationIssued else an_instance(cls) for cls in FACTS))


def an_entry(fact: Fact) -> dict[bytes, bytes]:
    return {name.encode(): value for name, value in encode(fact).items()}


@settings(max_examples=150)
@given(fact=facts)
def test_every_fact_survives_its_stream(fact: Fact):
    """A fact, once encoded and decoded, is the same fact of the same type; so is its text."""
    decoded = decode(an_entry(fact))

    assert fact == decoded
    assert type(fact) is type(decoded)
    assert encode(fact) == encode(decoded)


@pytest.mark.parametrize("cls", FACTS, ids=lambda cls: cls.__name__)
@settings(max_examples=5)
@given(data=st.data())
def test_each_type_of_fact_survives_its_stream(cls: type[Fact], data: st.DataObject):
    """No type of fact is left to chance."""
    fact = data.draw(recommendations if cls is RecommendationIssued else an_instance(cls))

    assert fact == decode(an_entry(fact))


@settings(max_examples=50)
@given(fact=facts)
def test_decimals_are_text_and_times_end_in_z(fact: Fact):
    """A decimal keeps its digits as a JSON string; a time is UTC and says so."""
    body = json.loads(encode(fact)["body"])

    assert str(fact.at.year).zfill(4) == body["at"][:4]
    assert body["at"].endswith("Z")
    for f in fields(fact):
        if isinstance(value := getattr(fact, f.name), Decimal):
            assert str(value) == body[f.name]


def test_an_exponent_that_python_writes_is_read_again():
    """Decimal writes some values with an exponent; the price that it stands for survives."""
    fact = ticked(a_quote(bid="1E-7", ask="1E+3"))

    assert fact == decode(an_entry(fact))


def test_what_a_producer_may_leave_out_has_its_default():
    """schema is 1, reason empty, symbol and notional absent, when a recommendation does not name them."""
    body = json.loads(encode(a_recommendation(symbol=None))["body"])
    short = {name: value for name, value in body.items() if name not in OPTIONAL or name == "qty"}

    assert a_recommendation(symbol=None) == parse(RecommendationIssued, json.dumps(short))
    assert {"schema", "reason", "symbol", "notional_usd"} == body.keys() - short.keys()


def test_defaults_are_not_shared():
    """Two recommendations without a reason have each their own."""
    body = json.loads(encode(a_recommendation())["body"])
    del body["reason"]
    first, second = (parse(RecommendationIssued, json.dumps(body)) for _ in range(2))
    first.reason["seen"] = True

    assert {} == second.reason


@pytest.mark.parametrize("cls", [cls for cls in FACTS if cls is not RecommendationIssued], ids=lambda cls: cls.__name__)
@settings(max_examples=1)
@given(data=st.data())
def test_our_own_facts_leave_nothing_out(cls: type[Fact], data: st.DataObject):
    """Every field of a fact of ours is demanded: without it the entry is no fact, and the field is named."""
    body = json.loads(encode(data.draw(an_instance(cls)))["body"])
    for name in body:
        short = {k: v for k, v in body.items() if k != name}
        with pytest.raises(Undecodable, match=f"{name}: .*"):
            parse(cls, json.dumps(short))


QUOTE = {"symbol": "MSFT", "bid": "1", "ask": "2", "bid_size": 1, "ask_size": 1, "at": "2026-02-03T17:00:00Z"}
WRONG_QUOTES = {
    "float price": ({"bid": 1.5}, "bid: a decimal"),
    "NaN": ({"ask": "NaN"}, "ask: a decimal"),
    "no zone": ({"at": "2026-02-03T17:00:00"}, "at: a time"),
    "another offset": ({"at": "2026-02-03T18:00:00+01:00"}, "at: a time"),
    "seconds since 1970": ({"at": "1770138000"}, "at: a time"),
    "unknown field": ({"mid": "1.5"}, "quotes.0.mid: "),
    "float size": ({"bid_size": 1.5}, "quotes.0.bid_size: "),
}


@pytest.mark.parametrize(("change", "said"), WRONG_QUOTES.values(), ids=WRONG_QUOTES.keys())
def test_a_malformed_quote_spoils_its_frame(change: dict[str, Any], said: str):
    """A price or a time that is none reaches no rule: a quote without zone would break the exit's arithmetic."""
    body = json.loads(encode(ticked())["body"]) | {"quotes": [QUOTE | change]}

    with pytest.raises(Undecodable) as refused:
        parse(type(ticked()), json.dumps(body))

    assert said in str(refused.value)


@pytest.mark.parametrize("quotes", [None, 5, "x", [5], [None], {"a": 1}], ids=repr)
def test_quotes_that_are_no_list_of_quotes_are_undecodable(quotes: Any):
    """The field is named, and nothing else goes wrong on the way."""
    body = json.loads(encode(ticked())["body"]) | {"quotes": quotes}

    with pytest.raises(Undecodable, match="quotes"):
        parse(type(ticked()), json.dumps(body))


WRONG_ENTRIES = {
    "no type": ({b"body": b"{}"}, "'type' is missing"),
    "no body": ({b"type": b"OrderFilled"}, "'body' is missing"),
    "nothing": ({}, "is missing"),
    "unknown type": ({b"type": b"OrderImagined", b"body": b"{}"}, "type: unknown fact 'OrderImagined'"),
    "a class that is no fact": ({b"type": b"Quote", b"body": b"{}"}, "type: unknown fact 'Quote'"),
    "type of bytes": ({b"type": b"\xff", b"body": b"{}"}, "type: not UTF-8"),
    "endless type": ({b"type": b"x" * 10**6, b"body": b"{}"}, "type: unknown fact 'xxx"),
    "too long": ({b"type": b"OrderFilled", b"body": b" " * (MAX_BODY_BYTES + 1)}, "at most 1000000 are read"),
}


@pytest.mark.parametrize(("entry", "said"), WRONG_ENTRIES.values(), ids=WRONG_ENTRIES.keys())
def test_an_entry_that_is_no_fact_is_undecodable(entry: dict[bytes, bytes], said: str):
    """The reason is short enough to be stored and names what was found."""
    with pytest.raises(Undecodable) as refused:
        decode(entry)

    assert said in str(refused.value)
    assert len(str(refused.value)) < 300
