"""The second source against the local Alpaca: what is held is asked for, in rounds, within what may be asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from actors.second_look import EVERY, MOST, SecondDoors, SecondLook, round_of
from brokerage.alpaca_rest import AlpacaBrokerage
from brokerage.budget import RateBudget
from brokerage.endpoints import Keys
from brokerage.port import BrokerageUnavailable
from domain.events import Fact, Quote
from domain.prices import SECOND_FEED, Source, source_of
from streams.names import Stream
from tests.brokerage.local_paper import CALL, CALLS, STOCK, Paper, a_paper

NOW = datetime(2026, 3, 10, 13, 30, 2, tzinfo=UTC)


@dataclass
class World:
    """What is held, and what was told about it. The name is that of a blind one when it maps to True."""

    held: dict[str, bool] = field(default_factory=dict)
    volatility: str | None = None
    published: list[tuple[str, Any]] = field(default_factory=list)
    levels: list[Quote] = field(default_factory=list)
    thetas: dict[str, tuple[Decimal, datetime]] = field(default_factory=dict)

    def doors(self) -> SecondDoors:
        return SecondDoors(
            held=lambda _: self.held, volatility=lambda: self.volatility, publish=self._publish, keep=self._keep
        )

    def _publish(self, stream: str, facts: Sequence[Fact], counter: str, counted: int) -> None:
        assert (SECOND_FEED, 0) == (counter, counted)
        self.published += [(stream, fact) for fact in facts]

    def _keep(self, levels: Sequence[Quote], thetas: Mapping[str, Decimal], at: datetime) -> None:
        self.levels += levels
        self.thetas |= {symbol: (theta, at) for symbol, theta in thetas.items()}

    @property
    def symbols(self) -> list[list[str]]:
        return [sorted(quote.symbol for quote in fact.quotes) for _, fact in self.published]


@pytest.fixture
def paper(tmp_path: Path) -> Iterator[Paper]:
    with a_paper(tmp_path) as running:
        yield running


@pytest.fixture
def port(paper: Paper) -> Iterator[AlpacaBrokerage]:
    brokerage = AlpacaBrokerage(Keys("large", "paper"), paper.urls, 5, RateBudget().entries)
    yield brokerage
    brokerage.close()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def look(port: AlpacaBrokerage, world: World) -> SecondLook:
    return SecondLook(port, world.doors(), EVERY)


def test_what_is_held_is_asked_for_in_rounds(look: SecondLook, world: World):
    """Option and share in one fact of the second feed; within a round nothing is asked again."""
    world.held = {CALL: False, STOCK: False}
    for after_s in (0, 6, 11, 12, 18, 24):
        look.on_timer(NOW + timedelta(seconds=after_s))

    assert [sorted([CALL, STOCK])] * 3 == world.symbols
    stream, fact = world.published[0]
    assert (Stream.TICKS, Source.SECOND) == (stream, source_of(fact.feed))
    [quote] = [quote for quote in fact.quotes if quote.symbol == CALL]
    assert (Decimal("3.2"), Decimal("3.3"), NOW.replace(second=1)) == (quote.bid, quote.ask, quote.at)


def test_what_has_no_usable_price_is_asked_for_twice_a_round(look: SecondLook, world: World):
    """Exactly these symbols, in the middle of the round."""
    world.held = {CALLS[1]: True, CALL: False}
    for after_s in (0, 6, 12):
        look.on_timer(NOW + timedelta(seconds=after_s))

    assert [sorted([CALL, CALLS[1]]), [CALLS[1]], sorted([CALL, CALLS[1]])] == world.symbols


def test_nothing_held_asks_nothing(look: SecondLook, world: World, paper: Paper):
    """Not even how agitated the market is: that concerns what is held."""
    world.volatility = STOCK
    before = _requests(paper)
    look.on_timer(NOW)

    assert ([], before) == (world.published, _requests(paper))


def test_the_theta_of_a_snapshot_is_kept(look: SecondLook, world: World, paper: Paper):
    """With the time at which it was asked for; a contract without Greeks has none, and zero is a theta."""
    paper.greeks(CALL, theta="-0.15", delta="0.5")
    paper.greeks(CALLS[1], theta="0")
    paper.greeks(CALLS[2], delta="0.5")
    world.held = dict.fromkeys([CALL, *CALLS[1:4]], False)

    look.on_timer(NOW)

    assert {CALL: (Decimal("-0.15"), NOW), CALLS[1]: (Decimal(0), NOW)} == world.thetas


def test_the_level_of_volatility_is_kept_and_no_tick(look: SecondLook, world: World):
    """The stock of [volatility] is asked for with the rest; unless it is held it is nobody's price."""
    world.held, world.volatility = {CALL: False}, STOCK

    look.on_timer(NOW)

    assert ([STOCK], [[CALL]]) == ([quote.symbol for quote in world.levels], world.symbols)


def test_a_failure_is_no_price_and_no_end(look: SecondLook, world: World, paper: Paper):
    """Options fail, the share is told all the same; the next round asks for both."""
    world.held = {CALL: False, STOCK: False}
    paper.fault(method="GET", path="/v1beta1/options", do="status", status=503)

    look.on_timer(NOW)
    look.on_timer(NOW + EVERY)

    assert [[STOCK], sorted([CALL, STOCK])] == world.symbols


class Counting:
    """A brokerage that knows every contract and counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def snapshots(self, symbols: Sequence[str]) -> Mapping[str, Any]:
        self.asked.append(list(symbols))
        return {}

    def quotes(self, symbols: Sequence[str]) -> Mapping[str, Any]:
        raise BrokerageUnavailable("nothing but options is held here")


def test_more_than_one_request_may_name_take_turns(world: World):
    """250 contracts: a hundred a round, and after a few rounds each was asked for; one request a round."""
    held = [f"ABC260320C{strike:08d}" for strike in range(1000, 251000, 1000)]
    world.held = dict.fromkeys(held, False)
    port: Any = Counting()
    look = SecondLook(port, world.doors(), EVERY)
    for number in range(5):
        look.on_timer(NOW + number * EVERY)

    assert [MOST] * 5 == [len(asked) for asked in port.asked]
    assert set(held) == {symbol for asked in port.asked for symbol in asked}


@pytest.mark.parametrize(
    ("asked", "seconds"), [(24, 12), (200, 12), (14, 24), (1, 240)], ids=["shipped", "plenty", "few", "one"]
)
def test_a_round_stays_within_its_share(asked: int, seconds: int):
    """Four requests a round at most, and four a minute left to first prices, as far as there are any."""
    assert timedelta(seconds=seconds) == round_of(asked)
    assert 60 / seconds * 4 <= max(asked - 4, 1)


def _requests(paper: Paper) -> Any:
    return requests.get(f"{paper.control}/idle", timeout=5).json()["requests"]
