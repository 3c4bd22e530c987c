"""The accounts: limits, trading state, and what each has committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, text

from db import pnl
from domain.account import Book, Commitment, Limits, TradingState
from domain.ids import AccountName
from domain.instrument import Kind
from domain.known import Known, Unknown
from domain.session import Session


class UnknownAccount(LookupError):
    """No such account is configured; nothing may be traded for it."""


def configure(tx: Connection, account: AccountName, limits: Limits, now: datetime) -> None:
    """Bring the row of *account* to the configured *limits*; a change is recorded. A new account waits, reducing."""
    values = {
        "account": account,
        "now": now,
        "max_positions": limits.max_positions,
        "max_exposure_usd": limits.max_exposure_usd,
        "max_daily_loss_usd": limits.max_daily_loss_usd,
        "max_contracts": limits.max_contracts_per_order,
    }
    changed = tx.execute(
        text(
            "INSERT INTO accounts (account, state, state_reason, state_since, max_positions, max_exposure_usd,"
            " max_daily_loss_usd, max_contracts_per_order, ours_since)"
            " VALUES (:account, 'reducing', 'interlock: not reconciled yet', :now, :max_positions, :max_exposure_usd,"
            " :max_daily_loss_usd, :max_contracts, :now)"
            " ON CONFLICT (account) DO UPDATE SET max_positions = :max_positions,"
            " max_exposure_usd = :max_exposure_usd, max_daily_loss_usd = :max_daily_loss_usd,"
            " max_contracts_per_order = :max_contracts"
            " WHERE (accounts.max_positions, accounts.max_exposure_usd, accounts.max_daily_loss_usd,"
            " accounts.max_contracts_per_order)"
            " IS DISTINCT FROM (:max_positions, :max_exposure_usd, :max_daily_loss_usd, :max_contracts)"
        ),
        values,
    ).rowcount
    if changed:
        record_change(tx, account, now, "configuration", "limits", f"{limits}")


def names(tx: Connection) -> frozenset[AccountName]:
    return frozenset(AccountName(name) for name in tx.execute(text("SELECT account FROM accounts")).scalars())


def lock(tx: Connection, account: AccountName) -> None:
    """Hold *account* until the transaction ends: decisions about one account take turns.

    Rows that merely refer to the account (a fill, a close) do not wait for it.

    Raises:
        UnknownAccount: it is not configured.
    """
    found = tx.execute(
        text("SELECT account FROM accounts WHERE account = :account FOR NO KEY UPDATE"), {"account": account}
    ).one_or_none()
    if found is None:
        raise UnknownAccount(f"account: {account!r} is not configured")


def read_book(
    tx: Connection,
    account: AccountName,
    marks: Mapping[str, Known[Decimal] | Unknown],
    session: Known[Session] | Unknown,
    now: datetime,
) -> Book:
    """Return what *account* has committed. Call it under :func:`lock`, or it may change while you look.

    *marks* holds the price of each open position's symbol; a missing one makes the daily P&L unknown.
    """
    row = tx.execute(text("SELECT * FROM accounts WHERE account = :account"), {"account": account}).one_or_none()
    if row is None:
        raise UnknownAccount(f"account: {account!r} is not configured")
    latched = isinstance(session, Known) and row.loss_latched_on == session.value.day
    return Book(
        account=account,
        state=TradingState(row.state),
        state_reason=row.state_reason,
        limits=_limits(row),
        commitments=tuple(commitments(tx, account)),
        daily_pnl_usd=pnl.since_open(tx, account, marks, session, now),
        loss_latched=latched,
        read_at=now,
    )


def _limits(row: Row[Any]) -> Limits:
    return Limits(
        max_positions=row.max_positions,
        max_exposure_usd=row.max_exposure_usd,
        max_daily_loss_usd=row.max_daily_loss_usd,
        max_contracts_per_order=row.max_contracts_per_order,
    )


def commitments(tx: Connection, account: AccountName) -> Sequence[Commitment]:
    """Return what each position binds: held, and reserved by its opening order."""
    rows = tx.execute(
        text(
            "SELECT c.*, (SELECT coalesce(sum(greatest(0, coalesce(final_filled_qty, qty) - filled_qty)), 0)::integer"
            " FROM orders o WHERE o.position_id = c.position_id AND o.opening AND NOT o.external) AS pending_qty,"
            " EXISTS (SELECT 1 FROM orders o WHERE o.position_id = c.position_id AND NOT o.opening"
            " AND o.ended_at IS NULL) AS closing FROM commitments c WHERE account = :account ORDER BY position_id"
        ),
        {"account": account},
    )
    return [
        Commitment(
            position_id=r.position_id,
            symbol=r.symbol,
            underlying=r.underlying,
            kind=Kind(r.kind),
            held_qty=r.held_qty,
            pending_qty=r.pending_qty,
            usd=r.usd,
            closing=r.closing,
        )
        for r in rows
    ]


def unseen_openings_usd(tx: Connection, account: AccountName, seen_at: datetime) -> Decimal:
    """Return the dollars of live openings that the brokerage had not accepted by *seen_at*."""
    amount: Decimal = tx.execute(
        text(
            "SELECT coalesce(sum(limit_price * qty * multiplier), 0) FROM orders WHERE account = :account AND opening"
            " AND NOT external AND ended_at IS NULL AND (accepted_at IS NULL OR accepted_at > :seen_at)"
        ),
        {"account": account, "seen_at": seen_at},
    ).scalar_one()
    return amount


def state_of(tx: Connection, account: AccountName) -> tuple[TradingState, str]:
    """Return the trading state and its reason."""
    row = tx.execute(
        text("SELECT state, state_reason FROM accounts WHERE account = :account"), {"account": account}
    ).one_or_none()
    if row is None:
        raise UnknownAccount(f"account: {account!r} is not configured")
    return TradingState(row.state), row.state_reason


def set_state(tx: Connection, account: AccountName, state: TradingState, reason: str, by: str, now: datetime) -> bool:
    """Change the trading state under the account's lock and record who and why; False when it was so already."""
    lock(tx, account)
    changed = tx.execute(
        text(
            "UPDATE accounts SET state = :state, state_reason = :reason, state_since = :now"
            " WHERE account = :account AND (state, state_reason) IS DISTINCT FROM (:state, :reason)"
        ),
        {"account": account, "state": state, "reason": reason, "now": now},
    ).rowcount
    if changed:
        record_change(tx, account, now, by, f"state {state}", reason)
    return bool(changed)


def latch_loss(tx: Connection, account: AccountName, day: date, reason: str, now: datetime) -> None:
    """No further entry passes in the session of *day*; a person may lift it."""
    latched = tx.execute(
        text(
            "UPDATE accounts SET loss_latched_on = :day WHERE account = :account"
            " AND loss_latched_on IS DISTINCT FROM :day"
        ),
        {"account": account, "day": day},
    ).rowcount
    if latched:
        record_change(tx, account, now, "gate", "daily loss latched", reason)


def release_loss(tx: Connection, account: AccountName) -> None:
    tx.execute(text("UPDATE accounts SET loss_latched_on = NULL WHERE account = :account"), {"account": account})


def record_change(tx: Connection, account: AccountName, now: datetime, by: str, what: str, reason: str) -> None:
    tx.execute(
        text(
            "INSERT INTO account_changes (account, at, by, what, reason) VALUES (:account, :now, :by, :what, :reason)"
        ),
        {"account": account, "now": now, "by": by, "what": what, "reason": reason},
    )


def broker_account_number(tx: Connection, account: AccountName) -> str | None:
    """Return the brokerage's number of the account that our rows belong to, None before the first look."""
    number: str | None = tx.execute(
        text("SELECT broker_account_number FROM accounts WHERE account = :account"), {"account": account}
    ).scalar_one()
    return number


def mark_reconciled(tx: Connection, account: AccountName, account_number: str, now: datetime) -> None:
    tx.execute(
        text("UPDATE accounts SET reconciled_at = :now, broker_account_number = :number WHERE account = :account"),
        {"account": account, "now": now, "number": account_number},
    )


def reconciled_at(tx: Connection) -> Mapping[AccountName, datetime | None]:
    rows = tx.execute(text("SELECT account, reconciled_at FROM accounts"))
    return {AccountName(r.account): r.reconciled_at for r in rows}
