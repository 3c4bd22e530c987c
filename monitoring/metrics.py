"""Counters and histograms of one process. State is not counted here: it is read from rows and streams when asked.

An actor calls a method that says what happened; names, labels and buckets are this module's. What a rolled back
transaction counted stays counted: the rows are the truth, these are rates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from domain.checks import Check, blind
from monitoring import families as of
from monitoring.codes import code_of
from monitoring.families import Family
from streams.hooks import DeadLetter, StreamHooks

#: Seconds; from a fraction of a millisecond to the timeout of a call.
BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: What the brokerage's paths are about; others are ``other``.
_ENDPOINTS: Final = (
    "activities",
    "contracts",
    "quotes",
    "account",
    "assets",
    "calendar",
    "clock",
    "orders",
    "positions",
)


def _counter(family: Family, registry: CollectorRegistry) -> Counter:
    return Counter(family.name.removesuffix("_total"), family.help, family.labels, registry=registry)


def _histogram(family: Family, registry: CollectorRegistry) -> Histogram:
    return Histogram(family.name, family.help, family.labels, buckets=BUCKETS, registry=registry)


class StreamMetrics(StreamHooks):
    """What becomes of entries, by stream and group."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = _counter(of.STREAM_EVENTS, registry)
        self._seconds = _histogram(of.BATCH_SECONDS, registry)

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


class ActorMetrics:
    """What actors decide, send and read, and how long it takes. Safe to call from any thread."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._decisions = _counter(of.DECISIONS, self.registry)
        self._refusals = _counter(of.REFUSALS, self.registry)
        self._blind = _counter(of.BLIND, self.registry)
        self._order_results = _counter(of.ORDER_RESULTS, self.registry)
        self._fills = _counter(of.FILLS, self.registry)
        self._exits = _counter(of.EXITS, self.registry)
        self._requests = _counter(of.BROKER_REQUESTS, self.registry)
        self._request_seconds = _histogram(of.BROKER_SECONDS, self.registry)
        self._fill_to_position = _histogram(of.FILL_TO_POSITION, self.registry)
        self._recommendation_to_decision = _histogram(of.RECOMMENDATION_TO_DECISION, self.registry)
        self._decision_to_order = _histogram(of.DECISION_TO_ORDER, self.registry)
        self._tick_to_decision = _histogram(of.TICK_TO_DECISION, self.registry)
        self._missed_by_live = _counter(of.MISSED_BY_LIVE, self.registry)

    def decided(self, account: str, checks: Sequence[Check], *, approved: bool, after_s: float) -> None:
        """The gate decided *after_s* seconds after the recommendation entered its stream."""
        self._decisions.labels(account, "approved" if approved else "refused").inc()
        for check in (check for check in checks if not check.passed):
            self._refusals.labels(account, check.gate).inc()
        for check in blind(checks):
            self._blind.labels(account, check.gate).inc()
        self._recommendation_to_decision.labels(account).observe(after_s)

    def accepted(self, account: str, *, opens: bool, after_s: float) -> None:
        """The brokerage has an order *after_s* seconds after it was approved."""
        self._order_results.labels(account, _action(opens), "accepted", "").inc()
        self._decision_to_order.labels(_action(opens)).observe(after_s)

    def ended(self, account: str, *, opens: bool, result: str, code: str | None, message: str | None) -> None:
        """An order ended otherwise than by filling."""
        self._order_results.labels(account, _action(opens), result, code_of(code, message)).inc()

    def filled(self, account: str, source: str, after_s: float) -> None:
        """An execution is in its position *after_s* seconds after it was read."""
        self._fills.labels(account, source).inc()
        self._fill_to_position.labels(account).observe(after_s)

    def exit_triggered(self, account: str, rule: str) -> None:
        self._exits.labels(account, rule).inc()

    def tick_decided(self, after_s: float) -> None:
        self._tick_to_decision.observe(after_s)

    def missed_by_live(self) -> None:
        """REST had a quote of a held contract that the live feed did not bring."""
        self._missed_by_live.inc()

    def requested(self, account: str, url: str, status: int | None, seconds: float) -> None:
        """The brokerage answered with *status*, or did not answer."""
        endpoint = _endpoint(url)
        self._requests.labels(account, endpoint, _status_class(status)).inc()
        self._request_seconds.labels(endpoint).observe(seconds)

    def watch_feeds(self, status: Callable[[], Mapping[str, FeedStatus]]) -> None:
        """Offer what *status* says of each feed whenever somebody asks."""
        self.registry.register(_Feeds(status))


def a_registry(origin: str) -> CollectorRegistry:
    """Return the registry of a process that runs *origin* (``version+code/config``), without ``_created`` series."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus-client left it so
    registry = CollectorRegistry()
    Gauge(of.BUILD_INFO.name, of.BUILD_INFO.help, of.BUILD_INFO.labels, registry=registry).labels(*parts(origin)).set(1)
    return registry


def parts(origin: str) -> tuple[str, str, str]:
    """Return version, code and configuration of an origin; what it does not say is empty."""
    build, _, config = origin.partition("/")
    version, _, code = build.partition("+")
    return version, code, config


class FeedStatus(Protocol):
    """What a feed says of itself."""

    @property
    def connected(self) -> bool: ...
    @property
    def connections(self) -> int: ...
    @property
    def frames(self) -> int: ...


class _Feeds(Collector):
    def __init__(self, status: Callable[[], Mapping[str, FeedStatus]]) -> None:
        self._status = status

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        found = self._status()
        yield _counted(of.RECONNECTS, ((feed, max(0, s.connections - 1)) for feed, s in found.items()))
        yield _counted(of.FRAMES, ((feed, s.frames) for feed, s in found.items()))
        connected = GaugeMetricFamily(of.CONNECTED.name, of.CONNECTED.help, labels=of.CONNECTED.labels)
        for feed, s in found.items():
            connected.add_metric([feed], int(s.connected))
        yield connected


def _counted(family: Family, values: Iterable[tuple[str, int]]) -> CounterMetricFamily:
    made = CounterMetricFamily(family.name, family.help, labels=family.labels)
    for label, value in values:
        made.add_metric([label], value)
    return made


def _action(opens: bool) -> str:
    return "open" if opens else "close"


def _endpoint(url: str) -> str:
    words = urlsplit(url).path.replace(":", "/").split("/")
    return next((name for name in _ENDPOINTS if name in words), "other")


def _status_class(status: int | None) -> str:
    if status is None:
        return "none"
    return "429" if status == 429 else f"{status // 100}xx"
