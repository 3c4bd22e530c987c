"""One position's life as the rows tell it, in order of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from db import views
from db.views import Rows

#: At the same moment causes come before effects.
_RANK: Final = (
    *("recommended", "approved", "refused", "exit triggered", "order written", "sent", "accepted", "filled"),
    *("adjusted", "cancel asked", "order ended", "closed"),
)


def find(tx: Connection, prefix: str) -> Sequence[UUID]:
    """Return the positions, existing or only ordered, whose id begins with *prefix*."""
    statement = text(
        "SELECT DISTINCT position_id FROM (SELECT position_id FROM orders UNION ALL"
        " SELECT position_id FROM positions) AS ids WHERE position_id::text LIKE :prefix ORDER BY position_id"
    )
    literal = prefix.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return tx.execute(statement, {"prefix": f"{literal}%"}).scalars().all()


def of_position(tx: Connection, position_id: UUID) -> Rows:
    """Return what happened to the position, first things first; each event has ``at``, ``event`` and its own keys."""
    orders = views.orders(tx, position=position_id)
    positions = views.positions(tx, position=position_id)
    told = [
        *_reasons(tx, orders),
        *(event for order in orders for event in _of_order(order)),
        *(_of_fill(fill) for fill in views.fills(tx, position=position_id)),
        *(event for position in positions for event in _of_position(position)),
    ]
    return sorted(told, key=lambda event: (event["at"], _RANK.index(event["event"])))


def _event(at: datetime, event: str, **says: Any) -> dict[str, Any]:
    return {"at": at, "event": event, **says}


def _reasons(tx: Connection, orders: Rows) -> Iterator[dict[str, Any]]:
    """The recommendations that led to orders of the position, and what was decided about each in its account."""
    causes = dict.fromkeys((o["recommendation"], o["account"]) for o in orders if o["recommendation"])
    for recommendation, account in causes:
        issued = views.recommendation(tx, recommendation)
        if issued is not None:
            yield _event(issued["at"], "recommended", recommendation=recommendation, body=issued["body"])
        for decision in views.decisions(tx, recommendation):
            if decision["account"] == account:
                yield _event(
                    decision["at"],
                    decision["outcome"],
                    recommendation=recommendation,
                    sizing=decision["sizing"],
                    origin=decision["origin"],
                )


def _of_order(order: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    known = {"order_id": order["order_id"]}
    written = ("side", "intent", "qty", "type", "limit_price", "reason", "external")
    yield _event(order["approved_at"], "order written", **known, **{key: order[key] for key in written})
    for key, event in (("submitted_at", "sent"), ("accepted_at", "accepted"), ("cancel_asked_at", "cancel asked")):
        if order[key] is not None and not order["external"]:
            yield _event(order[key], event, **known)
    if order["ended_at"] is not None:
        end = {key: order[key] for key in ("status", "filled_qty", "reject_code", "reject_message")}
        yield _event(order["ended_at"], "order ended", **known, **end)


def _of_fill(fill: Mapping[str, Any]) -> dict[str, Any]:
    """An adjustment is an entry of ours without a trade behind it."""
    event = "adjusted" if fill["source"] == "adjustment" else "filled"
    keys = ("fill_id", "order_id", "side", "qty", "price", "cum_qty", "source")
    return _event(fill["at"], event, **{key: fill[key] for key in keys})


def _of_position(position: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if position["triggered_at"] is not None:
        yield _event(position["triggered_at"], "exit triggered", rule=position["triggered_rule"])
    if position["closed_at"] is not None:
        keys = ("exit_reason", "exit_rule", "exit_price", "realized_pnl_usd")
        yield _event(position["closed_at"], "closed", **{key: position[key] for key in keys})
