"""When option positions end without an order: by exercise, assignment and expiry.

Here is when and whether; what then moves is in `deliveries`. On a contract's last day, positions that could not be
exercised or covered are liquidated from the cut-off; at the close what is in the money by a cent is exercised or
assigned, and the rest expires. Which of them depends on what the underlying closed at; while that is not known
the position stays, and `unsettled` tells of it.
"""

import logging
from datetime import datetime, timedelta
from decimal import Decimal

from paper import valuation
from paper.book import Account
from paper.deliveries import Changed, Deliveries
from paper.errors import forbidden, unprocessable
from paper.exchange import Exchange
from paper.instruments import Contract, Registry
from paper.market import Market
from paper.numbers import plain
from paper.order import ZERO
from paper.sessions import Calendar, Hours, Session
from paper.timeline import Event, Rank, Timeline
from paper.times import new_york_day

log = logging.getLogger(__name__)

#: In the money by this many dollars per share, a contract is exercised by itself.
_IN_THE_MONEY = Decimal("0.01")


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
        #: What moves when a position ends.
        self.deliveries = Deliveries(exchange, timeline, registry, changed)
        self._liquidation: Event | None = None
        self._late: datetime | None = None
        self._told: set[tuple[str, str]] = set()

    # By request

    def exercise(self, account: Account, contract: Contract) -> None:
        """Exercise all that is free of a long position. Raises: ApiError with Alpaca's refusal."""
        qty = account.available(contract.symbol)
        if qty <= 0:
            raise forbidden("no qty available to exercise")
        if self._is_between_close_and_midnight():
            raise unprocessable("exercise requests are not accepted between market close and midnight")
        if self._is_in_cash(contract):
            raise unprocessable("the contract is settled in cash when it expires")
        if self._exercisable(account, contract, qty) < qty:
            power = max(ZERO, account.buying_power())
            required = contract.strike * qty * contract.multiplier
            raise forbidden(
                f"insufficient options buying power (required: {plain(required)}, available: {plain(power)})",
                options_buying_power=plain(power),
                cost_basis=plain(required),
            )
        self.deliveries.exercise(account, contract, qty)

    def keep_from_exercise(self, account: Account, contract: Contract) -> None:
        """Let a long position expire whatever it is worth. Raises: ApiError on any day but its last."""
        if new_york_day(self._timeline.now) != contract.last_trading_day:
            raise unprocessable("do not exercise instructions are accepted on the expiration day only")
        account.keeps_from_exercise.add(contract.symbol)
        self._changed(account, contract.symbol, "do not exercise")

    # By the day

    def watch(self) -> None:
        """Plan the liquidation of this session while somebody holds what ends with it, and drop the plan otherwise.

        What trades longer than the session is settled later than it.
        """
        session = self._calendar.session_at(self._timeline.now, Hours.LATE)
        switches = self._exchange.switches
        if session is not None:
            self._plan_late_settlement(session)
        if session is None or not session.holds(self._timeline.now) or not switches.expiry_liquidation:
            return
        held = any(self._ending(account, session) for account in self._exchange.accounts.values())
        if held and self._liquidation is None:
            cutoff = session.close - timedelta(minutes=switches.expiry_cutoff_minutes)
            if self._timeline.now < cutoff:
                self._liquidation = self._timeline.schedule(cutoff, Rank.BROKERAGE, lambda: self._liquidate(session))
        elif not held and self._liquidation is not None:
            self._liquidation.called_off, self._liquidation = True, None

    def session_closes(self) -> None:
        """The session is over, and with it what traded for the last time."""
        self._liquidation = None
        self.settle()

    def settle(self) -> None:
        """Exercise, assign or expire what trades no more, where it is known how it ended; assignments come first."""
        for account in self._exchange.accounts.values():
            ended = self._ended(account)
            for contract, qty in sorted(ended.items(), key=lambda item: (item[1] > 0, item[0].symbol)):
                close = self._close(contract)
                if close is not None:
                    self._end(account, contract, qty, contract.worth_at(close))
                elif (account.name, contract.symbol) not in self._told:
                    self._tell_unsettled(account, contract)
            if ended:
                account.last_equity = valuation.equity(account, self._market)

    def unsettled(self) -> list[tuple[Account, Contract, Decimal]]:
        """Positions in contracts that have ended while nobody knows what their underlying closed at."""
        accounts = self._exchange.accounts.values()
        ended = ((account, c, qty) for account in accounts for c, qty in self._ended(account).items())
        return [(account, c, qty) for account, c, qty in ended if self._close(c) is None]

    def _tell_unsettled(self, account: Account, contract: Contract) -> None:
        self._told.add((account.name, contract.symbol))
        day = contract.last_trading_day
        log.warning(
            "%s holds %s, unsettled: no close of %s on %s", account.name, contract.symbol, contract.underlying, day
        )
        self._changed(account, contract.symbol, "unsettled")

    def _ended(self, account: Account) -> dict[Contract, Decimal]:
        """Positions in contracts that trade no more."""
        held = ((p.instrument, p.qty) for p in account.positions.values())
        return {i: qty for i, qty in held if isinstance(i, Contract) and self._has_ended(i)}

    def _has_ended(self, contract: Contract) -> bool:
        now, last = self._timeline.now, contract.last_trading_day
        session = self._calendar.on(last)
        if session is None:
            return new_york_day(now) > last
        return now >= session.closes(self._registry.hours(contract))

    def _close(self, contract: Contract) -> Decimal | None:
        """What the underlying closed at on the contract's last day, dollars per share; None while unknown."""
        return self._market.closes.get(contract.last_trading_day, {}).get(contract.underlying)

    def _plan_late_settlement(self, session: Session) -> None:
        closes = session.closes(Hours.LATE)
        ending = (c for account in self._exchange.accounts.values() for c in self._ending(account, session))
        if self._late != closes and any(self._registry.hours(contract) == Hours.LATE for contract in ending):
            self._late = closes
            self._timeline.schedule(closes, Rank.CLOSE, self.settle)

    def _ending(self, account: Account, session: Session) -> dict[Contract, Decimal]:
        """Positions in contracts whose last session this is."""
        held = ((p.instrument, p.qty) for p in account.positions.values())
        return {i: qty for i, qty in held if isinstance(i, Contract) and i.last_trading_day == session.day}

    def _liquidate(self, session: Session) -> None:
        """Close what would be exercised or assigned and cannot be paid for."""
        self._liquidation = None
        for account in self._exchange.accounts.values():
            for contract, qty in self._ending(account, session).items():
                mark = self._market.mark(contract.underlying)
                if mark is None:
                    self._changed(account, contract.symbol, "not liquidated: the underlying has no price")
                if mark is None or contract.worth_at(mark) < _IN_THE_MONEY or self._is_in_cash(contract):
                    continue
                excess = qty - self._exercisable(account, contract, qty) if qty > 0 else self._uncovered(account, qty)
                if excess > 0:
                    self._exchange.close_behind(account, contract.symbol, excess)

    def _uncovered(self, account: Account, qty: Decimal) -> Decimal:
        """How much of a short position has to go: all of it while the account cannot secure what it has sold."""
        return -qty if account.buying_power() < 0 else ZERO

    def _end(self, account: Account, contract: Contract, qty: Decimal, worth: Decimal) -> None:
        """End a position whose contract is worth so many dollars per share."""
        in_the_money = worth >= _IN_THE_MONEY
        if in_the_money and self._is_in_cash(contract):
            self.deliveries.settle_in_cash(account, contract, qty, worth)
        elif qty < 0 and in_the_money:
            self.deliveries.assign(account, contract, -qty)
        elif in_the_money and contract.symbol not in account.keeps_from_exercise:
            exercised = self._exercisable(account, contract, qty)
            if exercised:
                self.deliveries.exercise(account, contract, exercised)
        self.deliveries.expire(account, contract)
        account.keeps_from_exercise.discard(contract.symbol)

    # Inside

    def _is_in_cash(self, contract: Contract) -> bool:
        return contract.underlying in self._registry.cash_settled

    def _exercisable(self, account: Account, contract: Contract, qty: Decimal) -> Decimal:
        """How many contracts the account can take or deliver the shares of."""
        shares = account.held(contract.underlying)
        if contract.kind == "put":
            return qty if account.may_short else min(qty, max(ZERO, shares) // contract.multiplier)
        closing = max(ZERO, -shares) // contract.multiplier
        paid = max(ZERO, account.buying_power()) // (contract.strike * contract.multiplier)
        return min(qty, closing + paid)

    def _is_between_close_and_midnight(self) -> bool:
        now: datetime = self._timeline.now
        seen = self._calendar.latest(now)
        return seen is not None and seen.day == new_york_day(now) and now >= seen.close
