"""Prices made by hand: set, scripted, gapped, one-sided, crossed, stale, and a symbol that is halted."""

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from paper import control_words as words
from paper.control_words import BadOrder
from paper.numbers import plain
from paper.timeline import Rank
from paper.world import World

#: The sides of a quote: bid and ask, None where there is none.
Sides = tuple[Decimal | None, Decimal | None]

_CENT = Decimal("0.01")
_SIZE = Decimal(10)
_MOST_MOVES = 100_000
#: What the statuses channel says of a halt and of its end.
_STATUSES = {"halt": ("H", "Trading Halt", "T12", "Trading Halted"), "resume": ("T", "Trading Resumption", "", "")}


class Prices:
    """What the market shows by order of the control port, now or on the clock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._deeds = {
            "set": self._set,
            "gap": self._gap,
            "script": self._script,
            "one_sided": self._one_sided,
            "crossed": self._crossed,
            "halt": self._halt,
            "resume": self._resume,
            "stale": self._stale,
            "live": self._live,
        }

    def obey(self, order: dict[str, Any]) -> None:
        """Do what is ordered. Raises: BadOrder."""
        do = words.choice(order, "do", tuple(self._deeds))
        symbol = words.symbol(self._world, order)
        self._deeds[do](symbol, order)
        self._world.journal.record("price", symbol=symbol, do=do)

    def show(self, symbol: str, sides: Sides, sizes: Sides = (_SIZE, _SIZE)) -> None:
        """Show a quote now; a side without a price has no size either."""
        bid, ask = (plain(side) if side is not None else "" for side in sides)
        bid_size, ask_size = (
            str(int(size or _SIZE)) if side else "" for side, size in zip((bid, ask), sizes, strict=True)
        )
        self._world.show([(symbol, bid, ask, bid_size, ask_size)], [])

    def _set(self, symbol: str, order: dict[str, Any]) -> None:
        self.show(symbol, _sides(order))

    def _gap(self, symbol: str, order: dict[str, Any]) -> None:
        """Move both sides by so many per cent, to whole cents, at least one."""
        factor = _factor(order)
        bid, ask = self._now(symbol)
        self.show(symbol, (_times(bid, factor), _times(ask, factor)))

    def _script(self, symbol: str, order: dict[str, Any]) -> None:
        """Moves that will come on the clock: each at a time or after some seconds, a quote or a gap."""
        moves = order.get("moves")
        if not isinstance(moves, list) or not 1 <= len(moves) <= _MOST_MOVES:
            raise BadOrder("moves must be a list")
        plan = [(self._when(move), _factor(move) if "percent" in move else _sides(move)) for move in moves]
        for at, move in plan:
            self._world.timeline.schedule(at, Rank.MARKET, partial(self._move, symbol, move))

    def _move(self, symbol: str, move: Decimal | Sides) -> None:
        """One move of a script, when its time has come; a symbol without a quote has nothing to gap from."""
        if not isinstance(move, Decimal):
            self.show(symbol, move)
        elif symbol in self._world.market.quotes:
            bid, ask = self._now(symbol)
            self.show(symbol, (_times(bid, move), _times(ask, move)))

    def _when(self, move: Any) -> datetime:
        if not isinstance(move, dict):
            raise BadOrder("a move must be an object")
        at = words.instant(move, "at")
        if at is None:
            return self._world.timeline.now + timedelta(seconds=words.amount(move, "after_s", 86_400))
        return at

    def _one_sided(self, symbol: str, order: dict[str, Any]) -> None:
        missing = words.choice({"missing": "bid"} | order, "missing", ("bid", "ask"))
        bid, ask = self._now(symbol)
        self.show(symbol, (None, ask) if missing == "bid" else (bid, None))

    def _crossed(self, symbol: str, _order: dict[str, Any]) -> None:
        """The bid above the ask."""
        bid, ask = self._now(symbol)
        if bid is None or ask is None:
            raise BadOrder(f"{symbol} has no two-sided quote to cross")
        self.show(symbol, (max(bid, ask) + _CENT, min(bid, ask)))

    def _halt(self, symbol: str, _order: dict[str, Any]) -> None:
        """No quotes and no fills until `resume`; orders are taken."""
        self._world.silent.add(symbol)
        self._world.exchange.parked.add(symbol)
        self._announce(symbol, "halt")

    def _resume(self, symbol: str, _order: dict[str, Any]) -> None:
        self._world.silent.discard(symbol)
        self._announce(symbol, "resume")
        self._world.exchange.release(symbol)

    def _stale(self, symbol: str, _order: dict[str, Any]) -> None:
        """The last quote stays and ages: the tape's later ones are kept back until `live`."""
        self._world.silent.add(symbol)

    def _live(self, symbol: str, _order: dict[str, Any]) -> None:
        self._world.silent.discard(symbol)

    def _announce(self, symbol: str, deed: str) -> None:
        """Tell stock subscribers of the statuses channel; option streams have none."""
        code, message, reason, reason_text = _STATUSES[deed]
        head = {"T": "s", "S": symbol, "sc": code, "sm": message, "rc": reason, "rm": reason_text, "z": "C"}
        if self._world.registry.is_stock(symbol):
            self._world.hub.publish_status(symbol, head, self._world.timeline.now)

    def _now(self, symbol: str) -> Sides:
        quote = self._world.market.quotes.get(symbol)
        if quote is None:
            raise BadOrder(f"{symbol} has shown no quote yet")
        return quote.bid, quote.ask


def _sides(order: dict[str, Any]) -> Sides:
    """Bid and ask; a side that is null or absent is missing. Raises: BadOrder."""
    bid, ask = (words.positive(order, name) if order.get(name) is not None else None for name in ("bid", "ask"))
    return bid, ask


def _factor(order: dict[str, Any]) -> Decimal:
    """What a gap of so many per cent multiplies prices by. Raises: BadOrder."""
    factor = 1 + words.decimal(order, "percent") / 100
    if factor <= 0:
        raise BadOrder("percent must be above -100")
    return factor


def _times(price: Decimal | None, factor: Decimal) -> Decimal | None:
    return max(_CENT, (price * factor).quantize(_CENT)) if price is not None else None
