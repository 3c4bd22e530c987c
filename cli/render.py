"""Every document for people: tables, short and calm. The JSON document is the whole; this is what one looks at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from cli.cells import UNKNOWN, age, price, short, table, usd, used, when, word
from cli.render_choice import choice
from cli.render_positions import positions, with_rules
from cli.render_report import left_by, render_report

Document = dict[str, Any]


# ---------------------------------------------------------------- lists


def accounts(document: Document) -> Group:
    rows = (
        (
            row["account"],
            row["state"],
            used(row["positions"], row["limits"]["max_positions"]),
            used(usd(row["exposure_usd"]), usd(row["limits"]["max_exposure_usd"])),
            usd(row["realized_pnl_usd"]),
            ", ".join(row["latched"]) or "free",
            age(row["reconciled_age_s"]),
        )
        for row in document["items"]
    )
    columns = ("account", "state", ">slots", ">exposure USD", ">USD made", "loss", ">reconciled")
    reasons = (
        f"{row['account']} is {row['state']} since {when(row['state_since'])}: {row['state_reason']}"
        for row in document["items"]
        if row["state"] != "active"
    )
    return Group(table("Accounts", columns, rows), *(Text(reason) for reason in reasons))


def orders(document: Document) -> Table:
    rows = (
        (
            short(row["order_id"]),
            row["account"],
            row["symbol"],
            row["intent"],
            used(row["filled_qty"], row["qty"]),
            row["limit_price"] or row["type"],
            _fate(row),
            when(row["approved_at"]),
        )
        for row in document["items"]
    )
    columns = ("id", "account", "symbol", "intent", ">filled", ">price", "status", "approved")
    return table("Orders", columns, rows)


def _fate(row: Mapping[str, Any]) -> str:
    return f"{row['status']}\n{row['reject_code']}" if row["reject_code"] else str(row["status"])


def fills(document: Document) -> Table:
    rows = (
        (
            short(row["order_id"]),
            row["account"],
            row["symbol"],
            row["side"],
            row["qty"],
            price(row["price"]),
            row["source"],
            when(row["at"]),
        )
        for row in document["items"]
    )
    columns = ("order", "account", "symbol", "side", ">qty", ">price", "source", "at")
    return table("Fills", columns, rows)


def streams(document: Document) -> Table:
    rows = (
        (
            row["stream"],
            row["group"],
            row["length"],
            row["pending"],
            "caught up" if row["caught_up"] else f"behind {age(_seconds(row['oldest_age_ms']))}",
            row["last_id"],
        )
        for row in document["items"]
    )
    return table("Streams", ("stream", "group", ">length", ">pending", "progress", "last id"), rows)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


# ---------------------------------------------------------------- one thing


def explain(document: Document) -> Group:
    if not document["items"]:
        waits = f"read, and not decided yet in {', '.join(document['undecided'])}" if document["undecided"] else ""
        return Group(Text(waits or "no decision: nobody has read such a recommendation"))
    return Group(*(part for row in document["items"] for part in (_decision(row), *choice(row))))


def _decision(row: Mapping[str, Any]) -> Table:
    title = f"{row['recommendation']} in {row['account']}: {row['outcome']} at {when(row['at'])}"
    title += f" by code {word(row['code_version'])}, configuration {word(row['config_hash'])}; {row['sizing']}"
    rows = (
        (
            "ok" if check["passed"] else Text("NO", style="bold red"),
            check["gate"].replace("_", " "),
            check["observed"],
            check["allowed"],
            check["source"],
            "-" if check["age_s"] is None else age(check["age_s"]),
        )
        for check in row["checks"]
    )
    return table(title, ("", "check", "observed", "allowed", "source", ">age"), rows)


def timeline(document: Document) -> Group:
    if not document["items"]:
        return Group(Text("no such position"))
    position = document["position"]
    rows = ((when(event["at"]), event["event"], _details(event)) for event in document["items"])
    life = table(f"Position {document['position_id']}", ("at", "event", ""), rows)
    return Group(life, Text(_stands(position) if position else "nothing of it has filled"))


def _details(event: Mapping[str, Any]) -> str:
    """Say what the event carries, without what is unknown or an id's tail."""
    told = {key: value for key, value in event.items() if key not in ("at", "event", "body") and value is not None}
    return ", ".join(f"{key} {short(value) if key.endswith('_id') else word(value)}" for key, value in told.items())


def _stands(row: Mapping[str, Any]) -> str:
    peak, trough = (word(row[key]) for key in ("peak", "trough"))
    result = f"{usd(row['realized_pnl_usd'])} USD realised"
    return f"{row['symbol']} {row['state']}: qty {row['qty']}, {result}, peak {peak}, trough {trough}, {left_by(row)}"


def verify(document: Document) -> Table | Text:
    if not document["mismatches"]:
        return Text("rows equal their history: no mismatch")
    rows = ((m["table"], m["id"], m["field"], m["says"], m["should_say"]) for m in document["mismatches"])
    return table("Mismatches", ("table", "row", "field", "says", "should say"), rows)


# ---------------------------------------------------------------- the whole


def status(document: Document) -> Group:
    session = document["session"]
    clock = f"{document['mode']}, New York {session['new_york']}, session {session['state']}"
    if session["closes_in_s"] is not None:
        clock += f", closes in {age(session['closes_in_s'])}"
    beats = ((row["actor"], row["instance"], age(row["age_s"]), row["origin"]) for row in document["heartbeats"])
    return Group(
        Text(clock, style="bold"),
        accounts({"items": document["accounts"]}),
        streams({"items": document["streams"]}),
        table("Actors", ("actor", "instance", ">last beat", "runs"), beats),
        Text(_counts(document)),
    )


def _counts(document: Document) -> str:
    dead = document["dead_letters"]
    return (
        f"{document['open_positions']} open positions ({document['closes_blocked']} closes without a price), "
        f"{document['live_orders']} live orders, {document['outbox']} facts unpublished, "
        f"{document['undecided']} undecided, {dead['waiting']} dead letters waiting, "
        f"{len(document['drift'])} drifts, {document['breaches']} breaches"
    )


# ---------------------------------------------------------------- levers


def states(document: Document) -> Group:
    rows = (
        (row["account"], f"{row['before']} -> {row['state']}", row["reason"], row["by"]) for row in document["items"]
    )
    every = document["every_account"]
    still = "" if every == "active" else f"every account is {every}: `gapless resume --all` lifts that"
    return Group(table("Trading state", ("account", "state", "reason", "by"), rows), Text(still), _announced(document))


def flattened(document: Document) -> Group:
    rows: list[tuple[Any, ...]] = [(row["symbol"], row["qty"], _leaves(row)) for row in document["closing"]]
    rows += [(row["symbol"], row["unfilled_qty"], "entry is canceled") for row in document["canceling"]]
    rows += [(row["symbol"], row["qty"], Text(f"LEFT: {row['why']}", style="bold")) for row in document["left"]]
    title = f"{document['account']}: {document['before']} -> {document['state']}"
    senders = {
        "flatten": "no executor lives: sent from here",
        "nobody": "no executor lives: nothing is sent",
    }
    said = "; ".join(filter(None, (senders.get(document["sender"]), document["trouble"])))
    return Group(table(title, ("symbol", ">qty", ""), rows), Text(said), _announced(document))


def _leaves(row: Mapping[str, Any]) -> str:
    if row["waits"]:
        return f"the market is closed: it waits for the open, {when(row['opens_at'])}"
    return "closing" if row["order_id"] else "a close is under way already"


def _announced(document: Document) -> Text:
    return Text("" if document["announced"] else "streams are away: decided and written, announced when they are back")


def reconciled(document: Document) -> Group:
    rows = (
        (m["account"], m["symbol"], m["kind"], m["rows_qty"], m["broker_qty"], m["broker_price"] or "-")
        for m in document["mismatches"]
    )
    columns = ("account", "symbol", "kind", ">rows", ">brokerage", ">its price")
    unread = ", ".join(document["unread"])
    said = f"{UNKNOWN}: {unread} could not be read" if unread else "every account was read"
    fixed = "; what differs is brought to what the brokerage says" if document["fixed"] else ""
    return Group(table("Brokerage against rows", columns, rows), Text(said + fixed))


def recorded(document: Document) -> Text:
    return Text(f"{document['entries']} entries of {len(document['streams'])} streams in {document['file']}")


def dead_letters(document: Document) -> Table:
    rows = (
        (
            row["dead_id"],
            row["stream"],
            row["actor"],
            row["type"] or "-",
            row["account"] or "-",
            row["reason"],
            when(row["at"]),
        )
        for row in document["items"]
    )
    return table("Dead letters", (">no", "stream", "actor", "type", "account", "reason", "at"), rows)


def dead_letter(document: Document) -> Group:
    rows = ((key, value) for key, value in document.items() if key != "body")
    body = document["body"]
    return Group(table(f"Dead letter {document['dead_id']}", ("", ""), rows), Text(_readable(body)))


def _readable(body: str | None) -> str:
    if body is None:
        return "without a body"
    try:
        return json.dumps(json.loads(body), indent=1, ensure_ascii=False)
    except ValueError:
        return body


def decided_letter(document: Document) -> Text:
    return Text(f"dead letter {document['dead_id']}: {document['state']} by {document['by']}")


__all__ = [
    "accounts",
    "dead_letter",
    "dead_letters",
    "decided_letter",
    "explain",
    "fills",
    "flattened",
    "orders",
    "positions",
    "reconciled",
    "recorded",
    "render_report",
    "states",
    "status",
    "streams",
    "timeline",
    "verify",
    "with_rules",
]
