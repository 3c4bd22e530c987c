"""The lower part of "Pipeline": what becomes of the work, the brokerage at its end, and the processes that do it."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.builders import table, timeseries

from monitoring import families as of
from monitoring.grafana.parts import GREEN, ORANGE, RED, SLOW, STUCK, graph, listing
from monitoring.grafana.queries import none_if, quantile, rate, series


def decisions() -> Iterator[timeseries.Panel]:
    yield graph(
        "Decisions",
        "Approved and refused.",
        {"{{account}} {{outcome}}": rate(of.DECISIONS, by="account, outcome")},
        unit="ops",
    )
    yield graph(
        "Refusals by gate",
        "The ten checks that fail most; a recommendation counts once for each.",
        {"{{gate}}": f"topk(10, {rate(of.REFUSALS, by='gate')})"},
        unit="ops",
        runbook="GateBlind",
    )
    yield graph(
        "Refusals because of the unknown",
        "Checks that failed because what they look at was unknown.",
        {
            "{{account}} {{gate}}": none_if(
                rate(of.DECISIONS, by="account"), f"topk(10, {rate(of.BLIND, by='account, gate')})"
            )
        },
        unit="ops",
        steps=((None, GREEN), (0.0001, RED)),
        runbook="GateBlind",
    )
    yield graph(
        "Without an outcome",
        "Recommendations that were read and are neither approved nor refused.",
        {"{{account}}": series(of.UNDECIDED)},
        unit="none",
        runbook="UndecidedRecommendations",
    )
    yield graph(
        "Oldest without an outcome",
        "Since it entered its stream.",
        {"{{account}}": series(of.UNDECIDED_AGE)},
        unit="s",
        steps=((None, GREEN), (300, ORANGE)),
        runbook="UndecidedRecommendations",
    )
    yield graph(
        "Orders",
        "Accepted, or how they ended if not by filling.",
        {"{{action}} {{result}} {{code}}": rate(of.ORDER_RESULTS, by="action, result, code")},
        unit="ops",
        runbook="CloseRejected",
    )
    yield graph(
        "Fills",
        "Executions applied, by where they were read first: a socket, or a look afterwards.",
        {"{{account}} {{source}}": rate(of.FILLS, by="account, source")},
        unit="ops",
        runbook="FillNotApplied",
    )
    yield graph(
        "Exits",
        "Closes asked for, by the rule that fired.",
        {"{{rule}}": rate(of.EXITS, by="rule")},
        unit="ops",
        runbook="PositionUnprotected",
    )


def brokerage() -> Iterator[timeseries.Panel]:
    yield graph(
        "Requests",
        "By what they are about and how they were answered; none is no answer.",
        {"{{endpoint}} {{status}}": rate(of.BROKER_REQUESTS, by="endpoint, status")},
        unit="reqps",
        runbook="ReconcileStale",
        span=6,
    )
    yield graph(
        "Time to an answer",
        "Nineteen of twenty were faster.",
        {"{{endpoint}}": quantile("0.95", of.BROKER_SECONDS, by="endpoint")},
        unit="s",
        steps=SLOW,
        runbook="ReconcileStale",
        span=6,
    )
    yield graph(
        "Feeds",
        "1 while connected and listening.",
        {"{{feed}}": f"max by (feed) ({series(of.CONNECTED)})"},
        unit="bool_on_off",
        steps=((None, RED), (1, GREEN)),
        runbook="StaleTicksForOpenPosition",
        span=6,
    )
    yield graph(
        "Booked and not understood",
        "What the brokerage booked without an order and no rule turned into a fill, by its own word.",
        {"{{account}} {{word}}": series(of.UNHANDLED)},
        unit="none",
        runbook="PositionQuantityMismatch",
        span=6,
    )
    yield graph(
        "Frames and reconnects",
        "What feeds have read, how often they had to come back, and quotes of what is held that only REST had.",
        {
            "{{feed}} frames": rate(of.FRAMES, by="feed"),
            "{{feed}} reconnects": rate(of.RECONNECTS, by="feed"),
            "missed, REST had it": rate(of.MISSED_BY_LIVE),
        },
        unit="ops",
        runbook="StaleTicksForOpenPosition",
        span=6,
    )


def processes() -> Iterator[timeseries.Panel | table.Panel]:
    yield graph(
        "Copies",
        "Copies of each actor with a heartbeat within 30 s.",
        {"{{actor}}": series(of.INSTANCES)},
        unit="none",
        steps=((None, RED), (1, GREEN)),
        runbook="ActorDown",
        span=6,
    )
    yield graph(
        "Heartbeats",
        "Since any copy last proved itself.",
        {"{{actor}}": series(of.HEARTBEAT_AGE)},
        unit="s",
        steps=STUCK,
        runbook="ActorDown",
        span=6,
    )
    yield graph(
        "Reading the state",
        "How long a scrape of the exporter reads each source.",
        {"{{source}}": series(of.SOURCE_SECONDS)},
        unit="s",
        steps=((None, GREEN), (3, RED)),
        runbook="StateUnknown",
        span=6,
    )
    yield listing(
        "Builds",
        "Living copies by code and configuration, and processes that are scraped by theirs.",
        {
            "actors": (f"count by (version, code, config) ({series(of.ACTOR_INFO)})", "none"),
            "scraped": (f"count by (version, code, config) ({series(of.BUILD_INFO)})", "none"),
        },
        runbook="MixedVersions",
        span=6,
        height=7,
    )
