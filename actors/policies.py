"""Exit policies in force: a change is a fact, and governs a position that is held only when a person says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from actors.desk import Desk
from db import accounts, exit_plans, policies, positions
from domain.events import ExitPolicyApplied, ExitPolicyChanged
from domain.exits import ExitPolicy, changes
from domain.ids import AccountName, PositionId, fact_id
from streams.names import Stream

_CAUSE: Final = "configuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of one position: the versions before and after, and what differs between them."""

    position_id: PositionId
    account: AccountName
    symbol: str
    before_version: str
    version: str
    changes: tuple[str, ...]


def take_notice(desk: Desk, configured: Mapping[tuple[AccountName, str, str], ExitPolicy]) -> None:
    """Write down which policies new positions get, by (account, strategy, kind), and tell what has changed since."""
    with desk.begin() as tx:
        take_notice_within(tx, desk, configured)


def take_notice_within(
    tx: Connection, desk: Desk, configured: Mapping[tuple[AccountName, str, str], ExitPolicy]
) -> None:
    """Like :func:`take_notice`, together with what else *tx* writes."""
    for account in sorted(accounts.names(tx) & {name for name, _, _ in configured}):
        accounts.lock(tx, account)
        before = policies.in_force(tx, account)
        for (name, strategy, kind), policy in sorted(configured.items()):
            if name == account:
                _note(tx, desk, account, strategy, kind, before.get((strategy, kind)), policy)


def _note(
    tx: Connection,
    desk: Desk,
    account: AccountName,
    strategy: str,
    kind: str,
    before: ExitPolicy | None,
    policy: ExitPolicy,
) -> None:
    """The first policy of a strategy is no change."""
    if before is not None and before.version == policy.version:
        return
    now = desk.clock()
    policies.record(tx, account, strategy, kind, policy, now)
    if before is None:
        return
    fact = ExitPolicyChanged(
        id=fact_id("policy", account, strategy, kind, policy.version, now),
        at=now,
        schema=1,
        cause=_CAUSE,
        origin=desk.origin,
        account=account,
        strategy=strategy,
        kind=kind,
        before_version=before.version,
        version=policy.version,
        changes=changes(before, policy),
    )
    desk.announce(tx, Stream.DECISIONS, fact)


def apply(desk: Desk, position: PositionId, policy: ExitPolicy, reason: str, by: str) -> Applied | None:
    """Let *policy* govern the open *position*, audited; None when it is closed, or governed so already.

    Its peak, its rungs and a close that is under way stay as they are.
    """
    with desk.begin() as tx:
        row = positions.lock(tx, position)
        if row is None or row.qty == 0 or row.policy.version == policy.version:
            return None
        now = desk.clock()
        done = Applied(
            position_id=position,
            account=row.account,
            symbol=row.symbol,
            before_version=row.policy.version,
            version=policy.version,
            changes=changes(row.policy, policy),
        )
        exit_plans.replace_policy(tx, position, policy)
        what = f"exit policy of {row.symbol} {position}: {done.before_version} -> {done.version}"
        accounts.record_change(tx, row.account, now, by, what, reason)
        desk.announce(tx, Stream.DECISIONS, _told(desk, done, reason, by))
        return done


def _told(desk: Desk, done: Applied, reason: str, by: str) -> ExitPolicyApplied:
    now = desk.clock()
    return ExitPolicyApplied(
        id=fact_id("policy", done.position_id, done.version, now),
        at=now,
        schema=1,
        cause=by,
        origin=desk.origin,
        position_id=done.position_id,
        account=done.account,
        symbol=done.symbol,
        before_version=done.before_version,
        version=done.version,
        changes=done.changes,
        by=by,
        reason=reason,
    )
