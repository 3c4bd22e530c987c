"""Many gates on one day: processes as ``gapless actor gate`` runs them, the other actors in this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from actors.clocks import set_recorded_clock
from cli.settings import SHIPPED
from domain.events import ClockMoved
from domain.ids import fact_id
from streams.codec import encode
from streams.names import Stream
from streams.publish import publish
from tests.end_to_end.conftest import a_line
from tests.end_to_end.stack import Running, until
from tests.paper.days import STOCK, Row, a_contract

START = "14:32:00"
ACCOUNTS = ("large", "tiny")

#: Contracts by strike; the dearer ones run into the dollars, the cheaper ones into the count.
SYMBOLS = [f"ACME260220{right}{strike:05d}000" for right in "CP" for strike in range(50, 80)]
ASKS = {symbol: Decimal(20 + 17 * n % 480) / 100 for n, symbol in enumerate(SYMBOLS)}

CONFIGURATION = {
    "requests_per_minute = 200": "requests_per_minute = 1000000",
    "max_feed_age_s = 120": "max_feed_age_s = 86400",
    "max_quote_age_s = 900": "max_quote_age_s = 86400",
    "max_mark_age_s = 900": "max_mark_age_s = 86400",
    'max_daily_loss_usd = "500"': 'max_daily_loss_usd = "90000"',
    'max_daily_loss_usd = "100"': 'max_daily_loss_usd = "2000"',
    "max_positions = 5": "max_positions = 12",
    "max_positions = 1 ": "max_positions = 4 ",
    'max_exposure_usd = "10000"': 'max_exposure_usd = "15000"',
    'max_exposure_usd = "2000"': 'max_exposure_usd = "2500"',
    "max_contracts_per_order = 1 ": "max_contracts_per_order = 3 ",
}


def configuration(folder: Path, max_age_s: int = 86400) -> Path:
    """Roomy ages and rates, limits that both bind: what is under test is the room."""
    text = SHIPPED.read_text()
    ages = {"max_recommendation_age_s = 300": f"max_recommendation_age_s = {max_age_s}"}
    for old, new in (CONFIGURATION | ages).items():
        assert 1 == text.count(old), old
        text = text.replace(old, new)
    made = folder / "gates.toml"
    made.write_text(text)
    return made


def gates_at_start(
    folder: Path,
    small_day: Callable[..., Path],
    a_running: Callable[..., Running],
    number: int,
    *,
    max_age_s: int = 86400,
    **options: Any,
) -> Running:
    """Return a stack at START with this many gates, each with its slot."""
    quotes, underlying = market()
    day = small_day(
        a_line("before", "14:31:30", SYMBOLS[0], 1, confidence="0.10"),
        quotes=quotes,
        underlying=underlying,
        contracts=[a_contract(symbol) for symbol in SYMBOLS],
    )
    running = a_running(day, config=configuration(folder, max_age_s), gates=number, **options)
    until(lambda: slots_held(running) == number, "every gate has a slot", 60)
    running.control("POST", "/accounts", account="tiny", cash="100000")
    running.play_to(START)
    return running


def market() -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Quotes that stand still all day."""
    quotes = tuple(("14:31:00", s, f"{ask * 96 / 100:.2f}", f"{ask:.2f}") for s, ask in ASKS.items())
    return quotes, tuple((moment, STOCK, "99.90", "100.10") for moment in ("14:31:00", "14:32:00"))


def recommendations(random: Random, number: int) -> dict[str, tuple[str, int]]:
    """Symbol and quantity by id."""
    return {f"rec-{n:04d}": (random.choice(SYMBOLS), random.randint(1, 12)) for n in range(number)}


def lines(asked: dict[str, tuple[str, int]]) -> list[str]:
    return [
        a_line(name, START, symbol, qty, accounts=list(ACCOUNTS), instrument="CALL" if "C" in symbol[4:] else "PUT")
        for name, (symbol, qty) in asked.items()
    ]


def run_the_clock(running: Running, done: Callable[[], bool], step: timedelta, patience_s: float) -> None:
    """Let the day go on, a *step* at a time, without waiting for anybody, until *done*."""
    now, given_up = running.driver.paper.clock().at, time.monotonic() + patience_s
    while not done():
        assert time.monotonic() < given_up, "the gates do not come to an end"
        now += step
        set_recorded_clock(running.stack.client, now)
        running.driver.paper.move_to(now)
        publish(running.stack.client, Stream.CLOCK, encode(ClockMoved(id=fact_id("clock", now), at=now, schema=1)))
        running.stack.children.check()
        time.sleep(0.1)


def play_on(running: Running) -> None:
    """Play the rest of the day in lockstep."""
    running.rest()
    now, end = running.driver.paper.clock().at, running.day.end
    while now < end:
        now = running.driver._next(now, [], end)
        running.driver._step(now, [])


def decided(running: Running) -> int:
    return int(running.rows("SELECT count(*) FROM decisions")[0])


def slots_held(running: Running) -> int:
    held = "SELECT count(*) FROM leases WHERE lease LIKE 'gate:recommendations:%' AND expires_at > clock_timestamp()"
    return int(running.rows(held)[0])
