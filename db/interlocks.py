"""Why machines let nothing open in an account: one row a cause, gone when its cause is gone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from domain.ids import AccountName

#: The cause that the reconciler sets and lifts: the rows were not compared with the brokerage's book.
RECONCILIATION: Final = "reconciliation"


def engage(tx: Connection, account: AccountName, cause: str, detail: str, now: datetime) -> bool:
    """Write *cause*; False when it was there already, saying the same."""
    changed = tx.execute(
        text(
            "INSERT INTO interlocks (account, cause, detail, since) VALUES (:account, :cause, :detail, :now)"
            " ON CONFLICT (account, cause) DO UPDATE SET detail = :detail WHERE interlocks.detail <> :detail"
        ),
        {"account": account, "cause": cause, "detail": detail, "now": now},
    ).rowcount
    return bool(changed)


def release(tx: Connection, account: AccountName, cause: str) -> bool:
    """Remove *cause*; False when it was not there."""
    gone = tx.execute(
        text("DELETE FROM interlocks WHERE account = :account AND cause = :cause"),
        {"account": account, "cause": cause},
    ).rowcount
    return bool(gone)


def causes(tx: Connection, account: AccountName) -> Mapping[str, str]:
    """Return what holds *account* now: cause and detail, in the order of their names."""
    rows = tx.execute(
        text("SELECT cause, detail FROM interlocks WHERE account = :account ORDER BY cause"), {"account": account}
    )
    return {r.cause: r.detail for r in rows}


def all_of(tx: Connection) -> list[dict[str, Any]]:
    """Return every cause with its account and since when."""
    rows = tx.execute(text("SELECT account, cause, detail, since FROM interlocks ORDER BY account, cause"))
    return [dict(r._mapping) for r in rows]
