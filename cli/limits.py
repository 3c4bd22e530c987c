"""``gapless limits``: what an account may bind, who changed that and when, and overrides that end by themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final

import typer
from rich.console import Group

from cli import limit_acts
from cli.cells import table, when
from cli.options import JsonOption, ReasonOption, known_account, maybe_account, session_of
from cli.session import Session
from db import limits
from db.limits import LONGEST_OVERRIDE
from db.views import one_moment

app = typer.Typer(no_args_is_help=True, help="Limits: what counts, its history, and overrides that end.")

AccountArgument = Annotated[str, typer.Argument(help="The account.")]
LimitArgument = Annotated[str, typer.Argument(help=f"One of {', '.join(limits.NAMES)}.")]
ValueArgument = Annotated[str, typer.Argument(help="Its value; `off` for a drawdown limit.")]

_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


@app.command()
def show(
    ctx: typer.Context,
    account: Annotated[str | None, typer.Argument(help="Only this account.")] = None,
    history: Annotated[bool, typer.Option("--history", help="Who changed what, and when.")] = False,
    as_json: JsonOption = False,
) -> None:
    """What counts now, what the row and the file say, and what overrides it until when."""
    session = session_of(ctx, as_json)
    name = maybe_account(session, account)
    with one_moment(session.engine) as tx:
        document = limit_acts.show(tx, session.settings, session.clock(), name, history=history)
    session.show(document, _shown)


@app.command("set")
def set_limit(
    ctx: typer.Context,
    account: AccountArgument,
    limit: LimitArgument,
    value: ValueArgument,
    reason: ReasonOption,
    as_json: JsonOption = False,
) -> None:
    """Change a limit until the next start, when the file's value counts again; write it there to keep it."""
    session = session_of(ctx, as_json)
    name = known_account(session, account)
    asked = None if value == "off" else _decimal(value)
    _done(session, lambda: limit_acts.set_limit(session.desk, name, _named(limit), asked, reason, session.person))


@app.command()
def override(
    ctx: typer.Context,
    account: AccountArgument,
    limit: LimitArgument,
    value: ValueArgument,
    reason: ReasonOption,
    lasting: Annotated[str | None, typer.Option("--for", help="For so long: 90m, 4h or 2d, at most 7d.")] = None,
    until: Annotated[str | None, typer.Option(help="Until this moment: 2026-02-03T21:00:00Z.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Let another value count for a while; it ends by itself, through restarts, and is never permanent."""
    session = session_of(ctx, as_json)
    name, now = known_account(session, account), session.clock()
    end = _end(lasting, until, now)
    _done(
        session,
        lambda: limit_acts.override(
            session.desk, name, _named(limit), _decimal(value), until=end, reason=reason, by=session.person
        ),
    )


@app.command()
def lift(
    ctx: typer.Context,
    account: AccountArgument,
    limit: LimitArgument,
    reason: ReasonOption,
    as_json: JsonOption = False,
) -> None:
    """End an override before its time."""
    session = session_of(ctx, as_json)
    name = known_account(session, account)
    _done(session, lambda: limit_acts.lift(session.desk, name, _named(limit), reason, session.person))


# ---------------------------------------------------------------- what was typed


def _named(limit: str) -> str:
    if limit not in limits.NAMES:
        raise typer.BadParameter(f"limit: one of {', '.join(limits.NAMES)} is expected, was {limit!r}")
    return limit


def _decimal(value: str) -> Decimal:
    try:
        found = Decimal(value)
    except InvalidOperation as e:
        raise typer.BadParameter(f"value: a number is expected, was {value!r}") from e
    if not found.is_finite():
        raise typer.BadParameter(f"value: a finite number is expected, was {value!r}")
    return found


def _end(lasting: str | None, until: str | None, now: datetime) -> datetime:
    """Return the end of an override, or end with wrong usage: there is none without an end."""
    if (lasting is None) == (until is None):
        raise typer.BadParameter("say either --for or --until: no override is permanent")
    end = now + _span(lasting) if lasting is not None else _moment(until or "")
    if not now < end <= now + LONGEST_OVERRIDE:
        raise typer.BadParameter(f"until: after {now} and within {LONGEST_OVERRIDE.days} days, was {end}")
    return end


def _span(lasting: str) -> timedelta:
    number, unit = lasting[:-1], lasting[-1:]
    if not (number.isascii() and number.isdigit() and len(number) < len("100000")) or unit not in _UNITS:
        raise typer.BadParameter(f"--for: such as 90m, 4h or 2d, was {lasting!r}")
    return int(number) * _UNITS[unit]


def _moment(until: str) -> datetime:
    try:
        found = datetime.fromisoformat(until)
    except ValueError as e:
        raise typer.BadParameter(f"--until: a time such as 2026-02-03T21:00:00Z, was {until!r}") from e
    if found.tzinfo is None:
        raise typer.BadParameter(f"--until: a time with its zone, such as 2026-02-03T21:00:00Z, was {until!r}")
    return found.astimezone(UTC)


# ---------------------------------------------------------------- what is answered


def _done(session: Session, act: Callable[[], dict[str, Any]]) -> None:
    document = act()
    session.show(document | {"announced": session.announce()}, _changed)


def _changed(document: Mapping[str, Any]) -> str:
    end = f", until {when(document['until'])}" if document["until"] else ""
    said = f"{document['account']} {document['limit']}: {document['before']} -> {document['after']}{end}"
    return said if document["changed"] else f"{said} (it was so already)"


def _shown(document: Mapping[str, Any]) -> Group:
    tables = []
    for item in document["items"]:
        rows = (
            (row["limit"], _or_off(row["in_force"]), _or_off(row["configured"]), _or_off(row["file"]), _overridden(row))
            for row in item["limits"]
        )
        columns = ("limit", ">in force", ">row", ">file", "override")
        tables.append(table(item["account"], columns, rows))
        if item["history"] is not None:
            told = (
                (when(h["at"]), h["by"], h["limit"], f"{h['before']} -> {h['after']}", h["reason"])
                for h in item["history"]
            )
            tables.append(table("history", ("at", "by", "limit", "change", "reason"), told))
    return Group(*tables)


def _or_off(value: Any) -> str:
    return "off" if value is None else str(value)


def _overridden(row: Mapping[str, Any]) -> str:
    found = row["override"]
    return f"until {when(found['until'])} by {found['by']}: {found['reason']}" if found else "-"
