"""The published schemas are those of the code, and a producer may trust them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.events import AnyFact, Fact, RecommendationIssued
from streams import schema
from streams.codec import encode, parse
from tests.codec.json_schema import is_valid
from tests.codec.test_malformed_recommendations import GOOD, WRONG, with_raw
from tests.codec.test_round_trip import facts, recommendations

FOLDER = Path(__file__).parents[2] / "docs" / "schema"
RECOMMENDATION = schema.json_schema(RecommendationIssued)


def test_the_files_are_those_of_the_code():
    """``python -m streams.schema`` has been run after the last change, and no file is left of a former fact."""
    written = {path.name: path.read_text() for path in FOLDER.iterdir()}

    assert schema.files() == written


def test_the_generator_writes_what_it_says(tmp_path: Path):
    """One file a fact, in a folder that it makes."""
    schema.write(tmp_path / "new" / "schema")

    assert sorted(f"{cls.__name__}.json" for cls in get_args(AnyFact)) == sorted(
        path.name for path in (tmp_path / "new" / "schema").iterdir()
    )


@settings(max_examples=50)
@given(fact=facts)
def test_every_fact_satisfies_its_schema(fact: Fact):
    """What we publish is what we say that we publish."""
    assert is_valid(json.loads(encode(fact)["body"]), schema.json_schema(type(fact)))


@settings(max_examples=50)
@given(rec=recommendations)
def test_a_good_recommendation_satisfies_its_schema(rec: RecommendationIssued):
    """A producer that validates is not stopped from publishing what is good."""
    body = json.loads(encode(rec)["body"])
    short = {name: value for name, value in body.items() if value not in (None, {})}

    assert is_valid(body, RECOMMENDATION)
    assert is_valid(short, RECOMMENDATION)


#: What only the codec sees. A schema knows neither calendars nor what PostgreSQL stores, and takes 1.0 for 1.
BEYOND_A_SCHEMA = (
    '"2026-02-30T17:00:00Z"',
    '"2026-02-03T24:00:00Z"',
    '"2026-02-03T17:00:60Z"',
    '"0000-01-01T00:00:00Z"',
    "1.0",
    "1e2",
    '{"a": "\\u0000"}',
    '{"a": [{"b": "\\ud800"}]}',
    '{"\\u0000": 1}',
    '{"\\udfff": 1}',
    '"\\ud800"',
    '["\\udfff"]',
    '"\\udc00\\ud800"',
)


@pytest.mark.parametrize(
    ("field", "literal"),
    [(field, literal) for field, literals in WRONG.items() for literal in literals if literal not in BEYOND_A_SCHEMA],
    ids=lambda text: ascii(text)[:40],
)
def test_the_schema_refuses_what_the_codec_refuses(field: str, literal: str):
    """A producer that validates finds its mistake before it publishes it."""
    body = json.loads(with_raw(field, literal))
    if field == "notional_usd":
        body.pop("qty")

    assert not is_valid(body, RECOMMENDATION)


def texts_like(*path: str) -> st.SearchStrategy[str]:
    """Texts that satisfy the pattern at *path* in the recommendation's schema."""
    found: Any = RECOMMENDATION["properties"]
    for step in path:
        found = found[int(step) if step.isdigit() else step]
    return st.from_regex(found["pattern"].removesuffix("$") + r"\Z")


@settings(max_examples=60)
@given(
    name=texts_like("id"),
    source=texts_like("source"),
    account=texts_like("accounts", "items"),
    confidence=texts_like("confidence"),
    dollars=texts_like("notional_usd", "anyOf", "0"),
)
def test_what_the_schema_accepts_the_codec_accepts(name: str, source: str, account: str, confidence: str, dollars: str):
    """A recommendation that passes the schema is not buried as undecodable."""
    body = GOOD | {
        "id": name,
        "source": source,
        "strategy": source,
        "accounts": [account],
        "confidence": confidence,
        "qty": None,
        "notional_usd": dollars,
    }

    assert is_valid(body, RECOMMENDATION)
    assert name == parse(RecommendationIssued, json.dumps(body)).id
