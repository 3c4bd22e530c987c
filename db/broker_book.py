"""What the brokerage held when it was last asked: for eyes and alarms, no decision is made from it."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, text

from domain.ids import AccountName


def keep(tx: Connection, account: AccountName, held: Mapping[str, int]) -> None:
    """Replace what is known of *account* by *held*: signed units by symbol."""
    tx.execute(text("DELETE FROM broker_positions WHERE account = :account"), {"account": account})
    for symbol, qty in held.items():
        tx.execute(
            text("INSERT INTO broker_positions (account, symbol, qty) VALUES (:account, :symbol, :qty)"),
            {"account": account, "symbol": symbol, "qty": qty},
        )
