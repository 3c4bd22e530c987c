"""`gapless flatten` with a database and without an executor, and with one beside it: every order is sent once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from actors.clocks import set_recorded_clock
from actors.executor import LEFT_BEHIND
from brokerage.port import OrderRequest
from cli.main import app
from cli.settings import BadConfiguration, load
from cli.wiring import Wiring
from db import accounts, integrity, leases
from tests.cli.conftest import Answer
from tests.factories import LARGE, TINY, some_limits
from tests.incidents.at_paper import AtPaper
from tests.paper.days import CALL, LAST_DAY_CALL
from tests.streams.kit import wait_until

Gapless = Callable[..., Answer]
LEASES = ("executor:entries.{0}", "executor:exits.{0}")
FLATTEN = ("flatten", LARGE, "--confirm", LARGE, "--json")


@pytest.fixture
def gapless(
    at_paper: AtPaper, database_url: str, redis_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> Gapless:
    """Run ``gapless ARGS`` on the rows and streams of the stack at the local Alpaca, on its clock."""
    monkeypatch.setenv("GAPLESS_DATABASE_URL", database_url)
    monkeypatch.setenv("GAPLESS_REDIS_URL", redis_url)
    monkeypatch.setenv("GAPLESS_BROKERAGE__PAPER_URL", at_paper.paper.said["rest"])
    set_recorded_clock(redis_client, at_paper.now())

    def run(*args: str) -> Answer:
        result = CliRunner().invoke(app, list(args))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def holding(at_paper: AtPaper) -> AtPaper:
    """Two contracts held, and the entry of a third that works at the brokerage: nobody runs an executor."""
    at_paper.hold("rec-1", CALL, 3)
    late = at_paper.recommend("rec-2", LAST_DAY_CALL, 2)
    at_paper.paper.quote(LAST_DAY_CALL, "0.30", "0.40")
    at_paper.entries.handle(late)
    return at_paper


def sent(house: AtPaper) -> Counter[str]:
    """How often each closing order reached the brokerage."""
    return Counter(e["body"]["client_order_id"] for e in house.posted() if e["body"]["side"] == "sell")


def held(house: AtPaper) -> list[Any]:
    found: list[Any] = house.paper.get("/v2/positions", LARGE)
    return found


def rows(engine: Engine, statement: str) -> list[Any]:
    with engine.connect() as tx:
        return [tuple(row) for row in tx.execute(text(statement))]


def test_without_an_executor_the_command_sends_what_it_wrote(holding: AtPaper, gapless: Gapless):
    """
    The close is sent and the entry canceled by the executor's own code; rows say so at once, the leases are given
    back, and the tracker's catch-up explains the rest.
    """
    answer = gapless(*FLATTEN)

    assert (0, "flatten", []) == (answer.code, answer.document["sender"], answer.document["left"])
    assert ([], [1]) == (held(holding), list(sent(holding).values()))
    assert [(LAST_DAY_CALL, "canceled"), (CALL, "accepted")] == rows(
        holding.engine, "SELECT symbol, status FROM orders WHERE status <> 'filled' ORDER BY symbol"
    )
    with holding.engine.connect() as tx:
        assert {None} == {leases.until(tx, name) for name in LEASES}
    holding.catch_up()
    assert [(0, "manual")] == rows(holding.engine, "SELECT qty, exit_reason FROM positions")
    assert () == holding.reconciler.reconcile(LARGE, holding.now())
    with holding.engine.connect() as tx:
        assert [] == integrity.mismatches(tx)


def test_streams_that_are_away_change_nothing(
    holding: AtPaper, gapless: Gapless, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
):
    """Rows are written, the facts wait in the outbox, and the orders are sent all the same."""
    monkeypatch.setenv("GAPLESS_REDIS_URL", f"unix://{tmp_path}/nobody.sock")
    answer = gapless(*FLATTEN)

    assert (0, "flatten", False) == (answer.code, answer.document["sender"], answer.document["announced"])
    assert ([], [1]) == (held(holding), list(sent(holding).values()))


def test_an_executor_that_died_a_moment_ago_is_waited_for(holding: AtPaper, gapless: Gapless):
    """Its leases run out and nobody renews them: then they are taken, not before."""
    with holding.engine.begin() as tx:
        dead = [leases.acquire(tx, name, "executor that died", 1500) for name in LEASES]
    answer = gapless(*FLATTEN)

    assert (0, "flatten", []) == (answer.code, answer.document["sender"], held(holding))
    with holding.engine.connect() as tx:
        for lease in dead:
            assert lease is not None
            with pytest.raises(leases.LeaseLost):
                leases.require(tx, lease)


@pytest.fixture
def an_executor(at_paper: AtPaper, gapless: Gapless, engine: Engine, redis_client: redis.Redis) -> Iterator[Wiring]:
    """A real executor on the same rows and streams."""
    with engine.begin() as tx:
        accounts.configure(tx, TINY, some_limits(), at_paper.now())
    wiring = Wiring.of(load(), engine, redis_client)
    wiring.host("executor")
    wiring.runtime.start()
    yield wiring
    wiring.runtime.stop()


def test_beside_a_living_executor_every_order_is_sent_once(holding: AtPaper, gapless: Gapless, an_executor: Wiring):
    """The command leaves the lanes to it: one close, sent by whom the lease belongs to."""
    answer = gapless(*FLATTEN)
    wait_until(lambda: not held(holding) and not holding.paper.get("/v2/orders", LARGE, status="open"))

    assert 0 == answer.code
    assert answer.document["sender"] in ("executor", None), "it may have been done before anybody looked"
    assert [1] == list(sent(holding).values())
    assert [(1, an_executor.runtime.instance)] * 2 == rows(
        holding.engine, "SELECT epoch, holder FROM leases WHERE lease LIKE 'executor:%'"
    )


def test_a_sender_that_wakes_in_the_middle_of_its_call_sells_nothing_twice(holding: AtPaper, gapless: Gapless):
    """
    An executor has said `submitting` and stands still; its lease has run out. The command sends the order of that row;
    when the executor wakes and sends too, it is the same order.
    """
    close = holding.trigger(CALL, "0.50")
    brokerage = holding.brokerages[LARGE]
    send = brokerage.submit
    told: list[Answer] = []

    def submit(order: OrderRequest) -> Any:
        told.append(gapless(*FLATTEN))
        return send(order)

    brokerage.submit = submit  # type: ignore[method-assign]
    holding.exits.handle(close)

    assert ["flatten"] == [answer.document["sender"] for answer in told]
    assert [] == held(holding)
    assert {close.client_order_id: 2} == sent(holding)
    assert [200, 422] == [e["status"] for e in holding.posted() if e["body"]["side"] == "sell"]
    holding.catch_up()
    assert [(0, "catastrophe")] == rows(holding.engine, "SELECT qty, exit_reason FROM positions")


def test_what_cannot_be_sent_is_said(holding: AtPaper, gapless: Gapless):
    """The brokerage answers 500 for longer than the command was told to try: exit code 1, and what is left to do."""
    holding.paper.control("POST", "/faults", do="status", status=500, method="POST", path="/v2/orders", count=1000)
    holding.paper.control("POST", "/faults", do="status", status=500, method="GET", path="/v2/positions", count=1000)
    answer = gapless(*FLATTEN, "--within", "1")

    assert (1, [(CALL, 3)]) == (answer.code, [(left["symbol"], left["qty"]) for left in answer.document["left"]])
    assert "500" in answer.document["trouble"]


def test_without_keys_rows_are_written_and_the_rest_is_said(
    holding: AtPaper, gapless: Gapless, monkeypatch: pytest.MonkeyPatch
):
    """Where no key lies and no executor lives nothing is sent: the close waits in its row for one."""
    monkeypatch.delenv("GAPLESS_BROKERAGE__PAPER_URL")
    answer = gapless(*FLATTEN)

    assert (1, "nobody") == (answer.code, answer.document["sender"])
    assert [("its close is approved")] == [left["why"] for left in answer.document["left"]]
    assert "paper_url" in answer.document["trouble"]
    holding.exits.sweep(holding.now() + LEFT_BEHIND)
    assert [] == held(holding)


def test_an_account_that_holds_nothing_needs_nobody(at_paper: AtPaper, gapless: Gapless):
    """Nothing waits to be sent: no lease is asked for, and the answer comes at once."""
    answer = gapless(*FLATTEN)

    assert (0, None, []) == (answer.code, answer.document["sender"], at_paper.posted())
    assert [] == rows(at_paper.engine, "SELECT * FROM leases")


def test_refused_keys_end_it_with_exit_code_2(holding: AtPaper, gapless: Gapless):
    """The brokerage knows the keys no more: a person must act, and the rows say what is to be left."""
    holding.paper.control("POST", "/faults", do="status", status=401, path="/v2", count=1000)

    with pytest.raises(BadConfiguration, match="refuses its keys"):
        gapless(*FLATTEN)
    assert [("manual",)] == rows(
        holding.engine, "SELECT triggered_rule FROM exit_plans WHERE triggered_rule IS NOT NULL LIMIT 1"
    )
