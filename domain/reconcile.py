"""The brokerage's book against our rows: what differs, and whether it may be mended without a person. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

#: More vanished or shrunk positions than this number and this share (per cent) of what is held need a person.
MASS_COUNT: Final = 3
MASS_PCT: Final = 20
#: In what a position may differ: only there, only here, in number, in direction.
KINDS: Final = ("broker_only", "rows_only", "quantity", "side")


@dataclass(frozen=True, slots=True)
class Difference:
    """Quantities are signed; *price* is the brokerage's average entry price, None where it holds nothing."""

    symbol: str
    kind: str
    rows_qty: int
    broker_qty: int
    price: Decimal | None

    @property
    def shrinks(self) -> bool:
        """Would mending it take away something that our rows hold?"""
        return abs(self.broker_qty) < abs(self.rows_qty) or self.kind == "side"


def differences(
    rows: Mapping[str, int], broker: Mapping[str, int], prices: Mapping[str, Decimal]
) -> tuple[Difference, ...]:
    """Return what differs between *rows* and *broker* (symbol -> signed quantity), in symbol order."""
    return tuple(
        Difference(symbol, _kind(ours, theirs), ours, theirs, prices.get(symbol))
        for symbol in sorted({*rows, *broker})
        if (ours := rows.get(symbol, 0)) != (theirs := broker.get(symbol, 0))
    )


def _kind(ours: int, theirs: int) -> str:
    if ours == 0:
        return "broker_only"
    if theirs == 0:
        return "rows_only"
    return "quantity" if ours * theirs > 0 else "side"


def needs_a_person(found: Sequence[Difference], held: int) -> bool:
    """A brokerage that suddenly shows much less than our *held* positions is not believed by a machine (L17)."""
    shrinking = sum(1 for d in found if d.shrinks)
    return shrinking > MASS_COUNT and shrinking * 100 > held * MASS_PCT
