"""As much of JSON Schema (draft 2020-12) as our schemas use; a keyword that it does not know is an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

_TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "null": lambda value: value is None,
    # A validator takes 1.0 for an integer, and no boolean for one.
    "integer": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and value == int(value),
}
_ANNOTATIONS: Final = frozenset({"$schema", "$defs", "title", "description", "default", "format"})


def is_valid(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> bool:
    """Does *value* satisfy *schema*? ``format`` is an annotation, as it is by default for a validator."""
    whole = schema if root is None else root
    return all(_holds(keyword, value, schema, whole) for keyword in schema.keys() - _ANNOTATIONS)


def _holds(keyword: str, value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    demand = schema[keyword]
    match keyword:
        case "$ref":
            return is_valid(value, root["$defs"][demand.removeprefix("#/$defs/")], root)
        case "type":
            return _TYPES[demand](value)
        case "const":
            return bool(value == demand and not isinstance(value, bool))
        case "enum":
            return value in demand
        case "anyOf":
            return any(is_valid(value, one, root) for one in demand)
        case "oneOf":
            return sum(is_valid(value, one, root) for one in demand) == 1
    return not _TYPES[_SUBJECT[keyword]](value) or _holds_for(keyword, value, schema, root)


_SUBJECT: Final = {
    "pattern": "string",
    "minimum": "integer",
    "maximum": "integer",
    "minItems": "array",
    "uniqueItems": "array",
    "items": "array",
    "required": "object",
    "properties": "object",
    "additionalProperties": "object",
}


def _holds_for(keyword: str, value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    """A keyword that speaks about values of one type only."""
    demand = schema[keyword]
    match keyword:
        case "pattern":  # in JSON Schema "$" is the end of the text, in Python also the place before a last newline
            return re.search(demand.removesuffix("$") + r"\Z", value) is not None
        case "minimum":
            return bool(value >= demand)
        case "maximum":
            return bool(value <= demand)
        case "minItems":
            return len(value) >= demand
        case "uniqueItems":
            return len({repr(item) for item in value}) == len(value)
        case "items":
            return all(is_valid(item, demand, root) for item in value)
        case "required":
            return all(name in value for name in demand)
        case "properties":
            return all(is_valid(value[name], one, root) for name, one in demand.items() if name in value)
        case _:  # additionalProperties: false is the only one that we write
            return bool(demand) or value.keys() <= schema["properties"].keys()
