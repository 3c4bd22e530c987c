"""Option prices in closed form, and the two inversions that let a tape be steered.

European Black-Scholes without dividends; years are calendar years of 365 days.
American early exercise is left out: for the short-dated contracts of a synthetic
day it is worth less than a cent or two. Floats on purpose: this makes a tape, it
does not account for money.

Source: F. Black and M. Scholes, "The Pricing of Options and Corporate Liabilities",
Journal of Political Economy 81 (1973); the normal distribution through math.erf.
"""

import math
from collections.abc import Callable
from typing import Literal

Right = Literal["CALL", "PUT"]

#: Implied volatility is searched between these (per year, as a fraction).
VOLATILITY_RANGE = (0.01, 5.0)
#: The spot is searched between these multiples of the strike.
SPOT_RANGE = (0.2, 5.0)


class Unpriceable(ValueError):
    """Raised when no spot or volatility in range gives the wanted price."""


def black_scholes(right: Right, *, spot: float, strike: float, years: float, vol: float, rate: float) -> float:
    """Return the price of one share's worth of the option, in dollars."""
    sign = 1.0 if right == "CALL" else -1.0
    discounted = strike * math.exp(-rate * years)
    deviation = vol * math.sqrt(years)
    if deviation <= 0.0:
        return max(0.0, sign * (spot - discounted))
    d1 = math.log(spot / discounted) / deviation + deviation / 2.0
    d2 = d1 - deviation
    price = sign * (spot * _normal(sign * d1) - discounted * _normal(sign * d2))
    return max(0.0, price)  # far out of the money the difference rounds to a hair below nothing


def implied_volatility(right: Right, price: float, *, spot: float, strike: float, years: float, rate: float) -> float:
    """Return the volatility at which the option costs *price*.

    Raises: Unpriceable, for instance when *price* is below the intrinsic value.
    """
    low, high = VOLATILITY_RANGE
    return _bisect(
        lambda vol: black_scholes(right, spot=spot, strike=strike, years=years, vol=vol, rate=rate) - price,
        low,
        high,
    )


def implied_spot(right: Right, price: float, *, strike: float, years: float, vol: float, rate: float) -> float:
    """Return the spot at which the option costs *price*.

    Raises: Unpriceable, when no spot between a fifth and five times the strike does.
    """
    low, high = (strike * multiple for multiple in SPOT_RANGE)
    return _bisect(
        lambda spot: black_scholes(right, spot=spot, strike=strike, years=years, vol=vol, rate=rate) - price,
        low,
        high,
    )


def _normal(x: float) -> float:
    return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0


def _bisect(excess: Callable[[float], float], low: float, high: float) -> float:
    """Return the root of the monotone *excess* between *low* and *high*."""
    at_low, at_high = excess(low), excess(high)
    if at_low * at_high > 0:
        raise Unpriceable(f"the wanted price lies outside {low:g} to {high:g} (excess {at_low:g} to {at_high:g})")
    for _ in range(80):
        middle = (low + high) / 2.0
        if excess(middle) * at_low > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0
