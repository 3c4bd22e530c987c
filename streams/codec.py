"""Facts to stream fields and back: the one place where bytes become types.

An entry has two fields: ``type``, the fact's name, and ``body``, its JSON. Decimals are strings,
times are UTC ISO with Z. Unknown fields, numbers where money is expected, times without zone and
text that no database column can hold are refused with a message that names the field and the value.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from domain.events import AnyFact, Fact, Quote, QuotesTicked, RecommendationIssued, refuse_unstorable
from streams.ticks import Proven, Ticks, proven

#: A body beyond this is refused unread, in bytes. The largest honest one is a frame of a few thousand quotes.
MAX_BODY_BYTES: Final = 1_000_000
#: A decimal as its text: no plus, no blank, no NaN. Ours may carry an exponent, producers need none.
DECIMAL: Final = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
#: A time as its text, in UTC. Pydantic alone would read "1770138000" as seconds, and a quote's time without zone.
TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-]00:00)")
#: At most so many complaints about one body are told: its reason is stored and read by people.
_MAX_COMPLAINTS: Final = 5
#: What a signal engine may leave out of a recommendation.
OPTIONAL: Final[Mapping[str, Any]] = {"schema": 1, "reason": {}, "symbol": None, "qty": None, "notional_usd": None}
#: The one fact that is also read in a fast way (see ``ticks``).
TICKED: Final = QuotesTicked.__name__
_TICKED_BYTES: Final = TICKED.encode()
_CLASSES: Final[dict[str, type[Fact]]] = {cls.__name__: cls for cls in get_args(AnyFact)}
_STRICT: Final = ConfigDict(extra="forbid", strict=True, ser_json_inf_nan="null", allow_inf_nan=False)


class Undecodable(ValueError):
    """The entry is not one of our facts; retrying cannot help, so it is dead-lettered."""


def _mentions(hint: Any, wanted: type) -> bool:
    return hint is wanted or (get_origin(hint) is not None and any(_mentions(a, wanted) for a in get_args(hint)))


def _fields_of(cls: type, wanted: type) -> frozenset[str]:
    hints = get_type_hints(cls)
    return frozenset(f.name for f in fields(cls) if _mentions(hints[f.name] | None, wanted))


def _adapter(cls: type[Fact]) -> TypeAdapter[Any]:
    for part in (cls, Quote):
        part.__pydantic_config__ = _STRICT  # type: ignore[union-attr]  # read by pydantic, unknown to the dataclass
    return TypeAdapter(cls)


#: How pydantic reads and writes each fact, by the fact's name.
ADAPTERS: Final = {name: _adapter(cls) for name, cls in _CLASSES.items()}
_MONEY: Final = {cls: _fields_of(cls, Decimal) for cls in (*_CLASSES.values(), Quote)}
_TIMES: Final = {cls: _fields_of(cls, datetime) for cls in (*_CLASSES.values(), Quote)}


def encode(fact: Fact) -> dict[str, bytes]:
    """Return the two fields of a stream entry."""
    name = type(fact).__name__
    return {"type": name.encode(), "body": ADAPTERS[name].dump_json(fact)}


def decode(entry: Mapping[bytes, bytes]) -> Any:
    """Return the fact in *entry*, one of ``domain.events.AnyFact``.

    Raises:
        Undecodable: names the field and the value that are wrong.
    """
    try:
        name, body = entry[b"type"].decode(), entry[b"body"]
    except KeyError as e:
        raise Undecodable(f"field {e.args[0].decode()!r} is missing from the entry") from e
    except UnicodeDecodeError as e:
        raise Undecodable(f"type: not UTF-8 text, was {entry[b'type']!r:.80}") from e
    if name not in _CLASSES:
        raise Undecodable(f"type: unknown fact {name!r:.80}")
    if name == TICKED and (frame := _proven(body)) is not None:
        return frame.fact()
    return parse(_CLASSES[name], body)


def decode_ticks(entry: Mapping[bytes, bytes]) -> Ticks:
    """Return the frame of quotes in *entry*; quotes that nobody asks it for are never made.

    Raises:
        Undecodable: as for :func:`decode`, and for a fact of another kind.
    """
    if entry.get(b"type") == _TICKED_BYTES and (frame := _proven(entry.get(b"body", b""))) is not None:
        return frame
    fact = decode(entry)
    if not isinstance(fact, QuotesTicked):
        raise Undecodable(f"type: {TICKED} is expected, was {type(fact).__name__}")
    return fact


def _proven(body: bytes) -> Proven | None:
    return proven(body) if len(body) <= MAX_BODY_BYTES else None


def parse(cls: type[Fact], body: bytes | str) -> Any:
    """Return the fact of *cls* whose JSON is *body*, or raise :exc:`Undecodable`."""
    if len(body) > MAX_BODY_BYTES:
        raise Undecodable(f"body: {len(body)} bytes, at most {MAX_BODY_BYTES} are read")
    raw = _read_json(body)
    if cls is RecommendationIssued:
        raw = {**OPTIONAL, **raw}
    _refuse_numbers_as_money(cls, raw)
    try:
        return ADAPTERS[cls.__name__].validate_json(json.dumps(raw))
    except ValidationError as e:
        raise Undecodable(_complaints(e.errors(include_url=False))) from e


def _read_json(body: bytes | str) -> dict[str, Any]:
    try:
        # JSON on our streams is UTF-8; the json module would guess at UTF-16 and let lone surrogates pass.
        text = body.decode() if isinstance(body, bytes) else body
        raw = json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_refuse_twice)
    except Undecodable:
        raise
    except (ValueError, RecursionError) as e:  # no UTF-8, no JSON, nested too deeply, or an integer of 5,000 digits
        raise Undecodable(f"body: not readable as JSON ({e}), was {body[:80]!r}") from e
    if not isinstance(raw, dict):
        raise Undecodable(f"body: a JSON object is expected, was {body[:80]!r}")
    if "\\u" in text:  # only an escape can bring in what no column holds
        _refuse_unstorable(raw)
    return raw


def _refuse_unstorable(raw: Mapping[str, Any]) -> None:
    try:
        refuse_unstorable(raw)
    except ValueError as e:
        raise Undecodable(str(e)) from e


def _refuse(text: str) -> Any:
    raise Undecodable(f"body: a finite number is expected, was {text:.80}")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise Undecodable(f"{_shown(name)}: stands twice, as {found[name]!r:.80} and {value!r:.80}")
        found[name] = value
    return found


def _refuse_numbers_as_money(cls: type, raw: Mapping[str, Any]) -> None:
    """Pydantic would take a JSON number for a Decimal through a float; a producer writes strings."""
    for name in _MONEY[cls]:
        value = raw.get(name)
        if value is not None and not (isinstance(value, str) and DECIMAL.fullmatch(value)):
            raise Undecodable(f"{name}: a decimal is written as a JSON string like '1.25', was {value!r:.80}")
    for name in _TIMES[cls]:
        value = raw.get(name)
        if value is not None and not (isinstance(value, str) and TIME.fullmatch(value)):
            raise Undecodable(
                f"{name}: a time is written as ISO text in UTC like '2026-02-03T17:00:00Z', was {value!r:.80}"
            )
    quotes = raw.get("quotes") if cls is QuotesTicked else None
    for quote in quotes if isinstance(quotes, list) else ():
        if isinstance(quote, dict):
            _refuse_numbers_as_money(Quote, quote)


def _complaints(errors: Sequence[Any]) -> str:
    told = [_complaint(error) for error in errors[:_MAX_COMPLAINTS]]
    more = len(errors) - len(told)
    return "; ".join([*told, f"and {more} more"] if more else told)


def _complaint(error: Any) -> str:
    if error["type"] == "value_error":  # ours: it names its field and value already
        return str(error["ctx"]["error"])
    where = ".".join(str(part) for part in error["loc"]) or "body"
    return f"{_shown(where)}: {error['msg']}, was {error['input']!r:.120}"


def _shown(name: str) -> str:
    """A field name that a producer invented may be anything: bounded, and escaped where it cannot be printed."""
    return f"{name:.80}" if name.isprintable() else f"{name!r:.80}"


__all__ = [
    "ADAPTERS",
    "DECIMAL",
    "MAX_BODY_BYTES",
    "OPTIONAL",
    "TIME",
    "Undecodable",
    "decode",
    "decode_ticks",
    "encode",
    "parse",
]
