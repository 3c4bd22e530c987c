"""Which orders fill in two parts, and how large the first part is.

Alpaca's paper trading fills about one order in ten in parts, at random. Here the draw depends only on the seed and
on what the order is, never on arrival or time: the same order in the same replay is always drawn alike.
"""

import hashlib
from dataclasses import dataclass
from decimal import Decimal

_DRAWS = 2**64


@dataclass(frozen=True, slots=True)
class Lottery:
    """*ratio* is the share of orders (of two units and more) that fill in two parts."""

    seed: int
    ratio: float

    def first_part(self, account: str, client_order_id: str, symbol: str, side: str, qty: Decimal) -> Decimal | None:
        """Return the quantity of the first of two executions, or None when one execution fills all."""
        if qty < 2:
            return None
        words = "\x1f".join((str(self.seed), account, client_order_id, symbol, side, str(int(qty))))
        digest = hashlib.sha256(words.encode()).digest()
        if int.from_bytes(digest[:8]) >= self.ratio * _DRAWS:
            return None
        return Decimal(1 + int.from_bytes(digest[8:16]) % (int(qty) - 1))
