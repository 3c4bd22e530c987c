"""The exporter shows what rows and streams say at this moment; what is gone or unknown has no series."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
import redis
from prometheus_client import CollectorRegistry
from sqlalchemy import create_engine, text

from actors import trading_state
from actors.gate import Gate
from cli.exporting import Reading
from cli.groups import groups_of
from db import dead_letters, disputes, drift, heartbeats, marks, positions, schema
from db.disputes import Dispute
from domain.account import TradingState
from domain.events import ActivityBooked
from domain.ids import fact_id
from monitoring.exporter import Exporter
from monitoring.patience import NoAnswer, Patient
from streams.clients import writing_client
from streams.names import QUOTED_KEY
from tests.cli.house import AAA, BBB, House
from tests.factories import LARGE, NOON, SESSION, TINY, a_quote, a_recommendation
from tests.monitoring.conftest import Scraped, now, scraped
from tests.servers import Killable

Scrape = Callable[[], Scraped]
HELD = f'account="large",symbol="{AAA}"'


def test_an_order_reserves_and_its_fill_holds(house: House, scrape: Scrape):
    """Two contracts at 5.00: $1,000 are reserved, then held; positions and exposure count them once throughout."""
    house.recommend()
    waiting = scrape()
    house.trade()
    held = scrape()

    assert (1, 1000) == _of(waiting, "reservations", "reserved_usd")
    assert (0, 0) == _of(held, "reservations", "reserved_usd")
    assert (1, 1000, 0) == _of(waiting, "committed_positions", "exposure_usd", "open_positions")
    assert (1, 1000, 1) == _of(held, "committed_positions", "exposure_usd", "open_positions")
    assert (5, 10000, 500) == _of(held, "max_positions", "max_exposure_usd", "max_daily_loss_usd")


def _of(found: Scraped, *names: str) -> tuple[float, ...]:
    return tuple(found[f'gapless_account_{name}{{account="large"}}'] for name in names)


def test_the_series_of_a_closed_position_vanish(house: House, scrape: Scrape):
    """No label of a position outlives it: not as 0, not as the last value."""
    house.recommend()
    house.trade()
    open_ = scrape()
    house.tick(AAA, "9.50")
    house.trade()
    closed = scrape()

    assert 2 == open_[f'gapless_position_quantity{{account="large",source="rows",symbol="{AAA}"}}']
    assert [] == [name for name in closed if AAA in name]
    assert closed['gapless_account_realized_pnl_usd{account="large"}'] > 0


def test_a_quote_ages_and_a_missing_one_is_absent(house: House, scrape: Scrape, redis_client: redis.Redis):
    """The age counts on the stack's clock from the quote's own time; without a quote there is no age."""
    house.recommend()
    house.trade()
    before = scrape()
    redis_client.hset(QUOTED_KEY, AAA, house.now.timestamp())
    house.now += timedelta(seconds=90)

    assert f"gapless_position_tick_age_seconds{{{HELD}}}" not in before
    assert 90 == scrape()[f"gapless_position_tick_age_seconds{{{HELD}}}"]


def test_a_price_ages_at_the_side_that_the_position_leaves_at(house: House, scrape: Scrape):
    """A quote with one side is no price of it; before the first one there is no age, and a dispute is told."""
    house.recommend()
    house.trade()
    before = scrape()
    seen_at = house.now + timedelta(seconds=30)
    with house.engine.begin() as tx:
        marks.keep(tx, [a_quote(AAA, at=seen_at), a_quote(AAA, bid=None, at=seen_at + timedelta(seconds=60))])
        position = positions.all_open(tx)[0].position_id
        disputes.begin(tx, position, Dispute(house.now, Decimal(5), Decimal(8), house.now, house.now))
    house.now = seen_at + timedelta(seconds=90)
    after = scrape()

    assert f"gapless_position_price_age_seconds{{{HELD}}}" not in before
    assert 90 == after[f"gapless_position_price_age_seconds{{{HELD}}}"]
    assert [0, 1] == [found[f"gapless_position_price_disputed{{{HELD}}}"] for found in (before, after)]


def test_what_the_brokerage_holds_stands_beside_the_rows(house: House, scrape: Scrape):
    """A short position at the brokerage is seen before anybody adopts it; a mismatch counts from its second reading."""
    house.exchanges[TINY].held[BBB] = -1
    house.exchanges[TINY].cost[BBB] = Decimal("-5.00")
    house.reconciler.reconcile(TINY, house.now)
    once = scrape()
    with house.engine.begin() as tx:
        drift.observe(tx, TINY, BBB, "broker_only", 0, -1, house.now)
    twice = scrape()

    assert -1 == once[f'gapless_position_quantity{{account="tiny",source="broker",symbol="{BBB}"}}']
    kinds = [f'gapless_reconcile_mismatches{{account="tiny",kind="{kind}"}}' for kind in ("broker_only", "quantity")]
    assert [0, 0] == [once[name] for name in kinds]
    assert [1, 0] == [twice[name] for name in kinds]


def test_an_account_that_was_never_compared_has_no_age_and_no_mismatches(house: House, scrape: Scrape):
    """Unknown is absent: neither 0 seconds nor 0 mismatches."""
    found = scrape()

    assert [] == [name for name in found if name.startswith(("gapless_reconcile_age", "gapless_reconcile_mismatches"))]
    house.reconciler.reconcile(LARGE, house.now)
    house.now += timedelta(seconds=30)
    assert 30 == scrape()['gapless_reconcile_age_seconds{account="large"}']


def test_what_no_rule_understood_is_counted_by_its_word(house: House, scrape: Scrape):
    """A dividend and a split were booked: each shows under the brokerage's own word; where there is none, nothing."""
    assert [] == [name for name in scrape() if name.startswith("gapless_unhandled_activities")]
    for number, word in enumerate(("DIV", "SPLIT", "DIV")):
        fact = ActivityBooked(
            id=fact_id("booked", number),
            at=house.now,
            schema=1,
            cause="test",
            origin="test",
            account=LARGE,
            activity_id=f"a-{number}",
            word=word,
            symbol=None,
            net_amount_usd=None,
            description="",
        )
        house.tracker.handle([fact])

    found = scrape()
    counts = {w: found[f'gapless_unhandled_activities{{account="large",word="{w}"}}'] for w in ("DIV", "SPLIT")}
    assert {"DIV": 2, "SPLIT": 1} == counts


def test_the_trading_state_is_one_of_three(house: House, scrape: Scrape):
    """The one that holds is 1, the others are 0."""
    with house.desk.begin() as tx:
        trading_state.change(house.desk, tx, LARGE, TradingState.HALTED, "test", "test")
    found = scrape()

    states = {s: found[f'gapless_account_state{{account="large",state="{s}"}}'] for s in TradingState}
    assert {"active": 0, "reducing": 0, "halted": 1} == states


def test_a_blind_gate_and_a_rejected_order_show_for_five_minutes(house: House, scrape: Scrape):
    """The gate could not see a quote; an order was rejected with an intent mismatch. Then it is history."""
    del house.prices[CCC_UNQUOTED]
    house.recommend("blind", symbol=CCC_UNQUOTED, underlying="CCC")
    house.recommend("rejected")
    house.exchanges[LARGE].orders.clear()
    with house.engine.begin() as tx:
        tx.execute(
            text(
                "UPDATE orders SET status = 'rejected', ended_at = :now, final_filled_qty = 0,"
                " reject_code = '42210000', reject_message = 'position intent mismatch, inferred: sell_to_open'"
                " WHERE recommendation = 'rejected'"
            ),
            {"now": house.now},
        )
    found = scrape()
    house.now += timedelta(minutes=5)

    assert found['gapless_recent_blind_checks{account="large",gate="quote_is_fresh"}'] == 1
    assert found['gapless_recent_rejections{account="large",action="open",code="intent_mismatch"}'] == 1
    assert [] == [name for name in scrape() if "gapless_recent" in name]


CCC_UNQUOTED = "CCC260220C00100000"


def test_what_was_not_asked_for_properly_is_no_blindness(house: House, scrape: Scrape):
    """A recommendation without a symbol is refused as unknown, but the gate saw what there is to see."""
    house.recommend("nameless", symbol=None)

    assert [] == [name for name in scrape() if "blind" in name]


def test_fills_that_the_brokerage_told_of_and_nobody_read_are_counted(house: House, scrape: Scrape):
    """An order ended with two contracts filled; our rows have none of them yet."""
    house.recommend()
    with house.engine.begin() as tx:
        tx.execute(
            text("UPDATE orders SET status = 'canceled', ended_at = :now, final_filled_qty = 2"), {"now": house.now}
        )
    house.now += timedelta(seconds=7)
    found = scrape()

    assert (1, 7) == tuple(found[f'gapless_unapplied_fill{n}{{account="large"}}'] for n in ("s", "_age_seconds"))
    assert 0 == found['gapless_unapplied_fill_age_seconds{account="tiny"}']


def test_who_is_alive_and_what_it_runs(house: House, scrape: Scrape):
    """Two copies of gate with different configurations, one tracker that was last seen an hour ago, no exit."""
    with house.engine.begin() as tx:
        heartbeats.beat(tx, "gate", "host-1", "1.0+code/old", now())
        heartbeats.beat(tx, "gate", "host-2", "1.0+code/new", now())
        heartbeats.beat(tx, "tracker", "host-1", "1.0+code/old", now() - timedelta(hours=1))
    found = scrape()

    instances = {a: found[f'gapless_actor_instances{{actor="{a}"}}'] for a in ("gate", "tracker", "exit")}
    assert {"gate": 2, "tracker": 0, "exit": 0} == instances
    told = sorted(name for name in found if name.startswith("gapless_actor_info"))
    assert ["new", "old"] == sorted(name.split('config="')[1].split('"')[0] for name in told)
    assert found['gapless_heartbeat_age_seconds{actor="tracker"}'] >= 3600
    assert 'gapless_heartbeat_age_seconds{actor="exit"}' not in found


def test_dead_letters_count_until_somebody_decides(house: House, scrape: Scrape):
    """Waiting ones count by stream and reader; dropped ones are history; 0 is known."""
    with house.engine.begin() as tx:
        dead_letters.record(
            tx,
            stream="recommendations",
            actor="gate",
            entry_id="1-1",
            fact_type="RecommendationIssued",
            body="{}",
            account=None,
            reason="qty: missing",
            attempts=1,
            origin="test",
            now=NOON,
        )
    name = 'gapless_dead_letters{group="gate",stream="recommendations"}'
    waiting = scrape()[name]
    with house.engine.begin() as tx:
        [letter] = dead_letters.waiting(tx)
        dead_letters.decide(tx, letter["dead_id"], "dropped", "test")

    assert (1, 0) == (waiting, scrape()[name])


def test_a_recommendation_without_an_outcome_ages(house: House, scrape: Scrape):
    """
    Two accounts are named and one decided: the other counts until its outcome is written, by the wall clock since
    the entry was written. What is decided is 0, and so is an account that nobody recommends to.
    """
    rec = a_recommendation(id="torn", at=house.now, symbol=AAA, qty=1, accounts=(LARGE, TINY))
    none = scrape()
    with mock.patch.object(Gate, "_decide", side_effect=_torn(house.gate)), pytest.raises(ConnectionError):
        house.gate.handle(rec, now() - timedelta(seconds=400))
    torn = scrape()
    house.gate.handle(rec, now())

    assert [(0, 0), (0, 0)] == [_undecided(found, TINY) for found in (none, scrape())]
    assert (0, 0) == _undecided(torn, LARGE)
    number, age_s = _undecided(torn, TINY)
    assert 1 == number
    assert 400 <= age_s < 4000


def _torn(gate: Gate) -> Callable[..., Any]:
    """Decide in the first account only: the process dies before the second."""
    decide = gate._decide

    def until_death(rec: Any, account: Any) -> Any:
        if account == TINY:
            raise ConnectionError("killed")
        return decide(rec, account)

    return until_death


def _undecided(found: Scraped, account: str) -> tuple[float, float]:
    names = ("recommendations", "recommendation_age_seconds")
    number, age_s = (found[f'gapless_undecided_{name}{{account="{account}"}}'] for name in names)
    return number, age_s


def test_the_market_is_open_closed_or_unknown(house: House, scrape: Scrape):
    """The calendar knows one session: in it, after it, and long after it."""
    noon = scrape()
    house.now += timedelta(hours=6)
    night = scrape()
    house.now += timedelta(days=30)

    assert (1, 0) == (noon["gapless_market_open"], night["gapless_market_open"])
    assert "gapless_market_open" not in scrape()


def test_a_close_that_waits_for_the_open_is_counted(house: House, scrape: Scrape):
    """While the market is closed: what is to be left and has no close under way; by day a close is not waiting."""
    waiting = 'gapless_account_closes_waiting_for_open{account="large"}'
    house.recommend()
    house.trade()
    house.now = SESSION.close
    assert 0 == scrape()[waiting]
    with house.engine.begin() as tx:
        tx.execute(text("UPDATE exit_plans SET triggered_rule = 'stop'"))
    assert 1 == scrape()[waiting]
    house.now = SESSION.close - timedelta(seconds=1)
    assert 0 == scrape()[waiting]
    house.exit.handle_timer(house.now)
    house.settle()
    house.now = SESSION.close
    assert 0 == scrape()[waiting]


def test_streams_tell_what_waits_and_for_how_long(scrape: Scrape, redis_client: redis.Redis):
    """An entry that nobody has read ages on the server's clock; a stream that is caught up has age 0."""
    redis_client.xadd("fills.{0}", {"type": "x", "body": "y"}, id="1000-1")
    redis_client.xadd("entries.{0}", {"type": "x", "body": "y"})
    redis_client.xgroup_create("entries.{0}", "executor")
    found = scrape()

    age = "gapless_stream_oldest_unprocessed_age_seconds"
    assert found[f'{age}{{group="tracker",stream="fills.{{0}}"}}'] > 1e9
    assert 0 == found[f'{age}{{group="executor",stream="entries.{{0}}"}}']
    assert 1 == found['gapless_stream_length{stream="fills.{0}"}']


def test_without_a_database_its_state_is_absent(killable_database: Killable, redis_client: redis.Redis):
    """PostgreSQL dies: its source says 0, every series of rows is gone, streams are still shown; back, all is back."""
    schema.upgrade(killable_database.url)
    engine = create_engine(killable_database.url, pool_pre_ping=True)
    reading = Reading(engine, redis_client, now, groups_of(1), schema.head())
    registry = CollectorRegistry()
    registry.register(Exporter(reading.rows, reading.streams))
    alive = scraped(registry)
    killable_database.kill()
    dead = scraped(registry)
    killable_database.start()
    back = scraped(registry)
    engine.dispose()

    up = 'gapless_source_up{source="postgres"}'
    assert [1, 0, 1] == [found[up] for found in (alive, dead, back)]
    assert "gapless_outbox_waiting" in alive
    assert {"gapless_source", "gapless_stream"} == {"_".join(name.split("_")[:2]) for name in dead}
    assert {*alive} == {*back}


def test_without_streams_their_state_is_absent(house: House, killable_redis: Killable):
    """Valkey dies: rows are still shown."""
    with writing_client(killable_redis.url) as client:
        reading = Reading(house.engine, client, lambda: house.now, groups_of(1), schema.head())
        registry = CollectorRegistry()
        registry.register(Exporter(reading.rows, reading.streams))
        alive = scraped(registry)
        killable_redis.kill()
        dead = scraped(registry)

    assert 'gapless_stream_length{stream="ticks.{0}"}' in alive
    assert 0 == dead['gapless_source_up{source="redis"}']
    assert [] == [name for name in dead if name.startswith("gapless_stream")]
    assert 0 == dead["gapless_outbox_waiting"]


def test_another_schema_is_not_read(house: House, redis_client: redis.Redis):
    """What its columns mean is not ours to guess."""
    reading = Reading(house.engine, redis_client, lambda: house.now, groups_of(1), "0000")

    with pytest.raises(schema.WrongSchema):
        reading.rows()


def test_a_source_that_hangs_is_asked_once():
    """Its scrape ends at the deadline; the next ones fail at once until the first read has ended."""
    release, asked = threading.Event(), []

    def read() -> str:
        asked.append(1)
        release.wait()
        return "said"

    patient = Patient(read, 0.01)
    for _ in range(3):
        with pytest.raises(NoAnswer):
            patient()
    during = list(asked)
    release.set()
    while True:
        try:
            said = patient()
            break
        except NoAnswer:
            continue

    assert ("said", [1]) == (said, during)


def test_who_asks_while_a_read_is_under_way_shares_its_answer():
    """Two scrapes at once cost one read."""
    release = threading.Event()
    patient = Patient(lambda: release.wait(20), 20)
    first, second = patient._call(), patient._call()
    release.set()

    assert first is second
    assert patient() is True
