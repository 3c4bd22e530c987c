"""Sending for an account what its rows want sent, when no executor lives to do it."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine

from actors.desk import Desk
from actors.executor import Executor
from actors.stand_in import StandIn
from cli.credentials import endpoints_of, keys_of
from cli.plain import plain
from cli.settings import BadConfiguration, Settings
from db import positions, views
from domain.ids import AccountName
from domain.orders import OrderStatus

#: A close in one of these is with the brokerage, or has done its work.
_WELL = frozenset({OrderStatus.ACCEPTED, OrderStatus.FILLED})

Document = dict[str, Any]


def send(desk: Desk, settings: Settings, account: AccountName, within_s: float) -> Document:
    """Return who sends it, what no close is sent for and why (``left``), and ``trouble``.

    ``sender`` is ``executor`` (one lives: it is left to its work, and not waited for), ``flatten`` (this command did),
    ``nobody`` (none lives, and there are no keys here), or null: nothing waited to be sent.

    Raises:
        BadConfiguration: the brokerage refuses the account's keys.
    """
    stand_in = StandIn(desk, account, f"flatten {socket.gethostname()}-{os.getpid()}")
    if not stand_in.waiting():
        return {"sender": None, "left": [], "trouble": None}
    if not stand_in.is_needed():
        return {"sender": "executor", "left": [], "trouble": None}
    try:
        _pursue(stand_in, settings, account, within_s)
    except _NoWayThere as e:
        return {"sender": "nobody", "left": left(desk.engine, account), "trouble": str(e)}
    return {"sender": "flatten", "left": left(desk.engine, account), "trouble": stand_in.trouble}


class _NoWayThere(Exception):
    """This process has no keys, or does not know where the brokerage is."""


def _pursue(stand_in: StandIn, settings: Settings, account: AccountName, within_s: float) -> None:
    from brokerage.alpaca_rest import AlpacaBrokerage
    from brokerage.budget import RateBudget
    from brokerage.port import NotAuthorized

    asked = settings.brokerage
    try:
        keys, urls = keys_of(settings, account), endpoints_of(settings)
    except BadConfiguration as e:
        raise _NoWayThere(str(e)) from e
    budget = RateBudget(trading_per_minute=asked.requests_per_minute, data_per_minute=1, reserved_for_exits=0)
    brokerage = AlpacaBrokerage(keys, urls, asked.timeout_s, budget.exits)
    ttl = timedelta(seconds=settings.entries.entry_ttl_s)
    entries, exits = (Executor(stand_in.desk, {account: brokerage}, ttl, opens) for opens in (True, False))
    try:
        stand_in.pursue(entries, exits, within_s)
    except NotAuthorized as e:
        raise BadConfiguration(f"accounts.{account}: the brokerage refuses its keys: {e}") from e
    finally:
        brokerage.close()


def left(engine: Engine, account: AccountName) -> list[Document]:
    """Return the open positions whose last close of ours is neither with the brokerage nor filled."""
    with engine.connect() as tx:
        found = [_left(row, views.orders(tx, position=row.position_id)) for row in positions.all_open(tx, account)]
    told: list[Document] = plain([one for one in found if one is not None])
    return told


def _left(held: positions.PositionRow, orders: views.Rows) -> Document | None:
    closes = [o for o in orders if o["intent"].endswith("_to_close") and not o["external"]]
    last = closes[-1] if closes else None
    if last is not None and last["status"] in _WELL:
        return None
    why = "no close is written yet" if last is None else f"its close is {last['status']}"
    code = None if last is None else last["reject_message"] or last["reject_code"]
    return {"symbol": held.symbol, "qty": held.qty, "why": f"{why}: {code}" if code else why}
