"""The dashboard "Pipeline": how often, how well and how fast each actor works, and what waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from grafana_foundation_sdk.builders import stat, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from monitoring import families as of
from monitoring.grafana.parts import GREEN, NEUTRAL, ORANGE, SLOW, STUCK, Steps, board, graph, number
from monitoring.grafana.pipeline_ends import brokerage, decisions, processes
from monitoring.grafana.queries import none_if, quantile, quantiles, rate, series

_ANY_IS_A_LOOK: Final[Steps] = ((None, GREEN), (1, ORANGE))
_NOT_OK: Final = 'result!="ok"'


def dashboard() -> Dashboard:
    made = board(
        "gapless-pipeline",
        "Pipeline",
        "Each actor by rate, errors and duration; what waits on the streams; the brokerage; the processes.",
        other=("gapless-safety", "Safety"),
    )
    for now in _now():
        made.with_panel(now)
    rows: tuple[tuple[str, Iterator[Builder[Panel]]], ...] = (
        ("Each actor: rate, errors, duration", _actors()),
        ("How long it takes", _latencies()),
        ("What waits", _streams()),
        ("What is decided", decisions()),
        ("The brokerage", brokerage()),
        ("Processes", processes()),
    )
    for title, panels in rows:
        made.with_row(Row(title))
        for panel in panels:
            made.with_panel(panel)
    return made


def _now() -> Iterator[stat.Panel]:
    yield number(
        "Handled",
        "Entries that all actors handled, a second.",
        rate(of.STREAM_EVENTS, 'result="ok"'),
        unit="ops",
        steps=NEUTRAL,
        span=4,
    )
    yield number(
        "Not handled at first",
        "Entries a second that were tried again, buried, or lost by trimming.",
        none_if(rate(of.STREAM_EVENTS), rate(of.STREAM_EVENTS, _NOT_OK)),
        unit="ops",
        steps=((None, GREEN), (0.0001, ORANGE)),
        runbook="StreamStuck",
        span=4,
    )
    yield number(
        "Oldest entry that waits",
        "Over all streams and groups.",
        f"max({series(of.STREAM_AGE)})",
        unit="s",
        steps=STUCK,
        runbook="StreamStuck",
        span=4,
    )
    yield number(
        "Delivered, not handled",
        "Entries in the hands of actors.",
        f"sum({series(of.STREAM_PENDING)})",
        steps=NEUTRAL,
        runbook="StreamStuck",
        span=4,
    )
    yield number(
        "Dead letters",
        "Nobody has decided about them.",
        f"sum({series(of.DEAD_LETTERS)})",
        steps=_ANY_IS_A_LOOK,
        runbook="DeadLetters",
        span=4,
    )
    yield number(
        "Facts not yet published",
        "Decided, and still in the outbox.",
        series(of.OUTBOX),
        steps=((None, GREEN), (100, ORANGE)),
        runbook="StreamStuck",
        span=4,
    )


def _actors() -> Iterator[timeseries.Panel]:
    yield graph(
        "Rate",
        "Entries handled.",
        {"{{group}}: {{stream}}": rate(of.STREAM_EVENTS, 'result="ok"', by="group, stream")},
        unit="ops",
        runbook="StreamStuck",
    )
    yield graph(
        "Errors",
        "Entries tried again (transient: somebody did not answer; unexpected: our bug), buried, or lost.",
        {
            "{{group}} {{result}}": none_if(
                rate(of.STREAM_EVENTS, by="group"), rate(of.STREAM_EVENTS, _NOT_OK, by="group, result")
            )
        },
        unit="ops",
        steps=((None, GREEN), (0.0001, ORANGE)),
        runbook="DeadLetters",
    )
    yield graph(
        "Duration",
        "Time that a batch took: nineteen of twenty were faster.",
        {"{{group}}: {{stream}}": quantile("0.95", of.BATCH_SECONDS, by="group, stream")},
        unit="s",
        steps=SLOW,
        runbook="StreamStuck",
    )


def _latencies() -> Iterator[timeseries.Panel]:
    yield graph(
        "Fill to position",
        "From the frame that told of a fill to its position.",
        quantiles(of.FILL_TO_POSITION),
        unit="s",
        steps=SLOW,
        runbook="FillNotApplied",
        span=6,
    )
    yield graph(
        "Recommendation to decision",
        "From its entry into the stream to what the gate made of it.",
        quantiles(of.RECOMMENDATION_TO_DECISION),
        unit="s",
        steps=SLOW,
        runbook="StreamStuck",
        span=6,
    )
    yield graph(
        "Decision to order",
        "From approval to the brokerage's acceptance, on the stack's clock.",
        quantiles(of.DECISION_TO_ORDER),
        unit="s",
        steps=SLOW,
        runbook="StreamStuck",
        span=6,
    )
    yield graph(
        "Tick to decision",
        "From a tick's entry into its stream to what exit made of it.",
        quantiles(of.TICK_TO_DECISION),
        unit="s",
        steps=SLOW,
        runbook="StaleTicksForOpenPosition",
        span=6,
    )


def _streams() -> Iterator[timeseries.Panel]:
    reader = "{{group}}: {{stream}}"
    yield graph(
        "Age of the oldest that waits",
        "The oldest entry that a group has not handled.",
        {reader: series(of.STREAM_AGE)},
        unit="s",
        steps=STUCK,
        runbook="StreamStuck",
        span=6,
    )
    yield graph(
        "Delivered, not handled",
        "Entries in the hands of a group.",
        {reader: series(of.STREAM_PENDING)},
        unit="none",
        runbook="StreamStuck",
        span=6,
    )
    yield graph(
        "Length",
        "Entries on a stream; trimmed as they age.",
        {"{{stream}}": series(of.STREAM_LENGTH)},
        unit="none",
        runbook="StreamStuck",
        span=6,
    )
    yield graph(
        "Dead letters",
        "Nobody has decided about them.",
        {reader: series(of.DEAD_LETTERS)},
        unit="none",
        steps=_ANY_IS_A_LOOK,
        runbook="DeadLetters",
        span=6,
    )
