"""Objects of the book as JSON and back: self-describing, so that a field that is new has its default when loaded.

Orders point at each other (a bracket's legs); they are written as references and joined when all are there.
"""

import dataclasses
import importlib
import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from paper.instruments import Contract, Instrument, Registry, Stock
from paper.order import Order

_KIND, _VALUE = "$", "v"
_SIMPLE: dict[type, tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = {
    Decimal: ("decimal", str, Decimal),
    datetime: ("time", datetime.isoformat, datetime.fromisoformat),
    date: ("day", date.isoformat, date.fromisoformat),
    timedelta: ("span", timedelta.total_seconds, lambda seconds: timedelta(seconds=seconds)),
    set: ("set", sorted, set),
    frozenset: ("frozenset", sorted, frozenset),
    tuple: ("tuple", list, tuple),
}
_LOADERS = {kind: load for kind, _, load in _SIMPLE.values()}
_OURS = "paper."


def dump(thing: Any, *, skip: frozenset[str] = frozenset(), pointed: Callable[[Order], None]) -> str:
    """An object of a data class as JSON, without the fields to *skip*; *pointed* is told of orders it points at."""
    fields = {
        field.name: _dump(getattr(thing, field.name), pointed)
        for field in dataclasses.fields(thing)
        if field.name not in skip
    }
    return json.dumps(fields, separators=(",", ":"))


def _dump(value: Any, pointed: Callable[[Order], None]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_dump(item, pointed) for item in value]
    if isinstance(value, dict):
        return {_KIND: "dict", _VALUE: [[_dump(k, pointed), _dump(v, pointed)] for k, v in value.items()]}
    if isinstance(value, Order):
        pointed(value)
        return {_KIND: "order", _VALUE: [value.account, value.id]}
    if dataclasses.is_dataclass(value):
        return _dump_object(value, pointed)
    kind, write, _ = _SIMPLE[type(value)]
    return {_KIND: kind, _VALUE: _dump(write(value), pointed)}


def _dump_object(value: Any, pointed: Callable[[Order], None]) -> Any:
    cls = type(value)
    fields = {field.name: _dump(getattr(value, field.name), pointed) for field in dataclasses.fields(value)}
    return {_KIND: f"{cls.__module__}:{cls.__qualname__}", _VALUE: fields}


class Loader:
    """Reads what `dump` wrote. Instruments become those of *registry*, which learns the ones it lacks."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._orders: dict[tuple[str, str], Order] = {}

    def order(self, account: str, order_id: str) -> Order:
        """The order with this id, which may be filled in later."""
        key = (account, order_id)
        if key not in self._orders:
            self._orders[key] = Order.__new__(Order)
        return self._orders[key]

    def fill_in(self, thing: Any, text: str) -> None:
        """Set the fields of an object to what was written; others have their defaults or what they had."""
        for name, value in json.loads(text).items():
            if name in {field.name for field in dataclasses.fields(thing)}:
                setattr(thing, name, self._load(value))
        for field in dataclasses.fields(thing):
            if not hasattr(thing, field.name):
                setattr(thing, field.name, _default(field))

    def value(self, text: str) -> Any:
        """A value that was written by itself."""
        return self._load(json.loads(text))

    def _load(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._load(item) for item in value]
        if not isinstance(value, dict):
            return value
        kind, inner = value[_KIND], value[_VALUE]
        if kind == "dict":
            return {self._load(k): self._load(v) for k, v in inner}
        if kind == "order":
            return self.order(*inner)
        if kind in _LOADERS:
            return _LOADERS[kind](self._load(inner))
        return self._object(kind, inner)

    def _object(self, kind: str, fields: dict[str, Any]) -> Any:
        module, _, name = kind.partition(":")
        if not module.startswith(_OURS):
            raise ValueError(f"{kind} is none of this server's classes")
        made = getattr(importlib.import_module(module), name)(**{k: self._load(v) for k, v in fields.items()})
        return self._known(made) if isinstance(made, Stock | Contract) else made

    def _known(self, instrument: Instrument) -> Instrument:
        return self._registry.find(instrument.symbol) or self._registry.learn(instrument)


def written(value: Any) -> str:
    """A value by itself as JSON; it points at no order."""
    return json.dumps(_dump(value, lambda _order: None), separators=(",", ":"))


def _default(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    if field.default is dataclasses.MISSING:
        raise ValueError(f"the file knows no {field.name}")
    return field.default
