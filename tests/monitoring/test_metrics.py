"""Actors count what they decide and how long it took; every label comes from a closed list."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from brokerage.alpaca_rest import AlpacaBrokerage
from brokerage.budget import RateBudget
from brokerage.feed_thread import NEVER_CONNECTED, FeedStatus
from brokerage.port import BrokerageUnavailable
from cli.feeding import Feeding
from domain.checks import blind, named
from domain.events import RecommendationIssued
from monitoring import families
from monitoring.codes import code_of
from monitoring.metrics import ActorMetrics, StreamMetrics, a_registry
from streams.names import QUOTED_KEY, Stream
from tests.brokerage.local_paper import LARGE as LARGE_KEYS
from tests.brokerage.local_paper import a_paper
from tests.cli.house import AAA, House
from tests.factories import LARGE, NOON, a_recommendation, ticked
from tests.monitoring.conftest import Scraped, scraped


def counted(house: House) -> Scraped:
    return scraped(house.desk.metrics.registry)


def test_a_decision_counts_with_its_age(house: House):
    """One is approved two seconds after it entered its stream, one is refused by the gate that is named."""
    rec_read_at = house.wall
    house.wall += timedelta(seconds=2)
    house.gate.handle(a_rec(house), rec_read_at)
    house.recommend("again")
    found = counted(house)

    assert 1 == found['gapless_decisions_total{account="large",outcome="approved"}']
    assert 1 == found['gapless_decisions_total{account="large",outcome="refused"}']
    assert 1 == found['gapless_gate_refusals_total{account="large",gate="symbol_is_not_held"}']
    assert 2 == found['gapless_recommendation_to_decision_seconds_sum{account="large"}']


def a_rec(house: House) -> RecommendationIssued:
    return a_recommendation(id="rec-1", at=house.now, symbol=AAA, qty=2)


def test_a_recommendation_that_comes_twice_is_counted_once(house: House):
    """Counters follow decisions, not deliveries."""
    for _ in range(2):
        house.gate.handle(a_rec(house), house.wall)

    assert 1 == counted(house)['gapless_decisions_total{account="large",outcome="approved"}']


def test_an_order_and_its_fill_are_counted_with_their_ages(house: House):
    """Accepted at once on the stack's clock; two executions or one, each in its position."""
    house.recommend()
    house.trade()
    found = counted(house)

    assert 1 == found['gapless_order_results_total{account="large",action="open",code="",result="accepted"}']
    assert 1 == found['gapless_decision_to_order_seconds_count{action="open"}']
    fills = found['gapless_fills_total{account="large",source="stream"}']
    assert fills == found['gapless_fill_to_position_seconds_count{account="large"}']
    assert fills >= 1


def test_an_exit_is_counted_by_its_rule(house: House):
    """The price doubles: the target closes."""
    house.recommend()
    house.trade()
    house.tick(AAA, "9.50")

    assert 1 == counted(house)['gapless_exit_triggers_total{account="large",rule="target"}']


@pytest.mark.parametrize(
    ("code", "message", "label"),
    [
        (None, None, ""),
        ("42210000", "position intent mismatch, inferred: sell_to_open", "intent_mismatch"),
        ("42210000", "qty must be > 0", "unprocessable"),
        ("40310000", "insufficient buying power", "forbidden"),
        ("too_old", "not sent", "too_old"),
        ("99999999", "a new one", "other"),
    ],
)
def test_why_an_order_ended_is_one_of_a_few_words(code: str | None, message: str | None, label: str):
    """Alpaca may invent codes; series must not grow with them."""
    assert label == code_of(code, message)


def test_a_check_that_saw_nothing_is_blind_unless_the_question_was_bad():
    """No quote is blindness; no quote for a symbol that nobody named is not."""
    no_quote = named("quote_is_fresh", False, "unknown: no quote", "a quote", "quotes")
    no_symbol = named("type_matches_symbol", False, "unknown: no symbol is named", "a symbol", "recommendation")
    seen = named("spread_is_within_limit", False, "40 %", "<= 30 %", "quotes")

    assert (no_quote,) == blind([no_quote, seen])
    assert () == blind([no_quote, no_symbol, seen])


def test_requests_are_counted_by_status_class_and_endpoint(tmp_path: Path):
    """A true answer, a 429, a 500 and no answer at all, each of its own class."""
    metrics = ActorMetrics()
    told = partial(metrics.requested, "large")
    later: tuple[dict[str, Any], ...] = ({"do": "status", "status": 429}, {"do": "status", "status": 500})
    with a_paper(tmp_path) as paper:
        port = AlpacaBrokerage(LARGE_KEYS, paper.urls, 2.0, RateBudget().entries, told)
        port.account()
        for fault in (*later, {"do": "reset"}):
            paper.fault(path="/v2/account", **fault)
            with pytest.raises(BrokerageUnavailable):
                port.account()
        port.close()
    found = scraped(metrics.registry)

    of = {s: found[f'gapless_broker_requests_total{{account="large",endpoint="account",status="{s}"}}'] for s in STATUS}
    assert dict.fromkeys(STATUS, 1) == of
    assert 4 == found['gapless_broker_request_seconds_count{endpoint="account"}']


STATUS = ("2xx", "429", "5xx", "none")


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/v2/orders:by_client_order_id?client_order_id=x", "orders"),
        ("/v2/options/contracts/SPY260220C00450000", "contracts"),
        ("/v2/account/activities/FILL", "activities"),
        ("/v1beta1/options/quotes/latest", "quotes"),
        ("/v2/positions/SPY", "positions"),
        ("/v3/new", "other"),
    ],
)
def test_a_path_is_one_of_a_few_endpoints(path: str, endpoint: str):
    """No id and no symbol becomes a label."""
    metrics = ActorMetrics()
    metrics.requested("large", f"https://example.com{path}", 200, 0.1)

    assert (
        1
        == scraped(metrics.registry)[
            f'gapless_broker_requests_total{{account="large",endpoint="{endpoint}",status="2xx"}}'
        ]
    )


def test_quotes_leave_their_time_beside_the_stream(house: House, redis_client: redis.Redis):
    """What the exporter ages is the quote's own time, written in the step that publishes it."""
    feeding = Feeding(house.engine, redis_client, house.desk, (), lambda: None)
    feeding.publish(Stream.TICKS, [ticked(house.exchanges[LARGE].quote(AAA), at=NOON)], "option", 1)

    assert {AAA.encode(): str(NOON.timestamp()).encode()} == redis_client.hgetall(QUOTED_KEY)


def test_connections_after_the_first_are_reconnects():
    """A feed that was never connected has none, and says that it is not."""
    lost = FeedStatus(connected=False, connections=3, frames=7, last_frame_at=NOON, refused=False)
    metrics = ActorMetrics()
    metrics.watch_feeds(lambda: {"option": lost, "stock": NEVER_CONNECTED})
    found = scraped(metrics.registry)

    assert [2, 0] == [found[f'gapless_feed_reconnects_total{{feed="{feed}"}}'] for feed in ("option", "stock")]
    assert [7, 0] == [found[f'gapless_feed_frames_total{{feed="{feed}"}}'] for feed in ("option", "stock")]
    assert [0, 0] == [found[f'gapless_feed_connected{{feed="{feed}"}}'] for feed in ("option", "stock")]


def test_every_metric_of_an_actor_is_in_the_list():
    """Name, kind and labels are written once, in families."""
    registry = a_registry("1.0+code/config")
    StreamMetrics(registry)
    ActorMetrics(registry).watch_feeds(dict)
    offered = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        if not family.name.endswith("_created")
    }

    assert {family.name for family in families.ACTOR_FAMILIES} == offered


@pytest.mark.parametrize("family", families.ALL, ids=lambda f: f.name)
def test_names_follow_the_conventions(family: families.Family):
    """Prefix, unit or total at the end, a sentence, and no label that nobody bounds."""
    assert family.name.startswith("gapless_")
    assert (family.kind == "counter") == family.name.endswith("_total")
    assert family.kind != "histogram" or family.name.endswith("_seconds")
    assert family.help
    assert not {"id", "order_id", "position_id", "recommendation", "path"} & {*family.labels}
