"""The rate budget: a limit that holds in every minute, and a reserve that entries cannot reach."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokerage.budget import Api, RateBudget
from brokerage.port import BrokerageUnavailable


class Time:
    """Seconds that pass only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def a_budget(time: Time, limit: int = 10, reserved: int = 3, max_wait_s: float = 0) -> RateBudget:
    return RateBudget(
        trading_per_minute=limit,
        data_per_minute=limit,
        reserved_for_exits=reserved,
        max_wait_s=max_wait_s,
        clock=time,
        sleep=time.sleep,
    )


def taken(lane, tries: int, api: Api = Api.TRADING) -> int:
    """How many of *tries* requests found room."""
    count = 0
    for _ in range(tries):
        try:
            lane.take(api)
        except BrokerageUnavailable:
            break
        count += 1
    return count


def test_entries_leave_the_reserve_to_exits():
    """Ten a minute, three of them reserved: entries get seven, exits the other three."""
    budget = a_budget(Time())

    assert (7, 3) == (taken(budget.entries, 99), taken(budget.exits, 99))


def test_exits_may_use_everything():
    """Nothing is reserved for entries."""
    budget = a_budget(Time())

    assert (10, 0) == (taken(budget.exits, 99), taken(budget.entries, 99))


def test_trading_and_market_data_are_counted_apart():
    """Alpaca keeps two counters."""
    budget = a_budget(Time())

    assert [10, 10] == [taken(budget.exits, 99, api) for api in Api]


def test_a_minute_later_there_is_room_again():
    """The window slides: what was sent 60 seconds ago no longer counts."""
    time = Time()
    budget = a_budget(time)
    taken(budget.entries, 99)
    time.sleep(60)

    assert 7 == taken(budget.entries, 99)


def test_a_short_wait_is_waited():
    """The room comes up within the longest wait: the call waits for exactly that."""
    time = Time()
    budget = a_budget(time, max_wait_s=60)
    taken(budget.exits, 10)
    time.sleep(59)
    budget.exits.take(Api.TRADING)

    assert 1060 == time.now


def test_a_long_wait_is_refused_at_once():
    """The room comes up too late: nobody blocks, and nothing was sent."""
    time = Time()
    budget = a_budget(time, max_wait_s=5)
    taken(budget.exits, 10)

    with pytest.raises(BrokerageUnavailable, match=r"60\.0 s"):
        budget.exits.take(Api.TRADING)
    assert 1000 == time.now


def test_a_reserve_that_leaves_nothing_is_a_wrong_configuration():
    """It would stop every entry for ever without saying so."""
    with pytest.raises(ValueError, match="reserved_for_exits"):
        a_budget(Time(), limit=10, reserved=10)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 30)), max_size=80))
def test_no_minute_holds_more_than_the_limit(wishes):
    """Whoever asks whenever: any 60 seconds have at most the limit, and entries at most their share of it."""
    time, sent = Time(), []
    budget = a_budget(time)
    for for_exit, pause in wishes:
        time.sleep(pause)
        if taken(budget.exits if for_exit else budget.entries, 1):
            sent.append((time.now, for_exit))

    for start, _ in sent:
        minute = [for_exit for at, for_exit in sent if start <= at < start + 60]
        assert len(minute) <= 10
        assert minute.count(False) <= 7


def test_copies_divide_the_limit():
    """Two processes with ten a minute send five each; when one of them goes, the other has ten again."""
    time, number = Time(), [2]
    budget = RateBudget(
        trading_per_minute=10,
        data_per_minute=10,
        reserved_for_exits=0,
        max_wait_s=0,
        clock=time,
        copies=lambda: number[0],
    )

    assert 5 == taken(budget.entries, 20)
    number[0] = 1
    assert 5 == taken(budget.entries, 20)
    number[0] = 100
    time.now += 61
    assert 1 == taken(budget.entries, 20)


def test_a_reserve_is_not_divided():
    with pytest.raises(ValueError, match="copies"):
        RateBudget(copies=lambda: 2)
