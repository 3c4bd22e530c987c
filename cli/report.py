"""The report of a run: what was decided, ordered, filled and held, and the proof that no limit was passed.

Its keys and types are an interface: others read it. Everything comes from rows. ``_pct`` values are strings with
two places, as money is. The digest stands for what was decided and what came of it: the same input gives the same
digest, whatever names the brokerage gave to orders and executions and however long things took.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from cli.plain import plain
from db import dead_letters, drift, latencies, limits, views
from db.views import Rows

DECISION: Final = ("recommendation", "account", "outcome", "checks", "refusals")
CHECK: Final = ("gate", "passed", "observed", "allowed", "source", "age_s")
ORDER: Final = (
    *("order_id", "client_order_id", "account", "position_id", "recommendation", "symbol", "side", "intent", "qty"),
    *("type", "limit_price", "status", "filled_qty", "submitted_at", "ended_at", "reject_code"),
)
FILL: Final = ("fill_id", "execution_id", "order_id", "account", "symbol", "side", "qty", "price", "at")
POSITION: Final = (
    *("position_id", "account", "symbol", "strategy", "multiplier", "qty", "max_qty", "entry_price", "exit_price"),
    *("opened_at", "closed_at", "exit_reason", "realized_pnl_usd", "max_favorable_pct", "max_adverse_pct"),
    "close_blocked",
)
LIMITS: Final = limits.NAMES
ACCOUNT: Final = ("account", "limits", "peak_positions", "peak_exposure_usd", "realized_pnl_usd", "state")


def report(tx: Connection) -> dict[str, Any]:
    """Return the whole report as JSON types; read it in one transaction that sees one moment."""
    decisions, orders = views.decisions(tx), views.orders(tx)
    fills, positions = views.fills(tx), views.positions(tx)
    document = {
        "recommendations": views.recommendations_read(tx),
        "dead_letters": dead_letters.count(tx),
        "breaches": views.breaches(tx),
        "drift": drift.all_of(tx),
        "digest": digest(decisions, orders, fills, positions),
        "decisions": only([_with_plain_checks(row) for row in decisions], DECISION),
        "orders": only(orders, ORDER),
        "fills": only(fills, FILL),
        "positions": only(positions, POSITION),
        "accounts": only(with_limits(views.accounts(tx)), ACCOUNT),
        "gap": {"fill_to_position_ms": latencies.percentiles(tx, "fill_to_position_ms")},
        "latency": {
            name: latencies.percentiles(tx, name) for name in ("recommendation_to_order_ms", "tick_to_decision_ms")
        },
    }
    found: dict[str, Any] = plain(document)
    return found


def only(rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> Rows:
    """Return *rows* with *keys*, in that order."""
    return [{key: row[key] for key in keys} for row in rows]


def _with_plain_checks(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return *row* with the checks of the report; ``explain`` tells their codes too."""
    return dict(row) | {name: only(row[name], CHECK) for name in ("checks", "refusals")}


def with_limits(rows: Rows) -> Rows:
    """Gather the limits of each account under one key."""
    return [row | {"limits": {key: row[key] for key in LIMITS}} for row in rows]


# ---------------------------------------------------------------- the digest

#: What an order is known by apart from ids that the brokerage's own ids went into.
_TRAITS: Final = ("account", "symbol", "side", "intent", "reason", "qty")


def digest(decisions: Rows, orders: Rows, fills: Rows, positions: Rows) -> str:
    """Return the SHA-256 of what was decided and what came of it, in canonical JSON."""
    order_names = _order_names(orders)
    position_names = _position_names(orders, order_names)
    canonical = {
        "decisions": _sorted(_decision(row) for row in decisions),
        "orders": _sorted(_order(row, order_names, position_names) for row in orders),
        "fills": _sorted(_fill(row, order_names) for row in fills),
        "positions": _sorted(_position(row, position_names) for row in positions),
    }
    return hashlib.sha256(_canonical(canonical).encode()).hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _sorted(rows: Any) -> list[Any]:
    return sorted(rows, key=_canonical)


def _order_names(orders: Rows) -> dict[Any, str]:
    """Name each order. Ours are derived from their cause; those that others placed are counted in order of time.

    The id of an order that somebody else placed is derived from the brokerage's id, which differs from run to run.
    """
    names = {row["order_id"]: str(row["order_id"]) for row in orders if not row["external"]}
    foreign = (row for row in orders if row["external"])
    in_time = sorted(foreign, key=lambda row: (row["approved_at"], *(str(row[trait]) for trait in _TRAITS)))
    return names | {row["order_id"]: f"external {number}" for number, row in enumerate(in_time, start=1)}


def _position_names(orders: Rows, order_names: Mapping[Any, str]) -> dict[Any, str]:
    """Name each position by the first order that opens it: ours if there is one."""
    openings = [row for row in orders if row["intent"] in ("buy_to_open", "sell_to_open")]
    ours_first = sorted(openings, key=lambda row: (row["external"], order_names[row["order_id"]]))
    names: dict[Any, str] = {}
    for row in ours_first:
        names.setdefault(row["position_id"], f"opened by {order_names[row['order_id']]}")
    return names


def _decision(row: Mapping[str, Any]) -> dict[str, Any]:
    """Without the ages of what was observed: they tell how long the answer travelled."""
    checks = [{key: value for key, value in check.items() if key != "age_s"} for check in row["checks"]]
    return {key: row[key] for key in ("recommendation", "account", "outcome")} | {"checks": checks}


def _order(row: Mapping[str, Any], order_names: Mapping[Any, str], position_names: Mapping[Any, str]) -> dict[str, Any]:
    stable = {key: row[key] for key in ORDER if key not in ("order_id", "client_order_id", "position_id")}
    return stable | {"order": order_names[row["order_id"]], "position": position_names.get(row["position_id"])}


def _fill(row: Mapping[str, Any], order_names: Mapping[Any, str]) -> dict[str, Any]:
    stable = {key: row[key] for key in FILL if key not in ("fill_id", "execution_id", "order_id")}
    return stable | {"order": order_names[row["order_id"]], "cum_qty": row["cum_qty"]}


def _position(row: Mapping[str, Any], position_names: Mapping[Any, str]) -> dict[str, Any]:
    stable = {key: row[key] for key in POSITION if key != "position_id"}
    return stable | {"position": position_names.get(row["position_id"])}
