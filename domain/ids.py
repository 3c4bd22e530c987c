"""Identifiers that can be computed again.

The same cause always yields the same id, so a retry after a crash repeats the old
request instead of making a new one. Nothing here is random.
"""

from __future__ import annotations

from datetime import date
from typing import Final, NewType
from uuid import UUID, uuid5

AccountName = NewType("AccountName", str)
#: The signal engine's own id: 1 to 64 printable ASCII characters.
RecommendationId = NewType("RecommendationId", str)
#: Deduplication key of a fact: text, because signal engines choose theirs freely.
FactId = NewType("FactId", str)
OrderId = NewType("OrderId", UUID)
PositionId = NewType("PositionId", UUID)
FillId = NewType("FillId", UUID)

_HOUSE: Final = UUID("0b1e2f6c-6f0a-5d57-9d4b-5a3f6f0f6a11")


def derived(*parts: object) -> UUID:
    """Return the one id that *parts* stand for; a separator that no part may hold keeps them apart."""
    return uuid5(_HOUSE, "\x1f".join(map(str, parts)))


def fact_id(*parts: object) -> FactId:
    return FactId(str(derived("fact", *parts)))


def entry_order_id(recommendation: RecommendationId, account: AccountName) -> OrderId:
    """One recommendation opens at most one order in an account."""
    return OrderId(derived("entry", account, recommendation))


def position_id(opening: OrderId) -> PositionId:
    """The position that *opening* creates with its first fill."""
    return PositionId(derived("position", opening))


def closing_order_id(position: PositionId, attempt: int) -> OrderId:
    """The *attempt*-th try to close *position*, counted from 1."""
    return OrderId(derived("close", position, attempt))


def external_order_id(account: AccountName, broker_order_id: str) -> OrderId:
    """An order that somebody else placed in our account: by hand, by the brokerage, by another program."""
    return OrderId(derived("external", account, broker_order_id))


def fill_id(account: AccountName, broker_order_id: str, cum_qty: int) -> FillId:
    """An execution is known by what its order has filled after it: socket and REST activities both say that."""
    return FillId(derived("fill", account, broker_order_id, cum_qty))


def client_order_id(account: AccountName, order_id: OrderId) -> str:
    """Return the idempotency key sent to Alpaca (at most 128 characters).

    Alpaca refuses a second order with the same key, which is what makes submitting safe to repeat.
    """
    return f"{account[:40]}-{order_id.hex}"


#: In every client order id by which a person flattens an account without rows.
_FLATTENED: Final = "-flatten-"


def flatten_client_order_id(account: AccountName, symbol: str, day: date, held_qty: int, attempt: int) -> str:
    """Return the key of the *attempt*-th close of *held_qty* (signed) on *day* without rows, counted from 1.

    Whoever asks again while the same is held says the same, so that asking twice sells once.
    """
    return f"{account[:40]}{_FLATTENED}{derived('flatten', account, symbol, day, held_qty, attempt).hex}"


def is_flattening(account: AccountName, client_order_id: str | None) -> bool:
    """Is it an order by which a person flattened *account* without rows?"""
    return client_order_id is not None and client_order_id.startswith(f"{account[:40]}{_FLATTENED}")
