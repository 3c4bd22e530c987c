"""What becomes of each position of a recorded day under an exit policy, as a table.

``python -m tests.end_to_end.exit_outcomes`` plays every day under every policy and writes the expected tables anew:
look at the difference before it is committed. A row is one position, without ids and without prices of the market:
``result_pct`` is what it brought, in per cent of its largest cost, to one place.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from cli.day import read_days
from cli.exit_settings import ExitOverrides, KindOverrides
from cli.report import report
from cli.run import Stack, replay, without_servers
from cli.settings import SHIPPED, Settings, load
from db import views

ROOT: Final = Path(__file__).resolve().parents[2]
DAYS: Final = ROOT.parent / "shared" / "market-data"
EXPECTED: Final = Path(__file__).parent / "expected" / "exits"
NAMES: Final = ("2014-06-05-TWX", "2015-12-23-GOOG", "2023-08-03-SPY")
COLUMNS: Final = (
    *("account", "symbol", "opened_at", "max_qty", "closed_at", "exit_reason", "exit_rule"),
    "result_pct",
)
#: What lies over the shipped rules for options, for every strategy. The shipped policies themselves need nothing.
OVER: Final[Mapping[str, dict[str, Any]]] = {
    "day_trade": {"max_hold_min": 240, "flatten_before_close_min": 5},
    "swing_trade": {"max_hold_min": "off", "flatten_before_close_min": "off"},
    "keeping_gains": {
        "target_pct": "off",
        "trail_arm_pct": "off",
        "trail_giveback_pct": "off",
        "min_hold_min": 5,
        "break_even_arm_pct": "10",
        "ladder": ({"at_pct": "20", "close_pct": "40"}, {"at_pct": "50", "close_pct": "30"}),
        "trail_tiers": (
            {"arm_pct": "30", "lock_pct": "70"},
            {"arm_pct": "50", "lock_pct": "80"},
            {"arm_pct": "80", "lock_pct": "85"},
        ),
        "flatten_before_close_min": 5,
    },
    "leaving_in_steps": {
        "max_hold_min": "off",
        "progress_after_min": 90,
        "progress_pct": "5",
        "windows": (
            {"before_close_min": 90, "gain_below_pct": "-20"},
            {"before_close_min": 60, "gain_below_pct": "-10"},
            {"before_close_min": 30, "gain_below_pct": "0"},
            {"before_close_min": 5, "everything": True},
        ),
    },
}


def under(policy: str, folder: Path) -> Settings:
    """Return the shipped settings with every strategy under *policy*; data go to *folder*."""
    settings = without_servers(load(SHIPPED, {}))
    over = KindOverrides(option=ExitOverrides(**OVER[policy]))
    strategies = {name: one.model_copy(update={"exits": over}) for name, one in settings.strategies.items()}
    servers = settings.servers.model_copy(update={"data_dir": folder})
    return settings.model_copy(update={"strategies": strategies, "servers": servers})


def outcomes(day: str, policy: str, folder: Path) -> list[tuple[str, ...]]:
    """Play *day* under *policy* and return its positions, in the order in which they were opened."""

    def finish(stack: Stack) -> list[tuple[str, ...]]:
        with stack.engine.connect() as tx:
            reported = {row["position_id"]: row for row in report(tx)["positions"]}
            found = [
                reported[str(row["position_id"])] | {"exit_rule": row["exit_rule"], "result_pct": _result_pct(row)}
                for row in views.positions(tx)
            ]
        return sorted(tuple(_plain(row[column]) for column in COLUMNS) for row in found)

    return replay(under(policy, folder), read_days([DAYS / day]), folder / "ledger", None, lambda *_: None, finish)


def _result_pct(row: Mapping[str, Any]) -> Decimal | None:
    """None while the position is held, or when a price is not known."""
    if row["closed_at"] is None or row["realized_pnl_usd"] is None:
        return None
    cost = row["entry_price"] * row["max_qty"] * row["multiplier"]
    return (row["realized_pnl_usd"] / cost * 100).quantize(Decimal("0.1"))


def _plain(value: Any) -> str:
    return "" if value is None else str(value)


def file_of(day: str, policy: str) -> Path:
    return EXPECTED / f"{day}.{policy}.csv"


def expected(day: str, policy: str) -> list[tuple[str, ...]]:
    with file_of(day, policy).open(newline="", encoding="utf-8") as file:
        return [tuple(row) for row in csv.reader(file)][1:]


def write(day: str, policy: str) -> None:
    with TemporaryDirectory() as folder:
        rows = outcomes(day, policy, Path(folder))
    EXPECTED.mkdir(parents=True, exist_ok=True)
    with file_of(day, policy).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


if __name__ == "__main__":
    for name in sys.argv[1:] or NAMES:
        for chosen in OVER:
            write(name, chosen)
