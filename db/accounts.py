"""The accounts: limits, trading state, and what each has committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from db import interlocks, latches, limits, pnl
from domain.account import Book, Commitment, Limits, TradingState
from domain.ids import AccountName
from domain.instrument import Kind
from domain.known import Known, Unknown
from domain.session import Session


class UnknownAccount(LookupError):
    """No such account is configured; nothing may be traded for it."""


#: Who the configuration file is in the history.
CONFIGURATION: Final = "configuration"
#: Why a new account waits: it is the reconciler's to lift.
NOT_RECONCILED: Final = "not reconciled yet"


def configure(tx: Connection, account: AccountName, of_file: Limits, now: datetime) -> bool:
    """Bring the row of *account* to what the configuration says; a change is recorded. A new account waits, reducing.

    Overrides stay until they end. Returns whether anything changed.
    """
    created = tx.execute(
        text(
            "INSERT INTO accounts (account, state, state_reason, state_since, max_positions, max_exposure_usd,"
            " max_daily_loss_usd, max_contracts_per_order, max_drawdown_usd, max_drawdown_pct, ours_since)"
            f" VALUES (:account, 'reducing', 'interlock: {NOT_RECONCILED}', :now, :max_positions, :max_exposure_usd,"
            " :max_daily_loss_usd, :max_contracts_per_order, :max_drawdown_usd, :max_drawdown_pct, :now)"
            " ON CONFLICT (account) DO NOTHING"
        ),
        {"account": account, "now": now, **asdict(of_file)},
    ).rowcount
    if created:
        limits.record(tx, account, of_file, CONFIGURATION, "the account is new", now)
        interlocks.engage(tx, account, interlocks.RECONCILIATION, NOT_RECONCILED, now)
        changed = True
    else:
        lock(tx, account)
        changed = limits.change(tx, account, of_file, CONFIGURATION, "as the file says at start", now)
    if changed:
        record_change(tx, account, now, CONFIGURATION, "limits", f"{of_file}")
    return changed


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
    max_mark_age: timedelta,
) -> Book:
    """Return what *account* has committed. Call it under :func:`lock`, or it may change while you look.

    *marks* holds the price of each open position's symbol; a missing one, or one older than *max_mark_age*, makes the
    daily P&L unknown.
    """
    row = tx.execute(
        text(
            "SELECT a.*, e.state AS every_state, e.state_reason AS every_reason"
            " FROM accounts a, every_account e WHERE account = :account"
        ),
        {"account": account},
    ).one_or_none()
    in_force = limits.in_force(tx, account, now)
    if row is None or in_force is None:
        raise UnknownAccount(f"account: {account!r} is not configured")
    state, reason = _strictest(row)
    return Book(
        account=account,
        state=state,
        state_reason=reason,
        limits=in_force,
        commitments=tuple(commitments(tx, account)),
        daily_pnl_usd=pnl.since_open(tx, account, marks, session, now, max_mark_age, -in_force.max_daily_loss_usd),
        equity_peak_usd=row.equity_peak_usd,
        latched=frozenset(kind for kind, latch in latches.live(tx, account).items() if latch.latched_at is not None),
        read_at=now,
    )


def _strictest(row: Row[Any]) -> tuple[TradingState, str]:
    """Return the stricter of the account's own state and that of all accounts, with its reason."""
    own, every = TradingState(row.state), TradingState(row.every_state)
    if own.stricter(every) is own:
        return own, row.state_reason
    return every, f"every account: {row.every_reason}"


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


def every_state(tx: Connection) -> tuple[TradingState, str]:
    """Return the trading state that holds for every account, and its reason."""
    row = tx.execute(text("SELECT state, state_reason FROM every_account")).one()
    return TradingState(row.state), row.state_reason


def set_every_state(tx: Connection, state: TradingState, reason: str, now: datetime) -> bool:
    """Change the state of all accounts, also of those that are configured later; False when it was so already."""
    changed = tx.execute(
        text(
            "UPDATE every_account SET state = :state, state_reason = :reason, state_since = :now"
            " WHERE (state, state_reason) IS DISTINCT FROM (:state, :reason)"
        ),
        {"state": state, "reason": reason, "now": now},
    ).rowcount
    return bool(changed)


def note_equity(tx: Connection, account: AccountName, equity: Known[Decimal]) -> None:
    """Keep what the brokerage says the account is worth; the peak only rises."""
    tx.execute(
        text(
            "UPDATE accounts SET equity_usd = :equity, equity_at = :at,"
            " equity_peak_usd = greatest(equity_peak_usd, :equity)"
            " WHERE account = :account AND (equity_at IS NULL OR equity_at < :at)"
        ),
        {"account": account, "equity": equity.value, "at": equity.at},
    )


def equity(tx: Connection, account: AccountName) -> Known[Decimal] | Unknown:
    """Return what the account was worth when the brokerage was last asked."""
    row = tx.execute(
        text("SELECT equity_usd, equity_at FROM accounts WHERE account = :account"), {"account": account}
    ).one()
    if row.equity_usd is None:
        return Unknown("the brokerage was not asked yet", "account")
    return Known(row.equity_usd, row.equity_at, "account")


def forget_peak(tx: Connection, account: AccountName) -> None:
    """Count the drawdown from what the account is worth now: a person has seen it."""
    tx.execute(text("UPDATE accounts SET equity_peak_usd = equity_usd WHERE account = :account"), {"account": account})


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


def owner_of(tx: Connection, account_number: str) -> AccountName | None:
    """Return our account that belongs to *account_number* at the brokerage, None when none does yet."""
    owner = tx.execute(
        text("SELECT account FROM accounts WHERE broker_account_number = :number"), {"number": account_number}
    ).scalar()
    return None if owner is None else AccountName(owner)


def mark_reconciled(tx: Connection, account: AccountName, account_number: str, now: datetime) -> None:
    tx.execute(
        text("UPDATE accounts SET reconciled_at = :now, broker_account_number = :number WHERE account = :account"),
        {"account": account, "now": now, "number": account_number},
    )


def reconciled_at(tx: Connection) -> Mapping[AccountName, datetime | None]:
    rows = tx.execute(text("SELECT account, reconciled_at FROM accounts"))
    return {AccountName(r.account): r.reconciled_at for r in rows}
