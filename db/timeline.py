"""One position's life as the rows tell it, in order of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from db import disputes, said, views
from db.views import Rows

Facts = Sequence[tuple[str, dict[str, Any]]]

#: At the same moment causes come before effects.
_RANK: Final = (
    *("recommended", "approved", "refused", "prices disputed", "dispute ended"),
    *("exit triggered", "order written", "sent", "accepted", "filled"),
    *("settled", "adjusted", "policy stored", "policy applied", "cancel asked", "order ended"),
    *("best and worst", "closed"),
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
    facts = said.of_position(tx, position_id)
    told = [
        *_reasons(tx, orders),
        *(event for order in orders for event in _of_order(order)),
        *(_of_fill(fill, facts) for fill in views.fills(tx, position=position_id)),
        *_of_facts(facts),
        *_of_disputes(tx, position_id),
        *(event for position in positions for event in _of_position(position, facts)),
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
    written = ("side", "intent", "qty", "type", "limit_price", "awaited_until", "reason", "external", "detail")
    reserved = _reserved_usd(order)
    more = {} if reserved is None else {"reserved_usd": reserved}
    yield _event(order["approved_at"], "order written", **known, **{key: order[key] for key in written}, **more)
    for key, event in (("submitted_at", "sent"), ("accepted_at", "accepted"), ("cancel_asked_at", "cancel asked")):
        if order[key] is not None and not order["external"]:
            yield _event(order[key], event, **known)
    if order["ended_at"] is not None:
        end = {key: order[key] for key in ("status", "filled_qty", "reject_code", "reject_message")}
        yield _event(order["ended_at"], "order ended", **known, **end)


def _reserved_usd(order: Mapping[str, Any]) -> Decimal | None:
    """Return the dollars that an opening order of ours binds from the moment it is written."""
    if order["external"] or order["limit_price"] is None or not order["intent"].endswith("_to_open"):
        return None
    reserved: Decimal = order["limit_price"] * order["qty"] * order["multiplier"]
    return reserved


def _of_fill(fill: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """An adjustment is an entry of ours without a trade behind it; why it was made stands in its fact."""
    event = {"adjustment": "adjusted", "settlement": "settled"}.get(fill["source"], "filled")
    keys = ("fill_id", "order_id", "side", "qty", "price", "cum_qty", "source")
    told = {key: fill[key] for key in keys}
    if event == "adjusted":
        ours = (body for _, body in facts if body.get("order_id") == str(fill["order_id"]))
        told["reason"] = next((body.get("reason") for body in ours), None)
    return _event(fill["at"], event, **told)


def _of_facts(facts: Facts) -> Iterator[dict[str, Any]]:
    """What a rule saw when it asked to leave, in the words of that moment, and who let another policy govern."""
    for kind, body in facts:
        at = datetime.fromisoformat(body["at"])
        if kind == "ExitTriggered":
            yield _event(at, "exit triggered", rule=body["rule"], saw=body["detail"], order_id=body["order_id"])
        elif kind == "ExitPolicyApplied":
            keys = ("before_version", "version", "by", "reason")
            changes = "; ".join(body["changes"])
            yield _event(at, "policy applied", **{key: body[key] for key in keys}, changes=changes)


def _of_disputes(tx: Connection, position_id: UUID) -> Iterator[dict[str, Any]]:
    """When two sources of prices contradicted each other, and until when."""
    for dispute, ended_at in disputes.of_position(tx, position_id):
        yield _event(dispute.since, "prices disputed", live=dispute.live_price, rest=dispute.second_price)
        if ended_at is not None:
            yield _event(ended_at, "dispute ended")


def _of_position(position: Mapping[str, Any], facts: Facts) -> Iterator[dict[str, Any]]:
    """The policy that was stored first is the one before the first that was applied."""
    applied = [body for kind, body in facts if kind == "ExitPolicyApplied"]
    first = applied[0]["before_version"] if applied else position["policy_version"]
    yield _event(position["opened_at"], "policy stored", version=first)
    asked = {body["rule"] for kind, body in facts if kind == "ExitTriggered"}
    if position["triggered_at"] is not None and position["triggered_rule"] not in asked:  # by a person, or by a SELL
        yield _event(position["triggered_at"], "exit triggered", rule=position["triggered_rule"])
    if position["closed_at"] is not None:
        moves = ("peak", "trough", "max_favorable_pct", "max_adverse_pct")
        yield _event(position["closed_at"], "best and worst", **{key: position[key] for key in moves})
        keys = ("exit_reason", "exit_rule", "exit_price", "realized_pnl_usd")
        yield _event(position["closed_at"], "closed", **{key: position[key] for key in keys})
