"""What option positions on one underlying require: cash for what they can lose, shares for calls that stand alone.

Long options cover short ones of the same kind that do not outlive them, as in Alpaca's level 3: what is required is
the most that the whole holding can lose at expiry, premiums left aside. A short put that nothing covers requires its
whole strike (cash-secured), a short call that no long call covers requires shares.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal

from paper.instruments import Contract

ZERO = Decimal(0)
#: Signed quantities of contracts on one underlying.
Holding = Mapping[Contract, Decimal]


def covering_shares(holding: Holding) -> Decimal:
    """Shares that secure the short calls which no long call covers."""
    return sum((qty * contract.multiplier for contract, qty in _uncovered_calls(holding).items()), ZERO)


def collateral(holding: Holding) -> Decimal:
    """Dollars that the holding can lose at expiry; calls that are covered by shares are left out."""
    by_shares = _uncovered_calls(holding)
    counted = {contract: qty + by_shares.get(contract, ZERO) for contract, qty in _usable(holding).items()}
    prices = [ZERO, *(contract.strike for contract in counted)]
    return max(ZERO, -min(_worth(counted, price) for price in prices))


def merged(holding: Holding, changes: Iterable[tuple[Contract, Decimal]]) -> dict[Contract, Decimal]:
    """The holding after signed changes."""
    result = dict(holding)
    for contract, qty in changes:
        result[contract] = result.get(contract, ZERO) + qty
    return result


def _usable(holding: Holding) -> dict[Contract, Decimal]:
    """Short contracts, and those long ones that outlive every short one of their kind."""
    last = {
        kind: max((c.expiration for c, qty in holding.items() if c.kind == kind and qty < 0), default=date.min)
        for kind in ("call", "put")
    }
    return {c: qty for c, qty in holding.items() if qty < 0 or c.expiration >= last[c.kind]}


def _uncovered_calls(holding: Holding) -> dict[Contract, Decimal]:
    """Short calls beyond the long ones, the lowest strikes first: they are the dearest to cover otherwise."""
    calls = {c: qty for c, qty in _usable(holding).items() if c.kind == "call"}
    missing = max(ZERO, -sum(calls.values(), ZERO))
    found: dict[Contract, Decimal] = {}
    for contract in sorted((c for c, qty in calls.items() if qty < 0), key=lambda c: c.strike):
        taken = min(missing, -calls[contract])
        missing -= taken
        if taken:
            found[contract] = taken
    return found


def _worth(holding: Holding, price: Decimal) -> Decimal:
    """Dollars that the holding is worth at expiry with the underlying at *price*."""
    return sum((qty * c.multiplier * c.worth_at(price) for c, qty in holding.items()), ZERO)
