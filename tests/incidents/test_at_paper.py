"""What ours sends to a brokerage that keeps its own book: R21 to R24 over HTTP; a close that is refused, or that
nobody takes: R20; and whose it is: R46.

What the old system sent, and what came of it, is in tests/conformance/test_naive_client.py.
"""

# ruff: noqa: N802 - a test is named after its row

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from brokerage.sdk import installed
from cli.main import app
from db import orders, views
from domain.events import Side
from domain.orders import OrderStatus
from tests.factories import LARGE
from tests.incidents.at_paper import MARGIN, AtPaper
from tests.incidents.leaving import IN_STEPS
from tests.paper.days import CALL, DAY, STOCK


def test_R21_selling_the_underlying_is_refused_or_seen(at_paper: AtPaper):
    """
    The old close, a plain sale of the ticker: a cash account is refused; in an account that may sell
    short it becomes a short, which the reconciler finds. Ours sells the contract and leaves nothing.
    """
    for account in (LARGE, MARGIN):
        at_paper.hold(f"rec-{account}", CALL, 3, accounts=(account,))
    assert () == at_paper.reconciler.reconcile(MARGIN, at_paper.now())

    refused, _ = at_paper.paper.submit(LARGE, symbol=STOCK, side="sell", qty=3)
    short, body = at_paper.paper.submit(MARGIN, symbol=STOCK, side="sell", qty=3)

    assert (403, 200, "sell_to_open") == (refused, short, body["position_intent"])
    found = at_paper.reconciler.reconcile(MARGIN, at_paper.now())
    assert found is not None
    assert [(STOCK, "broker_only", 0, -3)] == [(d.symbol, d.kind, d.rows_qty, d.broker_qty) for d in found]

    at_paper.exits.handle(at_paper.trigger(CALL, "0.50"))
    ours = [r["body"] for r in at_paper.posted() if "-" in r["body"].get("client_order_id", "")]
    assert {CALL} == {body["symbol"] for body in ours}


def test_R22_a_close_that_loses_the_race_is_recorded_and_reconciled(at_paper: AtPaper):
    """
    The brokerage liquidates between our look and our close: 422 with code 42210000 ends the order, it
    is not repeated without an intent, and the brokerage's own execution closes the position.
    """
    at_paper.hold(qty=3)
    close = at_paper.trigger(CALL, "0.50")
    brokerage = at_paper.brokerages[LARGE]
    look = brokerage.position

    def look_then_lose(symbol: str) -> object:
        found = look(symbol)
        at_paper.paper.control("POST", "/close", account=LARGE, symbol=CALL, qty=3)
        return found

    brokerage.position = look_then_lose  # type: ignore[method-assign, assignment]
    at_paper.exits.handle(close)
    brokerage.position = look  # type: ignore[method-assign]

    with at_paper.engine.connect() as tx:
        row = orders.get(tx, close.order_id)
    assert OrderStatus.REJECTED is row.status
    sells = [r for r in at_paper.posted() if r["body"]["side"] == Side.SELL]
    assert [("sell_to_close", 422)] == [(r["body"]["position_intent"], r["status"]) for r in sells]
    assert 42210000 == json.loads(sells[0]["reply"])["code"]

    at_paper.catch_up()
    at_paper.exit.handle_timer(at_paper.now() + timedelta(seconds=60))
    at_paper.publish()
    assert () == at_paper.reconciler.reconcile(LARGE, at_paper.now())
    assert close == at_paper.approved[-1]


def test_R23_closing_while_flat_sends_nothing(at_paper: AtPaper):
    """The brokerage holds nothing any more: our close ends as not_held without a single order over the wire."""
    at_paper.hold(qty=3)
    at_paper.paper.control("POST", "/close", account=LARGE, symbol=CALL, qty=3)

    close = at_paper.trigger(CALL, "0.50")
    at_paper.exits.handle(close)

    assert [] == [r for r in at_paper.posted() if r["body"]["side"] == Side.SELL]
    with at_paper.engine.connect() as tx:
        code = tx.execute(
            text("SELECT reject_code FROM orders WHERE order_id = :o"), {"o": close.order_id}
        ).scalar_one()
    assert "not_held" == code


def test_R24_every_order_on_the_wire_is_whole_and_explicit(at_paper: AtPaper):
    """An entry and a close as they were posted: whole quantity, day, explicit intent, order class simple."""
    at_paper.hold(qty=3)
    at_paper.exits.handle(at_paper.trigger(CALL, "0.50"))

    bodies = [request["body"] for request in at_paper.posted()]

    entry, close = ({k: v for k, v in body.items() if k != "client_order_id"} for body in bodies)
    common = {"symbol": CALL, "qty": "3", "time_in_force": "day", "order_class": "simple"}
    opens = {"side": "buy", "position_intent": "buy_to_open", "type": "limit", "limit_price": "1.10"}
    assert common | opens == entry
    assert common | {"side": "sell", "position_intent": "sell_to_close", "type": "market"} == close
    assert 2 == len({body["client_order_id"] for body in bodies})


def test_R20_a_day_of_refusals_is_bounded_in_calls_and_rows(at_paper: AtPaper):
    """
    The account is blocked from 14:32 to 20:50: every close gets a 403. Two requests a try (what is held, the order), a
    try in five minutes; one position, which says that its close is blocked; unblocked, the next try closes it.
    """
    at_paper.policy = IN_STEPS
    at_paper.start()
    at_paper.hold(qty=3)
    at_paper.reconciler.reconcile(LARGE, at_paper.now())
    before = len(at_paper.requests())
    at_paper.paper.to("14:32:00")
    at_paper.paper.control("POST", "/accounts", account=LARGE, trading_blocked=True)
    at_paper.exits.handle(at_paper.trigger(CALL, "0.60"))
    while at_paper.now() < datetime.fromisoformat(f"{DAY}T20:50:00Z"):
        _next_try(at_paper)

    posts = [r for r in at_paper.posted() if r["body"]["side"] == Side.SELL]
    closes = _rows(at_paper, "SELECT status, reject_code, type FROM orders WHERE NOT opening")
    assert len(posts) == len(closes) <= 90
    assert {403} == {r["status"] for r in posts}
    assert {("rejected", "40310000")} == {row[:2] for row in closes}
    assert ["limit", "limit", "market"] == [r["body"]["type"] for r in posts[:3]]
    assert len(at_paper.requests()) - before <= 2 * len(closes)
    assert [(3,)] == _rows(at_paper, "SELECT qty FROM positions")
    with at_paper.engine.connect() as tx:
        [shown] = views.positions(tx)
    assert len(closes) == shown["close_blocked"]

    at_paper.paper.control("POST", "/accounts", account=LARGE, trading_blocked=False)
    _next_try(at_paper)
    at_paper.catch_up()
    assert [(0, "stop")] == _rows(at_paper, "SELECT qty, exit_reason FROM positions")
    assert [] == at_paper.paper.get("/v2/positions")


def test_R20_a_limit_that_nobody_takes_reaches_the_market(at_paper: AtPaper):
    """
    Over HTTP: a limit at the bid, a lower one, then a market order. The market falls away from each; each is canceled
    at its time and only then followed, so that three contracts are sold in all.
    """
    at_paper.policy = IN_STEPS
    at_paper.start()
    at_paper.hold(qty=3)
    close = at_paper.trigger(CALL, "0.60")
    for bid in ("0.50", "0.40"):
        at_paper.paper.quote(CALL, bid, "0.70")
        at_paper.exits.handle(close)
        at_paper.paper.control("POST", "/clock", to=(at_paper.now() + timedelta(seconds=3)).isoformat())
        at_paper.exits.sweep(at_paper.now())
        at_paper.hear_ends()
        _look_again(at_paper)
        close = at_paper.approved[-1]
    at_paper.exits.handle(close)
    at_paper.catch_up()

    sells = [r["body"] for r in at_paper.posted() if r["body"]["side"] == Side.SELL]
    assert [("limit", "0.60"), ("limit", "0.55"), ("market", None)] == [
        (b["type"], b.get("limit_price")) for b in sells
    ]
    assert [(0, Decimal("0.40"), "stop")] == _rows(at_paper, "SELECT qty, exit_price, exit_reason FROM positions")
    ends = [e["event"] for e in at_paper.paper.control("GET", "/journal")[1]["entries"] if e["kind"] == "event"]
    assert 2 == ends.count("canceled")


def _next_try(at_paper: AtPaper) -> None:
    """Let time pass until the pause after the last refusal is over, then let exit and executor act."""
    [(at,)] = _rows(at_paper, "SELECT retry_at FROM exit_plans")
    at_paper.paper.control("POST", "/clock", to=(at + timedelta(seconds=1)).isoformat())
    _look_again(at_paper)
    at_paper.exits.handle(at_paper.approved[-1])


def _look_again(at_paper: AtPaper) -> None:
    """Let the exit hear what has become of its orders, and look at its positions."""
    at_paper.publish()
    heard, at_paper.decisions = at_paper.decisions, []
    at_paper.exit.handle_decisions(heard)
    at_paper.exit.handle_timer(at_paper.now())
    at_paper.publish()


def _rows(at_paper: AtPaper, statement: str) -> list[tuple[Any, ...]]:
    with at_paper.engine.connect() as tx:
        return [tuple(row) for row in tx.execute(text(statement))]


def test_R46_the_doctor_says_mode_sdk_and_account_and_places_nothing(
    at_paper: AtPaper, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
):
    """
    Against a brokerage that answers: mode, version of the SDK and the number that each account's keys open are told,
    and `status` tells the mode too. A row that belongs to another number is a no. Not one order is sent for it.
    """
    monkeypatch.setenv("GAPLESS_DATABASE_URL", database_url)
    monkeypatch.setenv("GAPLESS_REDIS_URL", redis_url)
    monkeypatch.setenv("GAPLESS_BROKERAGE__PAPER_URL", at_paper.paper.said["rest"])
    number = at_paper.brokerages[LARGE].account().account_number

    told = _doctor()
    assert told["configuration"]["detail"].endswith("mode paper")
    assert (True, f"alpaca-py {installed()}, and nothing hides it") == tuple(told["brokerage sdk"].values())[1:]
    assert (True, f"{number} at the brokerage") == tuple(told[f"account {LARGE}"].values())[1:]
    with at_paper.engine.begin() as tx:
        tx.execute(text("UPDATE accounts SET broker_account_number = 'PA-OTHER' WHERE account = :a"), {"a": LARGE})
    assert not _doctor()[f"account {LARGE}"]["ok"]

    assert "paper" == json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)["mode"]
    assert [] == at_paper.posted()


def _doctor() -> dict[str, dict[str, Any]]:
    said = CliRunner().invoke(app, ["doctor", "--json"]).stdout
    return {check["name"]: check for check in json.loads(said)["checks"]}
