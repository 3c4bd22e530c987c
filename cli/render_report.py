"""The report for people: what a trader asks first stands first, in a hundred columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from cli.cells import ms, pct, price, table, usd, used, word

Document = dict[str, Any]

#: The longest list of refusals that is still read; every one can be asked for.
_REFUSALS: Final = 20


def render_report(document: Document) -> Group:
    """Dollars by account, positions with their reasons, refusals with what was seen, the gap, and the verdict."""
    return Group(
        _accounts(document),
        *(_positions(account["account"], document) for account in document["accounts"]),
        _refusals(document),
        _times(document),
        _verdict(document),
    )


def _accounts(document: Document) -> Table:
    rows = (
        (
            account["account"],
            usd(account["realized_pnl_usd"]),
            used(account["peak_positions"], account["limits"]["max_positions"]),
            used(usd(account["peak_exposure_usd"]), usd(account["limits"]["max_exposure_usd"])),
            account["state"],
        )
        for account in document["accounts"]
    )
    columns = ("account", ">USD made", ">peak positions", ">peak exposure USD", "state")
    return table("Accounts", columns, rows)


def _positions(account: str, document: Document) -> Table:
    """One table an account: what it held at most, or holds still, and why it was left."""
    columns = ("symbol", ">qty", ">entry", ">exit", ">USD", ">best %", ">worst %", "left by")
    rows = (_position(row) for row in document["positions"] if row["account"] == account)
    return table(f"Positions of {account}", columns, rows)


def _position(row: Mapping[str, Any]) -> tuple[Any, ...]:
    is_open = row["closed_at"] is None
    return (
        row["symbol"],
        row["qty"] if is_open else row["max_qty"],
        price(row["entry_price"]),
        "-" if is_open else price(row["exit_price"]),
        usd(row["realized_pnl_usd"]),
        pct(row["max_favorable_pct"]),
        pct(row["max_adverse_pct"]),
        left_by(row),
    )


def left_by(row: Mapping[str, Any]) -> str:
    """Say why a position was left, or that it is held."""
    if row["close_blocked"] is not None:
        return f"closing, tried {row['close_blocked']} x"
    return word(row["exit_reason"]) if row["closed_at"] is not None else "open"


def _refusals(document: Document) -> Group:
    outcomes = Counter(decision["outcome"] for decision in document["decisions"])
    title = f"Decisions: {outcomes['approved']} approved, {outcomes['refused']} refused"
    rows = list(refusal_rows(document))
    shown = table(title, ("recommendation", "account", "refused by", "observed", "allowed"), rows[:_REFUSALS])
    more = len(rows) - _REFUSALS
    return Group(shown, Text(f"... and {more} more: gapless explain RECOMMENDATION" if more > 0 else ""))


def refusal_rows(document: Document) -> Iterator[tuple[Any, ...]]:
    for decision in document["decisions"]:
        for check in decision["refusals"]:
            yield (
                decision["recommendation"],
                decision["account"],
                check["gate"].replace("_", " "),
                check["observed"],
                check["allowed"],
            )


def _times(document: Document) -> Table:
    measured = {**document["gap"], **document["latency"]}
    rows = ((name, *(ms(found[p]) for p in ("p50", "p99", "max"))) for name, found in measured.items())
    return table("Times in ms", ("", ">p50", ">p99", ">max"), rows)


def _verdict(document: Document) -> Text:
    breaches, drift, dead = document["breaches"], len(document["drift"]), document["dead_letters"]
    calm = not breaches and not drift and not dead
    counts = f"{document['recommendations']} recommendations, {len(document['orders'])} orders"
    counts += f", {len(document['fills'])} fills; {breaches} breaches, {drift} drifts, {dead} dead letters"
    return Text(f"{counts}\ndigest {document['digest']}", style="" if calm else "bold red")
