"""Changes of an account's trading state: written and announced together, whoever makes them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from actors.desk import Desk
from db import accounts
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
