"""Whether all is well that a position will need, before anything opens: read from rows, not from promises."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from actors.desk import Desk
from db import vital_signs
from db.vital_signs import BROKER_STREAM, STREAMS, TRACKER_LAG, Vital
from domain.ids import AccountName
from domain.interlock import NEEDED, Bounds, Sign, sign
from domain.known import Known, Unknown
from streams.names import Stream, partitioned

#: The sign that the rows were compared with the brokerage's book.
COMPARED: Final = "last reconciliation"


def evaluator_of(partition: int) -> str:
    """Return the name of the sign that somebody evaluates this partition of the ticks."""
    return f"evaluator of {partitioned(Stream.TICKS, partition)}"


_NONE: Final = timedelta(0)

Pulse = Callable[[Connection, AccountName], Known[tuple[Sign, ...]] | Unknown]


def of_rows(desk: Desk, bounds: Bounds) -> Pulse:
    """Answer from the rows; what was never seen is not well."""

    def read(tx: Connection, account: AccountName) -> Known[tuple[Sign, ...]] | Unknown:
        now = desk.clock()
        vitals = vital_signs.read(tx, account, now, desk.wall())
        return Known(_signs(vitals, bounds, desk), now, "vital signs")

    return read


def _signs(vitals: tuple[Vital, ...], bounds: Bounds, desk: Desk) -> tuple[Sign, ...]:
    """Return one sign for each thing that must be there, and of each open position: its evaluation and its price.

    A price that two sources dispute is not well from the first moment on.
    """
    wall, clock = desk.wall(), desk.clock()
    at = {(vital.kind, vital.name): vital.at for vital in vitals}
    held = sorted(vital.name for vital in vitals if vital.kind == "price")
    disputed = sorted(vital.name for vital in vitals if vital.kind == "dispute")
    watched = sorted(vital.name for vital in vitals if vital.kind == "evaluation")
    evaluators = [evaluator_of(partition) for partition in range(desk.partitions)]
    return (
        *(sign(actor, at.get(("actor", actor)), bounds.silence, wall) for actor in NEEDED),
        sign(TRACKER_LAG, at.get(("sign", TRACKER_LAG)), bounds.tracker_lag, wall),
        sign(STREAMS, at.get(("sign", STREAMS)), bounds.streams, wall),
        sign(BROKER_STREAM, at.get(("sign", BROKER_STREAM)), bounds.broker_stream, wall),
        sign(COMPARED, at.get(("reconciliation", "")), bounds.reconciliation_age, clock),
        *(sign(name, at.get(("sign", name)), bounds.evaluation, wall) for name in evaluators),
        *(sign(f"evaluation of {symbol}", at[("evaluation", symbol)], bounds.evaluation, wall) for symbol in watched),
        *(sign(f"price of {symbol}", at[("price", symbol)], bounds.price_age, clock) for symbol in held),
        *(sign(f"undisputed price of {symbol}", at[("dispute", symbol)], _NONE, clock) for symbol in disputed),
    )


def of_recorded_day(desk: Desk) -> Pulse:
    """On a recorded day the clock itself waits for every actor: silence on the wall says nothing."""
    signs = tuple(Sign(part=actor, age=_NONE, bound=_NONE) for actor in NEEDED)
    return lambda _tx, _account: Known(signs, desk.clock(), "the recorded clock")
