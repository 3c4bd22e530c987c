"""Changes of an account's trading state: written and announced together, whoever makes them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from actors.desk import Desk
from db import accounts, interlocks
from domain.account import TradingState
from domain.events import AccountStateChanged
from domain.ids import AccountName, fact_id
from streams.names import Stream

#: States that begin so were set by a machine, and a machine may lift them.
INTERLOCK: Final = "interlock: "


def change(desk: Desk, tx: Connection, account: AccountName, state: TradingState, reason: str, by: str) -> bool:
    """Set the state and tell of it; False when it was so already, for the same reason."""
    changed = accounts.set_state(tx, account, state, reason, by, desk.clock())
    if changed:
        announce(desk, tx, account, state, reason, by)
    return changed


def restrict(desk: Desk, tx: Connection, account: AccountName, reason: str, by: str) -> None:
    """Let nothing open: REDUCING. A machine asks for it; what a person halted stays halted."""
    accounts.lock(tx, account)
    state, _ = accounts.state_of(tx, account)
    if state is not TradingState.HALTED:
        change(desk, tx, account, TradingState.REDUCING, reason, by)


def engage(desk: Desk, tx: Connection, account: AccountName, cause: str, detail: str, by: str) -> None:
    """Hold the entries of *account* for *cause* until it is released; what a person set stays as it is."""
    accounts.lock(tx, account)
    interlocks.engage(tx, account, cause, detail, desk.clock())
    follow(desk, tx, account, by)


def release(desk: Desk, tx: Connection, account: AccountName, cause: str, by: str, lifted: str) -> None:
    """*cause* is gone; with the last one entries pass again, unless a person or a dead letter stopped them."""
    accounts.lock(tx, account)
    interlocks.release(tx, account, cause)
    follow(desk, tx, account, by, lifted)


def agrees(state: TradingState, reason: str, held: bool) -> bool:
    """Does the state say whether the interlock holds? Halted, or reduced by others, it need not."""
    is_ours = state is TradingState.REDUCING and reason.startswith(INTERLOCK)
    return is_ours == held or (state is not TradingState.ACTIVE and not is_ours)


def follow(desk: Desk, tx: Connection, account: AccountName, by: str, lifted: str = "all is well again") -> None:
    """Bring the state to what the interlock's causes say; *lifted* is the reason where there is none any more.

    It never loosens what is halted, or reduced by others.
    """
    state, reason = accounts.state_of(tx, account)
    is_ours = state is TradingState.REDUCING and reason.startswith(INTERLOCK)
    causes = interlocks.causes(tx, account)
    if causes and (is_ours or state is TradingState.ACTIVE):
        change(desk, tx, account, TradingState.REDUCING, INTERLOCK + "; ".join(causes.values()), by)
    elif is_ours and not causes:
        change(desk, tx, account, TradingState.ACTIVE, lifted, by)


def announce(
    desk: Desk,
    tx: Connection,
    account: AccountName,
    state: TradingState,
    reason: str,
    by: str,
    *,
    cause: str | None = None,
) -> None:
    """Tell that what may open in *account* has changed; *cause* is *by* unless a fact led to it."""
    now = desk.clock()
    fact = AccountStateChanged(
        id=fact_id("state", account, state, now, by, reason),
        at=now,
        schema=1,
        cause=cause or by,
        origin=desk.origin,
        account=account,
        state=state,
        reason=reason,
        by=by,
    )
    desk.announce(tx, Stream.DECISIONS, fact)
