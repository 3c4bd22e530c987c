"""``gapless policy``: which exit policy each account gives to which strategy, and letting it govern what is held."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.text import Text
from sqlalchemy import Connection

from actors import policies as acts
from actors.desk import Desk
from cli.acts import require_reason
from cli.cells import short, table
from cli.options import AccountOption, JsonOption, ReasonOption, maybe_account, session_of
from cli.plain import plain
from cli.rulebook import Rulebook
from cli.session import Session
from cli.settings import Settings
from db import policies, positions, timeline
from db.policies import to_json
from db.positions import PositionRow
from domain.ids import AccountName
from domain.instrument import Kind

Document = dict[str, Any]

app = typer.Typer(no_args_is_help=True, help="Exit policies: which are in force, and which govern what is held.")


@app.command("show")
def show(ctx: typer.Context, account: AccountOption = None, as_json: JsonOption = False) -> None:
    """Every policy of the rules in force, and how many open positions are governed by another."""
    session = session_of(ctx, as_json)
    name = maybe_account(session, account)
    settings = _in_force(session)
    with session.engine.connect() as tx:
        document = shown(tx, settings, name)
    session.show(document | _which(session, settings), _shown)


@app.command("apply")
def apply(
    ctx: typer.Context,
    reason: ReasonOption,
    position: Annotated[str | None, typer.Option(help="Only this position: its id, or how it begins.")] = None,
    account: AccountOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Every open position.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Let the policies of the rules in force govern what is held; else it keeps what it was opened with."""
    session = session_of(ctx, as_json)
    if [position is not None, account is not None, everything].count(True) != 1:
        raise typer.BadParameter("name one of --position, --account and --all")
    require_reason(reason)
    settings = _in_force(session)
    document = applied(session.desk, settings, _meant(session, position, account), reason, session.person)
    document |= _which(session, settings) | {"announced": session.announce()}
    session.show(document, _applied)


def _in_force(session: Session) -> Settings:
    """Return the settings with the rules in force; before the first start they are those of the file."""
    return Rulebook(session.engine, session.settings).refresh()


def _which(session: Session, in_force: Settings) -> Document:
    """The rules that were used, and those of the command's file: `config apply` brings a file into force."""
    return {"rules_in_force": in_force.hash(), "rules_of_file": session.settings.hash()}


def _meant(session: Session, position: str | None, account: str | None) -> list[PositionRow]:
    name = maybe_account(session, account)
    with session.engine.connect() as tx:
        held = list(positions.all_open(tx, name))
        if position is None:
            return held
        found = set(timeline.find(tx, position))
    chosen = [row for row in held if row.position_id in found]
    if len(chosen) != 1:
        raise typer.BadParameter(f"position: {len(chosen)} open ones begin with {position!r}, one is expected")
    return chosen


# ---------------------------------------------------------------- documents


def shown(tx: Connection, settings: Settings, account: AccountName | None) -> Document:
    """Return each configured policy with its version, the version in force, and the open positions under another."""
    others: Counter[tuple[str, str, str]] = Counter()
    for row in positions.all_open(tx, account):
        configured = settings.policy_of(row.account, row.strategy, row.kind)
        if row.policy.version != configured.version:
            others[row.account, row.strategy, _section(row.kind)] += 1
    names = settings.account_names() if account is None else (account,)
    in_force = {name: policies.in_force(tx, name) for name in names}
    items = [
        {
            "account": name,
            "strategy": strategy,
            "kind": kind,
            "version": policy.version,
            "version_in_force": found.version if (found := in_force[name].get((strategy, kind))) else None,
            "positions_under_another": others[name, strategy, kind],
            "policy": to_json(policy),
        }
        for (name, strategy, kind), policy in settings.policies().items()
        if name in in_force
    ]
    document: Document = plain({"items": items})
    return document


def _section(kind: Kind) -> str:
    return "stock" if kind is Kind.STOCK else "option"


def applied(desk: Desk, settings: Settings, rows: list[PositionRow], reason: str, by: str) -> Document:
    """Let the configured policy govern each of *rows*; those that it governs already are left out of the answer."""
    done = [
        acts.apply(desk, row.position_id, settings.policy_of(row.account, row.strategy, row.kind), reason, by)
        for row in rows
    ]
    document: Document = plain({"items": [asdict(one) for one in done if one is not None], "looked_at": len(rows)})
    return document


# ---------------------------------------------------------------- for people


def _shown(document: Document) -> Group:
    rows = (
        (
            row["account"],
            row["strategy"],
            row["kind"],
            row["version"],
            "" if row["version"] == row["version_in_force"] else row["version_in_force"] or "none",
            row["positions_under_another"],
            _numbers(row["policy"]),
        )
        for row in document["items"]
    )
    columns = ("account", "strategy", "kind", "version", "in force", ">held under another", "rules: per cent, seconds")
    return Group(table("Exit policies", columns, rows), Text(_other_file(document)))


def _other_file(document: Document) -> str:
    if document["rules_in_force"] == document["rules_of_file"]:
        return ""
    return f"rules {document['rules_in_force']} are in force, the file says {document['rules_of_file']}: `config apply`"


def _numbers(policy: Document) -> str:
    said = {name: value for name, value in policy.items() if name != "version" and value not in (None, [])}
    return ", ".join(f"{name} {value}" for name, value in said.items())


def _applied(document: Document) -> Group:
    rows = (
        (
            short(row["position_id"]),
            row["account"],
            row["symbol"],
            f"{row['before_version']} -> {row['version']}",
            "\n".join(row["changes"]),
        )
        for row in document["items"]
    )
    left = document["looked_at"] - len(document["items"])
    said = f"{left} were governed so already" if left else "all that were meant"
    columns = ("position", "account", "symbol", "policy", "changes")
    return Group(table("Exit policies applied", columns, rows), Text(said), Text(_other_file(document)))
