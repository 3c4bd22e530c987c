"""The way out against the real local Alpaca over HTTP: nothing else runs, its clock moves while the way out sleeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from actors.way_out import MOST_TRIES, Left, WayOut
from brokerage.alpaca_rest import AlpacaBrokerage
from brokerage.budget import RateBudget
from brokerage.endpoints import Keys, on_one_port
from brokerage.port import BrokerageUnavailable, NotAuthorized, OrderRequest
from domain.ids import AccountName
from paper.options import AccountOption, Options
from tests.paper.days import CALL, LAST_DAY_CALL, STOCK, write_day
from tests.paper.kit import Paper, serving

LARGE, MARGIN = AccountName("large"), AccountName("margin")


class Way:
    """A way out whose seconds are the paper's: every pause moves its clock."""

    def __init__(self, paper: Paper) -> None:
        self.paper, self.seconds = paper, 0.0
        self.notes: list[tuple[str, dict[str, Any]]] = []
        self.quoted: tuple[str, str, str] | None = None

    def out_of(
        self, account: AccountName, within_s: float = 60.0, *, key: str | None = None, hook: Any = None
    ) -> WayOut:
        urls = on_one_port(self.paper.said["rest"])
        brokerage = AlpacaBrokerage(Keys(key or account, "paper"), urls, 1.0, RateBudget(trading_per_minute=9999).exits)
        if hook is not None:
            hook(brokerage)
        return WayOut(account, brokerage, within_s, self.note, clock=lambda: self.seconds, sleep=self.sleep)

    def note(self, act: str, what: Mapping[str, Any]) -> None:
        self.notes.append((act, dict(what)))

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        now = datetime.fromisoformat(self.paper.control("GET", "/clock")[1]["at"])
        status, body = self.paper.control("POST", "/clock", to=(now + timedelta(seconds=seconds)).isoformat())
        assert 200 == status, body
        if self.quoted is not None:
            self.paper.quote(*self.quoted)

    def posted(self) -> list[dict[str, Any]]:
        entries = self.paper.control("GET", "/journal")[1]["entries"]
        orders = [e for e in entries if e["kind"] == "request" and (e["method"], e["path"]) == ("POST", "/v2/orders")]
        return [e for e in orders if "-flatten-" in e["body"].get("client_order_id", "")]

    def held(self, account: str = LARGE) -> dict[str, str]:
        return {p["symbol"]: p["qty"] for p in self.paper.get("/v2/positions", account)}

    def open_orders(self, account: str = LARGE) -> list[str]:
        return [o["client_order_id"] for o in self.paper.get("/v2/orders", account, status="open")]


@pytest.fixture
def a_way(tmp_path: Path) -> Iterator[Callable[..., Way]]:
    """Serve the standard day at 14:31; ``a_way(partial_ratio=1.0)``."""
    stack = []

    def made(**options: Any) -> Way:
        margin = AccountOption("margin", Decimal(1_000_000), shorting=True)
        values = {"speed": 0.0, "partial_ratio": 0.0, "accounts": (margin,), "rate_limit": 100_000}
        served = serving(Options(data=(write_day(tmp_path / "day"),), **values | options))
        paper = served.__enter__()
        stack.append(served)
        paper.to("14:31:00")
        return Way(paper)

    yield made
    for served in stack:
        served.__exit__(None, None, None)


def test_longs_and_shorts_options_and_stocks_are_left(a_way: Callable[..., Way]):
    """Each by its own symbol, in whole units, with an explicit intent that can only close; then nothing is held."""
    way = a_way()
    way.paper.bought(CALL, 3, MARGIN)
    way.paper.bought(LAST_DAY_CALL, 2, MARGIN)
    way.paper.submit(MARGIN, symbol=STOCK, side="sell", qty=7)
    assert {CALL: "3", LAST_DAY_CALL: "2", STOCK: "-7"} == way.held(MARGIN)

    outcome = way.out_of(MARGIN).take()

    assert (True, [], {}) == (outcome.is_flat, outcome.left, way.held(MARGIN))
    bodies = {(b["symbol"], b["side"], b["position_intent"], b["qty"], b["type"]) for b in map(body, way.posted())}
    assert {
        (CALL, "sell", "sell_to_close", "3", "market"),
        (LAST_DAY_CALL, "sell", "sell_to_close", "2", "market"),
        (STOCK, "buy", "buy_to_close", "7", "market"),
    } == bodies
    assert {("filled", 3), ("filled", 2), ("filled", 7)} == {(c["status"], c["filled_qty"]) for c in outcome.closed}


def body(entry: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = entry["body"]
    return found


def test_an_open_entry_is_canceled_and_its_end_awaited(a_way: Callable[..., Way]):
    """
    A partly held contract whose entry still works, and an entry of another one: both end before anything is closed,
    and the close takes what the brokerage then holds.
    """
    way = a_way()
    way.paper.bought(CALL, 2)
    way.paper.submit(LARGE, symbol=CALL, side="buy", qty=5, type="limit", limit_price="0.50")
    way.paper.submit(LARGE, symbol=LAST_DAY_CALL, side="buy", qty=1, type="limit", limit_price="0.05")
    way.paper.control("POST", "/fills", cancel_delay_s=3)

    outcome = way.out_of(LARGE).take()

    assert (True, {}, []) == (outcome.is_flat, way.held(), way.open_orders())
    assert {(CALL, 5), (LAST_DAY_CALL, 1)} == {(c["symbol"], c["unfilled_qty"]) for c in outcome.canceled}
    assert ["2"] == [b["qty"] for b in map(body, way.posted())]
    events = [event for _, event, _ in way.paper.events()]
    assert events.index("canceled") < len(events) - 1 - events[::-1].index("fill")


def test_a_cancel_that_loses_to_a_fill_is_closed_too(a_way: Callable[..., Way]):
    """The entry fills while its cancel is under way: what it brought is sold in a later round."""
    way = a_way()
    way.paper.control("POST", "/faults", method="DELETE", path="/v2/orders", do="fill_after_cancel", seconds=1)
    way.paper.submit(LARGE, symbol=CALL, side="buy", qty=4, type="limit", limit_price="1.09")

    outcome = way.out_of(LARGE).take()

    assert (True, {}, []) == (outcome.is_flat, way.held(), way.open_orders())


def test_partial_fills_are_pursued_until_nothing_is_left(a_way: Callable[..., Way]):
    """Every order fills in two parts some time apart; nothing is sold twice."""
    way = a_way(partial_ratio=1.0)
    way.paper.control("POST", "/fills", delay_s=2)
    way.paper.submit(LARGE, symbol=CALL, side="buy", qty=5)
    way.quoted = (CALL, "1.00", "1.10")  # the rest of an order fills when the market moves again
    for _ in range(3):
        way.sleep(2)
    assert {CALL: "5"} == way.held()

    outcome = way.out_of(LARGE).take()

    assert (True, {}) == (outcome.is_flat, way.held())
    assert 5 == sum(int(c["filled_qty"]) for c in outcome.closed)


def test_pressing_twice_sells_once(a_way: Callable[..., Way]):
    """
    The first close lives and is not filled yet; the second press leaves it alone, by the same id. A third press the
    same day, after the same quantity was bought again, closes that.
    """
    way = a_way()
    way.paper.bought(CALL, 3)
    way.paper.control("POST", "/fills", delay_s=100)
    first = way.out_of(LARGE, within_s=3).take()
    second = way.out_of(LARGE, within_s=3).take()

    assert ([Left(symbol=CALL, qty=3, why="its close is under way")], False) == (first.left, first.is_flat)
    assert ([], [], False) == (second.closed, second.canceled, second.is_flat)
    assert 1 == len(way.posted())

    way.sleep(200)
    way.paper.control("POST", "/fills", delay_s=0)
    assert {} == way.held()
    assert way.out_of(LARGE).take().is_flat
    assert 1 == len(way.posted())

    way.paper.bought(CALL, 3)
    assert way.out_of(LARGE).take().is_flat
    assert (2, {}) == (len(way.posted()), way.held())


def test_two_people_at_once_sell_once(a_way: Callable[..., Way]):
    """The other one's order of the same id arrives between our look and our sending: ours is the same order."""
    way = a_way()
    way.paper.bought(CALL, 3)

    def another_one_first(brokerage: AlpacaBrokerage) -> None:
        send = brokerage.submit

        def submit(order: OrderRequest) -> Any:
            send(order)
            return send(order)

        brokerage.submit = submit  # type: ignore[method-assign]

    outcome = way.out_of(LARGE, hook=another_one_first).take()

    assert (True, {}) == (outcome.is_flat, way.held())
    assert [200, 422] == [entry["status"] for entry in way.posted()]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_brokerage_in_trouble_is_asked_again(a_way: Callable[..., Way], when: str):
    """500 to every kind of request for a while, before it is carried out or after: all is left, nothing sold twice."""
    way = a_way()
    way.paper.bought(CALL, 3)
    way.paper.bought(LAST_DAY_CALL, 2)
    way.paper.submit(LARGE, symbol=CALL, side="buy", qty=1, type="limit", limit_price="0.50")
    for method, path in (("GET", "/v2/orders"), ("GET", "/v2/positions"), ("DELETE", "/v2/orders")):
        way.paper.control("POST", "/faults", do="status", status=500, method=method, path=path, count=2, when=when)
    way.paper.control("POST", "/faults", do="status", status=500, method="POST", path="/v2/orders", count=2, when=when)

    outcome = way.out_of(LARGE).take()

    assert (True, {}, []) == (outcome.is_flat, way.held(), way.open_orders())
    sold = [e["order"] for e in way.paper.control("GET", "/journal")[1]["entries"] if e["kind"] == "event"]
    assert {CALL: "3", LAST_DAY_CALL: "2"} == {o["symbol"]: o["filled_qty"] for o in sold if o["side"] == "sell"}
    assert {(CALL, "filled", 3), (LAST_DAY_CALL, "filled", 2)} == {
        (c["symbol"], c["status"], c["filled_qty"]) for c in outcome.closed
    }
    assert "no answer" in [act for act, _ in way.notes]


def test_one_symbol_in_trouble_does_not_hold_the_others(a_way: Callable[..., Way]):
    """Every close of one contract is refused: the other one is gone, the first stays with the reason, and it ends."""
    way = a_way()
    way.paper.bought(CALL, 3)
    way.paper.bought(LAST_DAY_CALL, 2)
    refused = {"method": "POST", "path": "/v2/orders", "body": {"symbol": CALL, "side": "sell"}}
    way.paper.control("POST", "/faults", do="status", status=403, count=1000, **refused)

    outcome = way.out_of(LARGE).take()

    assert {CALL: "3"} == way.held()
    assert [(CALL, 3)] == [(left.symbol, left.qty) for left in outcome.left]
    assert "rejected: ordered on the control port" == outcome.left[0].why
    assert MOST_TRIES == sum(body(entry)["symbol"] == CALL for entry in way.posted())


def test_a_brokerage_that_falls_silent_leaves_what_was_read_before(a_way: Callable[..., Way]):
    """Read once, then no answer any more: not flat as far as anybody knows, and what was held is named."""
    way = a_way()
    way.paper.bought(CALL, 3)
    way.paper.control("POST", "/faults", do="status", status=500, method="GET", path="/v2", skip=4, count=1000)
    way.paper.control("POST", "/faults", do="status", status=500, method="POST", path="/v2", count=1000)

    outcome = way.out_of(LARGE, within_s=10).take()

    assert (None, [(CALL, 3)]) == (outcome.is_flat, [(left.symbol, left.qty) for left in outcome.left])


def test_a_close_that_is_refused_at_first_is_sent_again(a_way: Callable[..., Way]):
    """Three rejections in a row, as while a cancel releases what it held: the fourth is taken, under a pause each."""
    way = a_way()
    way.paper.bought(CALL, 3)
    way.paper.control("POST", "/faults", do="status", status=403, method="POST", path="/v2/orders", count=3)

    assert way.out_of(LARGE).take().is_flat
    assert [403, 403, 403, 200] == [entry["status"] for entry in way.posted()]
    assert 3.5 <= way.seconds


def test_a_silent_brokerage_is_unknown_and_the_time_is_bounded(a_way: Callable[..., Way]):
    """No reading at all: neither flat nor not, and it says so after the time that was given."""
    way = a_way()
    way.paper.bought(CALL, 3)
    way.paper.control("POST", "/faults", do="status", status=503, method="GET", path="/v2", count=1000)

    outcome = way.out_of(LARGE, within_s=10).take()

    assert (None, [], []) == (outcome.is_flat, outcome.left, outcome.closed)
    assert outcome.trouble is not None
    assert "503" in outcome.trouble
    assert 8 <= way.seconds <= 10


def test_outside_hours_options_stay_and_stocks_wait_for_the_open(a_way: Callable[..., Way]):
    """After the close no option is sent, and a stock's close is queued at the brokerage; both are said, at once."""
    way = a_way()
    way.paper.bought(CALL, 3, MARGIN)
    way.paper.bought(STOCK, 5, MARGIN)
    way.paper.to("21:30:00")

    outcome = way.out_of(MARGIN).take()

    assert outcome.is_flat is False
    assert {
        CALL: "options trade only while the market is open",
        STOCK: "its close waits for the open",
    } == {left.symbol: left.why.partition(",")[0] for left in outcome.left}
    assert [STOCK] == [body(entry)["symbol"] for entry in way.posted()]
    assert 0.5 > way.seconds


def test_refused_keys_are_a_persons_matter(a_way: Callable[..., Way]):
    """Nothing is tried again with keys that the brokerage does not know."""
    with pytest.raises(NotAuthorized):
        a_way().out_of(LARGE, key="nobody").take()


def test_an_unknown_calendar_holds_nothing_back(a_way: Callable[..., Way]):
    """Neither clock nor calendar answer: the closes are sent, the brokerage knows its hours."""
    way = a_way()
    way.paper.bought(CALL, 3)

    def blind(brokerage: AlpacaBrokerage) -> None:
        brokerage.now = partial(_fail, "no clock")  # type: ignore[method-assign]

    assert way.out_of(LARGE, hook=blind).take().is_flat


def _fail(why: str) -> Any:
    raise BrokerageUnavailable(why)


def test_an_account_that_holds_nothing_is_left_alone(a_way: Callable[..., Way]):
    """Flat from the start: nothing is sent."""
    way = a_way()
    outcome = way.out_of(LARGE).take()

    assert (True, [], []) == (outcome.is_flat, outcome.closed, way.posted())
