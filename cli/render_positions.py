"""Open positions for people: two lines each with what matters now, and the way to every rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from cli.cells import UNKNOWN, age, clock, pct, price, short, table, when, word
from cli.render_report import left_by
from cli.standing import rules_of

Document = dict[str, Any]
Row = Mapping[str, Any]


#: Two lines a position: the heads say what stands above what.
_COLUMNS = (
    "id\naccount",
    "symbol\nqty, age",
    ">entry\nnow",
    ">best %\nworst %",
    "next by price\nnext by time",
    "state\nlooked at",
)


def positions(document: Document) -> Table:
    """Prices a share; of the rules the one that a price meets first, and the one that time does."""
    rows = (
        (
            f"{short(row['position_id'])}\n{row['account']}",
            f"{row['symbol']}\n{row['qty']}, {age(row['age_s'])}",
            f"{price(row['entry_price'])}\n{_price(row)}",
            f"{pct(row['max_favorable_pct'])}\n{pct(row['max_adverse_pct'])}",
            _next(row),
            _state(row),
        )
        for row in document["items"]
    )
    return table("Positions", _COLUMNS, rows)


def with_rules(document: Document) -> Group:
    """The list, and of each open position where every rule stands that is on."""
    return Group(positions(document), *(_rules(row) for row in document["items"] if row["rules"]))


def _price(row: Row) -> str:
    """The side, or how old it is: what is old fires no rule."""
    if row["closed_at"] is not None:
        return price(row["exit_price"])
    if row["price"] is None:
        return UNKNOWN
    old = f"{age(row['price_age_s'])} old" if row["price_is_old"] else row["price_side"]
    return f"{price(row['price'])} {old}"


def _next(row: Row) -> str:
    if row["next_rule"] is None:
        return ""
    rules = {rule["rule"]: rule for rule in row["rules"]}
    first, then = rules.get(row["next_rule"]["price"]), rules.get(row["next_rule"]["time"])
    is_unseen = row["price"] is None or row["price_is_old"] or row["price_disputed_since"]
    return f"{_way(first) if first else UNKNOWN if is_unseen else '-'}\n{_time(then) if then else '-'}"


def _way(rule: Row) -> str:
    return f"{rule['rule']} {signed(rule['distance'])} ({pct(rule['distance_pct'])}%)"


def _time(rule: Row) -> str:
    return f"{rule['rule']} now" if rule["state"] == "due" else f"{rule['rule']} in {age(rule['left_s'])}"


def signed(distance: str | None) -> str:
    """Return a move of the price with its direction."""
    if distance is None:
        return UNKNOWN
    shown = price(distance)
    return shown if shown.startswith("-") else f"+{shown}"


def _state(row: Row) -> str:
    if row["closed_at"] is not None:
        return left_by(row)
    state = left_by(row) if row["state"] == "open" else _leaving(row)
    disputed = ", price disputed" if row["price_disputed_since"] else ""
    return f"{state}{disputed}\n{_looked(row)}"


def _leaving(row: Row) -> str:
    tries = "" if row["close_blocked"] is None else f", tried {row['close_blocked']} x"
    return f"{row['state']} ({word(row['triggered_rule'])}{tries})"


def _looked(row: Row) -> str:
    """When somebody looked last; silence beyond what is due is said."""
    ago = "never" if row["looked_age_s"] is None else f"{age(row['looked_age_s'])} ago"
    return f"OVERDUE, {ago}" if row["is_overdue"] else ago


def _rules(row: Row) -> Table:
    title = f"{short(row['position_id'])} {row['symbol']}: policy {row['policy_version']}"
    title += f"\nlooked at: {_looked(row)} by {row['evaluator'] or 'nobody'}, next due {when(row['due_at'])}"
    if row["price_at"] is not None:
        title += f"\n{row['price_side']} {price(row['price'])}: {row['price_source']}, {age(row['price_age_s'])} ago"
    found = (
        (
            rule["rule"],
            Text(rule["state"], style="bold" if rule["state"] == "due" else ""),
            "" if rule["level"] is None else price(rule["level"]),
            "" if rule["distance"] is None else signed(rule["distance"]),
            "" if rule["distance_pct"] is None else pct(rule["distance_pct"]),
            "" if rule["at"] is None or rule["state"] == "due" else f"{age(rule['left_s'])}, {clock(rule['at'])}",
            _detail(rule),
        )
        for rule in rules_of(row)
    )
    return table(title, ("rule", "state", ">level", ">distance", ">%", "in, New York", ""), found)


def _detail(rule: Row) -> str:
    armed = "" if rule["arms_at"] is None else f"at {price(rule['arms_at'])}, "
    return f"{armed}{rule['detail'] or ''}"
