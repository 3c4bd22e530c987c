"""What a person does to accounts and positions, written down with name and reason.

Every act works on rows alone, so it holds while streams are away; what it decided leaves through the outbox, here
or by the next sweep of an actor (:func:`publish` tells which).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import Connection

from actors import trading_state
from actors.closing import write_close
from actors.desk import Desk
from actors.reconciler import Reconciler
from actors.tracker import PolicyOf
from actors.trading_state import INTERLOCK
from cli.groups import groups_of
from cli.plain import plain
from db import accounts, exit_plans, latches, orders, outbox, positions, sessions
from db.orders import OrderRow
from db.positions import PositionRow
from domain.account import LossKind, TradingState
from domain.closing import AT_MARKET
from domain.exits import ExitReason
from domain.ids import AccountName
from domain.session import Session, market_is_closed, next_open
from streams.names import Stream
from streams.publish import publish_many
from streams.record import FILE_NAME
from streams.record import record as record_streams

log = logging.getLogger(__name__)

Document = dict[str, Any]


class NoReason(ValueError):
    """A lever is pulled with a person's reason, or not at all."""

    exit_code = 2


# ---------------------------------------------------------------- trading state


def set_states(
    desk: Desk, names: Sequence[AccountName], state: TradingState, reason: str, by: str, *, every: bool = False
) -> Document:
    """Set the trading state of every account in *names*, all or none; resuming also lifts the latches of losses.

    *every*: it holds for accounts too that are configured later.

    Raises:
        db.accounts.UnknownAccount: one of them is not configured; nothing is changed.
        NoReason: *reason* is empty, or that of a machine.
    """
    require_reason(reason)
    with desk.begin() as tx:
        items = [_set_state(tx, desk, name, state, reason, by) for name in sorted(names)]
        if every:
            accounts.set_every_state(tx, state, reason, desk.clock())
        of_all, _ = accounts.every_state(tx)
    return {"items": items, "every_account": of_all}


def require_reason(reason: str) -> None:
    """Raise :exc:`NoReason` unless a person gives one."""
    if not reason.strip():
        raise NoReason("--reason: say why, it is kept with the account")
    if reason.startswith(INTERLOCK):
        raise NoReason(f"--reason: what begins with {INTERLOCK!r} is lifted by machines, was {reason!r:.80}")


def _set_state(tx: Connection, desk: Desk, name: AccountName, state: TradingState, reason: str, by: str) -> Document:
    accounts.lock(tx, name)
    before, _ = accounts.state_of(tx, name)
    changed = trading_state.change(desk, tx, name, state, reason, by)
    released = state is TradingState.ACTIVE and _release_loss(tx, desk, name, reason, by)
    if released and not changed:
        trading_state.announce(desk, tx, name, state, reason, by)
    return {
        "account": name,
        "before": before,
        "state": state,
        "reason": reason,
        "by": by,
        "changed": changed,
        "loss_latch_released": released,
    }


def _release_loss(tx: Connection, desk: Desk, name: AccountName, reason: str, by: str) -> bool:
    """Lift every latch; the drawdown then counts from what the account is worth now."""
    latched = [kind for kind, latch in latches.live(tx, name).items() if latch.latched_at is not None]
    for kind in latched:
        latches.lift(tx, name, kind, by, reason, desk.clock())
        accounts.record_change(tx, name, desk.clock(), by, f"{kind} latch released", reason)
    if LossKind.DRAWDOWN in latched:
        accounts.forget_peak(tx, name)
    return bool(latched)


# ---------------------------------------------------------------- flatten


def flatten(desk: Desk, name: AccountName, reason: str, by: str, policy_of: PolicyOf) -> Document:
    """Leave every position of the account: nothing opens again, open entries are canceled, each position is closed.

    A halted account stays halted. A close that is under way goes on, and what it leaves is closed after it. An entry
    that fills while its cancel is under way is closed as soon as it is a position. While the market is closed nothing
    is sent: each position waits for the open, and is closed then.

    Raises:
        db.accounts.UnknownAccount: it is not configured; nothing is changed.
        NoReason: *reason* is empty, or that of a machine.
    """
    require_reason(reason)
    with desk.begin() as tx:
        accounts.lock(tx, name)
        before, _ = accounts.state_of(tx, name)
        state = before if before is TradingState.HALTED else TradingState.REDUCING
        said = _set_state(tx, desk, name, state, reason, by)
    with desk.engine.connect() as tx:
        openings = [row for row in orders.live(tx, name) if row.order.intent.opens and not row.external]
        held = positions.all_open(tx, name)
        calendar = sessions.around(tx, desk.clock())
    closing = [_close(desk, row, by, calendar) for row in held]
    canceling = [_cancel(desk, row, policy_of) for row in openings]
    document: Document = plain({**said, "canceling": canceling, "closing": closing})
    return document


def _cancel(desk: Desk, row: OrderRow, policy_of: PolicyOf) -> Document:
    """Ask for the end of an opening order, and let whatever it still fills be left at once."""
    with desk.begin() as tx:
        exit_plans.plan(tx, row.order.position_id, policy_of(row.order.account, row.strategy, row.kind))
        exit_plans.mark_triggered(tx, row.order.position_id, ExitReason.MANUAL, desk.clock())
        orders.ask_cancel(tx, row.order.order_id, desk.clock())
    unfilled = row.order.qty - row.filled_qty
    return {"order_id": row.order.order_id, "symbol": row.order.symbol, "unfilled_qty": unfilled}


def _close(desk: Desk, seen: PositionRow, by: str, calendar: tuple[Session, ...]) -> Document:
    """Write a close of all that is held; ``order_id`` is null while another close of ours is live, or it ``waits``.

    One transaction a position: whoever locks several in another order need not wait for us in a circle.
    """
    order, waits = None, market_is_closed(calendar, desk.clock())
    with desk.begin() as tx:
        held = positions.lock(tx, seen.position_id) or seen
        if held.qty and not waits:
            cause = f"flatten by {by}"
            order = write_close(tx, desk, held, qty=abs(held.qty), rule=ExitReason.MANUAL, cause=cause)
        if held.qty:
            exit_plans.mark_triggered(tx, held.position_id, ExitReason.MANUAL, desk.clock())
            exit_plans.step_on(tx, held.position_id, AT_MARKET)
    return {
        "position_id": held.position_id,
        "symbol": held.symbol,
        "qty": held.qty,
        "order_id": order.order_id if order else None,
        "waits": waits,
        "opens_at": next_open(calendar, desk.clock()) if waits else None,
    }


# ---------------------------------------------------------------- reconcile, record, publish


def reconcile(reconciler: Reconciler, *, fix: bool) -> Document:
    """Compare every account with the brokerage: ``mismatches``, and the accounts that could not be read.

    *fix*: mend at once what this one reading shows; the tracker applies it.
    """
    now = reconciler.desk.clock()
    mismatches: list[Document] = []
    unread: list[str] = []
    for name in sorted(reconciler.brokerages):
        found = reconciler.reconcile(name, now, fix=fix)
        if found is None:
            unread.append(name)
            continue
        mismatches += [
            {
                "account": name,
                "symbol": difference.symbol,
                "kind": difference.kind,
                "rows_qty": difference.rows_qty,
                "broker_qty": difference.broker_qty,
                "broker_price": difference.price,
            }
            for difference in found
        ]
    document: Document = plain({"as_of": now, "mismatches": mismatches, "unread": unread, "fixed": fix})
    return document


def record(client: redis.Redis, partitions: int, folder: Path) -> Document:
    """Dump every stream but the clock's, which belongs to one recorded day, into *folder* as a fixture.

    Raises:
        redis.RedisError: the server is away.
        OSError: the folder cannot be written.
    """
    streams = [stream for stream in groups_of(partitions) if stream != Stream.CLOCK]
    lines = record_streams(client, streams, folder)
    return {"file": str(folder / FILE_NAME), "entries": lines, "streams": streams}


def publish(desk: Desk, client: redis.Redis) -> bool:
    """Send what the outbox holds; False when streams are away: it stays there, and an actor sends it later."""

    def send(parcels: Sequence[outbox.Parcel]) -> None:
        publish_many(client, [(p.stream, {"type": p.type.encode(), "body": p.body.encode()}) for p in parcels])

    try:
        while outbox.drain(desk.engine, send):
            pass
    except redis.RedisError as e:
        log.warning("decided and written, but not announced yet: %s", e)
        return False
    return True
