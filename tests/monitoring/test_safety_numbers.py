"""The numbers of "Safety" in calm and in trouble: what is known to be none is 0, what nobody knows has no value.

promtool evaluates the shipped expressions over a few series.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.monitoring.dashboards import exprs
from tests.monitoring.tools import need

#: Two accounts; the large one holds two of A, which was quoted three seconds ago.
CALM: Final[Mapping[str, float]] = {
    'gapless_source_up{source="postgres"}': 1,
    'gapless_source_up{source="redis"}': 1,
    'gapless_account_state{account="large", state="active"}': 1,
    'gapless_account_state{account="tiny", state="active"}': 1,
    'gapless_account_open_positions{account="large"}': 1,
    'gapless_account_open_positions{account="tiny"}': 0,
    'gapless_account_committed_positions{account="large"}': 1,
    'gapless_account_committed_positions{account="tiny"}': 0,
    'gapless_account_max_positions{account="large"}': 5,
    'gapless_account_max_positions{account="tiny"}': 1,
    'gapless_account_exposure_usd{account="large"}': 5000,
    'gapless_account_exposure_usd{account="tiny"}': 0,
    'gapless_account_max_exposure_usd{account="large"}': 10000,
    'gapless_account_max_exposure_usd{account="tiny"}': 2000,
    'gapless_unapplied_fill_age_seconds{account="large"}': 0,
    'gapless_unapplied_fill_age_seconds{account="tiny"}': 0,
    'gapless_reconcile_age_seconds{account="large"}': 9,
    'gapless_reconcile_age_seconds{account="tiny"}': 8,
    'gapless_reconcile_mismatches{account="large", kind="quantity"}': 0,
    'gapless_position_quantity{account="large", symbol="A", source="rows"}': 2,
    'gapless_position_quantity{account="large", symbol="A", source="broker"}': 2,
    'gapless_position_age_seconds{account="large", symbol="A"}': 100,
    'gapless_position_tick_age_seconds{account="large", symbol="A"}': 3,
    'gapless_position_overdue_seconds{account="large", symbol="A"}': 0,
    'gapless_actor_instances{actor="exit"}': 2,
    'gapless_actor_instances{actor="gate"}': 1,
    'gapless_actor_info{actor="exit", instance="1", version="1", code="a", config="b"}': 1,
    'gapless_dead_letters{stream="ticks", group="exit"}': 0,
    'gapless_limit_breaches_total{account="large"}': 0,
    'gapless_stream_oldest_unprocessed_age_seconds{stream="fills.{0}", group="tracker"}': 0,
    'gapless_stream_oldest_unprocessed_age_seconds{stream="ticks.{0}", group="exit"}': 50,
    'ALERTS{alertname="Watchdog", alertstate="firing", severity="none"}': 1,
}
UNKNOWN: Final = None
IN_CALM: Final = {
    "Pages ringing": 0,
    "State can be read": 1,
    "Short positions": 0,
    "Books differ": 0,
    "Limit in use": 0.5,
    "Fill not in its position": 0,
    "Nobody watches": 0,
    "Oldest price": 3,
    "Accounts not active": 0,
    "Last compared": 9,
    "Actors missing": 0,
    "Dead letters": 0,
    "Limit breaches": 0,
    "Blind checks": 0,
    "Builds running": 1,
}
SHORT: Final = 'gapless_position_quantity{account="tiny", symbol="B", source="broker"}'
SECOND: Final = 'gapless_position_age_seconds{account="tiny", symbol="B"}'
PAGE: Final = 'ALERTS{alertname="ReconcileStale", alertstate="firing", severity="page"}'
PENDING: Final = 'ALERTS{alertname="ActorDown", alertstate="pending", severity="page"}'
#: Families that come from Redis; the others come from PostgreSQL, and the age of a tick needs both.
STREAMS: Final = ("gapless_position_tick_age", "gapless_stream_")


def only(value: float | None, *parts: str) -> dict[str, float | None]:
    """Every series of the calm whose name has one of *parts* gets *value*; None takes it away."""
    return {name: value for name in CALM if any(part in name for part in parts)}


NO_REDIS: Final = only(UNKNOWN, *STREAMS) | {'gapless_source_up{source="redis"}': 0}
NO_POSTGRES: Final = (
    only(UNKNOWN, "gapless_")
    | only(0, "gapless_stream_")
    | {
        'gapless_source_up{source="postgres"}': 0,
        'gapless_source_up{source="redis"}': 1,
    }
)
NOTHING_HELD: Final = only(UNKNOWN, "gapless_position_") | only(0, "open_positions", "committed_positions")


def _known_to_rows() -> list[str]:
    return [title for title in IN_CALM if title not in ("Pages ringing", "State can be read")]


CASES: Final[list[tuple[str, dict[str, float | None], dict[str, float | None]]]] = [
    ("all is well", {}, {**IN_CALM}),
    ("one page rings, one waits", {PAGE: 1, PENDING: 1}, {"Pages ringing": 1}),
    ("no rule is evaluated", only(UNKNOWN, "ALERTS"), {"Pages ringing": UNKNOWN}),
    ("the brokerage says short", {SHORT: -1}, {"Short positions": 1}),
    ("the brokerage says short where we say long", only(-2, 'source="broker"'), {"Short positions": 1}),
    ("nothing is held", NOTHING_HELD, {"Short positions": 0, "Oldest price": -1, "Nobody watches": 0}),
    ("no exit lives", only(0, 'actor="exit"'), {"Actors missing": 1}),
    ("nobody looks at a position", only(3, "overdue"), {"Nobody watches": 1}),
    ("nobody knows who looks", only(UNKNOWN, "overdue"), {"Nobody watches": UNKNOWN}),
    (
        "the small account is over its dollars",
        {'gapless_account_exposure_usd{account="tiny"}': 2500},
        {"Limit in use": 1.25},
    ),
    ("positions are fuller than dollars", only(4, 'committed_positions{account="large"'), {"Limit in use": 0.8}),
    ("a fill waits on its stream", only(7, 'stream="fills'), {"Fill not in its position": 7}),
    ("a fill was never read", only(40, 'unapplied_fill_age_seconds{account="tiny"'), {"Fill not in its position": 40}),
    ("an open position was never quoted", only(UNKNOWN, "tick_age"), {"Oldest price": UNKNOWN}),
    ("one of two positions was never quoted", {SECOND: 100}, {"Oldest price": UNKNOWN}),
    (
        "an account was never compared",
        only(UNKNOWN, 'reconcile_age_seconds{account="tiny"'),
        {"Last compared": UNKNOWN},
    ),
    ("nobody was ever compared", only(UNKNOWN, "reconcile_"), {"Books differ": UNKNOWN, "Last compared": UNKNOWN}),
    ("an account is halted", only(0, 'account_state{account="tiny"'), {"Accounts not active": 1}),
    ("no Redis", NO_REDIS, {"State can be read": 0, "Fill not in its position": UNKNOWN, "Oldest price": UNKNOWN}),
    ("no PostgreSQL", NO_POSTGRES, {"State can be read": 0, **dict.fromkeys(_known_to_rows(), UNKNOWN)}),
    ("no exporter", only(UNKNOWN, "gapless_"), dict.fromkeys(["State can be read", *_known_to_rows()], UNKNOWN)),
]


@pytest.mark.parametrize(("change", "numbers"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_number_is_known_or_has_no_value(
    tmp_path: Path, change: dict[str, float | None], numbers: dict[str, float | None]
):
    """promtool's own test: the expressions of the panels, over the calm with *change*, give *numbers*."""
    said = {**CALM, **change}
    file = tmp_path / "tests.json"
    file.write_text(json.dumps({"evaluation_interval": "1m", "tests": [_test(said, numbers)]}), encoding="utf-8")
    done = subprocess.run(
        [str(need("promtool")), "test", "rules", str(file)], capture_output=True, text=True, check=False
    )

    assert 0 == done.returncode, done.stdout + done.stderr


def _test(said: Mapping[str, float | None], numbers: Mapping[str, float | None]) -> dict[str, Any]:
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": str(value)} for name, value in said.items() if value is not None],
        "promql_expr_test": [
            {"expr": _expr(title), "eval_time": "0m", "exp_samples": _samples(value)}
            for title, value in numbers.items()
        ],
    }


def _expr(title: str) -> str:
    return next(expr for panel, expr in exprs() if panel.startswith(f"safety: {title} ("))


def _samples(value: float | None) -> list[dict[str, Any]]:
    return [] if value is None else [{"labels": "{}", "value": value}]
