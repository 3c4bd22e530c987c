"""What happens to a book behind the client's back: no request asked for it, and no trade update tells of all of it.

Closed positions come as orders of the brokerage's own, which the stream shows. Assignment, exercise, expiry, and
positions that were moved or corrected change the book without a word: only a look at the positions finds them.
"""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from paper import control_words as words
from paper import valuation, wire
from paper.book import Account, Position
from paper.control_words import BadOrder
from paper.instruments import Contract, Instrument, Stock
from paper.numbers import decimals, plain
from paper.order import ASIDE_STATES, Order
from paper.world import World

#: The states in which an open order can be set aside.
ASIDE = tuple(sorted({*ASIDE_STATES, "done_for_day"}))
#: The states from which it can be.
_SETTABLE = frozenset({"accepted", "new", "partially_filled"})
_A_DAY_S = 86_400
#: Why the brokerage closes a position; only the journal tells.
CLOSE_KINDS = ("manual", "liquidation", "bracket")


class BookFaults:
    """Changes of a book by order of the control port."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._deliveries = world.settlement.deliveries
        self._deeds = {
            "open": self._open,
            "change": self._change,
            "assign": self._assign,
            "exercise": self._exercise,
            "expire": self._expire,
        }

    def close(self, order: dict[str, Any]) -> Order | None:
        """Close up to *qty* of a position by an order that the client did not send; None when there is none.

        It is a market order of the brokerage's own, or for kind "bracket" an exit of a bracket on shares.
        """
        account, symbol = words.account(self._world, order), words.symbol(self._world, order)
        kind = words.choice({"kind": "manual"} | order, "kind", CLOSE_KINDS)
        qty = _units(order, self._world.registry.known(symbol))
        if qty <= 0:
            raise BadOrder("qty must be a positive number")
        how = self._exit(account, symbol, qty, order) if kind == "bracket" else None
        self._world.journal.record("brokerage_closes", account=account.name, symbol=symbol, reason=kind)
        return how() if how else self._world.close_behind(account.name, symbol, qty)

    def _exit(self, account: Account, symbol: str, qty: Decimal, order: dict[str, Any]) -> Callable[[], Order | None]:
        """How a bracket's exit closes the position: at the given price, or the market's. Raises: BadOrder."""
        role = words.choice({"leg": "stop_loss"} | order, "leg", ("stop_loss", "take_profit"))
        if not self._world.registry.is_stock(symbol):
            raise BadOrder(f"{symbol} has no bracket: Alpaca knows them for shares only")
        price = words.positive(order, "price") if order.get("price") is not None else self._world.market.mark(symbol)
        if price is None:
            raise BadOrder(f"{symbol} has shown no price: name one")
        return partial(self._world.exchange.exit_behind, account, symbol, qty, role, price)

    def obey(self, order: dict[str, Any]) -> wire.JSON | None:
        """Change a book; return the position afterwards. Raises: BadOrder."""
        do = words.choice(order, "do", tuple(self._deeds))
        account, symbol = words.account(self._world, order), words.symbol(self._world, order)
        self._deeds[do](account, symbol, order)
        self._world.book_changed(account, symbol, do)
        position = account.positions.get(symbol)
        return wire.position(position, account, self._world.market) if position else None

    def set_aside(self, order: dict[str, Any]) -> wire.JSON:
        """Put an open order into a state in which it does not fill, for some seconds of the clock. Raises: BadOrder."""
        account, status = words.account(self._world, order), words.choice(order, "status", ASIDE)
        found = account.by_client_id.get(str(order.get("client_order_id")))
        if found is None or found.status not in _SETTABLE:
            raise BadOrder(f"{account.name} has no open order {order.get('client_order_id')!r} to set aside")
        if found.is_leg_of_combination:
            raise BadOrder("a leg follows its multi-leg order")
        span = timedelta(seconds=words.amount({"seconds": 1} | order, "seconds", _A_DAY_S))
        self._world.exchange.set_aside(found, status, span)
        return wire.order(found)

    def unsettled(self) -> list[dict[str, Any]]:
        """Positions in contracts that have ended, and the close that is missing to settle them."""
        return [
            {
                "account": account.name,
                "symbol": contract.symbol,
                "qty": plain(qty),
                "underlying": contract.underlying,
                "day": contract.last_trading_day.isoformat(),
                "why": "the close of the underlying on that day is not known",
            }
            for account, contract, qty in self._world.settlement.unsettled()
        ]

    def settle(self, order: dict[str, Any]) -> None:
        """Take a stock's close of a day as known, and settle what ended by it. Raises: BadOrder."""
        symbol, day, price = words.symbol(self._world, order), words.day(order, "day"), words.positive(order, "price")
        known = self._world.market.closes[day].setdefault(symbol, price)
        if known != price:
            raise BadOrder(f"{symbol} closed at {plain(known)} on {day}")
        self._world.journal.record("close", symbol=symbol, day=day.isoformat(), price=plain(price))
        self._world.settlement.settle()

    def _open(self, account: Account, symbol: str, order: dict[str, Any]) -> None:
        """A position that no order opened, at a price per share; no cash moves."""
        if symbol in account.positions:
            raise BadOrder(f"{account.name} holds {symbol} already: change it")
        self._put(account, symbol, _units(order, self._world.registry.known(symbol)), words.positive(order, "price"))

    def _change(self, account: Account, symbol: str, order: dict[str, Any]) -> None:
        """Another quantity at the same average price; no cash moves. Zero takes the position away."""
        position = account.positions.get(symbol)
        if position is None:
            raise BadOrder(f"{account.name} holds no {symbol}: open it")
        price = valuation.entry_price(position)
        self._put(account, symbol, _units(order, self._world.registry.known(symbol)), price)

    def _assign(self, account: Account, symbol: str, order: dict[str, Any]) -> None:
        """Short contracts are assigned: they go, and shares change hands at the strike."""
        contract, qty = self._options(account, symbol, order, sign=-1)
        self._deliveries.assign(account, contract, qty)

    def _exercise(self, account: Account, symbol: str, order: dict[str, Any]) -> None:
        """Long contracts are exercised: they go, and shares change hands at the strike."""
        contract, qty = self._options(account, symbol, order, sign=1)
        self._deliveries.exercise(account, contract, qty)

    def _expire(self, account: Account, symbol: str, _order: dict[str, Any]) -> None:
        """Contracts expire worthless: the whole position goes."""
        position = account.positions.get(symbol)
        if position is None or not isinstance(position.instrument, Contract):
            raise BadOrder(f"{account.name} holds no contract {symbol}")
        self._deliveries.expire(account, position.instrument)

    def _options(self, account: Account, symbol: str, order: dict[str, Any], sign: int) -> tuple[Contract, Decimal]:
        """The contract and how many of the position's to take away."""
        instrument, qty = self._world.registry.known(symbol), _units(order, self._world.registry.known(symbol))
        held = account.held(symbol) * sign
        if not isinstance(instrument, Contract) or not 0 < qty <= held:
            raise BadOrder(f"{account.name} has no {plain(qty)} of {symbol} to take")
        return instrument, qty

    def _put(self, account: Account, symbol: str, qty: Decimal, price: Decimal) -> None:
        """Make the position so large, at an average price; closing orders it can no longer serve are canceled."""
        self._cancel_claims(account, symbol, abs(qty) if account.held(symbol) * qty > 0 else Decimal(0))
        instrument = self._world.registry.known(symbol)
        account.positions.pop(symbol, None)
        if qty:
            account.positions[symbol] = Position(instrument, qty, qty * price * instrument.multiplier)

    def _cancel_claims(self, account: Account, symbol: str, kept: Decimal) -> None:
        if account.held_for_orders(symbol) > kept:
            for order in account.closing_orders(symbol):
                if order.is_open:  # it may have gone with another part of its group
                    self._world.exchange.cancel(account, order)


def _units(order: dict[str, Any], instrument: Instrument) -> Decimal:
    """A quantity of any sign: whole contracts, or shares with up to nine decimals. Raises: BadOrder."""
    qty = words.decimal(order, "qty")
    if decimals(qty) > (9 if isinstance(instrument, Stock) else 0):
        raise BadOrder("qty must be whole, or of shares have nine decimals at most")
    return qty
