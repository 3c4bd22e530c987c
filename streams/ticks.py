"""Ticks, read fast: a body that is written exactly as ``codec.encode`` writes it is proved well-formed in one pass.

Ticks come by the ten thousand a second, nearly all of them of symbols that nobody holds, and from our own feeds. So
their texts are matched, not parsed, and only the quotes that somebody asks for become numbers. What is written in any
other way, right or wrong, is not judged here: :func:`proven` returns None and ``codec.parse`` reads it, or refuses it
and says why. What is proved here, ``codec.parse`` reads as the same fact.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple, Protocol

from domain.events import Quote, QuotesTicked
from domain.ids import FactId

_TEXT: Final = r"([ !#-\[\]-~]*)"  # ASCII that needs no escape
_INTEGER: Final = r"(-?(?:0|[1-9][0-9]{0,17}))"
_PRICE: Final = r'(?:"(-?[0-9]{1,18}(?:\.[0-9]{1,18})?)"|null)'
_TIME: Final = r'"([0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z)"'
_HEAD: Final = re.compile(rf'\{{"id":"{_TEXT}","at":{_TIME},"schema":{_INTEGER},"feed":"{_TEXT}","quotes":\[')
#: A quote and what follows it: another one, or the end of the body.
_QUOTE: Final = re.compile(
    rf'(\{{"symbol":"{_TEXT}","bid":{_PRICE},"ask":{_PRICE},"bid_size":{_INTEGER},"ask_size":{_INTEGER},"at":{_TIME}\}}'
    r"(?:,|\]\}\Z))"
)
_END: Final = "]}"


class Ticks(Protocol):
    """The quotes of one frame: a :class:`QuotesTicked`, or one that is still text."""

    @property
    def feed(self) -> str: ...

    def among(self, symbols: Container[str]) -> Iterable[Quote]:
        """Return the quotes of *symbols*, in order."""
        ...


class _Texts(NamedTuple):
    """One quote as it stands in the body; an empty price is null."""

    whole: str
    symbol: str
    bid: str
    ask: str
    bid_size: str
    ask_size: str
    at: str

    def quote(self) -> Quote:
        return Quote(
            symbol=self.symbol,
            bid=Decimal(self.bid) if self.bid else None,
            ask=Decimal(self.ask) if self.ask else None,
            bid_size=int(self.bid_size),
            ask_size=int(self.ask_size),
            at=datetime.fromisoformat(self.at),
        )


class Proven:
    """A frame whose body is well-formed."""

    __slots__ = ("_head", "_quotes")

    def __init__(self, head: re.Match[str], quotes: list[tuple[str, ...]]) -> None:
        self._head, self._quotes = head, quotes

    @property
    def feed(self) -> str:
        return self._head[4]

    def among(self, symbols: Container[str]) -> Iterator[Quote]:
        return (_Texts._make(texts).quote() for texts in self._quotes if texts[1] in symbols)

    def fact(self) -> QuotesTicked:
        name, at, schema, feed = self._head.groups()
        return QuotesTicked(
            id=FactId(name),
            at=datetime.fromisoformat(at),
            schema=int(schema),
            feed=feed,
            quotes=tuple(_Texts._make(texts).quote() for texts in self._quotes),
        )


def proven(body: bytes) -> Proven | None:
    """Return the frame in *body*, or None when it is not written as ``codec.encode`` writes it."""
    try:
        text = body.decode()
        head = _HEAD.match(text)
        if head is None:
            return None
        quotes = _QUOTE.findall(text, head.end())
        # Matches do not overlap, so when they are as long as what they stand in, there is nothing between them.
        length = sum([len(texts[0]) for texts in quotes])
        if length != len(text) - head.end() or not quotes or not quotes[-1][0].endswith(_END):
            return None
        datetime.fromisoformat(head[2])
        for texts in quotes:
            datetime.fromisoformat(texts[6])  # there is no 30 February
    except ValueError:
        return None
    return Proven(head, quotes)
