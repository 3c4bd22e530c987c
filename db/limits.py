"""The limits of an account: what its row says, the history of that, and overrides that end by themselves.

The row and its history change together: a constraint refuses the one without the other. What counts at a moment is
what :func:`in_force` returns, and the wall in the database asks the same function.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from domain.account import Limits
from domain.ids import AccountName

#: The limits by name, as columns, as fields and in the configuration.
NAMES: Final = tuple(f.name for f in fields(Limits))
#: An override lasts no longer than this; the database says so too.
LONGEST_OVERRIDE: Final = timedelta(days=7)
#: Limits that count things, not dollars.
WHOLE: Final = frozenset({"max_positions", "max_contracts_per_order"})

_COLUMNS: Final = ", ".join(NAMES)
_VALUES: Final = ", ".join(f":{name}" for name in NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """*limit* of *account* is *value* from *at* to *until*, unless it is lifted before."""

    override_id: int
    account: AccountName
    limit: str
    value: Decimal
    at: datetime
    until: datetime
    by: str
    reason: str


def as_limits(row: Row[Any]) -> Limits:
    return Limits(**{name: getattr(row, name) for name in NAMES})


def configured(tx: Connection, account: AccountName) -> Limits | None:
    """Return what the account's row says, overrides aside; None when there is no such account."""
    row = tx.execute(
        text(f"SELECT {_COLUMNS} FROM accounts WHERE account = :account"), {"account": account}
    ).one_or_none()
    return None if row is None else as_limits(row)


def in_force(tx: Connection, account: AccountName, now: datetime) -> Limits | None:
    """Return what counts at *now*, overrides included; None when there is no such account."""
    row = tx.execute(
        text(f"SELECT {_COLUMNS} FROM limits_in_force(:account, :now)"), {"account": account, "now": now}
    ).one_or_none()
    return None if row is None else as_limits(row)


def change(tx: Connection, account: AccountName, limits: Limits, by: str, reason: str, now: datetime) -> bool:
    """Write *limits* into the account's row and its history; False when they were so already."""
    if configured(tx, account) == limits:
        return False
    assignments = ", ".join(f"{name} = :{name}" for name in NAMES)
    values = {"account": account, **asdict(limits)}
    tx.execute(text(f"UPDATE accounts SET {assignments} WHERE account = :account"), values)
    record(tx, account, limits, by, reason, now)
    return True


def record(tx: Connection, account: AccountName, limits: Limits, by: str, reason: str, now: datetime) -> None:
    """Add to the history what the row says now."""
    tx.execute(
        text(
            f"INSERT INTO limits_history (account, at, by, reason, {_COLUMNS})"
            f" VALUES (:account, :now, :by, :reason, {_VALUES})"
        ),
        {"account": account, "now": now, "by": by, "reason": reason, **asdict(limits)},
    )


def history(tx: Connection, account: AccountName) -> Sequence[dict[str, Any]]:
    """Return what the limits were from when, first things first: at, by, reason, and each limit by name."""
    rows = tx.execute(
        text(f"SELECT at, by, reason, {_COLUMNS} FROM limits_history WHERE account = :account ORDER BY change_id"),
        {"account": account},
    )
    return [dict(r._mapping) for r in rows]


def override(
    tx: Connection,
    account: AccountName,
    limit: str,
    value: Decimal,
    *,
    until: datetime,
    by: str,
    reason: str,
    now: datetime,
) -> None:
    """Let *limit* be *value* until *until*. The youngest override of a limit counts; it replaces an older one."""
    lift(tx, account, limit, by, now)
    tx.execute(
        text(
            "INSERT INTO limit_overrides (account, limit_name, value, at, until, by, reason)"
            " VALUES (:account, :limit, :value, :now, :until, :by, :reason)"
        ),
        {
            "account": account,
            "limit": limit,
            "value": value,
            "now": now,
            "until": until,
            "by": by,
            "reason": reason,
        },
    )


def lift(tx: Connection, account: AccountName, limit: str, by: str, now: datetime) -> int:
    """End what overrides *limit* now; return how many overrides that were."""
    return tx.execute(
        text(
            "UPDATE limit_overrides SET lifted_at = :now, lifted_by = :by WHERE account = :account"
            " AND limit_name = :limit AND lifted_at IS NULL AND until > :now"
        ),
        {"account": account, "limit": limit, "by": by, "now": now},
    ).rowcount


def overrides(tx: Connection, account: AccountName, now: datetime) -> Sequence[Override]:
    """Return the overrides that count at *now*."""
    rows = tx.execute(
        text(
            "SELECT DISTINCT ON (limit_name) * FROM limit_overrides WHERE account = :account AND at <= :now"
            " AND :now < until AND (lifted_at IS NULL OR :now < lifted_at) ORDER BY limit_name, override_id DESC"
        ),
        {"account": account, "now": now},
    )
    return [
        Override(
            override_id=r.override_id,
            account=AccountName(r.account),
            limit=r.limit_name,
            value=r.value,
            at=r.at,
            until=r.until,
            by=r.by,
            reason=r.reason,
        )
        for r in rows
    ]


def with_one(limits: Limits, limit: str, value: Decimal | None) -> Limits:
    """Return *limits* with one of them changed; what counts things is whole."""
    typed: Any = int(value) if limit in WHOLE and value is not None else value
    return replace(limits, **{limit: typed})
