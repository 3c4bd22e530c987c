"""Losses at their limit: seen once, then confirmed, then lifted. Written under the account's lock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, text

from domain.account import LossKind
from domain.ids import AccountName
from domain.loss import Sighting


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """A loss that was seen; *latched_at* is None until a second look confirmed it."""

    kind: LossKind
    day: date
    observed: str
    sighting: Sighting
    latched_at: datetime | None


def live(tx: Connection, account: AccountName) -> Mapping[LossKind, Latch]:
    """Return what was seen and not lifted, at most one of a kind."""
    rows = tx.execute(
        text("SELECT * FROM latches WHERE account = :account AND lifted_at IS NULL ORDER BY kind"),
        {"account": account},
    )
    return {
        LossKind(r.kind): Latch(
            kind=LossKind(r.kind),
            day=r.day,
            observed=r.observed,
            sighting=Sighting(seen_at=r.seen_at, evidence_at=r.evidence_at),
            latched_at=r.latched_at,
        )
        for r in rows
    }


def see(tx: Connection, account: AccountName, kind: LossKind, day: date, observed: str, seen: Sighting) -> None:
    """Write that a loss was seen at its limit for the first time."""
    tx.execute(
        text(
            "INSERT INTO latches (account, kind, day, observed, seen_at, evidence_at)"
            " VALUES (:account, :kind, :day, :observed, :seen_at, :evidence_at)"
        ),
        {
            "account": account,
            "kind": kind,
            "day": day,
            "observed": observed,
            "seen_at": seen.seen_at,
            "evidence_at": seen.evidence_at,
        },
    )


def forget(tx: Connection, account: AccountName, kind: LossKind) -> None:
    """The second look did not confirm the first."""
    tx.execute(
        text("DELETE FROM latches WHERE account = :account AND kind = :kind AND latched_at IS NULL"),
        {"account": account, "kind": kind},
    )


def confirm(tx: Connection, account: AccountName, kind: LossKind, day: date, observed: str, now: datetime) -> None:
    """The second look says the same: it latches, for the session of *day*."""
    tx.execute(
        text(
            "UPDATE latches SET latched_at = :now, observed = :observed, day = :day"
            " WHERE account = :account AND kind = :kind AND latched_at IS NULL"
        ),
        {"account": account, "kind": kind, "now": now, "observed": observed, "day": day},
    )


def lift(tx: Connection, account: AccountName, kind: LossKind, by: str, reason: str, now: datetime) -> None:
    tx.execute(
        text(
            "UPDATE latches SET lifted_at = :now, lifted_by = :by, lift_reason = :reason"
            " WHERE account = :account AND kind = :kind AND latched_at IS NOT NULL AND lifted_at IS NULL"
        ),
        {"account": account, "kind": kind, "now": now, "by": by, "reason": reason},
    )
