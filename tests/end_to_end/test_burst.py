"""The over-trading burst of 3 February over the whole stack, with fills ten minutes late: R03 end to end."""

# ruff: noqa: N802 - a test is named after its row

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from tests.end_to_end.conftest import a_line
from tests.end_to_end.stack import Running
from tests.incidents.make_fixtures import BURST, BURST_FITS
from tests.paper.days import STOCK, Row, a_contract

START = "14:32:00"
SYMBOLS = [root + tail for root, tail, _ in BURST]
ASKS = {root + tail: Decimal(usd) / 1000 for root, tail, usd in BURST}
#: Fills come after ten minutes; an entry that is canceled after one would never see them.
PATIENT = {"entry_ttl_s": 1200}


def _quotes(at: str) -> tuple[Row, ...]:
    return tuple((at, s, f"{ask - Decimal('0.10'):.2f}", f"{ask:.2f}") for s, ask in ASKS.items())


def _lines(contracts: int) -> list[str]:
    return [
        a_line(f"burst-{n:02d}", START, symbol, contracts, underlying=symbol[:-15], instrument="PUT")
        for n, symbol in enumerate(SYMBOLS, start=1)
    ]


@pytest.mark.parametrize(("contracts", "exposure_usd"), [(10, "8840.00"), (1, "5795.00")])
def test_R03_a_burst_with_late_fills_stays_within_the_limits(
    small_day: Callable[..., Path], a_running: Callable[..., Running], contracts: int, exposure_usd: str
):
    """
    Twelve recommendations in one second while every fill takes ten minutes: in the documented sizes
    the dollars decide, at a tenth of them the five positions; reservations count all the while.
    """
    underlyings: tuple[Row, ...] = tuple(
        (at, STOCK, "99.90", "100.10") for at in ("14:31:55", "14:36:00", "14:42:00", "14:43:00")
    )
    day = small_day(
        *_lines(contracts),
        quotes=(*_quotes("14:31:55"), *_quotes("14:42:00")),
        underlying=underlyings,
        contracts=[a_contract(symbol) for symbol in SYMBOLS],
    )
    running = a_running(day, entries=PATIENT)
    expected = [f"burst-{n:02d}" for n in BURST_FITS[contracts]]

    def waiting() -> None:
        assert expected == running.rows(
            "SELECT recommendation FROM decisions WHERE outcome = 'approved' ORDER BY recommendation"
        )
        assert [] == running.rows("SELECT 1 FROM fills")
        assert [(len(expected), Decimal(exposure_usd))] == running.rows(
            "SELECT count(*)::integer, sum(usd) FROM commitments WHERE account = 'large'"
        )

    running.play({"14:30:00": lambda: running.control("POST", "/fills", delay_s=600), "14:36:00": waiting})

    assert len(BURST) == len(running.rows("SELECT 1 FROM decisions"))
    assert len(expected) == len(running.rows("SELECT 1 FROM positions"))
    [large] = [a for a in running.report()["accounts"] if a["account"] == "large"]
    assert (len(expected), exposure_usd) == (large["peak_positions"], large["peak_exposure_usd"])
    running.assert_rows_equal_the_broker()
