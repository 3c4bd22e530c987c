"""gate: recommendations -> an approved order with its reservation, or a refusal that says why.

The brokerage is asked first; then one transaction for each (recommendation, account) locks the account,
runs every gate and writes the outcome. Two recommendations can never both take the last free slot.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from psycopg2.errors import CheckViolation
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from actors.choosing import choose
from actors.closing import approved, write_close
from actors.desk import Desk
from actors.losses import Losses
from actors.market import Market, Sight, Wants
from actors.pulse import Pulse
from db import accounts, decisions, history, orders, positions
from db.once import first_time
from db.positions import PositionRow
from domain.account import Book, Limits
from domain.checks import Check, wall_refused
from domain.events import Action, RecommendationIssued, RecommendationRefused
from domain.gates import EntryRules, Proposal, RuleBook, ask_of, review
from domain.history import History
from domain.ids import AccountName, OrderId, fact_id
from domain.instrument import OPTION_MULTIPLIER, Instrument, Kind, NotASymbol, parse_symbol
from domain.known import Known, Unknown
from domain.loss import LossRules
from domain.orders import opening_order
from domain.regime import band_of
from domain.selection import Selection
from domain.sells import SellProposal, review_sell
from domain.sizing import Means, Sizing, Step, size
from streams.codec import encode
from streams.names import Stream

log = logging.getLogger(__name__)

#: The checks of a decision and what was approved by it; no checks: it was decided before.
Outcome = tuple[tuple[Check, ...], OrderId | None]
#: How often the brokerage is asked again because a position that it was not asked about has been opened meanwhile.
LOOKS: Final = 5


#: What the shipped configuration says about losses.
AS_SHIPPED: Final = LossRules(max_mark_age=timedelta(minutes=15), until_person=False)


class UnknownAccounts(ValueError):
    """A recommendation names an account that is not configured: nothing is traded from it."""


@dataclass(frozen=True, slots=True)
class Gate:
    desk: Desk
    markets: Mapping[AccountName, Market]
    rules: RuleBook
    pulse: Pulse
    loss_rules: LossRules = AS_SHIPPED

    name = "gate"

    def handle(self, rec: RecommendationIssued, wall_at: datetime) -> None:
        """Decide *rec*, which entered its stream at *wall_at*, in every account that it names.

        Raises:
            UnknownAccounts: at least one account is not configured.
            AnotherBody: its id is known with other content.
        """
        if unknown := [name for name in rec.accounts if name not in self.markets]:
            raise UnknownAccounts(f"accounts: {unknown!r:.200} not configured, known are {sorted(self.markets)!r}")
        with self.desk.begin() as tx:
            decisions.remember(tx, rec.recommendation_id, json.loads(encode(rec)["body"]), rec.at, wall_at)
        for account in rec.accounts:
            checks, order_id = self._decide(rec, account)
            if checks:
                after_s = (self.desk.wall() - wall_at).total_seconds()
                self.desk.metrics.decided(account, checks, approved=order_id is not None, after_s=after_s)

    def _decide(self, rec: RecommendationIssued, account: AccountName) -> Outcome:
        return self._decide_sell(rec, account) if rec.action is Action.SELL else self._decide_entry(rec, account)

    # ------------------------------------------------------------ entries

    def _decide_entry(self, rec: RecommendationIssued, account: AccountName) -> Outcome:
        """Look and decide; when other gates opened meanwhile what we have no price of, look again."""
        market, rules = self.markets[account], self.rules.of(account, rec.strategy)
        selection = choose(market, rec, rules)
        symbol = rec.symbol or (selection.symbol if selection else None)
        for looks_left in reversed(range(LOOKS)):
            sight = market.look(symbol, rec.underlying, *self._also_wanted(account, symbol, rules))
            with self.desk.begin() as tx:
                accounts.lock(tx, account)
                proposal = self.propose(tx, rec, account, selection, sight, self.desk.clock())
                if looks_left and _has_unseen(proposal.book, sight):
                    continue
                if not first_time(tx, self.name, f"{rec.id}@{account}"):
                    return (), None
                return self._settle(tx, proposal)
        raise AssertionError("the last look decides")

    def _settle(self, tx: Connection, p: Proposal) -> Outcome:
        checks = review(p)
        order_id = None
        if all(check.passed for check in checks):
            order_id, wall = self._approve_within_wall(tx, p)
            checks = (*checks, *wall)
        self._record(tx, p.rec, p.book.account, checks, p.sizing, p.selection, order_id, p.book.limits, p.now)
        return checks, order_id

    def _also_wanted(
        self, account: AccountName, symbol: str | None, rules: EntryRules
    ) -> tuple[tuple[str, ...], Wants]:
        """Return what is bound, for its marks, and what the configured limits look at beside the contract's price.

        Bound is what is held and what is ordered: an order may be a position by the time that we decide.
        """
        with self.desk.engine.connect() as tx:
            bound = tuple(dict.fromkeys(c.symbol for c in accounts.commitments(tx, account)))
        shown = [symbol] if symbol and rules.reads_snapshots else []
        if rules.reads_greeks:
            shown += bound
        volatility = rules.regime.symbol if rules.regime else None
        return bound, Wants(shown=tuple(dict.fromkeys(shown)), volatility=volatility)

    def propose(
        self,
        tx: Connection,
        rec: RecommendationIssued,
        account: AccountName,
        selection: Selection | None,
        sight: Sight,
        now: datetime,
    ) -> Proposal:
        """Return all that a decision looks at: what the brokerage showed, and what our rows say now."""
        rules = self.rules.of(account, rec.strategy)
        losses = Losses(self.desk, self.loss_rules, self.name)
        book = losses.look(tx, account, sight.marks, sight.session, sight.equity_usd, now)
        symbol = rec.symbol or (selection.symbol if selection else None)
        instrument = _instrument(symbol)
        multiplier = 1 if rec.instrument is Kind.STOCK else OPTION_MULTIPLIER
        power = self._buying_power(tx, rec, account, sight)
        unset = Unknown("no regime is set", "config")
        volatility = band_of(rules.regime, sight.volatility, now) if rules.regime else unset
        means = Means(
            max_contracts=book.limits.max_contracts_per_order,
            risk=rules.risk,
            buying_power_usd=power,
            volatility=volatility if rules.regime else None,
        )
        return Proposal(
            rec=rec,
            selection=selection,
            now=now,
            rules=rules,
            book=book,
            pulse=self.pulse(tx, account),
            instrument=instrument,
            contract=sight.contract,
            session=sight.session,
            last_session=sight.last_session,
            quote=sight.quote,
            feed_at=sight.feed_at,
            buying_power_usd=power,
            equity_usd=sight.equity_usd,
            trading_blocked=sight.trading_blocked,
            history=_history(tx, symbol, rec.underlying, account, rules, now),
            sizing=size(rec, multiplier, ask_of(sight.quote), means),
            snapshots=sight.snapshots,
            volatility=volatility,
        )

    @staticmethod
    def _buying_power(
        tx: Connection, rec: RecommendationIssued, account: AccountName, sight: Sight
    ) -> Known[Decimal] | Unknown:
        """The brokerage's figure, less our openings that it had not accepted when it answered."""
        stated = sight.buying_power_usd if rec.instrument is Kind.STOCK else sight.options_buying_power_usd
        if isinstance(stated, Unknown):
            return stated
        unseen = accounts.unseen_openings_usd(tx, account, stated.at)
        return Known(stated.value - unseen, stated.at, stated.source)

    def _approve_within_wall(self, tx: Connection, p: Proposal) -> tuple[OrderId | None, tuple[Check, ...]]:
        """Write the order; if the database refuses what every gate let through, that is one more failed check."""
        try:
            with tx.begin_nested():
                return self._approve(tx, p), ()
        except IntegrityError as e:
            if not isinstance(e.orig, CheckViolation):
                raise
            log.exception("a gate let through what the database refused")
            said = e.orig.diag.message_primary or str(e.orig)
            return None, (wall_refused(said),)

    def _approve(self, tx: Connection, p: Proposal) -> OrderId:
        """Write the order: from here on it counts against its account."""
        ask = p.ask
        if isinstance(ask, Unknown) or isinstance(p.sizing, Unknown) or p.symbol is None:
            raise AssertionError(f"{p.rec.id}: approved without a contract, a price or a size")
        order = opening_order(p.book.account, p.rec.recommendation_id, p.symbol, p.sizing.qty, ask.value, p.now)
        orders.insert(tx, order, p.rec.strategy)
        self.desk.announce(tx, Stream.ENTRIES, approved(order, p.rec.id, self.desk.origin), order.account)
        return order.order_id

    # ------------------------------------------------------------ sells

    def _decide_sell(self, rec: RecommendationIssued, account: AccountName) -> Outcome:
        session = self.markets[account].session()
        with self.desk.begin() as tx:
            if not first_time(tx, self.name, f"{rec.id}@{account}"):
                return (), None
            accounts.lock(tx, account)
            now = self.desk.clock()
            held = positions.open_in(tx, account, rec.symbol) if rec.symbol else None
            live = orders.live_of_position(tx, held.position_id) if held else ()
            proposal = SellProposal(
                rec=rec,
                now=now,
                rules=self.rules.of(account, rec.strategy),
                session=session,
                held_qty=held.qty if held else 0,
                closing=any(not row.order.intent.opens for row in live),
            )
            checks = review_sell(proposal)
            order_id, sizing = None, None
            if held is not None and all(check.passed for check in checks):
                sizing = _sell_size(rec, held)
                order = write_close(
                    tx,
                    self.desk,
                    held,
                    qty=sizing.qty,
                    rule="signal",
                    cause=rec.id,
                    recommendation=rec.recommendation_id,
                )
                order_id = order.order_id if order else None
            self._record(tx, rec, account, checks, sizing, None, order_id, None, now)
        return checks, order_id

    # ------------------------------------------------------------ outcome

    def _record(
        self,
        tx: Connection,
        rec: RecommendationIssued,
        account: AccountName,
        checks: tuple[Check, ...],
        sizing: Sizing | Unknown | None,
        selection: Selection | None,
        order_id: OrderId | None,
        limits: Limits | None,
        now: datetime,
    ) -> None:
        decisions.record(
            tx,
            recommendation=rec.recommendation_id,
            account=account,
            checks=checks,
            sizing=_why(sizing),
            steps=sizing.steps if isinstance(sizing, Sizing) else None,
            selection=selection,
            order_id=order_id,
            limits=limits,
            now=now,
            origin=self.desk.origin,
        )
        if order_id is not None:
            return
        refused = refusal_of(self.desk, rec, account, checks, now)
        self.desk.announce(tx, Stream.DECISIONS, refused)


def _history(
    tx: Connection, symbol: str | None, underlying: str, account: AccountName, rules: EntryRules, now: datetime
) -> Known[History] | Unknown:
    """Return what the account traded before, where a limit looks at it; without one nobody needs to wait for it."""
    if not rules.ask_history:
        return Unknown("no limit asks for it", "config")
    if symbol is None:
        return Unknown("no symbol is named", "recommendation")
    return Known(history.read(tx, account, symbol, underlying, now), now, "orders and positions")


def refusal_of(
    desk: Desk, rec: RecommendationIssued, account: AccountName, checks: Sequence[Check], now: datetime
) -> RecommendationRefused:
    """Return the fact that tells of a refusal."""
    return RecommendationRefused(
        id=fact_id("refused", rec.id, account),
        at=now,
        schema=1,
        cause=rec.id,
        origin=desk.origin,
        recommendation=rec.recommendation_id,
        account=account,
        refusals=tuple(str(check) for check in checks if not check.passed),
    )


def _instrument(symbol: str | None) -> Instrument | Unknown:
    try:
        return parse_symbol(symbol or "")
    except NotASymbol as e:
        return Unknown(str(e) if symbol else "no symbol is named", "recommendation")


def _has_unseen(book: Book, sight: Sight) -> bool:
    """Is the day's result unknown because something was ordered, and filled, after the brokerage was asked?

    Orders count too: fills take no turns with us, one may have come after the commitments were read.
    """
    return isinstance(book.daily_pnl_usd, Unknown) and any(c.symbol not in sight.marks for c in book.commitments)


def _why(sizing: Sizing | Unknown | None) -> str:
    if sizing is None:
        return "not approved"
    return f"unknown: {sizing.reason}" if isinstance(sizing, Unknown) else sizing.why


def _sell_size(rec: RecommendationIssued, held: PositionRow) -> Sizing:
    """A SELL never sells more than is held."""
    asked = rec.qty or 0
    qty = min(asked, held.qty)
    return Sizing(qty, asked, (Step("held", qty, f"min(asked, held {held.qty}) = {qty}"),))
