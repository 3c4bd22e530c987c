"""Three recorded sessions through the whole stack, each twice; skipped where they are not beside the repository."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from cli.day import read_days
from cli.documents import verify
from cli.report import report
from cli.run import Stack, replay, without_servers
from cli.settings import SHIPPED, load
from db import views

ROOT: Final = Path(__file__).resolve().parents[2]
DAYS: Final = ROOT.parent / "shared" / "market-data"
EXPECTED: Final = Path(__file__).parent / "expected"
#: The least number of positions that a day opens with the default configuration, by account.
AT_LEAST: Final = {
    "2015-12-23-GOOG": {"large": 3, "tiny": 1},
    "2014-06-05-TWX": {"large": 5, "tiny": 1},
    "2023-08-03-SPY": {"large": 2, "tiny": 1},
}
#: A day is under a minute of work, on a machine that does nothing else.
PATIENCE_S: Final = 600

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(PATIENCE_S),
    pytest.mark.skipif(not DAYS.is_dir(), reason="no recorded days in ../shared/market-data"),
]


@dataclass(frozen=True)
class Played:
    """What is left of a day: the report, the orders whole, what verify found."""

    name: str
    report: dict[str, Any]
    orders: Sequence[dict[str, Any]]
    mismatches: Sequence[Any]


def play(name: str, folder: Path) -> Played:
    settings = without_servers(load(SHIPPED, {}))
    ours = settings.model_copy(update={"servers": settings.servers.model_copy(update={"data_dir": folder})})

    def finish(stack: Stack) -> Played:
        with stack.engine.connect() as tx:
            return Played(name, report(tx), views.orders(tx), verify(tx)["mismatches"])

    return replay(ours, read_days([DAYS / name]), folder / "ledger", None, lambda *_: None, finish)


@pytest.fixture(scope="module", params=sorted(AT_LEAST))
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The day, played once for all tests about it."""
    return play(request.param, tmp_path_factory.mktemp("day"))


def test_every_recommendation_is_decided_in_every_account_that_it_names(played: Played):
    """One outcome for each (recommendation, account) of the file, however often its line stands there."""
    lines = (DAYS / played.name / "recommendations.jsonl").read_text().splitlines()
    asked = {(rec["id"], account) for rec in map(json.loads, lines) for account in rec["accounts"]}

    decided = [(d["recommendation"], d["account"]) for d in played.report["decisions"]]

    assert sorted(asked) == sorted(decided)
    assert len({rec for rec, _ in asked}) == played.report["recommendations"]


def test_the_outcomes_are_the_expected_ones(played: Played):
    """Who was approved and which gates refused: as in the table that people looked at."""
    with (EXPECTED / f"{played.name}.csv").open(newline="") as file:
        expected = [tuple(row) for row in csv.reader(file)][1:]

    assert expected == outcomes(played.report)


def outcomes(document: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Recommendation, account, outcome and the gates that refused."""
    return sorted(
        (d["recommendation"], d["account"], d["outcome"], " ".join(check["gate"] for check in d["refusals"]))
        for d in document["decisions"]
    )


def test_no_limit_was_passed_and_rows_equal_the_brokerage(played: Played):
    """No breach, no drift, and nothing that verify would complain about."""
    assert (0, [], []) == (played.report["breaches"], played.report["drift"], played.mismatches)


def test_limits_held_at_their_peaks(played: Played):
    """Positions and dollars, reservations included, never stood above their ceilings."""
    for account in played.report["accounts"]:
        limits = account["limits"]
        assert account["peak_positions"] <= limits["max_positions"]
        assert float(account["peak_exposure_usd"]) <= float(limits["max_exposure_usd"])


def test_every_fill_is_in_a_position(played: Played):
    """What positions took in and gave back is the sum of the fills of their orders."""
    of_order = {o["order_id"]: o["position_id"] for o in played.report["orders"]}
    held: Counter[str] = Counter()
    for fill in played.report["fills"]:
        held[of_order[fill["order_id"]]] += fill["qty"] if fill["side"] == "buy" else -fill["qty"]

    assert {p["position_id"]: p["qty"] for p in played.report["positions"]} == dict(held)


def test_the_day_opens_as_many_positions_as_it_should(played: Played):
    """With the default limits and gates there is trade on every recorded day."""
    opened = Counter(p["account"] for p in played.report["positions"])

    assert all(opened[account] >= least for account, least in AT_LEAST[played.name].items()), opened


def test_no_day_trade_is_held_after_the_close(played: Played):
    """What is still open is meant to be held overnight, or nobody ever bid for it."""
    left = [p for p in played.report["positions"] if p["qty"] and p["strategy"] == "day_trade"]

    assert [] == [p["symbol"] for p in left if p["close_blocked"] is None]


def test_every_close_names_what_is_held(played: Played):
    """A closing order sells the position's own contract and says so; it is a step of the shipped ladder or its end."""
    symbols = {p["position_id"]: p["symbol"] for p in played.report["positions"]}
    closes = [o for o in played.orders if o["intent"] not in ("buy_to_open", "sell_to_open")]

    assert closes
    assert {("sell", "sell_to_close")} == {(o["side"], o["intent"]) for o in closes}
    assert all((o["type"] == "limit") == (o["limit_price"] is not None) for o in closes)
    assert [] == [o["symbol"] for o in closes if symbols[str(o["position_id"])] != o["symbol"]]


def test_the_same_day_again_gives_the_same_digest(played: Played, tmp_path: Path):
    """On a fresh ledger the same decisions, orders, fills and positions come out."""
    again = play(played.name, tmp_path)

    assert outcomes(played.report) == outcomes(again.report)
    assert played.report["digest"] == again.report["digest"]
