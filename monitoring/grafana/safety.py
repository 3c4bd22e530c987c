"""The dashboard "Safety": its top row answers whether the money is safe, the rows below say why or why not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from grafana_foundation_sdk.builders import stat
from grafana_foundation_sdk.builders.dashboard import Dashboard

from monitoring import families as of
from monitoring.grafana.parts import (
    BLUE,
    GREEN,
    NEUTRAL,
    ORANGE,
    RED,
    board,
    number,
)
from monitoring.grafana.queries import none_if, series
from monitoring.grafana.safety_details import details

#: Zero for as long as rows can be read at all.
_HELD: Final = f"sum({series(of.OPEN_POSITIONS)})"
_SHARE_OF_EXPOSURE: Final = f"{series(of.EXPOSURE)} / {series(of.MAX_EXPOSURE)}"
_SHARE_OF_POSITIONS: Final = f"{series(of.COMMITTED)} / {series(of.MAX_POSITIONS)}"
#: What the age of the oldest price says when nothing is held: no age, and not unknown.
_NOTHING: Final = "-1"


def dashboard() -> Dashboard:
    made = board(
        "gapless-safety",
        "Safety",
        "Top row: am I safe? Green is known to be well, red is not well, orange is unknown or asks for a look.",
        other=("gapless-pipeline", "Pipeline"),
    )
    for panel in (*_am_i_safe(), *_what_runs(), *details()):
        made.with_panel(panel)
    return made


def _am_i_safe() -> Iterator[stat.Panel]:
    yield number(
        "Pages ringing",
        "Alerts that would wake somebody. Unknown while Prometheus does not evaluate the rules.",
        'count(ALERTS{alertstate="firing", severity="page"})'
        ' or 0 * count(ALERTS{alertstate="firing", alertname="Watchdog"})',
        runbook="Watchdog",
        loud=True,
    )
    yield number(
        "State can be read",
        "PostgreSQL and Redis answer the exporter. If not, all that they know is unknown here, and to every alert.",
        f"min({series(of.SOURCE_UP)})",
        steps=((None, RED), (1, GREEN)),
        words={"1": ("yes", GREEN), "0": ("no", RED)},
        runbook="StateUnknown",
        loud=True,
    )
    yield number(
        "Short positions",
        "Less than nothing is held, by our rows or by the brokerage's book.",
        none_if(_HELD, f"count(min by (account, symbol) ({series(of.QUANTITY)}) < 0)"),
        runbook="UnexpectedShortPosition",
        loud=True,
    )
    yield number(
        "Books differ",
        "Positions in which two readings of the brokerage's book differ from our rows. Unknown if never compared.",
        f"sum({series(of.MISMATCHES)})",
        runbook="PositionQuantityMismatch",
        loud=True,
    )
    yield number(
        "Limit in use",
        "The fullest limit of any account, of dollars or of positions; what is reserved counts.",
        f"max({_SHARE_OF_EXPOSURE} > ({_SHARE_OF_POSITIONS}) or {_SHARE_OF_POSITIONS})",
        unit="percentunit",
        steps=((None, GREEN), (1.0001, RED)),
        runbook="ExposureOverLimit",
        loud=True,
    )
    yield number(
        "Fill not in its position",
        "How long the brokerage has had a fill that our rows lack. Unknown if rows or the stream of fills are.",
        f"max({series(of.UNAPPLIED_AGE)} or {_fills_wait()}) and on () {_fills_wait()} and on () {_HELD}",
        unit="s",
        steps=((None, GREEN), (5, RED)),
        runbook="FillNotApplied",
        loud=True,
    )
    yield number(
        "Nobody watches",
        "Open positions that nobody evaluated in time.",
        f"sum({series(of.OVERDUE)} > bool 0) or ({_HELD} == 0)",
        runbook="PositionUnprotected",
        loud=True,
    )
    yield number(
        "Oldest price",
        "Age of the oldest last quote of an open position. Unknown if one of them has none.",
        f"(max({series(of.TICK_AGE)}) unless on () ({_unpriced()})) or ({_HELD} == 0) - 1",
        unit="s",
        steps=((None, GREEN), (60, ORANGE), (300, RED)),
        words={_NOTHING: ("nothing held", GREEN)},
        runbook="StaleTicksForOpenPosition",
        loud=True,
    )


def _what_runs() -> Iterator[stat.Panel]:
    yield number(
        "Market",
        "Whether a session is on. Unknown if the calendar is.",
        series(of.MARKET_OPEN),
        steps=NEUTRAL,
        words={"1": ("open", BLUE), "0": ("closed", BLUE)},
    )
    yield number(
        "Accounts not active",
        "Reducing by the interlock, or halted by a person: nothing opens there, exits go on.",
        f"sum({series(of.STATE, _state('active'))} == bool 0)",
        steps=((None, GREEN), (1, ORANGE)),
        runbook="AccountNotActive",
    )
    yield number(
        "Last compared",
        "Since the account that waits longest was compared with the brokerage. Unknown if one never was.",
        f"max({series(of.RECONCILE_AGE)})"
        f" unless on () ({series(of.MAX_POSITIONS)} unless on (account) {series(of.RECONCILE_AGE)})",
        unit="s",
        steps=((None, GREEN), (120, RED)),
        runbook="ReconcileStale",
    )
    yield number(
        "Actors missing",
        "Actors of which no copy has proved itself for 30 s.",
        f"sum({series(of.INSTANCES)} == bool 0)",
        runbook="ActorDown",
    )
    yield number(
        "Dead letters",
        "Entries that could not be handled and that nobody has decided about.",
        f"sum({series(of.DEAD_LETTERS)})",
        steps=((None, GREEN), (1, ORANGE)),
        runbook="DeadLetters",
    )
    yield number(
        "Limit breaches",
        "Ever let in beyond a limit then in force. We promise none.",
        f"sum({series(of.BREACHES)})",
        runbook="ExposureOverLimit",
    )
    yield number(
        "Blind checks",
        "Checks of the last five minutes that refused because what they look at was unknown.",
        none_if(_HELD, f"sum({series(of.RECENT_BLIND)})"),
        steps=((None, GREEN), (1, ORANGE)),
        runbook="GateBlind",
    )
    yield number(
        "Builds running",
        "Different code or configurations among living actors. More than one decide by different rules.",
        f"count(count by (version, code, config) ({series(of.ACTOR_INFO)}))",
        steps=((None, GREEN), (2, ORANGE)),
        runbook="MixedVersions",
    )


# ---------------------------------------------------------------- expressions


def _fills_wait() -> str:
    return f"""max({series(of.STREAM_AGE, 'stream=~"fills.*"')})"""


def _unpriced() -> str:
    """Open positions that have no last quote."""
    return f"{series(of.POSITION_AGE)} unless on (account, symbol) {series(of.TICK_AGE)}"


def _actor(name: str) -> str:
    return f'actor="{name}"'


def _state(name: str) -> str:
    return f'state="{name}"'
