"""``gapless why-nothing``: an idle day explained, by what stood in the way, in the order in which to look.

The document counts every (recommendation, account) once: approved, refused or not decided yet; and says what is wrong
with accounts, actors, the market and the streams. ``answers`` are the sentences that a person needs first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, time, timedelta
from typing import Annotated, Any, Final

import typer
from rich.console import Group
from rich.text import Text
from sqlalchemy import Connection

from cli import documents
from cli.cells import age, table, when
from cli.options import AccountOption, JsonOption, maybe_account, session_of
from cli.plain import age_s, plain
from cli.session import Session
from cli.wiring import ACTORS
from db import heartbeats, reasons
from db.views import one_moment
from domain.session import NEW_YORK, trading_day

Document = dict[str, Any]

#: An actor that has not shown life for so long is not running.
SILENT: Final = timedelta(seconds=30)


def why_nothing(
    ctx: typer.Context,
    account: AccountOption = None,
    since: Annotated[str | None, typer.Option(help="From this moment on: 2026-02-03T14:30:00Z. Else today.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Why nothing was bought: what was read, what refused it, and what does not run."""
    session = session_of(ctx, as_json)
    name = maybe_account(session, account)
    now = session.clock()
    start = _midnight(now) if since is None else _moment(since)
    with one_moment(session.engine) as tx:
        document = why(tx, session, name, start, now)
    session.show(document, render)


def why(tx: Connection, session: Session, account: str | None, since: datetime, now: datetime) -> Document:
    """Return everything that stood in the way since *since*, of one account or of all."""
    undecided = reasons.undecided(tx, account)
    found = {
        "as_of": now,
        "since": since,
        "account": account,
        "session": documents.session(tx, now),
        "outcomes": reasons.outcomes(tx, since, account) | {"undecided": len(undecided)},
        "refusals": reasons.refusals(tx, since, account),
        "undecided": undecided,
        "openings": reasons.openings(tx, since, account),
        "unreadable": reasons.unreadable(tx, since),
        "accounts": [
            _account(row) for row in documents.accounts(tx, now)["items"] if account in (None, row["account"])
        ],
        "actors": _actors(tx, session),
    }
    document: Document = plain(found)
    return document | {"answers": list(_answers(document))}


def _account(row: Mapping[str, Any]) -> Document:
    return {key: row[key] for key in ("account", "state", "state_reason", "interlocks", "latched")}


def _actors(tx: Connection, session: Session) -> list[Document]:
    """Return each actor that must run, and how long ago it showed life; null is never."""
    seen, wall = heartbeats.latest(tx), session.desk.wall()
    return [{"actor": actor, "age_s": age_s(seen.get(actor), wall)} for actor in ACTORS]


# ---------------------------------------------------------------- answers


def _answers(document: Mapping[str, Any]) -> Iterator[str]:
    """Say what to look at, first things first; an empty list means that nothing stands in the way."""
    yield from _of_stack(document)
    yield from _of_accounts(document["accounts"])
    yield from _of_recommendations(document)
    yield from _of_openings(document["openings"])


def _of_stack(document: Mapping[str, Any]) -> Iterator[str]:
    for actor in document["actors"]:
        if actor["age_s"] is None:
            yield f"{actor['actor']} has never run"
        elif actor["age_s"] > SILENT.total_seconds():
            yield f"{actor['actor']} is not running: last seen {age(actor['age_s'])} ago"
    if document["session"]["state"] != "open":
        yield f"the market: {document['session']['state']}"


def _of_accounts(rows: list[Document]) -> Iterator[str]:
    for row in rows:
        if row["state"] != "active":
            yield f"{row['account']} is {row['state']}: {row['state_reason']}"
        for kind in row["latched"]:
            yield f"{row['account']}: {kind.replace('_', ' ')} is latched"


def _of_recommendations(document: Mapping[str, Any]) -> Iterator[str]:
    counts, dead = document["outcomes"], document["unreadable"]
    if not counts["recommendations"] and not counts["undecided"]:
        yield f"no recommendation was read since {when(document['since'])}"
    if counts["undecided"]:
        yield f"{counts['undecided']} were read and are not decided yet"
    for letter in dead:
        yield f"{letter['count']} could not be read: {letter['reason']}"
    for row in document["refusals"]:
        alone = f", {row['alone']} by this alone" if row["alone"] else ""
        said = f"{row['gate'].replace('_', ' ')} refused {row['count']} of {counts['refused']} refusals{alone}"
        yield f"{said}; last: observed {row['observed']}, allowed {row['allowed']}"


def _of_openings(rows: list[Document]) -> Iterator[str]:
    for row in rows:
        unfilled = row["count"] - row["filled"]
        if unfilled:
            code = f" ({row['reject_code']})" if row["reject_code"] else ""
            yield f"{unfilled} approved without a fill: {row['status']}{code}"


# ---------------------------------------------------------------- for people


def render(document: Mapping[str, Any]) -> Group:
    counts = document["outcomes"]
    said = f"since {when(document['since'])}: {counts['recommendations']} recommendations decided, "
    said += f"{counts['approved']} approved, {counts['refused']} refused, {counts['undecided']} undecided"
    rows = (
        (row["gate"].replace("_", " "), row["count"], row["alone"], row["observed"], row["allowed"])
        for row in document["refusals"]
    )
    answers = [Text(f"- {answer}") for answer in document["answers"]] or [Text("nothing stands in the way")]
    refused = table("Refusals by check", ("check", ">times", ">alone", "last observed", "allowed"), rows)
    return Group(Text(said, style="bold"), *answers, refused)


def _midnight(now: datetime) -> datetime:
    return datetime.combine(trading_day(now), time(0), NEW_YORK).astimezone(now.tzinfo)


def _moment(since: str) -> datetime:
    try:
        found = datetime.fromisoformat(since)
    except ValueError as e:
        raise typer.BadParameter(f"--since: a time such as 2026-02-03T14:30:00Z, was {since!r}") from e
    if found.tzinfo is None:
        raise typer.BadParameter(f"--since: a time with its zone, such as 2026-02-03T14:30:00Z, was {since!r}")
    return found
