"""The feeds actor against the local Alpaca: what happened there stands on the streams, whatever the sockets do."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.bookings import Booked
from actors.catch_up import Stored
from actors.feeds import AccountFeed, Doors, Feeds
from brokerage.alpaca_rest import AlpacaBrokerage
from brokerage.budget import RateBudget
from brokerage.endpoints import Keys
from brokerage.feed_thread import Liveness
from brokerage.port import OrderRequest
from domain.events import (
    ActivityBooked,
    Fact,
    FillSource,
    Intent,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderType,
    PositionSettled,
    QuotesTicked,
    Side,
)
from domain.ids import AccountName
from tests.brokerage.local_paper import CALL, CALLS, PUTS, STOCK, Paper, a_paper

LARGE, TINY = AccountName("large"), AccountName("tiny")
NOW = datetime(2026, 3, 10, 13, 30, 2, tzinfo=UTC)
ALIVE = Liveness(recycle_s=None, quiet_s=None, backoff_s=0.05, max_backoff_s=0.1)
WAIT_S = 3.0


def eventually(said: Callable[[], Any]) -> Any:
    until = time.monotonic() + WAIT_S
    while not (found := said()) and time.monotonic() < until:
        time.sleep(0.01)
    return found


@dataclass
class Streams:
    """Where facts go: everything that was published, buried and counted; may be out of order for a while."""

    published: list[tuple[str, Fact]] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    buried: list[tuple[str, bytes, str]] = field(default_factory=list)
    wanted: Collection[str] = frozenset()
    pending: dict[AccountName, list[tuple[str, str]]] = field(default_factory=dict)
    down: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def publish(self, stream: str, facts: Sequence[Fact], counter: str, counted: int) -> None:
        with self.lock:
            if self.down:
                self.down -= 1
                raise ConnectionError("no queue")
            self.published += [(stream, fact) for fact in facts]
            self.counted[counter] += counted

    def stored(self, account: AccountName) -> Stored:
        """As if rows held all that was published."""
        fills = [fact for fact in self.of(OrderFilled) if fact.account == account]
        return Stored(NOW - timedelta(hours=1), frozenset((f.broker_order_id, f.cum_qty) for f in fills))

    def booked(self, account: AccountName) -> Booked:
        """Here too rows hold all that was published."""
        ids = frozenset(f.activity_id for f in [*self.of(PositionSettled), *self.of(ActivityBooked)])
        return Booked((NOW - timedelta(days=1)).date(), ids)

    def of(self, kind: type[Fact]) -> list[Any]:
        return [fact for _, fact in self.published if isinstance(fact, kind)]

    def doors(self) -> Doors:
        return Doors(
            publish=self.publish,
            bury=lambda source, raw, error: self.buried.append((source, raw, error)),
            wanted=lambda: self.wanted,
            pending=lambda account: self.pending.get(account, []),
            stored=self.stored,
            booked=self.booked,
            wall=lambda: datetime.now(UTC),
        )


@pytest.fixture
def paper(tmp_path: Path) -> Iterator[Paper]:
    with a_paper(tmp_path) as running:
        yield running


@pytest.fixture
def streams() -> Streams:
    return Streams()


@pytest.fixture
def brokerages(paper: Paper) -> Iterator[dict[AccountName, AlpacaBrokerage]]:
    opened = {
        name: AlpacaBrokerage(Keys(name, "paper"), paper.urls, 0.5, RateBudget().entries) for name in (LARGE, TINY)
    }
    yield opened
    for brokerage in opened.values():
        brokerage.close()


@pytest.fixture
def large(brokerages: dict[AccountName, AlpacaBrokerage]) -> AlpacaBrokerage:
    return brokerages[LARGE]


@pytest.fixture
def feeds(paper: Paper, streams: Streams, brokerages: dict[AccountName, AlpacaBrokerage]) -> Iterator[Feeds]:
    accounts = {
        name: AccountFeed(keys=Keys(name, "paper"), brokerage=brokerage) for name, brokerage in brokerages.items()
    }
    actor = Feeds(accounts, paper.urls, streams.doors(), "v1", ALIVE, ALIVE)
    actor.start()
    assert actor.wait_connected(WAIT_S)
    yield actor
    assert actor.stop()


def buy(n: int = 1, limit: str = "3.30", qty: int = 2) -> OrderRequest:
    return OrderRequest(
        client_order_id=f"large-{n}",
        symbol=CALL,
        side=Side.BUY,
        intent=Intent.BUY_TO_OPEN,
        qty=qty,
        type=OrderType.LIMIT,
        limit_price=Decimal(limit),
    )


def test_a_fill_stands_on_the_stream(feeds, streams, large):
    """The socket tells: accepted, then filled, with the execution and the total after it."""
    order = large.submit(buy())

    [fill] = eventually(lambda: streams.of(OrderFilled))

    assert (LARGE, "large-1", order.broker_order_id, CALL, 2, 2, Decimal("3.30"), FillSource.STREAM) == (
        fill.account,
        fill.client_order_id,
        fill.broker_order_id,
        fill.symbol,
        fill.qty,
        fill.cum_qty,
        fill.price,
        fill.source,
    )
    assert 1 == len({fact.id for fact in streams.of(OrderAccepted)})
    assert {"fills"} == {stream for stream, _ in streams.published}


def test_every_message_of_the_broker_is_counted(feeds, streams, large, paper):
    """What paper says it sent is what we counted: a replay moves its clock on that."""
    streams.wanted = frozenset({CALL, STOCK})
    feeds.on_timer(NOW)
    large.submit(buy())
    large.cancel(large.submit(buy(2, limit="3.00")).broker_order_id)
    paper.quote(CALL, "3.00", "3.10")
    paper.quote(STOCK, "99.00", "99.10")
    sent = paper.sent()

    assert eventually(lambda: sent["trade_updates"]["large"] == streams.counted["trade_updates:large"])
    assert eventually(lambda: (1, 1) == (streams.counted["option"], streams.counted["stock"]))
    assert (1, 1) == (sent["option"], sent["stock"])


def test_the_quotes_of_a_frame_are_one_fact(tmp_path, brokerages, streams):
    """Seventy-six contracts move at once: one frame, one fact, seventy-six quotes."""
    with a_paper(tmp_path / "early", start_at="13:30:00") as paper:
        brokerage = AlpacaBrokerage(Keys("large", "paper"), paper.urls, 0.5, RateBudget().entries)
        account = AccountFeed(keys=Keys("large", "paper"), brokerage=brokerage)
        streams.wanted = frozenset(CALLS + PUTS)
        actor = Feeds({LARGE: account}, paper.urls, streams.doors(), "v1", ALIVE, ALIVE)
        actor.start()
        assert actor.wait_connected(WAIT_S)
        actor.on_timer(NOW)
        paper.clock("13:30:02")

        [ticked] = eventually(lambda: streams.of(QuotesTicked))
        assert actor.stop()
        brokerage.close()

    assert (76, 76) == (len(ticked.quotes), streams.counted["option"])
    assert {(Decimal("3.2"), Decimal("3.3"), 10, 10)} == {
        (quote.bid, quote.ask, quote.bid_size, quote.ask_size) for quote in ticked.quotes
    }
    assert ("option", datetime(2026, 3, 10, 13, 30, 1, tzinfo=UTC)) == (ticked.feed, ticked.at)


def test_subscriptions_follow_what_is_wanted(feeds, streams, paper):
    """A quote is told only while somebody wants it; the change is confirmed when the timer returns."""
    for wanted, told in (({CALL}, 1), ({CALL, PUTS[0]}, 2), ({PUTS[0]}, 2), (set(), 2)):
        streams.wanted = frozenset(wanted)
        feeds.on_timer(NOW)
        paper.quote(CALL, "3.10", "3.20")
        assert eventually(lambda told=told: streams.counted["option"] == told)
    assert paper.sent()["option"] == 2


def test_a_newly_wanted_symbol_is_priced_at_once(feeds, streams, paper):
    """A quiet contract may not be quoted for minutes: its latest quote is read, once."""
    paper.quote(CALL, "2.90", None)
    streams.wanted = frozenset({CALL})
    for _ in range(3):
        feeds.on_timer(NOW)

    [ticked] = streams.of(QuotesTicked)

    assert [(CALL, Decimal("2.90"), None)] == [(q.symbol, q.bid, q.ask) for q in ticked.quotes]
    assert 0 == streams.counted["rest"]


def test_what_is_no_symbol_does_not_stop_the_others(feeds, streams, paper):
    """One bad line in a watch list costs only itself."""
    streams.wanted = frozenset({CALL, "not a symbol"})
    feeds.on_timer(NOW)
    paper.quote(CALL, "3.10", "3.20")

    assert eventually(lambda: streams.counted["option"] == 1)


def test_more_symbols_than_a_feed_may_watch(feeds, streams, paper):
    """The server would refuse them all: the most important come first, and the rest is left out."""
    streams.wanted = [STOCK, *(f"{a}{b}{c}" for a in "ABC" for b in "ABCD" for c in "ABC")]
    feeds.on_timer(NOW)
    paper.quote(STOCK, "99.00", "99.10")

    assert eventually(lambda: streams.counted["stock"] == 1)


def test_a_mute_socket_loses_nothing(feeds, streams, large, paper):
    """Open and silent: the timer finds the fill by REST, with the id the socket would have given it."""
    feeds.on_timer(NOW)
    paper.tell("/streams", stream="trade_updates", do="mute")
    order = large.submit(buy())
    feeds.on_timer(NOW + timedelta(seconds=14))
    assert [] == streams.of(OrderFilled)

    feeds.on_timer(NOW + timedelta(seconds=15))

    [fill] = streams.of(OrderFilled)
    assert (FillSource.ACTIVITY, order.broker_order_id, "large-1") == (
        fill.source,
        fill.broker_order_id,
        fill.client_order_id,
    )


def test_what_happened_while_the_socket_was_away_is_told_after_it_is_back(feeds, streams, large, paper):
    """A fill and a cancel in the gap: the next timer after the new connection tells both."""
    feeds.on_timer(NOW)
    resting = large.submit(buy(1, limit="3.00"))
    assert eventually(lambda: streams.of(OrderAccepted))
    streams.pending[LARGE] = [("large-1", resting.broker_order_id)]
    paper.tell("/streams", stream="trade_updates", do="mute")
    large.cancel(resting.broker_order_id)
    large.submit(buy(2))
    paper.tell("/streams", stream="trade_updates", do="close", code=1001)
    assert eventually(lambda: feeds.status()["trade_updates:large"].connections == 2)

    feeds.on_timer(NOW)

    assert [("large-1", 0)] == [(end.client_order_id, end.filled_qty) for end in streams.of(OrderCanceled)]
    assert ["large-2"] == [fill.client_order_id for fill in streams.of(OrderFilled)]


def test_the_socket_and_the_catch_up_tell_the_same_facts(feeds, streams, large):
    """Both tell a fill and a cancel: four facts, two ids."""
    streams.pending[LARGE] = [("large-1", ""), ("large-2", "")]
    large.submit(buy(1))
    large.cancel(large.submit(buy(2, limit="3.00")).broker_order_id)
    assert eventually(lambda: streams.of(OrderCanceled) and streams.of(OrderFilled))

    feeds.on_timer(NOW)

    for kind in (OrderFilled, OrderCanceled):
        assert (2, 1) == (len(streams.of(kind)), len({(fact.id, fact.at) for fact in streams.of(kind)}))


def test_an_acceptance_that_nobody_heard_is_told(feeds, streams, large, paper):
    """Its submitter died before it could write the broker's id: found by our own id."""
    paper.tell("/streams", stream="trade_updates", do="mute")
    order = large.submit(buy(limit="3.00"))
    streams.pending[LARGE] = [("large-1", ""), ("large-never-sent", "")]

    feeds.on_timer(NOW)

    [accepted] = streams.of(OrderAccepted)
    assert ("large-1", order.broker_order_id) == (accepted.client_order_id, accepted.broker_order_id)


def test_a_stored_fill_is_not_told_again_unless_its_order_is_in_doubt(feeds, streams, large, paper):
    """Looks overlap, what rows hold is no news; but while they hold the order for alive, they may lack a part of it."""
    large.submit(buy())
    assert eventually(lambda: streams.of(OrderFilled))
    for seconds in (0, 15, 30):
        feeds.on_timer(NOW + timedelta(seconds=seconds))
    assert 1 == len(streams.of(OrderFilled))

    streams.pending[LARGE] = [("large-1", "")]
    feeds.on_timer(NOW + timedelta(seconds=45))

    assert 2 == len(streams.of(OrderFilled))


def test_a_fill_that_could_not_be_published_is_caught_up(feeds, streams, large):
    """The queue was down when the frame came: the connection is made anew, and the fill is told."""
    feeds.on_timer(NOW)
    streams.down = 1
    large.submit(buy())
    assert eventually(lambda: feeds.status()["trade_updates:large"].connections > 1)

    feeds.on_timer(NOW)

    assert ["large-1"] == [fill.client_order_id for fill in streams.of(OrderFilled)]


def test_a_failed_publication_of_a_catch_up_is_repeated(feeds, streams, large, paper):
    """What was not published is not remembered as told, and is due at once."""
    feeds.on_timer(NOW)
    paper.tell("/streams", stream="trade_updates", do="mute")
    large.submit(buy())
    streams.down = 1
    with pytest.raises(ConnectionError):
        feeds.on_timer(NOW + timedelta(seconds=15))

    feeds.on_timer(NOW + timedelta(seconds=16))

    assert 1 == len(streams.of(OrderFilled))


def test_an_unreadable_frame_is_buried_and_caught_up(feeds, streams, large, paper):
    """The frame is kept as it came; what it meant to say is fetched by REST at the next timer."""
    feeds.on_timer(NOW)
    paper.tell("/streams", stream="trade_updates", do="mute")
    large.submit(buy())
    feeds._trade_handlers(LARGE).on_unreadable(b"junk", "no JSON")

    feeds.on_timer(NOW + timedelta(seconds=1))

    assert [("trade_updates:large", b"junk", "no JSON")] == streams.buried
    assert 1 == len(streams.of(OrderFilled))


def test_what_is_booked_without_an_order_is_told_once_and_never_over_the_socket(feeds, streams, large, paper):
    """Expired by force today, listed tomorrow: one fact, however often it is asked for, with a price that is known."""
    large.submit(buy())
    eventually(lambda: streams.of(OrderFilled))
    feeds.on_timer(NOW)
    paper.tell("/book", account="large", do="expire", symbol=CALL)
    feeds.on_timer(NOW + timedelta(minutes=6))
    assert [] == streams.of(PositionSettled)

    paper.tell("/clock", to="2026-03-11T12:00:00Z")
    for minutes in (12, 18, 24):
        feeds.on_timer(NOW + timedelta(minutes=minutes))

    [settled] = streams.of(PositionSettled)
    assert (CALL, -2, Decimal(0), "expired") == (settled.symbol, settled.qty, settled.price, settled.kind)
    assert datetime(2026, 3, 10, 20, tzinfo=UTC) == settled.at


def test_one_account_out_of_reach_does_not_hold_up_the_other(feeds, streams, brokerages, paper):
    """Its catch-up is tried again after five seconds of clock, not before; the other's goes on."""
    feeds.on_timer(NOW)
    paper.tell("/streams", stream="trade_updates", do="mute")
    brokerages[LARGE].submit(buy())
    brokerages[TINY].submit(buy(2, qty=1))
    paper.fault(account="large", method="GET", do="status", status=503)

    feeds.on_timer(NOW + timedelta(seconds=15))
    assert [TINY] == [fill.account for fill in streams.of(OrderFilled)]

    feeds.on_timer(NOW + timedelta(seconds=19))
    assert [TINY] == [fill.account for fill in streams.of(OrderFilled)]
    feeds.on_timer(NOW + timedelta(seconds=20))
    assert [TINY, LARGE] == [fill.account for fill in streams.of(OrderFilled)]


def test_prices_that_could_not_be_read_are_asked_for_again(feeds, streams, paper):
    """A failure is no price and no end."""
    paper.fault(method="GET", path="/v1beta1", do="status", status=503)
    streams.wanted = frozenset({CALL})
    feeds.on_timer(NOW)
    assert [] == streams.of(QuotesTicked)

    feeds.on_timer(NOW)

    assert 1 == len(streams.of(QuotesTicked))
