"""The exporter: all state, read from rows and streams at every scrape, so that what is gone has no series.

A source that cannot be read is said to be down, and everything that it knows is absent: never 0, never the last
value.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from monitoring import families as of
from monitoring.families import EXPORTER_FAMILIES, Family
from monitoring.patience import Patient
from monitoring.state import Held, Sample

log = logging.getLogger(__name__)

T = TypeVar("T")

#: How long a source may take; Prometheus gives a scrape 10 s unless told otherwise.
DEADLINE_S: Final = 4.0

ReadRows = Callable[[], tuple[list[Sample], list[Held]]]
ReadStreams = Callable[[Sequence[Held]], list[Sample]]


@dataclass(slots=True, eq=False)
class Exporter(Collector):
    """*read_rows* also says what is held, so that *read_streams* can tell how old its quotes are."""

    read_rows: ReadRows
    read_streams: ReadStreams
    deadline_s: float = DEADLINE_S
    _rows: Patient[tuple[list[Sample], list[Held]]] = field(init=False)
    _streams: Patient[list[Sample]] = field(init=False)
    _held: Sequence[Held] = field(default=(), init=False)

    def __post_init__(self) -> None:
        self._rows = Patient(self.read_rows, self.deadline_s)
        self._streams = Patient(lambda: self.read_streams(self._held), self.deadline_s)

    def describe(self) -> Iterable[Metric]:
        """Nothing is read when the exporter is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        about: list[Sample] = []
        samples, self._held = _read("postgres", self._rows, about) or ([], [])
        samples = [*samples, *(_read("redis", self._streams, about) or [])]
        yield from metrics([*about, *samples])


def _read(source: str, read: Callable[[], T], about: list[Sample]) -> T | None:
    """Return what *source* says, None when it says nothing; *about* is told how it went."""
    started = time.perf_counter()
    try:
        found = read()
    except Exception as e:  # noqa: BLE001 - whatever is wrong, the other source is still shown
        log.warning("%s cannot be read: %s", source, str(e).splitlines()[0] if str(e) else repr(e))
        about.append(Sample(of.SOURCE_UP, (source,), 0))
        return None
    about.append(Sample(of.SOURCE_UP, (source,), 1))
    about.append(Sample(of.SOURCE_SECONDS, (source,), time.perf_counter() - started))
    return found


def metrics(samples: Iterable[Sample]) -> Iterator[Metric]:
    """Return *samples* as metrics; a family without samples is left out."""
    by_family: dict[Family, list[Sample]] = {}
    for sample in samples:
        by_family.setdefault(sample.family, []).append(sample)
    for family in EXPORTER_FAMILIES:
        if found := by_family.get(family):
            kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            metric = kind(family.name, family.help, labels=family.labels)
            for sample in found:
                metric.add_metric(sample.labels, sample.value)
            yield metric
