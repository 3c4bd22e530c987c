"""Contracts that were chosen wrongly, or not at all, and sizes that were: R42 to R45, L22, L24, L25, L34, over HTTP."""

# ruff: noqa: N802 - a test is named after its row

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from actors.market import READ_TRIES
from domain.events import OrderApproved
from domain.instrument import Kind
from domain.regime import Band
from domain.sizing import RiskRules, Tier
from paper.options import Options
from tests.factories import LARGE, a_recommendation, some_regime_rules, some_selection_rules
from tests.incidents.at_paper import AtPaper
from tests.paper.days import STOCK, a_contract, write_day
from tests.paper.kit import serving

#: Calls of ten days; the price of the underlying is 100.
C98, C100, C102, C104 = (f"ACME260213C{strike:05d}000" for strike in (98, 100, 102, 104))
#: As good as the best, but it expires on the day itself, or in months.
TODAY, FAR = "ACME260203C00100000", "ACME260619C00100000"
VIX = "VIXY"
QUOTES = (
    (C98, "3.30", "3.60"),
    (C100, "2.00", "2.02"),
    (C102, "1.10", "1.20"),
    (C104, None, "0.60"),
    (TODAY, "0.90", "0.91"),
    (FAR, "9.00", "9.02"),
)
TRADES = (
    ("14:31:10.000", C98, "3.50", "700"),
    ("14:31:20.000", C98, "3.50", "1"),
    ("14:31:30.000", C102, "1.15", "2"),
)
Chooser = Callable[..., AtPaper]


@pytest.fixture
def choosing(engine: Engine, tmp_path: Path) -> Iterator[Chooser]:
    """Actors at a local Alpaca whose day has a chain, at 14:32, under the rules that the test sets."""
    contracts = [a_contract(symbol) for symbol, *_ in QUOTES]
    contracts[0]["open_interest"], contracts[1]["open_interest"] = "5000", ""
    day = write_day(
        tmp_path / "day",
        contracts=contracts,
        quotes=[("14:30:59.999", *row) for row in QUOTES],
        underlying=[("14:30:59.999", STOCK, "99.90", "100.10"), ("14:30:59.999", VIX, "24.90", "25.10")],
        trades=TRADES,
    )
    with serving(Options(data=(day,), speed=0.0, partial_ratio=0.0, rate_limit=10_000)) as paper:
        paper.to("14:32:00")
        houses: list[AtPaper] = []

        def set_up(**rules: Any) -> AtPaper:
            houses.append(AtPaper(engine, paper, accounts_of=(LARGE,), **rules))
            return houses[-1]

        yield set_up
        for house in houses:
            house.close()


def chosen(house: AtPaper, name: str = "rec", **over: Any) -> dict[str, Any]:
    """Let the gate decide about a call on ACME that names no contract; return the decision's row."""
    values = {"symbol": None, "underlying": STOCK, "instrument": Kind.CALL, "id": name, "at": house.now(), "qty": 1}
    rec = a_recommendation(**values | over)
    house.gate.handle(rec, house.now())
    house.publish()
    with house.engine.connect() as tx:
        row = tx.execute(text("SELECT * FROM decisions WHERE recommendation = :id"), {"id": name}).mappings().one()
    return dict(row)


def refusals(decision: dict[str, Any]) -> dict[str, str]:
    return {check["gate"]: check["observed"] for check in decision["checks"] if not check["passed"]}


def fallen(decision: dict[str, Any]) -> dict[str, int]:
    return {fell["filter"]: fell["count"] for fell in decision["selection"]["fallen"]}


def test_a_recommendation_without_a_symbol_buys_the_contract_that_scores_best(choosing: Chooser):
    """
    The chain comes from the brokerage, the winner is ordered, filled and held under its own symbol, and the decision
    keeps the points of those that came near and where the others fell.
    """
    house = choosing(selection=some_selection_rules(min_days=1))
    decision = chosen(house)
    order: OrderApproved = house.approved[-1]
    house.entries.handle(order)
    house.catch_up()

    assert ("approved", C100) == (decision["outcome"], decision["selection"]["symbol"])
    assert [C100, C98, C102] == [scored["symbol"] for scored in decision["selection"]["best"]]
    assert {"quote": 1} == fallen(decision)
    assert (C100, Decimal("2.02")) == (order.symbol, order.limit_price)
    assert {C100} == {body["body"]["symbol"] for body in house.posted()}
    with house.engine.connect() as tx:
        assert [(C100, "CALL", STOCK)] == tx.execute(text("SELECT symbol, kind, underlying FROM positions")).all()


def test_what_was_chosen_meets_the_gates_like_any_named_symbol(choosing: Chooser):
    """The same contract again is held already, and a limit of the account counts it; the choice itself is told."""
    house = choosing(selection=some_selection_rules(min_days=1))
    chosen(house, "first")
    again = chosen(house, "again")

    assert ("refused", C100) == (again["outcome"], again["selection"]["symbol"])
    assert ["symbol_is_not_held"] == list(refusals(again))
    assert 1 == len(house.approved)


def test_a_recommendation_that_comes_again_keeps_its_contract(choosing: Chooser):
    """
    Decided once: when the market has moved on and the recommendation is delivered again, another contract would win
    now, and nothing is chosen, ordered or written a second time.
    """
    house = choosing(selection=some_selection_rules(min_days=1))
    rec = a_recommendation(symbol=None, underlying=STOCK, instrument=Kind.CALL, at=house.now())
    house.gate.handle(rec, house.now())
    house.paper.quote(C100, "1.00", "3.00")
    house.start()
    house.gate.handle(rec, house.now())
    house.publish()
    other = chosen(house, "another")

    assert [C100, C98] == [order.symbol for order in house.approved]
    assert C98 == other["selection"]["symbol"]
    with house.engine.connect() as tx:
        kept = tx.execute(text("SELECT selection ->> 'symbol' FROM decisions WHERE recommendation = 'rec-1'"))
        assert [C100] == kept.scalars().all()


def test_without_selection_rules_a_missing_symbol_is_refused(choosing: Chooser):
    """As before contracts could be chosen: nothing is asked of the brokerage's chain, and nothing is traded."""
    decision = chosen(choosing())

    assert ("refused", None) == (decision["outcome"], decision["selection"])
    assert "none" == refusals(decision)["symbol_is_named"]


def test_R09_for_a_stale_recommendation_no_chain_is_asked_for(choosing: Chooser):
    """Ten thousand old ones must not use up the requests that a fresh one needs: refused by age, nothing is read."""
    house = choosing(selection=some_selection_rules(min_days=1))
    decision = chosen(house, at=house.now() - timedelta(seconds=301))

    assert {"recommendation_is_fresh", "symbol_is_named"} <= set(refusals(decision))
    assert "the recommendation is too old to choose for" == decision["selection"]["why"]
    assert [] == [path for path in asked(house) if "contracts" in path or "snapshots" in path]


def asked(house: AtPaper) -> list[str]:
    entries = house.paper.control("GET", "/journal")[1]["entries"]
    return [entry["path"] for entry in entries if entry["kind"] == "request"]


def test_R42_volume_is_the_days_and_not_the_last_trades(choosing: Chooser):
    """
    The last trade of C98 was one contract, its day has 701; C102 traded 2, C100 nothing that anybody counted. Under
    a floor of 500 the old look at the last trade would have found nothing but illiquid contracts.
    """
    house = choosing(selection=some_selection_rules(min_days=1, min_volume=500), min_volume=500)
    decision = chosen(house)

    assert ("approved", C98) == (decision["outcome"], decision["selection"]["symbol"])
    assert {"quote": 1, "volume": 2} == fallen(decision)
    [check] = [check for check in decision["checks"] if check["gate"] == "volume_is_enough"]
    assert ("701", ">= 500", "snapshots") == (check["observed"], check["allowed"], check["source"])


def test_R43_a_contract_under_the_floors_is_not_bought_by_name_either(choosing: Chooser):
    """Whoever names the contract, the floors of the account hold: two contracts traded, a premium of 1.15."""
    house = choosing(min_volume=500, min_premium=Decimal("2.00"), min_open_interest=100)
    decision = chosen(house, symbol=C102)

    assert {
        "volume_is_enough": "2",
        "premium_is_enough": "1.15",
        "open_interest_is_enough": "12 on an unknown day",
    } == (refusals(decision))


def test_R44_open_interest_that_nobody_states_is_unknown_and_not_zero(choosing: Chooser):
    """
    C100 has no open interest in the listing. Without a floor it is chosen; with one it falls, named as what nobody
    counts, and a contract that is counted wins. No contract is taken for one with an interest of zero.
    """
    free = chosen(choosing(selection=some_selection_rules(min_days=1)), "free")
    house = choosing(selection=some_selection_rules(min_days=1, min_open_interest=100), min_open_interest=100)
    floored, named = chosen(house, "floored"), chosen(house, "named", symbol=C100)

    assert C100 == free["selection"]["symbol"]
    assert C98 == floored["selection"]["symbol"]
    assert {"quote": 1, "open_interest": 2} == fallen(floored)
    assert "unknown: nobody counts it" == refusals(named)["open_interest_is_enough"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/v2/options/contracts", "no chain of ACME: BrokerageUnavailable"),
        ("/v1beta1/options/snapshots/ACME", "no chain of ACME: BrokerageUnavailable"),
        ("/v2/stocks/quotes/latest", "no price of ACME: BrokerageUnavailable"),
    ],
)
def test_R45_a_chain_that_cannot_be_read_falls_back_to_nothing(choosing: Chooser, path: str, says: str):
    """Alpaca does not answer: the recommendation is refused with that reason, and no order of any kind is made up."""
    house = choosing(selection=some_selection_rules(min_days=1))
    house.paper.control("POST", "/faults", do="status", status=503, path=path, count=READ_TRIES)
    decision = chosen(house)

    assert "refused" == decision["outcome"]
    assert refusals(decision)["symbol_is_named"].startswith(says)
    assert [] == house.approved == house.posted()


def test_L22_an_unknown_regime_is_not_a_normal_one(choosing: Chooser):
    """The price of the volatility fund is 25: half a size. Without a price, or with an old one, nothing is bought."""
    half = choosing(regime=some_regime_rules(symbol=VIX))
    known = chosen(half, "known", symbol=C100, qty=5)
    nowhere = choosing(regime=some_regime_rules(symbol="NONE"))
    unknown = chosen(nowhere, "unknown", symbol=C98)

    assert ("approved", 2) == (known["outcome"], known["sizing_steps"][-1]["qty"])
    assert "x 0.5 in elevated volatility = 2" == known["sizing_steps"][-1]["why"]
    assert "refused" == unknown["outcome"]
    assert "unknown: no quote for NONE" == refusals(unknown)["volatility_is_bearable"]


@pytest.mark.parametrize(
    ("ratio", "outcome", "left"),
    [("1", "approved", 5), ("0.5", "approved", 2), ("0.19", "refused", 0), ("0", "refused", 0)],
)
def test_L34_the_volatility_multiplier_is_applied_to_the_size(choosing: Chooser, ratio: str, outcome: str, left: int):
    """Five contracts asked for, and what the band leaves of them is what is ordered: never printed only."""
    bands = (Band(name="any", below=None, size_ratio=Decimal(ratio)),)
    house = choosing(regime=some_regime_rules(symbol=VIX, bands=bands))
    decision = chosen(house, symbol=C100, qty=5)

    assert (outcome, left) == (decision["outcome"], decision["sizing_steps"][-1]["qty"])
    assert [left] * (left > 0) == [order.qty for order in house.approved]


def _tiny(pct: str) -> RiskRules:
    tier = Tier(name="tiny", up_to_usd=None, risk_pct={"day_trade": Decimal(pct)}, max_contracts=1)
    return RiskRules(tiers=(tier,), pinned=None)


def test_L25_what_is_too_expensive_for_the_risk_is_not_bought_at_least_once(choosing: Chooser):
    """
    A contract costs $202. A hundred thousand dollars of buying power at 0.2 % pay for none of it: none is bought,
    where the old rule of at least one would have bought; at 0.21 % one is.
    """
    poor = chosen(choosing(risk=_tiny("0.2")), "poor", symbol=C100, qty=5)
    rich = chosen(choosing(risk=_tiny("0.21")), "rich", symbol=C100, qty=5)

    assert ("refused", [5, 0]) == (poor["outcome"], [step["qty"] for step in poor["sizing_steps"]])
    assert "pays for 0" in refusals(poor)["quantity_is_at_least_one"]
    assert ("approved", [5, 1]) == (rich["outcome"], [step["qty"] for step in rich["sizing_steps"]])


def test_L24_a_debt_is_no_negative_size(choosing: Chooser):
    """An account that owes: nothing is bought, and nothing below nothing is sized."""
    house = choosing(risk=_tiny("50"))
    brokerage = house.brokerages[LARGE]
    account = brokerage.account()
    owing = replace(account, options_buying_power_usd=Decimal("-5000.00"))
    brokerage.account = lambda: owing  # type: ignore[method-assign]
    decision = chosen(house, symbol=C100)

    assert ("refused", 0) == (decision["outcome"], decision["sizing_steps"][-1]["qty"])
