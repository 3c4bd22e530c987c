"""The path of a stock through a session: a seeded jump diffusion that can be led through given points.

Everything is in logarithms of the price. The noise is drawn first and does not know
the points; a piecewise linear correction then makes the path pass through them, so
moving a point never changes the noise.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from random import Random

from paper.synthetic_spec import UnderlyingSpec

#: Seconds of trading in a year, by which a yearly volatility becomes one per bar.
TRADING_SECONDS_PER_YEAR = 252 * 6.5 * 3600


def intraday_shape(bar: int, bars: int) -> float:
    """Return how busy *bar* is, 1.0 being a quiet noon: high after the open, higher again before the close."""
    through = (bar + 0.5) / bars
    return 1.0 + 1.5 * math.exp(-through / 0.06) + 0.8 * math.exp(-(1.0 - through) / 0.05)


def noise(rng: Random, stock: UnderlyingSpec, bars: int, bar_seconds: int) -> list[float]:
    """Return the cumulated log return at the end of each bar: diffusion plus Poisson jumps."""
    per_bar = stock.realised_vol * math.sqrt(bar_seconds / TRADING_SECONDS_PER_YEAR)
    total, path = 0.0, []
    for bar in range(bars):
        total += rng.gauss(0.0, per_bar * math.sqrt(intraday_shape(bar, bars)))
        if rng.random() < stock.jumps_per_day / bars:
            total += rng.gauss(0.0, stock.jump_size)
        path.append(total)
    return path


def through_points(path: Sequence[float], points: Mapping[int, float]) -> list[float]:
    """Return *path* shifted so that it has the value ``points[bar]`` at each given bar."""
    corrections = {bar: wanted - path[bar] for bar, wanted in points.items()}
    return [value + interpolate(corrections, bar) for bar, value in enumerate(path)]


def interpolate(points: Mapping[int, float], bar: int) -> float:
    """Return the value at *bar* on straight lines between *points*, flat outside them. Needs at least one point."""
    known = sorted(points)
    after = bisect_right(known, bar)
    if after == 0:
        return points[known[0]]
    if after == len(known):
        return points[known[-1]]
    left, right = known[after - 1], known[after]
    weight = (bar - left) / (right - left)
    return points[left] * (1.0 - weight) + points[right] * weight
