"""What several commands share: their options, and what they are given to work with."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.session import Session
from db import accounts
from domain.ids import AccountName

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
AccountOption = Annotated[str | None, typer.Option(help="Only this account.")]
ReasonOption = Annotated[str, typer.Option(help="Why; it is kept with your name.")]


def session_of(ctx: typer.Context, as_json: bool) -> Session:
    """Return the command's surroundings; ``--json`` counts before and after the command's name."""
    session: Any = ctx.obj
    session.json = session.json or as_json
    found: Session = session
    return found


def known_account(session: Session, name: str) -> AccountName:
    """Return *name* as an account, or end with wrong usage."""
    with session.engine.connect() as tx:
        names = accounts.names(tx)
    if name not in names:
        raise typer.BadParameter(f"account: one of {', '.join(sorted(names)) or 'none'} is expected, was {name!r}")
    return AccountName(name)


def maybe_account(session: Session, name: str | None) -> AccountName | None:
    return None if name is None else known_account(session, name)
