"""The limits that did not hold: R03, R05, R18, L01, L29."""

# ruff: noqa: N802 - a test is named after its row

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from db import accounts
from domain.events import RecommendationRefused
from domain.ids import AccountName
from tests.factories import LARGE, TINY, a_recommendation, some_rules
from tests.incidents.make_fixtures import AMZN, BURST, BURST_FITS, SPY_CALL
from tests.incidents.stage import Stage

APPROVED = "SELECT recommendation FROM decisions WHERE outcome = 'approved' ORDER BY recommendation"
COMMITTED = "SELECT count(*)::integer, coalesce(sum(usd), 0) FROM commitments WHERE account = 'large'"
THREADS = 4


def _burst(*numbers: int) -> list[str]:
    return [f"burst-{number:02d}" for number in numbers]


def test_R03_a_burst_stops_at_ten_thousand_dollars(stage: Stage):
    """
    Twelve recommendations at once while nothing fills, in the documented sizes: the first one
    takes $7,200, the second is refused for its dollars, and only what still fits passes.
    """
    seen: list[tuple[int, Decimal]] = []
    stage.play("R03", after_each=lambda: seen.append(stage.one(COMMITTED)))

    assert _burst(*BURST_FITS[10]) == stage.rows(APPROVED)
    assert ["exposure_is_within_limit"] == _refusals(stage, "burst-02")
    assert (2, Decimal("8840.00")) == max(seen)
    assert (2, Decimal("8840.00")) == stage.one(COMMITTED)
    stage.assert_no_gap()


def test_R03_a_burst_of_small_orders_stops_at_five_positions(stage: Stage):
    """A tenth of the sizes: five pass, the other seven are refused although not one position exists yet."""
    seen: list[tuple[int, Decimal]] = []
    stage.play("R03_tenth", after_each=lambda: seen.append(stage.one(COMMITTED)))

    assert _burst(*BURST_FITS[1]) == stage.rows(APPROVED)
    refused = {number: _refusals(stage, name) for number, name in enumerate(_burst(*range(6, 13)), start=6)}
    assert {number: ["position_count_is_within_limit"] for number in range(6, 13)} == refused
    assert (5, Decimal("5795.00")) == max(seen)
    assert (5, Decimal("5795.00")) == stage.one(COMMITTED)
    stage.assert_no_gap()


def _refusals(stage: Stage, recommendation: str) -> list[str]:
    [checks] = stage.rows("SELECT checks FROM decisions WHERE recommendation = :name", name=recommendation)
    return [check["gate"] for check in checks if not check["passed"]]


@pytest.mark.parametrize(("contracts", "most"), [(10, 2), (1, 5)])
def test_R03_four_gates_at_once_do_not_exceed_the_limits(a_stage: Callable[..., Stage], contracts: int, most: int):
    """
    Four gates in threads on one database share the burst: each recommendation has one outcome, what
    all of them approved stays within five positions and $10,000, and no gate needed the second wall.
    """
    stage = a_stage()
    assert [] == _decide_at_once(stage, _set_the_market(stage, contracts))
    assert len(BURST) == stage.one("SELECT count(*) FROM decisions")
    positions, exposure_usd = stage.one(COMMITTED)
    assert 1 <= positions <= 5
    assert exposure_usd <= Decimal(10_000)
    if contracts == 1:
        assert most == positions
    assert positions == stage.one("SELECT count(*)::integer FROM orders")
    assert [] == stage.rows("SELECT 1 FROM commitment_log WHERE positions > max_positions")
    assert [] == stage.rows("SELECT 1 FROM commitment_log WHERE exposure_usd > max_exposure_usd")
    assert [] == stage.rows("SELECT recommendation FROM decisions WHERE checks::text LIKE '%database_wall%'")


def test_L29_four_gates_at_once_count_one_history(a_stage: Callable[..., Stage]):
    """What was traded is read under the account's lock: no two gates both take the last trade of the day."""
    stage = a_stage(rules=some_rules(max_trades_per_day=3))
    assert [] == _decide_at_once(stage, _set_the_market(stage, 1))
    refused = {gate for name in _burst(*range(1, 13)) for gate in _refusals(stage, name)}

    assert 3 == len(stage.rows(APPROVED))
    assert {"trades_of_the_day_are_within_limit"} == refused


def _decide_at_once(stage: Stage, recommendations: list[Any]) -> list[BaseException]:
    """Share out *recommendations* among four gates in threads; return what they raised."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(THREADS)
    threads = [
        threading.Thread(target=_decide, args=(stage, recommendations[n::THREADS], barrier, errors))
        for n in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return errors


def _set_the_market(stage: Stage, contracts: int) -> list[Any]:
    asks = {root + tail: Decimal(usd) / 1000 for root, tail, usd in BURST}
    stage.prices |= {symbol: (ask - Decimal("0.10"), ask) for symbol, ask in asks.items()}
    return [
        a_recommendation(id=f"burst-{n:02d}", at=stage.now, symbol=symbol, qty=contracts)
        for n, symbol in enumerate(asks, start=1)
    ]


def _decide(stage: Stage, mine: list[Any], barrier: threading.Barrier, errors: list[BaseException]) -> None:
    """One gate with a market of its own, as each copy has."""
    try:
        from actors.gate import Gate
        from actors.market import Market

        ports: Any = stage.brokerages
        markets = {name: Market(port, lambda: stage.now) for name, port in ports.items()}
        gate = Gate(stage.desk, markets, stage.gate.rules, stage.gate.pulse)
        barrier.wait(20)
        for rec in mine:
            gate.handle(rec, stage.now)
    except BaseException as e:  # noqa: BLE001 - told in the main thread
        errors.append(e)


def test_R05_an_unknown_account_stops_trading_instead_of_counting_zero(stage: Stage):
    """
    Recommendations for large-100k, alone or beside a known account, become dead letters with that
    name in the reason and are traded nowhere; so does an execution for it. The known account goes on.
    """
    stage.play("R05")

    letters = stage.rows("SELECT type, actor, reason FROM dead_letters ORDER BY dead_id")
    assert [("RecommendationIssued", "gate"), ("RecommendationIssued", "gate"), ("OrderFilled", "tracker")] == [
        letter[:2] for letter in letters
    ]
    assert all("large-100k" in reason for _, _, reason in letters)
    assert [("known", "large", "approved")] == stage.rows("SELECT recommendation, account, outcome FROM decisions")
    assert [("large", SPY_CALL, 1)] == stage.rows("SELECT account, symbol, qty FROM positions")
    assert [] == stage.brokerages[TINY].sent
    assert [] == stage.facts(RecommendationRefused)


def test_R05_a_book_of_an_unknown_account_cannot_be_read(stage: Stage):
    """There is no row to count in, so there is no answer: not zero positions, an error."""
    stranger = AccountName("large-100k")
    with stage.engine.begin() as tx, pytest.raises(accounts.UnknownAccount, match="large-100k"):
        accounts.lock(tx, stranger)


def test_R18_the_same_symbol_in_two_accounts_is_two_positions(stage: Stage):
    """
    AMZN in both accounts in one second: two rows, two histories. The SELL for the large account
    closes nothing of the tiny one, which leaves forty minutes later at its own target.
    """
    open_in_tiny: list[bool] = []
    statement = "SELECT count(*) = 1 FROM positions WHERE account = 'tiny' AND closed_at IS NULL"
    stage.play("R18", after_each=lambda: open_in_tiny.append(stage.one(statement)))

    assert [
        ("large", AMZN, Decimal("5.00"), Decimal("4.95"), "signal"),
        ("tiny", AMZN, Decimal("4.99"), Decimal("9.10"), "target"),
    ] == stage.rows("SELECT account, symbol, entry_price, exit_price, exit_reason FROM positions ORDER BY account")
    assert [False, False, False, True, True, True, True, False] == open_in_tiny
    assert 2 == stage.one("SELECT count(DISTINCT position_id) FROM fills")
    for account in (LARGE, TINY):
        assert ["buy", "sell"] == stage.rows("SELECT side FROM fills WHERE account = :a ORDER BY at", a=account)
        assert [AMZN, AMZN] == [order.symbol for order in stage.brokerages[account].sent]
    stage.assert_no_gap()


def test_L01_exposure_counts_a_contract_as_a_hundred_shares(stage: Stage):
    """
    Ten contracts at 7.20 bind $7,200, not $72. What would be $10 over the limit is refused, what
    reaches it to the dollar passes, and a fill $100 cheaper makes room for exactly $100.
    """
    seen: dict[int, Decimal] = {}
    stage.play("L01", after_each=lambda: seen.setdefault(len(seen), stage.one(COMMITTED)[1]))

    assert [Decimal("7200.00"), Decimal("7200.00"), Decimal("10000.00"), Decimal("9900.00"), Decimal("10000.00")] == [
        *seen.values()
    ][4:]
    assert ["a-hundred-freed", "first", "to-the-dollar"] == stage.rows(APPROVED)
    [refused] = stage.facts(RecommendationRefused)
    assert ("ten-too-much", ("exposure_is_within_limit: observed=10010.00 allowed=<= 10000.00",)) == (
        refused.recommendation,
        refused.refusals,
    )
