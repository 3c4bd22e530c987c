"""``gapless flatten``: out of everything an account holds, with whatever still works.

With the database the rows say what is to be left, and who sends it. Without it, or with ``--direct``, the command goes
straight to the brokerage with the account's own keys (ADR 0019).

Exit codes: 0 done (straight: flat); 1 something is left, the document says what; 2 wrong usage, or refused keys; 3 the
brokerage cannot be read.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Group
from rich.text import Text
from sqlalchemy.exc import DBAPIError

from cli import acts, render, sending
from cli.cells import UNKNOWN, table
from cli.credentials import endpoints_of, keys_of
from cli.options import JsonOption, ReasonOption, known_account, session_of
from cli.plain import plain
from cli.session import Session, Unreachable
from cli.settings import BadConfiguration
from cli.supervisor import CANNOT_SERVE
from db.schema import WrongSchema
from domain.ids import AccountName

log = logging.getLogger(__name__)

NO, WRONG_USAGE, UNREACHABLE = 1, 2, 3
#: Why the rows cannot be had.
NO_ROWS: Final = (DBAPIError, OSError, Unreachable, *CANNOT_SERVE)
#: How long a request of the direct way may take: a hanging one holds the others back.
MOST_TIMEOUT_S: Final = 5.0
AUDIT: Final = "flatten.jsonl"

Document = dict[str, Any]


def flatten(
    ctx: typer.Context,
    account: Annotated[str, typer.Argument(help="The account.")],
    confirm: Annotated[str | None, typer.Option(help="The account's name again, instead of typing it.")] = None,
    reason: ReasonOption = "flatten",
    direct: Annotated[bool, typer.Option("--direct", help="Straight at the brokerage, whatever the rows say.")] = False,
    within: Annotated[float, typer.Option(min=1, max=600, help="Seconds after which it says what is left.")] = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Close every position of an account at the market and let nothing open again; also without any server of ours."""
    session = session_of(ctx, as_json)
    why_not = "--direct" if direct else session.settings_trouble or _no_rows(session)
    name = _of_settings(session, account) if why_not else known_account(session, account)
    if why_not is not None:
        typer.echo(f"gapless: straight at the brokerage ({session.settings.brokerage.mode}): {why_not}", err=True)
    typed = confirm if confirm is not None else typer.prompt(f"Type {name} to close all it holds", err=True)
    if typed != name:
        raise typer.BadParameter(f"confirm: {name!r} is expected, was {typed!r}; nothing was done")
    acts.require_reason(reason)
    if why_not is None:
        try:
            return _by_rows(session, name, reason, within)
        except NO_ROWS as e:
            why_not = _line(e)
    _straight(session, name, reason, why_not, within)
    return None


def _no_rows(session: Session) -> str | None:
    """Return why the rows cannot be had, None when they can."""
    try:
        with session.engine.connect():
            return None
    except WrongSchema as e:
        raise BadConfiguration(f"{e}; `flatten --direct` goes straight to the brokerage") from e
    except NO_ROWS as e:
        return _line(e)


def _line(error: BaseException) -> str:
    said = getattr(error, "orig", None) or error
    return next(iter(str(said).splitlines()), "") or type(error).__name__


def _of_settings(session: Session, name: str) -> AccountName:
    names = session.settings.account_names()
    if name not in names:
        raise typer.BadParameter(f"account: one of {', '.join(names)} is expected, was {name!r}")
    return AccountName(name)


# ---------------------------------------------------------------- by rows


def _by_rows(session: Session, name: AccountName, reason: str, within_s: float) -> None:
    """Write what is to be left; send it here if no executor lives."""
    document = acts.flatten(session.desk, name, reason, session.person, session.settings.policy_of)
    announced = session.announce()
    done = sending.send(session.desk, session.settings, name, within_s)
    session.show(document | {"direct": False, "announced": announced, **done}, render.flattened)
    if done["left"]:
        raise typer.Exit(NO)


# ---------------------------------------------------------------- straight at the brokerage


def _straight(session: Session, name: AccountName, reason: str, because: str, within_s: float) -> None:
    from actors.way_out import WayOut
    from brokerage.alpaca_rest import AlpacaBrokerage
    from brokerage.budget import RateBudget
    from brokerage.port import NotAuthorized

    asked = session.settings.brokerage
    keys, urls = keys_of(session.settings, name), endpoints_of(session.settings)
    budget = RateBudget(trading_per_minute=asked.requests_per_minute, data_per_minute=1, reserved_for_exits=0)
    brokerage = AlpacaBrokerage(keys, urls, min(asked.timeout_s, MOST_TIMEOUT_S), budget.exits)
    audit = Audit(session.settings.servers.data_dir / AUDIT, name)
    audit("flatten", {"by": session.person, "reason": reason, "because": because, "mode": asked.mode})
    try:
        outcome = WayOut(name, brokerage, within_s, audit).take()
    except NotAuthorized as e:
        audit("refused", {"error": str(e)})
        raise BadConfiguration(f"accounts.{name}: the brokerage refuses its keys: {e}") from e
    finally:
        brokerage.close()
    done = asdict(outcome)
    flat = done.pop("is_flat")
    document = plain({"account": name, "direct": True, "because": because, "flat": flat, **done, "audit": audit.place})
    session.show(document, shown)
    if flat is not True:
        raise typer.Exit(UNREACHABLE if flat is None else NO)


@dataclass(frozen=True, slots=True)
class Audit:
    """What was done, a JSON object a line, for the owner's eyes alone; a disk that is full stops nothing."""

    path: Path
    account: AccountName

    @property
    def place(self) -> str:
        return str(self.path)

    def __call__(self, act: str, what: Mapping[str, Any]) -> None:
        line = json.dumps(plain({"at": datetime.now(UTC), "account": self.account, "act": act, **what}))
        log.warning("%s", line)
        try:
            self._append(f"{line}\n".encode())
        except OSError as e:
            log.warning("the audit %s could not be written: %s", self.path, e)

    def _append(self, line: bytes) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line)
            with suppress(OSError):
                os.fsync(file)
        finally:
            os.close(file)


def shown(document: Document) -> Group:
    rows: list[tuple[Any, ...]] = [
        (c["symbol"], c["unfilled_qty"], f"order to {c['side']} canceled") for c in document["canceled"]
    ]
    rows += [
        (c["symbol"], c["qty"], f"{c['side']} to close: {c['status']}, {c['filled_qty']} filled")
        for c in document["closed"]
    ]
    rows += [(left["symbol"], left["qty"], Text(f"LEFT: {left['why']}", style="bold")) for left in document["left"]]
    title = f"{document['account']}: straight at the brokerage"
    flat = {True: "nothing is held and no order is open", False: "not everything is left yet", None: UNKNOWN}
    said = f"{flat[document['flat']]}; {document['trouble']}" if document["trouble"] else flat[document["flat"]]
    warned = "No row was written: actors that run elsewhere may open again, and their reconciler finds what was done."
    notes = (said, f"Why so: {document['because']}", warned, f"Written to {document['audit']}")
    return Group(table(title, ("symbol", ">qty", ""), rows), *map(Text, notes))
