"""The commands that look: they change nothing, and one document comes from one moment.

Exit codes: 0 shown; 1 the answer is no (a mismatch, nothing found); 2 wrong usage; 3 a server cannot be reached.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

import typer
from sqlalchemy import Connection

from cli import documents, render
from cli.options import AccountOption, JsonOption, maybe_account, session_of
from cli.report import report as read_report
from cli.rulebook import Rulebook
from cli.session import Session
from cli.why import why_nothing
from db import timeline as timelines
from db.views import one_moment

NO = 1
#: The id of no position.
_NOBODY = UUID(int=0)

Document = dict[str, Any]


def register(app: typer.Typer) -> None:
    """Add the commands to *app*; its context carries a :class:`cli.session.Session`."""
    for command in (
        status,
        accounts,
        positions,
        orders,
        fills,
        streams,
        explain,
        why_nothing,
        timeline,
        verify,
        report,
    ):
        app.command()(command)


def _show(session: Session, read: Callable[[Connection], Document], show: Callable[[Document], Any]) -> Document:
    """Read one document and answer with it."""
    with one_moment(session.engine) as tx:
        document = read(tx)
    session.show(document, show)
    return document


def status(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """What is: session, accounts, positions, streams, dead letters, actors, and the age of each."""
    session = session_of(ctx, as_json)
    mode = {"mode": session.settings.brokerage.mode}
    _show(session, lambda tx: mode | documents.status(tx, session.redis, session.desk), render.status)


def accounts(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """The accounts: state, limits and what is used of them."""
    session = session_of(ctx, as_json)
    _show(session, lambda tx: documents.accounts(tx, session.clock()), render.accounts)


def positions(
    ctx: typer.Context,
    position: Annotated[
        str | None, typer.Argument(help="Only this one, open or not: its id, or how it begins.")
    ] = None,
    account: AccountOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    rules: Annotated[bool, typer.Option("--rules", help="Where every exit rule of each stands.")] = False,
    as_json: JsonOption = False,
) -> None:
    """The open positions, or all that were ever held: price, the way to the next exit rules, and who looks at them."""
    session = session_of(ctx, as_json)
    name = maybe_account(session, account)
    sources = Rulebook(session.engine, session.settings).refresh().sources()
    with one_moment(session.engine) as tx:
        one = None if position is None else _one(tx, position) or _NOBODY
        document = documents.positions(tx, session.clock(), sources, account=name, position=one, everything=everything)
    session.show(document, render.with_rules if rules or position else render.positions)
    if position is not None and not document["items"]:
        raise typer.Exit(NO)


def _one(tx: Connection, begins: str) -> UUID | None:
    """Return the position whose id *begins* so, None when there is none."""
    found = timelines.find(tx, begins)
    if len(found) > 1:
        raise typer.BadParameter(f"position: {len(found)} begin with {begins!r}, write more of it")
    return next(iter(found), None)


def orders(
    ctx: typer.Context,
    account: AccountOption = None,
    live: Annotated[bool, typer.Option("--live", help="Only those that have not ended.")] = False,
    as_json: JsonOption = False,
) -> None:
    """The orders, and how each ended."""
    session = session_of(ctx, as_json)
    name = maybe_account(session, account)
    _show(session, lambda tx: documents.orders(tx, session.clock(), account=name, live=live), render.orders)


def fills(ctx: typer.Context, account: AccountOption = None, as_json: JsonOption = False) -> None:
    """Every execution that was read."""
    session = session_of(ctx, as_json)
    name = maybe_account(session, account)
    _show(session, lambda tx: documents.fills(tx, session.clock(), account=name), render.fills)


def streams(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """How far every group of every stream has come."""
    session = session_of(ctx, as_json)
    session.show(documents.streams(session.redis, session.desk), render.streams)


def explain(
    ctx: typer.Context,
    recommendation: Annotated[str, typer.Argument(help="Its id, as the signal engine gave it.")],
    as_json: JsonOption = False,
) -> None:
    """Why a recommendation was approved or refused, in each account, check by check."""
    session = session_of(ctx, as_json)
    document = _show(session, lambda tx: documents.explain(tx, recommendation), render.explain)
    if not document["items"]:
        raise typer.Exit(NO)


def timeline(
    ctx: typer.Context,
    position: Annotated[str, typer.Argument(help="Its id, or how it begins.")],
    as_json: JsonOption = False,
) -> None:
    """What happened to a position, first things first."""
    session = session_of(ctx, as_json)
    with one_moment(session.engine) as tx:
        document = documents.life(tx, _one(tx, position), session.clock())
    session.show(document, render.timeline)
    if not document["items"]:
        raise typer.Exit(NO)


def verify(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Compare the rows with what their history adds up to."""
    document = _show(session_of(ctx, as_json), documents.verify, render.verify)
    if document["mismatches"]:
        raise typer.Exit(NO)


def report(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """The report of all that the ledger holds, as a run prints it at its end."""
    document = _show(session_of(ctx, as_json), read_report, render.render_report)
    if document["breaches"] or document["drift"]:
        raise typer.Exit(NO)
