"""Snapshots for frames, a stack for the view, and how a frame reads on a terminal of a given size."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import redis
from rich.console import Console, RenderableType
from rich.text import Text
from sqlalchemy import Engine

from cli.live_data import Account, Held, Snapshot
from cli.live_frame import Look, frame
from cli.settings import Settings, load
from domain.events import QuotesTicked
from streams.codec import encode
from streams.names import Stream, partitioned
from streams.publish import publish
from tests.factories import NOON, PUT, SESSION


@dataclass(frozen=True, slots=True)
class Stack:
    """The part of a running stack that the view looks at."""

    engine: Engine
    client: redis.Redis
    settings: Settings


def a_stack(engine: Engine, client: redis.Redis) -> Stack:
    return Stack(engine, client, load(environ={}))


def tick(client: redis.Redis, fact: QuotesTicked) -> None:
    publish(client, partitioned(Stream.TICKS, 0), encode(fact))


# ---------------------------------------------------------------- snapshots


def held(**over: Any) -> Held:
    values: dict[str, Any] = {
        "account": "large",
        "symbol": PUT,
        "qty": 10,
        "entry_price": Decimal("7.20"),
        "price": Decimal("7.50"),
        "no_price": "",
        "quoted_age_s": 3.0,
        "pnl_usd": Decimal("300.00"),
        "pnl_pct": Decimal("4.17"),
        "held_s": 260.0,
        "leaving": "",
        "coming": "",
    }
    return Held(**values | over)


def an_account(**over: Any) -> Account:
    values: dict[str, Any] = {
        "name": "large",
        "state": "active",
        "state_reason": "reconciled",
        "loss_latched": False,
        "positions": 3,
        "max_positions": 5,
        "exposure_usd": Decimal("8200.00"),
        "max_exposure_usd": Decimal("10000.00"),
        "realized_usd": Decimal("-150.00"),
        "open_usd": Decimal("30.00"),
    }
    return Account(**values | over)


def a_refusal(gate: str = "position_count_is_within_limit", observed: str = "6", allowed: str = "<= 5") -> Any:
    return {"gate": gate, "passed": False, "observed": observed, "allowed": allowed}


def a_decision(**over: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "recommendation": "rec-1",
        "account": "large",
        "outcome": "approved",
        "refusals": [],
        "at": NOON,
        "action": "BUY",
        "symbol": PUT,
        "asked_qty": "10",
        "asked_usd": None,
        "qty": 10,
        "limit_price": Decimal("7.2000"),
    }
    return values | over


def a_refused(*refusals: Any) -> dict[str, Any]:
    return a_decision(outcome="refused", refusals=list(refusals), qty=None, limit_price=None)


def an_order(**over: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "account": "large",
        "symbol": PUT,
        "intent": "buy_to_open",
        "qty": 10,
        "filled_qty": 2,
        "type": "limit",
        "limit_price": "7.20",
        "status": "accepted",
        "cancel_asked_at": None,
        "age_s": 12.0,
    }
    return values | over


def a_closed(**over: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "account": "large",
        "symbol": PUT,
        "max_qty": 10,
        "entry_price": Decimal("7.200000"),
        "exit_price": Decimal("4.300000"),
        "realized_pnl_usd": Decimal("-2900.0000"),
        "pnl_pct": Decimal("-40.28"),
        "exit_reason": "stop",
        "opened_at": NOON - timedelta(minutes=66),
        "closed_at": NOON,
    }
    return values | over


def a_snapshot(**over: Any) -> Snapshot:
    values: dict[str, Any] = {
        "now": NOON,
        "mode": "paper",
        "session": {
            "state": "open",
            "new_york": "2026-02-03 12:00:00",
            "open": SESSION.open,
            "close": SESSION.close,
            "closes_in_s": 14400.0,
            "next_open": None,
        },
        "accounts": [an_account()],
        "positions": [held()],
        "decisions": [a_decision()],
        "orders": [an_order()],
        "closed": [a_closed()],
        "counts": {"approved": 1, "refused": 0, "closed": 1, "dead_letters": 0, "drift": 0},
        "breaches": 0,
        "gap_ms": {"p50": 12.0, "p99": 44.0, "max": 45.0},
        "groups": (),
    }
    return Snapshot(**values | over)


# ---------------------------------------------------------------- terminals


def a_terminal(width: int = 100, height: int = 30) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height, record=True, color_system="256")


def drawn(what: RenderableType, width: int, height: int = 30) -> list[str]:
    """Return the lines of *what* as they stand on a terminal."""
    console = a_terminal(width, height)
    console.print(what)
    return console.export_text().splitlines()


def shown(snap: Snapshot, width: int = 100, height: int = 30, notes: Sequence[Text] = ()) -> list[str]:
    return drawn(frame(snap, Look(width=width, height=height, ascii_only=False), notes), width, height)


def the_line(lines: Sequence[str], word: str) -> str:
    [found] = [line for line in lines if word in line]
    return found
