"""Sizing: whole units, cut to the cap, never enlarged, never below zero."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.gates import ask_of
from domain.known import Known, Unknown
from domain.regime import Band
from domain.sizing import RiskRules, Sizing, Step, Tier, size
from tests.factories import NOON, PUT, a_quote, a_recommendation, some_means

ASK = Known(Decimal("7.20"), NOON, "quotes")


def asked(qty: int, why: str) -> Sizing:
    """Nothing was cut."""
    return Sizing(qty, qty, (Step("asked", qty, why),))


def units(usd: str, ask: str = "7.20", symbol: str = PUT, cap: int = 10) -> Sizing | Unknown:
    rec = a_recommendation(symbol=symbol, qty=None, notional_usd=Decimal(usd))
    return size(rec, 1 if symbol == "MSFT" else 100, Known(Decimal(ask), NOON, "quotes"), some_means(max_contracts=cap))


@pytest.mark.parametrize(
    ("asked", "cap", "qty"), [(1, 10, 1), (9, 10, 9), (10, 10, 10), (11, 10, 10), (2**31 - 1, 1, 1)]
)
def test_a_quantity_is_cut_to_the_cap_and_never_enlarged(asked: int, cap: int, qty: int):
    """The cut is recorded: what was asked, and why it became less."""
    sizing = size(a_recommendation(qty=asked), 100, ASK, some_means(max_contracts=cap))

    assert isinstance(sizing, Sizing)
    assert (qty, asked) == (sizing.qty, sizing.asked)
    assert (f"cut to the cap of {cap} contracts" in sizing.why) == (asked > cap)


def test_shares_have_no_cap():
    """The cap counts contracts."""
    assert asked(500, "qty 500 asked") == size(a_recommendation(symbol="MSFT", qty=500), 1, ASK, some_means())


@pytest.mark.parametrize(
    ("usd", "qty"), [("719.99", 0), ("720.00", 1), ("720.01", 1), ("1439.99", 1), ("1440.00", 2), ("0.01", 0)]
)
def test_dollars_buy_whole_contracts_only(usd: str, qty: int):
    """floor(dollars / (ask x 100)): an option costs a hundred times its price (L01)."""
    assert asked(qty, f"floor({usd} / (7.20 x 100)) = {qty}") == units(usd)


def test_dollars_are_cut_to_the_cap_too():
    """A cap is a cap, whichever way the size was asked for."""
    sizing = units("100000")

    assert isinstance(sizing, Sizing)
    assert (10, 138) == (sizing.qty, sizing.asked)


def test_dollars_buy_whole_shares():
    """A share costs its price."""
    assert asked(138, "floor(1000 / (7.20 x 1)) = 138") == units("1000", symbol="MSFT")


def test_dollars_at_an_unknown_price_are_unknown():
    """Nobody knows how many units 1,000 dollars are without a price; a quantity needs none."""
    nobody = Unknown("nobody offers it", "quotes")
    in_dollars = a_recommendation(qty=None, notional_usd=Decimal(1000))

    assert nobody == size(in_dollars, 100, nobody, some_means())
    assert asked(1, "qty 1 asked") == size(a_recommendation(), 100, nobody, some_means())


@pytest.mark.parametrize("ask", [None, "0", "-0.01", "NaN", "Infinity"])
def test_an_offer_that_is_no_positive_number_is_none(ask: str | None):
    """It cannot be divided by, and a limit order cannot be written at it."""
    assert Unknown("nobody offers it", "quotes") == ask_of(Known(a_quote(ask=ask), NOON, "quotes"))


def test_an_offer_of_a_cent_is_an_offer():
    """Cheap is not missing."""
    assert Known(Decimal("0.01"), NOON, "quotes") == ask_of(Known(a_quote(ask="0.01"), NOON, "quotes"))


@given(
    asked=st.integers(1, 2**31 - 1) | st.none(),
    cents=st.integers(1, 10**16 - 1),
    ask=st.integers(1, 10**6),
    cap=st.integers(1, 100),
    symbol=st.sampled_from([PUT, "MSFT"]),
)
def test_a_size_is_affordable_and_never_negative(asked: int | None, cents: int, ask: int, cap: int, symbol: str):
    """Between nothing and what was asked, at most the cap for options, and within the dollars given."""
    usd = None if asked else Decimal(cents) / 100
    price = Decimal(ask) / 100
    multiplier = 1 if symbol == "MSFT" else 100
    rec = a_recommendation(symbol=symbol, qty=asked, notional_usd=usd)
    sizing = size(rec, multiplier, Known(price, NOON, "quotes"), some_means(max_contracts=cap))

    assert isinstance(sizing, Sizing)
    assert 0 <= sizing.qty <= sizing.asked
    assert symbol == "MSFT" or sizing.qty <= cap
    assert usd is None or sizing.qty * price * multiplier <= usd


# ---------------------------------------------------------------- the risk of a trade

TIERS = (
    Tier(name="tiny", up_to_usd=Decimal(2000), risk_pct={"day_trade": Decimal(15)}, max_contracts=1),
    Tier(name="medium", up_to_usd=Decimal(25_000), risk_pct={"day_trade": Decimal(4)}, max_contracts=5),
    Tier(name="large", up_to_usd=None, risk_pct={"day_trade": Decimal(1)}, max_contracts=None),
)


def at_risk(power: str, qty: int = 100, ask: str = "1.00", pinned: str | None = None, **over: Any) -> Sizing | Unknown:
    """Sized for a day trade, under a cap of ten contracts."""
    means = some_means(
        risk=RiskRules(tiers=TIERS, pinned=pinned), buying_power_usd=Known(Decimal(power), NOON, "account")
    )
    return size(a_recommendation(qty=qty, **over), 100, Known(Decimal(ask), NOON, "quotes"), means)


@pytest.mark.parametrize(
    ("power", "ask", "tier", "qty"),
    [
        ("2000.00", "3.00", "tiny", 1),
        ("2000.00", "3.01", "tiny", 0),
        ("2000.01", "0.80", "medium", 1),
        ("25000.00", "2.00", "medium", 5),
        ("25000.00", "2.01", "medium", 4),
        ("25000.00", "0.10", "medium", 5),
        ("25000.01", "1.00", "large", 2),
        ("100000.00", "1.00", "large", 10),
        ("100000.00", "10.00", "large", 1),
        ("100000.00", "10.01", "large", 0),
        ("0", "0.01", "tiny", 0),
        ("-5000.00", "0.01", "tiny", 0),
    ],
)
def test_a_trade_costs_no_more_than_its_share_of_the_buying_power(power: str, ask: str, tier: str, qty: int):
    """
    The tier follows from the buying power, up to its bound included; its per cent pay for whole contracts only, and
    its own cap and the account's both hold. What pays for none leaves none (L25), and a debt is no size (L24).
    """
    sizing = at_risk(power, ask=ask)

    assert isinstance(sizing, Sizing)
    assert qty == sizing.qty
    assert f"in tier {tier} pays for" in sizing.why


def test_the_risk_never_enlarges_an_order():
    """One contract was asked for, ten would be allowed."""
    sizing = at_risk("100000.00", qty=1)

    assert isinstance(sizing, Sizing)
    assert (1, 1) == (sizing.qty, sizing.asked)


def test_an_account_may_have_its_tier_whatever_it_can_spend():
    """Configured for the account: a fat account trades as a tiny one."""
    sizing = at_risk("100000.00", pinned="tiny")

    assert isinstance(sizing, Sizing)
    assert (1, "pays for 150") == (sizing.qty, sizing.why[sizing.why.index("pays for") :][:12])


def test_each_step_tells_what_it_left_and_why():
    """Asked, by risk, caps and volatility, in this order: the story of a size."""
    means = some_means(
        risk=RiskRules(tiers=TIERS, pinned="medium"),
        buying_power_usd=Known(Decimal("20000.00"), NOON, "account"),
        max_contracts=4,
        volatility=Known(Band(name="elevated", below=None, size_ratio=Decimal("0.5")), NOON, "quotes"),
    )
    sizing = size(a_recommendation(qty=20), 100, Known(Decimal("1.00"), NOON, "quotes"), means)

    assert isinstance(sizing, Sizing)
    assert [
        ("asked", 20, "qty 20 asked"),
        ("risk", 8, "4 % of 20000.00 in tier medium pays for 8 at 1.00 x 100"),
        ("cap", 5, "cut to the cap of 5 contracts in tier medium"),
        ("cap", 4, "cut to the cap of 4 contracts an order"),
        ("volatility", 2, "x 0.5 in elevated volatility = 2"),
    ] == [(step.name, step.qty, step.why) for step in sizing.steps]
    assert ", ".join(step.why for step in sizing.steps) == sizing.why


NOBODY = Unknown("nobody answered", "the test")


@pytest.mark.parametrize(
    ("over", "strategy", "reason"),
    [
        ({"buying_power_usd": NOBODY}, "day_trade", "nobody answered"),
        ({"risk": RiskRules(tiers=TIERS, pinned="huge")}, "day_trade", "no tier for a buying power of 5000"),
        ({"risk": RiskRules(tiers=TIERS[:1], pinned=None)}, "day_trade", "no tier for a buying power of 5000"),
        ({}, "moon_trade", "no risk_pct for moon_trade in tier medium"),
        ({"volatility": NOBODY}, "day_trade", "nobody answered"),
    ],
)
def test_a_step_that_cannot_see_sizes_nothing(over: dict[str, Any], strategy: str, reason: str):
    """A tier, its per cent, the buying power or the volatility is missing where it is configured: unknown, not all."""
    means = {
        "risk": RiskRules(tiers=TIERS, pinned=None),
        "buying_power_usd": Known(Decimal(5000), NOON, "account"),
    }
    found = size(a_recommendation(strategy=strategy), 100, ASK, some_means(**means | over))

    assert isinstance(found, Unknown)
    assert reason == found.reason


def test_the_risk_of_a_quantity_needs_a_price():
    """Without one nobody knows what it costs."""
    means = some_means(risk=RiskRules(tiers=TIERS, pinned=None))

    assert NOBODY == size(a_recommendation(qty=1), 100, NOBODY, means)


cents = st.integers(-(10**7), 10**9).map(lambda n: Decimal(n) / 100)
prices = st.integers(1, 10**5).map(lambda n: Decimal(n) / 100)
ratios = st.integers(0, 100).map(lambda n: Decimal(n) / 100)
percents = st.integers(1, 100).map(Decimal)


def sized(qty: int, price: Decimal, power: Decimal, pct: Decimal, ratio: Decimal, cap: int) -> Sizing:
    tier = Tier(name="any", up_to_usd=None, risk_pct={"day_trade": pct}, max_contracts=None)
    means = some_means(
        max_contracts=cap,
        risk=RiskRules(tiers=(tier,), pinned=None),
        buying_power_usd=Known(power, NOON, "account"),
        volatility=Known(Band(name="any", below=None, size_ratio=ratio), NOON, "quotes"),
    )
    found = size(a_recommendation(qty=qty), 100, Known(price, NOON, "quotes"), means)
    assert isinstance(found, Sizing)
    return found


@settings(max_examples=300, deadline=None)
@given(qty=st.integers(1, 2**31 - 1), price=prices, power=cents, pct=percents, ratio=ratios, cap=st.integers(1, 1000))
def test_a_size_stays_within_every_bound(
    qty: int, price: Decimal, power: Decimal, pct: Decimal, ratio: Decimal, cap: int
):
    """Never negative, never over what was asked, the cap, or the dollars at risk; no step adds a unit (L24, L25)."""
    found = sized(qty, price, power, pct, ratio, cap)

    assert 0 <= found.qty <= min(qty, cap)
    assert found.qty * price * 100 <= max(Decimal(0), power * pct / 100)
    counts = [step.qty for step in found.steps]
    assert sorted(counts, reverse=True) == counts


@settings(max_examples=300, deadline=None)
@given(
    price=prices,
    power=cents,
    more=cents.map(abs),
    pcts=st.tuples(percents, percents).map(sorted),
    ratios=st.tuples(ratios, ratios).map(sorted),
    qty=st.integers(1, 10**6),
)
def test_more_risk_or_less_agitation_never_makes_a_size_smaller(
    price: Decimal, power: Decimal, more: Decimal, pcts: list[Decimal], ratios: list[Decimal], qty: int
):
    """Monotone: in the per cent at risk, in the buying power, and in the share that the volatility leaves (L34)."""
    least = sized(qty, price, power, pcts[0], ratios[0], 1000).qty

    assert least <= sized(qty, price, power, pcts[1], ratios[0], 1000).qty
    assert least <= sized(qty, price, power + more, pcts[0], ratios[0], 1000).qty
    assert least <= sized(qty, price, power, pcts[0], ratios[1], 1000).qty
