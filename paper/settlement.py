"""Exercise, assignment and expiry: what happens to option positions without an order.

Positions and cash change at once; nothing is told over trade_updates, and the activities (OPEXC, OPASN, OPEXP and
OPTRD for the shares) are listed from the next day on. On a contract's last day, positions that could not be exercised
or covered are liquidated from the cut-off; at the close what is in the money by a cent is exercised or assigned, and
the rest expires.
"""

from collections.abc import Callable
from datetime import datetime, time, timedelta
from decimal import Decimal

from paper import ids, valuation
from paper.book import Account, NonTrade
from paper.errors import forbidden, unprocessable
from paper.exchange import Exchange
from paper.instruments import Contract, Instrument, Registry
from paper.market import Market
from paper.numbers import plain
from paper.order import ZERO
from paper.sessions import Calendar, Session
from paper.timeline import Event, Rank, Timeline
from paper.times import at_new_york, new_york_day, new_york_stamp

#: In the money by this many dollars per share, a contract is exercised by itself.
_IN_THE_MONEY = Decimal("0.01")
#: Told of an account, a symbol and the reason of a change.
Changed = Callable[[Account, str, str], None]


class Settlement:
    """The end of option positions in all accounts of one exchange."""

    def __init__(
        self,
        *,
        exchange: Exchange,
        timeline: Timeline,
        calendar: Calendar,
        registry: Registry,
        market: Market,
        changed: Changed,
    ) -> None:
        self._exchange = exchange
        self._timeline = timeline
        self._calendar = calendar
        self._registry = registry
        self._market = market
        self._changed = changed
        self._liquidation: Event | None = None

    # By request

    def exercise(self, account: Account, contract: Contract) -> None:
        """Exercise all that is free of a long position. Raises: ApiError with Alpaca's refusal."""
        qty = account.available(contract.symbol)
        if qty <= 0:
            raise forbidden("no qty available to exercise")
        if self._is_between_close_and_midnight():
            raise unprocessable("exercise requests are not accepted between market close and midnight")
        if self._exercisable(account, contract, qty) < qty:
            power = max(ZERO, account.buying_power())
            required = contract.strike * qty * contract.multiplier
            raise forbidden(
                f"insufficient options buying power (required: {plain(required)}, available: {plain(power)})",
                options_buying_power=plain(power),
                cost_basis=plain(required),
            )
        self._exercise(account, contract, qty)

    def keep_from_exercise(self, account: Account, contract: Contract) -> None:
        """Let a long position expire whatever it is worth. Raises: ApiError on any day but its last."""
        if new_york_day(self._timeline.now) != contract.last_trading_day:
            raise unprocessable("do not exercise instructions are accepted on the expiration day only")
        account.keeps_from_exercise.add(contract.symbol)
        self._changed(account, contract.symbol, "do not exercise")

    # By order of the control port

    def force_exercise(self, account: Account, contract: Contract, qty: Decimal) -> None:
        """Exercise so many of a long position, whether it can be paid for or not."""
        self._exercise(account, contract, qty)

    def force_assignment(self, account: Account, contract: Contract, qty: Decimal) -> None:
        """Assign so many of a short position."""
        self._assign(account, contract, qty)

    def force_expiry(self, account: Account, contract: Contract) -> None:
        """Let a whole position expire worthless."""
        self._expire(account, contract)

    # By the day

    def watch(self) -> None:
        """Plan the liquidation of this session while somebody holds what ends with it, and drop the plan otherwise."""
        session = self._calendar.session_at(self._timeline.now)
        switches = self._exchange.switches
        if session is None or not switches.expiry_liquidation:
            return
        held = any(self._ending(account, session) for account in self._exchange.accounts.values())
        if held and self._liquidation is None:
            cutoff = session.close - timedelta(minutes=switches.expiry_cutoff_minutes)
            if self._timeline.now < cutoff:
                self._liquidation = self._timeline.schedule(cutoff, Rank.BROKERAGE, lambda: self._liquidate(session))
        elif not held and self._liquidation is not None:
            self._liquidation.called_off, self._liquidation = True, None

    def session_closes(self) -> None:
        """Exercise, assign or expire what has traded for the last time; assignments come first."""
        self._liquidation = None
        session = self._calendar.latest(self._timeline.now)
        if session is None:
            return
        for account in self._exchange.accounts.values():
            ending = self._ending(account, session)
            for contract, qty in sorted(ending.items(), key=lambda item: (item[1] > 0, item[0].symbol)):
                self._end(account, contract, qty)
            if ending:
                account.last_equity = valuation.equity(account, self._market)

    def _ending(self, account: Account, session: Session) -> dict[Contract, Decimal]:
        """Positions in contracts that trade no more after *session*."""
        held = ((p.instrument, p.qty) for p in account.positions.values())
        return {i: qty for i, qty in held if isinstance(i, Contract) and i.last_trading_day <= session.day}

    def _liquidate(self, session: Session) -> None:
        """Close what would be exercised or assigned and cannot be paid for."""
        self._liquidation = None
        for account in self._exchange.accounts.values():
            for contract, qty in self._ending(account, session).items():
                if self._worth(contract) < _IN_THE_MONEY:
                    continue
                excess = qty - self._exercisable(account, contract, qty) if qty > 0 else self._uncovered(account, qty)
                if excess > 0:
                    self._exchange.close_behind(account, contract.symbol, excess)

    def _uncovered(self, account: Account, qty: Decimal) -> Decimal:
        """How much of a short position has to go: all of it while the account cannot secure what it has sold."""
        return -qty if account.buying_power() < 0 else ZERO

    def _end(self, account: Account, contract: Contract, qty: Decimal) -> None:
        in_the_money = self._worth(contract) >= _IN_THE_MONEY
        if qty < 0 and in_the_money:
            self._assign(account, contract, -qty)
        elif qty > 0 and in_the_money and contract.symbol not in account.keeps_from_exercise:
            exercised = self._exercisable(account, contract, qty)
            if exercised:
                self._exercise(account, contract, exercised)
        self._expire(account, contract)
        account.keeps_from_exercise.discard(contract.symbol)

    # Inside

    def _worth(self, contract: Contract) -> Decimal:
        """Dollars per share in the money; nothing while the underlying has no price."""
        mark = self._market.mark(contract.underlying)
        return contract.worth_at(mark) if mark is not None else ZERO

    def _exercisable(self, account: Account, contract: Contract, qty: Decimal) -> Decimal:
        """How many contracts the account can take or deliver the shares of."""
        shares = account.held(contract.underlying)
        if contract.kind == "put":
            return qty if account.may_short else min(qty, max(ZERO, shares) // contract.multiplier)
        closing = max(ZERO, -shares) // contract.multiplier
        paid = max(ZERO, account.buying_power()) // (contract.strike * contract.multiplier)
        return min(qty, closing + paid)

    def _expire(self, account: Account, contract: Contract) -> None:
        left = account.held(contract.symbol)
        if left:
            group = ids.make("expiry", account.name, contract.symbol)
            self._move(account, contract, -left, ZERO, "OPEXP", "Option Expiry", group)

    def _exercise(self, account: Account, contract: Contract, qty: Decimal) -> None:
        sign = 1 if contract.kind == "call" else -1
        self._deliver(account, contract, -qty, sign * qty, ("OPEXC", "Option Exercise"))

    def _assign(self, account: Account, contract: Contract, qty: Decimal) -> None:
        sign = -1 if contract.kind == "call" else 1
        self._deliver(account, contract, qty, sign * qty, ("OPASN", "Option Assignment"))

    def _deliver(
        self, account: Account, contract: Contract, contracts: Decimal, lots: Decimal, named: tuple[str, str]
    ) -> None:
        """Contracts go, and shares come or go at the strike."""
        group = ids.make(named[0], account.name, contract.symbol, self._timeline.now, len(account.non_trades))
        stock = self._registry.known(contract.underlying)
        self._move(account, contract, contracts, ZERO, *named, group)
        self._move(account, stock, lots * contract.multiplier, contract.strike, "OPTRD", "Option Trade", group)

    def _move(
        self, account: Account, instrument: Instrument, qty: Decimal, price: Decimal, kind: str, said: str, group: str
    ) -> None:
        """Change a position and cash, write the activity of it, and drop orders that close what is gone."""
        before = account.cash
        account.book(instrument, qty, price)
        self._drop_claims(account, instrument.symbol)
        account.non_trades.append(
            self._entry(account, instrument, qty, price, kind, said, group, account.cash - before)
        )
        self._changed(account, instrument.symbol, kind)

    def _drop_claims(self, account: Account, symbol: str) -> None:
        held = account.held(symbol)
        for order in account.closing_orders(symbol):
            wrong_way = held * order.sign >= 0
            if order.is_open and (wrong_way or account.held_for_orders(symbol) > abs(held)):
                self._exchange.cancel_for(order)

    def _entry(
        self,
        account: Account,
        instrument: Instrument,
        qty: Decimal,
        price: Decimal,
        kind: str,
        said: str,
        group: str,
        net: Decimal,
    ) -> NonTrade:
        day = new_york_day(self._timeline.now)
        at = at_new_york(day + timedelta(days=1), time(0, 0))
        number = len(account.non_trades)
        return NonTrade(
            id=f"{new_york_stamp(at)}::{ids.make('non trade', account.name, number)}",
            at=at,
            day=day,
            activity_type=kind,
            symbol=instrument.symbol,
            qty=qty,
            price=price or None,
            net_amount=net,
            description=said,
            group_id=group,
        )

    def _is_between_close_and_midnight(self) -> bool:
        now: datetime = self._timeline.now
        seen = self._calendar.latest(now)
        return seen is not None and seen.day == new_york_day(now) and now >= seen.close
