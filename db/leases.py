"""Who may read a partition now: a row with an epoch that every effect checks in its own transaction.

Times are the database's own: the holders' clocks do not matter, nor does the clock of a recorded day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


class LeaseLost(RuntimeError):
    """Somebody else holds the lease: this process must stop reading the partition."""


@dataclass(frozen=True, slots=True)
class Lease:
    name: str
    holder: str
    epoch: int


def acquire(tx: Connection, name: str, holder: str, ttl_ms: int) -> Lease | None:
    """Take *name* if it is free, expired or ours already; the epoch grows when it changes hands."""
    epoch = tx.execute(
        text(
            "INSERT INTO leases (lease, holder, epoch, expires_at)"
            " VALUES (:name, :holder, 1, clock_timestamp() + :ttl * interval '1 ms')"
            " ON CONFLICT (lease) DO UPDATE SET holder = :holder,"
            " epoch = leases.epoch + CASE WHEN leases.holder = :holder THEN 0 ELSE 1 END,"
            " expires_at = clock_timestamp() + :ttl * interval '1 ms'"
            " WHERE leases.holder = :holder OR leases.expires_at < clock_timestamp() RETURNING epoch"
        ),
        {"name": name, "holder": holder, "ttl": ttl_ms},
    ).scalar_one_or_none()
    return None if epoch is None else Lease(name, holder, epoch)


def holder(tx: Connection, name: str) -> Lease | None:
    """Return the lease as it was last held, expired or not; None when nobody ever held it."""
    row = tx.execute(text("SELECT lease, holder, epoch FROM leases WHERE lease = :name"), {"name": name}).one_or_none()
    return None if row is None else Lease(row.lease, row.holder, row.epoch)


def seize(tx: Connection, seen: Lease, holder: str, ttl_ms: int) -> Lease | None:
    """Take what *seen* holds away from it, however long it would still run; None when it changed hands meanwhile.

    Whoever had it can commit nothing more under it. Waits for a transaction that proves it right now.
    """
    epoch = tx.execute(
        text(
            "UPDATE leases SET holder = :holder, epoch = epoch + 1,"
            " expires_at = clock_timestamp() + :ttl * interval '1 ms'"
            " WHERE lease = :name AND holder = :seen AND epoch = :epoch RETURNING epoch"
        ),
        {"name": seen.name, "holder": holder, "ttl": ttl_ms, "seen": seen.holder, "epoch": seen.epoch},
    ).scalar_one_or_none()
    return None if epoch is None else Lease(seen.name, holder, epoch)


def require(tx: Connection, lease: Lease) -> None:
    """Raise :exc:`LeaseLost` unless *lease* is still ours; it cannot change hands until *tx* ends."""
    held = tx.execute(
        text("SELECT 1 FROM leases WHERE lease = :name AND holder = :holder AND epoch = :epoch FOR SHARE"),
        {"name": lease.name, "holder": lease.holder, "epoch": lease.epoch},
    ).one_or_none()
    if held is None:
        raise LeaseLost(f"lease {lease.name} (epoch {lease.epoch}) has another holder")


def count_live(tx: Connection, prefix: str) -> int:
    """Return how many leases whose names begin with *prefix* are held now."""
    count: int = tx.execute(
        text("SELECT count(*) FROM leases WHERE starts_with(lease, :prefix) AND expires_at > clock_timestamp()"),
        {"prefix": prefix},
    ).scalar_one()
    return count


def until(tx: Connection, name: str) -> datetime | None:
    """Return until when *name* is held if nobody renews it, None when it is free."""
    held: datetime | None = tx.execute(
        text("SELECT expires_at FROM leases WHERE lease = :name AND expires_at > clock_timestamp()"), {"name": name}
    ).scalar_one_or_none()
    return held


def release(tx: Connection, lease: Lease) -> None:
    """Let the next one take it at once."""
    tx.execute(
        text("UPDATE leases SET expires_at = '-infinity' WHERE lease = :name AND holder = :holder AND epoch = :epoch"),
        {"name": lease.name, "holder": lease.holder, "epoch": lease.epoch},
    )
