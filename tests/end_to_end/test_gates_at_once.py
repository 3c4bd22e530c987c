"""Eight gates, two accounts, a thousand recommendations at once: never a breach, and nothing refused needlessly.

The brokerage fills late, in parts, refuses some orders and rejects others after it took them. What the gates looked at
is rebuilt from a history that triggers of the test keep; a watcher looks at rows and at the brokerage meanwhile.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Engine, create_engine, text

from tests.end_to_end.gates import (
    ACCOUNTS,
    ASKS,
    decided,
    gates_at_start,
    lines,
    play_on,
    recommendations,
    run_the_clock,
)
from tests.end_to_end.history import History, State, keep
from tests.end_to_end.stack import Running

LIMITS = {"large": (12, Decimal(15000)), "tiny": (4, Decimal(2500))}
SEEDS = int(os.environ.get("GAPLESS_STORM_SEEDS", "3"))

CAP = {"large": 10, "tiny": 3}

COUNT, DOLLARS, HELD = "position_count_is_within_limit", "exposure_is_within_limit", "symbol_is_not_held"


def make_trouble(running: Running, random: Random) -> None:
    """Fills come late; one order in ten is refused, one in ten rejected later, one answer in ten is lost."""
    post = {"method": "POST", "path": "/v2/orders", "probability": 0.1, "count": 100_000}
    running.control("POST", "/fills", delay_s=random.choice([0, 2, 20, 90]))
    running.control("POST", "/faults", do="status", status=403, seed=random.randrange(1000), **post)
    running.control("POST", "/faults", do="late_reject", seconds=3, seed=random.randrange(1000), **post)
    running.control("POST", "/faults", do="status", status=504, when="after", seed=random.randrange(1000), **post)


class Watcher(threading.Thread):
    """Looks at what is bound, in rows and at the brokerage, again and again; remembers every excess."""

    def __init__(self, running: Running, database_url: str) -> None:
        super().__init__(name="watcher", daemon=True)
        self.running, self.engine = running, create_engine(database_url)
        self.excess: list[str] = []
        self.looks = 0
        self._stop_asked = threading.Event()

    def run(self) -> None:
        while not self._stop_asked.wait(0.02):
            self._look()
            self.looks += 1

    def stop(self) -> None:
        self._stop_asked.set()
        self.join(10)
        self.engine.dispose()

    def _look(self) -> None:
        with self.engine.connect() as tx:
            bound = tx.execute(text("SELECT account, count(*), sum(usd) FROM commitments GROUP BY account")).all()
        for account, positions, usd in bound:
            self._judge("rows", account, positions, usd)
        if self.looks % 10 == 0:
            for account in ACCOUNTS:
                held = {p["symbol"] for p in self.running.broker("/v2/positions", account)}
                live = {o["symbol"] for o in self.running.broker("/v2/orders", account) if o["side"] == "buy"}
                self._judge("brokerage", account, len(held | live), Decimal(0))

    def _judge(self, whose: str, account: str, positions: int, usd: Decimal) -> None:
        most, most_usd = LIMITS[account]
        if positions > most or usd > most_usd:
            self.excess.append(f"{whose}: {account} {positions} positions, {usd} USD")


@contextmanager
def watching(running: Running, database_url: str) -> Iterator[Watcher]:
    watcher = Watcher(running, database_url)
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.stop()


@pytest.fixture
def gates(
    tmp_path: Path, small_day: Callable[..., Path], a_running: Callable[..., Running], engine: Engine
) -> Callable[..., Running]:
    """A stack with this many gates, and a history that is kept."""

    def made(number: int, seed: int) -> Running:
        keep(engine)
        options = ("--seed", str(seed), "--partial-ratio", "0.5")
        return gates_at_start(tmp_path, small_day, a_running, number, paper_options=options)

    return made


def assert_never_a_breach(history: History) -> None:
    """After every transaction that changed what is bound, count and dollars are within the limits."""
    for account in ACCOUNTS:
        of_account = history.of(account)
        most, most_usd = LIMITS[account]
        for event in of_account.last_of_each():
            state = of_account.seen_by(event)
            assert state.positions <= most, f"{account}: {state.positions} positions after {event.body}"
            assert state.exposure_usd <= most_usd, f"{account}: {state.exposure_usd} USD after {event.body}"


def assert_no_needless_refusal(history: History, asked: dict[str, tuple[str, int]]) -> None:
    """Whoever was refused really had no room, and for no other reason; and in each account somebody had none."""
    for account in ACCOUNTS:
        of_account, refused_by = history.of(account), set()
        for before, event in of_account.decisions():
            name, decision = event.body["recommendation"], event.body
            if name not in asked or decision["outcome"] == "approved":
                continue
            failed = {check["gate"]: check["observed"] for check in decision["checks"] if not check["passed"]}
            found = no_room(of_account.least_room(before, event), account, *asked[name])
            assert set(failed) <= found, f"{name} in {account}: {failed}, but there was {found or 'room'}"
            refused_by |= set(failed)
        assert refused_by & {COUNT, DOLLARS}, f"{account} was never full"


def no_room(state: State, account: str, symbol: str, qty: int) -> set[str]:
    most, most_usd = LIMITS[account]
    cost_usd = ASKS[symbol] * 100 * min(qty, CAP[account])
    lacking = {
        COUNT: state.positions + 1 > most,
        DOLLARS: state.exposure_usd + cost_usd > most_usd,
        HELD: symbol in state.symbols,
    }
    return {gate for gate, lacks in lacking.items() if lacks}


def prove(
    gates: Callable[..., Running], database_url: str, seed: int, processes: int, number: int, patience_s: float
) -> History:
    """Send *number* recommendations at once through *processes* gates, play the day out and look back."""
    random = Random(seed)
    asked = recommendations(random, number)
    running = gates(processes, seed)
    make_trouble(running, random)
    due = len(asked) * len(ACCOUNTS) + 1
    with watching(running, database_url) as watcher:
        running.recommend(*lines(asked))
        run_the_clock(running, lambda: decided(running) >= due, timedelta(seconds=random.choice([1, 5])), patience_s)
        running.control("DELETE", "/faults")
        play_on(running)
    assert [] == watcher.excess
    assert watcher.looks > 1
    assert due == decided(running)
    assert [] == running.rows("SELECT reason FROM dead_letters")
    assert [] == running.rows("SELECT account, usd FROM commitments")
    running.assert_rows_equal_the_broker()
    history = History.read(running.engine)
    assert_never_a_breach(history)
    assert_no_needless_refusal(history, asked)
    return history


def test_three_gates_and_sixty_recommendations(gates: Callable[..., Running], database_url: str):
    """A small case of the large one below; here an order fills while another gate looks at the market."""
    prove(gates, database_url, seed=7, processes=3, number=60, patience_s=60)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_eight_gates_and_a_thousand_recommendations(gates: Callable[..., Running], database_url: str, seed: int):
    """Never a breach, everything is free again at the end of the day, and whoever was refused had no room."""
    prove(gates, database_url, seed=seed, processes=8, number=1000, patience_s=400)
