"""What the live view reads: rows as the actors write them, and marks from the tail of the ticks."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
import redis
from sqlalchemy import Engine, event

from cli.live_data import Marks, look
from streams.clients import writing_client
from streams.names import Stream, partitioned
from tests.cli.house import AAA, BBB, House
from tests.factories import LARGE, NOON, TINY, a_quote, ticked
from tests.live.scenes import a_stack, shown, tick

TICKS = partitioned(Stream.TICKS, 0)


@pytest.fixture
def house(engine: Engine) -> House:
    return House(engine)


def test_a_held_position_is_marked_at_the_last_bid(house: House, redis_client: redis.Redis):
    """Two bought at 5.00 and bid 5.50 now are up 100.00 dollars and 10 %; the account's slots and dollars show."""
    house.recommend(symbol=AAA, qty=2)
    house.trade()
    tick(redis_client, ticked(a_quote(AAA, "5.10", "5.20")))
    tick(redis_client, ticked(a_quote(AAA, "5.50", "5.60"), a_quote(BBB, "9.00", "9.10")))
    found = look(a_stack(house.engine, redis_client), Marks(), NOON + timedelta(minutes=4))
    [position], [large, tiny] = found.positions, found.accounts

    assert (Decimal("5.50"), Decimal("100.00"), Decimal("10.00")) == (
        position.price,
        position.pnl_usd,
        position.pnl_pct,
    )
    assert (240.0, 240.0, "") == (position.held_s, position.quoted_age_s, position.leaving)
    assert (LARGE, 1, 5, Decimal("1000.00")) == (large.name, large.positions, large.max_positions, large.exposure_usd)
    assert (Decimal("100.00"), Decimal("0.00")) == (large.today_usd, tiny.today_usd)


def test_nobody_has_quoted_it(house: House, redis_client: redis.Redis):
    """Without a tick there is no mark: mark, result and the account's day are unknown, not zero."""
    house.recommend(symbol=AAA, qty=2)
    house.trade()
    found = look(a_stack(house.engine, redis_client), Marks(), NOON)
    [position] = found.positions

    assert (None, "unknown", None, None) == (position.price, position.no_price, position.pnl_usd, position.quoted_age_s)
    assert None is found.accounts[0].today_usd
    assert "unknown" in "\n".join(shown(found, 80, 24))


def test_a_side_that_is_missing_is_no_mark(house: House, redis_client: redis.Redis):
    """The bid went away: what was bid before is not what a close would get now."""
    house.recommend(symbol=AAA, qty=2)
    house.trade()
    tick(redis_client, ticked(a_quote(AAA, "5.10", "5.20")))
    tick(redis_client, ticked(a_quote(AAA, None, "5.20")))
    [position] = look(a_stack(house.engine, redis_client), Marks(), NOON).positions

    assert (None, "no bid") == (position.price, position.no_price)


def test_a_mark_survives_its_tick(redis_client: redis.Redis):
    """What was seen is kept when the stream is trimmed; only newer entries are read again."""
    marks = Marks()
    tick(redis_client, ticked(a_quote(AAA, "5.10", "5.20")))
    marks.read(redis_client, 1, frozenset({AAA}))
    redis_client.xtrim(TICKS, maxlen=0)
    marks.read(redis_client, 1, frozenset({AAA}))
    before = marks.of(AAA)
    tick(redis_client, ticked(a_quote(AAA, "6.00", "6.10")))
    marks.read(redis_client, 1, frozenset({AAA}))
    after = marks.of(AAA)

    assert (Decimal("5.10"), Decimal("6.00")) == (before and before.bid, after and after.bid)


def test_a_position_that_opens_finds_a_quote_from_before(redis_client: redis.Redis):
    """A symbol that nobody cared for until now may have been quoted already: the tail is read again."""
    marks = Marks()
    tick(redis_client, ticked(a_quote(BBB, "1.00", "1.10")))
    tick(redis_client, ticked(a_quote(AAA, "5.10", "5.20")))
    marks.read(redis_client, 1, frozenset({AAA}))
    unwanted = marks.of(BBB)
    marks.read(redis_client, 1, frozenset({AAA, BBB}))
    wanted = marks.of(BBB)

    assert (None, Decimal("1.00")) == (unwanted, wanted and wanted.bid)


def test_an_entry_that_cannot_be_read_is_passed_over(redis_client: redis.Redis):
    """Junk between two quotes hides neither."""
    marks = Marks()
    redis_client.xadd(TICKS, {"type": "QuotesTicked", "body": f'{{"symbol": "{AAA}"'})
    redis_client.xadd(TICKS, {"junk": AAA})
    tick(redis_client, ticked(a_quote(AAA, "5.10", "5.20")))
    marks.read(redis_client, 1, frozenset({AAA}))
    found = marks.of(AAA)

    assert Decimal("5.10") == (found and found.bid)


def test_a_day_is_read_as_it_went(house: House, redis_client: redis.Redis):
    """A target, a refusal and a position closed behind our back: newest first, with results and reasons."""
    house.recommend("rec-1", symbol=AAA, qty=2, accounts=(LARGE, TINY))
    house.trade()
    house.trade(TINY)
    house.recommend("rec-2", symbol=BBB, qty=1, accounts=(LARGE, TINY))
    house.tick(AAA, "9.50")
    house.trade()
    found = look(a_stack(house.engine, redis_client), Marks(), house.now)
    [left] = [row for row in found.closed if row["account"] == LARGE]
    last = found.decisions[0]

    assert (Decimal("900.0000"), Decimal("90.00"), "target") == (
        left["realized_pnl_usd"],
        left["pnl_pct"],
        left["exit_reason"],
    )
    assert ("rec-2", BBB, "1") == (last["recommendation"], last["symbol"], last["asked_qty"])
    assert (3, 1) == (found.counts["approved"], found.counts["refused"])
    assert Decimal("900.00") == found.accounts[0].realized_usd
    assert {"position_count_is_within_limit"} <= {check["gate"] for row in found.decisions for check in row["refusals"]}


def test_yesterday_is_not_today(house: House, redis_client: redis.Redis):
    """On the next day what was closed before counts nowhere, and is still listed."""
    house.recommend(symbol=AAA, qty=2)
    house.trade()
    house.tick(AAA, "9.50")
    house.trade()
    found = look(a_stack(house.engine, redis_client), Marks(), NOON + timedelta(days=1))

    assert (0, 0, 0) == tuple(found.counts[name] for name in ("approved", "refused", "closed"))
    assert (Decimal(0), 1) == (found.accounts[0].realized_usd, len(found.closed))


def test_the_state_of_a_close_is_told(house: House, redis_client: redis.Redis):
    """A close that is on its way to the brokerage shows the rule that wanted it."""
    house.recommend(symbol=AAA, qty=2)
    house.trade()
    house.tick(AAA, "2.00")
    [position] = look(a_stack(house.engine, redis_client), Marks(), house.now).positions

    assert "catastrophe" == position.leaving


def test_rows_are_shown_while_the_streams_are_away(house: House):
    """Redis is gone: positions and limits are still there, lag and marks are not known."""
    house.recommend(symbol=AAA, qty=2)
    house.trade()
    nobody = writing_client("unix:///nonexistent.sock")
    found = look(a_stack(house.engine, nobody), Marks(), NOON)

    assert (None, 1) == (found.groups, len(found.positions))
    assert "streams do not answer" in "\n".join(shown(found))


def test_a_look_is_one_transaction(house: House, redis_client: redis.Redis):
    """Every row of a frame is of the same moment, and the pool is not emptied by looking."""
    begun = []
    event.listen(house.engine, "begin", begun.append)
    look(a_stack(house.engine, redis_client), Marks(), NOON)

    assert 1 == len(begun)
    assert 0 == house.engine.pool.checkedout()  # type: ignore[attr-defined]  # the pool in use counts


def test_the_next_rule_is_told_with_its_distance(house: House, redis_client: redis.Redis):
    """Bought at 5.00 and bid 4.50 as the exit saw it: the stop at 3.00 comes first; before that nothing is told."""
    house.recommend(symbol=AAA, qty=2)
    house.trade()
    [unseen] = look(a_stack(house.engine, redis_client), Marks(), house.now).positions
    house.tick(AAA, "4.50")
    house.exit.handle_timer(house.now)
    [position] = look(a_stack(house.engine, redis_client), Marks(), house.now).positions

    assert ("", "-1.50 stop") == (unseen.coming, position.coming)
