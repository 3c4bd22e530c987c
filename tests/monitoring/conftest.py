"""The calm house on the test's own rows, and what a scrape of it says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import redis
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine

from cli.exporting import Reading
from cli.groups import groups_of
from db import schema
from monitoring.exporter import Exporter
from streams.names import Stream
from tests.cli.house import House

#: A sample's name with its labels, as Prometheus writes them.
Scraped = dict[str, float]


@pytest.fixture
def house(engine: Engine) -> House:
    return House(engine)


def scraped(registry: CollectorRegistry) -> Scraped:
    """Everything that *registry* offers, as Prometheus reads it."""
    found = text_string_to_metric_families(generate_latest(registry).decode())
    return {_name(s.name, s.labels): s.value for family in found for s in family.samples}


def _name(name: str, labels: dict[str, str]) -> str:
    inside = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{name}{{{inside}}}" if inside else name


@pytest.fixture
def scrape(house: House, redis_client: redis.Redis) -> Callable[[], Scraped]:
    """Scrape the house: its rows on its clock, and the session's streams."""
    groups = groups_of(1)
    groups.pop(Stream.CLOCK)
    reading = Reading(house.engine, redis_client, lambda: house.now, groups, schema.head())
    registry = CollectorRegistry()
    registry.register(Exporter(reading.rows, reading.streams))
    return lambda: scraped(registry)


def now() -> datetime:
    return datetime.now(UTC)
