"""The synthetic market: prices in closed form, paths led through points, tapes that repeat."""

import math
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paper.synthetic import generate, main, market
from paper.synthetic_authoring import Script
from paper.synthetic_files import files
from paper.synthetic_path import intraday_shape, noise, through_points
from paper.synthetic_pricing import Unpriceable, black_scholes, implied_spot, implied_volatility
from paper.synthetic_spec import ContractSpec, DaySpec, Pin, Unbuildable, UnderlyingSpec, occ_symbol
from paper.synthetic_tape import PINNED_DEPTH

SCRIPT = Script(date(2026, 2, 2))
OPEN = datetime(2026, 2, 2, 14, 30, tzinfo=UTC)
YEARS, RATE = 17 / 365, 0.0375

spot_prices = st.floats(min_value=5, max_value=800)
vols = st.floats(min_value=0.1, max_value=1.5)
moneyness = st.floats(min_value=0.7, max_value=1.4)


def a_day(*pins: Pin, **changes: object) -> DaySpec:
    contract = ContractSpec(right="CALL", strike=Decimal(100), expiration=date(2026, 2, 20), pins=pins)
    stock = UnderlyingSpec(symbol="ZED", spot=100.0, contracts=(contract,))
    day = DaySpec(seed=7, open=OPEN, close=SCRIPT.at("15:30:00"), note="a test", underlyings=(stock,))
    return replace(day, **changes)  # type: ignore[arg-type]


def test_a_textbook_option_costs_what_the_textbook_says():
    """Hull's example: spot 42, strike 40, half a year, 20 % volatility, 10 % interest: call 4.76, put 0.81."""
    terms = {"spot": 42.0, "strike": 40.0, "years": 0.5, "vol": 0.2, "rate": 0.1}

    assert 4.76 == round(black_scholes("CALL", **terms), 2)
    assert 0.81 == round(black_scholes("PUT", **terms), 2)


@given(spot=spot_prices, ratio=moneyness, vol=vols)
def test_calls_and_puts_keep_parity(spot: float, ratio: float, vol: float):
    """A call less a put of the same strike is the stock less the discounted strike."""
    strike = spot * ratio
    call = black_scholes("CALL", spot=spot, strike=strike, years=YEARS, vol=vol, rate=RATE)
    put = black_scholes("PUT", spot=spot, strike=strike, years=YEARS, vol=vol, rate=RATE)

    assert call - put == pytest.approx(spot - strike * math.exp(-RATE * YEARS), abs=1e-9 * spot)


@given(spot=spot_prices, ratio=moneyness, vol=vols)
def test_a_higher_strike_makes_calls_cheaper_and_puts_dearer(spot: float, ratio: float, vol: float):
    """Prices are monotone in the strike, as far as floats can tell."""
    low, high, hair = spot * ratio, spot * ratio * 1.01, 1e-12 * spot
    terms = {"spot": spot, "years": YEARS, "vol": vol, "rate": RATE}

    assert black_scholes("CALL", strike=low, **terms) >= black_scholes("CALL", strike=high, **terms) - hair
    assert black_scholes("PUT", strike=low, **terms) <= black_scholes("PUT", strike=high, **terms) + hair


def test_an_expired_option_is_worth_its_intrinsic_value():
    """Without time only the difference between stock and strike is left, and never less than nothing."""
    terms = {"strike": 100.0, "years": 0.0, "vol": 0.3, "rate": RATE}

    assert 7.0 == black_scholes("CALL", spot=107.0, **terms)
    assert 0.0 == black_scholes("PUT", spot=107.0, **terms)


@given(ratio=st.floats(min_value=0.9, max_value=1.1), vol=st.floats(min_value=0.15, max_value=1.2))
def test_volatility_and_spot_are_found_again_from_the_price(ratio: float, vol: float):
    """Both inversions return what the price was made from."""
    terms = {"strike": 100.0 * ratio, "years": YEARS, "rate": RATE}
    price = black_scholes("PUT", spot=100.0, vol=vol, **terms)

    assert vol == pytest.approx(implied_volatility("PUT", price, spot=100.0, **terms), rel=1e-6)
    assert 100.0 == pytest.approx(implied_spot("PUT", price, vol=vol, **terms), rel=1e-6)


def test_a_price_below_the_intrinsic_value_is_unpriceable():
    """No volatility makes a call with $20 of intrinsic value cost $5."""
    with pytest.raises(Unpriceable):
        implied_volatility("CALL", 5.0, spot=120.0, strike=100.0, years=YEARS, rate=RATE)


def test_the_noise_is_as_volatile_as_asked():
    """Over many sessions the standard deviation of the day's return is the yearly one over the root of 252."""
    stock = UnderlyingSpec(symbol="ZED", spot=100.0, realised_vol=0.4, jumps_per_day=0.0)
    rng, bars = Random(1), 78
    days = [noise(rng, stock, bars, 300)[-1] for _ in range(1500)]
    shape = sum(intraday_shape(bar, bars) for bar in range(bars)) / bars

    assert 0.4 * math.sqrt(shape / 252) == pytest.approx(math.sqrt(sum(d * d for d in days) / len(days)), rel=0.06)


def test_jumps_make_fat_tails():
    """With jumps of 5 % the largest move of a bar is beyond ten of its deviations; without them it never is."""
    calm = UnderlyingSpec(symbol="ZED", spot=100.0, realised_vol=0.2, jumps_per_day=0.0)
    jumpy = replace(calm, jumps_per_day=5.0, jump_size=0.05)
    deviation = 0.2 / math.sqrt(252 * 390)

    def largest(stock: UnderlyingSpec) -> float:
        path = noise(Random(3), stock, 390, 60)
        return max(abs(after - before) for before, after in pairwise(path)) / deviation

    assert largest(calm) < 10 < largest(jumpy)


def test_a_path_passes_through_its_points_and_keeps_its_noise():
    """The correction is straight between points: second differences of the noise survive except at the points."""
    path = noise(Random(5), UnderlyingSpec(symbol="ZED", spot=100.0), 100, 60)
    led = through_points(path, {20: 1.0, 60: 2.0})

    assert (1.0, 2.0) == pytest.approx((led[20], led[60]))
    bend, raw_bend = led[41] - 2 * led[40] + led[39], path[41] - 2 * path[40] + path[39]
    assert raw_bend == pytest.approx(bend)


def test_the_market_is_busy_at_both_ends_of_the_day():
    """Spreads and prints follow one shape: highest after the open, higher before the close than at noon."""
    shape = [intraday_shape(bar, 390) for bar in range(390)]

    assert max(shape) == shape[0] > shape[389] > min(shape) == min(shape[100:300])


def test_the_same_seed_makes_the_same_bytes():
    """Two runs of one spec do not differ in a byte, gzip headers included."""
    assert files(generate(a_day())) == files(generate(a_day()))


def test_another_seed_makes_another_tape():
    """Quotes, trades and stock prices all come from the seed."""
    one, other = files(generate(a_day())), files(generate(a_day(seed=8)))

    for name in ("quotes.csv.gz", "trades.csv.gz", "underlying.csv.gz"):
        assert one[name] != other[name]


def test_a_new_stock_leaves_the_others_as_they_were():
    """Every stock and contract has its own random stream."""
    day = a_day()
    wider = replace(day, underlyings=(*day.underlyings, UnderlyingSpec(symbol="ZOO", spot=50.0)))

    assert generate(day).quotes == generate(wider).quotes


@settings(max_examples=25)
@given(
    cents=st.integers(min_value=200, max_value=900), side=st.sampled_from(["bid", "ask"]), minute=st.integers(32, 58)
)
def test_a_pinned_price_is_seen_exactly(cents: int, side: str, minute: int):
    """Whatever is pinned on a side is what the last quote before that moment shows there."""
    price, moment = Decimal(cents) / 100, SCRIPT.at(f"14:{minute}:20")
    pin = Pin(at=moment, until=moment, side=side, price=price, spread=None)  # type: ignore[arg-type]
    seen = [row for row in generate(a_day(pin)).quotes if row.ts <= moment][-1]

    assert cents == getattr(seen, side)
    assert min(seen.ask_size, seen.bid_size) > PINNED_DEPTH


def test_the_middle_can_be_pinned():
    """A pinned mid lies on whole cents with the sides at equal distance."""
    seen = [
        row for row in generate(a_day(SCRIPT.pin("14:50:00", "mid", "2.41"))).quotes if row.ts < SCRIPT.at("14:50:00")
    ]

    assert 482 == seen[-1].bid + seen[-1].ask


def test_a_pinned_quote_stands_still_while_it_is_held():
    """Between the two moments of a pin no row appears: nothing moved."""
    rows = generate(a_day(SCRIPT.pin("14:50:00", "ask", "2.40", until="14:55:30", spread="0.10"))).quotes

    assert [] == [row for row in rows if SCRIPT.at("14:50:00") < row.ts < SCRIPT.at("14:55:30")]


def test_the_second_contract_shares_the_stock_of_the_first():
    """Siblings are priced off one path: strikes stay in order and each shows its own pinned price."""
    expiration = date(2026, 2, 20)
    lead = ContractSpec(
        right="PUT", strike=Decimal(101), expiration=expiration, pins=(SCRIPT.pin("14:40:00", "ask", "3.40"),)
    )
    other = replace(lead, strike=Decimal(99), pins=(SCRIPT.pin("14:44:00", "ask", "2.50"),))
    made = generate(a_day(underlyings=(UnderlyingSpec(symbol="ZED", spot=100.0, contracts=(lead, other)),)))
    last = {row.symbol: row for row in made.quotes}

    [high, low] = [last[occ_symbol("ZED", expiration, "PUT", spec.strike)] for spec in (lead, other)]
    assert low.ask < high.bid
    assert 250 in {row.ask for row in made.quotes if row.symbol == low.symbol}


def test_two_pins_that_disagree_are_refused():
    """One bar cannot show two quotes."""
    with pytest.raises(Unbuildable, match="disagree"):
        generate(a_day(SCRIPT.pin("14:40:00", "ask", "2.40"), SCRIPT.pin("14:40:30", "ask", "2.50")))


def test_a_pin_before_the_first_quote_is_refused():
    """At 14:30:30 nothing has been quoted yet, so nothing can be seen."""
    with pytest.raises(Unbuildable, match="sees no bar"):
        generate(a_day(SCRIPT.pin("14:30:30", "ask", "2.40")))


def test_a_pin_of_half_a_cent_is_refused():
    """Quotes are whole cents."""
    with pytest.raises(Unbuildable, match="whole cents"):
        generate(a_day(SCRIPT.pin("14:40:00", "ask", "2.405")))


def test_a_pin_that_leaves_no_bid_is_refused():
    """A two-sided quote cannot have a bid of nothing."""
    with pytest.raises(Unbuildable, match="no bid"):
        generate(a_day(SCRIPT.pin("14:40:00", "ask", "0.05", spread="0.05")))


def test_a_contract_listed_twice_is_refused():
    """Two specs of one symbol would write two tapes under one name."""
    contract = ContractSpec(right="CALL", strike=Decimal(100), expiration=date(2026, 2, 20))
    with pytest.raises(Unbuildable, match="twice"):
        a_day(underlyings=(UnderlyingSpec(symbol="ZED", spot=100.0, contracts=(contract, contract)),))


@pytest.mark.parametrize(
    "changes",
    [
        {"bar_seconds": 7},
        {"bar_seconds": 0},
        {"close": OPEN},
        {"underlyings": ()},
        {"underlyings": (UnderlyingSpec(symbol="ZED", spot=1.0),) * 2},
    ],
    ids=["bars that do not fit", "bars of nothing", "no session", "no stock", "one stock twice"],
)
def test_a_spec_that_contradicts_itself_is_refused(changes: dict[str, object]):
    """What cannot be built says so before anything is generated."""
    with pytest.raises(Unbuildable):
        a_day(**changes)


def test_a_far_option_has_no_bid_rather_than_a_bid_of_zero():
    """Where the model's price is below the spread the bid and its size are empty, and nobody trades."""
    far = ContractSpec(right="PUT", strike=Decimal(40), expiration=date(2026, 2, 20))
    made = generate(a_day(underlyings=(UnderlyingSpec(symbol="ZED", spot=100.0, contracts=(far,)),)))

    assert {(None, None, 1)} == {(row.bid, row.bid_size, row.ask) for row in made.quotes}
    assert () == made.trades


def test_a_market_of_any_size_and_rate_can_be_made():
    """Three stocks with four contracts each, a bar a second for two minutes: 12 contracts, 120 stock rows each."""
    made = generate(market(seed=1, underlyings=3, contracts=4, bar_seconds=1, minutes=2, start=OPEN))

    assert 12 == len({row.symbol for row in made.contracts})
    assert 3 * 120 == len(made.underlying)
    assert all(4 == row.spec.expiration.weekday() for row in made.contracts)
    assert {999} == {row.ts.microsecond // 1000 for row in made.quotes}


@pytest.mark.parametrize(("stocks", "contracts"), [(677, 1), (1, 201)])
def test_a_market_beyond_its_names_and_strikes_is_refused(stocks: int, contracts: int):
    """There are 676 made tickers and 200 made contracts on each."""
    with pytest.raises(Unbuildable):
        market(seed=1, underlyings=stocks, contracts=contracts, start=OPEN)


def test_the_command_makes_a_market(tmp_path):
    """``market OUT`` writes one day folder of the asked size."""
    main(["market", str(tmp_path / "day"), "--underlyings", "1", "--contracts", "2", "--minutes", "3"])

    assert {"quotes.csv.gz", "trades.csv.gz", "underlying.csv.gz", "contracts.csv", "session.json"} < {
        path.name for path in (tmp_path / "day").iterdir()
    }
