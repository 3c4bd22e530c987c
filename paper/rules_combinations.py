"""What is refused to multi-leg option orders, and what they reserve of the buying power.

A spread is secured by the most it can lose: its legs and what is held already cover each other as in `margin`.
"""

from collections.abc import Sequence
from decimal import Decimal
from math import gcd

from paper import margin
from paper.errors import forbidden, unprocessable
from paper.instruments import Contract, Registry
from paper.numbers import decimals, is_whole, plain
from paper.order import ZERO
from paper.rules import is_one_sided, mismatch, qty_is_free
from paper.rules_options import contract_takes
from paper.situation import Situation, inferred_intent, qty_of
from paper.tickets import LegTicket, Ticket

#: Alpaca's level for spreads.
_SPREAD_LEVEL = 3


def contract_of(leg: LegTicket, registry: Registry) -> Contract:
    """The contract that a leg names. Raises: ApiError when there is none."""
    found = registry.find(leg.symbol)
    if not isinstance(found, Contract):
        raise unprocessable(f"asset not found for {leg.symbol}")
    return found


def check(ticket: Ticket, situations: Sequence[Situation]) -> Decimal:
    """Refuse a multi-leg ticket in Alpaca's words, or return the dollars it reserves.

    Raises: ApiError.
    """
    _form_is_right(ticket, situations)
    _level_suffices(situations[0])
    for leg, at in zip(ticket.legs, situations, strict=True):
        _leg_fits(ticket, leg, at)
    return _reserve(ticket, situations)


def _form_is_right(ticket: Ticket, situations: Sequence[Situation]) -> None:
    if ticket.notional is not None:
        raise unprocessable("notional orders are not supported for options trading")
    if ticket.extended_hours:
        raise unprocessable("extended hours is not supported for options trading")
    if ticket.type not in {"market", "limit"}:
        raise unprocessable("invalid order type for options trading")
    if ticket.time_in_force not in ({"day", "gtc"} if situations[0].switches.option_gtc else {"day"}):
        raise unprocessable("order_time_in_force provided not supported for options trading")
    if not is_whole(qty_of(ticket)):
        raise unprocessable("qty must be integer for options trading")
    if ticket.limit_price is not None and decimals(ticket.limit_price) > 2:
        raise unprocessable("limit price must be limited to 2 decimal places")
    _legs_fit_together(ticket, situations)
    if ticket.type == "market" and situations[0].session is None:
        raise unprocessable("options market orders are only allowed during market hours")


def _legs_fit_together(ticket: Ticket, situations: Sequence[Situation]) -> None:
    contracts = [at.instrument for at in situations if isinstance(at.instrument, Contract)]
    first = contracts[0].underlying
    for contract in contracts:
        if contract.underlying != first:
            raise unprocessable(f"underlying asset mismatch: {first} != {contract.underlying}")
    if len({contract.symbol for contract in contracts}) < len(contracts):
        raise unprocessable("mleg orders must have a different contract in each leg")
    if gcd(*(int(leg.ratio) for leg in ticket.legs)) != 1:
        raise unprocessable("leg ratio quantities must have no common divisor")


def _level_suffices(at: Situation) -> None:
    level = at.account.trading_level
    if level == 0:
        raise forbidden("account not authorized to trade options")
    if level < _SPREAD_LEVEL:
        raise forbidden("account not eligible to trade spreads or uncovered contracts")


def _leg_fits(ticket: Ticket, leg: LegTicket, at: Situation) -> None:
    contract = at.instrument
    inferred = inferred_intent(leg.side, at.account.held(contract.symbol))
    if isinstance(contract, Contract):
        contract_takes(contract, inferred, at)
    if leg.intent != inferred:
        raise mismatch(inferred, leg.intent)
    is_one_sided(inferred, at)
    if inferred.endswith("_to_close"):
        qty_is_free(leg.ratio * qty_of(ticket), at)


def _reserve(ticket: Ticket, situations: Sequence[Situation]) -> Decimal:
    """What the order adds to the loss that its account may suffer, and what it pays; never below zero."""
    at, qty = situations[0], qty_of(ticket)
    changes = [
        (s.instrument, leg.ratio * qty * (1 if leg.side == "buy" else -1))
        for leg, s in zip(ticket.legs, situations, strict=True)
        if isinstance(s.instrument, Contract)
    ]
    underlying, multiplier = changes[0][0].underlying, changes[0][0].multiplier
    before = at.account.option_positions(underlying)
    after = margin.merged(before, changes)
    free_shares = at.account.held(underlying) - margin.covering_shares(before)
    if margin.covering_shares(after) - margin.covering_shares(before) > max(free_shares, ZERO):
        raise forbidden("account not eligible to trade uncovered option contracts")
    price = ticket.limit_price if ticket.limit_price is not None else _natural_price(ticket, situations)
    required = margin.collateral(after) - margin.collateral(before) + price * qty * multiplier
    available = at.buying_power
    if required > max(available, ZERO):
        raise forbidden(
            f"insufficient options buying power (required: {plain(required)}, available: {plain(available)})",
            options_buying_power=plain(available),
            cost_basis=plain(required),
        )
    return max(required, ZERO)


def _natural_price(ticket: Ticket, situations: Sequence[Situation]) -> Decimal:
    """What one unit costs per share at the market; a side without a price counts nothing."""
    total = ZERO
    for leg, at in zip(ticket.legs, situations, strict=True):
        quote = at.quote
        side = (quote.ask if leg.side == "buy" else quote.bid) if quote else None
        total += leg.ratio * (side or ZERO) * (1 if leg.side == "buy" else -1)
    return total
