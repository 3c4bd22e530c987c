"""Every way in which a recommendation can be malformed ends as Undecodable, naming the field and the value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from db import decisions
from domain.events import MAX_QTY, RecommendationIssued
from streams.codec import MAX_BODY_BYTES, Undecodable, encode, parse
from tests.factories import NOON, a_recommendation

#: Longer than any message of ours: it is stored as the reason of a dead letter.
LONGEST_MESSAGE = 1000
GOOD = json.loads(encode(a_recommendation())["body"])
PLACEHOLDER = "@@"


def with_raw(field: str, literal: str) -> str:
    """A recommendation whose *field* is *literal*, which need not be JSON."""
    return json.dumps(GOOD | {field: PLACEHOLDER}).replace(f'"{PLACEHOLDER}"', literal)


def complaint(body: str | bytes) -> str:
    with pytest.raises(Undecodable) as refused:
        parse(RecommendationIssued, body)
    return str(refused.value)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


# ---------------------------------------------------------------- one field is wrong

NO_NUMBERS = (
    "0.7",
    "1",
    "true",
    "null",
    "[]",
    "{}",
    '""',
    '"0,7"',
    '"0x1"',
    '"NaN"',
    '"sNaN"',
    '"Infinity"',
    '"-Infinity"',
)
NO_DECIMALS = ('"+0.5"', '".5"', '"0."', '" 0.5"', '"0.5\\n"', '"0_1"', '"1e"', '"\u0660.5"', '"1e-999999999999"')
WRONG: dict[str, tuple[str, ...]] = {
    "id": (
        '""',
        '"' + "x" * 65 + '"',
        '"r\u00e9c"',
        '"a\\n"',
        '"a\\u0000"',
        '"\\ud83d\\ude00"',
        "1",
        "null",
        "true",
        '["a"]',
        "{}",
    ),
    "at": (
        '"2026-02-03T17:00:00"',
        '"2026-02-03T18:00:00+01:00"',
        '"2026-02-03T12:00:00-05:00"',
        '"2026-02-03 17:00:00Z"',
        '"2026-02-03T17:00:00z"',
        '"2026-02-03T17:00Z"',
        '"2026-02-03"',
        '"2026-02-30T17:00:00Z"',
        '"2026-02-03T24:00:00Z"',
        '"2026-02-03T17:00:60Z"',
        '"0000-01-01T00:00:00Z"',
        '"1770138000"',
        '"now"',
        '""',
        "1770138000",
        "1770138000.5",
        "null",
        "true",
        "[]",
    ),
    "schema": ("0", "2", "-1", "1.0", '"1"', "true", "null", "1" + "0" * 400),
    "source": ("1", "null", '""', '"' + "x" * 201 + '"', '"a\\u0000b"', '"a\\nb"', '"\\ud800"', "[]"),
    "accounts": (
        "[]",
        "null",
        '"large"',
        "{}",
        "[1]",
        "[null]",
        '[["large"]]',
        '[""]',
        '["large", "large"]',
        '["large", "tiny", "large"]',
        '["a\\u0000"]',
        '["\\udfff"]',
        '["' + "x" * 201 + '"]',
    ),
    "underlying": ("1", "null", '""', '"\\u0000"', '"\\ud800"', "[]"),
    "instrument": ('"call"', '"OPTION"', '""', "null", "1", '["CALL"]', '"CALL "'),
    "action": ('"buy"', '"HOLD"', '""', "null", "1", '"BUY\\u0000"'),
    "symbol": ("1", '""', "false", '"\\u0000"', '"\\ud800"', "[]", '"' + "A" * 201 + '"'),
    "qty": (
        "0",
        "-1",
        "1.0",
        "1.5",
        "1e2",
        '"1"',
        "true",
        "false",
        "[]",
        "{}",
        "2147483648",
        "-2147483649",
        "1" + "0" * 400,
    ),
    "notional_usd": (*NO_NUMBERS[:2], "true", "[]", "{}", *NO_NUMBERS[6:], *NO_DECIMALS),
    "confidence": (*NO_NUMBERS, *NO_DECIMALS, '"1.01"', '"-0.01"', '"2"', '"1e1"', '"0.' + "3" * 10_000 + '"'),
    "strategy": ("1", "null", '""', '"' + "x" * 201 + '"', '"day\\u0000trade"', '"\\udc00\\ud800"', "[]"),
    "reason": (
        "null",
        "[]",
        '"because"',
        "1",
        '{"a": "\\u0000"}',
        '{"a": [{"b": "\\ud800"}]}',
        '{"\\u0000": 1}',
        '{"\\udfff": 1}',
    ),
}


@pytest.mark.parametrize(
    ("field", "literal"),
    [(field, literal) for field, literals in WRONG.items() for literal in literals],
    ids=lambda text: ascii(text)[:40],
)
def test_a_wrong_value_is_named(field: str, literal: str):
    """The message begins with the field, shows the value and is bounded."""
    said = complaint(with_raw(field, literal))

    assert said.startswith((f"{field}: ", f"{field}."))
    assert "was " in said
    assert len(said) < LONGEST_MESSAGE


@pytest.mark.parametrize("field", WRONG)
def test_deep_nesting_anywhere_is_undecodable(field: str):
    """Nested beyond what is read, a value is refused at every depth: no recursion limit is ever hit outside."""
    for depth in (200, 500, 900, 940, 960, 980, 1_000, 100_000):
        assert len(complaint(with_raw(field, nested(depth)))) < LONGEST_MESSAGE
        assert len(complaint(with_raw(field, f'{{"a": {nested(depth)}}}'))) < LONGEST_MESSAGE


# ---------------------------------------------------------------- amounts


@pytest.mark.parametrize(
    "amount",
    [
        "0",
        "0.00",
        "-1",
        "-0.01",
        "100000000000000",
        "1E+14",
        "1E+999",
        "9" * 16,
        "9" * 10_000,
        "0." + "1" * 10_000,
        "1E-9999",
    ],
    ids=lambda text: text[:20],
)
def test_dollars_that_no_column_holds_are_refused(amount: str):
    """Dollars are above zero and fit NUMERIC(16, 2)."""
    said = complaint(json.dumps(GOOD | {"qty": None, "notional_usd": amount}))

    assert said.startswith("notional_usd: ")
    assert f"was '{amount[:60]}" in said
    assert len(said) < LONGEST_MESSAGE


def test_exactly_one_amount_is_asked():
    """Neither, and both, are refused; null is as good as absent."""
    neither = complaint(json.dumps(GOOD | {"qty": None, "notional_usd": None}))
    both = complaint(json.dumps(GOOD | {"qty": 3, "notional_usd": "500.00"}))

    assert "qty: exactly one of qty and notional_usd, was ['None', 'None']" == neither
    assert "qty: exactly one of qty and notional_usd, was ['3', '500.00']" == both


@pytest.mark.parametrize("qty", [1, MAX_QTY])
def test_the_smallest_and_the_largest_quantity_pass(qty: int):
    """A quantity from 1 to what the column holds is none of the codec's business."""
    assert qty == parse(RecommendationIssued, json.dumps(GOOD | {"qty": qty})).qty


@pytest.mark.parametrize("confidence", ["0", "0.0", "1", "1.000", "0.55"])
def test_the_ends_of_confidence_belong_to_it(confidence: str):
    """Nothing and certainty are both confidences."""
    assert confidence == str(parse(RecommendationIssued, json.dumps(GOOD | {"confidence": confidence})).confidence)


@pytest.mark.parametrize("name", ["x", "x" * 64, " ", "~!@ #", "2026-02-03T17:00:00Z/1"])
def test_any_printable_ascii_is_an_id(name: str):
    """1 to 64 characters, the engine's own choice."""
    assert name == parse(RecommendationIssued, json.dumps(GOOD | {"id": name})).id


@pytest.mark.parametrize("at", ["2026-02-03T17:00:00Z", "2026-02-03T17:00:00+00:00", "2026-02-03T17:00:00.000000Z"])
def test_utc_may_be_spelled_in_two_ways(at: str):
    """Z and +00:00 are the same moment."""
    assert parse(RecommendationIssued, json.dumps(GOOD | {"at": at})).at == NOON


# ---------------------------------------------------------------- the shape is wrong


@pytest.mark.parametrize("field", [name for name in GOOD if name not in ("schema", "reason", "symbol", "notional_usd")])
def test_a_missing_field_is_named(field: str):
    """What has no default must be there."""
    short = {name: value for name, value in GOOD.items() if name != field}

    assert complaint(json.dumps(short)).startswith(f"{field}: ")


@pytest.mark.parametrize(
    "field", ["cause", "origin", "quotes", "Qty", "qty ", "symbols", "", "x" * 10_000, "\u00e9", "__class__"]
)
def test_an_unknown_field_is_named(field: str):
    """A misspelled field is an error, never ignored: it may have been meant as a limit."""
    for value in (1, None, [], {"a": 1}, "text"):
        said = complaint(json.dumps(GOOD | {field: value}))

        assert field[:40] in said
        assert len(said) < LONGEST_MESSAGE


@pytest.mark.parametrize("field", GOOD)
def test_a_field_that_stands_twice_is_named(field: str):
    """JSON readers differ in which of two they take; we take neither."""
    said = complaint(json.dumps(GOOD)[:-1] + f', "{field}": 1}}')

    assert said.startswith(f"{field}: stands twice, as ")


def test_a_name_that_stands_twice_within_reason_is_named():
    """Doubt is doubt at every depth."""
    assert complaint(with_raw("reason", '{"a": {"b": 1, "b": 2}}')).startswith("b: stands twice, as 1 and 2")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" + "0" * 5_000])
@pytest.mark.parametrize("field", ["qty", "confidence", "notional_usd", "reason"])
def test_a_number_that_json_does_not_have_is_refused(field: str, number: str):
    """Python's reader would take them; nobody else's would, and no column holds them."""
    literal = number if field != "reason" else f'{{"score": {number}}}'

    assert complaint(with_raw(field, literal)).startswith("body: ")


SHAPES = {
    "empty": b"",
    "blank": b"  \n",
    "list": b"[]",
    "list of one": json.dumps([GOOD]).encode(),
    "text": b'"BUY"',
    "number": b"1",
    "null": b"null",
    "true": b"true",
    "NaN": b"NaN",
    "cut off": json.dumps(GOOD).encode()[:-1],
    "something after it": json.dumps(GOOD).encode() + b" x",
    "two of them": json.dumps(GOOD).encode() * 2,
    "single quotes": repr(GOOD).encode(),
    "comma at the end": json.dumps(GOOD).encode()[:-1] + b",}",
    "NUL byte": json.dumps(GOOD).encode().replace(b"day_trade", b"day\x00trade"),
    "control character": json.dumps(GOOD).encode().replace(b"day_trade", b"day\x01trade"),
    "no UTF-8": json.dumps(GOOD).encode().replace(b"day_trade", b"\xff\xfe"),
    "a surrogate in UTF-8": json.dumps(GOOD).encode().replace(b"day_trade", b"\xed\xa0\x80"),
    "overlong UTF-8": json.dumps(GOOD).encode().replace(b"day_trade", b"\xc0\x80"),
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
    "UTF-32": json.dumps(GOOD).encode("utf-32"),
    "byte order mark": b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
    "msgpack": b"\x81\xa2id\xa1x",
    "10 MB": b'{"id": "' + b"x" * 10_000_000 + b'"}',
    "one byte too many": json.dumps(GOOD).encode() + b" " * (MAX_BODY_BYTES + 1 - len(json.dumps(GOOD))),
}


@pytest.mark.parametrize("body", SHAPES.values(), ids=SHAPES.keys())
def test_a_body_that_is_no_json_object_is_undecodable(body: bytes):
    """The message says that it is the body, and shows how it begins."""
    said = complaint(body)

    assert said.startswith("body: ")
    assert len(said) < LONGEST_MESSAGE


def test_the_largest_body_is_read():
    """A body of exactly the limit is an honest one."""
    body = json.dumps(GOOD)

    assert a_recommendation() == parse(RecommendationIssued, body + " " * (MAX_BODY_BYTES - len(body)))


def test_thousands_of_mistakes_are_told_in_a_few_words():
    """The first five, and how many more."""
    said = complaint(json.dumps(GOOD | {f"x{number}": 1 for number in range(5_000)}))

    assert said.endswith("; and 4995 more")
    assert len(said) < LONGEST_MESSAGE


# ---------------------------------------------------------------- whatever it is

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=80)
    | st.decimals().map(str)
    | st.datetimes().map(str)
    | st.sampled_from(["CALL", "BUY", "large", "0.5", "2026-02-03T17:00:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
changes = st.dictionaries(st.sampled_from(sorted(GOOD)) | st.text(max_size=8), anything, min_size=1, max_size=3)


@settings(max_examples=100)
@given(change=changes, dropped=st.sets(st.sampled_from(sorted(GOOD)), max_size=2))
def test_whatever_arrives_is_a_recommendation_or_undecodable(change: dict[str, Any], dropped: set[str]):
    """No input raises anything else, and every message can be stored and read."""
    body = json.dumps({name: value for name, value in (GOOD | change).items() if name not in dropped})
    try:
        found = parse(RecommendationIssued, body)
    except Undecodable as refused:
        said = str(refused)
        assert len(said) < LONGEST_MESSAGE
        assert "\x00" not in said
        said.encode()
    else:
        assert found == parse(RecommendationIssued, encode(found)["body"])


@settings(max_examples=100)
@given(body=st.binary(max_size=200))
def test_noise_is_undecodable(body: bytes):
    """Random bytes are no recommendation."""
    complaint(body)


def test_what_gets_through_can_be_stored(engine: Engine):
    """Whatever the codec lets through, its row can hold: extremes of every field, written to PostgreSQL."""
    edges: dict[str, Any] = {
        "id": "~" * 64,
        "at": "0001-01-01T00:00:00Z",
        "source": "\u00e9\U0001f600" * 100,
        "accounts": ["x" * 200],
        "underlying": "\u2028\ufffe\uffff",
        "symbol": "\ue000" * 200,
        "qty": None,
        "notional_usd": "99999999999999." + "9" * 40,
        "confidence": "0." + "9" * 40,
        "reason": {"\ufffe": [10**4299, 1e308, 5e-324, "\u0001", json.loads(nested(190))], "": {}},
    }
    rec = parse(RecommendationIssued, json.dumps(GOOD | edges))
    latest = parse(RecommendationIssued, json.dumps(GOOD | {"at": "9999-12-31T23:59:59.999999Z", "qty": MAX_QTY}))

    with engine.begin() as tx:
        for found in (rec, latest):
            for _ in range(2):  # the second time it is the same body
                body = json.loads(encode(found)["body"])
                decisions.remember(tx, found.recommendation_id, body, found.at, NOON)
