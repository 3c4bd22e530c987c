"""The levers: commands by which a person stops, resumes, flattens and repairs, each written down with name and reason.

Exit codes: 0 done; 1 the answer is no (drift, nothing to requeue); 2 wrong usage; 3 a server cannot be reached.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from actors.reconciler import Reconciler
from cli import acts, letters, render
from cli.flattening import flatten
from cli.options import JsonOption, ReasonOption, known_account, session_of
from cli.session import Session
from cli.wiring import Wiring
from db import accounts
from db.dead_letters import UnknownDeadLetter
from domain.account import TradingState
from domain.ids import AccountName

NO, UNREACHABLE = 1, 3

_AccountArgument = Annotated[str | None, typer.Argument(help="The account.")]
_EveryOption = Annotated[bool, typer.Option("--all", help="Every account, also one that is configured later.")]
_NumberArgument = Annotated[int, typer.Argument(help="Its number, as `dead list` shows it.")]

_dead = typer.Typer(no_args_is_help=True, help="Entries that nobody could handle.")


def register(app: typer.Typer) -> None:
    """Add the commands to *app*; its context carries a :class:`cli.session.Session`."""
    for command in (halt, reduce, resume, flatten, reconcile, record):
        app.command()(command)
    app.add_typer(_dead, name="dead")


# ---------------------------------------------------------------- trading state


def halt(
    ctx: typer.Context,
    reason: ReasonOption,
    account: _AccountArgument = None,
    everything: _EveryOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let nothing open and cancel open entries, until a person resumes; exits go on."""
    _set(session_of(ctx, as_json), account, everything, TradingState.HALTED, reason)


def reduce(
    ctx: typer.Context,
    reason: ReasonOption,
    account: _AccountArgument = None,
    everything: _EveryOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let nothing open; exits and SELLs go on."""
    _set(session_of(ctx, as_json), account, everything, TradingState.REDUCING, reason)


def resume(
    ctx: typer.Context,
    reason: ReasonOption,
    account: _AccountArgument = None,
    everything: _EveryOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let entries pass again, after a latched loss too; what the interlock holds stays held."""
    _set(session_of(ctx, as_json), account, everything, TradingState.ACTIVE, reason)


def _set(session: Session, account: str | None, everything: bool, state: TradingState, reason: str) -> None:
    names = _meant(session, account, everything)
    document = acts.set_states(session.desk, names, state, reason, session.person, every=everything)
    session.show(document | {"announced": session.announce()}, render.states)


def _meant(session: Session, account: str | None, everything: bool) -> list[AccountName]:
    if everything == (account is not None):
        raise typer.BadParameter("name one account, or say --all")
    if account is not None:
        return [known_account(session, account)]
    with session.engine.connect() as tx:
        return sorted(accounts.names(tx))


# ---------------------------------------------------------------- reconcile and record


def reconcile(
    ctx: typer.Context,
    fix: Annotated[bool, typer.Option("--fix", help="Bring the rows to what the brokerage says now.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare the brokerage's book with the rows."""
    session = session_of(ctx, as_json)
    wiring = Wiring.of(session.settings, session.engine, session.redis)
    brokerages = wiring.brokerages(wiring.budgets("reconciler"))
    document = acts.reconcile(Reconciler(session.desk, brokerages), fix=fix)
    session.show(document | {"announced": session.announce()}, render.reconciled)
    if document["unread"]:
        raise typer.Exit(UNREACHABLE)
    if document["mismatches"] and not fix:
        raise typer.Exit(NO)


def record(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option(help="The folder to write into.")],
    as_json: JsonOption = False,
) -> None:
    """Dump the streams as a fixture that replays and tests read."""
    session = session_of(ctx, as_json)
    session.show(acts.record(session.redis, session.settings.stack.partitions, out), render.recorded)


# ---------------------------------------------------------------- dead letters


@_dead.command("list")
def dead_list(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Those that nobody has decided about."""
    session = session_of(ctx, as_json)
    session.show(letters.waiting(session.engine), render.dead_letters)


@_dead.command("show")
def dead_show(ctx: typer.Context, number: _NumberArgument, as_json: JsonOption = False) -> None:
    """One of them whole, with its body."""
    session = session_of(ctx, as_json)
    session.show(_found(lambda: letters.show(session.engine, session.redis, number)), render.dead_letter)


@_dead.command("requeue")
def dead_requeue(
    ctx: typer.Context, number: _NumberArgument, reason: ReasonOption = "", as_json: JsonOption = False
) -> None:
    """Put it back at the end of its stream: what stopped it is mended."""
    session = session_of(ctx, as_json)
    document = _found(lambda: letters.requeue(session.engine, session.redis, number, reason, session.person))
    session.show(document, render.decided_letter)


@_dead.command("drop")
def dead_drop(ctx: typer.Context, number: _NumberArgument, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Give it up for good; its row stays."""
    session = session_of(ctx, as_json)
    document = _found(lambda: letters.drop(session.engine, session.redis, number, reason, session.person))
    session.show(document, render.decided_letter)


def _found(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what *act* says; what is not there, or decided already, is a no."""
    try:
        return act()
    except (UnknownDeadLetter, letters.AlreadyDecided, letters.NothingToRequeue) as e:
        typer.echo(f"gapless: {e}", err=True)
        raise typer.Exit(NO) from e
