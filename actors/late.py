"""Recommendations that are too old to trade on: each gets its refusal, many at a time, and the brokerage is not asked.

In a backlog they wait until what is fresh has been decided (R09).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from actors.gate import Gate, refusal_of
from actors.market import Sight
from db import decisions
from db.decisions import Refusal, Remembered
from db.once import first_times
from domain.checks import Check
from domain.events import Action, RecommendationIssued
from domain.gates import Proposal, review
from streams.codec import encode
from streams.names import Stream

#: How many are refused in one transaction: about a tenth of a second's work.
AT_ONCE: Final = 50
WHY: Final = "the recommendation is too old"
UNASKED: Final = Sight.unasked(WHY)


class Read(NamedTuple):
    """A recommendation and the wall time at which it entered its stream."""

    rec: RecommendationIssued
    wall_at: datetime


@dataclass(frozen=True, slots=True)
class Late:
    """What the gate refuses without a look at the market."""

    gate: Gate

    def may_wait(self, body: bytes) -> bool:
        """Is this entry surely late? A glance: what cannot be read is for others to judge."""
        try:
            at = datetime.fromisoformat(json.loads(body)["at"])
            return self._age(at) > self.gate.rules.max_recommendation_age
        except (ValueError, TypeError, KeyError, RecursionError):
            return False

    def split(self, batch: Sequence[Read]) -> tuple[list[Read], list[Read]]:
        """Return what the gate must decide one by one, and what can be refused together."""
        timely: list[Read] = []
        late: list[Read] = []
        for read in batch:
            (late if self._is_refusable(read.rec) else timely).append(read)
        return timely, late

    def _age(self, at: datetime) -> timedelta:
        return self.gate.desk.clock() - at

    def _is_refusable(self, rec: RecommendationIssued) -> bool:
        """Too old in every account. A SELL asks the brokerage nothing, and an unknown account is no refusal."""
        if rec.action is Action.SELL or not all(account in self.gate.markets for account in rec.accounts):
            return False
        rules = [self.gate.rules.of(account, rec.strategy) for account in rec.accounts]
        return all(self._age(rec.at) > r.max_recommendation_age for r in rules)

    def refuse(self, late: Sequence[Read]) -> None:
        """Run every gate on each, in one transaction. No account is locked: a refusal binds nothing.

        Raises:
            AnotherBody: the id of at least one is known with other content; nothing is written.
        """
        desk = self.gate.desk
        with desk.begin() as tx:
            decisions.remember_all(tx, [_remembered(read) for read in late])
            asked = {f"{r.rec.id}@{account}": (r.rec, account) for r in late for account in r.rec.accounts}
            new = first_times(tx, self.gate.name, asked)
            now = desk.clock()
            proposals = [self.gate.propose(tx, *pair, None, UNASKED, now) for key, pair in asked.items() if key in new]
            judged = [(p, _judged(p)) for p in proposals]
            decisions.refuse_all(tx, [_refusal(p, checks) for p, checks in judged], now, desk.origin)
            facts = [refusal_of(desk, p.rec, p.book.account, checks, now) for p, checks in judged]
            desk.announce_all(tx, Stream.DECISIONS, facts)
        read_at = {read.rec.recommendation_id: read.wall_at for read in late}
        for p, checks in judged:
            after_s = (desk.wall() - read_at[p.rec.recommendation_id]).total_seconds()
            desk.metrics.decided(p.book.account, checks, approved=False, after_s=after_s)


def _judged(p: Proposal) -> tuple[Check, ...]:
    checks = review(p)
    if all(check.passed for check in checks):
        raise AssertionError(f"{p.rec.recommendation_id}: every gate passes what is too old")
    return checks


def _remembered(read: Read) -> Remembered:
    body = encode(read.rec)["body"].decode()
    return Remembered(recommendation=read.rec.recommendation_id, body=body, at=read.rec.at, read_at=read.wall_at)


def _refusal(p: Proposal, checks: tuple[Check, ...]) -> Refusal:
    return Refusal(
        recommendation=p.rec.recommendation_id, account=p.book.account, checks=checks, sizing=f"not sized: {WHY}"
    )
