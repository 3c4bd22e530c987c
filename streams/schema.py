"""JSON Schemas of the facts, so that a producer in any language can validate before it publishes.

``python -m streams.schema [FOLDER]`` writes one file a fact; a test compares those in ``docs/schema`` with the code.
What passes the recommendation's schema passes the codec, except what a schema cannot say: a body beyond
1,000,000 bytes or 200 levels, a name that stands twice, 1.0 for 1, half characters, NUL within ``reason``, a day
that no calendar has.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from domain.events import MAX_ID, MAX_QTY, RECOMMENDATION_SCHEMA, AnyFact, Fact, RecommendationIssued
from streams.codec import ADAPTERS, DECIMAL, OPTIONAL, TIME

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_NAME: Final = {"type": "string", "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,200}$"}
_NULL: Final = {"type": "null"}
_QTY: Final = {"type": "integer", "minimum": 1, "maximum": MAX_QTY}
#: Dollars above zero that NUMERIC(16, 2) holds, and a share from 0 to 1: both as text.
_DOLLARS: Final = {"type": "string", "pattern": "^(?!0+(\\.0+)?$)[0-9]{1,14}(\\.[0-9]{1,40})?$"}
_SHARE: Final = {"type": "string", "pattern": "^(0(\\.[0-9]{1,40})?|1(\\.0{1,40})?)$"}

#: What ``RecommendationIssued`` demands beyond the types of its fields.
_RECOMMENDATION: Final[Mapping[str, Mapping[str, Any]]] = {
    "id": {
        "type": "string",
        "pattern": f"^[ -~]{{1,{MAX_ID}}}$",
        "description": "The engine's own, unique. Published again with the same body it changes nothing.",
    },
    "at": {
        "type": "string",
        "format": "date-time",
        "pattern": f"^{TIME.pattern}$",
        "description": "When the signal arose, in UTC, not when it was sent: its age is counted from here.",
    },
    "schema": {"const": RECOMMENDATION_SCHEMA},
    "source": _NAME,
    "accounts": {
        "type": "array",
        "items": _NAME,
        "minItems": 1,
        "uniqueItems": True,
        "description": "Configured accounts; one that is not known makes the whole recommendation a dead letter.",
    },
    "underlying": _NAME,
    "symbol": {
        "anyOf": [_NAME, _NULL],
        "description": "The contract's OCC symbol without padding, or the ticker for STOCK. Null asks for a choice.",
    },
    "qty": {"anyOf": [_QTY, _NULL], "description": "Contracts or shares."},
    "notional_usd": {"anyOf": [_DOLLARS, _NULL], "description": "Dollars to spend, as text."},
    "confidence": _SHARE | {"description": "From 0 to 1, as text: a JSON number is refused."},
    "strategy": _NAME,
    "reason": {
        "type": "object",
        "description": "Whatever explains the signal; kept. One name in it is read, where the configuration sets"
        " max_feature_age_s: features_at, the market time (ISO, with its zone) of the oldest input of the signal.",
    },
}
_EXACTLY_ONE: Final = [
    {"required": ["qty"], "properties": {"qty": _QTY, "notional_usd": _NULL}},
    {"required": ["notional_usd"], "properties": {"notional_usd": _DOLLARS, "qty": _NULL}},
]


class _AsTheCodecReads(GenerateJsonSchema):
    """Decimals and times are text here, and text only."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:  # noqa: ARG002 - pydantic's hook
        return {"type": "string", "pattern": f"^{DECIMAL.pattern}$"}

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:  # noqa: ARG002 - pydantic's hook
        return {"type": "string", "format": "date-time", "pattern": f"^{TIME.pattern}$"}


def json_schema(cls: type[Fact]) -> dict[str, Any]:
    """Return the JSON Schema of the body of *cls*, draft 2020-12."""
    found = ADAPTERS[cls.__name__].json_schema(schema_generator=_AsTheCodecReads)
    if cls is RecommendationIssued:
        _state_what_the_fact_demands(found)
    return {"$schema": _DIALECT, **found}


def _state_what_the_fact_demands(schema: dict[str, Any]) -> None:
    for name, demand in _RECOMMENDATION.items():
        default = {"default": OPTIONAL[name]} if name in OPTIONAL else {}
        schema["properties"][name] = {**demand, **default}
    schema["required"] = [name for name in schema["required"] if name not in OPTIONAL]
    schema["oneOf"] = _EXACTLY_ONE


def files() -> dict[str, str]:
    """Return the text of every schema file by its name."""
    return {f"{cls.__name__}.json": json.dumps(json_schema(cls), indent=2) + "\n" for cls in get_args(AnyFact)}


def write(folder: Path) -> None:
    """Write every schema into *folder*, making it where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/schema"))
