"""An order is found again and never sent twice, wherever its sender dies: R02."""

# ruff: noqa: N802 - a test is named after its row

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event

from brokerage.port import BrokerageUnavailable
from domain.events import Action, OrderApproved
from tests.factories import LARGE, a_fill, a_recommendation, some_limits
from tests.incidents.at_paper import AtPaper
from tests.incidents.stage import Stage
from tests.simulation.exchange import Crash

ROOMY = some_limits(max_positions=60, max_exposure_usd=Decimal(500_000), max_daily_loss_usd=Decimal(100_000))
#: More seams than the executor has; a test that reaches this many has not counted them.
MANY = 60


class Seams:
    """Counts the instants between effects and lets the process die at one of them."""

    def __init__(self, stage: Stage) -> None:
        self._left: int | None = None
        event.listen(stage.engine, "begin", lambda _: self.passed())
        event.listen(stage.engine, "commit", lambda _: self.passed())
        stage.brokerages[LARGE].seam = lambda _: self.passed()

    def passed(self) -> None:
        if self._left is None:
            return
        if self._left == 0:
            self._left = None
            raise Crash
        self._left -= 1

    @contextmanager
    def dying_at(self, number: int) -> Iterator[None]:
        self._left = number
        try:
            yield
        finally:
            self._left = None


def _redelivered(stage: Stage, executor: str, fact: OrderApproved) -> None:
    """The entry was not acknowledged: it comes again."""
    getattr(stage, executor).handle(fact)


def _swept(stage: Stage, executor: str, fact: OrderApproved) -> None:
    """The entry is gone with its stream: the row says what is to do."""
    stage.now += timedelta(seconds=6)
    getattr(stage, executor).sweep(stage.now)


Recover = Callable[[Stage, str, OrderApproved], None]


@pytest.mark.parametrize("recover", [_redelivered, _swept])
@pytest.mark.parametrize("executor", ["entries", "exits"])
def test_R02_a_killed_executor_leaves_one_order(a_stage: Callable[..., Stage], executor: str, recover: Recover):
    """
    Killed at each instant in turn (around every commit, before and after the brokerage accepts) and
    started again: the order is there once, and the row knows what the brokerage calls it.
    """
    stage = a_stage(limits={LARGE: ROOMY}, without=("executor",))
    brokerage, seams = stage.brokerages[LARGE], Seams(stage)
    died = 0
    for number in range(MANY):
        fact = _to_send(stage, number, executor)
        try:
            with seams.dying_at(number):
                getattr(stage, executor).handle(fact)
        except Crash:
            died += 1
        stage.start()
        seams = Seams(stage)

        recover(stage, executor, fact)

        [order] = [o for o in brokerage.orders.values() if o.client_order_id == fact.client_order_id]
        assert [(order.broker_order_id, "accepted")] == stage.rows(
            "SELECT broker_order_id, status FROM orders WHERE order_id = :order", order=fact.order_id
        )
        if died <= number:
            break
    assert 5 <= died < MANY - 1


def _to_send(stage: Stage, number: int, executor: str) -> OrderApproved:
    """Return what the executor is to send: an entry, or the close of a position."""
    symbol, name = f"AMD260220P{number + 1:08d}", f"amd-{number}"
    stage.prices[symbol] = (Decimal("1.95"), Decimal("2.00"))
    stage.publish("recommendations", a_recommendation(id=name, at=stage.now, symbol=symbol, qty=2))
    stage.deliver()
    entry: OrderApproved = stage.facts(OrderApproved)[-1]
    if executor == "entries":
        return entry
    stage.entries.handle(entry)
    [order] = [o for o in stage.brokerages[LARGE].orders.values() if o.client_order_id == entry.client_order_id]
    fill = a_fill(
        order.broker_order_id, client_order_id=entry.client_order_id, symbol=symbol, qty=2, cum_qty=2, at=stage.now
    )
    stage.brokerages[LARGE].told(fill)
    stage.publish("fills.{0}", fill)
    stage.deliver()
    sale: dict[str, Any] = {"symbol": symbol, "qty": 2, "action": Action.SELL}
    stage.publish("recommendations", a_recommendation(id=f"{name}-sell", at=stage.now, **sale))
    stage.deliver()
    close: OrderApproved = stage.facts(OrderApproved)[-1]
    return close


# ---------------------------------------------------------------- the same over HTTP


def _buys(at_paper: AtPaper) -> list[str]:
    """The client order ids of the orders in the brokerage's book."""
    found = at_paper.paper.get("/v2/orders", status="all")
    return [order["client_order_id"] for order in found]


def test_R02_a_lost_answer_is_looked_up(at_paper: AtPaper):
    """The brokerage accepts and the connection breaks: the order is looked up and adopted, not sent again."""
    approved = at_paper.recommend()
    at_paper.paper.control("POST", "/faults", method="POST", path="/v2/orders", do="reset", when="after")

    at_paper.entries.handle(approved)

    assert [approved.client_order_id] == _buys(at_paper)
    assert 1 == len({request["request"] for request in at_paper.posted()})


def test_R02_an_executor_that_dies_before_it_knows_finds_its_order(at_paper: AtPaper):
    """
    Accept, broken connection, every look-up refused, and then the executor is gone. Its successor
    finds the order by its client order id; the row, the position and the brokerage agree.
    """
    approved = at_paper.recommend()
    at_paper.paper.control("POST", "/faults", method="POST", path="/v2/orders", do="reset", when="after")
    look = "/v2/orders:by_client_order_id"
    at_paper.paper.control("POST", "/faults", method="GET", path=look, do="status", status=503, count=100)
    with pytest.raises(BrokerageUnavailable):
        at_paper.entries.handle(approved)
    at_paper.paper.control("DELETE", "/faults")
    at_paper.start()

    at_paper.entries.handle(approved)
    at_paper.catch_up()

    assert [approved.client_order_id] == _buys(at_paper)
    assert 3 == int(at_paper.paper.get(f"/v2/positions/{approved.symbol}")["qty"])
    assert () == at_paper.reconciler.reconcile(LARGE, at_paper.now())
