"""A recommendation cannot be made half, whoever makes it: the type itself refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from domain.events import MAX_QTY, USD_CEILING, refuse_unstorable
from tests.factories import LARGE, NOON, PUT, TINY, a_recommendation

DOLLARS: dict[str, Any] = {"qty": None}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no time zone": ({"at": datetime(2026, 2, 3, 17, 0)}, "at: an aware time in UTC"),  # noqa: DTZ001 - that is the case
    "New York": ({"at": NOON.astimezone(timezone(timedelta(hours=-5)))}, "at: an aware time in UTC"),
    "schema 2": ({"schema": 2}, "schema: version 1, was 2"),
    "no id": ({"id": ""}, "id: 1 to 64 printable ASCII characters, was ''"),
    "id of 65": ({"id": "x" * 65}, "id: 1 to 64"),
    "id with a new line": ({"id": "a\n"}, "id: 1 to 64"),
    "id beyond ASCII": ({"id": "récommandation"}, "id: 1 to 64"),
    "no account": ({"accounts": ()}, "accounts: at least one account, was []"),
    "an account twice": (
        {"accounts": (LARGE, TINY, LARGE)},
        "accounts: distinct names, was ['large', 'tiny', 'large']",
    ),
    "an account without name": ({"accounts": ("",)}, "accounts: 1 to 200 characters"),
    "no source": ({"source": ""}, "source: 1 to 200 characters"),
    "NUL in the strategy": ({"strategy": "day\x00trade"}, "strategy: 1 to 200 characters"),
    "a new line in the underlying": ({"underlying": "MS\nFT"}, "underlying: 1 to 200 characters"),
    "half a character": ({"source": "\ud800"}, "source: 1 to 200 characters"),
    "a long strategy": ({"strategy": "x" * 201}, "strategy: 1 to 200 characters"),
    "NUL in the reason": ({"reason": {"a": [{"b": "\x00"}]}}, "reason.a.0.b: text without NUL"),
    "NUL in a name": ({"reason": {"\x00": 1}}, "reason.\\x00: text without NUL"),
    "neither amount": ({"qty": None}, "qty: exactly one of qty and notional_usd, was ['None', 'None']"),
    "both amounts": ({"notional_usd": Decimal(1)}, "qty: exactly one of qty and notional_usd, was ['1', '1']"),
    "none": ({"qty": 0}, f"qty: a whole number from 1 to {MAX_QTY}, was 0"),
    "less than none": ({"qty": -1}, "qty: a whole number"),
    "more than a column holds": ({"qty": MAX_QTY + 1}, "qty: a whole number"),
    "no dollars": (DOLLARS | {"notional_usd": Decimal(0)}, "notional_usd: dollars above 0"),
    "debt": (DOLLARS | {"notional_usd": Decimal("-0.01")}, "notional_usd: dollars above 0"),
    "all the dollars": (
        DOLLARS | {"notional_usd": USD_CEILING},
        "notional_usd: dollars above 0 and below 100000000000000",
    ),
    "more than certain": ({"confidence": Decimal("1.0001")}, "confidence: a decimal from 0 to 1, was '1.0001'"),
    "less than doubtful": ({"confidence": Decimal("-0.0001")}, "confidence: a decimal from 0 to 1"),
}


@pytest.mark.parametrize(("over", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_a_malformed_recommendation_cannot_be_made(over: dict[str, Any], said: str):
    """The error names the field, what is expected, and what was given."""
    with pytest.raises(ValueError) as refused:
        a_recommendation(**over)

    assert str(refused.value).startswith(said)
    assert len(str(refused.value)) < 300


ACCEPTED: dict[str, dict[str, Any]] = {
    "one character": {"id": "x"},
    "64 characters": {"id": "x" * 64},
    "several accounts": {"accounts": (LARGE, TINY)},
    "the largest quantity": {"qty": MAX_QTY},
    "a cent": DOLLARS | {"notional_usd": Decimal("0.01")},
    "a cent below the ceiling": DOLLARS | {"notional_usd": USD_CEILING - Decimal("0.01")},
    "no confidence": {"confidence": Decimal(0)},
    "certainty": {"confidence": Decimal(1)},
    "UTC by another name": {"at": NOON.astimezone(timezone(timedelta()))},
    "no symbol": {"symbol": None},
    "accents": {"source": "moteur-à-signaux"},
}


@pytest.mark.parametrize("over", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_the_edges_of_what_is_allowed_belong_to_it(over: dict[str, Any]):
    """Each value at its limit makes a recommendation."""
    rec = a_recommendation(**over)

    assert over == {name: getattr(rec, name) for name in over}


def test_a_recommendation_has_its_engine_s_id():
    """The id of the fact is the id of the recommendation."""
    assert "rec-7" == a_recommendation(id="rec-7").recommendation_id


def test_a_fact_is_never_edited():
    """It is frozen."""
    with pytest.raises(AttributeError):
        a_recommendation().qty = 100  # type: ignore[misc]


@pytest.mark.parametrize("value", [None, 1, 1.5, True, "text", [], {}, {"a": [1, "\x01", {"b": "é\U0001f600"}]}])
def test_what_postgres_can_store_is_not_refused(value: Any):
    """Control characters other than NUL and every whole character are text."""
    refuse_unstorable(value, "reason")


def test_a_deep_value_is_walked_to_its_end():
    """However deep: no recursion limit stands before the last text, and the place stays short."""
    value: Any = "\x00"
    for _ in range(5_000):
        value = [value]
    with pytest.raises(ValueError, match="text without NUL and half characters, was") as refused:
        refuse_unstorable(value, "reason")

    assert len(str(refused.value)) < 300


def test_the_limits_are_those_of_the_columns():
    """An integer column holds 32 bits, NUMERIC(16, 2) fourteen digits before the point."""
    assert (2147483647, Decimal("100000000000000")) == (MAX_QTY, USD_CEILING)


def test_noon_is_noon():
    """The factories' clock is aware and in UTC, so that no test passes for want of a zone."""
    assert NOON.tzinfo is UTC
    assert PUT == a_recommendation().symbol
