"""Counters and histograms of one process. State is not counted here: it is read from rows and streams when asked.

Labels are bounded: a stream, a group, a kind of failure.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from streams.hooks import DeadLetter, StreamHooks

#: Seconds; from a fraction of a millisecond to the timeout of a call.
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class StreamMetrics(StreamHooks):
    """What becomes of entries, by stream and group."""

    def __init__(self, registry: CollectorRegistry) -> None:
        who = ("stream", "group")
        self._events = Counter(
            "trading_stream_events",
            "Entries handled, retried, dead-lettered or lost",
            (*who, "result"),
            registry=registry,
        )
        self._seconds = Histogram(
            "trading_event_handle_seconds", "Time a batch took", who, buckets=_BUCKETS, registry=registry
        )

    def batch_handled(self, stream: str, group: str, entries: int, seconds: float) -> None:
        self._events.labels(stream, group, "ok").inc(entries)
        self._seconds.labels(stream, group).observe(seconds)

    def retried(self, stream: str, group: str, kind: str, error: BaseException) -> None:  # noqa: ARG002 - the hook's signature
        self._events.labels(stream, group, f"retried_{kind}").inc()

    def dead(self, letter: DeadLetter) -> None:
        self._events.labels(letter.stream, letter.group, "dead").inc()

    def lost_by_trim(self, stream: str, group: str, entry_id: str) -> None:  # noqa: ARG002
        self._events.labels(stream, group, "lost_by_trim").inc()

    def group_lost(self, stream: str, group: str) -> None:
        self._events.labels(stream, group, "group_lost").inc()
